//! Events that the gateway has not acknowledged yet. Enters: what happened. Leaves: numbered messages, in the order in
//! which to send them, until their PUBACK.
//!
//! A kept event is its [`Head`] and its message, in one value: a boot learns who waits without understanding events.
//!
//! Invariants: taken in means kept over a power cut; a message's bytes never change once it has its number (the gateway
//! takes other bytes under the same number for another event); nothing goes without being counted; life goes only when
//! there is nothing but life; a power cut counts one lost event too many at most, and none too few. A flash that fails
//! loses the power cut's safety and nothing else: what cannot be written waits in memory, and what cannot be read lets
//! the others pass.

use heapless::Vec;
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Event, EventMessage, Lane, encode_event_cbor};

use crate::Now;
use crate::keep::{self, EVENT_HEAD_BYTES, EVENTS, Fault, Keep, Key, LOST, RESTART, VALUE_BYTES_MAX};

/// Events that wait at most. Beyond: the oldest of the least worth goes, and is counted.
///
/// A pendant has a handful of events a day; a dispenser some twenty. Larger: more pages of flash to look through at boot.
/// Source: our choice.
pub const EVENTS_MAX: usize = 64;

/// Events that wait in memory when the flash fails. Beyond: as when full, among these alone. 1 KiB each.
/// Source: our choice: a call, its cancelling, and what the device has to say about its flash.
const UNKEPT_MAX: usize = 4;

/// Kept events that are let go at one boot because they cannot be read, or are too many; further ones at the next.
const LET_GO_MAX: usize = 16;

/// Boots that are counted; beyond it the name is a random one.
const BOOTS_MAX: u32 = 0x7fff_ffff;

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

impl Entry {
    /// How many lost events it stands for, if it is dropped itself.
    fn weight(&self) -> u32 {
        self.tells_lost.max(1)
    }
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
    has_failed: bool,
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
    /// `chance` with the highest bit set, since two boots with one name would make two events one. A count that is
    /// damaged begins anew at `chance`.
    pub fn open(keep: &mut dyn Keep, room: usize, chance: u32) -> Self {
        let boots = match keep::number(keep, RESTART) {
            Ok(boots) => Ok((boots.unwrap_or(0) as u32 & BOOTS_MAX).saturating_add(1)),
            Err(Fault::Damaged) => Ok(chance & BOOTS_MAX),
            Err(fault) => Err(fault),
        };
        let counted = boots.and_then(|boots| keep::keep_number(keep, RESTART, u64::from(boots)).map(|()| boots));
        let mut outbox = Self {
            restart: counted.unwrap_or(!BOOTS_MAX | chance),
            last_seq: 0,
            next_key: EVENTS.start,
            room: room.min(EVENTS_MAX),
            waiting: Vec::new(),
            unkept: Vec::new(),
            lost: 0,
            has_failed: counted.is_err(),
        };
        outbox.take_up(keep);
        outbox
    }

    fn take_up(&mut self, keep: &mut dyn Keep) {
        let mut more = 0u32;
        let mut let_go: Vec<Key, LET_GO_MAX> = Vec::new();
        let read = keep.each(EVENTS, &mut |key, bytes| {
            self.next_key = self.next_key.max(key.saturating_add(1));
            let entry = entry(key, bytes);
            let stays = entry.is_some_and(|entry| self.waiting.push(entry).is_ok());
            if !stays && let_go.push(key).is_ok() {
                more = more.saturating_add(entry.map_or(1, |entry| entry.weight()));
            }
        });
        self.waiting.sort_unstable_by_key(|entry| entry.key);
        self.has_failed |= read.is_err();
        if read == Err(Fault::Damaged) {
            more = more.saturating_add(1);
        }
        self.lost = match keep::number(keep, LOST) {
            Ok(lost) => {
                let lost = lost.unwrap_or(0);
                let (count, teller) = (lost as u32, (lost >> 32) as Key);
                // What a kept event tells is not told again.
                let teller = self.waiting.iter().find(|entry| entry.key == teller);
                count.saturating_sub(teller.map_or(0, |entry| entry.tells_lost))
            }
            Err(Fault::Damaged) => 1,
            Err(_) => 0,
        };
        if more > 0 {
            self.count_lost(keep, more, 0);
        }
        for key in let_go {
            self.forget(keep, key);
        }
    }

    /// The boot that new messages name.
    pub fn restart(&self) -> u32 {
        self.restart
    }

