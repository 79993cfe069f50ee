//! Orders as they come to the keeper: from people here, and from the hubs that this home belongs to.
//!
//! Enters: wishes, a hub's command, a device's `done`. Leaves: records, and the answers that hubs are owed. Invariants: a hub's order is
//! carried out once, however often the hub says it; it hears what became of it, and nothing before that is on the disk; what somebody
//! at a hub had done here stands among the traces, as what people here do.

use std::collections::BTreeMap;

use tracing::warn;
use vaka_protocol::{Command, DeviceId, Event, Lane, Ordered, Outcome as Word};

use super::commands::Commands;
use super::fold::Outcome;
use super::keeper::{Answer, Keeper, NotOrdered, OrderReply};
use super::looks::HubLook;
use crate::dispatch::{Parcel, ParcelId, ParcelWhat};
use crate::ingest::Parsed;
use crate::journal::record::{FromHub, Look, Order, Record, Trace};
use crate::limits::{HUB_ORDERS_PER_MINUTE, ORDER_ANSWERS_MS, ORDER_OWED_MAX};
use crate::rules::care::look;
use crate::rules::orders::{self, Why, Wish};

/// How many orders each hub has given in this minute. In memory alone: a restart costs a minute's worth.
#[derive(Debug, Default)]
pub(super) struct HubOrders(BTreeMap<String, (u64, u32)>);

impl HubOrders {
    /// `minute`: of the running clock.
    fn takes(&mut self, receiver: &str, minute: u64) -> bool {
        let (of, count) = self.0.entry(receiver.to_owned()).or_default();
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count += 1;
        *count <= HUB_ORDERS_PER_MINUTE
    }
}

/// What a hub's look is to become.
struct HubsLook {
    /// Its record. `None`: it is so already.
    step: Option<Look>,
    /// The look that it is about, where that is known.
    known: Option<u64>,
    /// What is said at the hub's door.
    call: Option<String>,
}

