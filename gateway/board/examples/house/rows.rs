//! The house's rows: what a night could look like. Nobody in it exists.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use vaka_board::gateway::*;
use vaka_protocol::{Lane, Rung};

use super::gateway::State;

const MIN: i64 = 60_000;
const HOUR: i64 = 60 * MIN;

fn step(rung: Rung, at: i64, receiver: &str) -> Step {
    Step { rung, at, receiver: receiver.into(), path: "fiber".into(), detail: String::new() }
}

/// An open alarm that the centre has accepted.
pub fn alarm(id: &str, lane: Lane, at: i64, resident: &str, unit: Option<&str>) -> Alarm {
    Alarm {
        id: id.into(),
        lane,
        rung: Rung::Accepted,
        steps: vec![
            step(Rung::Stored, at, ""),
            step(Rung::Sent, at, ""),
            step(Rung::Received, at + 200, "larmcentral"),
            step(Rung::Accepted, at + 1_100, "larmcentral"),
        ],
        device: format!("{resident}-knapp"),
        kind: "pendant".into(),
        home: None,
        resident: Some(resident.into()),
        unit: unit.map(str::to_owned),
        room: Some("badrum".into()),
        rule: "trigger 1".into(),
        what: Said::new("trygghetsknapp", "pendant pressed"),
        why: Said::default(),
        raised_at: at,
        happened_at: at,
        delayed: false,
        test: lane == Lane::Test,
        count: 1,
        claimed_by: None,
        closed_by: None,
        outcome: None,
        note: String::new(),
        handed_over: true,
        nobody: false,
        cancelled: false,
        over: false,
        due_at: None,
    }
}

fn alarms(now: i64) -> Vec<Alarm> {
    let press = Alarm {
        count: 2,
        why: Said::new(
            "Knappen trycktes 03:11:21 och 03:11:59. Enheten hördes nyss och vägen till larmcentralen fungerar.",
            "The button was pressed at 03:11:21 and 03:11:59. The device was heard just now and the path to the centre works.",
        ),
        ..alarm("01jd-press", Lane::Life, now - 47_000, "r17", Some("hagalund"))
    };
    let bed = Alarm {
        device: "r32-bed".into(),
        kind: "bed-sensor".into(),
        room: Some("sovrum".into()),
        rule: "night 3".into(),
        what: Said::new("ur sängen längre än avtalat", "out of bed longer than agreed"),
        why: Said::new(
            "Sängen är tom sedan 02:29. Avtalat: högst 30 minuter mellan 22 och 06. Ingen rörelse i hallen.",
            "The bed has been empty since 02:29. Agreed: at most 30 minutes between 22 and 06. No movement in the hall.",
        ),
        due_at: Some(now + 18 * MIN),
        ..alarm("01jd-bed", Lane::Care, now - 12 * MIN - 20_000, "r32", Some("parken"))
    };
    let power = Alarm {
        device: "hus-1".into(),
        kind: "gateway".into(),
        resident: None,
        room: None,
        rule: "power 1".into(),
        rung: Rung::Claimed,
        what: Said::new("strömavbrott, reserven räcker 19 timmar", "mains cut, the battery lasts 19 hours"),
        claimed_by: Some("tekniker-3".into()),
        ..alarm("01jd-power", Lane::Technical, now - 64 * MIN, "hus", None)
    };
    let mut power = power;
    power.steps.push(step(Rung::Claimed, now - 41 * MIN, ""));
    let battery = Alarm {
        device: "r8-dorr".into(),
        kind: "door-sensor".into(),
        room: Some("hall".into()),
        rule: "battery 1".into(),
        what: Said::new("lågt batteri, 9 %", "low battery, 9 %"),
        ..alarm("01jd-battery", Lane::Technical, now - 5 * HOUR, "r8", Some("hagalund"))
    };
    let test = Alarm {
        rule: "visit 1".into(),
        what: Said::new("prov av trygghetsknapp", "test of a pendant"),
        ..alarm("01jd-test", Lane::Test, now - 9 * HOUR, "r8", Some("hagalund"))
    };
    let mut closed = Alarm {
        claimed_by: Some("natt-03".into()),
        closed_by: Some("natt-03".into()),
        outcome: Some(Outcome::Helped),
        rung: Rung::Closed,
        note: "Hjälpt till toaletten.".into(),
        ..alarm("01jd-closed", Lane::Life, now - 3 * HOUR, "r17", Some("hagalund"))
    };
    closed.steps.push(step(Rung::Claimed, now - 3 * HOUR + 2 * MIN, ""));
    closed.steps.push(step(Rung::Closed, now - 3 * HOUR + 21 * MIN, ""));
    vec![press, bed, battery, power, test, closed]
}

