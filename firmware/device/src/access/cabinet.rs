//! A cabinet for medicine or keys: a spring throws the latch, a coil draws it. Without power it is locked.

use embedded_hal::digital::{InputPin, OutputPin};
use vaka_protocol::{Command, CommandMessage, Event, Label, Light, Outcome, Sound};

use super::kept;
use super::opening::{Opening, Refusal};
use crate::Now;
use crate::contact::Debounce;
use crate::role::{Carried, Cx, Role};
use crate::told::Told;
use crate::trouble::Trouble;

/// How long the coil holds the latch at most, milliseconds: to pull the door. Longer: it becomes hot. Source: our choice.
pub const RELEASE_MS: u64 = 10_000;

/// The latch lets go within this time, or never, milliseconds. Source: our choice.
const LET_GO_MS: u64 = 1_000;

/// How long latch and door must rest, milliseconds. The latch's is the shorter.
const LATCH_SETTLE_MS: u64 = 20;
const DOOR_SETTLE_MS: u64 = 50;

/// After the coil is off, whoever opens within this time is the one who was let in, milliseconds: the latch needs to catch,
/// and the door's sensor to rest. Source: our choice, above the travel of a slow latch.
const CATCH_MS: u64 = 2_000;

/// A key is turned back before the door is seen open; it counts for this long, milliseconds. Source: our choice.
const KEY_MS: u64 = 10_000;

/// The pins of a cabinet: inputs high when it is so.
#[derive(Debug)]
pub struct CabinetPins<I, O> {
    /// The latch holds.
    pub latch: I,
    /// The door stands open.
    pub door: I,
    /// A key is turned in the cylinder.
    pub key: I,
    /// The case was opened.
    pub case: I,
    /// The coil draws the latch.
    pub release: O,
}

/// A cabinet.
#[derive(Debug)]
pub struct Cabinet<I, O> {
    pins: CabinetPins<I, O>,
    latch: Debounce,
    door: Debounce,
    case: Debounce,
    /// Open, and for whom: what is told.
    state: Option<(bool, Option<Label>)>,
    told: Told<(bool, Option<Label>)>,
    opening: Option<Opening>,
    /// The coil is fed since, milliseconds since boot.
    released_ms: Option<u64>,
    /// The opening is over and the latch about to catch, since.
    ended_ms: Option<u64>,
    command: Option<u64>,
    key_ms: Option<u64>,
    is_warned: bool,
    coil: Trouble,
    spring: Trouble,
}

impl<I: InputPin, O: OutputPin> Cabinet<I, O> {
    /// With its pins; the coil is off from here on.
    pub fn new(pins: CabinetPins<I, O>) -> Self {
        let mut cabinet = Self {
            pins,
            latch: Debounce::new(LATCH_SETTLE_MS),
            door: Debounce::new(DOOR_SETTLE_MS),
            case: Debounce::new(DOOR_SETTLE_MS),
            state: None,
            told: Told::new(),
            opening: None,
            released_ms: None,
            ended_ms: None,
            command: None,
            key_ms: None,
            is_warned: false,
            coil: Trouble::new("coil", kept::DRIVE),
            spring: Trouble::new("latch", kept::SENSOR),
        };
        cabinet.hold();
        cabinet
    }

    /// The spring has it.
    fn hold(&mut self) {
        // A pin that cannot be set shows as a latch that does not hold.
        let _ = self.pins.release.set_low();
        self.released_ms = None;
    }

    fn answer(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if let Some(id) = self.command.take() {
            cx.done(id, outcome);
        }
    }

    fn end(&mut self, now: Now) {
        self.hold();
        self.ended_ms = self.ended_ms.or(Some(now.uptime_ms));
    }

    /// The latch has caught: nobody is let in any longer.
    fn caught(&mut self, cx: &mut Cx<'_>) {
        self.ended_ms = None;
        if self.opening.take().is_some() {
            // Not removed: after a boot it is found shut and removed then.
            let _ = cx.remove(kept::OPENING);
        }
    }

    fn look(&mut self, cx: &mut Cx<'_>) {
        let uptime_ms = cx.now.uptime_ms;
        // What cannot be read does not hold, and stands open.
        self.latch.sample(self.pins.latch.is_high().unwrap_or(false), uptime_ms);
        self.door.sample(self.pins.door.is_high().unwrap_or(true), uptime_ms);
        if self.case.sample(self.pins.case.is_high().unwrap_or(true), uptime_ms) == Some(true) {
            cx.tell(Event::Tamper {});
        }
        if self.pins.key.is_high().unwrap_or(false) {
            self.key_ms = Some(uptime_ms);
        }
    }

