//! `vaka resident`: what a resident is told of the equipment, from the config as it holds; and the end of what is recorded of them.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Subcommand, ValueEnum};
use vaka_protocol::DeviceId;

use super::{Exit, Failure, print_json, print_line, stopped};
use crate::board::names::Names;
use crate::config::{Config, Language, Role, nearest};
use crate::journal::record::Erased;
use crate::notice::notice;
use crate::pipeline::control::{self, Request};
use crate::pipeline::erasing::NOTHING_OF;
use crate::pipeline::keeper::Ask;
use crate::provision::lock_home;

#[derive(Debug, Subcommand)]
pub enum ResidentCommand {
    /// What is sensed, when, who is told and what happens by itself: to print and leave in the home
    #[command(after_help = "Example:\n  vaka resident notice r1 --lang sv")]
    Notice {
        /// Id of the [[resident]]; `resident` where the file names nobody
        id: String,
        /// Language [default: the home's]
        #[arg(long, value_name = "LANG")]
        lang: Option<Lang>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Everything recorded of a resident who has moved out made unreadable, for good: their key is destroyed, and their name
    #[command(after_help = "Example:\n  vaka resident erase r1 --by anna")]
    Erase {
        /// Id that they had in vaka.toml
        id: String,
        /// Who does it: a staff id
        #[arg(long)]
        by: String,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Swedish
    Sv,
    /// English
    En,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Language {
        match lang {
            Lang::Sv => Language::Sv,
            Lang::En => Language::En,
        }
    }
}

pub fn run(command: ResidentCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let (id, lang, json) = match command {
        ResidentCommand::Notice { id, lang, json } => (id, lang, json),
        ResidentCommand::Erase { id, by, json } => return erase(&config, &id, &by, json),
    };
    let language = lang.map_or(config.gateway.language, Language::from);
    let Some(notice) = notice(&config, &id, language) else {
        let known: Vec<&str> = config.agreed.people.iter().map(|person| person.id.as_str()).collect();
        let fix = match nearest(&id, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "vaka.toml has no [[resident]]".into(),
            None => format!("known: {}", known.join(", ")),
        };
        let attempt = format!("write the notice of resident {id}");
        return Err(Failure::new(Exit::Usage, attempt, "nobody of that id lives here", fix));
    };
    if json {
        print_json(&notice)?;
    } else {
        print_line(notice.to_string().trim_end())?;
    }
    Ok(Exit::Ok)
}

fn erase(config: &Config, id: &str, by: &str, json: bool) -> Result<Exit, Failure> {
    let attempt = format!("erase resident {id}");
    if by.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, attempt, "--by is empty", "say who erases"));
    }
    // A backup under way has the records of before, and would have the keys of after.
    let lock = lock_home(config.pki().dir())
        .map_err(|e| Failure::new(Exit::Disk, &*attempt, e, "no backup may be taken meanwhile; do the same again"))?;
    let request = Request::Erase { resident: id.to_owned(), by: by.to_owned() };
    let answer = match control::request(&config.journal.dir, &request) {
        Some(answer) => answer.and_then(|value| serde_json::from_value(value).map_err(|e| e.to_string())),
        None => {
            let (resident, by) = (id.to_owned(), by.to_owned());
            stopped::ask(config, &attempt, |reply| Ask::Erase { resident, by, reply })?
        }
    };
    drop(lock);
    let is_gone = config.agreed.people.iter().all(|person| person.id != id);
    // Last: until then somebody may have to know whom the id is of. Also where an erasure was cut off before this, and is asked for again.
    let remove_name = || {
        Names::of(config).remove(id).map_err(|e| {
            Failure::new(
                Exit::Disk,
                &*attempt,
                e,
                "their records are erased and their name is not: delete their line in that file",
            )
        })
    };
    let erased: Erased = match answer {
        Ok(erased) => erased,
        Err(why) if is_gone && why.starts_with(NOTHING_OF) && remove_name()? => {
            print_line(&format!(
                "{id}: nothing more was recorded of them; their name was still written, and is removed now"
            ))?;
            return Ok(Exit::Ok);
        }
        Err(why) => {
            let lives = config.agreed.people.iter().map(|person| person.id.as_str());
            let fix = match nearest(id, lives) {
                // The alarms that are open say it themselves.
                _ if !why.starts_with(NOTHING_OF) => String::new(),
                near => {
                    let near = near.map(|near| format!("did you mean `{near}`?"));
                    let rest = Some(of_nobody(config, id, &BTreeSet::new())).filter(|rest| !rest.is_empty());
                    near.into_iter().chain(rest).collect::<Vec<_>>().join(" Else: ")
                }
            };
            return Err(Failure::new(Exit::FoundWrong, &*attempt, why, fix));
        }
    };
    remove_name()?;
    if json {
        print_json(&erased)?;
        return Ok(Exit::Ok);
    }
    print_line(&format!("{id} is erased: nothing recorded of them up to now can be read on this disk again"))?;
    print_line(
        "not within reach: backups made before (they hold the key; delete them or erase again after a restore), what receivers, hubs and \
         printed reports were told, the log of who read what, which names the id, and records that were put aside when keys were lost (journal/unread-N)",
    )?;
    let rest = of_nobody(config, id, &erased.devices);
    if !rest.is_empty() {
        print_line(&rest)?;
    }
    Ok(Exit::Ok)
}

/// What is said of devices that name no resident: nobody's key seals what they record. Empty: there are none.
fn of_nobody(config: &Config, resident: &str, erased: &BTreeSet<DeviceId>) -> String {
    let unnamed = config.devices.iter().filter(|(id, device)| device.resident.is_none() && !erased.contains(*id));
    let ids: Vec<&str> = unnamed.map(|(id, _)| id.as_str()).collect();
    if ids.is_empty() {
        return String::new();
    }
    let way = if config.residents.len() <= 1 && config.gateway.role == Role::Home {
        "Where nobody else ever lived in this home, `vaka export` what must be kept and end the home: `vaka erase --everything`"
    } else {
        "Nobody can be erased from that alone"
    };
    format!(
        "not erased: what {} recorded. They name no resident, so it is sealed with the home's own key, which all others need. {way}. \
         For whoever lives here next, write `resident = \"…\"` to each device that is about one person: from then on it can be erased (not `{resident}`'s past)",
        ids.join(", ")
    )
}
