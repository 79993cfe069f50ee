//! A trace's text as a story.
//!
//! Enters: the text of a `*.trace`. Leaves: the agreement, the steps and what is expected, each with its line. Every complaint names file and line.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use vaka::config::{Config, ConfigError};
use vaka_protocol::{DeviceId, Event, decode_event};

/// What one line has happen.
#[derive(Debug, Clone)]
pub enum Step {
    /// `at`: UTC milliseconds by the device's clock, where it is told late.
    Event {
        device: DeviceId,
        event: Box<Event>,
        at: Option<i64>,
    },
    Alive {
        device: DeviceId,
        online: bool,
    },
    /// There is no room for what it says.
    Refused {
        device: DeviceId,
    },
    /// The dispenser carries out the schedule that it was sent last.
    Done {
        device: DeviceId,
    },
    Restart,
    Close {
        rule: String,
        cause: String,
    },
    End,
}

/// One line of the story. `at_ms`: UTC milliseconds.
#[derive(Debug, Clone)]
pub struct Line<T> {
    pub number: usize,
    pub at_ms: i64,
    pub what: T,
}

pub struct Story {
    pub config: Config,
    pub steps: Vec<Line<Step>>,
    /// In the words that [`crate::told`] uses.
    pub expected: Vec<Line<String>>,
}

/// Reads a story; the error says where and what.
pub fn read(file: &str, text: &str) -> Result<Story, String> {
    let wrong = |number: usize, what: String| format!("tests/traces/{file}:{number}: {what}");
    let dashes = text.lines().position(|line| line.trim() == "---");
    let dashes = dashes.ok_or_else(|| wrong(1, "no line `---` between what is agreed and what happens".into()))?;
    let config = agreement(text, dashes).map_err(|(number, what)| wrong(number, what))?;
    let zone = config.gateway.time_zone.clone();
    let (mut steps, mut expected): (Vec<Line<Step>>, Vec<Line<String>>) = (Vec::new(), Vec::new());
    let mut now: Option<(DateTime, i64)> = None;
    for (index, line) in text.lines().enumerate().skip(dashes + 1) {
        let number = index + 1;
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let (local, at_ms, rest) =
            moment(&zone, now.map(|(local, _)| local.date()), &words).map_err(|what| wrong(number, what))?;
        let is_expectation = rest.first() == Some(&"expect");
        // What is expected is written where it happens; an event may stand at the same minute before it.
        if let Some((_, last_ms)) = now
            && at_ms < last_ms
        {
            return Err(wrong(number, "is before the line above it".into()));
        }
        now = Some((local, at_ms));
        if is_expectation {
            expected.push(Line { number, at_ms, what: rest[1..].join(" ") });
        } else {
            let what = step(&zone, local, rest).map_err(|what| wrong(number, what))?;
            steps.push(Line { number, at_ms, what });
        }
    }
    if steps.is_empty() {
        return Err(wrong(dashes + 1, "nothing happens".into()));
    }
    Ok(Story { config, steps, expected })
}

/// The lines before the dashes: vaka.toml without what every home has.
fn agreement(text: &str, dashes: usize) -> Result<Config, (usize, String)> {
    let mut zone = "Europe/Stockholm";
    let mut toml = String::new();
    for line in text.lines().take(dashes) {
        match line.strip_prefix("zone ") {
            Some(named) => {
                zone = named.trim();
                toml.push('\n');
            }
            None => toml.push_str(&format!("{line}\n")),
        }
    }
    let before =
        format!("gateway = {{ id = \"gw-1\", time_zone = \"{zone}\" }}\ningest = {{ listen = \"127.0.0.1:0\" }}\n");
    let added = before.lines().count();
    let parsed = Config::parse(format!("{before}{toml}").as_bytes(), std::path::Path::new("vaka.toml"));
    parsed.map(|(config, _)| config).map_err(|error| match &error {
        ConfigError::Invalid(findings) => {
            let line = findings.first().and_then(|finding| finding.line).unwrap_or(1);
            let said: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
            (line.saturating_sub(added).max(1), said.join("; "))
        }
        other => (1, other.to_string()),
    })
}

/// The time at the head of a line, and what stands behind it.
fn moment<'w, 'l>(
    zone: &TimeZone,
    day: Option<Date>,
    words: &'w [&'l str],
) -> Result<(DateTime, i64, &'w [&'l str]), String> {
    let (date, rest) = match words[0].parse::<Date>() {
        Ok(date) => (date, &words[1..]),
        Err(_) => (day.ok_or("the first line needs a date, such as 2026-11-20 22:41")?, words),
    };
    let word = rest.first().ok_or("no time after the date")?;
    let (local, at_ms) = instant(zone, date, word)?;
    Ok((local, at_ms, &rest[1..]))
}

