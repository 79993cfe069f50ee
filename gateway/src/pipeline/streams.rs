//! Telemetry by an explicit route to a hub or a webhook: read off the journal, the oldest first, at dispatch's shaped rate.
//!
//! Enters: events as they are folded, what receivers have taken, windows read beside the keeper. Leaves: parcels, records of how far
//! each receiver is. Invariants: a stream begins with what is stored after its route was made, and ends with the route; only what is agreed
//! to leave leaves ([`may_leave`]); at most one window is under way for a receiver, so memory is bounded by it however much waits;
//! what retention removes before it was sent is counted, and a technical alarm. Absent: a queue; the journal is the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use serde::{Deserialize, Serialize};
use tracing::warn;
use vaka_protocol::{Event, Lane};

use super::keeper::Keeper;
use crate::dispatch::{Parcel, ParcelId, ParcelWhat, TelemetryWord};
use crate::ingest::{Parsed, payload};
use crate::journal::record::{Carried, Fault, Kind, Record};
use crate::journal::{Entry, ReadError, reader};
use crate::limits::{STREAM_PAUSE_MS, STREAM_SAVE_EVENTS, STREAM_SAVE_MS, STREAM_SAVE_RECORDS, STREAM_WINDOW_EVENTS};

/// What may leave the home as telemetry. Position never does (DESIGN §5, §8); what devices and gateways say to each other, and what homes
/// tell a hub, is nobody else's; what is an alarm goes as one.
fn may_leave(event: &Event) -> bool {
    let is_measured = match event {
        Event::Bed { .. }
        | Event::Chair { .. }
        | Event::Mat { .. }
        | Event::Door { .. }
        | Event::Motion {}
        | Event::Temperature { .. }
        | Event::Vital { .. }
        | Event::Dose { .. }
        | Event::Stock { .. }
        | Event::Lock { .. }
        | Event::Cabinet { .. }
        | Event::Staff { .. }
        | Event::Privacy { .. }
        | Event::Decline { .. } => true,
        Event::Position { .. }
        | Event::Alive {}
        | Event::Done { .. }
        | Event::Alarm { .. }
        | Event::Task { .. }
        | Event::Health { .. }
        | Event::Round { .. }
        | Event::Button { .. }
        | Event::Cancel {}
        | Event::Fall { .. }
        | Event::Seizure {}
        | Event::Smoke { .. }
        | Event::Gas { .. }
        | Event::Co { .. }
        | Event::Heat { .. }
        | Event::Flood { .. }
        | Event::Enuresis {}
        | Event::Battery { .. }
        | Event::Signal { .. }
        | Event::Mains { .. }
        | Event::Tamper {}
        | Event::Lost { .. }
        | Event::Fault { .. }
        | Event::Started { .. }
        | Event::Test {}
        | Event::Unknown { .. } => false,
    };
    is_measured && event.lane() == Lane::Telemetry
}

/// Of one record. What a home tells its hub is passed on by that home's own route alone.
fn leaving(parsed: &Parsed) -> impl Iterator<Item = &Event> {
    parsed.events.iter().filter(|event| parsed.of.is_none() && may_leave(event))
}

/// How far each receiver is: a fold of the journal.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Streams(BTreeMap<String, Stream>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stream {
    id: u32,
    up_to: u64,
    /// Events behind `up_to` that it has not got.
    pending: u64,
    lost: u64,
}

impl Streams {
    pub fn count(&mut self, parsed: &Parsed) {
        if !self.0.is_empty() {
            let count = leaving(parsed).count() as u64;
            self.0.values_mut().for_each(|stream| stream.pending += count);
        }
    }

