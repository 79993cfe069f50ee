//! `vaka order`: a person has a device do something. Asked of the running gateway, which judges it by what is agreed.

use std::path::Path;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use vaka_protocol::{AlarmId, DeviceId, Light, Ordered, Sound};

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::pipeline::control::{self, Request};
use crate::pipeline::restore;
use crate::pipeline::view::{self, OrderRow};
use crate::rules::orders::{Wish, said};

#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Open a lock or cabinet, where that is agreed; it locks again by itself
    #[command(
        after_help = "Agreed by `unlock` of the [[device]]. Of a home's alarm, at its hub: the home decides.\nExamples:\n  vaka order unlock --alarm k3f9x2 --by anna --why \"she lies on the floor\"\n  vaka order unlock --device door --by anna"
    )]
    Unlock(About),
    /// Lock it
    Lock(About),
    /// Say something to the resident: words, light and sound at the device
    #[command(
        after_help = "Example:\n  vaka order say --alarm k3f9x2 --by anna \"We have heard you. Somebody is coming.\""
    )]
    Say {
        text: String,
        #[command(flatten)]
        about: About,
    },
    /// What was ordered, the newest first, and what became of it
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// How a device behaves
    #[command(after_help = "Example:\n  vaka order set p1 --volume-percent 80 --by ture")]
    Set {
        device: String,
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        volume_percent: Option<u8>,
        /// Between two signs of life
        #[arg(long, value_name = "SECONDS")]
        heartbeat_interval_s: Option<u32>,
        /// Such as sv or en
        #[arg(long, value_name = "LANGUAGE")]
        language: Option<String>,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

#[derive(Debug, Args)]
#[group(skip)]
pub struct About {
    /// Which alarm it is about: its device, or its resident's lock
    #[arg(long, value_name = "ID")]
    alarm: Option<String>,
    /// Which device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Who
    #[arg(long, value_name = "NAME")]
    by: String,
    /// As what: staff or night
    #[arg(long = "as", value_name = "ROLE", default_value = "staff")]
    role: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

pub fn run(command: OrderCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let wish = match command {
        OrderCommand::List { json } => return list(&config, json),
        OrderCommand::Unlock(about) => wish(Ordered::Unlock { open_s: None }, about),
        OrderCommand::Lock(about) => wish(Ordered::Lock {}, about),
        OrderCommand::Say { text, about } => {
            let text = Some(text.as_str().into());
            wish(Ordered::Feedback { light: Some(Light::Steady), sound: Some(Sound::Chime), text }, about)
        }
        OrderCommand::Set { device, volume_percent, heartbeat_interval_s, language, by } => {
            let language = language.as_deref().map(Into::into);
            let what = Ordered::Settings { heartbeat_interval_s, volume_percent, language };
            let (role, why) = ("technician".to_owned(), String::new());
            wish(what, About { alarm: None, device: Some(device), by, role, why })
        }
    }?;
    if wish.by.trim().is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            format!("order {}", wish.what.name()),
            "--by is empty",
            "say who orders it",
        ));
    }
    let (attempt, by) = (format!("order {}", wish.what.name()), wish.by.clone());
    let answer = control::request(&config.journal.dir, &Request::Order { wish });
    let none = || {
        let fix = format!("{}; without it nothing reaches a device", super::owner::start_it(&config, "run"));
        Failure::new(Exit::FoundWrong, &*attempt, "no gateway runs on this journal", fix)
    };
    answer.ok_or_else(none)?.map_err(|why| Failure::new(Exit::FoundWrong, &*attempt, why, ""))?;
    print_line(&format!("ordered by {by}; `vaka order list` says what becomes of it"))?;
    Ok(Exit::Ok)
}

fn list(config: &Config, json: bool) -> Result<Exit, Failure> {
    let attempt = "list what was ordered";
    let rows: Vec<OrderRow> = match control::request(&config.journal.dir, &Request::Orders) {
        Some(answer) => {
            let value = answer.map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?;
            serde_json::from_value(value).map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?
        }
        None => {
            let state = restore::read_only(&config.journal.dir);
            view::orders(&state.map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?)
        }
    };
    if json {
        print_json(&rows)?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        print_line("Nothing was ordered.")?;
    }
    let now_ms = SystemClock::new().now().wall_ms;
    rows.iter().try_for_each(|row| print_line(&line(row, &config.gateway.time_zone, now_ms)))?;
    Ok(Exit::Ok)
}

fn line(row: &OrderRow, zone: &TimeZone, now_ms: i64) -> String {
    let at = local_time(row.at, zone);
    let to = row.to.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let about = row.alarm.as_ref().map_or_else(String::new, |alarm| format!(", alarm {alarm}"));
    let why = if row.purpose.is_empty() { String::new() } else { format!(" ({})", row.purpose) };
    let became = match &row.outcome {
        Some(outcome) => said(outcome).1,
        None if now_ms >= row.expires_at => "No answer. It is not known whether it was done.".to_owned(),
        None => "On its way.".to_owned(),
    };
    format!("{at}  {}  {} to {to}{about}{why}  {became}", row.by, row.what.name())
}

fn wish(what: Ordered, about: About) -> Result<Wish, Failure> {
    let About { alarm, device, by, role, why } = about;
    if alarm.is_none() && device.is_none() {
        let attempt = format!("order {}", what.name());
        let fix = "--alarm ID: what the alarm is about; or --device ID";
        return Err(Failure::new(Exit::Usage, attempt, "neither an alarm nor a device is named", fix));
    }
    let bad = |what: &str, id: &str| {
        Failure::new(Exit::Usage, "order", format!("`{id}` is no {what}"), "see `vaka alarm list`, `vaka device list`")
    };
    let alarm = alarm.map(|id| AlarmId::try_from(id.as_str()).map_err(|_| bad("alarm's id", &id))).transpose()?;
    let device = device.map(|id| DeviceId::try_from(id.as_str()).map_err(|_| bad("device's id", &id))).transpose()?;
    Ok(Wish { alarm, device, what, by, role, purpose: why })
}
