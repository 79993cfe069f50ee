//! A new schedule. Enters: what the gateway asks for from now on, the schedule before it. Leaves: the plan, and what becomes of what it
//! leaves out.
//!
//! Invariants: what is left out has its outcome, or was taken back by somebody; what lies in the wheel for it is of no other dose,
//! and stays its own where it was moved. What the ledger must know is kept before the plan: cut in between, the old plan is still right.

use vaka_protocol::Slot;
use vaka_protocol::limits::SCHEDULE_SLOTS_MAX;

use super::doses::is_untold;
use super::plan::NOWHERE;
use super::*;

/// The gateway's clock and this one differ by less, in milliseconds: a dose that a schedule leaves out so shortly before it closes
/// is over, not taken back. Longer: one moved that late is told as missed.
const CLOCKS_APART_MS: i64 = 60_000;

/// A dose is given by hand so long before its time at the most, in milliseconds. Longer: what is planned otherwise from tomorrow on is
/// taken for it, though who has filled the wheel may have known. Source: the gateway lets nobody sign for it sooner than 30 minutes before.
const BY_HAND_EARLY_MS: i64 = 45 * 60 * 1_000;

/// A dose of the same slot that opens so long before or after one that is left out, in milliseconds, is that one, moved. Longer: it could be
/// tomorrow's.
pub(super) const MOVED_MS_MAX: u64 = 18 * 60 * 60 * 1_000;

impl<I: InputPin, O: OutputPin, B: I2c> Dispenser<I, O, B> {
    /// The command `schedule`.
    pub(super) fn schedule(&mut self, slots: &[Slot], cx: &mut Cx<'_>) -> Outcome {
        let Some(at) = cx.now.at else { return Outcome::Refused };
        let Some(plan) = Plan::of(slots, at) else { return Outcome::Refused };
        self.end_over(cx, at, slots);
        self.pass_over(at, slots);
        let is_gap = self.plan.covers_until != 0 && at > self.plan.covers_until && self.ledger.full != 0;
        self.ledger.order_lost |= is_gap;
        if !self.keep(cx, LEDGER) {
            return Outcome::Failed;
        }
        let before = core::mem::replace(&mut self.plan, plan);
        self.mark(cx, &before, slots);
        if !self.keep(cx, PLAN) {
            self.plan = before;
            return Outcome::Failed;
        }
        self.withdraw(cx);
        Outcome::Done
    }

    /// Before a new schedule: what is over by the gateway's clock is not in it any more. It has its outcome first, and its compartment is
    /// passed over: the next dose does not come from it.
    fn end_over(&mut self, cx: &mut Cx<'_>, at: i64, slots: &[Slot]) {
        for place in 0..self.plan.entries.len() {
            let entry = self.plan.entries[place].clone();
            let is_asked = slots.iter().any(|slot| entry.is(&slot.slot, slot.opens_at));
            if is_asked || entry.closes_at > at.saturating_add(CLOCKS_APART_MS) {
                continue;
            }
            let known = self.ledger.doses.iter().position(|dose| entry.is(&dose.slot, dose.opens_at));
            match known.filter(|place| self.ledger.doses[*place].state == State::Due) {
                Some(place) => self.end(cx, place, DoseOutcome::Missed),
                None => _ = self.open(cx, place, true),
            }
        }
    }

    /// Before a new schedule: what opens soon and is left out is given by hand, or was moved. What lies in the wheel for it is of no other dose.
    fn pass_over(&mut self, at: i64, slots: &[Slot]) {
        let Self { plan, ledger, .. } = self;
        // A doubtful one that is taken back was given under another time.
        let is_to_come = |entry: &&Entry| {
            entry.compartment == 0 && !entry.is_doubtful && ledger.find(&entry.slot, entry.opens_at).is_none()
        };
        let to_come: heapless::Vec<Entry, SCHEDULE_SLOTS_MAX> =
            plan.entries.iter().filter(is_to_come).cloned().collect();
        let soon = at.saturating_add(BY_HAND_EARLY_MS);
        let mut passed = 0;
        for Entry { slot, opens_at, closes_at, .. } in to_come {
            let is_asked = slots.iter().any(|asked| asked.slot == slot && asked.opens_at == opens_at);
            let compartment = ledger.compartment_after(passed);
            if is_asked || opens_at > soon || compartment == 0 || ledger.order_lost {
                passed += 1;
                continue;
            }
            let word = Identity { restart: 0, seq: 0 };
            let dose = Dose { slot, opens_at, closes_at, state: State::Withdrawn, compartment, given_at: 0, word };
            if ledger.open(dose).is_some() {
                ledger.use_up(compartment);
            }
        }
    }

