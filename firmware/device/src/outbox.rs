//! Events that the gateway has not acknowledged yet. Enters: what happened. Leaves: numbered messages, in the order in
//! which to send them, until their PUBACK.
//!
//! Invariants: taken in means kept over a power cut; a message's bytes never change once it has its number (the gateway
//! takes other bytes under the same number for another event); nothing goes without being counted; life goes only when
//! there is nothing but life. A flash that fails loses the power cut's safety and nothing else: what cannot be written
//! waits in memory.

use heapless::Vec;
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Event, EventMessage, Lane, decode_event, encode_event_cbor};

use crate::Now;
use crate::keep::{self, EVENTS, Keep, Key, LOST, RESTART};

/// Events that wait at most. Beyond: the oldest of the least worth goes, and is counted.
///
/// A pendant has a handful of events a day; a dispenser some twenty. Larger: more pages of flash to look through at boot.
/// Source: our choice.
pub const EVENTS_MAX: usize = 64;

/// Events that wait in memory when the flash fails. Beyond: as when full.
const UNKEPT_MAX: usize = 4;

/// Who an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The boot.
    pub restart: u32,
    /// Its number within the boot.
    pub seq: u64,
}

/// A message handed to a connection, until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(Key);

/// One waiting event.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    identity: Identity,
    lane: Lane,
    /// How many lost events it tells of.
    tells_lost: u32,
    /// Given to the present connection.
    is_handed: bool,
}

/// What waits.
#[derive(Debug, Clone)]
pub struct Outbox {
    restart: u32,
    last_seq: u64,
    next_key: Key,
    room: usize,
    /// In the order in which they were taken in.
    waiting: Vec<Entry, EVENTS_MAX>,
    /// Messages that the flash would not take.
    unkept: Vec<(Key, Vec<u8, MESSAGE_BYTES_MAX>), UNKEPT_MAX>,
    lost: u32,
}

/// Who goes first when there is no room.
fn worth(lane: Lane) -> u8 {
    match lane {
        Lane::Telemetry => 0,
        Lane::Test => 1,
        Lane::Technical => 2,
        Lane::Care => 3,
        Lane::Life => 4,
    }
}

impl Outbox {
    /// Takes up what waited before the boot, and counts the boot. `room`: how many may wait, at most [`EVENTS_MAX`].
    ///
    /// `chance` is a random number. A flash that cannot be read or written gives no count: then the boot is named by
    /// `chance` with the highest bit set, since two boots with one name would make two events one.
    pub fn open(keep: &mut dyn Keep, room: usize, chance: u32) -> Self {
        let counted = keep::number(keep, RESTART)
            .map(|boots| u32::try_from(boots.unwrap_or(0) & 0x7fff_ffff).unwrap_or(0).saturating_add(1))
            .and_then(|boots| keep::keep_number(keep, RESTART, u64::from(boots)).map(|()| boots));
        let mut outbox = Self {
            restart: counted.unwrap_or(0x8000_0000 | chance),
            last_seq: 0,
            next_key: EVENTS.start,
            room: room.min(EVENTS_MAX),
            waiting: Vec::new(),
            unkept: Vec::new(),
            lost: keep::number(keep, LOST).ok().flatten().and_then(|lost| u32::try_from(lost).ok()).unwrap_or(0),
        };
        let mut more = 0u32;
        let read = keep.each(EVENTS, &mut |key, bytes| {
            outbox.next_key = outbox.next_key.max(key.saturating_add(1));
            match entry(key, bytes) {
                Some(entry) if outbox.waiting.push(entry).is_ok() => {}
                _ => more = more.saturating_add(1),
            }
        });
        if read.is_err() {
            more = more.saturating_add(1);
        }
        outbox.waiting.sort_unstable_by_key(|entry| entry.key);
        if more > 0 {
            outbox.count_lost(keep, more);
        }
        outbox
    }

    /// The boot that new messages name.
    pub fn restart(&self) -> u32 {
        self.restart
    }

    /// The number of the newest event of this boot; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Takes in what happened, and returns who it is.
    ///
    /// When full, the oldest of the least worth goes: telemetry, then tests, technical, care. `None`: that was the new
    /// event itself.
    pub fn put(&mut self, keep: &mut dyn Keep, event: Event, now: Now) -> Option<Identity> {
        self.last_seq += 1;
        let identity = Identity { restart: self.restart, seq: self.last_seq };
        if self.waiting.len() >= self.room && !self.make_room_for(keep, &event) {
            self.count_lost(keep, lost_by(&event));
            return None;
        }
        let is_in = self.take_in(keep, event, identity, now);
        self.tell_lost(keep, now);
        is_in.then_some(identity)
    }

