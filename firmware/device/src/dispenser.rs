//! The medicine dispenser: each dose of the schedule at its time, once, or a person is told.
//!
//! Enters: the schedule, the time, the carousel's sensors, what hands do. Leaves: `dose`, `stock`, `tamper`, `fault`; the
//! motor. Invariants: before the motor turns for a dose it is kept that it may have been given, and such a dose is never
//! given again; every dose of the schedule gets one outcome, whatever happens to the power, and a second, `unknown`, only
//! where it was told to be locked inside and is gone; no dose opens without a trusted clock; what lay open without power and
//! is gone is `unknown`, never `missed`. Absent: what lies in a compartment and who may take it; a dose brought forward, for
//! which the protocol has no command.
//!
//! The way of a dose: its time comes ([`State::Due`]: light, sound, `reminded`); the resident presses ([`State::Turning`],
//! kept, then the motor); it lies open ([`State::Out`], `dispensed`); the content sensor sees it go (`taken`). It is not
//! turned out by itself: nothing lies open where nobody is, and a dose that nobody asked for is provably still inside.

mod asked;
mod bytes;
mod clock;
mod doses;
mod hands;
mod ledger;
mod lines;
mod plan;
mod wheel;
mod words;

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal::i2c::I2c;
use vaka_protocol::{Command, CommandMessage, DoseOutcome, Event, Light, Outcome, Sound};

pub use clock::{LOOK_MS, SET_MS_MIN};
pub use hands::{REFUSE_HOLD_MS, STEADY_MS};
pub use ledger::{DOSES_MAX, Dose, Ledger, State};
pub use lines::Lines;
pub use plan::{Entry, Plan, REACH_MS};
pub use wheel::{CENTRE_MS, COMPARTMENTS_MAX, COUNT_EDGE_MS_MAX, Came, Drive, EDGE_MS_MAX, Sight, Wheel};

use crate::keep::VALUE_BYTES_MAX;
use crate::part::rtc::Pcf8563;
use crate::role::{Carried, Cx, Role};
use crate::{Identity, Now};
use clock::Clock;
use hands::Contact;

/// A dose that waits is reminded of so often, in milliseconds. Source: our choice: an alarm that rings on and on is switched
/// off at the wall.
pub const REMIND_MS: u64 = 5 * 60 * 1_000;

/// What lay at the window counts as gone when it is not seen for so long, in milliseconds. Longer: it would still be seen
/// as it is closed away, which takes 250 ms to the wall.
pub const GONE_MS: u64 = 100;

/// What it was filled with is of the doses from then on; a schedule that first comes later may leave out some of them, in
/// milliseconds. Longer: one of them may have opened and closed. Shorter: whoever fills it first and then pairs it fills it twice.
const FILLED_MS: i64 = 10 * 60 * 1_000;

/// Between two looks while the motor runs, in milliseconds: 2 % of a step.
const RUNNING_REST_MS: u64 = 5;

/// Between two looks while a contact bounces, a button is held or the lid is open, in milliseconds: by hand a compartment
/// passes the window in 100.
const HAND_REST_MS: u64 = 10;

const PLAN: u16 = 0;
const LEDGER: u16 = 1;
const WHEEL: u16 = 2;
const TOLD: u16 = 3;

/// When the compartment turns to the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Giving {
    /// When the resident presses the button.
    #[default]
    OnPress,
    /// When the dose opens: for whom a button is one thing too many.
    AtOpening,
}

/// How it is built and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// 1 to [`COMPARTMENTS_MAX`].
    pub compartments: u8,
    /// When the compartment turns to the window.
    pub giving: Giving,
}

impl Default for Setup {
    fn default() -> Self {
        Self { compartments: COMPARTMENTS_MAX, giving: Giving::OnPress }
    }
}

/// A part that does not work, by its bit in what was told.
#[derive(Debug, Clone, Copy)]
enum Part {
    Clock = 1,
    Carousel = 2,
    Schedule = 4,
    Content = 8,
    Flash = 16,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Part::Clock => "clock",
            Part::Carousel => "carousel",
            Part::Schedule => "schedule",
            Part::Content => "content",
            Part::Flash => "flash",
        }
    }
}

/// The role. `I`, `O`: its pins; `B`: the bus of its clock chip.
#[derive(Debug)]
pub struct Dispenser<I, O, B> {
    setup: Setup,
    lines: Lines<I, O>,
    clock: Clock<B>,
    wheel: Wheel,
    drive: Drive,
    sight: Sight,
    plan: Plan,
    ledger: Ledger,
    lid: Contact,
    key: Contact,
    give: Contact,
    refuse: Contact,
    /// Faults that were told, and for how many days the last told stock lasts.
    told: (u8, u16),
    /// When it was reminded of last, milliseconds since boot.
    reminded_ms: u64,
    /// What lay in that compartment (from 1) at the window is not seen since then.
    gone: Option<(u64, u8)>,
    /// Nothing that was given out is unknown to the gateway since then.
    settled_ms: Option<u64>,
    /// The content sensor shows something where nothing can be.
    is_blind: bool,
    /// Until something is due, as of the last look, in milliseconds.
    due_ms: u64,
}