    /// Door and who becomes what is told.
    fn tell(&mut self, cx: &mut Cx<'_>) {
        let Some(is_open) = self.door.level() else { return };
        let before = self.state.as_ref().map(|(is_open, _)| *is_open);
        if before != Some(is_open) {
            let by = self.opening.as_ref().and_then(Opening::who);
            let has_key = self.key_ms.is_some_and(|key_ms| cx.now.since(key_ms) <= KEY_MS);
            if before == Some(false) && is_open && by.is_none() && !has_key {
                cx.tell(Event::Tamper {});
            }
            // Shut again: for the one for whom it was open.
            let by = if is_open { by } else { self.state.take().and_then(|(_, by)| by) };
            self.state = Some((is_open, by));
            if is_open {
                self.ended_ms = None;
            }
            // Found shut after a boot while it is just being released: that one goes on.
            if !is_open && (before.is_some() || self.released_ms.is_none()) {
                self.end(cx.now);
            }
        }
        if let Some((open, by)) = self.state.clone() {
            self.told.is(cx, (open, by.clone()), || Event::Cabinet { open, by });
        }
    }

    fn work(&mut self, cx: &mut Cx<'_>) {
        if self.ended_ms.is_some_and(|ended_ms| cx.now.since(ended_ms) >= CATCH_MS) {
            self.caught(cx);
        }
        let is_open = self.door.level() == Some(true);
        let is_over = self.opening.as_ref().is_some_and(|opening| opening.is_over(cx.now));
        if let Some(released_ms) = self.released_ms {
            let on_ms = cx.now.since(released_ms);
            if is_open || self.latch.level() == Some(false) {
                self.coil.tell(cx, true);
                self.answer(cx, Outcome::Done);
            } else if on_ms >= LET_GO_MS {
                self.coil.tell(cx, false);
                self.answer(cx, Outcome::Failed);
                return self.end(cx.now);
            }
            if is_open {
                self.hold();
            } else if on_ms >= RELEASE_MS || is_over {
                self.answer(cx, Outcome::Failed);
                self.end(cx.now);
            }
        } else if let (Some(false), Some(holds)) = (self.door.level(), self.latch.level()) {
            self.spring.is(cx, holds);
        }
        if is_open && is_over && !self.is_warned {
            self.is_warned = true;
            cx.signal(Light::Flash, Sound::Warn);
        } else if !is_open && self.is_warned {
            self.is_warned = false;
            cx.signal(Light::Off, Sound::Off);
        }
    }
}

impl<I: InputPin, O: OutputPin> Role for Cabinet<I, O> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.coil.start(cx);
        self.spring.start(cx);
        // For whom it stands open. The coil stays off: a command opens once.
        self.opening = Opening::take_up(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        self.look(cx);
        self.tell(cx);
        self.work(cx);
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        let Command::Lock { open, until, by } = &message.command else { return Carried::NotMine };
        if !*open {
            self.answer(cx, Outcome::Failed);
            let is_open = self.door.level() != Some(false);
            if is_open {
                // Only a hand can shut it.
                self.hold();
                return Carried::Done(Outcome::Failed);
            }
            self.end(cx.now);
            return Carried::Done(Outcome::Done);
        }
        let opening = match Opening::new(by, *until, cx.now) {
            Ok(opening) => opening,
            Err(Refusal::Refused) => return Carried::Done(Outcome::Refused),
            Err(Refusal::Expired) => return Carried::Done(Outcome::Expired),
        };
        if !opening.keep(cx) {
            return Carried::Done(Outcome::Failed);
        }
        self.answer(cx, Outcome::Failed);
        self.ended_ms = None;
        if self.door.level() == Some(true) {
            // It stands open: from now on for this person.
            self.state = Some((true, opening.who()));
            self.opening = Some(opening);
            return Carried::Done(Outcome::Done);
        }
        self.opening = Some(opening);
        self.command = Some(message.id);
        // One who is let in after another does not heat the coil for longer.
        self.released_ms = self.released_ms.or(Some(cx.now.uptime_ms));
        let _ = self.pins.release.set_high();
        Carried::Underway
    }

    fn rest_ms(&self, now: Now) -> u64 {
        const RELEASED_MS: u64 = 10;
        const RESTING_MS: u64 = 1_000;
        let work = if self.released_ms.is_some() || self.ended_ms.is_some() { RELEASED_MS } else { RESTING_MS };
        let contacts = self.latch.rest_ms().min(self.door.rest_ms()).min(self.case.rest_ms());
        work.min(contacts).min(self.told.rest_ms(now)).min(self.spring.rest_ms(now))
    }
}
