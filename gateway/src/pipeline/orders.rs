//! Orders as they come to the keeper: from people here, and from the hubs that this home belongs to.
//!
//! Enters: wishes, a hub's command, a device's `done`. Leaves: records, and the answers that hubs are owed. Invariants: a hub's order is
//! carried out once, however often the hub says it; it hears what became of it, and nothing before that is on the disk; what somebody
//! at a hub had done here stands among the traces, as what people here do.

use tracing::warn;
use vaka_protocol::{Command, DeviceId, Event, Lane, Outcome as Word};

use super::commands::Commands;
use super::fold::Outcome;
use super::keeper::{Answer, Keeper, NotOrdered, OrderReply};
use crate::dispatch::{Parcel, ParcelId, ParcelWhat};
use crate::ingest::Parsed;
use crate::journal::record::{Order, Record, Trace};
use crate::rules::orders::{self, Why, Wish};

impl Keeper {
    fn orders_view(&self) -> orders::View<'_> {
        let now = self.moment();
        orders::View { alarms: &self.state().alarms, home: self.home(), now_ms: now.wall_ms, sure: now.sure }
    }

    pub(super) fn take_order(&mut self, wish: Wish, reply: OrderReply) {
        match orders::judge(self.orders_view(), wish) {
            Err(why) => {
                // Whoever asked may have gone away.
                let _ = reply.send(Err(NotOrdered::Refused(why)));
            }
            Ok(order) => {
                let header = self.append(Record::Order(order), Lane::Care);
                self.answer_later(Answer::Ordered(header.seq, reply));
            }
        }
    }

    /// A hub says it until it has an answer.
    pub(super) fn take_hubs_order(&mut self, receiver: String, id: u64, expires_at: i64, command: Command) {
        let Command::Order { alarm, device, by, role, purpose, what } = command else { return };
        if let Some(kept) = self.state().orders.of_hub(&receiver, id) {
            if let Some((outcome, _)) = kept.outcome.clone() {
                self.put_out(Outcome::Answer { receiver, id, outcome });
            }
            return;
        }
        let by = format!("{receiver}: {by}");
        let (role, purpose) = (role.as_str().to_owned(), purpose.as_str().to_owned());
        let wish = Wish { alarm, device, what, by, role, purpose };
        let order = match orders::judge_of_hub(self.orders_view(), &receiver, expires_at, wish.clone()) {
            Ok(order) => order,
            Err(why) => refused(wish, expires_at, why),
        };
        self.trace_order(&receiver, &order);
        let from = Some((receiver.clone(), id));
        let refused = order.refused.clone();
        self.append(Record::Order(Order { from, ..order }), Lane::Care);
        if let Some(outcome) = refused {
            warn!(receiver, order = id, outcome, "an order of the hub is refused");
            self.put_out(Outcome::Answer { receiver, id, outcome });
        }
    }

    /// What people there see and do here is theirs to answer for, as what people here do.
    fn trace_order(&mut self, receiver: &str, order: &Order) {
        let device = order.to.as_ref();
        let resident = device.and_then(|device| self.home().orders.devices.get(device)?.resident.clone());
        let act = if order.refused.is_some() { "order-refused" } else { "order" };
        let object = device.map_or_else(String::new, |device| format!("device {device}"));
        let trace = Trace {
            person: order.by.clone(),
            role: order.role.clone(),
            session: receiver.to_owned(),
            act: format!("{act} {}", order.what.name()),
            object,
            purpose: order.purpose.clone(),
            resident,
            at: self.moment().wall_ms,
            before: self.state().trace.clone(),
        };
        self.append(Record::Trace(trace), Lane::Technical);
    }

    /// A device has said what became of orders: whoever looks hears of it, and the hub that gave one.
    pub(super) fn answer_orders(&mut self, device: &DeviceId, parsed: &Parsed) {
        for event in &parsed.events {
            let Event::Done { id, .. } = event else { continue };
            let Some(kept) = self.state().orders.get(Commands::cause(*id)) else { continue };
            let (Some((outcome, _)), true) = (kept.outcome.clone(), kept.order.to.as_ref() == Some(device)) else {
                continue;
            };
            let (alarm, from) = (kept.order.alarm.clone(), kept.order.from.clone());
            self.touch(alarm);
            if let Some((receiver, id)) = from {
                self.put_out(Outcome::Answer { receiver, id, outcome });
            }
        }
    }

    pub(super) fn answer_hub(&self, receiver: String, id: u64, outcome: &str) {
        let Some(dispatcher) = &self.dispatcher() else { return };
        let what = ParcelWhat::Done { id, outcome: Word::from(outcome) };
        dispatcher.pass(Parcel { receiver, id: ParcelId::Done(id), what });
    }
}

fn refused(wish: Wish, expires_at: i64, why: Why) -> Order {
    let Wish { alarm, device: _, what, by, role, purpose } = wish;
    let refused = Some(why.word().to_owned());
    Order { to: None, alarm, what, by, role, purpose, expires_at, from: None, of: None, command: None, refused }
}