impl<I: InputPin, O: OutputPin, B: I2c> Dispenser<I, O, B> {
    /// A dispenser of these parts.
    pub fn new(lines: Lines<I, O>, chip: Pcf8563<B>, setup: Setup) -> Self {
        Self {
            setup,
            lines,
            clock: Clock::new(chip),
            wheel: Wheel::new(setup.compartments),
            drive: Drive::Still,
            sight: Sight::default(),
            plan: Plan::default(),
            ledger: Ledger::default(),
            lid: Contact::default(),
            key: Contact::default(),
            give: Contact::default(),
            refuse: Contact::default(),
            told: (0, u16::MAX),
            reminded_ms: 0,
            gone: None,
            settled_ms: None,
            is_blind: false,
            due_ms: 0,
        }
    }

    /// What became of the doses.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The doses to come.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where the carousel stands.
    pub fn wheel(&self) -> &Wheel {
        &self.wheel
    }

    fn keep(&mut self, cx: &mut Cx<'_>, number: u16) -> bool {
        let kept = match number {
            PLAN => cx.write(PLAN, &self.plan.bytes()),
            LEDGER => cx.write(LEDGER, &self.ledger.bytes()),
            WHEEL => cx.write(WHEEL, &self.wheel.bytes()),
            _ => cx.write(TOLD, &[self.told.0, self.told.1.to_le_bytes()[0], self.told.1.to_le_bytes()[1]]),
        };
        if number != TOLD {
            self.fault(cx, Part::Flash, kept.is_err());
        }
        kept.is_ok()
    }

    /// Tells a fault when it comes and when it goes.
    fn fault(&mut self, cx: &mut Cx<'_>, part: Part, is_active: bool) {
        let bit = part as u8;
        if (self.told.0 & bit != 0) != is_active {
            self.told.0 ^= bit;
            cx.tell(Event::Fault { part: part.as_str().into(), active: is_active });
            self.keep(cx, TOLD);
        }
    }

    /// Takes up what was kept. What cannot be read is as if a person had worked in it, and no dose of it is given.
    fn take_up(&mut self, cx: &mut Cx<'_>) {
        let mut buffer = [0; VALUE_BYTES_MAX];
        let index = self.sight.index;
        let read = |cx: &mut Cx<'_>, number, buffer: &mut [u8; VALUE_BYTES_MAX]| match cx.read(number, buffer) {
            Ok(read) => Ok(read.map(<[u8]>::len)),
            Err(fault) => Err(fault),
        };
        let mut is_damaged = false;
        if let Ok(Some(3)) = read(cx, TOLD, &mut buffer) {
            self.told = (buffer[0], u16::from_le_bytes([buffer[1], buffer[2]]));
        }
        match read(cx, PLAN, &mut buffer).map(|length| length.map(|length| Plan::read(&buffer[..length]))) {
            Ok(None) => {}
            Ok(Some(Some(plan))) => self.plan = plan,
            _ => is_damaged = true,
        }
        match read(cx, LEDGER, &mut buffer).map(|length| length.map(|length| Ledger::read(&buffer[..length]))) {
            // A ledger is kept before the first schedule: none with a schedule is a lost one.
            Ok(None) if self.plan.covers_until == 0 => {}
            Ok(Some(Some(ledger))) => self.ledger = ledger,
            _ => {
                is_damaged = true;
                let known = self.plan.entries.iter().map(|entry| entry.opens_at).max();
                self.ledger.forgotten_upto = known.unwrap_or(0);
                self.wheel.hands();
            }
        }
        let setup = self.setup.compartments;
        match read(cx, WHEEL, &mut buffer)
            .map(|length| length.map(|length| Wheel::read(setup, &buffer[..length], index)))
        {
            Ok(None) => {}
            Ok(Some(Some(wheel))) if !is_damaged => self.wheel = wheel,
            _ => is_damaged = true,
        }
        if is_damaged {
            self.wheel.hands();
            self.keep(cx, LEDGER);
            self.keep(cx, WHEEL);
            self.fault(cx, Part::Flash, true);
        }
    }

    fn hands(&mut self, cx: &mut Cx<'_>, levels: lines::Levels) -> bool {
        let now_ms = cx.now.uptime_ms;
        let is_opened = self.lid.rose(levels.lid, now_ms);
        if self.key.rose(levels.key, now_ms) {
            self.wheel.hands();
            self.keep(cx, WHEEL);
            self.in_hands(cx);
        }
        if is_opened && !levels.key {
            cx.tell(Event::Tamper {});
        }
        let is_in_hands = levels.lid || levels.key || self.lid.is_high() || self.key.is_high();
        if is_in_hands && !self.wheel.is_at_rest() {
            self.wheel.halt(self.sight.index);
        }
        is_in_hands
    }

    fn turn(&mut self, cx: &mut Cx<'_>) {
        let now_ms = cx.now.uptime_ms;
        if self.wheel.must_count() && self.wheel.is_at_rest() {
            self.wheel.send_count(self.sight, now_ms);
        }
        match self.wheel.pass(self.sight, now_ms) {
            Came::Nothing | Came::Arrived => {}
            Came::ToKeep if self.keep(cx, WHEEL) => self.wheel.go(now_ms),
            Came::ToKeep => {
                self.wheel.fail();
                self.is_stuck(cx);
            }
            Came::Stuck => self.is_stuck(cx),
            Came::Counted(full) => {
                // First what it holds, then that it was counted: cut in between, it is counted again.
                self.ledger.fill(full);
                self.plan.entries.iter_mut().for_each(|entry| entry.compartment = 0);
                if let Some(at) = self.clock.held(cx.now).filter(|_| full != 0) {
                    self.plan.covers_until = self.plan.covers_until.max(at.saturating_add(FILLED_MS));
                }
                let is_kept = self.keep(cx, LEDGER) && self.keep(cx, PLAN) && self.keep(cx, WHEEL);
                if !is_kept {
                    self.wheel.hands();
                }
                self.fault(cx, Part::Carousel, false);
            }
        }
    }

    fn is_stuck(&mut self, cx: &mut Cx<'_>) {
        self.drive = Drive::Still;
        self.lines.drive(Drive::Still);
        self.keep(cx, WHEEL);
        self.fault(cx, Part::Carousel, true);
        self.jammed(cx);
    }

    fn run_motor(&mut self, cx: &mut Cx<'_>, is_in_hands: bool) {
        let drive = if is_in_hands { Drive::Still } else { self.wheel.drive() };
        if drive != self.drive {
            self.drive = drive;
            if !self.lines.drive(drive) {
                self.wheel.fail();
                self.is_stuck(cx);
            }
        }
    }

    fn stock(&mut self, cx: &mut Cx<'_>) {
        let days_left = self.ledger.left() / self.plan.doses_a_day();
        if !self.wheel.must_count() && days_left != self.told.1 {
            self.told.1 = days_left;
            cx.tell(Event::Stock { days_left });
            self.keep(cx, TOLD);
        }
    }
}

