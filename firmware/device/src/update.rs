//! Another firmware, from the command to its proof. Enters: the command `update`, the file's bytes as the board fetches
//! them ([`Update::fetch`], [`Update::chunk`]), the gateway's word that it may restart ([`Update::may_restart`]). Leaves: a signed image in the slot that does not run, a restart
//! ([`Update::wants_restart`]), and what became of it.
//!
//! Invariants: nothing is erased for an image whose header is not signed, not for this kind of device, or not newer than
//! what was ever confirmed; a slot has a header only when what lies behind it was read back and is what was signed; a
//! power cut anywhere leaves a device that boots ([`boot`]) and goes on where it was; no flash is written and nothing
//! restarts while [`Cx::is_busy`]; what is proven boots only after the gateway has said so, for the device does not know
//! whether somebody else calls for help or is alone with it. Firmware on trial confirms itself by an event that the gateway acknowledged; without,
//! the next boot is the one before.
//!
//! An image runs at one address, and there is one file for either slot: the bootloader copies the chosen program to where
//! it was linked for, or the flash swaps its banks.

use embedded_storage::nor_flash::NorFlash;
use sha2::Sha256;
use vaka_protocol::{Command, CommandMessage, Outcome, StartCause};

use self::boot::{Boot, Layout, Slot, State, Trial};
use self::image::{HEADER_BYTES, Header, Keys, Target};
use self::task::Task;
use crate::Now;
use crate::role::{Carried, Cx, Role};

pub mod boot;
pub mod image;
mod reason;
mod steps;
mod task;

pub use reason::Reason;

/// Bytes that are written at once: a multiple of every flash's write unit that we know.
const BLOCK_BYTES: usize = 256;

/// After how many bytes the progress is kept; or after an erase unit, if that is longer. Longer: more is fetched again
/// after a power cut. Shorter: more wear on the flash that holds the events. Source: our choice.
pub const PROGRESS_BYTES: u32 = 4_096;

/// How much is read back at once; in between, the device looks after its role. Source: our choice; 4 KiB of SHA-256 are
/// some 2 ms on a Cortex-M4 at 64 MHz.
const READ_BACK_BYTES: u32 = 4_096;

/// How long firmware on trial has to get an event acknowledged, milliseconds. Longer: a device that reaches nobody stays
/// so. Shorter: a gateway's restart ends a good trial. Source: our choice.
pub const TRIAL_MS_MAX: u64 = 30 * 60_000;

/// How often in a row the file may not be had, before the update has failed. Source: our choice; with the pauses between
/// them some 7 hours.
pub const FETCH_TRIES_MAX: u8 = 12;

/// Pause after the first fetch that failed, milliseconds; doubles with each, up to [`FETCH_PAUSE_MS_MAX`].
pub const FETCH_PAUSE_MS: u64 = 60_000;

/// Longest pause between two fetches, milliseconds. Source: our choice.
pub const FETCH_PAUSE_MS_MAX: u64 = 3_600_000;

/// Longest pause after the gateway said "not now", milliseconds. Longer: a quiet moment passes unused. Shorter: a radio
/// that is on all night for nothing. Source: our choice.
pub const NOT_NOW_PAUSE_MS_MAX: u64 = 15 * 60_000;

/// How often an update looks whether it may go on or has been heard, milliseconds. Source: our choice.
const LOOK_MS: u64 = 1_000;

/// The same while it reads back: others get their turn in between.
const BUSY_LOOK_MS: u64 = 10;

/// What the board is to fetch: `GET url` with `Range: bytes=offset-`. Plain HTTP does: the image is signed.
///
/// The answer is told by its status: 206 by [`Update::chunk`], 503 by [`Update::not_now`], all else by
/// [`Update::not_fetched`]. Where `offset` is `size_bytes` all is here, and it is the question whether the device may
/// restart: 416 is yes ([`Update::may_restart`]), and nothing else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// Where it is.
    pub url: &'a str,
    /// The first byte that is missing.
    pub offset: u32,
    /// Bytes of the whole file.
    pub size_bytes: u32,
}

/// Why a chunk was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Somebody calls for help, a dose is given out, or the battery is low: give it again later.
    #[error("the device is busy; give the chunk again later")]
    Busy,
    /// It does not begin where the one before ended.
    #[error("the chunk is not the next; fetch from {wanted}")]
    OutOfOrder {
        /// The offset that is wanted.
        wanted: u32,
    },
    /// Nothing is being fetched, or the update has ended with this chunk: end the connection.
    #[error("nothing is being fetched")]
    NotWanted,
}

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "without an allocator there is nothing to box with")]
enum Stage {
    Idle,
    /// The bytes before this one are in the slot, or in memory.
    Fetching {
        at: u32,
    },
    /// Reads back what was written: how far, and the hashes of the file and of its body.
    Proving {
        at: u32,
        file: Sha256,
        body: Sha256,
    },
    /// Proven; the gateway has not said yet that it may restart.
    Proven,
    /// Boots next.
    Armed,
    /// This firmware is on trial.
    Trial,
}

