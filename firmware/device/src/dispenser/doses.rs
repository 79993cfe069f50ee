//! The life of a dose: due, turning, out, and how it ended. Enters: the moment, what the carousel shows, what hands do.
//! Leaves: one outcome of each dose, and where the carousel is to go.
//!
//! Invariant: each change is kept together with the word that tells it, before it is told; a cut in between tells it after
//! the boot, and only if it is not in the outbox already: nothing leaves the outbox before the pass is over.

use super::asked::MOVED_MS_MAX;
use super::ledger::Telling;
use super::plan::NOWHERE;
use super::*;

/// So long after the gateway has heard that a dose was given, it has taken back what it asked for before, in milliseconds.
const SETTLED_MS: u64 = 60_000;

impl<I: InputPin, O: OutputPin, B: I2c> Dispenser<I, O, B> {
    pub(super) fn doses(&mut self, cx: &mut Cx<'_>, at: Option<i64>, is_in_hands: bool, levels: lines::Levels) {
        let now_ms = cx.now.uptime_ms;
        let pressed = self.give.rose(levels.give, now_ms);
        self.refuse.rose(levels.refuse, now_ms);
        let is_refused = self.refuse.held(REFUSE_HOLD_MS, now_ms);
        self.see_content(cx);
        if self.settles(cx) {
            self.settled_ms.get_or_insert(now_ms);
        } else {
            self.settled_ms = None;
        }
        self.fault_of_schedule(cx);
        match self.ledger.current() {
            Some(place) => {
                let held = self.clock.held(cx.now);
                let is_over = held.is_some_and(|held| held >= self.ledger.doses[place].closes_at);
                match self.ledger.doses[place].state {
                    State::Due => self.due(cx, (place, at, is_over), is_refused, pressed && !is_in_hands),
                    State::Turning => self.turning(cx, place),
                    State::Out => self.out(cx, (place, is_over), is_refused, is_in_hands),
                    State::Closing(is_refused) => self.closing(cx, place, is_refused),
                    State::Ended | State::Withdrawn => {}
                }
            }
            None => {
                if let Some(at) = at {
                    self.open_next(cx, at);
                }
            }
        }
        // What is open and no dose's is closed.
        let stays = self.ledger.current().is_some_and(|place| {
            matches!(self.ledger.doses[place].state, State::Turning | State::Out | State::Closing(_))
        });
        if self.wheel.is_at_rest() && self.wheel.open().is_some() && !stays && !is_in_hands {
            self.wheel.send_closed();
        }
        self.due_ms = self.next_ms(cx, at);
    }

    fn due(&mut self, cx: &mut Cx<'_>, (place, at, is_over): (usize, Option<i64>, bool), refused: bool, pressed: bool) {
        let dose = &self.ledger.doses[place];
        if is_over {
            return self.end(cx, place, DoseOutcome::Missed);
        }
        if at.is_some_and(|at| at < dose.opens_at) {
            // The clock was put right: its time comes yet.
            return self.take_back(cx, place);
        }
        if self.wheel.is_stuck() && !self.wheel.must_count() {
            return self.end(cx, place, DoseOutcome::Jammed);
        }
        if refused {
            return self.end(cx, place, DoseOutcome::Refused);
        }
        if self.ledger.doses[place].compartment == 0 && !self.wheel.must_count() {
            // It was filled in between, or there is nothing to give: told at once, while somebody can still come.
            let next = if self.ledger.order_lost { 0 } else { self.ledger.next_compartment() };
            if next == 0 {
                return self.end(cx, place, DoseOutcome::Missed);
            }
            self.ledger.doses[place].compartment = next;
        }
        let is_asked = pressed || self.setup.giving == Giving::AtOpening;
        let is_ready = self.wheel.is_at_rest() && !self.wheel.must_count() && self.wheel.open().is_none();
        if let Some(at) = at.filter(|_| is_asked && is_ready) {
            return self.give(cx, place, at);
        }
        self.remind(cx, words::due());
    }

    fn give(&mut self, cx: &mut Cx<'_>, place: usize, at: i64) {
        let compartment = self.ledger.doses[place].compartment;
        let before = self.ledger.clone();
        let dose = &mut self.ledger.doses[place];
        (dose.state, dose.given_at) = (State::Turning, at);
        self.ledger.use_up(compartment);
        // That it may have been given is kept before anything turns. What cannot be kept is not given.
        if self.keep(cx, LEDGER) {
            self.wheel.send_open(compartment);
        } else {
            self.ledger = before;
            self.end(cx, place, DoseOutcome::Jammed);
        }
    }

