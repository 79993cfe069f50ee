//! The lock of a front door: a motor moves the bolt; a key outside and a handle inside do too, by hand.

use embedded_hal::digital::{InputPin, OutputPin};
use vaka_protocol::{Command, CommandMessage, Event, Label, Outcome};

use super::kept;
use super::opening::{Opening, Refusal};
use crate::Now;
use crate::contact::Debounce;
use crate::role::{Carried, Cx, Role};
use crate::told::Told;
use crate::trouble::Trouble;

/// The motor is on for no longer than this for one attempt, milliseconds. Longer: a stuck motor burns. Shorter: a cold
/// one does not make it. Source: our choice, twice the travel of a slow bolt.
pub const MOTOR_ON_MS_MAX: u64 = 4_000;

/// After the bolt's sensor lets go, the motor draws on for this long, milliseconds, until the bolt is in wholly.
/// Source: our choice, the travel of a slow bolt.
const RUN_ON_MS: u64 = 1_500;

/// How long the door must be shut and nobody's hand on the lock before the bolt is thrown, milliseconds. Source: our
/// choice.
const SHUT_MS: u64 = 1_000;

/// With a door that is shut, a free handle and a motor that works, the bolt is out this long after the time is over,
/// milliseconds.
pub const RELOCK_MS_MAX: u64 = SHUT_MS + MOTOR_ON_MS_MAX + 1_000;

/// How long a command may take before it is answered `failed`, milliseconds: somebody holds the handle, or the door
/// stands open. Source: our choice.
const ANSWER_MS_MAX: u64 = 10_000;

/// Between two attempts to lock, milliseconds: soon the first times, then so seldom that a battery lasts a week.
const RETRY_MS: u64 = 30_000;
const RETRY_LATER_MS: u64 = 600_000;
const RETRIES_SOON: u8 = 3;

/// A handle or key that is held this long is stuck, milliseconds. Source: our choice.
const HELD_MS: u64 = 120_000;

/// How long the bolt's and the door's sensors must rest, milliseconds. The bolt's is the shorter: a handle that draws
/// the bolt and opens the door in one go is not a forced door.
const BOLT_SETTLE_MS: u64 = 20;
const DOOR_SETTLE_MS: u64 = 50;

/// The pins of a lock: inputs high when it is so.
#[derive(Debug)]
pub struct LockPins<I, O> {
    /// The bolt is out: locked.
    pub bolt: I,
    /// The door stands open.
    pub door: I,
    /// The handle inside is pressed.
    pub handle: I,
    /// A key is turned in the cylinder.
    pub key: I,
    /// The case was opened.
    pub case: I,
    /// The motor throws the bolt.
    pub throw: O,
    /// The motor draws the bolt.
    pub draw: O,
}

/// What the lock is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Aim {
    /// Nothing: key and handle may do as they like.
    Rest,
    /// To draw the bolt.
    Open,
    /// To throw the bolt.
    Shut,
}

/// One attempt of the motor.
#[derive(Debug, Clone, Copy)]
struct Drive {
    on_ms: u64,
    looked_ms: u64,
    /// When the bolt's sensor let go.
    let_go_ms: Option<u64>,
}

/// A door's lock. What the motor opened it locks again; what a key or the handle opened it leaves to that person, so
/// that nobody who fetches the newspaper is locked out.
#[derive(Debug)]
pub struct Lock<I, O> {
    pins: LockPins<I, O>,
    bolt: Debounce,
    door: Debounce,
    case: Debounce,
    /// Locked, and by whom: what is told.
    state: Option<(bool, Option<Label>)>,
    told: Told<(bool, Option<Label>)>,
    opening: Option<Opening>,
    aim: Aim,
    drive: Option<Drive>,
    /// The command that is carried out, and since when.
    command: Option<(u64, u64)>,
    /// When the door was last open or a hand on the lock.
    busy_ms: u64,
    held_ms: Option<u64>,
    tries: u8,
    tried_ms: Option<u64>,
    motor: Trouble,
    sensor: Trouble,
    handle: Trouble,
}

impl<I: InputPin, O: OutputPin> Lock<I, O> {
    /// With its pins; the motor is off from here on.
    pub fn new(pins: LockPins<I, O>) -> Self {
        let mut lock = Self {
            pins,
            bolt: Debounce::new(BOLT_SETTLE_MS),
            door: Debounce::new(DOOR_SETTLE_MS),
            case: Debounce::new(DOOR_SETTLE_MS),
            state: None,
            told: Told::new(),
            opening: None,
            aim: Aim::Rest,
            drive: None,
            command: None,
            busy_ms: 0,
            held_ms: None,
            tries: 0,
            tried_ms: None,
            motor: Trouble::new("motor", kept::DRIVE),
            sensor: Trouble::new("bolt", kept::SENSOR),
            handle: Trouble::new("handle", kept::HANDLE),
        };
        lock.stop();
        lock
    }

