//! What a visit has found so far, line by line. Enters: the visit, and what the gateway knows. Leaves: lines, each green, yellow
//! or red, with what was measured and, where something is missing, what to do. Invariant: a device that was never pressed is red.

use serde::{Deserialize, Serialize};
use vaka_protocol::DeviceId;

use super::kinds::Want;
use super::{Handed, Plan, Trial, Visit, Visits};
use crate::clock::Confidence;
use crate::limits::VISIT_PROBES_MIN;
use crate::rules::care::facts::{self, Facts};
use crate::rules::care::moment::Moment;
use crate::rules::{Home, Paths, path_name};

/// What stands in the place of a device's id in the lines of the gateway itself.
pub const GATEWAY: &str = "gateway";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    Green,
    /// Not in the way of finishing, and worth knowing.
    Yellow,
    Red,
}

/// One thing that has to be in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `p1/press`, `gateway/paths`: what `visit hand-over` names.
    pub line: String,
    /// Absent: the gateway's own.
    #[serde(default)]
    pub device: Option<DeviceId>,
    pub what: String,
    pub light: Light,
    /// What was found, and where it is red what to do: Swedish, English.
    pub sv: String,
    pub en: String,
    /// The step that would put it right now, as it is typed; absent where none would. The board has a button for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(default)]
    pub handed_over: Option<Given>,
}

/// To whom a line was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub reason: String,
    pub to: String,
    pub by: String,
    /// UTC milliseconds.
    pub at: i64,
}

impl Line {
    /// In the way of finishing.
    pub fn is_open(&self) -> bool {
        self.light == Light::Red && self.handed_over.is_none()
    }
}

/// What the gateway knows of itself and of the home.
#[derive(Clone, Copy)]
pub struct View<'v> {
    pub home: &'v Home,
    pub facts: &'v Facts,
    pub paths: &'v Paths,
    pub now: Moment,
    pub confidence: Confidence,
    /// Lanes are refused for want of room.
    pub is_disk_short: bool,
    pub free_mib: Option<u64>,
}

/// What was found: light, Swedish, English.
type Found = (Light, String, String);

fn found(light: Light, sv: impl Into<String>, en: impl Into<String>) -> Found {
    (light, sv.into(), en.into())
}

/// Every line of the visit that is open; none where none is.
pub fn lines(visits: &Visits, view: View<'_>) -> Vec<Line> {
    let Some(visit) = visits.open.as_deref() else { return Vec::new() };
    let mut lines = Vec::new();
    let mut add = |device: Option<&DeviceId>, what: &str, (light, sv, en): Found, step: Option<&str>| {
        let line = format!("{}/{what}", device.map_or(GATEWAY, DeviceId::as_str));
        let handed_over = visit.handed.get(&line).map(given);
        let step = step.filter(|_| light == Light::Red && handed_over.is_none());
        let command =
            device.zip(step).map(|(device, step)| format!("vaka visit {}", step.replace("ID", device.as_str())));
        lines.push(Line { line, device: device.cloned(), what: what.to_owned(), light, sv, en, command, handed_over });
    };
    let plan = &view.home.visit;
    add(None, "route", route(plan, view.home), None);
    add(None, "paths", paths(view), None);
    add(None, "mains", mains(visit, view), None);
    add(None, "clock", clock(view.confidence), None);
    add(None, "disk", disk(view), None);
    let nothing = Trial::default();
    for (device, want) in &plan.devices {
        let trial = visit.devices.get(device).unwrap_or(&nothing);
        let known = view.facts.get(device);
        add(Some(device), "heard", heard(trial, known, visit, view), None);
        if let Some(least) = want.signal_min_dbm {
            add(Some(device), "signal", signal(trial, least), Some("measured ID --signal-dbm DBM"));
        }
        if let Some(least) = want.battery_min_percent {
            add(Some(device), "battery", battery(trial, known, least), Some("measured ID --battery-percent PERCENT"));
        }
        if want.speaks {
            add(Some(device), "tried", tried(trial), Some("arm ID"));
        } else if !want.triggers.is_empty() {
            add(Some(device), "press", pressed(want, trial), Some("arm ID"));
        }
        if want.shows {
            add(Some(device), "seen", seen(want, trial), trial.has_answered(want).then_some("seen ID"));
        }
    }
    lines
}

fn given(handed: &Handed) -> Given {
    let Handed { reason, to, by, at, .. } = handed;
    Given { reason: reason.clone(), to: to.clone(), by: by.clone(), at: at.wall_ms }
}

/// A test proves the way of a life alarm only where it goes the same way.
fn route(plan: &Plan, home: &Home) -> Found {
    let both: Vec<&str> =
        home.life_paths.keys().filter(|name| plan.test_receivers.contains(name)).map(String::as_str).collect();
    if home.life_paths.is_empty() {
        return found(
            Light::Red,
            "Ingen får veta av ett nödlarm. Lägg till en mottagare i vaka.toml.",
            "Nobody is told of a life alarm. Add a receiver and a route to vaka.toml.",
        );
    }
    if both.is_empty() {
        return found(
            Light::Red,
            "Prov går till någon annan än nödlarm. Ett prov visar då inget. Ändra [[route]].",
            "Tests go to others than life alarms: they prove nothing. Change the lanes of [[route]].",
        );
    }
    let names = both.join(", ");
    found(
        Light::Green,
        format!("Prov går samma väg som nödlarm: {names}."),
        format!("Tests go where life alarms go: {names}."),
    )
}

