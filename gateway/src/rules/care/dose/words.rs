//! What is said of a dose, in Swedish and English. The first 32 characters carry the meaning: a SCAIP receiver shows no more.
//! It says what happened; never what anybody should take.

use jiff::tz::TimeZone;
use vaka_protocol::DoseOutcome;

use super::super::View;
use super::super::when::local;
use super::memory::{Outcome, Report};
use super::planned::Planned;

type Said = (String, String);

/// `08:00`.
pub fn clock(zone: &TimeZone, at_ms: i64) -> String {
    local(zone, at_ms).strftime("%H:%M").to_string()
}

/// The dose's own time as agreed, also where that hour does not exist.
fn due(planned: &Planned<'_>) -> String {
    planned.plan.at.strftime("%H:%M").to_string()
}

pub fn silent(view: View<'_>, planned: &Planned<'_>) -> Said {
    let (at, until) = (due(planned), clock(&view.agreed.zone, planned.closes_ms));
    (
        format!(
            "Dosen {at}: fördelaren är tyst. Det går inte att veta om dosen ges. Någon behöver se efter före {until}."
        ),
        format!(
            "Dose {at}: dispenser is silent. Whether it is given cannot be known. Somebody has to look before {until}."
        ),
    )
}

pub fn early(view: View<'_>, planned: &Planned<'_>, report: &Report) -> Said {
    let (at, out) = (due(planned), clock(&view.agreed.zone, report.at.wall_ms));
    (
        format!("Dosen {at} gavs för tidigt. Fördelaren matade ut den {out}, före den tid som är överenskommen."),
        format!("Dose {at} given too early. The dispenser gave it out at {out}, before the time agreed."),
    )
}

/// How a dose ended, and what shows it.
pub fn ended(view: View<'_>, planned: &Planned<'_>, outcome: Outcome, shown: &[Report]) -> Said {
    let zone = &view.agreed.zone;
    let (at, until) = (due(planned), clock(zone, planned.closes_ms));
    let of = |outcome| shown.iter().rev().find(|report| report.outcome == outcome);
    let time = |report: &Report| clock(zone, report.at.wall_ms);
    let out = of(DoseOutcome::Dispensed).map(time);
    let locked = ("Den är låst tills en person släpper den.", "It is locked until a person releases it.");
    let (sv, en) = match outcome {
        Outcome::Taken => {
            let taken = of(DoseOutcome::Taken).map(time).unwrap_or_default();
            return (format!("Dosen {at} togs {taken}."), format!("Dose {at} was taken at {taken}."));
        }
        Outcome::NotTaken => {
            let out = out.unwrap_or_default();
            (
                format!(
                    "Dosen {at} är inte tagen. Den matades ut {out}, och fördelaren märkte inte att den togs före {until}."
                ),
                format!(
                    "Dose {at} is not taken. It was given out at {out}; the dispenser saw nobody take it before {until}."
                ),
            )
        }
        Outcome::Missed => match of(DoseOutcome::Missed) {
            Some(said) => {
                let said = time(said);
                (
                    format!("Dosen {at} är inte tagen. Det sade fördelaren {said}."),
                    format!("Dose {at} is not taken. The dispenser said so at {said}."),
                )
            }
            None => (
                format!("Dosen {at} är inte tagen. Fördelaren matade inte ut den före {until}."),
                format!("Dose {at} is not taken. The dispenser did not give it out before {until}."),
            ),
        },
        Outcome::Signed => {
            let given = format!("Dosen {at} gavs för hand.");
            return (given, format!("Dose {at} was given by hand."));
        }
        Outcome::Refused => (format!("Dosen {at} avböjdes."), format!("Dose {at} was refused.")),
        Outcome::Jammed => (
            format!("Dosen {at}: fördelaren fastnade. Dosen kom inte ut som den skulle."),
            format!("Dose {at}: dispenser is jammed. The dose did not come out as it should."),
        ),
        Outcome::Unknown => match (of(DoseOutcome::Unknown), out) {
            (Some(_), _) => (
                format!("Dosen {at}: oklart om den togs. Fördelaren vet det inte själv."),
                format!("Dose {at}: unknown if taken. The dispenser itself does not know."),
            ),
            (None, Some(out)) => (
                format!("Dosen {at}: oklart om den togs. Den matades ut {out}; sedan har fördelaren varit tyst."),
                format!("Dose {at}: unknown if taken. It was given out at {out}; since then the dispenser is silent."),
            ),
            (None, None) => (
                format!("Dosen {at}: oklart om den togs. Fördelaren är tyst."),
                format!("Dose {at}: unknown if taken. The dispenser is silent."),
            ),
        },
    };
    (format!("{sv} {}", locked.0), format!("{en} {}", locked.1))
}

