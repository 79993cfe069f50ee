//! `vaka device update`: firmware of the devices, asked of the running gateway.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use vaka_protocol::DeviceId;

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::config::Config;
use crate::firmware::Wish;
use crate::pipeline::control::{self, Request};

/// How often the gateway is asked how far it is, in milliseconds.
const FOLLOW_MS: u64 = 250;

#[derive(Debug, Subcommand)]
pub enum FirmwareCommand {
    /// Every device: what it runs, what there is for it, and what it waits for
    #[command(
        after_help = "Exit 1 where one came to nothing and nobody has looked.\nExample:\n  vaka device update list --json"
    )]
    List {
        #[arg(long)]
        json: bool,
    },
    /// Ask the publisher now, and fetch what is for the devices here
    Check {
        #[arg(long)]
        json: bool,
    },
    /// This device now: not waiting for its share or a quiet hour, and again what came to nothing
    #[command(
        after_help = "It still waits for an open life alarm and for another device that is being updated.\nExample:\n  vaka device update take p1 --by anna --someone-is-there"
    )]
    Take {
        device: DeviceId,
        /// Somebody is with the resident and stays until it is done: also their only alarm may restart
        #[arg(long)]
        someone_is_there: bool,
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// No device begins any more, and none fetches on, until `resume`
    Stop {
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Say that you have looked at what came to nothing: others may begin; that version is not tried there again by itself
    Resume {
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

pub fn run(command: FirmwareCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        FirmwareCommand::List { json } => {
            print(&config, &ask(&config, "list firmware", Wish::Status, String::new())?, json)
        }
        FirmwareCommand::Check { json } => {
            let mut shown = ask(&config, "ask for firmware", Wish::Check, String::new())?;
            while shown["busy"] == true {
                std::thread::park_timeout(Duration::from_millis(FOLLOW_MS));
                shown = ask(&config, "ask for firmware", Wish::Status, String::new())?;
            }
            print(&config, &shown, json)
        }
        FirmwareCommand::Take { device, someone_is_there, by } => {
            let attempt = format!("update {device}");
            let shown = ask(&config, &attempt, Wish::Take { device: device.clone(), someone_is_there }, who(by))?;
            let said = shown["said"].as_str().filter(|said| !said.is_empty());
            print_line(&said.map_or(format!("{device}: is told"), |said| format!("{device}: wanted; {said}")))?;
            Ok(Exit::Ok)
        }
        FirmwareCommand::Stop { by } => {
            ask(&config, "stop updates of devices", Wish::Stop, who(by))?;
            print_line("stopped; go on with: vaka device update resume")?;
            Ok(Exit::Ok)
        }
        FirmwareCommand::Resume { by } => {
            ask(&config, "resume updates of devices", Wish::Resume, who(by))?;
            print_line("devices are updated again")?;
            Ok(Exit::Ok)
        }
    }
}

fn who(by: Option<String>) -> String {
    by.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
}

fn ask(config: &Config, attempt: &str, wish: Wish, by: String) -> Result<Value, Failure> {
    match control::request(&config.journal.dir, &Request::Firmware { wish, by }) {
        Some(answer) => answer.map_err(|why| Failure::new(Exit::FoundWrong, attempt, why, "")),
        None => {
            let fix = super::owner::start_it(config, "run");
            Err(Failure::new(Exit::FoundWrong, attempt, "the gateway does not run", fix))
        }
    }
}

fn print(config: &Config, shown: &Value, json: bool) -> Result<Exit, Failure> {
    let rows = || shown["devices"].as_array().into_iter().flatten();
    let exit = if rows().any(|row| row["halts"] == true) { Exit::FoundWrong } else { Exit::Ok };
    if json {
        print_json(shown)?;
        return Ok(exit);
    }
    if shown["is_on"] != true {
        print_line("firmware is not given out here; add [firmware] to vaka.toml")?;
        return Ok(exit);
    }
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
    print_line(&format!("{:<24} {:<16} {:<10} {:<10} {}", "ID", "KIND", "RUNS", "OFFERED", "STANDS"))?;
    for row in rows() {
        print_line(&format!(
            "{:<24} {:<16} {:<10} {:<10} {}",
            text(&row["device"]),
            text(&row["kind"]),
            text(&row["runs"]),
            text(&row["offered"]),
            stands(config, row)
        ))?;
    }
    if let Some(trouble) = shown["trouble"].as_str().filter(|trouble| !trouble.is_empty()) {
        print_line(&format!("the publisher: {trouble}"))?;
    }
    Ok(exit)
}

/// How the newest attempt went, and what is waited for.
fn stands(config: &Config, row: &Value) -> String {
    let mut said = Vec::new();
    if let Some(stage) = row["stage"].as_str() {
        let at = row["heard_at"].as_i64().map(|at| local_time(at, &config.gateway.time_zone)).unwrap_or_default();
        let version = row["version"].as_str().unwrap_or("-");
        let far = match (row["fetched_bytes"].as_u64(), row["size_bytes"].as_u64()) {
            (Some(fetched), Some(size)) if stage == "fetching" && size > 0 => format!(" {} %", fetched * 100 / size),
            _ => String::new(),
        };
        said.push(format!("{version} {stage}{far} {at}"));
    }
    said.extend(row["why"].as_str().filter(|why| !why.is_empty()).map(str::to_owned));
    if said.is_empty() { "-".to_owned() } else { said.join("; ") }
}
