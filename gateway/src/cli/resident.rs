//! `vaka resident notice`: what a resident is told of the equipment, from the config as it holds.

use std::path::Path;

use clap::{Subcommand, ValueEnum};

use super::{Exit, Failure, print_json, print_line};
use crate::config::{Config, Language, nearest};
use crate::notice::notice;

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
    let ResidentCommand::Notice { id, lang, json } = command;
    let language = lang.map_or(config.gateway.language, Language::from);
    let Some(notice) = notice(&config, &id, language) else {
        let known: Vec<&str> = config.agreed.people.iter().map(|person| person.id.as_str()).collect();
        let fix = match nearest(&id, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
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
