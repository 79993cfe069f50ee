//! What is said of the night: (Swedish, English), the meaning within the first 32 characters.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::super::facts::Switch;
use super::super::moment::At;
use super::super::when::local;
use super::rounds::Slot;
use super::{Declined, Morning, Night};
use crate::rules::words::{Words, lasting};

type Said = (String, String);

pub(super) const DARK_TOO: Words = ("Sängsensorn hörs inte längre.", "The bed sensor is no longer heard.");
pub(super) const BED_SILENT: Words = ("Sängsensorn hörs inte.", "The bed sensor is not heard.");
pub(super) const BED_REFUSED: Words =
    ("Sängsensorns besked togs inte emot.", "What the bed sensor said was not taken.");
pub(super) const NOT_ENTERED: Words = ("Ingen syns i sängen.", "Nobody is seen in bed.");

fn clock(zone: &TimeZone, at_ms: i64) -> String {
    local(zone, at_ms).strftime("%H:%M").to_string()
}

fn of_day(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

pub(super) fn of((sv, en): Words) -> Said {
    (sv.to_owned(), en.to_owned())
}

pub(super) fn and<S: AsRef<str>>((sv, en): Said, (more_sv, more_en): (S, S)) -> Said {
    (format!("{sv} {}", more_sv.as_ref()), format!("{en} {}", more_en.as_ref()))
}

/// The window, and what else was agreed that counts here: names as in vaka.toml.
pub(super) fn settings<V: ToString>(night: &Night, more: &[(&str, V)]) -> Vec<(String, String)> {
    let window =
        [("night.from".to_owned(), of_day(night.window.from)), ("night.until".to_owned(), of_day(night.window.until))];
    let more = more.iter().map(|(name, value)| (format!("night.{name}"), value.to_string()));
    window.into_iter().chain(more).collect()
}

pub(super) fn all_settings(night: &Night) -> Vec<(String, String)> {
    let minutes = |ms: i64| (ms / 60_000).to_string();
    let optional = [
        ("absence_care_min", night.absence_care_ms.map(minutes)),
        ("absence_life_min", night.absence_life_ms.map(minutes)),
        ("in_bed_by", night.in_bed_by.map(of_day)),
        ("visits_up_max", night.visits_up_max.map(|max| max.to_string())),
        ("up_from", night.morning.map(|morning| of_day(morning.from))),
        ("up_by", night.morning.map(|morning| of_day(morning.by))),
        ("door", (!night.exits.is_empty()).then(|| "alarm".to_owned())),
    ];
    let mut more: Vec<(&str, String)> = optional.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if !night.rounds.is_empty() {
        let round = |round: &super::Round| format!("{}-{}", of_day(round.at), of_day(round.latest));
        more.push(("rounds", night.rounds.iter().map(round).collect::<Vec<_>>().join(" ")));
        more.push(("visit_lead_min", minutes(night.visit_lead_ms)));
        more.push(("declined", if night.declined == Declined::Visit { "visit" } else { "nothing" }.to_owned()));
    }
    more.push(("staff_visit_min", minutes(night.staff_visit_ms)));
    if !night.beds.is_empty() {
        more.push(("bed_heard_min", minutes(night.bed_heard_ms)));
    }
    settings(night, &more)
}

pub(super) fn agreed(night: &Night) -> Said {
    let (from, until) = (of_day(night.window.from), of_day(night.window.until));
    (
        format!("Natten vakas {from}-{until} från och med nu."),
        format!("The night is watched {from}-{until} from now on."),
    )
}

pub(super) fn staff(zone: &TimeZone, at: &At) -> Said {
    let at = clock(zone, at.wall_ms);
    (format!("Personal var här {at}."), format!("Staff was here at {at}."))
}

pub(super) fn absence(zone: &TimeZone, left: &At, lasted_ms: i64) -> Said {
    let ((sv, en), at) = (lasting(lasted_ms), clock(zone, left.wall_ms));
    (format!("Inte i sängen på {sv}. Lämnade den {at}."), format!("Out of bed for {en}. Left it at {at}."))
}

pub(super) fn absence_prevented(limit_ms: i64) -> Said {
    let (sv, en) = lasting(limit_ms);
    (format!("Tillbaka i sängen inom {sv}."), format!("Back in bed within {en}."))
}

pub(super) fn back(zone: &TimeZone, at_ms: i64, away_ms: i64) -> Said {
    let ((sv, en), at) = (lasting(away_ms), clock(zone, at_ms));
    (format!("Åter i sängen {at} efter {sv}."), format!("Back in bed at {at} after {en}."))
}

pub(super) fn was_back() -> Said {
    of(("Har varit åter i sängen sedan dess.", "Has been back in bed since then."))
}

pub(super) fn in_bed(zone: &TimeZone, at_ms: i64) -> Said {
    let at = clock(zone, at_ms);
    (format!("I sängen sedan {at}."), format!("In bed since {at}."))
}

/// `now_ms` differs from `by_ms` where it could not be told in time.
pub(super) fn not_in_bed(zone: &TimeZone, by_ms: i64, now_ms: i64) -> Said {
    let by = clock(zone, by_ms);
    let said = (format!("Inte i säng kl {by} som avtalat."), format!("Not in bed at {by} as agreed."));
    match clock(zone, now_ms) {
        now if now == by => said,
        now => and(said, (format!("Inte heller {now}."), format!("Nor at {now}."))),
    }
}

pub(super) fn not_in_bed_prevented(by: Time) -> Said {
    let by = of_day(by);
    (
        format!("I säng före {by}, eller en senare tid i avtalet."),
        format!("In bed before {by}, or a later time agreed."),
    )
}

/// `refused`: it spoke, and there was no room for what it said.
pub(super) fn dark(zone: &TimeZone, heard: Option<At>, refused: bool) -> Said {
    let said = match refused {
        true => and(of(("Sängen okänd: titta till.", "Bed not known: please visit.")), BED_REFUSED),
        false => of(("Sängsensorn tyst: titta till.", "Bed sensor silent: please visit.")),
    };
    match heard.map(|heard| clock(zone, heard.wall_ms)) {
        Some(at) => and(
            said,
            (
                format!("Den hördes senast {at}. Ingen vet om sängen är tom."),
                format!("It was last heard at {at}. Nobody knows whether the bed is empty."),
            ),
        ),
        None => and(said, ("Den har aldrig hörts.".to_owned(), "It has never been heard.".to_owned())),
    }
}

pub(super) fn dark_prevented() -> Said {
    of((
        "En sängsensor som hörs: batteri, räckvidd eller ström.",
        "A bed sensor that is heard: battery, range or power.",
    ))
}

pub(super) fn heard_again() -> Said {
    of(("Sängsensorn hörs igen.", "The bed sensor is heard again."))
}

pub(super) fn visits_up(count: usize, max: usize) -> Said {
    (
        format!("Uppe {count} gånger i natt. Avtalat är högst {max}."),
        format!("Up {count} times tonight. At most {max} is agreed."),
    )
}

pub(super) fn visits_up_prevented(count: usize) -> Said {
    (format!("En avtalad gräns på {count} eller mer."), format!("An agreed limit of {count} or more."))
}

pub(super) fn door(zone: &TimeZone, at: &At) -> Said {
    let at = clock(zone, at.wall_ms);
    (format!("Ytterdörren öppnades {at}."), format!("The outer door was opened at {at}."))
}

pub(super) fn door_prevented() -> Said {
    of((
        "Stängd dörr under natten, eller door = \"off\" i avtalet.",
        "A door kept shut at night, or door = \"off\" in the agreement.",
    ))
}

pub(super) fn no_sign(zone: &TimeZone, by_ms: i64, last: Option<At>) -> Said {
    let by = clock(zone, by_ms);
    let said = (format!("Inget livstecken före {by}."), format!("No sign of life by {by}."));
    match last.map(|at| clock(zone, at.wall_ms)) {
        Some(at) => and(said, (format!("Det senaste var {at}."), format!("The last one was at {at}."))),
        None => said,
    }
}

pub(super) fn no_sign_prevented(morning: Morning) -> Said {
    let (from, by) = (of_day(morning.from), of_day(morning.by));
    (format!("Rörelse någonstans mellan {from} och {by}."), format!("Movement anywhere between {from} and {by}."))
}

pub(super) fn sign(zone: &TimeZone, at: &At) -> Said {
    let at = clock(zone, at.wall_ms);
    (format!("Livstecken {at}."), format!("A sign of life at {at}."))
}

fn round(slot: &Slot) -> Said {
    let name = slot.name();
    (format!("Tillsyn {name}:"), format!("Look-in {name}:"))
}

pub(super) fn round_in_bed(zone: &TimeZone, slot: &Slot, bed: &Switch, heard: &At) -> Said {
    let (since, heard) = (clock(zone, bed.since.wall_ms), clock(zone, heard.wall_ms));
    let said = and(round(slot), (format!("i sängen sedan {since}."), format!("in bed since {since}.")));
    and(said, (format!("Sensorn hördes senast {heard}."), format!("The sensor was last heard at {heard}.")))
}

pub(super) fn round_up(zone: &TimeZone, slot: &Slot, at: &At) -> Said {
    let at = clock(zone, at.wall_ms);
    and(round(slot), (format!("uppe, rörde sig {at}."), format!("up, moved at {at}.")))
}

pub(super) fn round_staff(zone: &TimeZone, slot: &Slot, at: &At) -> Said {
    let at = clock(zone, at.wall_ms);
    and(round(slot), (format!("personal var här {at}."), format!("staff was here at {at}.")))
}

pub(super) fn round_declined(zone: &TimeZone, slot: &Slot, at: &At) -> Said {
    let at = clock(zone, at.wall_ms);
    let said = and(round(slot), (format!("avböjd {at}."), format!("declined at {at}.")));
    and(said, ("Ingen kommer, som avtalat.", "Nobody comes, as agreed."))
}

pub(super) fn round_visit_instead(zone: &TimeZone, slot: &Slot, at: &At) -> Said {
    let (latest, at) = (clock(zone, slot.latest_ms), clock(zone, at.wall_ms));
    let said = (format!("Besök före {latest}."), format!("Visit by {latest}."));
    let why_sv = format!("Tillsynen {} genom sensor avböjdes {at}; då är besök avtalat.", slot.name());
    let why_en = format!("The {} look-in by sensor was declined at {at}; a visit is agreed then.", slot.name());
    and(said, (why_sv, why_en))
}

pub(super) fn round_visit(zone: &TimeZone, slot: &Slot, (why_sv, why_en): Said) -> Said {
    let latest = clock(zone, slot.latest_ms);
    let said = (format!("Besök före {latest}."), format!("Visit by {latest}."));
    let cannot_sv = format!("Tillsynen {} gick inte att göra genom sensor. {why_sv}", slot.name());
    let cannot_en = format!("The {} look-in could not be made by sensor. {why_en}", slot.name());
    and(said, (cannot_sv, cannot_en))
}

pub(super) fn empty_since(zone: &TimeZone, left: &At) -> Said {
    let at = clock(zone, left.wall_ms);
    (
        format!("Sängen är tom sedan {at} och ingen rörelse har synts."),
        format!("The bed is empty since {at} and nobody was seen to move."),
    )
}

pub(super) fn round_prevented() -> Said {
    of((
        "En sensor som hörs och visar den boende i sängen eller uppe.",
        "A sensor that is heard and shows the resident in bed or up.",
    ))
}

/// Made, but after its latest time.
pub(super) fn late(zone: &TimeZone, latest_ms: i64) -> Said {
    let latest = clock(zone, latest_ms);
    (format!("Försent: avtalat var före {latest}."), format!("Late: agreed was by {latest}."))
}
