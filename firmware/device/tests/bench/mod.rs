//! A device on the bench: its role and parts, memory for a flash, a panel that remembers, and time that passes when told.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::ops::Range;

use vaka_device::{Boot, Device, Fault, Keep, Key, Now, Panel, Role};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{
    Command, CommandMessage, Event, EventMessage, Light, Sound, StartCause, decode_event, encode_command_cbor,
};

/// Memory where a device has its flash. [`Memory::fails`]: every write does.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub values: BTreeMap<Key, Vec<u8>>,
    pub fails: bool,
}

impl Keep for Memory {
    fn read<'b>(&mut self, key: Key, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault> {
        Ok(self.values.get(&key).map(|value| {
            buffer[..value.len()].copy_from_slice(value);
            &buffer[..value.len()]
        }))
    }

    fn write(&mut self, key: Key, value: &[u8]) -> Result<(), Fault> {
        if self.fails {
            return Err(Fault::Flash);
        }
        self.values.insert(key, value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Result<(), Fault> {
        if self.fails {
            return Err(Fault::Flash);
        }
        self.values.remove(&key);
        Ok(())
    }

    fn each(&mut self, of: Range<Key>, found: &mut dyn FnMut(Key, &[u8])) -> Result<(), Fault> {
        self.values.range(of).for_each(|(key, value)| found(*key, value));
        Ok(())
    }
}

/// What was shown, in its order.
#[derive(Debug, Clone, Default)]
pub struct Display {
    pub light: Option<Light>,
    pub sounds: Vec<Sound>,
    pub text: String,
    pub volume: Option<u8>,
}

impl Panel for Display {
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, _now: Now) {
        self.light = light.or(self.light);
        self.sounds.extend(sound);
        if let Some(text) = text {
            self.text = text.to_owned();
        }
    }

    fn pass(&mut self, _now: Now) -> Option<u64> {
        None
    }

    fn volume(&mut self, percent: u8) {
        self.volume = Some(percent);
    }
}

/// A device and its time.
pub struct Bench<R> {
    pub device: Device<Memory, R, Display>,
    pub now: Now,
    /// Longest step of time, milliseconds: how fast the test's hand moves pins.
    pub step_ms: u64,
    commands: u64,
}

impl<R: Role> Bench<R> {
    /// Boots at `at` (UTC milliseconds; `None`: without a clock).
    pub fn new(role: R, at: Option<i64>) -> Self {
        Self::boot(Memory::default(), role, at)
    }

    pub fn boot(memory: Memory, role: R, at: Option<i64>) -> Self {
        let now = Now { uptime_ms: 0, at };
        let boot = Boot { room: 64, chance: 1, cause: StartCause::Power, version: "0" };
        let device = Device::boot(memory, role, Display::default(), boot, now);
        Bench { device, now, step_ms: 10, commands: 0 }
    }

    /// Lets time pass: the device is looked at whenever it asked to be, and at least every step.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.uptime_ms + ms;
        loop {
            let rest = self.device.pass(self.now);
            let left = end - self.now.uptime_ms;
            if left == 0 {
                return;
            }
            let step = rest.clamp(1, self.step_ms).min(left);
            self.now.uptime_ms += step;
            self.now.at = self.now.at.map(|at| at + step as i64);
        }
    }

    /// What waits, in the order in which it goes; all of it is acknowledged.
    pub fn told(&mut self) -> Vec<EventMessage> {
        let mut told = Vec::new();
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        while let Some((ticket, bytes)) = self.device.next(&mut buffer) {
            told.push(decode_event(bytes).expect("a device's own message"));
            self.device.handed(ticket);
            self.device.acked(ticket, self.now);
        }
        told
    }

    /// As [`Bench::told`], without the starts and signs of life, and in the order in which it happened.
    pub fn events(&mut self) -> Vec<Event> {
        let mut told = self.told();
        told.sort_by_key(EventMessage::identity);
        let events = told.into_iter().map(|message| message.event);
        events.filter(|event| !matches!(event, Event::Alive {} | Event::Started { .. })).collect()
    }

    /// A command arrives that is good for `good_ms` from now (without a clock: far into the future). Returns its id.
    pub fn command(&mut self, command: Command, good_ms: i64) -> u64 {
        self.commands += 1;
        self.deliver(self.commands, command, self.now.at.map_or(i64::MAX, |at| at + good_ms));
        self.commands
    }

    pub fn deliver(&mut self, id: u64, command: Command, expires_at: i64) {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let length = encode_command_cbor(&CommandMessage::new(id, expires_at, command), &mut buffer).expect("it fits");
        self.device.command(&buffer[..length], self.now).expect("it is a command");
    }

    /// A power cut, and the boot after it.
    pub fn cut(self, role: R) -> Self {
        let Bench { device, now, commands, step_ms } = self;
        let mut next = Self::boot(device.into_keep(), role, now.at);
        (next.commands, next.step_ms) = (commands, step_ms);
        next
    }
}