    fn turning(&mut self, cx: &mut Cx<'_>, place: usize) {
        let compartment = self.ledger.doses[place].compartment;
        if !self.wheel.is_at_rest() {
            return;
        }
        if self.wheel.open() != Some(compartment) {
            // It was held up by the open lid.
            return self.wheel.send_open(compartment);
        }
        if !self.sight.content {
            // Counted as full and found empty: who took it, and whether it was the resident, nobody knows.
            return self.end(cx, place, DoseOutcome::Unknown);
        }
        self.ledger.doses[place].state = State::Out;
        self.gone = None;
        self.say(cx, place, DoseOutcome::Dispensed);
        self.show(cx, words::out());
    }

    fn out(&mut self, cx: &mut Cx<'_>, (place, is_over): (usize, bool), is_refused: bool, is_in_hands: bool) {
        if self.is_gone(cx) {
            // Through the open lid it is not the resident who takes it.
            let outcome = if is_in_hands { DoseOutcome::Unknown } else { DoseOutcome::Taken };
            return self.end(cx, place, outcome);
        }
        if is_over || is_refused {
            self.ledger.doses[place].state = State::Closing(is_refused && !is_over);
            self.keep(cx, LEDGER);
            return self.wheel.send_closed();
        }
        self.remind(cx, words::out());
    }

    fn closing(&mut self, cx: &mut Cx<'_>, place: usize, is_refused: bool) {
        if self.sight.index && self.is_gone(cx) {
            return self.end(cx, place, DoseOutcome::Taken);
        }
        if !self.wheel.is_at_rest() {
            return;
        }
        if self.wheel.open().is_some() {
            return self.wheel.send_closed();
        }
        self.end(
            cx,
            place,
            match (self.is_blind || self.gone.is_some(), is_refused) {
                (true, _) => DoseOutcome::Unknown,
                (false, true) => DoseOutcome::Refused,
                (false, false) => DoseOutcome::Missed,
            },
        );
    }

    /// The next dose whose time has come.
    fn open_next(&mut self, cx: &mut Cx<'_>, at: i64) {
        for place in 0..self.plan.entries.len() {
            let Entry { opens_at, closes_at, .. } = self.plan.entries[place];
            if opens_at > at || self.open(cx, place, closes_at <= at) {
                return;
            }
        }
    }

    /// Opens this dose of the schedule, or ends it where its time is over. False: there is nothing to do for it, or not yet.
    pub(super) fn open(&mut self, cx: &mut Cx<'_>, place: usize, is_over: bool) -> bool {
        let entry = self.plan.entries[place].clone();
        let known = self.ledger.find(&entry.slot, entry.opens_at);
        if known.is_some_and(|dose| dose.state != State::Withdrawn) {
            return false;
        }
        let own = known.map_or(0, |withdrawn| withdrawn.compartment);
        let given = self.ledger.doses.iter().filter(|dose| dose.slot == entry.slot && dose.given_at != 0);
        let mut given = given.filter(|dose| dose.given_at >= entry.opens_at).peekable();
        let is_given = given.peek().is_some();
        if given.any(|dose| dose.opens_at < entry.closes_at && entry.opens_at < dose.closes_at) {
            // The same dose, whose time was moved after it was given.
            return false;
        }
        if !is_over && entry.is_doubtful && !self.has_settled(cx) {
            return false;
        }
        let is_it = |dose: &Dose| dose.slot == entry.slot && dose.given_at != 0;
        let mut given = self.ledger.doses.iter().filter(|dose| is_it(dose));
        if entry.is_doubtful && is_over && given.any(|dose| dose.opens_at.abs_diff(entry.opens_at) < MOVED_MS_MAX) {
            // The gateway has moved it before it could hear that it was given; nothing lies in the wheel for it.
            return false;
        }
        let compartment = match entry.compartment {
            0 if self.wheel.is_stuck() || self.ledger.order_lost => 0,
            0 if own != 0 => own,
            0 => self.ledger.next_compartment(),
            NOWHERE => 0,
            released => released,
        };
        let dose = Dose {
            slot: entry.slot,
            opens_at: entry.opens_at,
            closes_at: entry.closes_at,
            state: State::Due,
            compartment,
            given_at: 0,
            word: Identity { restart: 0, seq: 0 },
        };
        let forgotten = self.ledger.forgotten(entry.opens_at) || is_given;
        let Some(place) = self.ledger.open(dose) else { return false };
        if forgotten {
            // The clock went back, or the flash was damaged: it may have been given.
            self.end(cx, place, DoseOutcome::Unknown);
        } else if is_over {
            self.end(cx, place, DoseOutcome::Missed);
        } else if self.wheel.is_stuck() && !self.wheel.must_count() {
            self.end(cx, place, DoseOutcome::Jammed);
        } else if compartment == 0 && !self.wheel.must_count() {
            self.end(cx, place, DoseOutcome::Missed);
        } else {
            self.say(cx, place, DoseOutcome::Reminded);
            self.show(cx, words::due());
        }
        true
    }