    /// The most urgent message that the present connection does not have yet, the oldest of its lane first: its bytes,
    /// and the ticket to hand back with [`Outbox::handed`] and [`Outbox::acked`].
    pub fn next<'b>(&self, keep: &mut dyn Keep, buffer: &'b mut [u8; MESSAGE_BYTES_MAX]) -> Option<(Ticket, &'b [u8])> {
        let first = self.waiting.iter().filter(|entry| !entry.is_handed).min_by_key(|entry| (entry.lane, entry.key))?;
        let length = self.bytes(keep, first.key, buffer)?;
        Some((Ticket(first.key), &buffer[..length]))
    }

    /// The connection has it: it is not given out again before [`Outbox::apart`].
    pub fn handed(&mut self, ticket: Ticket) {
        if let Some(entry) = self.waiting.iter_mut().find(|entry| entry.key == ticket.0) {
            entry.is_handed = true;
        }
    }

    /// The connection is gone: everything that waits goes again.
    pub fn apart(&mut self) {
        self.waiting.iter_mut().for_each(|entry| entry.is_handed = false);
    }

    /// The gateway has it on its disk. `None`: it is not waiting: acknowledged twice, or dropped.
    pub fn acked(&mut self, keep: &mut dyn Keep, ticket: Ticket, now: Now) -> Option<Identity> {
        let place = self.waiting.iter().position(|entry| entry.key == ticket.0)?;
        let Entry { identity, .. } = self.waiting.remove(place);
        // Should this fail, the event goes again after the next boot, and the gateway knows it already.
        self.forget(keep, ticket.0);
        self.tell_lost(keep, now);
        Some(identity)
    }

    /// Who waits, in the order in which they go.
    pub fn identities(&self) -> impl Iterator<Item = (Identity, Lane)> + '_ {
        Lane::ALL
            .iter()
            .flat_map(|lane| self.waiting.iter().filter(move |entry| entry.lane == *lane))
            .map(|entry| (entry.identity, entry.lane))
    }

    /// The bytes of a waiting event, as they go out.
    pub fn message<'b>(
        &self,
        keep: &mut dyn Keep,
        identity: Identity,
        buffer: &'b mut [u8; MESSAGE_BYTES_MAX],
    ) -> Option<&'b [u8]> {
        let entry = self.waiting.iter().find(|entry| entry.identity == identity)?;
        let length = self.bytes(keep, entry.key, buffer)?;
        Some(&buffer[..length])
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
        self.lost
    }

    fn bytes(&self, keep: &mut dyn Keep, key: Key, buffer: &mut [u8; MESSAGE_BYTES_MAX]) -> Option<usize> {
        if let Some((_, bytes)) = self.unkept.iter().find(|(unkept, _)| *unkept == key) {
            buffer[..bytes.len()].copy_from_slice(bytes);
            return Some(bytes.len());
        }
        keep.read(key, buffer).ok().flatten().map(<[u8]>::len)
    }

    /// Drops the oldest of the least worth, unless everything that waits is worth more than `event`.
    fn make_room_for(&mut self, keep: &mut dyn Keep, event: &Event) -> bool {
        // `min_by_key` finds the first of equals: the oldest.
        let least = self.waiting.iter().enumerate().min_by_key(|(_, entry)| worth(entry.lane));
        match least {
            Some((place, entry)) if worth(entry.lane) <= worth(event.lane()) => {
                let Entry { key, tells_lost, .. } = *entry;
                // Counted first: a power cut in between counts one too many rather than none.
                self.count_lost(keep, if tells_lost > 0 { tells_lost } else { 1 });
                self.waiting.remove(place);
                self.forget(keep, key);
                true
            }
            _ => false,
        }
    }

    fn count_lost(&mut self, keep: &mut dyn Keep, more: u32) {
        self.lost = self.lost.saturating_add(more);
        // A flash that fails is not a reason to count no longer.
        let _ = keep::keep_number(keep, LOST, u64::from(self.lost));
    }

    /// Puts the event `lost` among the others as soon as there is room.
    fn tell_lost(&mut self, keep: &mut dyn Keep, now: Now) {
        if self.lost == 0 || self.waiting.len() >= self.room {
            return;
        }
        self.last_seq += 1;
        let identity = Identity { restart: self.restart, seq: self.last_seq };
        if self.take_in(keep, Event::Lost { count: self.lost }, identity, now) {
            self.lost = 0;
            let _ = keep::keep_number(keep, LOST, 0);
        }
    }

    fn take_in(&mut self, keep: &mut dyn Keep, event: Event, identity: Identity, now: Now) -> bool {
        let entry = Entry {
            key: self.next_key,
            identity,
            lane: event.lane(),
            tells_lost: lost_by(&event) * u32::from(matches!(event, Event::Lost { .. })),
            is_handed: false,
        };
        let message = EventMessage {
            restart: Some(identity.restart),
            seq: Some(identity.seq),
            uptime_ms: Some(now.uptime_ms),
            at: now.at,
            ..EventMessage::new(event)
        };
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        // The protocol promises that every event fits.
        let Ok(length) = encode_event_cbor(&message, &mut buffer) else { return false };
        self.next_key = self.next_key.saturating_add(1);
        if keep.write(entry.key, &buffer[..length]).is_err() {
            let Ok(bytes) = Vec::from_slice(&buffer[..length]) else { return false };
            if self.unkept.push((entry.key, bytes)).is_err() {
                self.lost = self.lost.saturating_add(1);
                return false;
            }
        }
        self.waiting.push(entry).is_ok()
    }

    fn forget(&mut self, keep: &mut dyn Keep, key: Key) {
        self.unkept.retain(|(unkept, _)| *unkept != key);
        let _ = keep.remove(key);
    }
}

/// How many lost events it stands for, if it is dropped itself.
fn lost_by(event: &Event) -> u32 {
    if let Event::Lost { count } = event { *count } else { 1 }
}

/// A kept message as one that waits. `None`: it is none.
fn entry(key: Key, bytes: &[u8]) -> Option<Entry> {
    let message = decode_event(bytes).ok()?;
    let (restart, seq) = message.identity()?;
    let tells_lost = if let Event::Lost { count } = message.event { count } else { 0 };
    Some(Entry { key, identity: Identity { restart, seq }, lane: message.event.lane(), tells_lost, is_handed: false })
}
