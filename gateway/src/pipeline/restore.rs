//! The journal with the state folded from it: opening, snapshots, making room, opening again after a failure.
//!
//! Truth is the journal. The index only saves reading it from the start: it is believed when the record at its position
//! is still the same, and otherwise ignored.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_bytes::ByteBuf;
use tracing::{error, info, warn};
use vaka_protocol::Lane;
use vaka_seal::KeyError;

use super::class::Class;
use super::erasing;
use super::fold::State;
use super::keeper;
use super::shortage::Room;
use super::whose::Whose;
use crate::clock::Clock;
use crate::journal::CommitError;
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::index::Index;
use crate::journal::record::{Boot, Decisions, Fault, Record};
use crate::journal::unread;
use crate::journal::{Header, Journal, OpenError, Opened, Options, ReadError, RemoveError, Reserve};
use crate::limits;

/// Which records this program folds in: raised by each version that takes in a kind, or a field, that the version before left out.
///
/// A saved fold of a lower number is not believed. Else a version that was gone back from and comes again would start from what the
/// older one saved meanwhile, without what it had recorded itself. The journal is read from the start instead, once.
pub const FOLD: u32 = 4;

/// Why the journal and its fold could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Remove(#[from] RemoveError),
}

/// A record whose decisions are not in the journal: the power went between, or the place is damaged.
pub struct Unjudged {
    pub header: Header,
    pub record: Record,
}

/// What opening found, to be told to the journal itself.
pub struct Found {
    pub records: Vec<Record>,
    pub unjudged: Vec<Unjudged>,
}

pub struct Restored {
    pub journal: Journal,
    pub state: State,
    /// Whose key seals what.
    pub(super) whose: Whose,
    size_max_bytes: u64,
    pub(super) index: Index,
    opened: Opened,
    unjudged: Vec<Unjudged>,
    /// Records that their key does not open, by number.
    unopened: Vec<u64>,
    /// What is told of earlier records whose keys are lost; empty: there is none.
    pub(super) unread: String,
    /// Why records in clear that were sealed are there still; empty: there are none.
    pub(super) in_clear: String,
    /// Newest time in them, UTC milliseconds.
    unread_newest_ms: i64,
    /// Of them, those after which somebody may be waiting for help.
    pub(super) lost: Vec<unread::Lost>,
    /// Records read by the last open to fold the state: what a start costs.
    pub replayed: u64,
    /// Newest record that the index covers.
    saved: u64,
    /// Size of the journal below which no room is made again: a fold that outgrows the budget must not be written with every batch.
    make_room_above_bytes: u64,
}

/// Where the index of the journal in `dir` is.
pub fn index_dir(dir: &Path) -> PathBuf {
    dir.join("index")
}

/// Opens the journal in `dir` and folds it. `size_max_bytes` is the budget from the config.
///
/// # Errors
/// Where the folder cannot be used, or another gateway holds it. Damage is not an error: it is found and told.
pub fn open(dir: &Path, size_max_bytes: u64) -> Result<Restored, RestoreError> {
    // What a sealing of old records left aside when it was cut off.
    let left = crate::journal::seal_old::clean(dir).err();
    let mut restored = open_with(dir, size_max_bytes, Options::default(), Index::new(&index_dir(dir)))?;
    // What was to be destroyed is told, and keeps no press waiting.
    restored.in_clear =
        left.map_or_else(String::new, |why| format!("{why}: it holds records in clear; remove it, then restart"));
    let leftover = restored.journal.ring().map_or_else(String::new, |ring| ring.leftover().to_owned());
    for why in [&restored.in_clear, &leftover].into_iter().filter(|why| !why.is_empty()) {
        error!("{why}");
    }
    Ok(restored)
}

/// [`open`] by the gateway itself: where the keys of earlier records are lost it begins anew beside them, so that a press is heard.
///
/// # Errors
/// As [`open`].
pub fn open_to_run(dir: &Path, size_max_bytes: u64) -> Result<Restored, RestoreError> {
    if let Some(aside) = unread::begin_anew(dir)? {
        error!("its records were put aside as {}: {}", aside.display(), unread::told(dir));
    }
    match open(dir, size_max_bytes) {
        // The file of keys is from an earlier day, as one put back from a backup is: no waiting makes it newer.
        Err(RestoreError::Read(ReadError::Keys(e @ KeyError::Missing { id, .. }))) => {
            error!("{e}");
            unread::begin_anew_beside_older_keys(dir, id)?;
            open(dir, size_max_bytes)
        }
        opened => opened,
    }
}