    /// The dose has its outcome.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, place: usize, outcome: DoseOutcome) {
        let dose = &mut self.ledger.doses[place];
        dose.state = State::Ended;
        if outcome == DoseOutcome::Unknown && dose.given_at == 0 {
            dose.given_at = cx.now.at.unwrap_or(dose.opens_at).max(dose.opens_at);
        }
        let compartment = dose.compartment;
        self.ledger.use_up(compartment);
        self.gone = None;
        self.say(cx, place, outcome);
        self.show(cx, words::ended(outcome));
    }

    /// Keeps what changed with the word that tells it, and tells it.
    fn say(&mut self, cx: &mut Cx<'_>, place: usize, outcome: DoseOutcome) {
        let slot = self.ledger.doses[place].slot.clone();
        // A flash that fails, or works again, tells of itself in between: then the word has another number.
        for _ in 0..2 {
            let word = Identity { restart: cx.outbox.restart(), seq: cx.outbox.last_seq() + 1 };
            let dose = &mut self.ledger.doses[place];
            if dose.given_at != 0 && outcome != DoseOutcome::Reminded {
                dose.word = word;
            }
            self.ledger.telling = Some(Telling { dose: place as u8, outcome, word });
            self.keep(cx, LEDGER);
            if cx.outbox.last_seq() + 1 == word.seq {
                break;
            }
        }
        cx.tell(Event::Dose { slot, outcome });
        self.ledger.telling = None;
        self.keep(cx, LEDGER);
    }

    /// After a boot: what may not have been told any more.
    pub(super) fn tell_again(&mut self, cx: &mut Cx<'_>) {
        let Some(Telling { dose, outcome, word }) = self.ledger.telling else { return };
        let place = usize::from(dose);
        let is_in = cx.outbox.identities().any(|(known, _)| known == word);
        if is_in || place >= self.ledger.doses.len() {
            self.ledger.telling = None;
            self.keep(cx, LEDGER);
        } else {
            self.say(cx, place, outcome);
        }
    }

    /// After a boot: what happened without power nobody saw.
    pub(super) fn after_cut(&mut self, cx: &mut Cx<'_>) {
        if let Some(place) = self.locked_at_window().filter(|_| !self.sight.content) {
            self.end(cx, place, DoseOutcome::Unknown);
        }
        let Some(place) = self.ledger.current() else { return };
        let Dose { state, compartment, .. } = self.ledger.doses[place];
        let is_still_there = self.wheel.open() == Some(compartment) && self.sight.content && !self.wheel.must_count();
        match state {
            State::Turning => self.end(cx, place, DoseOutcome::Unknown),
            State::Out | State::Closing(_) if !is_still_there => self.end(cx, place, DoseOutcome::Unknown),
            State::Due => self.show(cx, words::due()),
            State::Out => self.show(cx, words::out()),
            _ => {}
        }
    }

    /// A person works in the carousel: whether the dose under way is still in it is not known any more, also where it was only
    /// due. What is filled in is of the doses after it.
    pub(super) fn in_hands(&mut self, cx: &mut Cx<'_>) {
        if let Some(place) = self.ledger.current() {
            self.end(cx, place, DoseOutcome::Unknown);
        }
    }

    /// The carousel is stuck: no second try, which could give two.
    pub(super) fn jammed(&mut self, cx: &mut Cx<'_>) {
        let Some(place) = self.ledger.current() else { return };
        match self.ledger.doses[place].state {
            State::Turning | State::Closing(_) => self.end(cx, place, DoseOutcome::Jammed),
            // It lay open and the wheel was turned by hand.
            State::Out => self.end(cx, place, DoseOutcome::Unknown),
            _ => {}
        }
    }

    /// The gateway has every word about what was given, since a while.
    fn has_settled(&self, cx: &Cx<'_>) -> bool {
        self.settled_ms.is_some_and(|since_ms| cx.now.since(since_ms) >= SETTLED_MS)
    }

    fn settles(&self, cx: &Cx<'_>) -> bool {
        !self.ledger.doses.iter().any(|dose| is_untold(cx, dose))
    }

    fn fault_of_schedule(&mut self, cx: &mut Cx<'_>) {
        let until = self.plan.covers_until;
        let has_run_out = until != 0 && self.clock.held(cx.now).is_some_and(|held| held > until);
        self.fault(cx, Part::Schedule, has_run_out || self.ledger.order_lost);
    }

    fn see_content(&mut self, cx: &mut Cx<'_>) {
        let Sight { index, content, .. } = self.sight;
        if !index && self.wheel.is_at_rest() && !self.wheel.must_count() {
            self.is_blind = content;
            self.fault(cx, Part::Content, content);
        }
        let out = self.ledger.current().map(|place| &self.ledger.doses[place]);
        let out = out.filter(|dose| matches!(dose.state, State::Out | State::Closing(_))).map(|dose| dose.compartment);
        let exposed = self.wheel.exposed(index);
        let watched = exposed.filter(|exposed| out == Some(*exposed) || self.ledger.locked(*exposed).is_some());
        match watched {
            Some(_) if content => self.gone = None,
            Some(compartment) => _ = self.gone.get_or_insert((cx.now.uptime_ms, compartment)),
            // Gone at the last look before the wall it stays gone.
            None => {}
        }
        let Some((_, compartment)) = self.gone.filter(|(_, of)| watched != Some(*of) || self.is_gone(cx)) else {
            return;
        };
        if let Some(place) = self.ledger.locked(compartment) {
            // Nobody asked for it: who took it in passing, nobody knows.
            self.end(cx, place, DoseOutcome::Unknown);
        } else if out != Some(compartment) {
            self.gone = None;
        }
    }

    /// On its way to another compartment, or cut or stuck there, the wheel has a locked dose at the open window: which.
    fn locked_at_window(&self) -> Option<usize> {
        self.ledger.locked(self.wheel.exposed(self.sight.index)?)
    }

    fn is_gone(&self, cx: &Cx<'_>) -> bool {
        self.gone.is_some_and(|(since_ms, _)| cx.now.since(since_ms) >= GONE_MS)
    }

    fn remind(&mut self, cx: &mut Cx<'_>, shown: crate::Shown) {
        if cx.now.since(self.reminded_ms) >= REMIND_MS {
            self.show(cx, shown);
        }
    }

    fn show(&mut self, cx: &mut Cx<'_>, shown: crate::Shown) {
        self.reminded_ms = cx.now.uptime_ms;
        cx.show(shown);
    }

    /// In how many milliseconds the next thing is due.
    fn next_ms(&self, cx: &Cx<'_>, at: Option<i64>) -> u64 {
        let until = |time: i64, at: i64| u64::try_from(time.saturating_sub(at)).unwrap_or(0);
        let Some(held) = at.or(self.clock.held(cx.now)) else { return LOOK_MS };
        if let Some(place) = self.ledger.current() {
            if self.setup.giving == Giving::AtOpening && self.ledger.doses[place].state == State::Due {
                return HAND_REST_MS;
            }
            let remind_ms = REMIND_MS.saturating_sub(cx.now.since(self.reminded_ms));
            return remind_ms.min(until(self.ledger.doses[place].closes_at, held));
        }
        let opens = self.plan.entries.iter().filter(|entry| {
            self.ledger.find(&entry.slot, entry.opens_at).is_none_or(|dose| dose.state == State::Withdrawn)
        });
        match opens.map(|entry| until(entry.opens_at, held)).min() {
            // It waits for the gateway to know what was given, or for the clock.
            Some(0) => 1_000,
            next => next.unwrap_or(LOOK_MS),
        }
    }
}

/// It may have been given out, and the gateway has not acknowledged that.
pub(super) fn is_untold(cx: &Cx<'_>, dose: &Dose) -> bool {
    dose.given_at != 0 && cx.outbox.identities().any(|(known, _)| known == dose.word)
}
