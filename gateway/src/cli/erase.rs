//! `vaka erase --everything`: the end of a home on this box.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use clap::Args;
use vaka_protocol::Lane;

use super::{Exit, Failure, print_json, print_line};
use crate::backup::retire;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::erase;
use crate::pipeline::restore;

#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Keys, journal, names, agreements, devices: the whole home
    #[arg(long, required = true)]
    pub everything: bool,
    /// Do not ask; without it the gateway's id has to be typed
    #[arg(long)]
    pub yes: bool,
    /// Also while a life alarm is open
    #[arg(long)]
    pub even_so: bool,
    /// Leave the disk's free room as it is: faster, and what was removed or replaced before may still be read there
    #[arg(long)]
    pub quick: bool,
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &EraseArgs, config: &Path) -> Result<Exit, Failure> {
    let attempt = "erase this home";
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let open = match restore::read_only(&config.journal.dir) {
        Ok(state) => state.alarms.open().filter(|alarm| alarm.raise.lane == Lane::Life).count(),
        // What cannot be read is no reason to keep it.
        Err(_) => 0,
    };
    if open > 0 && !args.even_so {
        let cause = format!("{open} life alarms are open: somebody may be waiting for help");
        let fix = "go there, close them (`vaka alarm list`), or add --even-so";
        return Err(Failure::new(Exit::FoundWrong, attempt, cause, fix));
    }
    let id = config.gateway.id.to_string();
    if !args.yes {
        confirmed(&id).map_err(|cause| Failure::new(Exit::Usage, attempt, cause, "type the id, or add --yes"))?;
    }
    let now_ms = SystemClock::new().now().wall_ms;
    retire::retire(&config, None, now_ms)
        .map_err(|e| Failure::new(Exit::Usage, attempt, e, "stop the gateway (systemctl stop vaka), then again"))?;
    let erased = erase::everything(&config, !args.quick).map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
    if args.json {
        print_json(&erased)?;
        return Ok(Exit::Ok);
    }
    print_line(&format!(
        "{id} is erased: {} files ({} bytes) overwritten and removed, {} bytes of free room written over",
        erased.files, erased.bytes, erased.free_bytes
    ))?;
    print_line(&format!("not within reach: {}", erase::BEYOND))?;
    Ok(Exit::Ok)
}

fn confirmed(id: &str) -> Result<(), String> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        eprint!("Everything of {id} is erased for good. Type {id} to go on: ");
    }
    let mut line = String::new();
    let read = BufRead::read_line(&mut std::io::BufReader::new(&mut input), &mut line);
    match read {
        Ok(_) if line.trim() == id => Ok(()),
        _ => Err(format!("`{id}` was not typed: nothing is erased")),
    }
}