pub fn corrected((sv, en): Said) -> Said {
    (format!("Rättelse: {sv}"), format!("Correction: {en}"))
}

/// Given by hand, and by the dispenser as well.
pub fn twice(view: View<'_>, planned: &Planned<'_>, report: &Report) -> Said {
    let (at, when) = (due(planned), clock(&view.agreed.zone, report.at.wall_ms));
    let said = report.outcome.as_str();
    (
        format!("Dosen {at}: kanske dubbel. Signerad som given för hand, och fördelaren sade {when}: {said}."),
        format!("Dose {at}: perhaps twice. Signed as given by hand, and the dispenser said at {when}: {said}."),
    )
}

pub fn contradicted(view: View<'_>, planned: &Planned<'_>, report: &Report) -> Said {
    let (at, when) = (due(planned), clock(&view.agreed.zone, report.at.wall_ms));
    let said = report.outcome.as_str();
    (
        format!("Dosen {at}: motsägande besked. Fördelaren sade att den togs, och {when} något annat ({said})."),
        format!(
            "Dose {at}: contradicting words. The dispenser said that it was taken, and at {when} otherwise ({said})."
        ),
    )
}

pub fn unplanned(view: View<'_>, slot: &str, report: &Report) -> Said {
    let (when, said) = (clock(&view.agreed.zone, report.at.wall_ms), report.outcome.as_str());
    (
        format!("Dos utanför schemat. Fördelaren sade {when} om facket {slot}: {said}. Ingen dos var planerad då."),
        format!(
            "Dose outside the schedule. At {when} the dispenser said of slot {slot}: {said}. None was planned then."
        ),
    )
}

pub fn released_unused(view: View<'_>, planned: &Planned<'_>, by: &str, until_ms: i64) -> Said {
    let (at, until) = (due(planned), clock(&view.agreed.zone, until_ms));
    (
        format!("Släppt dos {at} ej tagen. {by} släppte den, och fram till {until} märktes inte att den togs."),
        format!("Released dose {at} not taken. {by} released it, and until {until} nobody was seen to take it."),
    )
}

/// For the dispenser's display.
pub fn reminder(planned: &Planned<'_>) -> Said {
    let at = due(planned);
    (format!("Påminnelse: dosen {at}."), format!("Reminder: the dose of {at}."))
}

pub fn reminded(planned: &Planned<'_>) -> Said {
    let at = due(planned);
    (
        format!("Påminnelse om dosen {at} sändes till fördelaren."),
        format!("A reminder of dose {at} was sent to the dispenser."),
    )
}

pub const TAKEN_IN_TIME: (&str, &str) = ("Att dosen hade tagits i tid.", "The dose taken in time.");
pub const HEARD: (&str, &str) =
    ("Att fördelaren hade haft ström och förbindelse.", "A dispenser with power and a connection.");

pub fn schedule_sent(count: usize) -> Said {
    (format!("Schemat med {count} doser sändes till fördelaren."), format!("The schedule of {count} doses was sent."))
}

pub fn schedule_old(refused: bool) -> Said {
    let (sv, en) = match refused {
        true => ("tog inte emot", "did not accept"),
        false => ("har inte bekräftat", "has not confirmed"),
    };
    (
        format!("Fördelaren {sv} schemat. Den går på sitt gamla schema."),
        format!("Dispenser {en} the schedule. It runs on its old schedule."),
    )
}

pub fn schedule_new() -> Said {
    ("Fördelaren har bekräftat sitt schema.".into(), "The dispenser has confirmed its schedule.".into())
}

pub fn stock_low(days_left: u16) -> Said {
    (
        format!("Fördelaren räcker {days_left} dagar till. Den behöver fyllas på."),
        format!("Dispenser lasts {days_left} more days. It has to be refilled."),
    )
}

pub fn stock_good(days_left: u16) -> Said {
    (
        format!("Fördelaren är påfylld. Den räcker {days_left} dagar."),
        format!("The dispenser has been refilled. It lasts {days_left} days."),
    )
}

pub fn owned((sv, en): (&str, &str)) -> Said {
    (sv.to_owned(), en.to_owned())
}
