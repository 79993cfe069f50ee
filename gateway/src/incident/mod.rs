//! What happened around one alarm, as one file to send: the timeline, what explains it, figures, versions, the configuration.
//!
//! Enters: a home's journal, read beside the running gateway or without one; an alarm. Leaves: a tar with a page for people (`incident.html`) and
//! the same for programs (`incident.json`). Invariants: without `named` no id, name, address, place or word of a person or of a device's
//! name is in it: what is not known to be harmless is left out ([`scrub`]); no secret is in it in any case; a figure without a record behind
//! it is not shown. Absent: pictures, positions, what happened to others.

mod page;
pub mod scrub;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use vaka_protocol::AlarmId;

use crate::board::names::Names;
use crate::config::Config;
use crate::journal::record::{Decision, Record};
use crate::journal::{ReadError, reader};
use crate::limits::{INCIDENT_AFTER_MS, INCIDENT_BEFORE_MS, INCIDENT_LINES_MAX, INCIDENT_SPAN_MS_MAX};
use crate::pipeline::export;
use crate::pipeline::restore;
use crate::pipeline::view::{self, Labels};
use scrub::Scrub;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error(transparent)]
    Archive(#[from] vaka_archive::ArchiveError),
    #[error(
        "there is no alarm {0} in the journal; `vaka alarm list --all` shows those that are known, older ones may have gone with their records"
    )]
    NoAlarm(AlarmId),
}

/// What is in the bundle.
#[derive(Debug, Serialize)]
pub struct Incident {
    pub alarm: String,
    /// False: ids are replaced, words of people left out.
    pub named: bool,
    /// Versions of the program: that wrote the records, and that made this.
    pub versions: BTreeMap<&'static str, String>,
    /// UTC milliseconds, both.
    pub from: i64,
    pub until: i64,
    /// The alarm as `vaka alarm show` tells it; null where it is remembered no longer.
    pub shown: Value,
    /// Records around it, oldest first, as `vaka journal export` writes them.
    pub timeline: Vec<Value>,
    /// Records that did not fit.
    pub more: u64,
    pub figures: Figures,
    /// vaka.toml without secrets.
    pub config: Value,
}

/// What the journal can tell in numbers.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Events stored in the span, by lane, of all devices.
    pub events: BTreeMap<String, u64>,
    pub refused: u64,
    pub starts: u64,
    pub paths_lost: u64,
    pub faults: u64,
    /// From the record of the alarm to each rung of its first notice, milliseconds.
    pub rung_after_ms: BTreeMap<String, i64>,
    /// Records in the span.
    pub records: u64,
}

/// What the first reading finds of the alarm.
#[derive(Debug, Default)]
struct Found {
    raised_at: Option<i64>,
    last_at: i64,
    device: String,
}

/// Reads what there is of `alarm`.
///
/// # Errors
/// [`IncidentError`].
pub fn read(config: &Config, alarm: &AlarmId, named: bool) -> Result<Incident, IncidentError> {
    let dir = &config.journal.dir;
    let found = find(dir, alarm)?;
    let Some(raised_at) = found.raised_at else { return Err(IncidentError::NoAlarm(alarm.clone())) };
    let from = raised_at - INCIDENT_BEFORE_MS;
    let until = (found.last_at + INCIDENT_AFTER_MS).min(raised_at + INCIDENT_SPAN_MS_MAX);
    let mut scrub = Scrub::new(config, &Names::of(config), named);
    let id = alarm.to_string();
    let (mut timeline, mut more, mut figures, mut version) = (Vec::new(), 0, Figures::default(), String::new());
    reader::scan(dir, 0, |entry| {
        let header = entry.header;
        let line = export::line(&header, entry.body);
        let kind = line["kind"].as_str().unwrap_or_default();
        if kind == "boot" && header.wall_ms <= until {
            version = line["version"].as_str().unwrap_or_default().to_owned();
        }
        if !(from..=until).contains(&header.wall_ms) {
            return ControlFlow::Continue(());
        }
        figures.count(kind, &line);
        if kind == "rung" && line["alarm"] == id.as_str() && line["notice"] == 0 {
            let rung = line["rung"].as_str().unwrap_or_default().to_owned();
            figures.rung_after_ms.entry(rung).or_insert(header.wall_ms - raised_at);
        }
        if let Some(part) = part(line, &id, &found.device) {
            if timeline.len() < INCIDENT_LINES_MAX {
                timeline.push(scrub.record(part));
            } else {
                more += 1;
            }
        }
        ControlFlow::Continue(())
    })?;
    let state = restore::read_only(dir)?;
    let shown =
        view::show(&state, &Labels::from_config(config), alarm).map_or(Value::Null, |shown| scrub.record(shown));
    let versions = BTreeMap::from([("then", version), ("made by", env!("CARGO_PKG_VERSION").to_owned())]);
    let config = scrub.config(&config.file);
    Ok(Incident { alarm: id, named, versions, from, until, shown, timeline, more, figures, config })
}