fn paths(view: View<'_>) -> Found {
    let (mut up, mut bad) = (Vec::new(), Vec::new());
    for (receiver, labels) in &view.home.life_paths {
        for label in labels {
            let name = path_name(label).map_or_else(|| receiver.clone(), |path| format!("{receiver} {path}"));
            match view.paths.get(receiver, label).map(|path| path.up) {
                Some(true) => up.push(name),
                Some(false) => bad.push((format!("{name} är nere"), format!("{name} is down"))),
                None => bad.push((format!("{name} har inte svarat än"), format!("{name} has not answered yet"))),
            }
        }
    }
    if bad.is_empty() {
        let names = up.join(", ");
        return found(Light::Green, format!("Svarar: {names}."), format!("Answering: {names}."));
    }
    let (sv, en): (Vec<String>, Vec<String>) = bad.into_iter().unzip();
    found(
        Light::Red,
        format!("{}. Ordna förbindelsen till varje mottagare.", sv.join(", ")),
        format!("{}. Mend the way to every receiver.", en.join(", ")),
    )
}

/// Where anything tells of mains, it has to have told of its loss and return in this visit.
fn mains(visit: &Visit, view: View<'_>) -> Found {
    let tells = |device: &&DeviceId| view.facts.get(device).is_some_and(|known| known.mains.is_some());
    let telling: Vec<&DeviceId> = view.home.visit.devices.keys().filter(tells).collect();
    let seen: Vec<&DeviceId> =
        visit.mains.iter().filter(|(_, test)| test.off.is_some() && test.back.is_some()).map(|(id, _)| id).collect();
    if let Some(device) = seen.first() {
        return found(
            Light::Green,
            format!("Strömmen bröts och kom tillbaka: {device} sade till."),
            format!("Mains was cut and came back: {device} said so."),
        );
    }
    if let Some(off) = visit.mains.iter().find(|(_, test)| test.back.is_none()) {
        return found(
            Light::Red,
            format!("{} har ingen ström än. Slå på strömmen.", off.0),
            format!("{} has no mains power yet. Switch it on.", off.0),
        );
    }
    match telling.first() {
        Some(device) => found(
            Light::Red,
            format!("Inte provat. Bryt strömmen en stund: {device} ska säga till, och igen när den är tillbaka."),
            format!("Not tried. Cut mains for a moment: {device} has to say so, and again when it is back."),
        ),
        None => found(Light::Yellow, "Inget här säger till om strömmen bryts.", "Nothing here tells of mains power."),
    }
}

fn clock(confidence: Confidence) -> Found {
    match confidence {
        Confidence::Synchronised => found(Light::Green, "Klockan ställs av en tidskälla.", "The clock is disciplined."),
        Confidence::Held => found(
            Light::Yellow,
            "Klockan är rimlig, men ingen tidskälla intygar den.",
            "The clock is plausible; no time source vouches for it.",
        ),
        Confidence::Floor => found(
            Light::Red,
            "Klockan är okänd. Ordna tid från nätet.",
            "The clock is not known. Give the gateway a time source.",
        ),
    }
}

fn disk(view: View<'_>) -> Found {
    let free = view.free_mib.map_or(String::new(), |mib| format!(" ({mib} MiB)"));
    match view.is_disk_short {
        true => found(
            Light::Red,
            format!("Disken är full{free}. Frigör plats."),
            format!("The disk is short{free}: free space on it."),
        ),
        false => found(
            Light::Green,
            format!("Det finns plats på disken{free}."),
            format!("There is room on the disk{free}."),
        ),
    }
}

fn heard(trial: &Trial, known: Option<&facts::Device>, visit: &Visit, view: View<'_>) -> Found {
    // Whoever connected before the visit and stands there still says so by pressing.
    let is_here = known.is_some_and(|known| {
        known.online == Some(true) && known.came.is_some_and(|came| came.record > visit.started.record)
    });
    if trial.heard.is_some() || is_here {
        return found(Light::Green, "Inkopplad, och hörd under besöket.", "Enrolled, and heard in this visit.");
    }
    match known.and_then(|known| known.heard) {
        Some(at) => {
            let (sv, en) = crate::rules::lasting(view.now.age_ms(&at));
            found(
                Light::Red,
                format!("Inte hörd under besöket, senast för {sv} sedan. Tryck på den, eller starta om den."),
                format!("Not heard in this visit, last {en} ago. Press it, or start it again."),
            )
        }
        None => found(Light::Red, "Aldrig hörd. Koppla in den.", "Never heard. Enrol it."),
    }
}

