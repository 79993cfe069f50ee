//! What is said of a device that is not heard: (Swedish, English).

use vaka_protocol::DeviceId;

use crate::rules::words::lasting;

pub fn silent(id: &DeviceId, unsteady: bool, never: bool, run: u32, silent_ms: i64, behind: usize) -> (String, String) {
    let (for_sv, for_en) = lasting(silent_ms);
    let (sv, en) = match (unsteady, never) {
        (true, _) => (
            format!("{id} hörs bara ibland. Den har tappat kontakten {run} gånger på {for_sv}."),
            format!("{id} is heard on and off. It lost contact {run} times in {for_en}."),
        ),
        (_, true) => (
            format!("{id} har aldrig hörts. Den är med sedan {for_sv}."),
            format!("{id} was never heard. It was listed {for_en} ago."),
        ),
        _ => (
            format!("{id} hörs inte sedan {for_sv}. Vad den skulle märka märks inte nu."),
            format!("{id} is silent for {for_en}. What it should notice is not noticed now."),
        ),
    };
    with_behind((sv, en), behind)
}

/// `behind`: how many devices stand behind it, where it is a bridge.
fn with_behind((sv, en): (String, String), behind: usize) -> (String, String) {
    match behind {
        0 => (sv, en),
        1 => (format!("{sv} Inte heller enheten bakom den."), format!("{en} Nor is the device behind it.")),
        many => (
            format!("{sv} Inte heller de {many} enheterna bakom den."),
            format!("{en} Nor are the {many} devices behind it."),
        ),
    }
}

pub fn visit(id: &DeviceId, unsteady: bool, silent_ms: i64, behind: usize) -> (String, String) {
    let (for_sv, for_en) = lasting(silent_ms);
    let said = match unsteady {
        true => (
            format!("Besök behövs: {id} hörs bara ibland, sedan {for_sv}."),
            format!("Visit needed: {id} is heard on and off, for {for_en}."),
        ),
        false => (
            format!("Besök behövs: {id} hörs inte, sedan {for_sv}."),
            format!("Visit needed: {id} is silent, for {for_en}."),
        ),
    };
    with_behind(said, behind)
}

pub fn back(id: &DeviceId, run: u32, lasted_ms: i64) -> (String, String) {
    let (for_sv, for_en) = lasting(lasted_ms);
    match run {
        0 | 1 => (format!("{id} hörs igen, efter {for_sv}."), format!("{id} is heard again, after {for_en}.")),
        many => (
            format!("{id} hörs stadigt igen, efter {for_sv}. Den tappade kontakten {many} gånger."),
            format!("{id} is heard steadily again, after {for_en}. It lost contact {many} times."),
        ),
    }
}

pub fn prevented(behind_a_bridge: bool) -> (String, String) {
    match behind_a_bridge {
        true => (
            "Att enheten hade sagt något, till exempel sin laddning: nytt batteri, eller flyttad närmare.".to_owned(),
            "That the device had said anything, for example its charge: a new battery, or moved nearer.".to_owned(),
        ),
        false => {
            ("Att enheten hade haft ström och nät.".to_owned(), "That the device had had power and network.".to_owned())
        }
    }
}
