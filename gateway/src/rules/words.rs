//! What is said of an event, in Swedish and English: short sentences that a relative understands.

use vaka_protocol::{DoseOutcome, Event, Press};

/// (Swedish, English).
pub type Words = (&'static str, &'static str);

pub fn of(event: &Event) -> Words {
    match event {
        Event::Button { press: Press::Long } => ("Larmknappen hölls intryckt.", "The alarm button was held down."),
        Event::Button { .. } => ("Larmknappen trycktes in.", "The alarm button was pressed."),
        Event::Cancel {} => ("Larmet ångrades med knappen.", "The alarm was cancelled by button."),
        Event::Fall { .. } => ("Ett fall märktes.", "A fall was felt."),
        Event::Seizure {} => ("Ett krampanfall märktes.", "A seizure was felt."),
        Event::Smoke { active: true } => ("Brandvarnaren känner rök.", "The smoke detector senses smoke."),
        Event::Smoke { .. } => ("Brandvarnaren känner inte längre rök.", "The smoke is gone."),
        Event::Gas { active: true } => ("Gasvarnaren känner gas.", "The gas detector senses gas."),
        Event::Gas { .. } => ("Gasvarnaren känner inte längre gas.", "The gas is gone."),
        Event::Co { active: true } => ("Kolmonoxid i luften.", "Carbon monoxide in the air."),
        Event::Co { .. } => ("Kolmonoxiden är borta.", "The carbon monoxide is gone."),
        Event::Heat { active: true } => ("Värmevarnaren känner hetta som vid brand.", "Heat as of a fire."),
        Event::Heat { .. } => ("Hettan är borta.", "The heat is gone."),
        Event::Flood { active: true } => ("Vatten på golvet.", "Water on the floor."),
        Event::Flood { .. } => ("Vattnet på golvet är borta.", "The water on the floor is gone."),
        Event::Enuresis {} => ("Sängen är våt.", "The bed is wet."),
        Event::Dose { outcome: DoseOutcome::Missed, .. } => ("En dos togs inte.", "A dose was not taken."),
        Event::Dose { outcome: DoseOutcome::Refused, .. } => ("En dos avböjdes.", "A dose was refused."),
        Event::Dose { outcome: DoseOutcome::Jammed, .. } => {
            ("Läkemedelsfördelaren har fastnat.", "The medicine dispenser is jammed.")
        }
        Event::Dose { .. } => ("Det är oklart om en dos togs.", "It is not known whether a dose was taken."),
        Event::Stock { .. } => ("Läkemedlet i fördelaren tar snart slut.", "The medicine is running low."),
        Event::Lock { .. } => ("Låset öppnades av okänd.", "The lock was opened by nobody known."),
        Event::Cabinet { .. } => ("Skåpet öppnades av okänd.", "The cabinet was opened by nobody known."),
        Event::Battery { low: true, .. } => ("Batteriet behöver bytas.", "The battery must be changed."),
        Event::Battery { .. } => ("Batteriet är bra igen.", "The battery is good again."),
        Event::Mains { on: false } => ("Strömmen är borta.", "Mains power is lost."),
        Event::Mains { .. } => ("Strömmen är tillbaka.", "Mains power is back."),
        Event::Tamper {} => ("Någon har öppnat eller flyttat enheten.", "The device was opened or moved."),
        Event::Lost { .. } => ("Enheten har tappat händelser.", "The device had to drop events."),
        Event::Test {} => ("Provlarm.", "Test alarm."),
        _ => ("Enheten sände något som en människa behöver bedöma.", "The device sent what a person has to judge."),
    }
}

pub const CONFLICT: Words = (
    "Enheten har använt samma nummer för två olika händelser.",
    "The device used one number for two different events.",
);
pub const HOME_ALARM: Words = ("Larm från ett hem.", "An alarm from a home.");
pub const HOME_SILENT: Words = (
    "Hemmet hörs inte av. Den som trycker på sitt larm där når ingen.",
    "The home is silent. Whoever presses their alarm there reaches nobody.",
);
pub const HOME_BACK: Words = ("Hemmet hörs igen.", "The home is heard again.");
pub const HEALTH_BAD: Words =
    ("Något som ska skydda i hemmet fungerar inte.", "Something that should protect the home does not.");
pub const HEALTH_GOOD: Words = ("Allt i hemmet fungerar igen.", "Everything in the home works again.");
pub const TASK: Words = ("Någon behöver komma till hemmet.", "Somebody has to come to the home.");
pub const QUARANTINE: Words =
    ("Enheten sände något som inte gick att läsa.", "The device sent what could not be read.");
pub const PATH_LOST: Words = ("Larmmottagaren nås inte.", "The receiver cannot be reached.");
pub const PATH_BACK: Words = ("Larmmottagaren nås igen.", "The receiver can be reached again.");

/// What the gateway found wrong, or well again.
pub fn of_fault(name: &str, active: bool) -> Words {
    match (name, active) {
        ("overload", true) => ("Enheten sänder för mycket.", "The device sends too much."),
        ("overload", false) => ("Enheten sänder inte längre för mycket.", "The device no longer sends too much."),
        ("tests-used-up", true) => ("Fler provlarm än hemmet får sända.", "More test alarms than the home may send."),
        ("tests-used-up", false) => ("Provlarm kan sändas igen.", "Test alarms can be sent again."),
        ("connections-full", true) => {
            ("Fler enheter än gatewayen kan ta emot.", "More devices than the gateway can serve.")
        }
        ("connections-full", false) => ("Gatewayen kan ta emot enheter igen.", "The gateway can serve devices again."),
        (_, true) => ("Något är fel i gatewayen.", "Something is wrong in the gateway."),
        (_, false) => ("Felet i gatewayen är över.", "The fault in the gateway is over."),
    }
}
