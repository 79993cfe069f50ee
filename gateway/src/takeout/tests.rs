use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use vaka_protocol::{AlarmId, DeviceId, Lane, Ordered, Rung};

use super::schema::{self, Is};
use super::*;
use crate::journal::Header;
use crate::journal::record::*;
use crate::pipeline::export;

fn device(id: &str) -> DeviceId {
    id.try_into().unwrap()
}

fn alarm() -> AlarmId {
    crate::rules::alarm_id("trigger", &["p1", "1"])
}

fn raise(of: &str, basis: Option<&str>) -> Decision {
    let basis = basis.map(|resident| {
        Box::new(Basis { resident: Some(resident.into()), key: "night".into(), upto: 1, ..Basis::default() })
    });
    Decision::Raise(Box::new(Raise {
        alarm: alarm(),
        lane: Lane::Life,
        rule: "trigger".into(),
        rule_version: 1,
        device: device(of),
        restart: 1,
        seq: 1,
        cause: "button".into(),
        dty: 3,
        stc: 10,
        happened_at: 5,
        delayed: false,
        clock_suspect: false,
        sv: "Larm.".into(),
        en: "Alarm.".into(),
        basis,
        home: None,
        whereabouts: None,
    }))
}

/// One of each kind, with everything that it can have.
fn samples() -> Vec<Record> {
    let (p1, text) = (device("p1"), String::from);
    let via = Via { bridge: device("z1"), topic: text("t"), calls: true };
    let event = |via, payload: &[u8]| {
        Record::Event(EventRecord {
            device: device("p1"),
            enrolment: 1,
            restart: 1,
            seq: 2,
            assigned: true,
            conflict: true,
            has_ended: true,
            via,
            payload: ByteBuf::from(payload.to_vec()),
        })
    };
    let own = br#"{"v":1,"restart":1,"seq":2,"uptime_ms":5,"at":1795212345123,"event":{"button":{"press":"short"}}}"#;
    let act = Act {
        tell: vec![text("hub")],
        told_up_to: Some(1),
        outcome: Some(CloseOutcome::Helped),
        other: Some(text("bo")),
        ..Act::new(alarm(), ActWhat::Close, text("anna"), text("well"))
    };
    let order = Order {
        to: Some(p1.clone()),
        alarm: Some(alarm()),
        what: Ordered::Lock {},
        by: text("anna"),
        role: text("staff"),
        purpose: text("why"),
        expires_at: 9,
        from: Some(FromHub { receiver: text("hub"), id: 1, expires_at: 9 }),
        of: Some(OfHome { alarm: alarm(), device: Some(p1.clone()) }),
        command: Some(Box::new(OnTheWire(vaka_protocol::Command::Locate {}))),
        refused: Some(text("role")),
        look: Some(4),
    };
    let trace = Trace {
        person: text("anna"),
        role: text("staff"),
        session: text("s"),
        act: text("read"),
        object: text("alarm"),
        purpose: text("why"),
        resident: Some(text("r1")),
        at: 5,
        before: vec![0; 32],
    };
    let rung = RungRecord {
        alarm: alarm(),
        notice: 0,
        rung: Rung::Accepted,
        receiver: text("lc"),
        path: text("tls"),
        detail: text("x"),
        last: true,
    };
    let carried = Carried { receiver: text("hub"), stream: 1, up_to: 2, count: 3, lost: 4, ended: true };
    let signed = SignedWhat::Visit { planned_at: Some(5), settles: Some((text("k"), 1)) };
    let look = LookStep::Ended { look: 1, shown_ms: 2, why: text("time") };
    let fault = Fault { fault: text("disk"), device: Some(p1.clone()), detail: text("x"), active: true };
    vec![
        Record::Boot(Boot { version: text("1"), cut_bytes: 1, damaged: 1 }),
        event(None, own),
        event(Some(via), br#"{"action":"on"}"#),
        Record::Quarantine(Quarantine {
            device: p1.clone(),
            topic: text("t"),
            reason: text("r"),
            payload: ByteBuf::from(vec![1]),
            length: 1,
        }),
        Record::Refusal(Refusal { device: p1.clone(), lane: Lane::Telemetry, reason: text("disk"), count: 3 }),
        Record::Alive(Alive { device: p1.clone(), online: true }),
        Record::Decisions(Decisions { cursor: 1, decisions: vec![raise("p1", Some("r1"))] }),
        Record::Rung(rung),
        Record::Act(act),
        Record::Path(PathRecord { receiver: text("lc"), path: text("tls"), up: false, detail: text("x") }),
        Record::Checkpoint(ByteBuf::from(vec![1, 2])),
        Record::Fault(fault),
        Record::Nobody(Nobody { alarm: alarm(), notice: 0 }),
        Record::Silent(Silent { device: p1.clone(), for_s: 60 }),
        Record::Told(Told { receiver: text("hub"), acts: vec![1] }),
        Record::Carried(carried),
        Record::Release(Release {
            resident: text("r1"),
            slot: text("evening"),
            date: text("2026-11-22"),
            by: text("anna"),
            note: text("n"),
        }),
        Record::Signed(Signed { resident: text("r1"), by: text("anna"), note: text("n"), what: signed }),
        Record::Order(Box::new(order)),
        Record::Visit(Visit { by: text("ture"), step: VisitStep::Seen { device: p1.clone() } }),
        Record::Trace(trace),
        Record::Look(Look { resident: text("r1"), camera: device("c1"), step: look }),
        Record::Update(Update {
            version: text("0.3.0"),
            step: UpdateStep::Staged,
            by: text("0.2.0"),
            detail: text("x"),
        }),
        Record::Firmware(Box::new(Firmware {
            step: FirmwareStep::Fetched { device: p1.clone(), bytes: 4_096 },
            by: text("0.2.0"),
        })),
        Record::Erased(Erased {
            resident: text("r9"),
            devices: [device("p8"), device("p9")].into(),
            passed_on: [device("p8")].into(),
            keys: vec![7],
            by: text("anna"),
        }),
        Record::Gone,
        Record::Aged(Aged {
            periods: vec![AgedPeriod { number: 3, class: text("telemetry"), days: 30, from_ms: 1, until_ms: 2 }],
        }),
    ]
}

fn lines() -> Vec<Value> {
    let of = |(seq, record): (usize, Record)| {
        let mut body = Vec::new();
        record.encode_into(&mut body);
        if record == Record::Gone {
            // As a reader hands it out where a time is over.
            body.extend(30_u32.to_le_bytes());
        }
        let (kind, lane, seq) = (record.kind() as u8, Lane::Care as u8, seq as u64 + 1);
        let header = Header { seq, kind, lane, key_id: 0, boot: 1, mono_ms: 1, wall_ms: 1_795_212_345_123 };
        export::line(&header, &body)
    };
    samples().into_iter().enumerate().map(of).collect()
}

fn fits(value: &Value, is: Is) -> bool {
    match is {
        Is::Number => value.is_i64() || value.is_u64(),
        Is::Text => value.is_string(),
        Is::Truth => value.is_boolean(),
        Is::Object => value.is_object(),
        Is::List => value.is_array(),
        Is::Choice => true,
    }
}

#[test]
fn every_kind_that_the_journal_knows_has_its_row_and_its_sample() {
    let known: Vec<u8> = (0..=u8::MAX)
        .filter(|code| Record::decode(*code, &[0xf7]).map_or_else(|e| !e.what.contains("does not know"), |_| true))
        .collect();
    let told: Vec<u8> = KINDS.iter().map(|kind| kind.code).collect();
    assert_eq!(known, told, "a new kind of record needs its row in takeout/schema.rs");
    let mut sampled: Vec<u8> = samples().iter().map(|record| record.kind() as u8).collect();
    sampled.dedup();
    assert_eq!(sampled, told);
}

#[test]
fn every_line_is_as_its_schema_says_and_no_key_is_unknown() {
    let mut seen = std::collections::BTreeSet::new();
    for line in lines() {
        let kind = schema::named(line["kind"].as_str().unwrap()).unwrap_or_else(|| panic!("{line}"));
        for (key, value) in line.as_object().unwrap() {
            let field = kind.all_fields().find(|field| field.name == key);
            let field = field.unwrap_or_else(|| panic!("{}: {key} is not told of: {line}", kind.name));
            assert!(fits(value, field.is), "{} {key}: {value}", kind.name);
            seen.insert((kind.name, field.name));
        }
        for field in kind.all_fields().filter(|field| field.always) {
            assert!(line.get(field.name).is_some(), "{} has no {}: {line}", kind.name, field.name);
        }
        let made = kind.schema();
        assert_eq!(made["properties"]["kind"]["const"], kind.name);
    }
    // And nothing is told that no line has.
    for kind in KINDS {
        for field in kind.all_fields().filter(|field| (kind.name, field.name) != ("event", "of")) {
            assert!(seen.contains(&(kind.name, field.name)), "{} never has {}", kind.name, field.name);
        }
    }
}

fn two_people() -> Config {
    let text = "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[resident]]\nid = \"r1\"\n[[resident]]\nid = \"r2\"\n\
        [[device]]\nid = \"p1\"\nkind = \"pendant\"\nresident = \"r1\"\n[[device]]\nid = \"p2\"\nkind = \"pendant\"\nresident = \"r2\"\n";
    Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap().0
}

#[test]
fn of_one_resident_nothing_of_anothers_is_taken() {
    let config = two_people();
    let (mut first, mut second) = (Whose::of(&config, None, "r1").unwrap(), Whose::of(&config, None, "r2").unwrap());
    assert!(Whose::of(&config, None, "r3").is_none());
    let (mut theirs, mut kinds) = (0, Vec::new());
    for line in lines() {
        if let Some(part) = first.part(0, line.clone()) {
            kinds.push(part["kind"].as_str().unwrap().to_owned());
        }
        theirs += usize::from(second.part(0, line).is_some());
    }
    assert_eq!(theirs, 0, "every sample is about r1, their device or their alarm, or about the gateway");
    kinds.dedup();
    let expected = [
        "event",
        "quarantine",
        "refusal",
        "alive",
        "decisions",
        "rung",
        "act",
        "fault",
        "nobody",
        "silent",
        "release",
        "signed",
        "order",
        "visit",
        "trace",
    ];
    let missing: Vec<_> = expected.iter().filter(|kind| !kinds.iter().any(|found| found == *kind)).collect();
    assert!(missing.is_empty(), "{missing:?} of {kinds:?}");
    assert!(
        !["boot", "path", "checkpoint", "told", "carried"].iter().any(|kind| kinds.iter().any(|found| found == kind))
    );

    // One record of decisions on two people is taken apart.
    let both = json!({"kind": "decisions", "decisions": [
        {"raise": {"alarm": "a1", "device": "p1", "basis": {"resident": "r1"}}},
        {"raise": {"alarm": "a2", "device": "p2", "basis": {"resident": "r2"}}},
    ]});
    let part = second.part(0, both).unwrap();
    assert_eq!(part["decisions"].as_array().unwrap().len(), 1);
    assert!(!part.to_string().contains("p1"), "{part}");
    let rung = |alarm: &str| json!({"kind": "rung", "alarm": alarm});
    assert!(second.part(0, rung("a2")).is_some() && second.part(0, rung("a1")).is_none());
}

#[test]
fn a_device_that_changed_hands_gives_each_what_was_theirs_that_day() {
    let config = two_people();
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    // p1 was r0's, who has moved out, before it became r1's.
    let lived = ["r0", "r1", "r2"].map(|id| (id.to_owned(), BTreeSet::from(["p1".to_owned()])));
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&lived.into()).unwrap();
    let key = |id: &str| ring.of(id).unwrap();
    let whose = |id: &str| Whose::of(&config, Ring::load(&journal).unwrap(), id);
    assert!(whose("r9").is_none());
    let (mut gone, mut now) = (whose("r0").unwrap(), whose("r1").unwrap());

    let event = json!({"kind": "event", "device": "p1"});
    assert!(gone.part(key("r0"), event.clone()).is_some() && now.part(key("r0"), event.clone()).is_none());
    assert!(gone.part(key("r1"), event.clone()).is_none() && now.part(key("r1"), event.clone()).is_some());
    // Not sealed: nothing else is known than whose the device is.
    assert!(gone.part(0, event.clone()).is_none() && now.part(0, event).is_some());
    // Who is named comes before the key.
    let note = json!({"kind": "decisions", "decisions": [{"note": {"basis": {"resident": "r1"}}}]});
    assert!(gone.part(key("r0"), note.clone()).is_none() && now.part(key("r0"), note).is_some());

    // The alarm stays whose it was, on the trace of staff too, which nobody's key seals.
    let raise = json!({"kind": "decisions", "decisions": [{"raise": {"alarm": "a1", "device": "p1"}}]});
    assert!(gone.part(key("r0"), raise.clone()).is_some() && now.part(key("r0"), raise).is_none());
    let trace = json!({"kind": "trace", "alarm": "a1", "device": "p1"});
    assert!(gone.part(1, trace.clone()).is_some() && now.part(1, trace).is_none());
    assert!(gone.alarm("a1", Some("r1")) && !now.alarm("a1", Some("r1")));
    assert!(now.alarm("a0", Some("r1")) && !gone.alarm("a0", Some("r1")), "one whose beginning is no longer kept");
}

/// DATA.md tells of every kind of record, in the same words.
#[test]
fn the_page_on_data_names_every_kind_of_record() {
    let page = include_str!("../../../deploy/DATA.md");
    for kind in KINDS {
        let row = format!("| {} | {} |", kind.name, kind.says);
        assert!(page.lines().any(|line| line == row), "deploy/DATA.md has no `{row}`");
    }
}
