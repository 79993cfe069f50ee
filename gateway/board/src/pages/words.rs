//! The words that people read, Swedish with English beside it. Enters: codes. Leaves: words. Invariant: no code reaches a page
//! unless it is an id.

use vaka_protocol::{Lane, Rung};

use crate::auth::Role;
use crate::gateway::{Lang, Outcome, RoundState};

/// The one of the two that the page speaks.
pub fn t(lang: Lang, sv: &'static str, en: &'static str) -> &'static str {
    match lang {
        Lang::Sv => sv,
        Lang::En => en,
    }
}

/// `2 larm`, `1 larm`: a number with its word in one and in many.
pub fn many(lang: Lang, n: usize, sv: (&str, &str), en: (&str, &str)) -> String {
    let (one, more) = if lang == Lang::Sv { sv } else { en };
    format!("{n} {}", if n == 1 { one } else { more })
}

/// First letter large.
pub fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub fn lane(lang: Lang, lane: Lane) -> &'static str {
    match lane {
        Lane::Life => t(lang, "Nödlarm", "Emergency"),
        Lane::Care => t(lang, "Omsorg", "Care"),
        Lane::Technical => t(lang, "Teknik", "Technical"),
        Lane::Telemetry => t(lang, "Mätvärde", "Reading"),
        Lane::Test => t(lang, "Prov", "Test"),
    }
}

/// The class that gives a lane its edge.
pub fn lane_class(lane: Lane) -> &'static str {
    match lane {
        Lane::Life => "life",
        Lane::Care => "care",
        Lane::Technical | Lane::Telemetry => "tech",
        Lane::Test => "test",
    }
}

/// A rung that has been reached.
pub fn rung(lang: Lang, rung: Rung) -> &'static str {
    match rung {
        Rung::Stored => t(lang, "Sparat", "Stored"),
        Rung::Sent => t(lang, "Skickat", "Sent"),
        Rung::Received => t(lang, "Framme", "Arrived"),
        Rung::Accepted => t(lang, "Mottaget", "Accepted"),
        Rung::Claimed => t(lang, "Taget", "Taken"),
        Rung::Closed => t(lang, "Avslutat", "Closed"),
    }
}

pub fn outcome(lang: Lang, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Helped => t(lang, "Hjälp given", "Helped"),
        Outcome::False => t(lang, "Inget hände", "False alarm"),
        Outcome::Technical => t(lang, "Tekniskt fel", "Technical fault"),
        Outcome::HandedOver => t(lang, "Överlämnat", "Handed over"),
    }
}

pub fn round_state(lang: Lang, state: RoundState) -> &'static str {
    match state {
        RoundState::Later => t(lang, "Senare", "Later"),
        RoundState::Next => t(lang, "Näst på tur", "Next"),
        RoundState::Due => t(lang, "Nu", "Now"),
        RoundState::Done => t(lang, "Klar", "Done"),
        RoundState::Visited => t(lang, "Besökt", "Visited"),
        RoundState::Visit => t(lang, "Besök", "Visit"),
        RoundState::Missed => t(lang, "Missad", "Missed"),
        RoundState::Declined => t(lang, "Inte i natt", "Not tonight"),
    }
}

/// The mark before a state word, and its class: never a colour alone.
pub fn round_mark(state: RoundState) -> (&'static str, &'static str) {
    match state {
        RoundState::Later => ("○", "later"),
        RoundState::Next => ("→", "next"),
        RoundState::Due => ("●", "next"),
        RoundState::Done | RoundState::Visited => ("✓", "ok"),
        RoundState::Visit => ("!", "miss"),
        RoundState::Missed => ("✗", "miss"),
        RoundState::Declined => ("–", "later"),
    }
}

/// What stands on the round.
pub fn form(lang: Lang, form: &str) -> &'static str {
    match form {
        "look-in" => t(lang, "Tillsyn med sensor", "Look-in by sensor"),
        "camera" => t(lang, "Tillsyn med kamera", "Look-in by camera"),
        "dose" => t(lang, "Läkemedel", "Medicine"),
        _ => t(lang, "Besök", "Visit"),
    }
}