/// `02:30` on a day, `02:30b` the second such; seconds may stand behind.
fn instant(zone: &TimeZone, date: Date, word: &str) -> Result<(DateTime, i64), String> {
    let (text, second) = word.strip_suffix('b').map_or((word, false), |text| (text, true));
    let time: Time = text.parse().map_err(|_| format!("`{word}` is no time, such as 02:30"))?;
    let local = date.to_datetime(time);
    let at = zone.to_ambiguous_timestamp(local);
    let named = match (at.is_ambiguous(), at.offset(), second) {
        (true, jiff::tz::AmbiguousOffset::Gap { .. }, _) => {
            return Err(format!("there is no {word} on {date}: the clocks are set"));
        }
        (true, _, true) => at.later(),
        (_, _, false) => at.earlier(),
        (false, _, true) => return Err(format!("there is but one {text} on {date}")),
    };
    Ok((local, named.map_err(|e| e.to_string())?.as_millisecond()))
}

fn step(zone: &TimeZone, now: DateTime, words: &[&str]) -> Result<Step, String> {
    let device = |word: &str| DeviceId::try_from(word).map_err(|_| format!("`{word}` is no device"));
    Ok(match *words {
        ["restart"] => Step::Restart,
        ["end"] => Step::End,
        ["close", rule, cause] => Step::Close { rule: rule.into(), cause: cause.into() },
        ["online", id] => Step::Alive { device: device(id)?, online: true },
        ["offline", id] => Step::Alive { device: device(id)?, online: false },
        ["refused", id] => Step::Refused { device: device(id)? },
        ["late", ref rest @ ..] => {
            let (happened, rest) = match rest.first().and_then(|word| word.parse::<Date>().ok()) {
                Some(date) => (instant(zone, date, rest.get(1).ok_or("late: no time after the date")?)?, &rest[2..]),
                None => {
                    let word = rest.first().ok_or("late: when did it happen?")?;
                    let today = instant(zone, now.date(), word);
                    let before = now.date().yesterday().map_err(|e| e.to_string())?;
                    let earlier = today.ok().filter(|(local, _)| *local <= now);
                    (earlier.map_or_else(|| instant(zone, before, word), Ok)?, &rest[1..])
                }
            };
            let [id, said @ ..] = rest else { return Err("late: which device?".into()) };
            Step::Event { device: device(id)?, event: Box::new(event(said)?), at: Some(happened.1) }
        }
        [id, "done"] => Step::Done { device: device(id)? },
        [id, ref said @ ..] => Step::Event { device: device(id)?, event: Box::new(event(said)?), at: None },
        [] => return Err("nothing after the time".into()),
    })
}

/// An event in a trace's words.
fn event(words: &[&str]) -> Result<Event, String> {
    let json = match *words {
        ["bed", word @ ("occupied" | "empty")] => format!(r#"{{"bed":{{"occupied":{}}}}}"#, word == "occupied"),
        ["chair", word @ ("occupied" | "empty")] => format!(r#"{{"chair":{{"occupied":{}}}}}"#, word == "occupied"),
        ["mat", word @ ("pressed" | "free")] => format!(r#"{{"mat":{{"pressed":{}}}}}"#, word == "pressed"),
        ["door", word @ ("open" | "closed")] => format!(r#"{{"door":{{"open":{}}}}}"#, word == "open"),
        [what @ ("mains" | "privacy"), word @ ("on" | "off")] => format!(r#"{{"{what}":{{"on":{}}}}}"#, word == "on"),
        [what @ ("motion" | "alive" | "tamper" | "cancel")] => format!(r#"{{"{what}":{{}}}}"#),
        ["button"] => r#"{"button":{"press":"short"}}"#.to_owned(),
        ["staff", tag] => format!(r#"{{"staff":{{"tag":"{tag}"}}}}"#),
        ["battery", percent, ref low @ ..] => {
            format!(r#"{{"battery":{{"percent":{percent},"low":{}}}}}"#, low == ["low"])
        }
        ["dose", slot, outcome] => format!(r#"{{"dose":{{"slot":"{slot}","outcome":"{outcome}"}}}}"#),
        ["decline", slot] => format!(r#"{{"decline":{{"slot":"{slot}"}}}}"#),
        [first, ..] if first.starts_with('{') => words.join(" "),
        _ => return Err(format!("`{}` is no event that traces know; write it as JSON", words.join(" "))),
    };
    let message = format!(r#"{{"v":1,"event":{json}}}"#);
    let event = decode_event(message.as_bytes()).map_err(|e| format!("{}: {e}", words.join(" ")))?.event;
    match event {
        Event::Unknown { name } => Err(format!("`{name}` is no event")),
        event => Ok(event),
    }
}
