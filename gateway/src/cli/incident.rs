//! `vaka incident`: one alarm as a file to send.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use vaka_protocol::AlarmId;

use super::{Exit, Failure, print_json, print_line};
use crate::config::Config;
use crate::incident::{self, IncidentError};

#[derive(Debug, Args)]
pub struct IncidentArgs {
    /// Id of the alarm
    pub alarm: String,
    /// Write the bundle here: a tar with a page and JSON
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// With ids, names and people's words: it then holds personal data
    #[arg(long)]
    pub named: bool,
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &IncidentArgs, config: &Path) -> Result<Exit, Failure> {
    let attempt = format!("bundle alarm {}", args.alarm);
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let alarm: AlarmId = super::alarm::alarm_id(&args.alarm, &attempt)?;
    let failed = |error: IncidentError| {
        let exit = if matches!(error, IncidentError::NoAlarm(_)) { Exit::FoundWrong } else { Exit::Disk };
        Failure::new(exit, &*attempt, error, "")
    };
    let found = incident::read(&config, &alarm, args.named).map_err(failed)?;
    incident::write(&found, &config, &args.to).map_err(failed)?;
    if args.json {
        print_json(&json!({"to": args.to, "records": found.timeline.len(), "more": found.more, "named": found.named}))?;
        return Ok(Exit::Ok);
    }
    let (to, records) = (args.to.display(), found.timeline.len());
    let without = if found.named { "with names: personal data" } else { "without names" };
    print_line(&format!("{to}: {records} records, {without}; incident.html is to read, incident.json for programs"))?;
    Ok(Exit::Ok)
}
