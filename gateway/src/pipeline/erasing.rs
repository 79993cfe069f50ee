//! One resident's data made unreadable, and the keys that this rests on.
//!
//! Enters: whose, by whom. Leaves: a durable record of it, a fold that remembers nothing of them, their key destroyed. The order: the record;
//! a new key for folds and a checkpoint under it; then the resident's key and those of all earlier folds go, in one write. A crash in between
//! is finished at the next start, which finds the record and a key that should be gone.
//! Invariants: a resident with an open alarm is not erased; without `keys` nothing is done and it is said why.

use std::collections::BTreeSet;
use std::path::Path;

use tracing::{error, info, warn};
use vaka_protocol::{DeviceId, Lane};
use vaka_seal::{KeyError, Place, Ring};

use super::ageing::Ageing;
use super::fold::State;
use super::follow::Touched;
use super::keeper::{Ask, Keeper};
use super::restore::{RestoreError, Restored};
use super::view::Labels;
use super::whose::Whose;
use crate::journal::Concerns;
use crate::journal::error::SealError;
use crate::journal::record::{Decision, Erased, Fault, Record};
use crate::journal::seal_old::{self, Sealed};
use crate::journal::unread;
use crate::rules::UNREAD_LIFE_FAULT;

/// The fault that says that something is not sealed as it should be, or not erased yet.
pub const FAULT: &str = "sealing";

const IN_CLEAR: &str = "records are stored in clear; restart the gateway";

/// As what a fold in the index is sealed: no record is of this kind.
const FOLD_KIND: u8 = 255;

/// In front of a sealed fold; then its key's number.
const FOLD_MAGIC: &[u8; 8] = b"VAKAFOLD";

/// The fold as the index keeps it where the journal is sealed; `None`: it is not.
pub(super) fn sealed_fold(ring: Option<&mut Ring>, position: u64, state: &State) -> Option<Vec<u8>> {
    let ring = ring?;
    let mut bytes = FOLD_MAGIC.to_vec();
    bytes.extend_from_slice(&[0; 4]);
    let head = bytes.len();
    bytes.extend(minicbor_serde::to_vec(state).ok()?);
    let used = ring.seal(ring.folds(), Place { seq: position, kind: FOLD_KIND }, &mut bytes, head);
    // A fold in clear is not worth a shorter start.
    if used != ring.folds() {
        return Some(Vec::new());
    }
    bytes[FOLD_MAGIC.len()..head].copy_from_slice(&used.to_le_bytes());
    Some(bytes)
}

/// What [`sealed_fold`] made; a fold in clear where the journal is not sealed. `None`: it cannot be believed.
pub(super) fn opened_fold(ring: Option<&mut Ring>, position: u64, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let Some(ring) = ring else { return Some(bytes) };
    let (id, sealed) = bytes.strip_prefix(FOLD_MAGIC)?.split_first_chunk()?;
    ring.open_body(u32::from_le_bytes(*id), Place { seq: position, kind: FOLD_KIND }, sealed).ok()?
}

/// Seals the journal of a stopped gateway, whose records are in clear.
///
/// # Errors
/// [`SealError`].
pub fn seal_old(dir: &Path, labels: &Labels) -> Result<Sealed, SealError> {
    let whose = Whose::of(labels);
    let mut state = State::default();
    seal_old::seal(dir, &whose.by_resident(), |entry| {
        let record = entry.decode().ok()?;
        // Decisions on whole alarms rest on what came before: so it is folded as it is read.
        let of = match whose.concerns(&state, &record) {
            Concerns::Resident(id) => Some(id.to_owned()),
            Concerns::Home => None,
        };
        match &record {
            Record::Checkpoint(bytes) => state = minicbor_serde::from_slice(bytes).unwrap_or_default(),
            _ => state.apply(&entry.header, &record, &mut Vec::new()),
        }
        of
    })
}