    pub fn apply(&mut self, record: u64, carried: &Carried) {
        if carried.ended {
            self.0.remove(&carried.receiver);
            return;
        }
        match self.0.get_mut(&carried.receiver).filter(|stream| stream.id == carried.stream) {
            Some(stream) => {
                stream.up_to = stream.up_to.max(carried.up_to);
                stream.pending = stream.pending.saturating_sub(carried.count.saturating_add(carried.lost));
                stream.lost = stream.lost.saturating_add(carried.lost);
            }
            None => {
                let fresh = Stream { id: carried.stream, up_to: record, pending: 0, lost: 0 };
                self.0.insert(carried.receiver.clone(), fresh);
            }
        }
    }

    /// By receiver: events that it has not got, and that it never will.
    pub fn counts(&self) -> BTreeMap<&str, (u64, u64)> {
        self.0.iter().map(|(receiver, stream)| (receiver.as_str(), (stream.pending, stream.lost))).collect()
    }
}

/// A wish to read for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    receiver: String,
    stream: u32,
    from: u64,
    /// The newest record that is committed.
    to: u64,
    /// Oldest record that there is. Behind `from`: what lies between is gone.
    first: u64,
    /// Events in `from..=to` that were stored.
    left: u64,
}

impl Read {
    fn is_overtaken(&self) -> bool {
        self.first > self.from
    }
}

/// What was read.
#[derive(Debug)]
pub struct Window {
    read: Read,
    words: Vec<TelemetryWord>,
    /// All events up to this record are in it.
    up_to: u64,
    /// Where it was overtaken, or something of it is gone: events that there still are.
    still: u64,
    /// Records that nobody can read any more stand in it.
    is_holed: bool,
    /// The disk refused; it is asked for again.
    failed: bool,
}

#[cfg(test)]
impl Window {
    /// (stream, record, temperature) of each.
    pub fn temperatures(&self) -> Vec<(u32, u64, i32)> {
        let of = |word: &TelemetryWord| match word.event {
            Event::Temperature { centi_c } => (word.stream, word.record, centi_c),
            _ => (word.stream, word.record, i32::MIN),
        };
        self.words.iter().map(of).collect()
    }
}

