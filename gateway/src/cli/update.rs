//! `vaka update`: how new versions of this program stand, asked of the running gateway or read off the disk.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use vaka_update::State;

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::config::Config;
use crate::pipeline::control::{self, Request};
use crate::update::{self, Wish};

/// How often the gateway is asked how far it is, in milliseconds.
const FOLLOW_MS: u64 = 250;

#[derive(Debug, Subcommand)]
pub enum UpdateCommand {
    /// What runs, what waits, what was given up and why
    #[command(after_help = "Exit 1 where a version failed or was refused.\nExample:\n  vaka update status --json")]
    Status {
        #[arg(long)]
        json: bool,
    },
    /// Ask the publisher now; what is for this box is fetched, and begins when its time has come
    Check {
        #[arg(long)]
        json: bool,
    },
    /// Take the newest version now: not waiting for its ring, its day or a quiet hour, and trying again what failed here
    #[command(
        after_help = "It still waits for an open life alarm, a visit and a look through a camera.\nExample:\n  vaka update apply --by ture"
    )]
    Apply {
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Go back to the version before; the one that runs is not taken again by itself
    #[command(after_help = "Example:\n  vaka update rollback --by ture")]
    Rollback {
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

pub fn run(command: UpdateCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        UpdateCommand::Status { json } => {
            let (status, _) = ask(&config, "show updates", Wish::Status, String::new())?;
            print(&config, &status, json)
        }
        UpdateCommand::Check { json } => {
            let (status, runs) = ask(&config, "ask for updates", Wish::Check, String::new())?;
            if !runs {
                return Err(stopped(&config, "ask for updates"));
            }
            print(&config, &follow(&config, status), json)
        }
        UpdateCommand::Apply { by } => act(&config, "take an update", Wish::Apply, by),
        UpdateCommand::Rollback { by } => act(&config, "go back to the version before", Wish::Rollback, by),
    }
}

fn act(config: &Config, attempt: &str, wish: Wish, by: Option<String>) -> Result<Exit, Failure> {
    let by =
        by.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into());
    let (status, runs) = ask(config, attempt, wish, by)?;
    if !runs {
        return Err(stopped(config, attempt));
    }
    print(config, &follow(config, status), false)
}

fn stopped(config: &Config, attempt: &str) -> Failure {
    let fix = super::owner::start_it(config, "launch");
    Failure::new(Exit::FoundWrong, attempt, "the gateway does not run", fix)
}

/// How updates stand, and whether the gateway runs that said so.
fn ask(config: &Config, attempt: &str, wish: Wish, by: String) -> Result<(Value, bool), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(Exit::FoundWrong, attempt, why, "");
    match control::request(&config.journal.dir, &Request::Update { wish, by }) {
        Some(answer) => answer.map(|status| (status, true)).map_err(|why| failed(&why)),
        None => {
            let state = State::load(&config.releases()).map_err(|e| failed(&e))?;
            Ok((update::shown(&state), false))
        }
    }
}

/// Asks on until the gateway is done, or gone to begin another program.
fn follow(config: &Config, mut status: Value) -> Value {
    while status["busy"] == true {
        std::thread::park_timeout(Duration::from_millis(FOLLOW_MS));
        match control::request(&config.journal.dir, &Request::Update { wish: Wish::Status, by: String::new() }) {
            Some(Ok(newer)) => status = newer,
            _ => {
                status["busy"] = false.into();
                status["state"] = "trial".into();
                status["said"] = json!("another version is being started; see: vaka update status");
            }
        }
    }
    status
}

fn print(config: &Config, status: &Value, json: bool) -> Result<Exit, Failure> {
    let state = status["state"].as_str().unwrap_or_default();
    let exit = if matches!(state, "failed" | "refused") { Exit::FoundWrong } else { Exit::Ok };
    if json {
        print_json(status)?;
        return Ok(exit);
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let version = |key: &str| text(&status[key]["version"]);
    print_line(&format!("runs      {} (packaged: {})", text(&status["running"]), text(&status["packaged"])))?;
    if status["good"].is_object() {
        print_line(&format!("good      {}", version("good")))?;
    }
    if status["other"].is_object() {
        print_line(&format!("{:<9} {}", text(&status["other"]["is"]), version("other")))?;
    }
    for failed in status["failed"].as_array().into_iter().flatten() {
        print_line(&format!("failed    {}: {}", text(&failed["version"]), text(&failed["why"])))?;
    }
    if !state.is_empty() {
        let at = status["said_at"].as_i64().filter(|at| *at > 0);
        let at = at.map(|at| format!(" ({})", local_time(at, &config.gateway.time_zone))).unwrap_or_default();
        print_line(&format!("{state:<9} {}{at}", status["said"].as_str().unwrap_or_default()))?;
    }
    Ok(exit)
}