pub fn dose(lang: Lang, state: &str) -> (&'static str, &'static str, &'static str) {
    match state {
        "planned" => (t(lang, "Planerad", "Planned"), "○", "later"),
        "reminded" => (t(lang, "Påmind", "Reminded"), "→", "next"),
        "dispensed" => (t(lang, "Utmatad, inte tagen än", "Dispensed, not taken yet"), "→", "next"),
        "taken" => (t(lang, "Tagen", "Taken"), "✓", "ok"),
        "signed" => (t(lang, "Given och signerad", "Given and signed"), "✓", "ok"),
        "missed" => (t(lang, "Missad", "Missed"), "✗", "miss"),
        "refused" => (t(lang, "Avböjd", "Refused"), "✗", "miss"),
        "jammed" => (t(lang, "Automaten har fastnat", "The dispenser is jammed"), "!", "miss"),
        _ => (t(lang, "Vet inte: automaten är tyst", "Not known: the dispenser is silent"), "?", "miss"),
    }
}

pub fn role(lang: Lang, role: Role) -> &'static str {
    match role {
        Role::Staff => t(lang, "hemtjänst", "home care"),
        Role::Night => t(lang, "nattpatrull", "night patrol"),
        Role::Technician => t(lang, "tekniker", "technician"),
        Role::Admin => t(lang, "administratör", "administrator"),
        Role::Auditor => t(lang, "granskare", "auditor"),
    }
}

/// Every kind of device that vaka.toml knows, as people call it.
pub const KINDS: &[(&str, &str, &str)] = &[
    ("pendant", "larmknapp", "pendant"),
    ("fixed-trigger", "fast larmknapp", "fixed alarm button"),
    ("fall-detector", "falldetektor", "fall detector"),
    ("bed-sensor", "sängsensor", "bed sensor"),
    ("chair-sensor", "stolsensor", "chair sensor"),
    ("mat-sensor", "mattsensor", "mat sensor"),
    ("door-sensor", "dörrsensor", "door sensor"),
    ("motion-sensor", "rörelsesensor", "motion sensor"),
    ("smoke-detector", "brandvarnare", "smoke detector"),
    ("gas-detector", "gasvarnare", "gas detector"),
    ("co-detector", "kolmonoxidvarnare", "carbon monoxide detector"),
    ("heat-detector", "värmevarnare", "heat detector"),
    ("flood-sensor", "vattensensor", "flood sensor"),
    ("enuresis-sensor", "enuressensor", "enuresis sensor"),
    ("seizure-sensor", "krampsensor", "seizure sensor"),
    ("gps-alarm", "gps-larm", "GPS alarm"),
    ("dispenser", "läkemedelsautomat", "medicine dispenser"),
    ("cabinet", "skåp", "cabinet"),
    ("lock", "lås", "lock"),
    ("thermometer", "termometer", "thermometer"),
    ("vital-monitor", "mätare", "vital monitor"),
    ("feedback", "lampa eller siren", "lamp or siren"),
    ("bridge", "brygga", "bridge"),
    ("gateway", "gateway", "gateway"),
    ("other", "annan", "other"),
];

pub fn kind(lang: Lang, kind: &str) -> &str {
    KINDS.iter().find(|(word, ..)| *word == kind).map_or(kind, |(_, sv, en)| t(lang, sv, en))
}

