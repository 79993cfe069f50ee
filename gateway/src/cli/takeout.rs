//! `vaka export`, `vaka retention`: what is kept, taken out and counted.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::retention::{self, ABOVE_TENTHS, DOWN_TO_TENTHS, PACE_DAYS};
use crate::takeout::{self, TakeoutError};

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder, made or empty; it will hold personal data in clear
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Only what is about this resident
    #[arg(long, value_name = "ID")]
    pub resident: Option<String>,
    #[arg(long)]
    pub json: bool,
}

pub fn export(args: &ExportArgs, config: &Path) -> Result<Exit, Failure> {
    let attempt = "export what is kept";
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let written = takeout::write(&config, args.resident.as_deref(), &args.to).map_err(|error| {
        let exit = match &error {
            TakeoutError::Taken(_) | TakeoutError::Nobody { .. } => Exit::Usage,
            TakeoutError::Names(_) => Exit::FoundWrong,
            TakeoutError::File { .. } | TakeoutError::Journal(_) => Exit::Disk,
        };
        Failure::new(exit, attempt, error, "")
    })?;
    if args.json {
        print_json(&json!({"to": args.to, "written": written}))?;
        return Ok(Exit::Ok);
    }
    let records: u64 = written.records.values().sum();
    let to = args.to.display();
    print_line(&format!(
        "{to}: {records} records, {} alarms, {} names; begin with README.md",
        written.alarms, written.names
    ))?;
    if written.damaged > 0 {
        print_line(&format!("{} places in the journal could not be read and are missing", written.damaged))?;
    }
    Ok(Exit::Ok)
}

#[derive(Debug, Args)]
pub struct RetentionArgs {
    #[arg(long)]
    pub json: bool,
}

pub fn retention(args: &RetentionArgs, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let max_mib = config.journal.size_max_mib;
    let now_ms = SystemClock::new().now().wall_ms;
    let kept = retention::read(&config.journal.dir, max_mib << 20, &config.retention, now_ms)
        .map_err(|e| Failure::new(Exit::Disk, "count what is kept", e, ""))?;
    if args.json {
        print_json(&kept)?;
        return Ok(Exit::Ok);
    }
    let zone = &config.gateway.time_zone;
    for row in &kept.rows {
        let (oldest, newest) = (local_time(row.oldest_at, zone), local_time(row.newest_at, zone));
        print_line(&format!(
            "{:<12} {:<10} {:>9} records {:>12} bytes   {oldest} to {newest}",
            row.kind, row.lane, row.records, row.bytes
        ))?;
    }
    print_line(&format!(
        "{} of {max_mib} MiB. Whatever days are agreed: above {ABOVE_TENTHS}0 % the oldest segments go, whole, down to {DOWN_TO_TENTHS}0 %, after what is open was carried over.",
        kept.bytes >> 20
    ))?;
    let day = |at: i64| local_time(at, zone).split(' ').next().unwrap_or_default().to_owned();
    for class in &kept.classes {
        let name = &class.class;
        let days = class.days.map_or("as agreed when it was written".to_owned(), |days| format!("{days} days"));
        let mut said = format!("{name}: {days}");
        if let Some(at) = class.oldest_at {
            said += &format!("; readable since {}", day(at));
        }
        if let Some(until) = class.gone_until {
            said += &format!("; gone up to {}", day(until));
        }
        match (class.next_at, &class.held_by) {
            (Some(_), Some(alarm)) => said += &format!("; nothing goes as long as {alarm} is open"),
            (Some(at), None) if at <= now_ms => {
                said += &format!(
                    "; due since {}: it goes when the clock was vouched for, and not set, for six hours",
                    day(at)
                );
            }
            (Some(at), None) => said += &format!("; the next goes {}", day(at)),
            (None, _) => {}
        }
        print_line(&said)?;
    }
    if kept.aged > 0 {
        print_line(&format!("{} records stand there that nobody can read: their days are over.", kept.aged))?;
    }
    if !kept.not_held.is_empty() {
        print_line(&kept.not_held)?;
    }
    match (kept.goes_at, kept.days_kept) {
        (Some(at), Some(days)) => print_line(&format!(
            "At the pace of the last {PACE_DAYS} days the oldest go about {}; then about {days} days are kept.",
            local_time(at, zone).split(' ').next().unwrap_or_default()
        )),
        _ => print_line("It is too early to say when the oldest go."),
    }?;
    Ok(Exit::Ok)
}