impl Restored {
    /// Decisions of several people, each one's together and in their order; all in one where nothing is sealed.
    pub(super) fn apart(&mut self, decisions: Vec<Decision>) -> Vec<Vec<Decision>> {
        if self.journal.ring().is_none() {
            return vec![decisions];
        }
        let mut groups: Vec<(Option<String>, Vec<Decision>)> = Vec::new();
        for decision in decisions {
            let whose = self.whose.decided(&self.state, &decision).map(str::to_owned);
            match groups.iter_mut().find(|(of, _)| *of == whose) {
                Some((_, group)) => group.push(decision),
                None => groups.push((whose, vec![decision])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// Everybody here has a key.
    fn live_here(&mut self, whose: Whose) -> Result<(), KeyError> {
        let residents = whose.by_resident();
        self.whose = whose;
        self.journal.ring().map_or(Ok(()), |ring| ring.lives_here(&residents))
    }
}

/// How the answer begins where there is no key to erase.
pub const NOTHING_OF: &str = "nothing is recorded of";

/// Why an erasure is recorded and not finished.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfinished {
    #[error(transparent)]
    Journal(#[from] RestoreError),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Keeper {
    /// By the config in force.
    pub(super) fn live_here(&mut self) {
        let whose = Whose::of(&self.labels);
        self.keyless = match self.restored.live_here(whose) {
            Ok(()) => String::new(),
            Err(e) => {
                error!(
                    "making keys for the residents: {e}; what is recorded of new ones is sealed with the home's key"
                );
                e.to_string()
            }
        };
        self.begin_periods(false);
    }

    /// Something is not sealed as it should be: each trouble is told once, also beside another, and that all is well again.
    pub(super) fn tell_keys(&mut self) {
        let in_clear = if self.restored.journal.unsealed() > 0 { IN_CLEAR } else { "" };
        // What is said first is what can be mended first.
        let leftover = self.restored.journal.ring().map_or_else(String::new, |ring| ring.leftover().to_owned());
        let Restored { in_clear: cut_off, unread, .. } = &self.restored;
        let Ageing { trouble, not_begun, .. } = &self.ageing;
        let all = [in_clear, &self.keyless, &self.unerased, trouble, not_begun, cut_off, &leftover, unread];
        let detail = all.into_iter().filter(|why| !why.is_empty()).collect::<Vec<_>>().join(". ");
        let (active, state) = (!detail.is_empty(), &self.restored.state);
        if active != state.fault_is_active(FAULT) || (active && detail != state.sealing) {
            self.take_ask(Ask::Fault(Fault { fault: FAULT.into(), device: None, detail, active }));
        }
    }

    /// Once that is on the disk: a loss whose keys are back by the next start is not told again.
    pub(super) fn settle_told(&mut self) {
        if !self.restored.unread.is_empty()
            && self.restored.state.fault_is_active(FAULT)
            && let Err(e) = unread::settle_told(self.restored.journal.dir())
        {
            warn!("noting that people were told of lost keys: {e}; the next start tells it again");
        }
    }

    /// What could not be done with keys is tried again: for want of room it need not wait for the next start.
    pub(super) fn retry_keys(&mut self) {
        if !self.unerased.is_empty() {
            self.finish_erasures();
        }
        // Which begins periods too.
        if !self.keyless.is_empty() || !self.ageing.not_begun.is_empty() {
            self.live_here();
        }
    }

    /// A press that was acknowledged just before the keys were lost may be nobody's but ours to tell: somebody is called, once for each loss.
    pub(super) fn call_for_unread(&mut self) {
        for lost in std::mem::take(&mut self.restored.lost) {
            let fault = format!("{UNREAD_LIFE_FAULT}{}", lost.number);
            // Told already, where the power went before that was noted.
            if !self.restored.state.fault_is_active(&fault) {
                let at = jiff::Timestamp::from_millisecond(lost.life_ms)
                    .map_or_else(|_| "?".to_owned(), |at| at.to_string());
                let detail = format!("the last record of an alarm in journal/unread-{} is of {at}", lost.number);
                let fault = Fault { fault: fault.clone(), device: None, detail, active: true };
                self.append_unrepeatable(Record::Fault(fault), Lane::Life);
                self.commit();
            }
            if self.restored.state.fault_is_active(&fault)
                && let Err(e) = lost.settle()
            {
                warn!("noting that somebody was called: {e}; the next start looks again");
            }
        }
    }

    /// # Errors
    /// Why nothing is erased, or that it is not finished.
    pub(super) fn erase(&mut self, resident: &str, by: &str) -> Result<Erased, String> {
        if self.watch_whole().people.iter().any(|person| person.id == resident) {
            return Err(format!(
                "`{resident}` still lives here by vaka.toml: take their [[resident]] out of it, and `resident = \"{resident}\"` \
                 of their devices, reload (systemctl reload vaka), then again"
            ));
        }
        self.try_finish_erasures().map_err(|e| format!("an earlier erasure is recorded and not finished: {e}"))?;
        let Restored { journal, state, whose, .. } = &mut self.restored;
        let Some(ring) = journal.ring() else {
            return Err("this journal is not sealed: stop the gateway, `vaka journal seal`, then again".to_owned());
        };
        let Some(key) = ring.of(resident) else {
            let known: Vec<&str> = ring.residents().collect();
            return Err(format!("{NOTHING_OF} `{resident}`, or it is erased already; known: {}", known.join(", ")));
        };
        let once: BTreeSet<DeviceId> =
            ring.devices_of(resident).iter().filter_map(|id| DeviceId::try_from(id.as_str()).ok()).collect();
        let passed_on: BTreeSet<DeviceId> =
            once.iter().filter(|device| whose.device(device).is_some()).cloned().collect();
        let is_theirs = |alarm: &&crate::rules::alarms::Alarm| match whose.raised(alarm) {
            Some(of) => of == resident,
            None => once.contains(&alarm.raise.device),
        };
        let open: Vec<&str> = state.alarms.open().filter(is_theirs).map(|alarm| alarm.id().as_str()).collect();
        if !open.is_empty() {
            return Err(format!(
                "alarms of `{resident}` are open: {}; somebody may be waiting for help. Close them first (`vaka alarm close ID`)",
                open.join(", ")
            ));
        }
        let erased =
            Erased { resident: resident.to_owned(), devices: once, passed_on, keys: vec![key], by: by.to_owned() };
        self.append(Record::Erased(erased.clone()), Lane::Technical);
        // Pages and their rows are made anew.
        self.touched = Touched::anew();
        self.commit();
        if !self.restored.state.erased_keys.contains(&key) {
            return Err("the journal could not be written: nothing is erased; try again".to_owned());
        }
        match self.finish_erasures() {
            true => Ok(erased),
            false => Err(format!("it is recorded: {}", self.unerased)),
        }
    }

    /// What is recorded, and not done: a crash or a full disk cut it off. False: it is so still, and people are told.
    pub(super) fn finish_erasures(&mut self) -> bool {
        self.unerased = match self.try_finish_erasures() {
            Ok(()) => String::new(),
            Err(e) => {
                error!("finishing an erasure: {e}; tried again within the hour");
                format!("an erasure is not finished: {e}; tried again within the hour")
            }
        };
        self.unerased.is_empty()
    }

    fn try_finish_erasures(&mut self) -> Result<(), Unfinished> {
        let Restored { journal, state, .. } = &mut self.restored;
        let Some(ring) = journal.ring() else { return Ok(()) };
        ring.doom(&state.erased_keys);
        let ids: Vec<u32> = state.erased_keys.iter().copied().filter(|id| ring.has(*id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.destroy(|ring| ring.shred(&ids))?;
        info!("one resident's data was erased: {} keys destroyed", ids.len());
        Ok(())
    }

    /// What `shred` takes goes for good, after the fold stands in the journal under a key that stays.
    pub(super) fn destroy(&mut self, shred: impl FnOnce(&mut Ring) -> Result<(), KeyError>) -> Result<(), Unfinished> {
        let Some(ring) = self.restored.journal.ring() else { return Ok(()) };
        ring.renew_folds()?;
        let clock = self.clock.clone();
        if let Err(e) = self.restored.checkpoint(clock.as_ref()) {
            // Nothing is lost of it: no key has gone yet.
            self.recover();
            return Err(e.into());
        }
        if let Some(ring) = self.restored.journal.ring() {
            shred(ring)?;
        }
        // Noise already, as its key is gone; the next one is begun without it.
        if let Err(e) = self.restored.index.delete() {
            warn!("deleting the index after keys were destroyed: {e}");
        }
        self.restored.save();
        Ok(())
    }
}
