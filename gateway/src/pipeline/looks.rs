//! Looks through cameras, as the keeper records them.
//!
//! Enters: wishes of people and of the gateway's own checks. Leaves, after the commit: the number of the look, or why not; to whoever
//! carries one out, how it stands. Invariant: what is granted is on the disk before anybody hears of it.

use tokio::sync::{mpsc, oneshot, watch};
use vaka_protocol::Lane;

use super::keeper::{Keeper, NotSigned};
use crate::journal::record::{LookStep, Record};
use crate::rules::care::look::{self, OpenLook, Wish};
use crate::rules::orders;

/// The look's number, or why not.
pub type LookReply = oneshot::Sender<Result<u64, NotSigned>>;

/// A look that is granted to somebody at a hub, and on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubLook {
    pub look: u64,
    pub receiver: String,
    /// What is said at the hub's door.
    pub call: String,
}

/// Who waits for what.
#[derive(Default)]
pub struct Lookers {
    answers: Vec<(u64, LookReply)>,
    watchers: Vec<(u64, watch::Sender<OpenLook>)>,
    /// Who at this hub waits for what a home answers to an order.
    orders: Vec<(u64, oneshot::Sender<String>)>,
    /// Where looks of people at hubs are carried out.
    of_hubs: Option<mpsc::UnboundedSender<HubLook>>,
}

impl Lookers {
    pub fn watch(&mut self, look: u64, to: watch::Sender<OpenLook>) {
        self.watchers.push((look, to));
    }

    pub fn watch_order(&mut self, order: u64, to: oneshot::Sender<String>) {
        self.orders.push((order, to));
    }

    /// What is granted without anybody who carries it out ends by its time.
    pub fn open_for_hub(&self, look: HubLook) {
        if self.of_hubs.as_ref().is_none_or(|carried| carried.send(look).is_err()) {
            tracing::warn!("nobody carries out looks of a hub");
        }
    }

    /// The commit has failed.
    pub fn fail(&mut self) {
        for (_, reply) in self.answers.drain(..) {
            let _ = reply.send(Err(NotSigned::Disk));
        }
    }
}

impl Keeper {
    /// Looks that hubs order are carried out there.
    pub fn look_for_hubs_with(&mut self, carried: mpsc::UnboundedSender<HubLook>) {
        self.lookers.of_hubs = Some(carried);
    }

    pub(super) fn take_look(&mut self, wish: Wish, by: &str, reply: LookReply) {
        let shows_more =
            matches!(wish, Wish::Open { .. } | Wish::Check { .. } | Wish::Try { .. } | Wish::Unveil { .. });
        // What is read of a person must be recorded, and this is.
        if shows_more && self.room.refused.contains(&Lane::Technical) {
            let _ = reply.send(Err(NotSigned::Disk));
            return;
        }
        let known = match wish {
            Wish::Checked { look, .. }
            | Wish::Accept { look, .. }
            | Wish::Unveil { look, .. }
            | Wish::End { look, .. }
            | Wish::Outcome { look, .. } => Some(look),
            Wish::Open { .. } | Wish::Check { .. } | Wish::Try { .. } => None,
        };
        let number = match (look::grant(self.view(), wish, by), known) {
            (Err(why), _) => {
                let _ = reply.send(Err(why.into()));
                return;
            }
            (Ok(Some(step)), Some(known)) => {
                self.append_unrepeatable(Record::Look(step), Lane::Care);
                known
            }
            (Ok(Some(step)), None) => self.append(Record::Look(step), Lane::Care).seq,
            (Ok(None), known) => known.unwrap_or_default(),
        };
        self.look_at_all();
        self.lookers.answers.push((number, reply));
    }

    /// Looks that were open when the process ended are over; their lights are put out.
    pub(super) fn end_looks(&mut self) {
        let open: Vec<_> = self.state().care.look.open().map(|(id, seen)| (*id, seen.clone())).collect();
        for (look, seen) in open {
            // Somebody may have seen something until then: longer than it may last it did not.
            let shown_ms =
                if seen.asked.by.is_some() && seen.light.is_some_and(|(_, at)| at.is_some()) { 1 } else { 0 };
            let step = LookStep::Ended { look, shown_ms, why: "restart".into() };
            let record = crate::journal::record::Look { resident: seen.resident, camera: seen.camera, step };
            self.append(Record::Look(record), Lane::Care);
        }
    }

    pub(super) fn answer_looks(&mut self) {
        for (number, reply) in self.lookers.answers.drain(..) {
            let _ = reply.send(Ok(number));
        }
    }

    fn tell_orders(&mut self) {
        let orders = std::mem::take(&mut self.lookers.orders);
        for (order, to) in orders {
            match self.state().orders.get(order).map(|kept| &kept.outcome) {
                Some(None) if !to.is_closed() => self.lookers.orders.push((order, to)),
                Some(Some((outcome, _))) => drop(to.send(outcome.clone())),
                _ => {}
            }
        }
    }

    pub(super) fn tell_lookers(&mut self) {
        self.tell_orders();
        if self.lookers.watchers.is_empty() {
            return;
        }
        let mut watchers = std::mem::take(&mut self.lookers.watchers);
        let view = self.view();
        watchers.retain(|(look, to)| {
            let state = view.care.look.state(*look);
            let hub = self.state().orders.hub_of(*look);
            let hub_may_not = hub.is_some_and(|hub| !orders::may_look(self.home(), hub));
            let state = OpenLook { must_end: look::must_end(view, *look), hub_may_not, ..state };
            let is_over = state.is_ended;
            to.send_if_modified(|known| std::mem::replace(known, state.clone()) != state);
            !is_over && !to.is_closed()
        });
        self.lookers.watchers = watchers;
    }
}