/// [`open`] on any disk and with any size of segment; the index is always on the machine's own.
///
/// # Errors
/// As [`open`].
pub fn open_with(dir: &Path, size_max_bytes: u64, options: Options, index: Index) -> Result<Restored, RestoreError> {
    let (journal, opened) = Journal::open(dir, options)?;
    let mut restored = Restored {
        journal,
        state: State::default(),
        whose: Whose::default(),
        size_max_bytes,
        index,
        opened,
        unjudged: Vec::new(),
        unopened: Vec::new(),
        unread: unread::told(dir),
        in_clear: String::new(),
        unread_newest_ms: unread::newest_wall_ms(dir),
        lost: unread::lost(dir),
        replayed: 0,
        saved: 0,
        make_room_above_bytes: 0,
    };
    restored.refold()?;
    Ok(restored)
}

/// After a failed commit: what the disk holds is the state.
///
/// # Errors
/// As [`open`]; the caller tries again.
pub fn reopen(restored: &mut Restored) -> Result<(), RestoreError> {
    restored.opened = restored.journal.reopen()?;
    restored.refold()?;
    Ok(())
}

/// Folds the journal of another process's, or a stopped, gateway without touching it.
///
/// # Errors
/// Where the folder cannot be read.
pub fn read_only(dir: &Path) -> Result<State, ReadError> {
    read_only_on(&RealDisk, dir)
}

/// [`read_only`] on any disk.
///
/// # Errors
/// As [`read_only`].
pub fn read_only_on(disk: &dyn Disk, dir: &Path) -> Result<State, ReadError> {
    let mut fold = Folding::from(State::default());
    crate::journal::reader::scan_on(disk, dir, 0, |entry| {
        fold.take(entry.header, entry.body);
        ControlFlow::Continue(())
    })?;
    Ok(State { folded_by: FOLD, ..fold.state })
}

impl Restored {
    fn refold(&mut self) -> Result<(), ReadError> {
        let mut fold = Folding::from(self.snapshot().unwrap_or_default());
        self.saved = fold.state.cursor;
        let from = fold.state.cursor + u64::from(fold.state.cursor > 0);
        let mut replayed = 0;
        let scan = self.journal.scan(from, |entry| {
            replayed += 1;
            fold.take(entry.header, entry.body);
            ControlFlow::Continue(())
        })?;
        self.replayed = replayed;
        // Opening looks at the last segment alone; reading finds the rest.
        let news = scan.damage.into_iter().filter(|damage| !damage.known && !self.opened.damage.contains(damage));
        let news: Vec<_> = news.collect();
        self.opened.damage.extend(news);
        self.unopened = scan.unopened;
        let (state, unjudged) = fold.finish();
        if let Some(ring) = self.journal.ring() {
            if let Some(id) = ring.lacks(state.key_numbers) {
                return Err(KeyError::Missing { ring: ring.path().to_owned(), id }.into());
            }
            ring.doom(&state.erased_keys);
        }
        self.state = State { folded_by: FOLD, ..state };
        self.unjudged = unjudged;
        Ok(())
    }

    /// The saved fold, if the journal still holds the record that it ends with.
    fn snapshot(&mut self) -> Option<State> {
        let snapshot = self.index.load().inspect_err(|e| warn!("{e}: folding the journal from the start")).ok()??;
        let position = snapshot.position_seq;
        let entry = self.journal.read(position).ok()??;
        if Index::crc_of(&entry.body) != snapshot.crc {
            warn!("the index does not belong to this journal: folding from the start");
            return None;
        }
        let bytes = erasing::opened_fold(self.journal.ring(), position, snapshot.state)?;
        let state: State = minicbor_serde::from_slice(&bytes).ok()?;
        (state.cursor == position && state.folded_by >= FOLD).then_some(state)
    }

