//! What is said of activity and quiet: (Swedish, English).

use vaka_protocol::DeviceId;

use super::Part;
use crate::rules::words::lasting;

type Said = (String, String);

pub(super) fn quiet(quiet_ms: i64, part: &Part) -> Said {
    let ((for_sv, for_en), (max_sv, max_en)) = (lasting(quiet_ms), lasting(part.quiet_ms));
    let name = part.name();
    (
        format!("Ingen rörelse sedan {for_sv}. För {name} är högst {max_sv} överenskommet."),
        format!("No activity for {for_en}. For {name} at most {max_en} is agreed."),
    )
}

pub(super) fn unproven(quiet_ms: i64, blind: bool) -> Said {
    let (for_sv, for_en) = lasting(quiet_ms);
    match blind {
        true => (
            format!("Titta till: inget märkt på {for_sv}. Ingen sensor hörs, så ingen vet hur det är."),
            format!("Look in: nothing seen for {for_en}. No sensor is heard, so nobody knows how it is."),
        ),
        false => (
            format!("Titta till: inget märkt på {for_sv}. En del av tiden hördes ingen sensor."),
            format!("Look in: nothing seen for {for_en}. For part of it no sensor was heard."),
        ),
    }
}

pub(super) fn again(device: &DeviceId) -> Said {
    (format!("Rörelse igen, vid {device}."), format!("Activity again, at {device}."))
}

pub(super) fn begun() -> Said {
    ("Härifrån räknas aktivitet.".to_owned(), "From here on activity is looked for.".to_owned())
}

pub(super) fn away() -> Said {
    (
        "Ute: ytterdörren, och inget rör sig efter den. Ingen saknas förrän någon är hemma.".to_owned(),
        "Out: the front door, and nothing moves after it. Nobody is missed until somebody is home.".to_owned(),
    )
}

pub(super) fn home() -> Said {
    ("Hemma igen.".to_owned(), "Home again.".to_owned())
}

pub(super) fn out_long(for_ms: i64) -> Said {
    let (for_sv, for_en) = lasting(for_ms);
    (
        format!("Inte hemma sedan {for_sv}. Det är längre än överenskommet: hör efter."),
        format!("Not home for {for_en}. That is longer than agreed: find out."),
    )
}

pub(super) fn check_done(slot: &str) -> Said {
    (format!("Tillsyn {slot}: rörelse märkt."), format!("Look-in {slot}: activity seen."))
}

pub(super) fn check_out(slot: &str) -> Said {
    (format!("Tillsyn {slot}: inte hemma."), format!("Look-in {slot}: not home."))
}

pub(super) fn check_visit(slot: &str, latest: &str, blind: bool) -> Said {
    match blind {
        true => (
            format!("Besök före {latest}: tillsyn {slot} går inte, ingen sensor hörs."),
            format!("Visit before {latest}: look-in {slot} cannot be made, no sensor is heard."),
        ),
        false => (
            format!("Besök före {latest}: ingen rörelse märkt vid tillsyn {slot}."),
            format!("Visit before {latest}: no activity seen for look-in {slot}."),
        ),
    }
}

pub(super) fn any_activity() -> Said {
    (
        "Vilken rörelse som helst som en sensor märkt i tid.".to_owned(),
        "Any activity that a sensor had seen in time.".to_owned(),
    )
}

pub(super) fn a_sensor_awake() -> Said {
    (
        "Att en sensor hade hörts hela tiden, eller märkt någon.".to_owned(),
        "That a sensor had been heard all the time, or had seen somebody.".to_owned(),
    )
}
