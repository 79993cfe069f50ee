//! A home with a dispenser: the device's code, the models of its parts, a power plug, a gateway that listens, and hands.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use vaka_device::dispenser::{Dispenser, Lines, Setup};
use vaka_device::part::rtc::Pcf8563;
use vaka_device::{Boot, Device, Fault, Keep, Key, Now};
use vaka_parts::carousel::{Carousel, Line, Pin};
use vaka_parts::rtc::{Bus, Pcf8563 as Chip};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{
    Command, CommandMessage, DoseOutcome, Event, EventMessage, Outcome, Slot, StartCause, decode_event,
    encode_command_cbor,
};

use crate::bench::Display;

pub const S: u64 = 1_000;
pub const MIN: u64 = 60 * S;
pub const HOUR: u64 = 60 * MIN;
pub const DAY: u64 = 24 * HOUR;

/// 2026-11-23T00:00:00Z.
pub const START: i64 = 1_795_392_000_000;

/// A flash on the same plug as the motor.
pub struct Memory {
    values: Rc<RefCell<BTreeMap<Key, Vec<u8>>>>,
    carousel: &'static RefCell<Carousel>,
}

impl Memory {
    fn operate(&self) -> Result<(), Fault> {
        self.carousel.borrow_mut().operate().then_some(()).ok_or(Fault::Flash)
    }
}

