//! The resident's notice: what is sensed in the home, when, who is told, and what happens by itself, in plain words.
//!
//! Enters: the config as it holds. Leaves: sections of sentences in one language. Invariant: everything that is configured for this
//! person is in it, and nothing that is not; what is not agreed is said not to happen.

mod automatic;
mod devices;

use std::fmt;

use jiff::civil::Weekday;
use serde::Serialize;
use vaka_protocol::Lane;

use crate::config::{Config, Device, DeviceKind, Language};
use crate::dispatch::Hours;
use crate::rules::care::agreed::Person;

/// One heading and what stands under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    pub heading: String,
    pub lines: Vec<String>,
}

/// What one person is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub resident: String,
    pub title: String,
    pub sections: Vec<Section>,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.title, "=".repeat(self.title.chars().count()))?;
        for section in &self.sections {
            writeln!(f, "\n{}", section.heading)?;
            for line in &section.lines {
                writeln!(f, "  - {line}")?;
            }
        }
        Ok(())
    }
}

/// One of two languages.
pub(crate) fn say(language: Language, sv: impl Into<String>, en: impl Into<String>) -> String {
    match language {
        Language::Sv => sv.into(),
        Language::En => en.into(),
    }
}

/// The notice of `resident`, an id of the config's; `None` where nobody has it.
pub fn notice(config: &Config, resident: &str, language: Language) -> Option<Notice> {
    let person = config.agreed.people.iter().find(|person| person.id == resident)?;
    let devices: Vec<&Device> = person.devices.iter().filter_map(|id| config.devices.get(id)).collect();
    let section = |sv: &str, en: &str, lines: Vec<String>| Section { heading: say(language, sv, en), lines };
    let sections = vec![
        section("Vad som känns av", "What is sensed", devices::sensed(&devices, language)),
        section("Vad som sker av sig självt", "What happens by itself", automatic::automatic(person, language)),
        section("Vem som får veta", "Who is told", told(config, language)),
        section("Så är det alltid", "What always holds", always(&devices, language)),
    ];
    let title = say(
        language,
        format!("Så vakar utrustningen hos {resident}"),
        format!("How the equipment watches at {resident}"),
    );
    Some(Notice { resident: resident.to_owned(), title, sections })
}

/// What is agreed with this person and happens by itself, a sentence each; one that says so where nothing is.
pub(crate) fn agreed_with(person: &Person, language: Language) -> Vec<String> {
    automatic::automatic(person, language)
}

/// Who is told of each kind of alarm, in order.
fn told(config: &Config, language: Language) -> Vec<String> {
    let lanes = [
        (Lane::Life, "Nödlarm", "Emergency alarms"),
        (Lane::Care, "Larm om att någon behöver titta till dig", "Alarms that somebody should look in on you"),
        (Lane::Technical, "Fel på utrustningen", "Faults of the equipment"),
        (Lane::Test, "Provlarm", "Test alarms"),
    ];
    let line = |(lane, sv, en): (Lane, &str, &str)| {
        let routes = config.routes.iter().filter(|route| route.lanes.contains(&lane));
        let mut to: Vec<String> = Vec::new();
        for route in routes {
            let hours = route.hours.as_ref().map(|hours| format!(" ({})", hours_in_words(hours, language)));
            for name in &route.to {
                let said = format!("{name}{}", hours.as_deref().unwrap_or_default());
                if !to.contains(&said) {
                    to.push(said);
                }
            }
        }
        let then = say(language, ", sedan ", ", then ");
        let to = match to.is_empty() {
            true => say(language, "ingen utanför hemmet", "nobody outside the home"),
            false => to.join(&then),
        };
        format!("{}: {to}.", say(language, sv, en))
    };
    lanes.into_iter().map(line).collect()
}

fn hours_in_words(hours: &Hours, language: Language) -> String {
    let (from, until) = (hours.from.strftime("%H:%M"), hours.until.strftime("%H:%M"));
    let week = Weekday::Monday.cycle_forward().take(7);
    let names: Vec<&str> = week.filter(|day| hours.days.contains(day)).map(|day| day_name(day, language)).collect();
    match names.len() {
        7 => say(language, format!("kl. {from}–{until}"), format!("{from}–{until}")),
        _ => format!("{} {from}–{until}", names.join(", ")),
    }
}

