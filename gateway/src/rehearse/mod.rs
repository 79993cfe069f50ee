//! A recording through the rules instead of a gateway: what would have been decided under this agreement.
//!
//! Enters: a recorded file's events, a config. Leaves: every decision with its moment, and the nights as the bed saw them. The
//! rules, the fold and the watch are the gateway's own (`rules::care::rehearsal`); days pass in seconds and nothing is stored.
//! Invariant: events are taken in the order of their time. Absent: receivers; an alarm stays open until the recording ends.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::tz::TimeZone;
use vaka_protocol::{DeviceId, Event};

use crate::config::{Config, ConfigError};
use crate::demo::replay::{Recording, Say};
use crate::ingest::payload;
use crate::journal::record::{Decision, Via};
use crate::pipeline;
use crate::report::nights::{Bed, Night};
use crate::rules::care::rehearsal::Rehearsal;
pub use table::{Row, rows, table};

/// How often a sensor that says nothing else shows that it lives, in milliseconds, where a recording lacks it.
///
/// Recordings for research hold changes alone. Every sensor on the market that can be supervised says more: an hour is the
/// longest usual interval of battery sensors. Source: makers' data sheets as far as public; our choice.
pub const SIGN_OF_LIFE_MS: i64 = 3_600_000;

/// One event of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// UTC milliseconds.
    pub at_ms: i64,
    pub device: DeviceId,
    pub event: Event,
}

/// What came of a recording.
pub struct Rehearsed {
    /// UTC milliseconds, and what was decided then.
    pub log: Vec<(i64, Decision)>,
    pub nights: BTreeMap<DeviceId, Vec<Night>>,
}

/// Why a recording cannot be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    #[error("rehearsing line {line}: nothing before it says when it was; give it a time (`at`, or `t`)")]
    NoTime { line: u64 },
    #[error("rehearsing line {line}: {what}")]
    Unreadable { line: u64, what: String },
}

/// The events of a recording in the order of their time. A line without a time of its own happened with the one before it.
///
/// # Errors
/// [`RehearseError`] names the line.
pub fn said(recording: &Recording) -> Result<Vec<Said>, RehearseError> {
    let mut all = Vec::new();
    let mut last_ms = None;
    for step in &recording.steps {
        let line = step.line;
        match &step.say {
            Say::Own { device, at, event } => {
                let at_ms = at.or(last_ms).ok_or(RehearseError::NoTime { line })?;
                last_ms = Some(at_ms);
                all.push(Said { at_ms, device: device.clone(), event: *event.clone() });
            }
            Say::Bridged { device, topic, payload } => {
                let at_ms = last_ms.ok_or(RehearseError::NoTime { line })?;
                let via = Via { bridge: device.clone(), topic: topic.clone(), calls: false };
                let read = payload::read(payload, Some(&via));
                let parsed = read.map_err(|e| RehearseError::Unreadable { line, what: e.0 })?;
                all.extend(parsed.events.into_iter().map(|event| Said { at_ms, device: device.clone(), event }));
            }
        }
    }
    all.sort_by_key(|said| said.at_ms);
    Ok(all)
}

/// Signs of life in between, wherever a device says nothing for `every_ms`: from its first word to the end of the recording.
pub fn with_signs_of_life(said: &[Said], every_ms: i64) -> Vec<Said> {
    let Some(end_ms) = said.last().map(|last| last.at_ms) else { return Vec::new() };
    let mut all = said.to_vec();
    let devices: BTreeSet<&DeviceId> = said.iter().map(|said| &said.device).collect();
    for device in devices {
        let own = said.iter().filter(|said| said.device == *device).map(|said| said.at_ms);
        let starts: Vec<i64> = own.collect();
        let ends = starts.iter().skip(1).copied().chain([end_ms]);
        for (from, until) in starts.iter().zip(ends) {
            let mut at_ms = from + every_ms;
            while at_ms < until {
                all.push(Said { at_ms, device: device.clone(), event: Event::Alive {} });
                at_ms += every_ms;
            }
        }
    }
    all.sort_by_key(|said| said.at_ms);
    all
}

/// The agreement in `text` (a vaka.toml) for this recording: what the recording has and the text does not name is added as a
/// device of the kind that its name and events speak of.
///
/// # Errors
/// As [`Config::parse`]; lines are those of `text`.
pub fn agreement(text: &str, path: &Path, recording: &Recording) -> Result<Config, ConfigError> {
    let named: BTreeSet<String> = match text.parse::<toml_edit::DocumentMut>() {
        Ok(document) => {
            let devices = document.get("device").and_then(|item| item.as_array_of_tables());
            let ids = devices.into_iter().flatten().filter_map(|device| device.get("id")?.as_str());
            ids.map(str::to_owned).collect()
        }
        // The real reader says what is wrong with it.
        Err(_) => BTreeSet::new(),
    };
    let mut text = text.to_owned();
    for (id, needed) in recording.devices.iter().filter(|(id, _)| !named.contains(id.as_str())) {
        text.push_str(&format!("\n[[device]]\nid = \"{id}\"\nkind = \"{}\"\n", needed.kind));
    }
    Config::parse(text.as_bytes(), path).map(|(config, _)| config)
}

/// Runs the events through the rules under `config`, until `tail_ms` after the last.
pub fn rehearse(said: &[Said], config: &Config, tail_ms: i64) -> Rehearsed {
    let zone = &config.gateway.time_zone;
    let (Some(first), Some(last)) = (said.first(), said.last()) else {
        return Rehearsed { log: Vec::new(), nights: BTreeMap::new() };
    };
    let mut rehearsal = Rehearsal::new(config.agreed.clone(), pipeline::home(config), first.at_ms);
    for said in said {
        rehearsal.until(said.at_ms);
        rehearsal.event(&said.device, &said.event);
    }
    rehearsal.until(last.at_ms + tail_ms);
    Rehearsed { log: rehearsal.log, nights: nights(said, zone) }
}

fn nights(said: &[Said], zone: &TimeZone) -> BTreeMap<DeviceId, Vec<Night>> {
    let mut beds: BTreeMap<&DeviceId, Bed> = BTreeMap::new();
    for (index, said) in said.iter().enumerate() {
        if let Event::Bed { occupied } = said.event {
            beds.entry(&said.device).or_default().said(said.at_ms, index as u64, occupied);
        }
    }
    beds.into_iter().map(|(device, bed)| (device.clone(), bed.nights(zone))).collect()
}
