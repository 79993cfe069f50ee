//! What is said of an event, in Swedish and English: short sentences that a relative understands.

use std::borrow::Cow;

use vaka_protocol::{DoseOutcome, Event, Lane, Press};

use super::UNREAD_LIFE_FAULT;

/// (Swedish, English).
pub type Words = (&'static str, &'static str);
/// As [`Words`], where names or numbers may be part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub sv: Cow<'static, str>,
    pub en: Cow<'static, str>,
}

impl From<Words> for Said {
    fn from((sv, en): Words) -> Said {
        Said { sv: sv.into(), en: en.into() }
    }
}

impl From<(String, String)> for Said {
    fn from((sv, en): (String, String)) -> Said {
        Said { sv: sv.into(), en: en.into() }
    }
}

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
        Event::Fault { active: true, .. } => {
            ("En del av enheten fungerar inte.", "A part of the device does not work.")
        }
        Event::Fault { .. } => ("Enhetens del fungerar igen.", "The device's part works again."),
        Event::Started { .. } => ("Enheten startade om efter ett fel.", "The device restarted after a failure."),
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
/// What would have made an alarm unnecessary that needs no agreement.
pub fn prevented_by(lane: Lane) -> Words {
    match lane {
        Lane::Life => (
            "Det här larmar alltid och genast. Ingenting kan ställas in som hindrar det.",
            "This always raises an alarm at once. Nothing can be set that stops it.",
        ),
        Lane::Test => ("Det är ett prov. Ingen behöver göra något.", "It is a test. Nobody has to do anything."),
        Lane::Care | Lane::Technical | Lane::Telemetry => (
            "Larmet kommer när enheten säger till. Det kan inte ställas in.",
            "The alarm comes when the device says so. It cannot be set.",
        ),
    }
}

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
        (name, true) if name.starts_with("telemetry-lost-") => {
            ("Mätvärden rensades innan de kunde sändas.", "Measurements were removed before they could be sent.")
        }
        (name, false) if name.starts_with("telemetry-lost-") => {
            ("Mätvärden sänds igen.", "Measurements are sent again.")
        }
        ("clock-lost", true) => (
            "Gatewayens klocka är okänd. Tillsyn på klockslag kan bli fel.",
            "The gateway's clock is unknown. What is planned by it may be wrong.",
        ),
        ("clock-lost", false) => ("Gatewayens klocka går rätt igen.", "The gateway's clock is known again."),
        ("clock-set", true) => (
            "Gatewayens klocka ställdes om. Tider före det kan vara fel.",
            "The gateway's clock was set. Times before that may be wrong.",
        ),
        ("clock-set", false) => ("Gatewayens klocka är stadig igen.", "The gateway's clock is steady again."),
        ("visit-open", true) => (
            "Ett montörsbesök är inte avslutat. Något kan vara oprovat.",
            "A technician's visit is not finished. Something may be untried.",
        ),
        ("visit-open", false) => ("Montörsbesöket är avslutat.", "The technician's visit is finished."),
        ("update-failed", true) => (
            "En uppdatering gick inte. Gatewayen kör det förra programmet.",
            "An update failed. The gateway runs the program before it.",
        ),
        ("update-failed", false) => ("Gatewayen är uppdaterad.", "The gateway is up to date."),
        ("firmware-failed", true) => (
            "En enhet kunde inte uppdateras. Se efter att den fungerar: tryck på den.",
            "A device could not be updated. See that it works: press it.",
        ),
        ("firmware-failed", false) => ("Uppdateringen av enheter är i ordning.", "The update of devices is in order."),
        ("restored", true) => (
            "Gatewayen är ny och går vidare från en säkerhetskopia. Det som hände efter den finns inte här.",
            "The gateway is new and goes on from a backup. What happened after that is not known here.",
        ),
        ("restored", false) => ("Det är utrett.", "That is settled."),
        (name, true) if name.starts_with(UNREAD_LIFE_FAULT) => (
            "Ett larm från hemmet kan ha kommit in som inte går att läsa. Ring hem eller åk dit.",
            "There may be an alarm from this home that cannot be read. Call or go there.",
        ),
        ("too-hot", true) => ("Gatewayen är för varm. Ge den luft.", "The gateway is too hot. Give it air."),
        ("too-hot", false) => ("Gatewayen är inte längre för varm.", "The gateway is no longer too hot."),
        ("certificate-not-renewed", true) => {
            ("Enheten har inte förnyat sitt certifikat i tid.", "The device has not renewed its certificate in time.")
        }
        ("certificate-not-renewed", false) => {
            ("Enheten har förnyat sitt certifikat.", "The device has renewed its certificate.")
        }
        ("certificate-ends-30d", true) => (
            "Enhetens certifikat slutar inom 30 dagar. Förnya det.",
            "The device's certificate ends within 30 days. Renew it.",
        ),
        ("certificate-ends-7d", true) => (
            "Enhetens certifikat slutar inom 7 dagar. Sedan kan den bara larma.",
            "The device's certificate ends within 7 days. Then it can only call for help.",
        ),
        ("certificate-ends-30d" | "certificate-ends-7d", false) => {
            ("Enhetens certifikat är förnyat.", "The device's certificate has been renewed.")
        }
        ("own-certificate-ends-30d", true) => (
            "Gatewayens certifikat slutar inom 30 dagar. Förnya det.",
            "The gateway's certificate ends within 30 days. Renew it.",
        ),
        ("own-certificate-ends-7d", true) => (
            "Gatewayens certifikat slutar inom 7 dagar. Sedan når inget den.",
            "The gateway's certificate ends within 7 days. Then nothing reaches it.",
        ),
        ("own-certificate-ends-30d" | "own-certificate-ends-7d", false) => {
            ("Gatewayens certifikat är förnyat.", "The gateway's certificate has been renewed.")
        }
        (_, true) => ("Något är fel i gatewayen.", "Something is wrong in the gateway."),
        (_, false) => ("Felet i gatewayen är över.", "The fault in the gateway is over."),
    }
}