impl Keeper {
    fn orders_view(&self) -> orders::View<'_> {
        let now = self.moment();
        orders::View { alarms: &self.state().alarms, home: self.home(), now_ms: now.wall_ms, sure: now.sure }
    }

    /// Too much waits for it, or the disk is short.
    fn has_room(&self, order: &Order) -> Result<(), Why> {
        let owed = |to: &DeviceId| self.state().commands.owed(to, self.moment().wall_ms).count();
        let is_full =
            self.is_short_for(Lane::Technical) || order.to.as_ref().is_some_and(|to| owed(to) >= ORDER_OWED_MAX);
        if is_full { Err(Why::Busy) } else { Ok(()) }
    }

    /// `traced`: who asked has written it down already.
    pub(super) fn take_order(&mut self, wish: Wish, traced: bool, reply: OrderReply) {
        let judged = orders::judge(self.orders_view(), wish.clone());
        match judged.and_then(|order| self.has_room(&order).map(|()| order)) {
            Err(why) => {
                if !traced {
                    let order = refused(wish, self.moment().wall_ms, why);
                    self.trace_order("cli", &order);
                }
                // Whoever asked may have gone away.
                let _ = reply.send(Err(NotOrdered::Refused(why)));
            }
            Ok(order) => {
                if !traced {
                    self.trace_order("cli", &order);
                }
                let header = self.append(Record::Order(Box::new(order)), Lane::Care);
                self.answer_later(Answer::Ordered(header.seq, reply));
            }
        }
    }

    /// A hub says it until it has an answer.
    pub(super) fn take_hubs_order(&mut self, receiver: String, id: u64, expires_at: i64, command: Command) {
        let Command::Order { alarm, device, by, role, purpose, what } = command else { return };
        let from = FromHub { receiver: receiver.clone(), id, expires_at };
        if let Some(kept) = self.state().orders.of_hub(&from) {
            if let Some((outcome, _)) = kept.outcome.clone() {
                self.put_out(Outcome::Answer { receiver, id, outcome });
            }
            return;
        }
        let minute = self.moment().mono_ms / 60_000;
        let is_look = matches!(what, Ordered::Look { .. } | Ordered::Looked { .. });
        // Looks and what was seen have a count of their own: they keep no door shut.
        let counted = if is_look { format!("{receiver} looks") } else { receiver.clone() };
        if !self.hub_orders.takes(&counted, minute) {
            return warn!(receiver, order = id, "too many orders of this hub in a minute: not heard");
        }
        let by = format!("{receiver}: {by}");
        let (role, purpose) = (role.as_str().to_owned(), purpose.as_str().to_owned());
        let wish = Wish { alarm, device, what, by, role, purpose };
        if is_look {
            return self.take_hubs_look(from, wish);
        }
        let judged = orders::judge_of_hub(self.orders_view(), &receiver, expires_at, wish.clone());
        let order = match judged.and_then(|order| self.has_room(&order).map(|()| order)) {
            Ok(order) => order,
            Err(why) => refused(wish, expires_at, why),
        };
        self.keep_hubs_order(from, order);
    }

    fn keep_hubs_order(&mut self, from: FromHub, order: Order) {
        let (receiver, id) = (from.receiver.clone(), from.id);
        self.trace_order(&receiver, &order);
        let refused = order.refused.clone();
        self.append_unrepeatable(Record::Order(Box::new(Order { from: Some(from), ..order })), Lane::Care);
        if let Some(outcome) = refused {
            warn!(receiver, order = id, outcome, "an order of the hub is refused");
            self.put_out(Outcome::Answer { receiver, id, outcome });
        }
    }

    /// A look that somebody at a hub orders, or what they saw: judged as that of somebody here, by the rule `look`.
    fn take_hubs_look(&mut self, from: FromHub, wish: Wish) {
        let (receiver, id) = (from.receiver.clone(), from.id);
        let HubsLook { step, known, call } = match self.judge_hubs_look(&from, &wish) {
            Ok(judged) => judged,
            Err(why) => return self.keep_hubs_order(from.clone(), refused(wish, from.expires_at, why)),
        };
        // First the look: an order whose look is not on the disk must not be said to be done.
        let camera = step.as_ref().map(|step| step.camera.clone());
        let look = match (step, known) {
            (Some(step), None) => self.append(Record::Look(step), Lane::Care).seq,
            (Some(step), Some(known)) => {
                self.append(Record::Look(step), Lane::Care);
                known
            }
            (None, known) => known.unwrap_or_default(),
        };
        let camera = camera.or_else(|| Some(self.state().care.look.get(look)?.camera.clone()));
        let Wish { alarm, what, by, role, purpose, .. } = wish;
        let (to, from, look_of) = (camera, Some(from.clone()), Some(look));
        let (expires_at, of, command, refused) = (from.as_ref().map_or(0, |from| from.expires_at), None, None, None);
        let order = Order { to, alarm, what, by, role, purpose, expires_at, from, of, command, refused, look: look_of };
        self.trace_order(&receiver, &order);
        // Not again after a failed commit: the look has then another number, or is not granted.
        self.append(Record::Order(Box::new(order)), Lane::Care);
        self.look_at_all();
        self.put_out(Outcome::Answer { receiver: receiver.clone(), id, outcome: Word::Done.as_str().to_owned() });
        if let Some(call) = call {
            self.put_out(Outcome::Look(HubLook { look, receiver, call }));
        }
    }

    fn judge_hubs_look(&self, from: &FromHub, wish: &Wish) -> Result<HubsLook, Why> {
        let known = |id| self.state().orders.look_of(&from.receiver, id);
        let asked = orders::look_of_hub(self.orders_view(), &from.receiver, from.expires_at, wish, known)?;
        let view = self.view();
        if let look::Wish::Open { resident, .. } = &asked.wish {
            // What is seen of a person must be recorded, and this is. What somebody has seen is heard in any case.
            if self.is_short_for(Lane::Technical) {
                return Err(Why::Busy);
            }
            let person = view.agreed.people.iter().find(|person| person.id == *resident);
            let agreed = person.and_then(|person| person.look.as_ref()).ok_or(Why::NoLook)?;
            if !view.now.sure {
                return Err(Why::Clock);
            }
            if !agreed.term.holds(view.now.wall_ms) {
                return Err(Why::NotInForce);
            }
        }
        let known = match &asked.wish {
            look::Wish::Outcome { look, .. } => Some(*look),
            _ => None,
        };
        let step = look::grant(view, asked.wish, &wish.by).map_err(|refusal| {
            warn!(receiver = from.receiver, order = from.id, "a look of the hub is refused: {refusal}");
            Why::from(&refusal)
        })?;
        Ok(HubsLook { step, known, call: asked.call })
    }

    /// What people there see and do here is theirs to answer for, as what people here do.
    fn trace_order(&mut self, receiver: &str, order: &Order) {
        let device = order.to.as_ref();
        let of_device = device.and_then(|device| self.home().orders.residents.get(device).cloned());
        let of_look = order.look.and_then(|look| Some(self.state().care.look.get(look)?.resident.clone()));
        let resident = match &order.what {
            Ordered::Look { resident, .. } => Some(resident.as_str().to_owned()),
            _ => of_look.or(of_device),
        };
        let act = if order.refused.is_some() { "order-refused" } else { "order" };
        let of_look = matches!(order.what, Ordered::Look { .. } | Ordered::Looked { .. });
        let kind = if of_look { "camera" } else { "device" };
        // As the log of the house's own looks has it.
        let clear = if matches!(order.what, Ordered::Look { clear: true, .. }) { ", clear" } else { "" };
        let object = device.map_or_else(String::new, |device| format!("{kind} {device}{clear}"));
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
            if let Some(FromHub { receiver, id, .. }) = from {
                self.put_out(Outcome::Answer { receiver, id, outcome });
            }
        }
    }

    /// After a start: what a hub may not have heard. Hearing it twice changes nothing there.
    pub(super) fn answer_hubs_again(&self) {
        let since_ms = self.moment().wall_ms.saturating_sub(ORDER_ANSWERS_MS);
        let answers = self.state().orders.answers(since_ms);
        answers.for_each(|(receiver, id, outcome)| self.answer_hub(receiver.clone(), id, outcome));
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
    let (to, from, of, command, look) = (None, None, None, None, None);
    Order { to, alarm, what, by, role, purpose, expires_at, from, of, command, refused, look }
}
