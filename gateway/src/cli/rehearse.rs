//! `vaka rehearse`: what an agreement would have done with recorded days.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::demo::replay;
use crate::journal::record::Decision;
use crate::rehearse::{SIGN_OF_LIFE_MS, agreement, rehearse, rows, said, table, with_signs_of_life};

/// How long after the last event the rules still look on, in milliseconds: what was due by then comes.
const TAIL_MS: i64 = 0;

#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// Recorded events, JSON lines: a home's log ({"t","sensor","on"}) or `vaka journal export`
    pub file: PathBuf,
    /// Every decision as a JSON line in place of the table
    #[arg(long)]
    pub json: bool,
    /// Take the recording as it is: a sensor that says nothing for an hour is not taken to live
    #[arg(long)]
    pub as_recorded: bool,
}

pub fn run(args: RehearseArgs, config: &Path) -> Result<Exit, Failure> {
    let attempt = format!("rehearse {}", args.file.display());
    let usage = |e: &dyn std::fmt::Display| Failure::new(Exit::Usage, &*attempt, e, "");
    let file = std::fs::File::open(&args.file).map_err(|e| usage(&e))?;
    let recording = replay::read(BufReader::new(file)).map_err(|e| usage(&e))?;
    let text = std::fs::read_to_string(config).map_err(|e| {
        Failure::new(Exit::Usage, format!("read {}", config.display()), e, "name what is agreed with --config FILE")
    })?;
    let config = agreement(&text, config, &recording).map_err(|e| Failure::config(&e))?;
    let mut events = said(&recording).map_err(|e| usage(&e))?;
    if !args.as_recorded {
        events = with_signs_of_life(&events, SIGN_OF_LIFE_MS);
    }
    let rehearsed = rehearse(&events, &config, TAIL_MS);
    let zone = &config.gateway.time_zone;
    if args.json {
        for (at, decision) in &rehearsed.log {
            print_json(&json!({"at": at, "decision": decision}))?;
        }
        return Ok(Exit::Ok);
    }
    for line in table(&rows(&rehearsed, zone), zone, None) {
        print_line(&line)?;
    }
    let english = config.gateway.language == crate::config::Language::En;
    for (at, decision) in &rehearsed.log {
        if let Decision::Raise(raise) = decision {
            let words = if english { &raise.en } else { &raise.sv };
            print_line(&format!("{}  {}  {}: {words}", local_time(*at, zone), raise.lane, raise.device))?;
        }
    }
    Ok(Exit::Ok)
}