    fn stop(&mut self) {
        // A pin that cannot be set shows as a bolt that does not move.
        let _ = self.pins.throw.set_low();
        let _ = self.pins.draw.set_low();
    }

    /// Reads the sensors. Returns whether a hand is on the lock.
    fn look(&mut self, cx: &mut Cx<'_>) -> bool {
        let uptime_ms = cx.now.uptime_ms;
        match self.pins.bolt.is_high() {
            Ok(is_out) => {
                self.bolt.sample(is_out, uptime_ms);
            }
            Err(_) => self.bolt.forget(),
        }
        let bolt_works = self.bolt.level().is_some() && !self.bolt.is_restless(uptime_ms);
        self.sensor.is(cx, bolt_works);
        let was_open = self.door.level();
        // A sensor that cannot be read is an open door: no bolt is thrown against it.
        let opens = self.door.sample(self.pins.door.is_high().unwrap_or(true), uptime_ms) == Some(true);
        if opens && was_open == Some(false) && self.bolt.level() == Some(true) {
            cx.tell(Event::Tamper {});
        }
        if self.case.sample(self.pins.case.is_high().unwrap_or(true), uptime_ms) == Some(true) {
            cx.tell(Event::Tamper {});
        }
        let is_held = self.pins.handle.is_high().unwrap_or(true) || self.pins.key.is_high().unwrap_or(true);
        if is_held {
            self.held_ms.get_or_insert(uptime_ms);
        } else {
            self.held_ms = None;
        }
        let is_stuck = self.held_ms.is_some_and(|held_ms| cx.now.since(held_ms) >= HELD_MS);
        self.handle.is(cx, !is_stuck);
        if is_held || self.door.level() != Some(false) {
            self.busy_ms = uptime_ms;
        }
        // A sensor that counts as stuck is no hand: whoever answers an alarm must get in.
        is_held && !is_stuck
    }

    /// What the bolt shows becomes what is told.
    fn tell(&mut self, cx: &mut Cx<'_>) {
        if let Some(locked) = self.bolt.level()
            && self.state.as_ref().is_none_or(|(before, _)| *before != locked)
        {
            let is_first = self.state.is_none();
            let is_own = match self.aim {
                Aim::Open => !locked,
                Aim::Shut if locked => true,
                // After a boot: open since before it.
                Aim::Shut | Aim::Rest => is_first && !locked,
            };
            let by = self.opening.as_ref().filter(|_| is_own).and_then(Opening::who);
            self.state = Some((locked, by));
        }
        if let Some((locked, by)) = self.state.clone() {
            self.told.is(cx, (locked, by.clone()), || Event::Lock { locked, by });
        }
    }

    fn answer(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if let Some((id, _)) = self.command.take() {
            cx.done(id, outcome);
        }
    }

    /// Does what the lock is about, if nobody's hand is in the way.
    fn work(&mut self, cx: &mut Cx<'_>, is_held: bool) {
        if let Some(opening) = &self.opening
            && self.aim != Aim::Shut
            && opening.is_over(cx.now)
        {
            // Still being opened: too late.
            self.answer(cx, Outcome::Failed);
            self.shut();
        }
        let is_out = self.bolt.level() == Some(true);
        match self.aim {
            Aim::Rest => {}
            Aim::Open if self.drive.is_none() && !is_out && self.bolt.level().is_some() => self.opened(cx),
            Aim::Open => self.draw(cx, is_held),
            Aim::Shut if is_out => self.locked(cx),
            Aim::Shut => self.throw(cx),
        }
        if self.command.is_some_and(|(_, since_ms)| cx.now.since(since_ms) >= ANSWER_MS_MAX) {
            self.answer(cx, Outcome::Failed);
            if self.aim == Aim::Open {
                self.shut();
            }
        }
    }

    fn shut(&mut self) {
        self.stop();
        (self.aim, self.drive, self.tries, self.tried_ms) = (Aim::Shut, None, 0, None);
    }

    fn opened(&mut self, cx: &mut Cx<'_>) {
        self.stop();
        (self.aim, self.drive) = (Aim::Rest, None);
        // Also when it stood open already: now it is open for this person.
        if self.bolt.level() == Some(false) {
            self.state = Some((false, self.opening.as_ref().and_then(Opening::who)));
        }
        self.answer(cx, Outcome::Done);
    }

    fn locked(&mut self, cx: &mut Cx<'_>) {
        self.stop();
        if self.drive.take().is_some() {
            self.motor.tell(cx, true);
        }
        self.tell(cx);
        (self.aim, self.opening) = (Aim::Rest, None);
        // Not removed: after a boot it is found locked and removed then.
        let _ = cx.remove(kept::OPENING);
        self.answer(cx, Outcome::Done);
    }

