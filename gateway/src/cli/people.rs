//! `vaka people`: who may log in to the board. The first administrator comes in by a link that is made here.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;
use vaka_board::auth::book::Edit;
use vaka_board::auth::invite::{self, Invitation};
use vaka_board::auth::people::{People, PeopleError, Person, Ways};
use vaka_board::auth::tokens::{self, Wish};
use vaka_board::auth::{Role, Units};
use vaka_board::settings::Settings;

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Add a person, and make the link by which they come in once; again for whoever has lost their key
    #[command(
        after_help = "The link is good for 24 hours and once. Behind it the person makes a key on their own phone or security key.\nExamples:\n  vaka people add chef-1 --role admin --units '*'\n  vaka people add natt-07 --role night --units hagalund,centrum"
    )]
    Add {
        /// a-z, 0-9 and -; this is what the journal keeps
        id: String,
        /// staff: alarms and the round; night: also looks in; technician: devices; admin: people and agreements; auditor: the log
        #[arg(long, value_parser = Role::ALL.map(Role::as_str))]
        role: String,
        /// Whose residents they see, with commas between; * is all
        #[arg(long, value_delimiter = ',')]
        units: Vec<String>,
        /// A name, for the board alone
        #[arg(long)]
        name: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Everybody who may log in, and whether they can
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a token for a program that uses /api/v1; in place of the one it had
    #[command(
        after_help = "The token is shown once.\nExample:\n  vaka people token report --role auditor --units '*' --days 90"
    )]
    Token {
        /// The program's name: a-z, 0-9 and -
        name: String,
        #[arg(long, value_parser = Role::ALL.map(Role::as_str))]
        role: String,
        #[arg(long, value_delimiter = ',')]
        units: Vec<String>,
        /// How long it works
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=400))]
        days: u16,
    },
    /// Somebody works here no longer: holds at once, for open pages too
    End { id: String },
}

pub fn run(command: PeopleCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let attempt = "change who may log in";
    let settings = config.board.as_ref().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            attempt,
            "there is no [board] in vaka.toml",
            "add [board] listen = \"127.0.0.1:8443\"",
        )
    })?;
    match command {
        PeopleCommand::Add { id, role, units, name, json } => {
            let (role, units) = (role_of(&role), units_of(&units));
            let wish = Person { id, name, role, units, lang: None, card: None, oidc: None, ended: false };
            add(&config, settings, &wish, json)
        }
        PeopleCommand::Token { name, role, units, days } => {
            let wish = Wish { name, role: role_of(&role), units: units_of(&units), days: days.into() };
            let people = open(settings).map_err(|e| failure("make a token", &e))?;
            let token = tokens::make(&people, &wish, &by(), SystemClock::new().now().wall_ms);
            print_line(&token.map_err(|e| failure("make a token", &e))?)?;
            Ok(Exit::Ok)
        }
        PeopleCommand::List { json } => list(settings, json),
        PeopleCommand::End { id } => {
            let people = open(settings).map_err(|e| failure(attempt, &e))?;
            people.change(&Edit::End { id: id.clone(), ended: true }).map_err(|e| failure(attempt, &e))?;
            print_line(&format!("{id} can no longer log in, and is logged out"))?;
            Ok(Exit::Ok)
        }
    }
}

fn role_of(word: &str) -> Role {
    // clap lets no other word through.
    Role::ALL.into_iter().find(|known| known.as_str() == word).unwrap_or(Role::Auditor)
}

fn units_of(words: &[String]) -> Units {
    Units(words.iter().map(|unit| unit.trim().to_owned()).filter(|unit| !unit.is_empty()).collect())
}

/// Who stands at the command line, for the record.
fn by() -> String {
    std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "command-line".into())
}

fn open(settings: &Settings) -> Result<People, PeopleError> {
    People::open(&settings.people, Ways::from(settings))
}

fn add(config: &Config, settings: &Settings, wish: &Person, json: bool) -> Result<Exit, Failure> {
    let made = invite::invite(settings, wish, &by(), SystemClock::new().now().wall_ms);
    let Invitation { person, url, expires_at } = made.map_err(|e| failure("add a person", &e))?;
    if json {
        print_json(&json!({"person": person, "url": url, "expires_at": expires_at}))?;
    } else {
        let until = local_time(expires_at, &config.gateway.time_zone);
        print_line(&format!("{person} comes in once, by this link, until {until}:\n  {url}"))?;
    }
    Ok(Exit::Ok)
}

fn list(settings: &Settings, json: bool) -> Result<Exit, Failure> {
    let people = open(settings).map_err(|e| failure("list who may log in", &e))?;
    let book = people.book();
    let rows = book.0.values().map(|person| {
        let units: Vec<&str> = person.units.0.iter().map(String::as_str).collect();
        let can = !person.ended && people.can_log_in(person);
        (person, units, can)
    });
    if json {
        let rows = rows.map(|(person, units, can)| {
            json!({"id": person.id, "role": person.role, "units": units, "ended": person.ended, "can_log_in": can})
        });
        print_json(&rows.collect::<serde_json::Value>())?;
        return Ok(Exit::Ok);
    }
    for (person, units, can) in rows {
        let how = match (person.ended, can) {
            (true, _) => "ended",
            (false, true) => "can log in",
            (false, false) => "has no key yet: `vaka people add` with the same role and units makes a new link",
        };
        print_line(&format!("{:<16} {:<10} {:<20} {how}", person.id, person.role.as_str(), units.join(",")))?;
    }
    Ok(Exit::Ok)
}

fn failure(attempt: &str, error: &PeopleError) -> Failure {
    let exit = match error {
        PeopleError::File { .. } => Exit::Disk,
        PeopleError::NoRandom(_) => Exit::Internal,
        PeopleError::Wrong { .. } => Exit::Usage,
        PeopleError::Refused(_) | PeopleError::LastAdmin(_) => Exit::FoundWrong,
    };
    Failure::new(exit, attempt, error, "")
}
