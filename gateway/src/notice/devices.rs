//! What each device senses, in plain words.

use super::say;
use crate::config::{Device, DeviceKind, Language};

/// A line for each device that senses or does something to the person.
pub(super) fn sensed(devices: &[&Device], language: Language) -> Vec<String> {
    let lines: Vec<String> = devices
        .iter()
        .filter_map(|device| {
            let ((sv_name, en_name), (sv, en)) = words(device)?;
            let name = say(language, sv_name, en_name);
            let room = device.room.as_ref().map(|room| format!(", {room}")).unwrap_or_default();
            Some(format!("{name} ({}{room}): {}", device.id, say(language, sv, en)))
        })
        .collect();
    match lines.is_empty() {
        true => vec![say(language, "Ingenting: ingen utrustning är din än.", "Nothing: no equipment is yours yet.")],
        false => lines,
    }
}

type Words = (&'static str, &'static str);

/// Its name and what it senses. None: it senses nothing of a person.
fn words(device: &Device) -> Option<(Words, Words)> {
    let (name, senses) = match device.kind {
        DeviceKind::Pendant => {
            (("Larmknapp", "Alarm button"), ("känner bara när du trycker.", "senses only that you press it."))
        }
        DeviceKind::FixedTrigger => (
            ("Fast larmknapp", "Wall button"),
            ("känner bara när någon trycker.", "senses only that somebody presses it."),
        ),
        DeviceKind::FallDetector => (
            ("Fallarm", "Fall detector"),
            ("känner om den som bär det faller.", "senses whether whoever wears it falls."),
        ),
        DeviceKind::BedSensor => (
            ("Sängsensor", "Bed sensor"),
            (
                "känner om någon ligger i sängen. Inte puls, inte andning.",
                "senses whether somebody lies in the bed. Not pulse, not breath.",
            ),
        ),
        DeviceKind::ChairSensor => (
            ("Stolsensor", "Chair sensor"),
            ("känner om någon sitter i stolen.", "senses whether somebody sits in the chair."),
        ),
        DeviceKind::MatSensor => {
            (("Larmmatta", "Mat"), ("känner om någon står på mattan.", "senses whether somebody stands on the mat."))
        }
        DeviceKind::DoorSensor if device.exit => (
            ("Dörrsensor, ytterdörr", "Door sensor, front door"),
            ("känner om dörren är öppen. Inte vem som går.", "senses whether the door is open. Not who goes."),
        ),
        DeviceKind::DoorSensor => (
            ("Dörrsensor", "Door sensor"),
            ("känner om dörren eller luckan är öppen.", "senses whether the door or the lid is open."),
        ),
        DeviceKind::MotionSensor => (
            ("Rörelsesensor", "Motion sensor"),
            ("känner att någon rör sig. Inte vem. Ingen bild.", "senses that somebody moves. Not who. No picture."),
        ),
        DeviceKind::SmokeDetector => (("Brandvarnare", "Smoke detector"), ("känner rök.", "senses smoke.")),
        DeviceKind::GasDetector => (("Gasvarnare", "Gas detector"), ("känner gas.", "senses gas.")),
        DeviceKind::CoDetector => {
            (("Kolmonoxidvarnare", "CO detector"), ("känner kolmonoxid.", "senses carbon monoxide."))
        }
        DeviceKind::HeatDetector => {
            (("Värmevarnare", "Heat detector"), ("känner hetta som vid brand.", "senses heat as of a fire."))
        }
        DeviceKind::FloodSensor => {
            (("Vattenvarnare", "Water sensor"), ("känner vatten på golvet.", "senses water on the floor."))
        }
        DeviceKind::EnuresisSensor => {
            (("Fuktsensor", "Moisture sensor"), ("känner om sängen är våt.", "senses whether the bed is wet."))
        }
        DeviceKind::SeizureSensor => (
            ("Epilepsilarm", "Seizure sensor"),
            ("känner rörelser som vid ett krampanfall.", "senses movement as of a seizure."),
        ),
        DeviceKind::GpsAlarm => (
            ("GPS-larm", "GPS alarm"),
            ("känner när du trycker, och var du är.", "senses that you press it, and where you are."),
        ),
        DeviceKind::Dispenser => (
            ("Läkemedelsfördelare", "Medicine dispenser"),
            ("känner om en dos matas ut och tas.", "senses whether a dose is dispensed and taken."),
        ),
        DeviceKind::Cabinet => (
            ("Skåp", "Cabinet"),
            ("skriver ner när det öppnas, och av vem det vet.", "writes down when it is opened, and by whom it knows."),
        ),
        DeviceKind::Lock => (
            ("Dörrlås", "Door lock"),
            ("skriver ner när det öppnas, och av vem det vet.", "writes down when it is opened, and by whom it knows."),
        ),
        DeviceKind::Thermometer => {
            (("Termometer", "Thermometer"), ("mäter rummets temperatur.", "measures the room's temperature."))
        }
        DeviceKind::VitalMonitor => (
            ("Mätare", "Monitor"),
            (
                "mäter värden och för dem vidare som de är. Utrustningen tolkar dem inte.",
                "measures values and passes them on as they are. The equipment does not interpret them.",
            ),
        ),
        DeviceKind::Feedback => (
            ("Lampa eller skärm", "Lamp or display"),
            ("känner ingenting. Den säger till dig.", "senses nothing. It tells you."),
        ),
        DeviceKind::Other => (
            ("Annan enhet", "Other device"),
            ("det den säger sparas och visas för personalen.", "what it says is kept and shown to staff."),
        ),
        DeviceKind::Bridge | DeviceKind::Gateway => return None,
    };
    Some((name, senses))
}
