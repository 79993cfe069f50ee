//! `vaka round`: asks the running gateway. Where none runs there is no round: nobody could be told, and nothing is heard.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::Value;
use vaka_board::gateway::{Lang, Night, RoundItem, RoundState};

use super::{Exit, Failure, print_json, print_line};
use crate::config::{Config, Language};
use crate::pipeline::control::{self, Request};
use crate::rules::care::signed::Wish;
use crate::rules::care::when::local;

#[derive(Debug, Args)]
pub struct RoundArgs {
    #[command(subcommand)]
    command: Option<RoundCommand>,
    /// The night that begins on this day's evening [default: tonight's]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RoundCommand {
    /// Sign for what you did; only a person can
    #[command(subcommand)]
    Sign(SignCommand),
}

#[derive(Debug, Subcommand)]
enum SignCommand {
    /// "I have been there"
    #[command(
        after_help = "It makes a look-in, and closes the visit that was asked for; without a time it explains and closes nothing.\nExample:\n  vaka round sign visit r1 03:00 --by anna --note \"asleep\""
    )]
    Visit {
        resident: String,
        /// When it was planned, as `vaka round` shows it [default: it was not]
        #[arg(value_name = "HH:MM")]
        at: Option<String>,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// "I have given it": by hand, in place of the dispenser
    #[command(
        after_help = "A dose that is signed as given is not given out by the dispenser as well.\nExample:\n  vaka round sign dose r1 evening --by anna"
    )]
    Dose {
        resident: String,
        slot: String,
        /// It was not given
        #[arg(long)]
        not_given: bool,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

pub fn run(args: RoundArgs, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let RoundArgs { command, date, json } = args;
    match command {
        None => show(&config, date, json),
        Some(RoundCommand::Sign(command)) => sign(&config, command),
    }
}

fn ask(config: &Config, attempt: &str, request: &Request) -> Result<Value, Failure> {
    let none =
        || Failure::new(Exit::FoundWrong, attempt, "no gateway runs here", super::owner::start_it(config, "run"));
    let answer = control::request(&config.journal.dir, request).ok_or_else(none)?;
    answer.map_err(|why| Failure::new(Exit::FoundWrong, attempt, why, ""))
}

fn night(config: &Config, attempt: &str, date: Option<String>) -> Result<Night, Failure> {
    let answer = ask(config, attempt, &Request::Round { date })?;
    serde_json::from_value(answer).map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))
}

fn show(config: &Config, date: Option<String>, json: bool) -> Result<Exit, Failure> {
    let night = night(config, "show the round", date)?;
    if json {
        print_json(&night)?;
        return Ok(Exit::Ok);
    }
    let lang = if config.gateway.language == Language::Sv { Lang::Sv } else { Lang::En };
    let word = |sv: &'static str, en: &'static str| if lang == Lang::Sv { sv } else { en };
    let (from, until) = (clock(config, night.from), clock(config, night.until));
    print_line(&format!("{} {} {from}-{until}", word("Natten", "Night of"), night.date))?;
    if night.round.is_empty() {
        print_line(word("Ingenting är planerat.", "Nothing is planned."))?;
    }
    for item in &night.round {
        let by = item.by.as_deref().map(|by| format!(" ({by})")).unwrap_or_default();
        print_line(&format!(
            "{}  {:<8} {:<12} {:<8} {}{by}",
            clock(config, item.planned_at),
            stands(item.state, lang),
            item.resident,
            item.form,
            item.said.in_(lang)
        ))?;
    }
    for person in &night.people {
        print_line(&format!("{}: {}", person.resident, person.said.in_(lang)))?;
        for mark in &person.marks {
            print_line(&format!("  {}  {}", clock(config, mark.at), mark.said.in_(lang)))?;
        }
    }
    Ok(Exit::Ok)
}

fn stands(state: RoundState, lang: Lang) -> &'static str {
    let (sv, en) = match state {
        RoundState::Later => ("senare", "later"),
        RoundState::Next => ("härnäst", "next"),
        RoundState::Due => ("nu", "due"),
        RoundState::Done => ("klar", "done"),
        RoundState::Visited => ("besökt", "visited"),
        RoundState::Visit => ("BESÖK", "VISIT"),
        RoundState::Missed => ("MISSAD", "MISSED"),
        RoundState::Declined => ("avböjd", "declined"),
    };
    if lang == Lang::Sv { sv } else { en }
}

fn clock(config: &Config, at_ms: i64) -> String {
    local(&config.gateway.time_zone, at_ms).strftime("%H:%M").to_string()
}

fn sign(config: &Config, command: SignCommand) -> Result<Exit, Failure> {
    let attempt = "sign";
    let (wish, by) = match command {
        SignCommand::Visit { resident, at, by, note } => {
            let is_visit = |item: &&RoundItem| item.form != "dose";
            let planned_at = at.map(|at| planned(config, &resident, &at, is_visit)).transpose()?;
            (Wish::Visit { resident, planned_at, note: note.unwrap_or_default() }, by)
        }
        SignCommand::Dose { resident, slot, not_given, by, note } => {
            let night = night(config, attempt, None)?;
            let of = |item: &&RoundItem| {
                item.form == "dose" && item.resident == resident && item.slot.as_deref() == Some(slot.as_str())
            };
            let Some(item) = night.round.iter().find(of) else {
                let cause = format!("no dose of slot `{slot}` of `{resident}` is on tonight's round");
                return Err(Failure::new(Exit::FoundWrong, attempt, cause, "see `vaka round` and `vaka dose list`"));
            };
            let (planned_at, given) = (item.planned_at, !not_given);
            (Wish::Dose { resident, slot, planned_at, given, note: note.unwrap_or_default() }, by)
        }
    };
    ask(config, attempt, &Request::Sign { wish, by: by.clone() })?;
    print_line(&format!("signed by {by}"))?;
    Ok(Exit::Ok)
}

/// The moment that the round shows as `at` for this resident.
fn planned(config: &Config, resident: &str, at: &str, fits: impl Fn(&&RoundItem) -> bool) -> Result<i64, Failure> {
    let night = night(config, "sign", None)?;
    let mut of = night.round.iter().filter(fits).filter(|item| item.resident == resident);
    let found = of.find(|item| clock(config, item.planned_at) == at).map(|item| item.planned_at);
    found.ok_or_else(|| {
        let cause = format!("nothing is planned for `{resident}` at {at} tonight");
        Failure::new(Exit::FoundWrong, "sign", cause, "see `vaka round`; a visit that nobody planned has no time")
    })
}
