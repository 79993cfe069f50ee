//! Events that the gateway has not acknowledged yet. Enters: what happened. Leaves: numbered messages, in the order in
//! which to send them, until their PUBACK.
//!
//! Invariants: a message's bytes never change once it has its number (the gateway takes other bytes under the same
//! number for another event); nothing goes without being counted; life goes only when there is nothing but life.

use heapless::Vec;
use vaka_protocol::{Event, EventMessage, Lane};

/// Room for `N` messages.
#[derive(Debug, Clone)]
pub struct Outbox<const N: usize> {
    restart: u32,
    last_seq: u64,
    /// In the order of their numbers.
    waiting: Vec<EventMessage, N>,
    loss: Option<Loss>,
}

/// Events dropped and not told yet.
#[derive(Debug, Clone, Copy)]
struct Loss {
    count: u32,
    /// When the newest of them was dropped.
    uptime_ms: u64,
    at: Option<i64>,
}

/// Who goes first when there is no room.
fn worth(event: &Event) -> u8 {
    match event.lane() {
        Lane::Telemetry => 0,
        Lane::Test => 1,
        Lane::Technical => 2,
        Lane::Care => 3,
        Lane::Life => 4,
    }
}

impl<const N: usize> Outbox<N> {
    /// Empty. `restart` counts the device's boots and must be another after each: it comes from flash.
    pub fn new(restart: u32) -> Self {
        Self { restart, last_seq: 0, waiting: Vec::new(), loss: None }
    }

    /// The boot that all messages name.
    pub fn restart(&self) -> u32 {
        self.restart
    }

    /// Takes what happened `uptime_ms` after boot, at `at` (UTC milliseconds; `None` without a clock), and returns its
    /// number.
    ///
    /// When full, the oldest of the least worth goes: telemetry, then tests, technical, care. `None`: that was the new
    /// event itself.
    pub fn put(&mut self, event: Event, uptime_ms: u64, at: Option<i64>) -> Option<u64> {
        self.last_seq += 1;
        let seq = self.last_seq;
        if self.waiting.is_full() && !self.make_room_for(&event, uptime_ms, at) {
            self.count_loss(&event, uptime_ms, at);
            return None;
        }
        self.keep(event, seq, uptime_ms, at);
        self.tell_loss();
        Some(seq)
    }

    /// The gateway has it on its disk. Returns false for a number that is not waiting: acknowledged twice, or dropped.
    pub fn acked(&mut self, seq: u64) -> bool {
        let Some(place) = self.waiting.iter().position(|message| message.seq == Some(seq)) else {
            return false;
        };
        self.waiting.remove(place);
        self.tell_loss();
        true
    }

    /// What to send, and after a reconnect to send again: the most urgent lane first, within it the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &EventMessage> {
        Lane::ALL.iter().flat_map(|lane| self.waiting.iter().filter(move |message| message.event.lane() == *lane))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were dropped that no waiting or sent event `lost` tells of yet.
    pub fn untold(&self) -> u32 {
        self.loss.map_or(0, |loss| loss.count)
    }

    /// Drops the oldest of the least worth, unless everything that waits is worth more than `event`.
    fn make_room_for(&mut self, event: &Event, uptime_ms: u64, at: Option<i64>) -> bool {
        // `min_by_key` finds the first of equals: the oldest.
        let least = self.waiting.iter().enumerate().min_by_key(|(_, message)| worth(&message.event));
        match least {
            Some((place, message)) if worth(&message.event) <= worth(event) => {
                let dropped = self.waiting.remove(place);
                self.count_loss(&dropped.event, uptime_ms, at);
                true
            }
            _ => false,
        }
    }

    /// Counts a dropped event; a dropped `lost` counts for all that it told of.
    fn count_loss(&mut self, event: &Event, uptime_ms: u64, at: Option<i64>) {
        let more = if let Event::Lost { count } = event { *count } else { 1 };
        self.loss = Some(Loss { count: self.untold().saturating_add(more), uptime_ms, at });
    }

    /// Puts the event `lost` among the others as soon as there is room.
    fn tell_loss(&mut self) {
        if self.waiting.is_full() {
            return;
        }
        if let Some(Loss { count, uptime_ms, at }) = self.loss.take() {
            self.last_seq += 1;
            self.keep(Event::Lost { count }, self.last_seq, uptime_ms, at);
        }
    }

    fn keep(&mut self, event: Event, seq: u64, uptime_ms: u64, at: Option<i64>) {
        let message = EventMessage {
            restart: Some(self.restart),
            seq: Some(seq),
            uptime_ms: Some(uptime_ms),
            at,
            ..EventMessage::new(event)
        };
        // Both callers have made sure that there is room.
        let kept = self.waiting.push(message);
        debug_assert!(kept.is_ok(), "there is room");
    }
}
