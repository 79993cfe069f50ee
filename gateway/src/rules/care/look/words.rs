//! What is said of look-ins by camera: (Swedish, English), the meaning within the first 32 characters.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use vaka_camera::State;
use vaka_protocol::AlarmId;

use super::super::when::local;
use super::declined::No;
use super::slots::Slot;
use super::{Instead, Look};

pub(super) type Said = (String, String);

fn clock(zone: &TimeZone, at_ms: i64) -> String {
    local(zone, at_ms).strftime("%H:%M").to_string()
}

fn of_day(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

fn both(sv: &str, en: &str) -> Said {
    (sv.to_owned(), en.to_owned())
}

/// What was agreed: names as in vaka.toml.
pub(super) fn settings(look: &Look) -> Vec<(String, String)> {
    let minutes = |ms: i64| (ms / 60_000).to_string();
    let instead = match look.instead {
        Instead::Visit => "visit",
        Instead::Call => "call",
        Instead::Nothing => "nothing",
    };
    let rounds = look.rounds.iter().map(|round| format!("{}-{}", of_day(round.at), of_day(round.latest)));
    let all = [
        ("camera", look.camera.to_string()),
        ("light", look.light.to_string()),
        ("rounds", rounds.collect::<Vec<_>>().join(" ")),
        ("look_s", (look.look_ms / 1_000).to_string()),
        ("second_look_after_min", look.second_after_ms.map_or_else(|| "0".to_owned(), minutes)),
        ("may_see_clearly", look.may_see_clearly.to_string()),
        ("alarm_may_look", look.alarms.join(" ")),
        ("instead", instead.to_owned()),
        ("lead_min", minutes(look.lead_ms)),
    ];
    all.into_iter().map(|(name, value)| (format!("look.{name}"), value)).collect()
}

/// The same for the same agreement (FNV-1a).
pub(super) fn print(look: &Look) -> u64 {
    let text = settings(look).into_iter().flat_map(|(name, value)| [name, value]).collect::<Vec<_>>().join("\n");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

pub(super) fn agreed() -> Said {
    both("Tillsyn med kamera är avtalad från och med nu.", "Look-ins by camera are agreed from now on.")
}

/// `person`: somebody looks; else the camera is checked.
pub(super) fn light_on(person: bool) -> Said {
    match person {
        true => both("Någon tittar till dig nu.", "Somebody is looking in on you now."),
        false => both("Kameran provas. Ingen ser något.", "The camera is checked. Nobody sees anything."),
    }
}

pub(super) fn light_off() -> Said {
    both("Kameran är stängd.", "The camera is closed.")
}

fn look_in(slot: &Slot) -> (String, String) {
    (format!("Tillsyn {}:", slot.name()), format!("Look-in {}:", slot.name()))
}

pub(super) fn calm(slot: &Slot, by: &str, at_ms: i64, zone: &TimeZone) -> Said {
    let ((sv, en), at) = (look_in(slot), clock(zone, at_ms));
    (format!("{sv} allt lugnt {at}, sade {by} som tittade."), format!("{en} all calm at {at}, said {by} who looked."))
}

pub(super) fn visited(slot: &Slot, by: &str, at_ms: i64, zone: &TimeZone) -> Said {
    let ((sv, en), at) = (look_in(slot), clock(zone, at_ms));
    (format!("{sv} {by} var där {at}."), format!("{en} {by} was there at {at}."))
}

fn no(no: &No, zone: &TimeZone) -> Said {
    match no {
        No::Declined(_, at) => {
            let at = clock(zone, at.wall_ms);
            (format!("Inte i natt, sade den boende {at}."), format!("Not tonight, said the resident at {at}."))
        }
        No::Private(_, at) => {
            let at = clock(zone, at.wall_ms);
            (format!("Den boende vill vara i fred sedan {at}."), format!("The resident wants privacy since {at}."))
        }
        No::Withdrawn => both("Samtycket till kamera är återtaget.", "The consent to the camera was withdrawn."),
    }
}

pub(super) fn declined(slot: &Slot, said: &No, zone: &TimeZone) -> Said {
    let ((sv, en), (no_sv, no_en)) = (look_in(slot), no(said, zone));
    (
        format!("{sv} avböjd. {no_sv} Ingen kommer, som avtalat."),
        format!("{en} declined. {no_en} Nobody comes, as agreed."),
    )
}

pub(super) fn instead(slot: &Slot, said: &No, instead: Instead, zone: &TimeZone) -> Said {
    let (latest, (no_sv, no_en)) = (clock(zone, slot.latest_ms), no(said, zone));
    let (do_sv, do_en) = match instead {
        Instead::Call => ("Ring", "Call"),
        Instead::Visit | Instead::Nothing => ("Besök", "Visit"),
    };
    let sv = format!("{do_sv} före {latest}. Tillsynen {} med kamera görs inte. {no_sv}", slot.name());
    let en = format!("{do_en} by {latest}. The {} look-in by camera is not made. {no_en}", slot.name());
    (sv, en)
}

pub(super) fn visit(slot: &Slot, (why_sv, why_en): Said, zone: &TimeZone) -> Said {
    let latest = clock(zone, slot.latest_ms);
    let sv = format!("Besök före {latest}. Tillsynen {} skulle göras med kamera. {why_sv}", slot.name());
    let en = format!("Visit by {latest}. The {} look-in was to be made by camera. {why_en}", slot.name());
    (sv, en)
}

/// After looks that alarms opened, the oldest first.
pub(super) fn go_for_alarms(looks: Vec<(&AlarmId, Said)>) -> Said {
    let mut said = both("Besök nu.", "Visit now.");
    for (alarm, (why_sv, why_en)) in looks {
        said.0.push_str(&format!(" Ett larm ({alarm}) öppnade kameran. {why_sv}"));
        said.1.push_str(&format!(" An alarm ({alarm}) opened the camera. {why_en}"));
    }
    said
}

pub(super) fn nobody_looked() -> Said {
    both("Ingen har tittat.", "Nobody has looked.")
}

pub(super) fn needs_visit(by: &str) -> Said {
    (format!("Någon behöver komma, såg {by}."), format!("Somebody is needed, saw {by}."))
}

pub(super) fn could_not_tell(by: &str) -> Said {
    (
        format!("Det gick inte att avgöra, sade {by} som tittade."),
        format!("It could not be told, said {by} who looked."),
    )
}

pub(super) fn no_outcome(by: &str) -> Said {
    (format!("Hur det var sade inte {by} som tittade."), format!("How it was {by} who looked has not said."))
}

pub(super) fn ask_again(by: &str) -> Said {
    (
        format!("Hur var det? Den som tittade, {by}, har inte svarat."),
        format!("How was it? {by}, who looked, has not answered."),
    )
}

pub(super) fn prevented() -> Said {
    both(
        "Att någon hade tittat i tid och sagt att allt var lugnt.",
        "Somebody who had looked in time and said that all was calm.",
    )
}

/// What stood in the way, by its stable word.
pub fn why(word: &str) -> Said {
    let (sv, en) = match word {
        "no_light" => ("Den boendes lampa svarar inte.", "The resident's light does not answer."),
        "no_camera" => ("Kameran är inte inlagd.", "The camera is not set up."),
        "hub_away" => ("Förbindelsen med centralen fanns inte.", "There was no connection to the hub."),
        "hub_may_not" => (
            "Hemmet låter inte centralen titta längre. Gå dit om du är osäker.",
            "The home lets its hub look no more. Go there if you are in doubt.",
        ),
        "restart" => ("Gatewayen startade om.", "The gateway started anew."),
        "viewer" | "unused" | "said_no" => ("Ingen såg någon bild.", "Nobody saw a picture."),
        _ => match STATES.into_iter().find(|state| state.word() == word) {
            Some(state) => (state.sv(), state.en()),
            None => vaka_camera::sentences(word),
        },
    };
    both(sv, en)
}

/// What a check found, by its stable word.
pub fn found(word: &str) -> Said {
    match word {
        "well" => both(State::Well.sv(), State::Well.en()),
        word => why(word),
    }
}

const STATES: [State; 5] = [State::Dark, State::Covered, State::Frozen, State::Moved, State::Unjudged];