    /// Records about the start itself, and what has to be judged late.
    pub fn begin(&mut self) -> Found {
        let opened = &self.opened;
        let mut records = vec![Record::Boot(Boot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cut_bytes: opened.cut_bytes,
            damaged: u32::try_from(opened.damage.len()).unwrap_or(u32::MAX),
        })];
        if opened.cut_bytes > 0 {
            info!("the journal ended in {} bytes of an unfinished record (a power cut): cut off", opened.cut_bytes);
        }
        let fresh = opened.damage.iter().filter(|damage| !damage.known && !damage.unsettled);
        let head = opened.head_damaged.then(|| "head: unreadable, record numbers go on after a gap".to_owned());
        let unopened = not_opened(&self.unopened);
        records.extend(damaged(fresh.map(ToString::to_string).chain(head).chain(unopened)).map(Record::Fault));
        Found { records, unjudged: std::mem::take(&mut self.unjudged) }
    }

    /// In words, those that the start has not met.
    pub(super) fn news_of_unopened(&self, mut all: Vec<u64>) -> Option<String> {
        all.retain(|seq| !self.unopened.contains(seq));
        not_opened(&all)
    }

    /// UTC milliseconds of the newest record, of those put aside too; 0: there is none: the wall clock is not believed below it.
    pub fn newest_wall_ms(&self) -> i64 {
        self.opened.newest_wall_ms.max(self.unread_newest_ms)
    }

    /// Number of this opening of the journal: the boot under which it is written now.
    pub fn boot(&self) -> u32 {
        self.opened.boot
    }

    /// What the journal may take, from the config.
    pub fn size_max_bytes(&self) -> u64 {
        self.size_max_bytes
    }

    pub fn append(&mut self, record: &Record, lane: Lane, clock: &dyn Clock) -> Header {
        let concerns = self.whose.concerns(&self.state, record);
        let ring = self.journal.ring();
        let class = Class::of(record, lane, |class| ring.as_ref().is_some_and(|ring| ring.is_timed(class.as_str())));
        let class = class.map(Class::as_str);
        keeper::append(&mut self.journal, self.opened.boot, record, lane, clock, concerns, class)
    }

    /// How much room the file system leaves: telemetry is refused first, `life` never.
    pub fn room(&mut self) -> Room {
        let free = self.journal.free_bytes();
        let short_of = |share: u64| free.is_some_and(|free| free < self.size_max_bytes / share);
        let life_alone = short_of(limits::FREE_FOR_CARE);
        if self.journal.reserve() == Reserve::Gone && !life_alone {
            match self.journal.make_reserve() {
                Ok(()) => info!("room is held back again for life alarms"),
                Err(e) => warn!("holding room back for life alarms: {e}"),
            }
        }
        // Living on the reserve: what is left of it is for life, whatever the file system says.
        let life_alone = life_alone || self.journal.reserve() == Reserve::Gone;
        let mut refused = Vec::new();
        if life_alone || short_of(limits::FREE_FOR_TELEMETRY) {
            refused.push(Lane::Telemetry);
        }
        if life_alone || short_of(limits::FREE_FOR_TECHNICAL) {
            refused.extend([Lane::Technical, Lane::Test]);
        }
        if life_alone {
            refused.push(Lane::Care);
        }
        Room { refused, sums_refusals: life_alone || short_of(limits::FREE_FOR_EACH_REFUSAL), life_alone }
    }

    /// Saves the fold when that is due, and removes settled segments when the budget asks for it.
    ///
    /// # Errors
    /// Where the disk refuses; the journal is then to be opened anew.
    pub fn keep_house(&mut self, is_idle: bool, clock: &dyn Clock) -> Result<(), RestoreError> {
        let since = self.state.cursor.saturating_sub(self.saved);
        let due = since > limits::SNAPSHOT_RECORDS_MAX || (is_idle && since > limits::SNAPSHOT_RECORDS);
        if due && !self.index.is_busy() {
            self.save();
        }
        let bytes = self.journal.stat().bytes;
        if bytes > self.size_max_bytes / 10 * 8 && bytes > self.make_room_above_bytes {
            self.make_room(clock)?;
        }
        Ok(())
    }

    /// Saves the fold to the index, which goes on with it by itself. A failure costs a longer replay, nothing else.
    pub fn save(&mut self) {
        let position = self.state.cursor;
        if position == self.saved {
            return;
        }
        let Ok(Some(entry)) = self.journal.read(position) else { return };
        // Tried once: a failing index is not tried again with every batch.
        self.saved = position;
        self.note_reach();
        let state = &self.state;
        let sealed = erasing::sealed_fold(self.journal.ring(), position, state);
        let write = |to: &mut dyn Write| {
            if let Some(sealed) = &sealed {
                return to.write_all(sealed);
            }
            let mut serializer = minicbor_serde::Serializer::new(minicbor::encode::write::Writer::new(to));
            state.serialize(&mut serializer).map_err(std::io::Error::other)
        };
        if let Err(e) = self.index.save(position, Index::crc_of(&entry.body), write) {
            warn!("saving the fold to the index: {e}; the next start takes longer");
        }
    }

    /// So that keys of an earlier day are known as such also where no record after the fold says so.
    fn note_reach(&mut self) {
        if let Some(ring) = self.journal.ring() {
            self.state.key_numbers = ring.reach();
        }
    }

    /// The whole fold, in the journal and synced: its record's number, and its bytes.
    ///
    /// # Errors
    /// Where the disk refuses; the journal is then to be opened anew.
    pub(super) fn checkpoint(&mut self, clock: &dyn Clock) -> Result<Option<(u64, u64)>, RestoreError> {
        self.note_reach();
        let bytes = minicbor_serde::to_vec(&self.state).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(None);
        }
        let length = bytes.len() as u64;
        let header = self.append(&Record::Checkpoint(ByteBuf::from(bytes)), Lane::Technical, clock);
        self.state.cursor = header.seq;
        self.journal.commit()?;
        Ok(Some((header.seq, length)))
    }

    /// Before a segment goes, the fold and all that is owed stand in the journal behind it, synced.
    fn make_room(&mut self, clock: &dyn Clock) -> Result<(), RestoreError> {
        let Some((seq, bytes)) = self.checkpoint(clock)? else { return Ok(()) };
        let pause_bytes = (self.size_max_bytes / 10).max(2 * bytes);
        let beyond = self.journal.first_seq_within(self.size_max_bytes / 10 * 7);
        let removed = self.journal.remove_before(beyond.min(seq))?;
        self.make_room_above_bytes = self.journal.stat().bytes + pause_bytes;
        info!("removed {} settled journal segments ({} bytes)", removed.segments, removed.bytes);
        Ok(())
    }
}

