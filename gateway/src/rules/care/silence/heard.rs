//! What is remembered of coming and going: whatever is agreed.
//!
//! Enters: that a device came or went, that anything was recorded, that the process started. Leaves: each connection's run of
//! goings, and since when this process listens. Invariant: a clock that was set while the process ran is taken into account
//! when the time is reckoned in which it did not run.

use serde::{Deserialize, Serialize};
use vaka_protocol::DeviceId;

use super::super::Sight;
use super::super::moment::{At, Moment};
use crate::limits::{LISTENING_MS, STEADY_MS};
use crate::rules::lookup::Lookup;

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Silences {
    #[serde(default)]
    lines: Lookup<DeviceId, Line>,
    /// The process ran without a long gap since this start. Absent: since ever.
    #[serde(default)]
    since: Option<At>,
    /// The newest start, and the newest record before it.
    #[serde(default)]
    started: Option<(At, Option<At>)>,
    #[serde(default)]
    newest: Option<At>,
}

/// A device's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub online: bool,
    /// When it came, or went.
    pub at: At,
    /// The newest coming after it had been away for long.
    #[serde(default)]
    pub back: Option<At>,
    /// How often it has gone without a rest between.
    #[serde(default)]
    pub run: u32,
    /// The first of these goings.
    #[serde(default)]
    pub since: Option<At>,
}

impl Silences {
    pub fn see(&mut self, sight: &Sight<'_>) {
        self.newest = Some(sight.recorded);
    }

    /// Decisions were recorded: the process runs.
    pub fn recorded(&mut self, at: At) {
        self.newest = Some(at);
    }

    /// The newest sign in the journal that the process runs.
    pub fn newest(&self) -> Option<At> {
        self.newest
    }

    pub fn alive(&mut self, device: &DeviceId, online: bool, recorded: At) {
        self.newest = Some(recorded);
        match self.lines.get_mut(device) {
            Some(line) => line.turn(online, recorded),
            None => {
                let (run, since) = if online { (0, None) } else { (1, Some(recorded)) };
                self.lines.insert(device.clone(), Line { online, at: recorded, back: None, run, since });
            }
        }
    }

    pub fn started(&mut self, recorded: At) {
        if let Some(since) = self.gap_ended(self.newest) {
            self.since = Some(since);
        }
        self.started = Some((recorded, self.newest));
        self.newest = Some(recorded);
    }

    /// The newest start, where the time before it was long. `until`: a moment of that run of the process, by its two clocks, so
    /// that a clock that was set after the start is known (many boxes learn the time only then).
    fn gap_ended(&self, until: Option<At>) -> Option<At> {
        let (started, before) = self.started?;
        let (before, until) = (before?, until.filter(|until| until.boot == started.boot)?);
        let set_ms = (until.wall_ms - until.mono_ms) - (started.wall_ms - started.mono_ms);
        let true_ms = started.wall_ms.saturating_add(set_ms);
        (true_ms.saturating_sub(before.wall_ms) >= LISTENING_MS + STEADY_MS)
            .then_some(At { wall_ms: true_ms, ..started })
    }

    pub fn line(&self, device: &DeviceId) -> Option<&Line> {
        self.lines.get(device)
    }

    /// The newest coming of this device after it had been away for long.
    pub fn back(&self, device: &DeviceId) -> Option<At> {
        self.lines.get(device)?.back
    }

    /// When this run of the process began, if it is that of `boot`.
    pub fn started_in(&self, boot: u32) -> Option<At> {
        self.started.map(|(at, _)| at).filter(|at| at.boot == boot)
    }

    /// Since when this process has listened without a long gap. None: since ever.
    pub fn listening_since(&self, now: Moment) -> Option<At> {
        let mono_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let until = At { wall_ms: now.wall_ms, mono_ms, boot: now.boot, record: 0 };
        self.gap_ended(Some(until)).or(self.since)
    }
}

impl Line {
    fn turn(&mut self, online: bool, at: At) {
        if self.online == online {
            return;
        }
        let lasted_ms = at.since_ms(&self.at);
        if online {
            if lasted_ms >= STEADY_MS {
                self.back = Some(at);
            }
        } else if self.run == 0 || lasted_ms >= STEADY_MS {
            (self.run, self.since) = (1, Some(at));
        } else {
            self.run = self.run.saturating_add(1);
        }
        (self.online, self.at) = (online, at);
    }
}