/// Reads a window. Of an overtaken stream, and of one with records that are gone, everything is gone over, to count what there still is.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read(dir: &Path, read: Read) -> Result<Window, ReadError> {
    let (mut words, mut up_to, mut still, mut is_holed) = (Vec::new(), read.to, 0, false);
    reader::scan(dir, read.from.max(read.first), |entry| {
        if entry.header.seq > read.to {
            return ControlFlow::Break(());
        }
        is_holed |= entry.header.kind == Kind::Gone as u8 && entry.header.lane == Lane::Telemetry as u8;
        let found = words_of(&entry, read.stream);
        still += found.len() as u64;
        if words.len() < STREAM_WINDOW_EVENTS {
            words.extend(found);
            up_to = entry.header.seq;
        } else if !read.is_overtaken() && !is_holed {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if words.len() < STREAM_WINDOW_EVENTS {
        up_to = read.to;
    }
    Ok(Window { read, words, up_to, still, is_holed, failed: false })
}

fn words_of(entry: &Entry<'_>, stream: u32) -> Vec<TelemetryWord> {
    let Ok(Record::Event(event)) = entry.decode() else { return Vec::new() };
    let Ok(parsed) = payload::read(&event.payload, event.via.as_ref()) else { return Vec::new() };
    let at = parsed.at.unwrap_or(entry.header.wall_ms);
    let word = |(index, leaves): (usize, &Event)| TelemetryWord {
        stream,
        record: entry.header.seq,
        index: u16::try_from(index).unwrap_or(u16::MAX),
        device: event.device.clone(),
        at,
        event: leaves.clone(),
    };
    leaving(&parsed).enumerate().map(word).collect()
}

/// Reads beside the keeper, one window at a time, until its sender is gone.
pub fn spawn_reader(dir: PathBuf, tell: impl Fn(Window) + Send + 'static) -> mpsc::Sender<Read> {
    let (reads, wishes) = mpsc::channel::<Read>();
    let body = move || {
        while let Ok(wish) = wishes.recv() {
            tell(read(&dir, wish.clone()).unwrap_or_else(|e| {
                warn!("reading telemetry off the journal: {e}; trying again");
                Window { read: wish, words: Vec::new(), up_to: 0, still: 0, is_holed: false, failed: true }
            }));
        }
    };
    if let Err(e) = std::thread::Builder::new().name("streams".into()).spawn(body) {
        warn!("starting the thread that reads telemetry: {e}; none is sent until the next start");
    }
    reads
}

/// What is under way, by receiver: in memory alone, begun anew from the fold at any time.
#[derive(Debug, Default)]
pub struct Desk {
    reads: Option<mpsc::Sender<Read>>,
    places: BTreeMap<String, Place>,
}

#[derive(Debug, Default)]
struct Place {
    id: u32,
    /// Read up to here.
    up_to: u64,
    under_way: BTreeSet<(u64, u16)>,
    /// Taken since the newest record that says so.
    taken: u64,
    /// The window that was asked for last, and has not come.
    asked: Option<Read>,
    /// Monotonic milliseconds.
    read_at_ms: u64,
    saved_at_ms: u64,
}

impl Desk {
    /// The journal was opened anew.
    pub fn forget(&mut self) {
        self.places.clear();
    }
}

impl Keeper {
    pub fn read_streams_with(&mut self, reads: mpsc::Sender<Read>) {
        self.streams.reads = Some(reads);
    }

    /// A stream for each route of the config, from now on; none for the others.
    pub(super) fn begin_streams(&mut self) {
        let now = self.clock.now();
        let routed = self.home.telemetry.clone();
        let known: BTreeMap<String, u32> =
            self.restored.state.streams.0.iter().map(|(receiver, stream)| (receiver.clone(), stream.id)).collect();
        for (receiver, stream) in known.iter().filter(|(receiver, _)| !routed.contains(receiver)) {
            self.streams.places.remove(receiver);
            let over = Carried { receiver: receiver.clone(), stream: *stream, ended: true, ..Carried::default() };
            self.append_unrepeatable(Record::Carried(over), Lane::Technical);
        }
        for receiver in routed.into_iter().filter(|receiver| !known.contains_key(receiver)) {
            let stream = u32::try_from(now.wall_ms / 1_000).unwrap_or(1).max(1);
            let fresh = Carried { receiver, stream, ..Carried::default() };
            self.append_unrepeatable(Record::Carried(fresh), Lane::Technical);
        }
    }

    /// Milliseconds until [`Keeper::read_streams`] has something to read.
    pub(super) fn streams_wait_ms(&self) -> Option<u64> {
        self.streams.reads.as_ref()?;
        let now_ms = self.clock.now().mono_ms;
        let waits = |(receiver, stream): (&String, &Stream)| {
            let Some(place) = self.streams.places.get(receiver) else { return Some(0) };
            let left = stream.pending.saturating_sub(place.taken);
            let is_free = place.asked.is_none() && place.under_way.is_empty() && left > 0;
            is_free.then(|| (place.read_at_ms + STREAM_PAUSE_MS).saturating_sub(now_ms))
        };
        self.restored.state.streams.0.iter().filter_map(waits).min()
    }

    /// Asks for the next window of each receiver that has got its last. Everything up to the cursor is committed.
    pub(super) fn read_streams(&mut self) {
        let Desk { reads: Some(reads), places } = &mut self.streams else { return };
        let now_ms = self.clock.now().mono_ms;
        let state = &self.restored.state;
        for (receiver, stream) in &state.streams.0 {
            let fresh = || Place { id: stream.id, up_to: stream.up_to, saved_at_ms: now_ms, ..Place::default() };
            let place = places.entry(receiver.clone()).or_insert_with(fresh);
            if place.id != stream.id {
                *place = fresh();
            }
            if place.asked.is_some() || !place.under_way.is_empty() {
                continue;
            }
            let left = stream.pending.saturating_sub(place.taken);
            if left == 0 {
                place.up_to = state.cursor;
            } else if place.read_at_ms == 0 || now_ms >= place.read_at_ms + STREAM_PAUSE_MS {
                place.read_at_ms = now_ms;
                let first = self.restored.journal.stat().first_seq;
                let (receiver, from) = (receiver.clone(), place.up_to + 1);
                let read = Read { receiver, stream: stream.id, from, to: state.cursor, first, left };
                place.asked = reads.send(read.clone()).is_ok().then_some(read);
            }
        }
    }

    pub(super) fn take_window(&mut self, window: Window) {
        let Window { read, words, up_to, still, is_holed, failed } = window;
        let first = self.restored.journal.stat().first_seq;
        let Some(place) = self.streams.places.get_mut(&read.receiver) else { return };
        if place.asked.as_ref() != Some(&read) {
            return;
        }
        place.asked = None;
        if failed {
            return;
        }
        if first > read.from.max(read.first) {
            // Removed while it was read: read again, and counted.
            place.read_at_ms = 0;
            return;
        }
        place.up_to = up_to;
        place.under_way = words.iter().map(|word| (word.record, word.index)).collect();
        let lost = if read.is_overtaken() || is_holed { read.left.saturating_sub(still) } else { 0 };
        if words.is_empty() {
            // Nothing is left there: what an earlier version counted otherwise is not waited for.
            place.taken += read.left - lost;
        }
        if lost > 0 {
            let count = std::mem::take(&mut place.taken);
            self.tell_lost(&read, count, lost);
        }
        let Some(dispatcher) = &self.dispatcher else { return };
        for word in words {
            let id = ParcelId::Telemetry(word.record, word.index);
            let what = ParcelWhat::Telemetry(Box::new(word));
            dispatcher.pass(Parcel { receiver: read.receiver.clone(), id, what });
        }
    }

    /// Retention was faster than the receiver: a technical alarm each time.
    fn tell_lost(&mut self, read: &Read, count: u64, lost: u64) {
        let Read { receiver, stream, first, .. } = read;
        let (receiver, stream, up_to) = (receiver.clone(), *stream, read.from.max(*first).saturating_sub(1));
        let detail = format!("{lost} events for {receiver}");
        warn!(receiver, lost, "telemetry was removed before it could be sent");
        let fault = format!("telemetry-lost-{receiver}");
        let carried = Carried { receiver, stream, up_to, count, lost, ended: false };
        self.append_unrepeatable(Record::Carried(carried), Lane::Technical);
        for active in [true, false] {
            let fault = Fault { fault: fault.clone(), device: None, detail: detail.clone(), active };
            self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
        }
    }

    pub(super) fn telemetry_taken(&mut self, receiver: &str, record: u64, index: u16) {
        if let Some(place) = self.streams.places.get_mut(receiver)
            && place.under_way.remove(&(record, index))
        {
            place.taken += 1;
        }
    }

    /// Writes down how far receivers are, in the commit that is being made.
    pub(super) fn save_streams(&mut self) {
        let now_ms = self.clock.now().mono_ms;
        let mut records = Vec::new();
        for (receiver, place) in &mut self.streams.places {
            let Some(stream) = self.restored.state.streams.0.get(receiver).filter(|stream| stream.id == place.id)
            else {
                continue;
            };
            let is_late = place.taken > 0 && now_ms.saturating_sub(place.saved_at_ms) >= STREAM_SAVE_MS;
            let is_far = place.up_to.saturating_sub(stream.up_to) >= STREAM_SAVE_RECORDS;
            if place.under_way.is_empty() && (place.taken >= STREAM_SAVE_EVENTS || is_late || is_far) {
                place.saved_at_ms = now_ms;
                let count = std::mem::take(&mut place.taken);
                let (receiver, stream, up_to) = (receiver.clone(), place.id, place.up_to);
                records.push(Carried { receiver, stream, up_to, count, lost: 0, ended: false });
            }
        }
        for carried in records {
            self.append_unrepeatable(Record::Carried(carried), Lane::Technical);
        }
    }
}