/// An act in the log.
pub fn act(lang: Lang, act: &str) -> String {
    let said = match act {
        "read-alarms" => t(lang, "såg larmlistan", "saw the list of alarms"),
        "follow-alarms" => t(lang, "följde larmlistan", "followed the list of alarms"),
        "read-alarm" => t(lang, "läste ett larm", "read an alarm"),
        "read-look" => t(lang, "öppnade en tillsyn med kamera", "opened a look-in by camera"),
        "look" => t(lang, "tittade genom kameran", "looked through the camera"),
        "look-clearly" => t(lang, "tog bort slöjan", "took the veil off"),
        "say-look" => t(lang, "sade hur det var", "said how it was"),
        "read-night" => t(lang, "läste nattens rond", "read the night round"),
        "read-handover" => t(lang, "läste morgonrapporten", "read the morning page"),
        "read-residents" => t(lang, "såg listan på boende", "saw the list of residents"),
        "read-resident" => t(lang, "läste om en boende", "read of a resident"),
        "read-name" => t(lang, "såg namn och adress", "saw name and address"),
        "set-name" => t(lang, "skrev namn och adress", "wrote name and address"),
        "read-extract" => t(lang, "tog ut ett utdrag", "took an extract"),
        "read-devices" => t(lang, "såg enheterna", "saw the devices"),
        "read-log" => t(lang, "läste loggen", "read the log"),
        "export-log" => t(lang, "exporterade loggen", "exported the log"),
        "claim" => t(lang, "tog larmet", "took the alarm"),
        "close" => t(lang, "avslutade larmet", "closed the alarm"),
        "hand-over" => t(lang, "lämnade över larmet", "handed the alarm over"),
        "escalate" => t(lang, "larmade vidare", "escalated the alarm"),
        "note" => t(lang, "antecknade", "wrote a note"),
        "sign-visit" => t(lang, "signerade ett besök", "signed a visit"),
        "sign-dose" => t(lang, "signerade ett läkemedel", "signed a dose"),
        "release-dose" => t(lang, "låste upp en dos", "released a dose"),
        "change-settings" => t(lang, "ändrade en överenskommelse", "changed an agreement"),
        "withdraw" => t(lang, "avslutade en överenskommelse", "withdrew an agreement"),
        "invite" => t(lang, "bjöd in en enhet", "invited a device"),
        "revoke" => t(lang, "spärrade en enhet", "revoked a device"),
        "visit" => t(lang, "gjorde ett steg i ett besök", "took a step of a visit"),
        "check" => t(lang, "läste kontrollen", "read the check"),
        "log-in" => t(lang, "loggade in", "logged in"),
        "log-in-failed" => t(lang, "kom inte in", "could not log in"),
        "log-out" => t(lang, "loggade ut", "logged out"),
        other => return other.replace('-', " "),
    };
    said.to_owned()
}

/// What something was done to: the first word is one of ours, the rest are ids.
pub fn object(lang: Lang, object: &str) -> String {
    let (what, rest) = object.split_once(' ').unwrap_or((object, ""));
    let said = match what {
        "alarm" => t(lang, "larm", "alarm"),
        "alarms" => t(lang, "larmen", "alarms"),
        "device" => t(lang, "enhet", "device"),
        "devices" => t(lang, "enheterna", "devices"),
        "resident" => t(lang, "boende", "resident"),
        "residents" => t(lang, "de boende", "residents"),
        "night" => t(lang, "natten", "night"),
        "log" => t(lang, "loggen", "log"),
        "visit" => t(lang, "besöket", "visit"),
        "gateway" => t(lang, "gatewayen", "gateway"),
        _ => return object.to_owned(),
    };
    let rest = if what == "night" { rest.replacen(" of ", ": ", 1) } else { rest.to_owned() };
    if rest.is_empty() { said.to_owned() } else { format!("{said} {rest}") }
}

/// Why, in words for somebody who has never seen the log.
pub fn reason(lang: Lang, purpose: &str) -> String {
    let (first, rest) = purpose.split_once(' ').unwrap_or((purpose, ""));
    let said = match (first, rest) {
        ("visit", "") => t(lang, "skulle åka dit", "was going there"),
        ("call", "") => t(lang, "skulle ringa", "was going to call"),
        ("agreements", "") => t(lang, "läste vad som är överenskommet", "read what has been agreed"),
        ("round", "") => t(lang, "nattens rond", "the night round"),
        ("handover", "") => t(lang, "överlämning på morgonen", "handing over in the morning"),
        ("extract", "") => t(lang, "gjorde ett sådant här utdrag", "made an extract like this"),
        ("name", "") => t(lang, "skrev in namn och adress", "wrote name and address"),
        ("list" | "all", "") => t(lang, "såg listan", "saw the list"),
        ("audit", "") => t(lang, "granskning", "an audit"),
        ("check", "") => t(lang, "kontroll", "a check"),
        ("devices", "") => t(lang, "skötte enheterna", "saw to the devices"),
        ("status", "") => t(lang, "läste hur besöket stod", "read how the visit stood"),
        ("alarm", _) => t(lang, "ett larm", "an alarm"),
        ("agreement", _) => t(lang, "en överenskommelse", "an agreement"),
        ("dose", _) => t(lang, "ett läkemedel", "a medicine"),
        ("visit", _) => t(lang, "ett tekniskt besök", "a technician's visit"),
        _ => return purpose.to_owned(),
    };
    said.to_owned()
}