    /// The new schedule: which doses are releases, and which the gateway asked for before it knew what was given.
    fn mark(&mut self, cx: &mut Cx<'_>, before: &Plan, slots: &[Slot]) {
        let Self { plan, ledger, .. } = self;
        for entry in &mut plan.entries {
            if let Some(known) = before.entries.iter().find(|known| known.is(&entry.slot, entry.opens_at)) {
                (entry.is_doubtful, entry.compartment) = (known.is_doubtful, known.compartment);
                continue;
            }
            let of_slot = || ledger.doses.iter().filter(|dose| dose.slot == entry.slot);
            entry.is_doubtful = of_slot().any(|dose| is_untold(cx, dose));
            let asked = slots.iter().find(|slot| entry.is(&slot.slot, slot.opens_at));
            if let Some(opened_at) = asked.and_then(|slot| slot.releases) {
                entry.compartment = match ledger.find(&entry.slot, opened_at) {
                    Some(dose) if dose.is_locked() => dose.compartment,
                    // Filled anew since: it is among the doses to come.
                    Some(dose) if dose.compartment == 0 => 0,
                    _ => NOWHERE,
                };
            }
        }
        self.move_along(before);
    }

    /// What was moved comes from where it lies, also when another dose comes first now.
    fn move_along(&mut self, before: &Plan) {
        let Self { plan, ledger, .. } = self;
        let offered = ledger.doses.iter().filter(|dose| matches!(dose.state, State::Due | State::Withdrawn));
        let offered = offered.map(|dose| (&dose.slot, dose.opens_at, dose.compartment));
        let planned = before.entries.iter().map(|entry| (&entry.slot, entry.opens_at, entry.compartment));
        for (slot, opens_at, compartment) in offered.chain(planned) {
            let is_release = ledger.doses.iter().any(|dose| dose.compartment == compartment && dose.is_locked());
            let has_place =
                plan.entries.iter().any(|entry| entry.compartment == compartment || entry.is(slot, opens_at));
            if matches!(compartment, 0 | NOWHERE) || is_release || has_place {
                continue;
            }
            let is_new = |entry: &Entry| !before.entries.iter().any(|known| known.is(&entry.slot, entry.opens_at));
            let is_it = |entry: &&mut Entry| {
                let is_near = entry.opens_at.abs_diff(opens_at) < MOVED_MS_MAX;
                entry.slot == *slot && entry.compartment == 0 && is_near && is_new(entry)
            };
            if let Some(moved) = plan.entries.iter_mut().find(is_it) {
                moved.compartment = compartment;
            }
        }
    }

    /// A dose that is offered and not in the schedule any more is not offered any longer. What lies in its compartment is of no
    /// other dose: it was given by hand, or is not to be given, or comes at its own new time.
    fn withdraw(&mut self, cx: &mut Cx<'_>) {
        let Some(place) = self.ledger.current() else { return };
        let dose = &self.ledger.doses[place];
        let is_planned = self.plan.entries.iter().any(|entry| entry.is(&dose.slot, dose.opens_at));
        if dose.state == State::Due && !is_planned {
            let compartment = dose.compartment;
            self.ledger.use_up(compartment);
            self.take_back(cx, place);
        }
    }

    pub(super) fn take_back(&mut self, cx: &mut Cx<'_>, place: usize) {
        self.ledger.doses[place].state = State::Withdrawn;
        self.keep(cx, LEDGER);
        cx.signal(Light::Off, Sound::Off);
    }
}