    /// The number of the newest event of this boot; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// A write or a read of the flash failed in this boot.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Takes in what happened, and returns who it is.
    ///
    /// When full, the oldest of the least worth goes: telemetry, then tests, technical, care. `None`: that was the new
    /// event itself.
    pub fn put(&mut self, keep: &mut dyn Keep, event: Event, now: Now) -> Option<Identity> {
        let has_room = self.waiting.len() < self.room || self.make_room_for(keep, event.lane(), |_| true);
        let weight = lost_by(&event);
        let identity = if has_room { self.take_in(keep, event, now) } else { None };
        if identity.is_none() {
            self.count_lost(keep, weight, 0);
        }
        self.tell_lost(keep, now);
        identity
    }

    /// The most urgent message that the present connection does not have yet, the oldest of its lane first: its bytes,
    /// and the ticket to hand back with [`Outbox::handed`] and [`Outbox::acked`].
    ///
    /// One that can never be read again goes, and is counted; one that cannot be read now waits for the next connection.
    pub fn next<'b>(
        &mut self,
        keep: &mut dyn Keep,
        buffer: &'b mut [u8; MESSAGE_BYTES_MAX],
    ) -> Option<(Ticket, &'b [u8])> {
        loop {
            let first =
                self.waiting.iter().filter(|entry| !entry.is_handed).min_by_key(|entry| (entry.lane, entry.key));
            let key = first?.key;
            match self.bytes(keep, key, buffer) {
                Ok(Some(length)) => return Some((Ticket(key), &buffer[..length])),
                Ok(None) | Err(Fault::Damaged) => self.drop_event(keep, key),
                Err(_) => self.handed(Ticket(key)),
            }
            self.has_failed = true;
        }
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
        let length = self.bytes(keep, entry.key, buffer).ok().flatten()?;
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

    fn bytes(
        &self,
        keep: &mut dyn Keep,
        key: Key,
        buffer: &mut [u8; MESSAGE_BYTES_MAX],
    ) -> Result<Option<usize>, Fault> {
        if let Some((_, bytes)) = self.unkept.iter().find(|(unkept, _)| *unkept == key) {
            buffer[..bytes.len()].copy_from_slice(bytes);
            return Ok(Some(bytes.len()));
        }
        let mut value = [0; VALUE_BYTES_MAX];
        let Some(value) = keep.read(key, &mut value)? else { return Ok(None) };
        let Some((_, message)) = Head::read(value) else { return Err(Fault::Damaged) };
        buffer[..message.len()].copy_from_slice(message);
        Ok(Some(message.len()))
    }

    /// Drops the oldest of the least worth among these, unless all of them are worth more than that lane.
    fn make_room_for(&mut self, keep: &mut dyn Keep, lane: Lane, is_among: impl Fn(Key) -> bool) -> bool {
        // `min_by_key` finds the first of equals: the oldest.
        let among = self.waiting.iter().filter(|entry| is_among(entry.key));
        match among.min_by_key(|entry| worth(entry.lane)) {
            Some(entry) if worth(entry.lane) <= worth(lane) => {
                let key = entry.key;
                self.drop_event(keep, key);
                true
            }
            _ => false,
        }
    }

    fn drop_event(&mut self, keep: &mut dyn Keep, key: Key) {
        if let Some(place) = self.waiting.iter().position(|entry| entry.key == key) {
            let entry = self.waiting.remove(place);
            // Counted first: a power cut in between counts one too many rather than none.
            self.count_lost(keep, entry.weight(), if entry.tells_lost > 0 { key } else { 0 });
        }
        self.forget(keep, key);
    }

    /// `teller`: the event that tells of some of them as long as it is there; 0: none.
    fn count_lost(&mut self, keep: &mut dyn Keep, more: u32, teller: Key) {
        self.lost = self.lost.saturating_add(more);
        self.keep_lost(keep, teller);
    }

    fn keep_lost(&mut self, keep: &mut dyn Keep, teller: Key) {
        let lost = u64::from(self.lost) | u64::from(teller) << 32;
        // A flash that fails is not a reason to count no longer.
        self.has_failed |= keep::keep_number(keep, LOST, lost).is_err();
    }

    /// Puts the event `lost` among the others as soon as there is room.
    fn tell_lost(&mut self, keep: &mut dyn Keep, now: Now) {
        if self.lost == 0 || self.waiting.len() >= self.room {
            return;
        }
        // Said beforehand: cut before the count is zero, the next boot sees that this event tells it.
        self.keep_lost(keep, self.next_key);
        if self.take_in(keep, Event::Lost { count: self.lost }, now).is_some() {
            self.lost = 0;
            self.keep_lost(keep, 0);
        }
    }

    fn take_in(&mut self, keep: &mut dyn Keep, event: Event, now: Now) -> Option<Identity> {
        let (key, lane) = (self.next_key, event.lane());
        let (restart, seq) = (self.restart, self.last_seq + 1);
        let tells_lost = if matches!(event, Event::Lost { .. }) { lost_by(&event) } else { 0 };
        let message = EventMessage {
            restart: Some(restart),
            seq: Some(seq),
            uptime_ms: Some(now.uptime_ms),
            at: now.at,
            ..EventMessage::new(event)
        };
        (self.next_key, self.last_seq) = (key.saturating_add(1), seq);
        let identity = Identity { restart, seq };
        let mut buffer = [0; VALUE_BYTES_MAX];
        let (head, room) = buffer.split_first_chunk_mut()?;
        *head = Head { identity, lane, tells_lost }.bytes();
        // The protocol promises that every event fits.
        let length = encode_event_cbor(&message, room).ok()?;
        let bytes = &buffer[..Head::BYTES + length];
        let mut written = keep.write(key, bytes);
        // Fewer than `room` can be too many for the flash: then it is full as if they were.
        while written == Err(Fault::Full) && tells_lost == 0 && self.make_room_for(keep, lane, |_| true) {
            written = keep.write(key, bytes);
        }
        if written.is_err() {
            self.has_failed = true;
            let unkept: Vec<Key, UNKEPT_MAX> = self.unkept.iter().map(|(key, _)| *key).collect();
            if unkept.is_full() && (tells_lost > 0 || !self.make_room_for(keep, lane, |key| unkept.contains(&key))) {
                return None;
            }
            self.unkept.push((key, Vec::from_slice(&bytes[Head::BYTES..]).ok()?)).ok()?;
        }
        self.waiting.push(Entry { key, identity, lane, tells_lost, is_handed: false }).ok()?;
        Some(identity)
    }

    fn forget(&mut self, keep: &mut dyn Keep, key: Key) {
        self.unkept.retain(|(unkept, _)| *unkept != key);
        self.has_failed |= keep.remove(key).is_err();
    }
}

