//! The steps of an update that write: into the slot, its proof, the record; and how it ends.

use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha256};
use vaka_protocol::{Event, Outcome};

use super::boot::{self, State, Trial};
use super::image::{HEADER_BYTES, Header, is_signed};
use super::task::{self, Task};
use super::{BLOCK_BYTES, PROGRESS_BYTES, READ_BACK_BYTES, Reason, Stage, Update};
use crate::role::Cx;

impl<F: NorFlash> Update<F> {
    /// Takes up what was underway when the power went.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) {
        self.task = Task::read(cx);
        if self.is_trial() {
            self.stage = Stage::Trial;
            return;
        }
        if self.state.trial != Trial::None {
            // The record says so until the command is forgotten: else the rolled back image would be proven and tried again.
            self.end(Reason::RolledBack, cx);
            self.has_ended = true;
            return;
        }
        let Some(size) = self.task.as_ref().map(|task| task.size_bytes) else { return };
        let header = task::header(cx);
        if header.is_some() && header.and_then(|bytes| Header::parse(&bytes).ok()) == self.own {
            // Confirmed, and cut before the answer.
            self.succeed(cx);
            return;
        }
        let at = match header {
            Some(header) => {
                self.header = header;
                // Cut while the header was written: its unit must be erased, and with it the begin of the body.
                let is_torn = self.slot_header().is_ok_and(|there| there != header && there != [0xff; HEADER_BYTES]);
                let progress = task::progress(cx).filter(|at| *at < size || !is_torn);
                progress.unwrap_or(HEADER_BYTES as u32)
            }
            None => 0,
        };
        self.stage = if at == size { self.proving() } else { Stage::Fetching { at } };
    }

    /// The header is here: is this an image that this device may take?
    pub(super) fn judge(&self, size: u32) -> Result<(), Reason> {
        let header = Header::parse(&self.header)?;
        // First of all: what is not signed says nothing.
        if !is_signed(&self.header, &self.keys) {
            return Err(Reason::Signature);
        }
        if !header.is_for(&self.target) {
            return Err(Reason::Target);
        }
        if header.file_bytes() != Some(size) {
            return Err(Reason::Size);
        }
        if header.version <= self.floor() {
            return Err(Reason::Downgrade);
        }
        Ok(())
    }

    /// Nothing up to this version is taken.
    fn floor(&self) -> u32 {
        self.state.floor.max(self.own.as_ref().map_or(0, |own| own.version))
    }

    /// Writes the block that ends at `at` of the file, and erases in front of it.
    pub(super) fn put_block(&mut self, at: u32, cx: &mut Cx<'_>) -> Result<(), Reason> {
        let unit = F::ERASE_SIZE as u32;
        let begin = (at - 1) / BLOCK_BYTES as u32 * BLOCK_BYTES as u32;
        self.block[(at - begin) as usize..].fill(0xff);
        let slot = self.layout.at(self.running.other());
        // The units of the header and of the first of the body, then each.
        let erase = if begin == HEADER_BYTES as u32 {
            Some((0, (begin / unit + 1) * unit))
        } else if begin.is_multiple_of(unit) {
            Some((begin, begin + unit))
        } else {
            None
        };
        if let Some((from, to)) = erase {
            self.flash.erase(slot + from, slot + to).map_err(|_| Reason::Flash)?;
        }
        self.flash.write(slot + begin, &self.block).map_err(|_| Reason::Flash)?;
        let is_last = self.task.as_ref().is_some_and(|task| task.size_bytes == at);
        if is_last || at.is_multiple_of(PROGRESS_BYTES.max(unit)) {
            task::keep_progress(cx, at)?;
        }
        Ok(())
    }

    /// Everything is written: read it back from the begin.
    pub(super) fn proving(&self) -> Stage {
        let file = Sha256::new().chain_update(self.header);
        Stage::Proving { at: HEADER_BYTES as u32, file, body: Sha256::new() }
    }

    /// Reads back a part of the slot. True: all of it is right, and the slot has its header.
    pub(super) fn prove(&mut self) -> Result<bool, Reason> {
        let Stage::Proving { at, file, body } = &mut self.stage else { return Ok(false) };
        let Some(task) = &self.task else { return Err(Reason::Command) };
        let slot = self.layout.at(self.running.other());
        let end = task.size_bytes.min(at.saturating_add(READ_BACK_BYTES));
        while *at < end {
            self.flash.read(slot + *at, &mut self.block).map_err(|_| Reason::Flash)?;
            let part = &self.block[..BLOCK_BYTES.min((task.size_bytes - *at) as usize)];
            file.update(part);
            body.update(part);
            *at += part.len() as u32;
        }
        if *at < task.size_bytes {
            return Ok(false);
        }
        let (file, body) = (file.clone().finalize(), body.clone().finalize());
        let header = Header::parse(&self.header)?;
        if file[..] != task.sha256 || body[..] != header.sha256 {
            return Err(Reason::Damaged);
        }
        // Judged once more: the header was kept, perhaps over another firmware and its keys.
        self.judge(task.size_bytes)?;
        let there = self.slot_header()?;
        if there == self.header {
            // Cut right after it was written.
            return Ok(true);
        }
        if there != [0xff; HEADER_BYTES] {
            return Err(Reason::Damaged);
        }
        self.flash.write(slot, &self.header).map_err(|_| Reason::Flash)?;
        if self.slot_header()? == self.header { Ok(true) } else { Err(Reason::Damaged) }
    }

    /// What stands where the header of the other slot goes.
    fn slot_header(&mut self) -> Result<[u8; HEADER_BYTES], Reason> {
        let mut there = [0; HEADER_BYTES];
        let slot = self.layout.at(self.running.other());
        self.flash.read(slot, &mut there).map_err(|_| Reason::Flash)?;
        Ok(there)
    }

    /// Writes the record.
    pub(super) fn note(&mut self, state: State) -> Result<(), Reason> {
        boot::write(&mut self.flash, &self.layout, state)?;
        self.state = state;
        Ok(())
    }

    /// This firmware has proved itself.
    pub(super) fn confirm(&mut self, cx: &mut Cx<'_>) {
        let floor = self.floor();
        // Not written: tried again at the next look, until the trial's time is over.
        if self.note(State { confirmed: self.running, trial: Trial::None, floor }).is_ok() {
            self.succeed(cx);
        }
    }

    /// The command is carried out.
    pub(super) fn succeed(&mut self, cx: &mut Cx<'_>) {
        self.clear(cx);
        self.answer(Outcome::Done, cx);
    }

    /// The update came to nothing.
    pub(super) fn end(&mut self, reason: Reason, cx: &mut Cx<'_>) {
        self.tell(reason, cx);
        self.answer(reason.outcome(), cx);
    }

    /// Tells why, once as long as it stays so.
    pub(super) fn tell(&mut self, reason: Reason, cx: &mut Cx<'_>) {
        if task::told(cx) == Some(reason) {
            return;
        }
        self.clear(cx);
        cx.tell(Event::Fault { part: reason.part(), active: true });
        task::keep_told(cx, reason);
    }

    /// What was told of the update before is over.
    pub(super) fn clear(&mut self, cx: &mut Cx<'_>) {
        if let Some(reason) = task::told(cx) {
            cx.tell(Event::Fault { part: reason.part(), active: false });
            task::forget_told(cx);
        }
    }

    /// Answers the command. It is kept until the answer is, so that a cut in between answers again.
    fn answer(&mut self, outcome: Outcome, cx: &mut Cx<'_>) {
        self.stage = Stage::Idle;
        (self.tries, self.refusals) = (0, 0);
        if let Some(task) = self.task.take() {
            cx.done(task.id, outcome);
            self.has_ended = true;
        }
    }

    /// The answer is kept: lets go of the command, and of a trial that was rolled back. A flash that fails: tried again.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) -> Result<(), Reason> {
        if self.has_ended {
            task::forget(cx)?;
            if self.state.trial != Trial::None && !self.is_trial() {
                self.note(State { trial: Trial::None, ..self.state })?;
            }
            self.has_ended = false;
        }
        Ok(())
    }
}
