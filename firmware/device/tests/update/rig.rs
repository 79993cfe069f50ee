//! A device with two slots, its events and the boot record on one flash whose power can be cut; the bootloader in front of
//! it; and a server that has a file.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use p256::ecdsa::SigningKey;
use sha2::{Digest, Sha256};
use vaka_device::flash::Flash;
use vaka_device::update::boot::{self, Layout, Slot};
use vaka_device::update::image::{HEADER_BYTES, Keys, Target};
use vaka_device::update::{NotTaken, TRIAL_MS_MAX, Update};
use vaka_device::{Carried, Cx, Device, Now, Role};
use vaka_parts::nor::{Nor, NorError, PAGE_BYTES};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Command, CommandMessage, Event, Press, StartCause, decode_event, encode_command_cbor};

use crate::bench::Display;
use crate::sign::{Release, hex, image, public};

const PAGE: u32 = PAGE_BYTES as u32;
/// Two slots of four pages, the record, eight pages of events.
pub const LAYOUT: Layout = Layout { a: 0, b: 4 * PAGE, slot_bytes: 4 * PAGE, record: 8 * PAGE };
const KEEP: (u32, u32) = (10 * PAGE, 8 * PAGE);
pub const ROLE: &str = "pendant";
pub const BOARD: &str = "bench";

/// A key of those who make firmware, for tests alone.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number + 1; 32]).expect("a scalar of the curve")
}

pub fn keys() -> Keys {
    Keys([Some(public(&key(0))), Some(public(&key(1)))])
}

pub fn release(version: u32, name: &str) -> Release<'_> {
    Release { key: 0, role: ROLE, board: BOARD, version, name }
}

/// An image with a body of two and a half pages.
pub fn file(version: u32, name: &str) -> Vec<u8> {
    let body: Vec<u8> = (0..10_007u32).map(|at| (at * 31 + version) as u8).collect();
    image(&release(version, name), &body, &key(0)).expect("an image")
}

pub fn command(file: &[u8], version: &str) -> Command {
    Command::Update {
        version: version.into(),
        url: "http://gateway/pendant.img".try_into().expect("it fits"),
        size_bytes: file.len() as u32,
        sha256: hex(&Sha256::digest(file)).as_str().try_into().expect("it fits"),
    }
}

/// A part of the one flash.
#[derive(Debug, Clone)]
pub struct Part {
    nor: Rc<RefCell<Nor<Vec<u8>>>>,
    from: u32,
    bytes: u32,
}

impl ErrorType for Part {
    type Error = NorError;
}

impl ReadNorFlash for Part {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        self.nor.borrow_mut().read(self.from + offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.bytes as usize
    }
}

impl NorFlash for Part {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        self.nor.borrow_mut().erase(self.from + from, self.from + to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        self.nor.borrow_mut().write(self.from + offset, bytes)
    }
}

/// A role whose hands are full when the test says so, and that calls for help when it says so.
#[derive(Clone, Default)]
pub struct Hands {
    pub busy: Rc<Cell<bool>>,
    pub press: Rc<Cell<bool>>,
}

impl Role for Hands {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        if self.press.take() {
            cx.call(Event::Button { press: Press::Short });
        }
    }

    fn carry_out(&mut self, _message: &CommandMessage, _cx: &mut Cx<'_>) -> Carried {
        Carried::NotMine
    }

    fn rest_ms(&self, _now: Now) -> u64 {
        u64::MAX
    }

    fn is_busy(&self) -> bool {
        self.busy.get()
    }
}

/// How a boot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It restarted itself.
    Restart,
    /// Nothing is left to do.
    Quiet,
    /// The power went.
    Cut,
}

/// What the gateway answers to the question whether it may restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    May,
    NotNow,
    /// Another status, or none at all.
    Odd,
}

/// The flash, and what lies around it.
pub struct Rig {
    pub nor: Rc<RefCell<Nor<Vec<u8>>>>,
    pub hands: Hands,
    /// What the server has.
    pub file: Vec<u8>,
    /// The server answers.
    pub is_served: bool,
    pub word: Word,
    /// How often it was asked.
    pub questions: u32,
    /// What was told and acknowledged, in its order; not the signs of life.
    pub told: Vec<Event>,
    /// Names of what was booted, in their order.
    pub booted: Vec<String>,
    /// How often the power came back.
    pub cuts: u32,
}

pub type Booted = Device<Flash<Part>, (Update<Part>, Hands), Display>;

impl Rig {
    /// As the factory made it: this image in slot A, everything else blank.
    pub fn new(factory: &[u8]) -> Self {
        let mut bytes = vec![0xff; 18 * PAGE_BYTES];
        bytes[..factory.len()].copy_from_slice(factory);
        let nor = Rc::new(RefCell::new(Nor::over(bytes)));
        let (hands, told, booted) = (Hands::default(), Vec::new(), Vec::new());
        Self { nor, hands, file: Vec::new(), is_served: true, word: Word::May, questions: 0, told, booted, cuts: 0 }
    }

    pub fn part(&self, (from, bytes): (u32, u32)) -> Part {
        Part { nor: Rc::clone(&self.nor), from, bytes }
    }

    pub fn slots(&self) -> Part {
        self.part((0, 10 * PAGE))
    }