fn device(id: &str, kind: &str, room: &str, resident: &str, unit: &str, now: i64) -> Device {
    Device {
        id: id.into(),
        kind: kind.into(),
        room: Some(room.into()),
        resident: Some(resident.into()),
        unit: Some(unit.into()),
        heard_at: Some(now - 4 * MIN),
        online: Some(true),
        battery_percent: Some(84),
        signal_dbm: Some(-67),
        proven_at: Some(now - 20 * 24 * HOUR),
        proven_by: Some("larmcentral".into()),
        certificate_until: Some(now + 300 * 24 * HOUR),
        ..Device::default()
    }
}

fn devices(now: i64) -> Vec<Device> {
    let mut door = device("r8-dorr", "door-sensor", "hall", "r8", "hagalund", now);
    (door.battery_percent, door.battery_low) = (Some(9), true);
    let mut bed = device("r40-bed", "bed-sensor", "sovrum", "r40", "parken", now);
    (bed.silent, bed.heard_at, bed.online) = (true, Some(now - 3 * HOUR), Some(false));
    let mut fresh = device("r40-knapp", "pendant", "hall", "r40", "parken", now);
    (fresh.proven_at, fresh.proven_by, fresh.heard_at) = (None, None, None);
    (fresh.battery_percent, fresh.signal_dbm, fresh.invited_until) = (None, None, Some(now + HOUR));
    vec![
        device("r17-knapp", "pendant", "badrum", "r17", "hagalund", now),
        door,
        device("r32-bed", "bed-sensor", "sovrum", "r32", "parken", now),
        bed,
        fresh,
        device("r32-automat", "dispenser", "kök", "r32", "parken", now),
    ]
}

fn night_agreement(consent: Option<&str>) -> Agreement {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Agreement {
        stands: "0123456789abcdef".into(),
        table: "night".into(),
        said: Said::new(
            "Larm om sängen är tom mer än 30 minuter mellan 22 och 06, och om ytterdörren öppnas.",
            "An alarm if the bed is empty for more than 30 minutes between 22 and 06, and if the outer door is opened.",
        ),
        settings: vec![
            pair("from", "22:00"),
            pair("until", "06:00"),
            pair("absence_care_min", "30"),
            pair("door", "alarm"),
        ],
        from: Some("2026-09-01".into()),
        until: None,
        consent_by: consent.map(str::to_owned),
        consent_on: consent.map(|_| "2026-08-28".to_owned()),
        withdrawn_at: None,
    }
}

fn residents(now: i64) -> Vec<Resident> {
    let dose = |slot: &str, planned_at, state: &str, locked| Dose {
        slot: slot.into(),
        planned_at,
        state: state.into(),
        locked,
    };
    let of = |id: &str, unit: &str, devices: &[&str]| Resident {
        id: id.into(),
        unit: Some(unit.into()),
        devices: devices.iter().map(|id| (*id).to_owned()).collect(),
        has_name: true,
        ..Resident::default()
    };
    vec![
        of("r17", "hagalund", &["r17-knapp"]),
        of("r8", "hagalund", &["r8-dorr"]),
        Resident {
            agreements: vec![night_agreement(Some("den boende själv"))],
            doses: vec![
                dose("kväll", now - 7 * HOUR, "taken", false),
                dose("natt", now - 2 * HOUR, "missed", true),
                dose("morgon", now + 5 * HOUR, "planned", false),
            ],
            ..of("r32", "parken", &["r32-bed", "r32-automat"])
        },
        Resident { agreements: vec![night_agreement(None)], ..of("r40", "parken", &["r40-bed", "r40-knapp"]) },
    ]
}