impl<I: InputPin, O: OutputPin, B: I2c> Role for Dispenser<I, O, B> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.lines.drive(Drive::Still);
        self.sight = self.lines.sight();
        let at = self.clock.at(cx.now);
        cx.now.at = cx.now.at.or(at);
        self.take_up(cx);
        self.tell_again(cx);
        self.after_cut(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let at = self.clock.at(cx.now);
        cx.now.at = cx.now.at.or(at);
        self.fault(cx, Part::Clock, !self.clock.is_trusted());
        let levels = self.lines.levels();
        self.sight = self.lines.sight();
        let is_in_hands = self.hands(cx, levels);
        // Nothing turns in hands; but hands can turn it.
        if !is_in_hands || self.wheel.is_at_rest() && !self.wheel.must_count() {
            self.turn(cx);
        }
        self.doses(cx, at, is_in_hands, levels);
        self.run_motor(cx, is_in_hands);
        self.stock(cx);
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        match &message.command {
            Command::Schedule { slots } => {
                let outcome = self.schedule(slots, cx);
                self.due_ms = 0;
                Carried::Done(outcome)
            }
            // The light is the waiting dose's; without one it would blink for nothing.
            Command::Reminder { text } => {
                let light = self.ledger.current().map(|_| Light::Blink);
                cx.panel.show(light, Some(Sound::Chime), Some(text.as_str()), cx.now);
                Carried::Done(Outcome::Done)
            }
            _ => Carried::NotMine,
        }
    }

    fn is_busy(&self) -> bool {
        !self.wheel.is_at_rest() || self.ledger.current().is_some()
    }

    fn at(&self, now: Now) -> Option<i64> {
        self.clock.held(now).filter(|_| self.clock.is_trusted())
    }

    fn is_moving(&self) -> bool {
        self.drive != Drive::Still || !self.wheel.is_at_rest()
    }

    fn rest_ms(&self, _now: Now) -> u64 {
        let is_to_count = self.wheel.must_count() && !self.lid.is_high() && !self.key.is_high();
        if self.drive != Drive::Still || !self.wheel.is_at_rest() || is_to_count {
            return RUNNING_REST_MS;
        }
        let contacts = [&self.lid, &self.key, &self.give, &self.refuse];
        let is_watched = self.refuse.is_high() || self.lid.is_high() || self.gone.is_some();
        if is_watched || contacts.iter().any(|contact| contact.is_changing()) {
            return HAND_REST_MS;
        }
        self.due_ms.clamp(1, LOOK_MS)
    }
}