/// The updates of a device. `F`: the flash with both slots and the record; it shares no erase unit with the events.
#[derive(Debug)]
pub struct Update<F> {
    flash: F,
    layout: Layout,
    running: Slot,
    target: Target,
    keys: Keys,
    state: State,
    /// What runs; `None`: a slot without a header, as a debugger writes it.
    own: Option<Header>,
    stage: Stage,
    task: Option<Task>,
    header: [u8; HEADER_BYTES],
    block: [u8; BLOCK_BYTES],
    tries: u8,
    /// How often in a row the gateway said "not now".
    refusals: u8,
    /// Not before, milliseconds since boot.
    fetch_ms: u64,
    wants_restart: bool,
    /// The command is answered and still kept.
    has_ended: bool,
}

impl<F: NorFlash> Update<F> {
    /// Reads the record. `boot`: what the bootloader chose, [`boot::choose`].
    pub fn new(mut flash: F, layout: Layout, boot: Boot, target: Target, keys: Keys) -> Self {
        const { assert!(BLOCK_BYTES.is_multiple_of(F::WRITE_SIZE) && BLOCK_BYTES.is_multiple_of(F::READ_SIZE)) };
        let running = boot.slot;
        let own = boot::header(&mut flash, &layout, running);
        let version = own.as_ref().map_or(0, |own| own.version);
        let state = boot::read(&mut flash, &layout).ok().flatten();
        let state = state.unwrap_or(State { confirmed: running, trial: Trial::None, floor: version });
        Self {
            flash,
            layout,
            running,
            target,
            keys,
            state,
            own,
            stage: Stage::Idle,
            task: None,
            header: [0; HEADER_BYTES],
            block: [0; BLOCK_BYTES],
            tries: 0,
            refusals: 0,
            fetch_ms: 0,
            wants_restart: false,
            has_ended: false,
        }
    }

    /// Why the device starts, for [`crate::Boot::cause`]. `None`: no update is the cause.
    pub fn start_cause(&self) -> Option<StartCause> {
        match (self.state.trial, self.is_trial()) {
            (Trial::None, _) => None,
            (_, true) => Some(StartCause::Update),
            (_, false) => Some(StartCause::RolledBack),
        }
    }

    /// This firmware has not confirmed itself yet.
    pub fn is_trial(&self) -> bool {
        self.state.trial == Trial::Running && self.running != self.state.confirmed
    }