impl Keep for Memory {
    fn read<'b>(&mut self, key: Key, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault> {
        self.operate()?;
        Ok(self.values.borrow().get(&key).map(|value| {
            buffer[..value.len()].copy_from_slice(value);
            &buffer[..value.len()]
        }))
    }

    fn write(&mut self, key: Key, value: &[u8]) -> Result<(), Fault> {
        self.operate()?;
        assert!(value.len() <= MESSAGE_BYTES_MAX, "{key:#x} has {} bytes", value.len());
        self.values.borrow_mut().insert(key, value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Result<(), Fault> {
        self.operate()?;
        self.values.borrow_mut().remove(&key);
        Ok(())
    }

    fn each(&mut self, of: Range<Key>, found: &mut dyn FnMut(Key, &[u8])) -> Result<(), Fault> {
        self.operate()?;
        self.values.borrow().range(of).for_each(|(key, value)| found(*key, value));
        Ok(())
    }
}

type Machine = Device<Memory, Dispenser<Pin<'static>, Pin<'static>, Bus<'static>>, Display>;

pub struct Home {
    pub carousel: &'static RefCell<Carousel>,
    pub chip: &'static RefCell<Chip>,
    pub values: Rc<RefCell<BTreeMap<Key, Vec<u8>>>>,
    pub setup: Setup,
    pub device: Option<Machine>,
    /// The true time, UTC milliseconds.
    pub at: i64,
    /// How far the board's idea of it is off; what it takes from the gateway.
    pub board_error: i64,
    uptime_ms: u64,
    /// The board has heard the time since its boot.
    has_time: bool,
    /// The gateway does not tell the time.
    pub never_told: bool,
    pub online: bool,
    /// All that the gateway has, as it came.
    pub heard: Vec<EventMessage>,
    commands: u64,
    /// How long a boot takes after a cut, milliseconds.
    pub dark_ms: u64,
    pub cuts: u32,
    /// What the resident took: compartment and when.
    pub taken: Vec<(usize, i64)>,
}

impl Home {
    /// A filled dispenser that has counted itself, at 2026-11-23T00:00Z, online.
    pub fn new(setup: Setup, full: usize) -> Self {
        let carousel: &'static RefCell<Carousel> = Box::leak(Box::new(RefCell::new(Carousel::new())));
        carousel.borrow_mut().fill(full);
        let mut home = Home {
            carousel,
            chip: Box::leak(Box::new(RefCell::new(Chip::new()))),
            values: Rc::default(),
            setup,
            device: None,
            at: START - 2 * MIN as i64,
            board_error: 0,
            uptime_ms: 0,
            has_time: true,
            never_told: false,
            online: true,
            heard: Vec::new(),
            commands: 0,
            dark_ms: 3 * S,
            cuts: 0,
            taken: Vec::new(),
        };
        home.boot();
        home.has_time = true;
        home.run(2 * MIN);
        assert_eq!(home.at, START);
        home
    }

    /// The same home once more, from here on by itself; the device boots anew in it.
    pub fn fork(&self) -> Self {
        let mut home = Home {
            carousel: Box::leak(Box::new(RefCell::new(self.carousel.borrow().clone()))),
            chip: Box::leak(Box::new(RefCell::new(self.chip.borrow().clone()))),
            values: Rc::new(RefCell::new(self.values.borrow().clone())),
            device: None,
            heard: self.heard.clone(),
            taken: self.taken.clone(),
            ..*self
        };
        home.boot();
        home
    }

    pub fn now(&self) -> Now {
        Now { uptime_ms: self.uptime_ms, at: self.has_time.then_some(self.at + self.board_error) }
    }

    fn boot(&mut self) {
        self.carousel.borrow_mut().cut_after(Some(0));
        self.carousel.borrow_mut().cut_after(None);
        let pin = |line| Pin(self.carousel, line);
        let lines = Lines {
            run: pin(Line::Run),
            back: pin(Line::Back),
            index: pin(Line::Index),
            home: pin(Line::Home),
            content: pin(Line::Content),
            lid: pin(Line::Lid),
            key: pin(Line::Key),
            give: pin(Line::Give),
            refuse: pin(Line::Refuse),
        };
        self.uptime_ms = 0;
        self.has_time = false;
        let role = Dispenser::new(lines, Pcf8563::new(Bus(self.chip)), self.setup);
        let memory = Memory { values: self.values.clone(), carousel: self.carousel };
        let boot = Boot { room: 64, chance: self.cuts, cause: StartCause::Power, version: "0" };
        self.device = Some(Device::boot(memory, role, Display::default(), boot, self.now()));
    }

    pub fn machine(&mut self) -> &mut Machine {
        self.device.as_mut().expect("it has power")
    }

    /// The plug is pulled for so long.
    pub fn dark(&mut self, ms: u64) {
        self.device = None;
        self.cuts += 1;
        self.carousel.borrow_mut().cut_after(Some(0));
        self.pass_time(ms);
        self.boot();
        // A cut may have been set for the boot itself.
        if self.carousel.borrow().is_cut() {
            self.dark(ms);
        }
    }

    pub fn pass_time(&mut self, ms: u64) {
        self.at += ms as i64;
        self.uptime_ms += ms;
        self.carousel.borrow_mut().advance(ms);
        self.chip.borrow_mut().advance(ms);
    }

    /// Lets time pass: the device is looked at whenever it asked to be.
    pub fn run(&mut self, ms: u64) {
        let end = self.at + ms as i64;
        loop {
            let now = self.now();
            let rest = self.machine().pass(now);
            if self.carousel.borrow().is_cut() {
                self.dark(self.dark_ms.min((end - self.at).max(0) as u64));
                if self.at >= end {
                    return;
                }
                continue;
            }
            if self.online {
                self.listen();
            }
            let left = (end - self.at).max(0) as u64;
            if left == 0 {
                return;
            }
            self.pass_time(rest.clamp(1, left.max(1)).min(left));
        }
    }

    pub fn until(&mut self, at: i64) {
        self.run((at - self.at).max(0) as u64);
    }

    fn listen(&mut self) {
        self.has_time = !self.never_told;
        let now = self.now();
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        loop {
            let machine = self.device.as_mut().expect("it has power");
            let Some((ticket, bytes)) = machine.next(&mut buffer) else { return };
            let message = decode_event(bytes).expect("a device's own message");
            machine.handed(ticket);
            machine.acked(ticket, now);
            let is_new = !self.heard.iter().any(|known| known.identity() == message.identity());
            if is_new {
                self.heard.push(message);
            }
        }
    }

    /// A press of so many milliseconds.
    pub fn press(&mut self, line: Line, ms: u64) {
        let set = |home: &Home, level| match line {
            Line::Give => home.carousel.borrow_mut().give = level,
            Line::Refuse => home.carousel.borrow_mut().refuse = level,
            Line::Lid => home.carousel.borrow_mut().lid = level,
            _ => home.carousel.borrow_mut().key = level,
        };
        set(self, true);
        self.run(ms);
        set(self, false);
        self.run(100);
    }

    /// The resident presses, and waits until nothing moves.
    pub fn ask(&mut self) {
        self.press(Line::Give, 200);
        self.run(4 * S);
    }

    pub fn take(&mut self) -> Option<usize> {
        let taken = self.carousel.borrow_mut().take();
        self.taken.extend(taken.map(|taken| (taken, self.at)));
        self.run(2 * S);
        taken
    }

    /// Staff open it with the key, fill it, and close it; it counts itself.
    pub fn refill(&mut self, full: usize) {
        self.carousel.borrow_mut().key = true;
        self.run(S);
        self.carousel.borrow_mut().lid = true;
        self.run(S);
        self.carousel.borrow_mut().fill(full);
        self.carousel.borrow_mut().lid = false;
        self.run(S);
        self.carousel.borrow_mut().key = false;
        self.run(90 * S);
    }

    /// The gateway's schedule arrives. What the device answers.
    pub fn schedule(&mut self, slots: &[Slot]) -> Outcome {
        self.listen();
        self.commands += 1;
        let command = Command::Schedule { slots: slots.iter().cloned().collect() };
        self.command(command, self.commands)
    }

    pub fn send(&mut self, command: Command) -> Outcome {
        self.commands += 1;
        self.command(command, self.commands)
    }

    fn command(&mut self, command: Command, id: u64) -> Outcome {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let message = CommandMessage::new(id, self.at + DAY as i64, command);
        let length = encode_command_cbor(&message, &mut buffer).expect("it fits");
        self.has_time = !self.never_told;
        let now = self.now();
        self.machine().command(&buffer[..length], now).expect("it is a command");
        if self.carousel.borrow().is_cut() {
            self.dark(self.dark_ms);
            return Outcome::Failed;
        }
        if !self.online {
            return Outcome::Done;
        }
        self.listen();
        let answer = self.heard.iter().rev().find_map(|message| match &message.event {
            Event::Done { id: answered, outcome } if *answered == id => Some(outcome.clone()),
            _ => None,
        });
        self.run(0);
        answer.expect("every command is answered")
    }

    /// What was said of doses, in its order: slot, outcome.
    pub fn said(&self) -> Vec<(String, DoseOutcome)> {
        let mut heard = self.heard.clone();
        heard.sort_by_key(EventMessage::identity);
        let said = heard.into_iter().filter_map(|message| match message.event {
            Event::Dose { slot, outcome } => Some((slot.to_string(), outcome)),
            _ => None,
        });
        said.collect()
    }

    /// The words about the doses of one slot, in their order.
    pub fn of(&self, slot: &str) -> String {
        let words: Vec<&str> = self.said().iter().filter(|(of, _)| of == slot).map(|(_, what)| what.as_str()).collect();
        words.join(" ")
    }

    pub fn has(&self, event: &Event) -> usize {
        self.heard.iter().filter(|message| message.event == *event).count()
    }

    pub fn stock(&self) -> Option<u16> {
        let mut heard: Vec<&EventMessage> = self.heard.iter().collect();
        heard.sort_by_key(|message| message.identity());
        heard.iter().rev().find_map(|message| match message.event {
            Event::Stock { days_left } => Some(days_left),
            _ => None,
        })
    }
}

/// A dose `hours` after the start of the story, open for an hour.
pub fn slot(name: &str, hours: i64) -> Slot {
    let opens_at = START + hours * HOUR as i64;
    Slot { slot: name.into(), opens_at, closes_at: opens_at + HOUR as i64, releases: None }
}

pub fn fault(part: &str, active: bool) -> Event {
    Event::Fault { part: part.into(), active }
}
