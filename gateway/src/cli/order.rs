//! `vaka order`: a person has a device do something. Asked of the running gateway, which judges it by what is agreed.

use std::path::Path;

use clap::{Args, Subcommand};
use vaka_protocol::{AlarmId, DeviceId, Light, Ordered, Sound};

use super::{Exit, Failure, print_line};
use crate::config::Config;
use crate::pipeline::control::{self, Request};
use crate::rules::orders::Wish;

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
#[group(id = "about", required = true, args = ["alarm", "device"])]
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
    let of_alarm = wish.alarm.is_some();
    let (attempt, by) = (format!("order {}", wish.what.name()), wish.by.clone());
    let answer = control::request(&config.journal.dir, &Request::Order { wish });
    let none = || {
        let fix = "start it: `vaka run`; without it nothing reaches a device";
        Failure::new(Exit::FoundWrong, &*attempt, "no gateway runs on this journal", fix)
    };
    answer.ok_or_else(none)?.map_err(|why| Failure::new(Exit::FoundWrong, &*attempt, why, ""))?;
    let after = if of_alarm { "; `vaka alarm show` says what became of it" } else { "" };
    print_line(&format!("ordered by {by}{after}"))?;
    Ok(Exit::Ok)
}

fn wish(what: Ordered, about: About) -> Result<Wish, Failure> {
    let About { alarm, device, by, role, why } = about;
    let bad = |what: &str, id: &str| {
        Failure::new(Exit::Usage, "order", format!("`{id}` is no {what}"), "see `vaka alarm list`, `vaka device list`")
    };
    let alarm = alarm.map(|id| AlarmId::try_from(id.as_str()).map_err(|_| bad("alarm's id", &id))).transpose()?;
    let device = device.map(|id| DeviceId::try_from(id.as_str()).map_err(|_| bad("device's id", &id))).transpose()?;
    Ok(Wish { alarm, device, what, by, role, purpose: why })
}