/// Writes the bundle to `to`: a tar, all or nothing.
///
/// # Errors
/// [`IncidentError::Archive`].
pub fn write(incident: &Incident, config: &Config, to: &Path) -> Result<(), IncidentError> {
    let page = page::page(incident, &config.gateway.time_zone);
    let facts = format!("{:#}\n", json!(incident));
    Ok(vaka_archive::bundle(to, &[("incident.html", page.as_bytes()), ("incident.json", facts.as_bytes())])?)
}

fn find(dir: &Path, alarm: &AlarmId) -> Result<Found, ReadError> {
    let mut found = Found::default();
    reader::scan(dir, 0, |entry| {
        let at = entry.header.wall_ms;
        let is_of = match entry.decode() {
            Ok(Record::Decisions(decisions)) => decisions.decisions.iter().any(|decision| match decision {
                Decision::Raise(raise) if raise.alarm == *alarm => {
                    found.raised_at.get_or_insert(at);
                    found.device = raise.device.to_string();
                    true
                }
                Decision::Join(join) => join.alarm == *alarm,
                _ => false,
            }),
            Ok(Record::Rung(rung)) => rung.alarm == *alarm,
            Ok(Record::Act(act)) => act.alarm == *alarm,
            _ => false,
        };
        if is_of {
            found.last_at = found.last_at.max(at);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// What of a line belongs to the alarm, or to how the gateway was.
fn part(mut line: Value, alarm: &str, device: &str) -> Option<Value> {
    match line["kind"].as_str().unwrap_or_default() {
        "boot" | "path" | "fault" | "refusal" => Some(line),
        "decisions" => {
            let Value::Array(decisions) = line["decisions"].take() else { return None };
            let is_its = |decision: &Value| {
                let what = decision.as_object().and_then(|one| one.values().next());
                what.is_some_and(|what| what["alarm"] == alarm)
            };
            let its: Vec<Value> = decisions.into_iter().filter(is_its).collect();
            line["decisions"] = its.into();
            (line["decisions"].as_array().is_some_and(|its| !its.is_empty())).then_some(line)
        }
        "trace" => (line["object"].as_str().is_some_and(|object| object.contains(alarm))).then_some(line),
        "look" => (line["step"]["asked"]["alarm"] == alarm).then_some(line),
        "event" | "alive" | "quarantine" => (line["device"] == device).then_some(line),
        _ => (line["alarm"] == alarm).then_some(line),
    }
}

impl Figures {
    fn count(&mut self, kind: &str, line: &Value) {
        self.records += 1;
        match kind {
            "event" => *self.events.entry(line["lane"].as_str().unwrap_or("unknown").to_owned()).or_default() += 1,
            "refusal" => self.refused += line["count"].as_u64().unwrap_or_default(),
            "boot" => self.starts += 1,
            "path" if line["up"] == false => self.paths_lost += 1,
            "fault" if line["active"] == true => self.faults += 1,
            _ => {}
        }
    }
}