fn night(now: i64) -> Night {
    let begins = now - 5 * HOUR - 12 * MIN - 8_000;
    let at = |hour: i64, min: i64| begins + hour * HOUR + min * MIN;
    let item = |resident: &str, unit: &str, form: &str, planned_at, state, sv: &str, en: &str| RoundItem {
        resident: resident.into(),
        unit: Some(unit.into()),
        form: form.into(),
        planned_at,
        latest_at: None,
        state,
        said: Said::new(sv, en),
        by: None,
        alarm: None,
        slot: None,
        look: None,
        unsaid: None,
        home: None,
    };
    let round = vec![
        item("r32", "parken", "look-in", at(3, 0), RoundState::Done, "i sängen sedan 22:48", "in bed since 22:48"),
        RoundItem {
            by: Some("natt-07".into()),
            ..item("r8", "hagalund", "visit", at(4, 30), RoundState::Visited, "lugnt", "calm")
        },
        RoundItem {
            slot: Some("natt".into()),
            ..item(
                "r32",
                "parken",
                "dose",
                at(5, 0),
                RoundState::Due,
                "automaten har fastnat, ges för hand",
                "the dispenser is jammed, given by hand",
            )
        },
        RoundItem {
            latest_at: Some(at(5, 45)),
            ..item("r17", "hagalund", "look-in", at(5, 15), RoundState::Next, "sensor", "by sensor")
        },
        RoundItem {
            latest_at: Some(at(5, 30)),
            ..item(
                "r40",
                "parken",
                "look-in",
                at(5, 30),
                RoundState::Visit,
                "sängsensorn är tyst sedan 00:12, åk dit",
                "the bed sensor has been silent since 00:12, go there",
            )
        },
        RoundItem {
            latest_at: Some(at(6, 0)),
            slot: Some("03:00".into()),
            look: Some(format!("r17.{}", at(5, 1))),
            ..item("r17", "hagalund", "camera", at(5, 1), RoundState::Due, "Titta före 04:00.", "Look by 04:00.")
        },
        item("r32", "parken", "look-in", at(7, 0), RoundState::Later, "sensor", "by sensor"),
        item(
            "r8",
            "hagalund",
            "look-in",
            at(7, 30),
            RoundState::Declined,
            "den boende vill inte ha tillsyn i natt",
            "the resident wants no look-in tonight",
        ),
    ];
    let people = vec![
        NightOf {
            resident: "r32".into(),
            unit: Some("parken".into()),
            said: Said::new(
                "I sängen 22:48–01:52 och 01:58–02:29. Uppe två gånger.",
                "In bed 22:48–01:52 and 01:58–02:29. Up twice.",
            ),
            in_bed: vec![(at(0, 48), Some(at(3, 52))), (at(3, 58), Some(at(4, 29)))],
            marks: vec![StoryLine { at: at(4, 59), said: Said::new("larm: ur sängen", "alarm: out of bed") }],
        },
        NightOf {
            resident: "r17".into(),
            unit: Some("hagalund".into()),
            said: Said::new(
                "I sängen sedan 23:20. Uppe en gång, 00:12–00:35, med hjälp.",
                "In bed since 23:20. Up once, 00:12–00:35, with help.",
            ),
            in_bed: vec![(at(1, 20), Some(at(2, 12))), (at(2, 35), None)],
            marks: vec![StoryLine { at: at(2, 12), said: Said::new("larm och besök", "alarm and visit") }],
        },
    ];
    Night { date: "2026-11-21".into(), from: begins, until: begins + 8 * HOUR, round, people }
}

pub fn story(alarm: Alarm) -> Story {
    let at = alarm.raised_at;
    let line = |at, sv: &str, en: &str| StoryLine { at, said: Said::new(sv, en) };
    let mut lines = vec![
        line(at, "Larmet sparades på gatewayens disk.", "The alarm was stored on the gateway's disk."),
        line(at, "Skickat till larmcentral över fiber.", "Sent to larmcentral over fiber."),
        line(at + 1_100, "Larmcentral har tagit emot larmet.", "Larmcentral has accepted the alarm."),
    ];
    if let Some(by) = &alarm.claimed_by {
        lines.push(line(at + 120_000, &format!("{by} tog larmet."), &format!("{by} took the alarm.")));
    }
    Story {
        seen: vec![
            line(at - 30 * MIN, "Sängen blev tom.", "The bed was left."),
            line(at - 29 * MIN, "Rörelse i sovrummet.", "Movement in the bedroom."),
        ],
        agreed: vec![("absence_care_min".into(), "30".into()), ("from".into(), "22:00".into())],
        prevented: Some(Said::new(
            "någon hade kommit tillbaka till sängen före 02:59.",
            "somebody had been back in bed before 02:59.",
        )),
        position: (alarm.id == "01jd-press").then_some(Position {
            latitude: 59.36125,
            longitude: 17.98312,
            accuracy_m: Some(35),
            at,
        }),
        lines,
        alarm,
    }
}