    /// The bootloader, and the firmware that it starts. `None`: the power went before the jump.
    pub fn boot(&mut self) -> Option<Booted> {
        let boot = boot::choose(&mut self.slots(), &LAYOUT);
        if self.nor.borrow().is_off() {
            return None;
        }
        let header = boot::header(&mut self.slots(), &LAYOUT, boot.slot).expect("what boots is an image");
        self.booted.push(header.name.as_str().to_owned());
        let target = Target { role: ROLE, board: BOARD };
        let update = Update::new(self.slots(), LAYOUT, boot, target, keys());
        assert_eq!(update.is_trial(), boot.is_trial);
        let cause = update.start_cause().unwrap_or(StartCause::Power);
        let start = vaka_device::Boot { room: 64, chance: 1, cause, version: "0" };
        let keep = Flash::open(self.part(KEEP));
        Some(Device::boot(keep, (update, self.hands.clone()), Display::default(), start, Now::booted(0)))
    }

    /// Lets a booted device do what it has to do. What is named "bad" is never heard.
    pub fn run(&mut self, device: &mut Booted) -> Ran {
        let is_bad = self.booted.last().is_some_and(|name| name == "bad");
        let mut now = Now::booted(0);
        let mut was_idle = false;
        for _ in 0..400 {
            device.pass(now);
            if self.nor.borrow().is_off() {
                return Ran::Cut;
            }
            if device.role.0.wants_restart() {
                return Ran::Restart;
            }
            if is_bad {
                now.uptime_ms += TRIAL_MS_MAX / 4;
                continue;
            }
            self.hear(device, now);
            let is_idle = device.role.underway().is_none() && !device.role.0.is_trial();
            let is_idle = is_idle && device.waiting().next().is_none() && !self.nor.borrow().is_off();
            if is_idle && was_idle {
                return Ran::Quiet;
            }
            was_idle = is_idle;
            self.serve(device, now);
            now.uptime_ms += 10;
        }
        Ran::Quiet
    }

    /// The gateway acknowledges what waits.
    pub fn hear(&mut self, device: &mut Booted, now: Now) {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        while let Some((ticket, bytes)) = device.next(&mut buffer) {
            let event = decode_event(bytes).expect("a device's own message").event;
            device.handed(ticket);
            device.acked(ticket, now);
            self.told.push(event);
        }
    }

    /// The board fetches a piece, or asks whether the device may restart.
    pub fn serve(&mut self, device: &mut Booted, now: Now) -> Option<Result<u32, NotTaken>> {
        let fetch = device.role.0.fetch(now)?;
        let (offset, is_question) = (fetch.offset, fetch.offset == fetch.size_bytes);
        if is_question {
            self.questions += 1;
            device.with_role(now, |role, cx| match self.word {
                Word::May => role.0.may_restart(cx),
                Word::NotNow => role.0.not_now(cx),
                Word::Odd => role.0.not_fetched(cx),
            });
            return None;
        }
        if self.word == Word::NotNow {
            device.with_role(now, |role, cx| role.0.not_now(cx));
            return None;
        }
        let piece = self.file.get(offset as usize..).unwrap_or_default();
        let piece = &piece[..piece.len().min(1_500)];
        if piece.is_empty() || !self.is_served {
            device.with_role(now, |role, cx| role.0.not_fetched(cx));
            return None;
        }
        Some(device.with_role(now, |role, cx| role.0.chunk(offset, piece, cx)))
    }

    /// Boots until nothing is left to do; the power comes back after a cut. Panics when it never ends.
    pub fn settle(&mut self) {
        for _ in 0..12 {
            if let Some(mut device) = self.boot()
                && self.run(&mut device) == Ran::Quiet
            {
                return;
            }
            self.power_back();
        }
        panic!("it boots again and again: {:?}, {:?}", self.booted, self.told);
    }

    /// Boots, gives the command, and goes on as [`Rig::settle`].
    pub fn update(&mut self, id: u64, file: &[u8], version: &str) {
        self.file = file.to_vec();
        if let Some(mut device) = self.boot() {
            deliver(&mut device, id, &command(file, version));
            if self.run(&mut device) == Ran::Quiet {
                return;
            }
        }
        self.power_back();
        self.settle();
    }

    /// After a cut the power comes back; one that is still to come stays so.
    fn power_back(&mut self) {
        let mut nor = self.nor.borrow_mut();
        if nor.is_off() {
            nor.power_on();
            self.cuts += 1;
        }
    }

    /// The confirmed slot's firmware, and that no trial is left.
    pub fn confirmed(&self) -> String {
        let state = boot::read(&mut self.slots(), &LAYOUT).expect("the flash reads");
        assert!(state.is_none_or(|state| state.trial == boot::Trial::None), "{state:?}");
        let slot = state.map_or(Slot::A, |state| state.confirmed);
        let header = boot::header(&mut self.slots(), &LAYOUT, slot).expect("an image");
        header.name.as_str().to_owned()
    }

    /// Writes and erases so far.
    pub fn operations(&self) -> u64 {
        let counts = self.nor.borrow().counts();
        counts.writes + counts.erases
    }

    /// What was told, without starts.
    pub fn answers(&mut self) -> Vec<Event> {
        let told = std::mem::take(&mut self.told);
        told.into_iter().filter(|event| !matches!(event, Event::Started { .. } | Event::Alive {})).collect()
    }
}

pub fn deliver(device: &mut Booted, id: u64, command: &Command) {
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let message = CommandMessage::new(id, i64::MAX, command.clone());
    let length = encode_command_cbor(&message, &mut buffer).expect("it fits");
    device.command(&buffer[..length], Now::booted(0)).expect("it is a command");
}

/// The bytes of the header of an image, to be spoiled.
pub fn header_of(file: &mut [u8]) -> &mut [u8] {
    &mut file[..HEADER_BYTES]
}