/// How many lost events it stands for, if it is dropped itself.
fn lost_by(event: &Event) -> u32 {
    if let Event::Lost { count } = event { *count } else { 1 }
}

/// What a boot must know of a kept event, in front of its message.
///
/// Layout, little-endian: version 1 (`u8`; no message begins so), lane (`u8`), restart (`u32`), seq (`u64`), how
/// many lost events it tells of (`u32`). Decoding the message instead takes 25 KB of code that nothing else in a pendant
/// needs.
#[derive(Debug, Clone, Copy)]
struct Head {
    identity: Identity,
    lane: Lane,
    tells_lost: u32,
}

impl Head {
    const VERSION: u8 = 1;
    const BYTES: usize = EVENT_HEAD_BYTES;

    fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = Self::VERSION;
        bytes[1] = self.lane as u8;
        bytes[2..6].copy_from_slice(&self.identity.restart.to_le_bytes());
        bytes[6..14].copy_from_slice(&self.identity.seq.to_le_bytes());
        bytes[14..].copy_from_slice(&self.tells_lost.to_le_bytes());
        bytes
    }

    /// The head of a kept event, and its message. `None`: it is none.
    fn read(value: &[u8]) -> Option<(Self, &[u8])> {
        let ([version, lane], rest) = value.split_first_chunk()?;
        let (restart, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (tells_lost, message) = rest.split_first_chunk()?;
        let lane = Lane::from_u8(*lane)?;
        let identity = Identity { restart: u32::from_le_bytes(*restart), seq: u64::from_le_bytes(*seq) };
        let head = Self { identity, lane, tells_lost: u32::from_le_bytes(*tells_lost) };
        let is_one = *version == Self::VERSION && !message.is_empty() && message.len() <= MESSAGE_BYTES_MAX;
        is_one.then_some((head, message))
    }
}

/// A kept value as an event that waits. `None`: it is none.
fn entry(key: Key, value: &[u8]) -> Option<Entry> {
    let (Head { identity, lane, tells_lost }, _) = Head::read(value)?;
    Some(Entry { key, identity, lane, tells_lost, is_handed: false })
}
