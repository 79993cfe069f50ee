//! `vaka report`: figures of a span of days, as one page or as JSON.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::civil::Date;

use super::{Exit, Failure, language, print_json, print_line};
use crate::config::{Config, Language};
use crate::journal::ReadError;
use crate::report::{self, DAYS_MAX, Days};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// First day, such as 2026-11-01 [default: 30 days up to the journal's last]
    #[arg(long, value_name = "DATE", requires = "to")]
    pub from: Option<Date>,
    /// Last day, included
    #[arg(long, value_name = "DATE", requires = "from")]
    pub to: Option<Date>,
    /// Write the page here [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// sv or en [default: the gateway's language]
    #[arg(long, value_name = "LANG", value_parser = language)]
    pub lang: Option<Language>,
    /// The figures alone, as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: ReportArgs, config: &Path) -> Result<Exit, Failure> {
    let attempt = "make a report";
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let disk = |e: ReadError| Failure::new(Exit::Disk, attempt, e, "");
    let dir = &config.journal.dir;
    let days = match (args.from, args.to) {
        (Some(from), Some(to)) => asked(from, to).map_err(|cause| Failure::new(Exit::Usage, attempt, cause, ""))?,
        _ => report::last_days(dir, &config.agreed).map_err(disk)?.ok_or_else(|| {
            let fix = "it fills as devices send; or name the days with --from and --to";
            Failure::new(Exit::FoundWrong, attempt, "the journal is empty", fix)
        })?,
    };
    let figures = report::read(dir, &config.agreed, config.gateway.id.as_ref(), days).map_err(disk)?;
    if args.json {
        print_json(&figures)?;
        return Ok(Exit::Ok);
    }
    let page = report::page(&figures, &config.gateway.time_zone, args.lang.unwrap_or(config.gateway.language));
    match args.out {
        None => print_line(page.trim_end())?,
        Some(file) => {
            std::fs::write(&file, page)
                .map_err(|e| Failure::new(Exit::Disk, format!("write {}", file.display()), e, ""))?;
            print_line(&format!(
                "{}: {} to {}, counted from {} records",
                file.display(),
                days.from,
                days.to,
                figures.records
            ))?;
        }
    }
    Ok(Exit::Ok)
}

fn asked(from: Date, to: Date) -> Result<Days, String> {
    let days = i64::from(from.until(to).map_err(|e| e.to_string())?.get_days()) + 1;
    match days {
        ..=0 => Err(format!("--to {to} is before --from {from}; name the earlier day first")),
        1..=DAYS_MAX => Ok(Days { from, to }),
        _ => Err(format!("{days} days are more than {DAYS_MAX}; make one report for each year")),
    }
}