    fn draw(&mut self, cx: &mut Cx<'_>, is_held: bool) {
        if is_held {
            // The hand opens, or the answer's time runs out.
            self.stop();
            self.drive = None;
            return;
        }
        let Some(drive) = self.on(cx.now) else { return self.failed(cx) };
        if self.bolt.level() == Some(false) {
            let let_go_ms = *self.drive.get_or_insert(drive).let_go_ms.get_or_insert(cx.now.uptime_ms);
            if cx.now.since(let_go_ms) >= RUN_ON_MS {
                self.motor.tell(cx, true);
                return self.opened(cx);
            }
        }
        let _ = self.pins.throw.set_low();
        let _ = self.pins.draw.set_high();
    }

    fn throw(&mut self, cx: &mut Cx<'_>) {
        if cx.now.since(self.busy_ms) < SHUT_MS {
            self.stop();
            // A hand on the door is a new situation: what was tried before it counts no longer.
            (self.drive, self.tries, self.tried_ms) = (None, 0, None);
            return;
        }
        let pause_ms = if self.tries < RETRIES_SOON { RETRY_MS } else { RETRY_LATER_MS };
        if self.tried_ms.is_some_and(|tried_ms| cx.now.since(tried_ms) < pause_ms) {
            return;
        }
        if self.on(cx.now).is_none() {
            return self.failed(cx);
        }
        let _ = self.pins.draw.set_low();
        let _ = self.pins.throw.set_high();
    }

    /// The motor is on: for how long. `None`: for too long.
    fn on(&mut self, now: Now) -> Option<Drive> {
        let start = Drive { on_ms: 0, looked_ms: now.uptime_ms, let_go_ms: None };
        let drive = self.drive.get_or_insert(start);
        drive.on_ms += now.since(drive.looked_ms);
        drive.looked_ms = now.uptime_ms;
        Some(*drive).filter(|drive| drive.on_ms < MOTOR_ON_MS_MAX)
    }

    /// The bolt did not come: it is told once, and the door is to stay locked.
    fn failed(&mut self, cx: &mut Cx<'_>) {
        self.stop();
        self.drive = None;
        self.motor.tell(cx, false);
        self.answer(cx, Outcome::Failed);
        if self.aim == Aim::Open {
            self.shut();
        } else {
            self.tries = self.tries.saturating_add(1);
            self.tried_ms = Some(cx.now.uptime_ms);
        }
    }
}

impl<I: InputPin, O: OutputPin> Role for Lock<I, O> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        [&mut self.motor, &mut self.sensor, &mut self.handle].into_iter().for_each(|trouble| trouble.start(cx));
        self.busy_ms = cx.now.uptime_ms;
        self.opening = Opening::take_up(cx);
    }

    fn is_busy(&self) -> bool {
        self.drive.is_some() || self.command.is_some()
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let is_held = self.look(cx);
        self.tell(cx);
        self.work(cx, is_held);
        self.tell(cx);
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        let Command::Lock { open, until, by } = &message.command else { return Carried::NotMine };
        let opening = if *open {
            match Opening::new(by, *until, cx.now) {
                Ok(opening) => opening,
                Err(Refusal::Refused) => return Carried::Done(Outcome::Refused),
                Err(Refusal::Expired) => return Carried::Done(Outcome::Expired),
            }
        } else {
            Opening::over(by.clone(), cx.now)
        };
        // A bolt that is not seen is opened for nobody; and what is not kept would stay open over a power cut. To lock is
        // tried in any case.
        if *open && self.bolt.level().is_none() {
            return Carried::Done(Outcome::Failed);
        }
        let is_kept = opening.keep(cx);
        if *open && !is_kept {
            return Carried::Done(Outcome::Failed);
        }
        // Another order came in between.
        self.answer(cx, Outcome::Failed);
        self.shut();
        if *open {
            self.aim = Aim::Open;
        }
        self.opening = Some(opening);
        self.command = Some((message.id, cx.now.uptime_ms));
        Carried::Underway
    }

    fn rest_ms(&self, now: Now) -> u64 {
        const DRIVING_MS: u64 = 10;
        const WAITING_MS: u64 = 100;
        // Not a minute as for a sensor: a door must lock though an interrupt is lost.
        const RESTING_MS: u64 = 1_000;
        let work = match (&self.aim, &self.drive) {
            (_, Some(_)) | (Aim::Open, None) => DRIVING_MS,
            (Aim::Shut, None) => WAITING_MS,
            (Aim::Rest, None) => RESTING_MS,
        };
        let open = self.opening.as_ref().map_or(u64::MAX, |opening| opening.rest_ms(now));
        let contacts = self.bolt.rest_ms().min(self.door.rest_ms()).min(self.case.rest_ms());
        work.min(open).min(contacts).min(self.told.rest_ms(now))
    }
}