fn not_opened(seqs: &[u64]) -> Option<String> {
    match seqs {
        [] => None,
        [seq] => Some(format!("record {seq}: its key does not open it")),
        [first, .., last] => {
            let count = seqs.len();
            Some(format!("{count} records between {first} and {last}: their keys do not open them"))
        }
    }
}

/// The technical alarm about places in the journal that cannot be read; `None` if there are none.
pub fn damaged(places: impl IntoIterator<Item = String>) -> Option<Fault> {
    let places: Vec<String> = places.into_iter().collect();
    if places.is_empty() {
        return None;
    }
    let detail = places.join("; ");
    warn!("the journal is damaged: {detail}");
    let detail = detail.chars().take(FAULT_DETAIL_CHARS_MAX).collect();
    Some(Fault { fault: "journal-damaged".into(), device: None, detail, active: true })
}

/// Damage told in a fault's record, in characters; the log and `vaka journal verify` have all of it.
const FAULT_DETAIL_CHARS_MAX: usize = 1_000;

/// Number of a journal's very first record.
const FIRST_SEQ: u64 = 1;

/// A fold under way, that notices records without their decisions.
struct Folding {
    state: State,
    /// All that is known is in the state: it began with a fold of this program's, or with the journal's very first record.
    is_whole: bool,
    /// The newest record that the rules judge, until the next one shows that they have.
    open: Option<(Header, Record)>,
    /// By sequence number.
    unjudged: BTreeMap<u64, Unjudged>,
}

impl From<State> for Folding {
    fn from(state: State) -> Self {
        // A saved fold is believed only if it is this program's.
        let is_whole = state.cursor > 0;
        Self { state, is_whole, open: None, unjudged: BTreeMap::new() }
    }
}

impl Folding {
    fn take(&mut self, header: Header, body: &[u8]) {
        self.is_whole |= header.seq == FIRST_SEQ;
        let record = match Record::decode(header.kind, body) {
            Ok(record) => record,
            Err(e) => return warn!(journal.seq = header.seq, "{e}: left out of the fold"),
        };
        if let Some((judged, earlier)) = self.open.take()
            && header.seq != judged.seq + 1
        {
            // Where the next number is there, it was judged and nothing was decided. Here it may have been lost.
            self.unjudged.insert(judged.seq, Unjudged { header: judged, record: earlier });
        }
        if let Record::Decisions(Decisions { cursor, .. }) = &record {
            self.unjudged.remove(cursor);
        }
        if matches!(record, Record::Gone) && !body.is_empty() {
            // Its days are over: a checkpoint, also an older program's, knows of what nobody can read any more.
            self.is_whole = false;
        }
        if let Record::Aged(_) = &record {
            // What was judged may be readable still where the decisions are not: nothing older is judged again.
            self.unjudged.clear();
        }
        match &record {
            Record::Checkpoint(bytes) => match minicbor_serde::from_slice::<State>(bytes) {
                // Of an older program, gone back to for a while: it knows nothing of what this one had recorded before.
                Ok(state) if self.is_whole && state.folded_by < FOLD => self.state.cursor = header.seq,
                Ok(state) => {
                    self.is_whole |= state.folded_by >= FOLD;
                    self.state = State { cursor: header.seq, ..state };
                }
                Err(e) => warn!(journal.seq = header.seq, "a checkpoint cannot be read: {e}"),
            },
            _ => self.state.apply(&header, &record, &mut Vec::new()),
        }
        if matches!(
            record,
            Record::Event(_)
                | Record::Quarantine(_)
                | Record::Path(_)
                | Record::Fault(_)
                | Record::Nobody(_)
                | Record::Silent(_)
        ) {
            self.open = Some((header, record));
        }
    }

    fn finish(mut self) -> (State, Vec<Unjudged>) {
        if let Some((header, record)) = self.open.take() {
            self.unjudged.insert(header.seq, Unjudged { header, record });
        }
        (self.state, self.unjudged.into_values().collect())
    }
}