    /// What the board is to fetch or to ask now. `None`: nothing, or not yet.
    pub fn fetch(&self, now: Now) -> Option<Fetch<'_>> {
        let task = self.task.as_ref().filter(|_| now.uptime_ms >= self.fetch_ms)?;
        let offset = match self.stage {
            Stage::Fetching { at } => at,
            Stage::Proven if self.state.trial == Trial::None => task.size_bytes,
            _ => return None,
        };
        Some(Fetch { url: &task.url, offset, size_bytes: task.size_bytes })
    }

    /// There was no answer, another than those that are known, or the connection ended too soon. After
    /// [`FETCH_TRIES_MAX`] in a row the update failed; until then the device stays as it is and asks again.
    pub fn not_fetched(&mut self, cx: &mut Cx<'_>) {
        if !self.is_asking() {
            return;
        }
        self.tries += 1;
        self.pause(self.tries, FETCH_PAUSE_MS_MAX, cx);
        if self.tries >= FETCH_TRIES_MAX {
            self.end(Reason::NotFetched, cx);
        }
    }

    /// The gateway answered that now is no time for it. That is no failure, however often: it is asked again later.
    pub fn not_now(&mut self, cx: &mut Cx<'_>) {
        if !self.is_asking() {
            return;
        }
        self.tries = 0;
        self.refusals = self.refusals.saturating_add(1);
        self.pause(self.refusals, NOT_NOW_PAUSE_MS_MAX, cx);
    }

    /// The gateway answered that the device may restart into what is proven. It counts for this moment: a device that is
    /// busy then asks again.
    pub fn may_restart(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.stage, Stage::Proven) {
            return;
        }
        if cx.is_busy() {
            return self.not_now(cx);
        }
        match self.note(State { trial: Trial::Armed, ..self.state }) {
            Ok(()) => self.stage = Stage::Armed,
            Err(reason) => self.end(reason, cx),
        }
    }

    fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Fetching { .. } | Stage::Proven)
    }

    /// The `times`-th pause in a row.
    fn pause(&mut self, times: u8, max_ms: u64, cx: &Cx<'_>) {
        let pause_ms = FETCH_PAUSE_MS << times.saturating_sub(1).min(10);
        self.fetch_ms = cx.now.uptime_ms + pause_ms.min(max_ms);
    }

    /// The file's bytes from `offset` on, of any length; returns the offset of the next. Erases a unit of flash now and
    /// then: the longer a chunk, the longer it takes.
    ///
    /// # Errors
    /// See [`NotTaken`]. What is wrong with the image itself ends the update and is told.
    pub fn chunk(&mut self, offset: u32, bytes: &[u8], cx: &mut Cx<'_>) -> Result<u32, NotTaken> {
        let Stage::Fetching { at: wanted } = self.stage else { return Err(NotTaken::NotWanted) };
        if cx.is_busy() {
            return Err(NotTaken::Busy);
        }
        if offset != wanted {
            return Err(NotTaken::OutOfOrder { wanted });
        }
        (self.tries, self.refusals) = (0, 0);
        self.fetch_ms = cx.now.uptime_ms;
        self.take(wanted, bytes, cx).map_err(|reason| {
            self.end(reason, cx);
            NotTaken::NotWanted
        })
    }

    /// Restart now: the board resets the processor. Looked at after each pass.
    pub fn wants_restart(&self) -> bool {
        self.wants_restart
    }

    /// Gives the flash back, as a power cut leaves it.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Takes up a command. `Err(None)`: that version runs already.
    fn begin(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Result<(), Option<Reason>> {
        let (task, version) = Task::from_command(message.id, &message.command).ok_or(Reason::Command)?;
        if matches!(self.stage, Stage::Armed | Stage::Trial) || self.state.trial == Trial::Armed {
            return Err(Some(Reason::Underway));
        }
        if self.own.as_ref().is_some_and(|own| own.name == *version) {
            return Err(None);
        }
        if task.size_bytes <= HEADER_BYTES as u32 || task.size_bytes > self.layout.slot_bytes {
            return Err(Some(Reason::Size));
        }
        self.settle(cx)?;
        // A newer command takes the place of the one before.
        if let Some(before) = self.task.take() {
            cx.done(before.id, Outcome::Failed);
        }
        self.stage = Stage::Idle;
        task::forget(cx).and_then(|()| task.keep(cx)).map_err(Reason::from)?;
        (self.stage, self.fetch_ms) = (Stage::Fetching { at: 0 }, cx.now.uptime_ms);
        (self.tries, self.refusals) = (0, 0);
        self.task = Some(task);
        Ok(())
    }

    fn take(&mut self, mut at: u32, bytes: &[u8], cx: &mut Cx<'_>) -> Result<u32, Reason> {
        let size = self.task.as_ref().map_or(0, |task| task.size_bytes);
        for byte in bytes {
            if at >= size {
                return Err(Reason::Size);
            }
            if let Some(place) = self.header.get_mut(at as usize) {
                *place = *byte;
            } else {
                self.block[at as usize % BLOCK_BYTES] = *byte;
            }
            at += 1;
            if at as usize == HEADER_BYTES {
                self.judge(size)?;
                task::keep_header(cx, &self.header)?;
            } else if at as usize > HEADER_BYTES && (at as usize).is_multiple_of(BLOCK_BYTES) || at == size {
                self.put_block(at, cx)?;
            }
        }
        self.stage = if at == size { self.proving() } else { Stage::Fetching { at } };
        Ok(at)
    }
}

impl<F: NorFlash> Role for Update<F> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.resume(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        self.wants_restart = false;
        let _ = self.settle(cx);
        match self.stage {
            Stage::Idle | Stage::Fetching { .. } => {}
            // Reading disturbs nobody, but the header is written at its end.
            Stage::Proving { .. } if cx.is_busy() => {}
            Stage::Proving { .. } => match self.prove() {
                Ok(true) => self.stage = Stage::Proven,
                Ok(false) => {}
                Err(reason) => self.end(reason, cx),
            },
            // Called for between the word and the restart: that word is over.
            Stage::Proven if self.state.trial == Trial::Armed && !cx.is_busy() => {
                if let Err(reason) = self.note(State { trial: Trial::None, ..self.state }) {
                    self.end(reason, cx);
                }
            }
            Stage::Proven => {}
            Stage::Armed if cx.is_busy() => self.stage = Stage::Proven,
            Stage::Armed => self.wants_restart = true,
            Stage::Trial if cx.is_heard => self.confirm(cx),
            Stage::Trial => self.wants_restart = cx.now.uptime_ms >= TRIAL_MS_MAX && !cx.is_busy(),
        }
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        if !matches!(message.command, Command::Update { .. }) {
            return Carried::NotMine;
        }
        match self.begin(message, cx) {
            Ok(()) => Carried::Underway,
            // It runs already: nothing to fetch.
            Err(None) => Carried::Done(Outcome::Done),
            Err(Some(reason)) => {
                self.tell(reason, cx);
                Carried::Done(reason.outcome())
            }
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        match self.stage {
            _ if self.has_ended => LOOK_MS,
            Stage::Idle => u64::MAX,
            // Then the board may fetch.
            Stage::Proven if self.state.trial == Trial::Armed => LOOK_MS,
            Stage::Fetching { .. } | Stage::Proven if now.uptime_ms >= self.fetch_ms => u64::MAX,
            Stage::Fetching { .. } | Stage::Proven => self.fetch_ms - now.uptime_ms,
            Stage::Proving { .. } => BUSY_LOOK_MS,
            Stage::Armed | Stage::Trial => LOOK_MS,
        }
    }

    fn underway(&self) -> Option<u64> {
        self.task.as_ref().map(|task| task.id)
    }
}