pub fn visit(now: i64) -> Value {
    let line = |line: &str, device: Option<&str>, what: &str, light: &str, sv: &str, en: &str| json!({"line": line, "device": device, "what": what, "light": light, "sv": sv, "en": en, "handed_over": null, "command": (light == "red" && !matches!(what, "heard" | "seen")).then_some("vaka visit")});
    let (p, b) = (Some("r40-knapp"), Some("r40-bed"));
    let lines = vec![
        line(
            "gateway/paths",
            None,
            "paths",
            "green",
            "Larmcentral svarar över fiber.",
            "Larmcentral answers over fiber.",
        ),
        line("gateway/mains", None, "mains", "yellow", "Reserven är inte provad.", "The battery has not been tried."),
        line(
            "r40-knapp/press",
            p,
            "press",
            "red",
            "Inte provad: slå på provet och tryck.",
            "Not tried: arm the test, and press.",
        ),
        line(
            "r40-knapp/seen",
            p,
            "seen",
            "red",
            "Ingen har sett svaret vid knappen.",
            "Nobody has seen the answer at the pendant.",
        ),
        line("r40-knapp/signal", p, "signal", "red", "Signalen är inte mätt.", "The signal has not been measured."),
        line("r40-bed/heard", b, "heard", "red", "Hördes senast 00:12.", "Heard last at 00:12."),
    ];
    json!({
        "open": {"by": "tekniker-3", "started_at": now - 25 * MIN, "armed": {"device": "r40-knapp", "left_s": 240, "connected": false}},
        "red": 4, "lines": lines, "finished_at": null,
    })
}

pub fn check() -> Value {
    let part = |part: &str, light: &str, found: &str, sv: &str, en: &str| json!({"part": part, "light": light, "found": found, "plain_sv": sv, "plain_en": en});
    json!({
        "light": "yellow",
        "parts": [
            part("life alarms", "yellow", "larmcentral alone is told of a life alarm; add a second receiver", "Bara en mottagare får larmen. En andra är tryggare.", "One receiver alone gets the alarms. A second is safer."),
            part("journal", "green", "48211 records, every one whole", "Allt som sparats är helt.", "All that was kept is whole."),
            part("paths", "green", "1 to 1 receivers answer their heartbeats", "Alla mottagare svarar.", "Every receiver answers."),
            part("clock", "green", "synchronised", "Klockan går rätt.", "The clock is right."),
        ],
        "devices": [
            {"device": "r40-bed", "kind": "bed-sensor", "light": "red", "found": "not heard for 3 h", "plain_sv": "Sängsensorn är tyst. Titta till den boende, ring tekniker.", "plain_en": "The bed sensor is silent. Look to the resident, call a technician."},
            {"device": "r17-knapp", "kind": "pendant", "light": "green", "found": "in order", "plain_sv": "Fungerar.", "plain_en": "Works."},
        ],
    })
}

/// A look that begins at once and ends by itself: two veiled pictures in turns, one every second.
pub async fn pictures(to: mpsc::Sender<LookPart>, look_ms: u64) {
    const PICTURES: [&[u8]; 2] = [include_bytes!("veiled-1.jpg"), include_bytes!("veiled-2.jpg")];
    let shown = async {
        to.send(LookPart::Lit).await.ok()?;
        to.send(LookPart::Begun { left_ms: look_ms }).await.ok()?;
        for picture in PICTURES.into_iter().cycle() {
            to.send(LookPart::Picture(Bytes::from_static(picture))).await.ok()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Some(())
    };
    let _ = tokio::time::timeout(Duration::from_millis(look_ms), shown).await;
    let _ =
        to.send(LookPart::Ended { why: "time".into(), said: Said::new("Tiden är slut.", "The time is over.") }).await;
}

pub fn state(now: i64) -> State {
    let trace = |seq: u64, ago: i64, person: &str, role: &str, act: &str, purpose: &str| Traced {
        seq,
        at: now - ago,
        trace: Trace {
            person: person.into(),
            role: role.into(),
            session: "5e1f0a2b".into(),
            act: act.into(),
            object: "resident r32".into(),
            purpose: purpose.into(),
            resident: Some("r32".into()),
        },
        hash: format!("{seq:064x}"),
    };
    State {
        alarms: alarms(now),
        devices: devices(now),
        residents: residents(now),
        night: night(now),
        traces: vec![
            trace(1, 30 * HOUR, "admin-1", "admin", "change-settings", "agreement night"),
            trace(2, 26 * HOUR, "natt-07", "night", "read-name", "visit"),
            trace(3, 2 * HOUR, "natt-03", "night", "read-resident", "agreements"),
        ],
        visit: visit(now),
        grants: Vec::new(),
    }
}