pub(crate) fn day_name(day: Weekday, language: Language) -> &'static str {
    let (sv, en) = match day {
        Weekday::Monday => ("mån", "Mon"),
        Weekday::Tuesday => ("tis", "Tue"),
        Weekday::Wednesday => ("ons", "Wed"),
        Weekday::Thursday => ("tors", "Thu"),
        Weekday::Friday => ("fre", "Fri"),
        Weekday::Saturday => ("lör", "Sat"),
        Weekday::Sunday => ("sön", "Sun"),
    };
    if language == Language::Sv { sv } else { en }
}

/// What no agreement changes.
fn always(devices: &[&Device], language: Language) -> Vec<String> {
    let has = |kind: DeviceKind| devices.iter().any(|device| device.kind == kind);
    let mut lines = vec![
        say(
            language,
            "Ett tryck på larmet går alltid fram, dygnet runt. Ingen inställning kan stoppa det.",
            "A press of the alarm always goes through, day and night. No setting can stop it.",
        ),
        say(
            language,
            "Bara en människa avslutar ett larm. Det görs aldrig av utrustningen.",
            "Only a person ends an alarm. The equipment never does.",
        ),
        say(
            language,
            "Varje larm säger varför det kom, och vad som var överenskommet.",
            "Every alarm says why it came, and what was agreed.",
        ),
        say(
            language,
            "Ingen bild och inget ljud spelas in av det som står här ovan.",
            "No picture and no sound is recorded by what is listed above.",
        ),
    ];
    if has(DeviceKind::GpsAlarm) {
        lines.push(say(
            language,
            "Var du är lämnar hemmet bara tillsammans med ett larm.",
            "Where you are leaves the home only together with an alarm.",
        ));
    }
    lines.push(say(
        language,
        "Du kan ändra det som är överenskommet. Säg till personalen.",
        "You can change what is agreed. Tell the staff.",
    ));
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TOML: &str = r#"
[gateway]
id = "gw-1"
controller_id = "10149471"
[ingest]
listen = "127.0.0.1:0"
[[receiver]]
name = "larmcentral"
kind = "scaip"
url = "sip:127.0.0.1:5060;transport=tcp"
[[receiver]]
name = "nattpatrull"
kind = "scaip"
url = "sip:127.0.0.1:5061;transport=tcp"
[[route]]
lanes = ["life", "technical"]
to = ["larmcentral"]
[[route]]
lanes = ["life"]
to = ["nattpatrull"]
days = ["saturday", "sunday"]
from = "22:00"
until = "07:00"
[[resident]]
id = "r1"
[resident.night]
from = "22:00"
until = "06:30"
absence_care_min = 20
rounds = [{ at = "03:00", latest = "03:30" }]
[[resident]]
id = "r2"
[[device]]
id = "p1"
kind = "pendant"
resident = "r1"
[[device]]
id = "bed1"
kind = "bed-sensor"
resident = "r1"
[[device]]
id = "t1"
kind = "gps-alarm"
resident = "r2"
[[fence]]
name = "Hemmet"
resident = "r2"
lat = 59.3293
lon = 18.0686
radius_m = 200
back_by = "20:00"
alarm = "leave"
"#;

    fn of(resident: &str, language: Language) -> String {
        let (config, _) = Config::parse(TOML.as_bytes(), Path::new("vaka.toml")).unwrap();
        notice(&config, resident, language).unwrap().to_string()
    }

    #[test]
    fn everything_of_this_person_and_nothing_of_another() {
        let sv = of("r1", Language::Sv);
        assert!(sv.contains("Larmknapp (p1)") && !sv.contains("t1") && !sv.contains("Var du är lämnar"), "{sv}");
        assert!(sv.contains("Nödlarm: larmcentral, sedan nattpatrull (lör, sön 22:00–07:00)."), "{sv}");
        assert!(sv.contains("Larm om att någon behöver titta till dig: ingen utanför hemmet."), "{sv}");
        assert!(sv.contains("Är du uppe ur sängen längre än 20 minuter får personalen ett larm."), "{sv}");
        assert!(sv.contains("kommer någon före kl. 03:30") && !sv.contains("Hemmet"), "{sv}");
        let en = of("r2", Language::En);
        assert!(en.contains("not back in the area Hemmet by 20:00") && !en.contains("out of bed"), "{en}");
        assert!(en.contains("(t1)") && en.contains("only together with an alarm") && !en.contains("p1"), "{en}");
    }

    #[test]
    fn nobody_has_no_notice() {
        let (config, _) = Config::parse(TOML.as_bytes(), Path::new("vaka.toml")).unwrap();
        assert_eq!(notice(&config, "r3", Language::Sv), None);
    }
}