/// The same of a device whose certificate had ended: it is behind, so that what happened stands first.
pub fn ended((sv, en): Words) -> Said {
    Said {
        sv: format!("{sv} Enhetens certifikat har gått ut.").into(),
        en: format!("{en} The device's certificate has ended.").into(),
    }
}

/// A path to a receiver is lost. What matters comes first: a SCAIP receiver shows 32 characters.
pub fn path_lost(receiver: &str, path: Option<&str>) -> Said {
    let said = match path {
        Some(path) => (format!("Avbrott på {path} till {receiver}."), format!("No way over {path} to {receiver}.")),
        None => (format!("{receiver} nås inte."), format!("{receiver} cannot be reached.")),
    };
    said.into()
}

/// As [`path_lost`]: it is back, after so long where that is known.
pub fn path_back(receiver: &str, path: Option<&str>, outage_ms: Option<i64>) -> Said {
    let (after_sv, after_en) = match outage_ms.map(lasting) {
        Some((sv, en)) => (format!(" efter {sv}"), format!(" after {en}")),
        None => Default::default(),
    };
    let (sv, en) = match path {
        Some(path) => (format!("{path} åter"), format!("{path} back")),
        None => ("Åter".to_owned(), "Back".to_owned()),
    };
    let (again_sv, again_en) = (format!("{receiver} nås igen"), format!("{receiver} is reached again"));
    (format!("{sv}{after_sv}: {again_sv}."), format!("{en}{after_en}: {again_en}.")).into()
}

/// A span of time in its two largest units: "1 timme 5 minuter", "1 hour 5 minutes".
pub fn lasting(ms: i64) -> (String, String) {
    const UNITS: [(i64, [&str; 4]); 4] = [
        (86_400, ["dygn", "dygn", "day", "days"]),
        (3_600, ["timme", "timmar", "hour", "hours"]),
        (60, ["minut", "minuter", "minute", "minutes"]),
        (1, ["sekund", "sekunder", "second", "seconds"]),
    ];
    let mut rest_s = ms.max(0) / 1_000;
    let (mut sv, mut en) = (Vec::new(), Vec::new());
    for (seconds, names) in UNITS {
        let count = rest_s / seconds;
        rest_s %= seconds;
        let is_last = !sv.is_empty();
        if count > 0 || (seconds == 1 && !is_last) {
            let many = usize::from(count != 1);
            sv.push(format!("{count} {}", names[many]));
            en.push(format!("{count} {}", names[2 + many]));
        }
        // Nothing below the second unit: "2 days", not "2 days 4 seconds".
        if is_last {
            break;
        }
    }
    (sv.join(" "), en.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_two_largest_units() {
        let said = |s: i64| lasting(s * 1_000).0;
        assert_eq!([said(-1), said(0), said(1), said(59)], ["0 sekunder", "0 sekunder", "1 sekund", "59 sekunder"]);
        assert_eq!([said(60), said(3_599), said(3_600)], ["1 minut", "59 minuter 59 sekunder", "1 timme"]);
        assert_eq!([said(3_900), said(90_000), said(172_804)], ["1 timme 5 minuter", "1 dygn 1 timme", "2 dygn"]);
        assert_eq!(lasting(93_784_000).1, "1 day 2 hours");
    }

    #[test]
    fn a_path_is_told_by_its_name_and_how_long_it_was_away() {
        assert_eq!(path_lost("larmcentral", Some("fibre")).sv, "Avbrott på fibre till larmcentral.");
        assert_eq!(path_lost("larmcentral", None).en, "larmcentral cannot be reached.");
        let back = path_back("larmcentral", Some("fibre"), Some(720_000));
        assert_eq!(back.sv, "fibre åter efter 12 minuter: larmcentral nås igen.");
        assert_eq!(back.en, "fibre back after 12 minutes: larmcentral is reached again.");
        assert_eq!(path_back("larmcentral", None, None).sv, "Åter: larmcentral nås igen.");
    }
}