fn signal(trial: &Trial, least: i16) -> Found {
    let measure =
        |sv: &str, en: &str| found(Light::Red, format!("{sv} Mät på platsen."), format!("{en} Measure at its place."));
    let Some(signal) = trial.signal else {
        return match trial.wired {
            true => found(Light::Green, "Ansluten med kabel.", "Wired: no radio."),
            false => measure("Inte uppmätt.", "Not measured."),
        };
    };
    let (dbm, count) = (signal.worst_dbm, signal.probes);
    if !signal.by_hand && count < VISIT_PROBES_MIN {
        let (sv, en) = (
            format!("{count} av {VISIT_PROBES_MIN} prov, sämst {dbm} dBm. Vänta på fler."),
            format!("{count} of {VISIT_PROBES_MIN} probes, the worst {dbm} dBm. Wait for more."),
        );
        return found(Light::Red, sv, en);
    }
    let how = if signal.by_hand { ("uppmätt", "measured") } else { ("enhetens egna prov", "the device's own probes") };
    match dbm < least {
        true => found(
            Light::Red,
            format!("För svag: sämst {dbm} dBm, minst {least}. Flytta enheten eller gatewayen."),
            format!("Too weak: {dbm} dBm at worst, {least} at least. Move the device or the gateway."),
        ),
        false => found(
            Light::Green,
            format!("Sämst {dbm} dBm ({}), minst {least}.", how.0),
            format!("{dbm} dBm at worst ({}), {least} at least.", how.1),
        ),
    }
}

fn battery(trial: &Trial, known: Option<&facts::Device>, least: u8) -> Found {
    let said = known.and_then(|known| known.battery);
    // What was read by hand gives way to what the device said after it.
    let typed = trial.battery.filter(|(_, at)| said.is_none_or(|said| said.at.record < at.record));
    let (percent, low) = match (typed, said) {
        (Some((percent, _)), _) => (Some(percent), false),
        (None, Some(said)) => (said.percent, said.low),
        (None, None) => (None, false),
    };
    match percent {
        _ if trial.no_battery => found(Light::Green, "Har inget batteri.", "It has no battery."),
        _ if low => found(Light::Red, "Enheten ber om nytt batteri. Byt det.", "It asks for a new battery. Change it."),
        Some(percent) if percent < least => found(
            Light::Red,
            format!("{percent} %, minst {least} %. Byt batteriet eller ladda det."),
            format!("{percent} %, {least} % at least. Change or charge it."),
        ),
        Some(percent) => {
            found(Light::Green, format!("{percent} %, minst {least} %."), format!("{percent} %, {least} % at least."))
        }
        // A device that only ever says "not low".
        None if said.is_some() => found(Light::Green, "Enheten säger att det är bra.", "It says that it is good."),
        None => found(Light::Red, "Inte känt. Läs av det.", "Not known. Read it."),
    }
}

fn pressed(want: &Want, trial: &Trial) -> Found {
    let Some(test) = &trial.test else {
        let (sv, en) = match want.triggers.first() {
            Some(&"button") => ("Tryck sedan på den", "then press it"),
            _ => ("Utlös den sedan", "then set it off"),
        };
        return found(
            Light::Red,
            format!("Aldrig provad. Slå på provet. {sv}."),
            format!("Never pressed. Arm the test; {en}."),
        );
    };
    match (&test.accepted, &test.claimed) {
        (None, None) => found(
            Light::Red,
            "Provlarmet har inte kommit fram till någon mottagare än. Vänta, eller ordna förbindelsen.",
            "No receiver has accepted the test alarm yet. Wait, or mend the way to it.",
        ),
        (Some((_, receiver)), None) => found(
            Light::Green,
            format!("Provlarmet kom fram till {receiver}."),
            format!("The test alarm was accepted by {receiver}."),
        ),
        (_, Some((_, by))) => {
            found(Light::Green, format!("Provlarmet togs av {by}."), format!("The test alarm was taken by {by}."))
        }
    }
}

fn tried(trial: &Trial) -> Found {
    match (trial.told, trial.did) {
        (_, Some(_)) => {
            found(Light::Green, "Enheten lyste och lät när den blev tillsagd.", "It lit and sounded when told.")
        }
        (Some(_), None) => found(
            Light::Red,
            "Tillsagd, men har inte svarat än. Är den inkopplad?",
            "Told, and has not answered yet. Is it connected?",
        ),
        (None, None) => found(Light::Red, "Inte provad. Be den lysa och låta.", "Not tried. Have it light and sound."),
    }
}

fn seen(want: &Want, trial: &Trial) -> Found {
    match &trial.seen {
        Some(seen) => found(
            Light::Green,
            format!("{} såg eller hörde svaret vid enheten.", seen.by),
            format!("{} saw or heard the answer at the device.", seen.by),
        ),
        None => {
            let (sv, en) = if want.speaks { ("provet", "the trial") } else { ("provlarmet", "the test") };
            found(
                Light::Red,
                format!("Titta och lyssna vid enheten efter {sv}."),
                format!("Look and listen at the device after {en}."),
            )
        }
    }
}
