use serde_bytes::ByteBuf;
use vaka_board::gateway::Name;
use vaka_protocol::{Lane, Rung};

use super::*;
use crate::journal::record::{
    Act, ActWhat, Basis, Boot, Decisions, EventRecord, Evidence, Fault, PathRecord, Raise, RungRecord, Whereabouts,
};
use crate::journal::{Journal, Options, Stamp};
use crate::provision::{self, NewHome};

const RAISED_MS: i64 = 1_795_212_345_123;

/// Whatever says who or where: none of these may stand in a bundle without names.
const SECRETS: &[&str] = &[
    "stina-hall",
    "Stina",
    "Bergström",
    "Storgatan",
    "nyckel under",
    "+46701234567",
    "r-stina",
    "gw-bergstrom",
    "Sovrum 3",
    "anna.k",
    "bo.s",
    "hon grät",
    "59.33",
    "593300000",
    "ett telefonnummer",
    "larmcentral-syd",
    "10.11.12.13",
    "hemligt",
    "/opt/secret",
    "plan 2",
];

fn home(dir: &Path) -> Config {
    let new = NewHome {
        gateway: "gw-bergstrom".try_into().unwrap(),
        controller_id: "10149471".into(),
        listen: "127.0.0.1:8883".parse().unwrap(),
    };
    let file = provision::create(&dir.join("h"), &new, RAISED_MS).unwrap();
    let text = "# Stinas hem, nyckel under krukan\n[gateway]\nid = \"gw-bergstrom\"\ncontroller_id = \"10149471\"\n[ingest]\nlisten = \"10.11.12.13:8883\"\n\
        [[receiver]]\nname = \"larmcentral-syd\"\nkind = \"webhook\"\nurl = \"https://10.11.12.13/hemligt\"\nsecret_file = \"/opt/secret\"\n\
        [[route]]\nlanes = [\"life\", \"care\", \"technical\", \"test\"]\nto = [\"larmcentral-syd\"]\n\
        [[resident]]\nid = \"r-stina\"\nphone = \"+46701234567\"\nunit = \"plan-2\"\n\
        [[device]]\nid = \"stina-hall\"\nkind = \"pendant\"\nroom = \"Sovrum 3\"\nresident = \"r-stina\"\n";
    std::fs::write(&file, text).unwrap();
    let (config, _) = Config::load(&file).unwrap();
    let name = Name {
        name: "Stina Bergström".into(),
        address: "Storgatan 4".into(),
        key_note: "nyckel under krukan".into(),
        phone: "+46701234567".into(),
    };
    Names::of(&config).write("r-stina", &name).unwrap();
    config
}

fn alarm() -> AlarmId {
    crate::rules::alarm_id("night", &["stina-hall", "1"])
}

fn records() -> Vec<(i64, Record)> {
    let device = || "stina-hall".try_into().unwrap();
    let seen = Evidence { record: 2, device: device(), at: RAISED_MS, what: "bed empty".into() };
    let basis = Basis {
        resident: Some("r-stina".into()),
        key: "night r-stina absence".into(),
        upto: 1,
        seen: vec![seen],
        agreed: vec![("who".into(), "Stina Bergström, Sovrum 3".into())],
        prevented: Some(("Om stina-hall hade hörts.".into(), "If stina-hall had been heard.".into())),
        due_at: None,
    };
    let raise = Raise {
        alarm: alarm(),
        lane: Lane::Care,
        rule: "night".into(),
        rule_version: 1,
        device: device(),
        restart: 1,
        seq: 1,
        cause: "absence".into(),
        dty: 3,
        stc: 10,
        happened_at: RAISED_MS,
        delayed: false,
        clock_suspect: false,
        sv: "r-stina har lämnat sängen i Sovrum 3 (stina-hall).".into(),
        en: "r-stina has left the bed in Sovrum 3 (stina-hall).".into(),
        basis: Some(Box::new(basis)),
        home: None,
        whereabouts: Some(Box::new(Whereabouts {
            lat_e7: 593_300_000,
            lon_e7: 180_600_000,
            accuracy_m: Some(5),
            at: RAISED_MS,
        })),
    };
    let payload = br#"{"v":1,"restart":1,"seq":1,"at":1795212345123,"event":{"position":{"lat_e7":593300000,"lon_e7":180600000}}}"#;
    let event = EventRecord {
        device: device(),
        enrolment: 1,
        restart: 1,
        seq: 1,
        assigned: false,
        conflict: false,
        has_ended: false,
        via: None,
        payload: ByteBuf::from(payload.to_vec()),
    };
    let rung = |rung, detail: &str| {
        let (receiver, path) = ("larmcentral-syd".into(), "tls 10.11.12.13:5061".into());
        Record::Rung(RungRecord { alarm: alarm(), notice: 0, rung, receiver, path, detail: detail.into(), last: false })
    };
    let act = Act {
        other: Some("bo.s".into()),
        ..Act::new(alarm(), ActWhat::Claim, "anna.k".into(), "hon grät, ett telefonnummer".into())
    };
    let other =
        Act::new(crate::rules::alarm_id("trigger", &["x", "2"]), ActWhat::Note, "anna.k".into(), "other alarm".into());
    let decisions = Decisions { cursor: 2, decisions: vec![Decision::Raise(Box::new(raise))] };
    let path = PathRecord {
        receiver: "larmcentral-syd".into(),
        path: "tls 10.11.12.13".into(),
        up: false,
        detail: "10.11.12.13 refused".into(),
    };
    let fault = Fault { fault: "too-hot".into(), device: None, detail: "hemligt".into(), active: true };
    vec![
        (-2 * 60 * 60 * 1_000, Record::Boot(Boot { version: "0.0.9".into(), cut_bytes: 0, damaged: 0 })),
        (-500, Record::Path(path)),
        (-10, Record::Fault(fault)),
        (-5, Record::Event(event)),
        (0, Record::Decisions(decisions)),
        (40, rung(Rung::Sent, "")),
        (300, rung(Rung::Accepted, "mre=1 Stina")),
        (9_000, Record::Act(act)),
        (9_500, Record::Act(other)),
    ]
}

fn made(dir: &Path) -> Config {
    let config = home(dir);
    let (mut journal, _) =
        Journal::open(&config.journal.dir, Options { reserve_bytes: 0, ..Options::default() }).unwrap();
    for (after_ms, record) in records() {
        journal.append(&record, Lane::Care, Stamp { mono_ms: 1, wall_ms: RAISED_MS + after_ms });
    }
    journal.commit().unwrap();
    config
}

#[test]
fn without_names_nobody_and_no_place_is_in_it_and_what_happened_is() {
    let dir = tempfile::tempdir().unwrap();
    let config = made(dir.path());
    let incident = read(&config, &alarm(), false).unwrap();
    let page = page::page(&incident, &config.gateway.time_zone);
    let facts = json!(&incident).to_string();
    for secret in SECRETS {
        assert!(!facts.contains(secret), "{secret} in {facts}");
        assert!(!page.contains(secret), "{secret} in {page}");
    }
    let kinds: Vec<_> = incident.timeline.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["path", "fault", "event", "decisions", "rung", "rung", "act"], "not the other alarm's");
    let sv = incident.timeline[3]["decisions"][0]["raise"]["sv"].as_str().unwrap();
    assert_eq!(sv, "resident-1 har lämnat sängen i room-1 (device-1).");
    assert_eq!((&incident.timeline[6]["act"], &incident.timeline[6]["by"]), (&"claim".into(), &"person-1".into()));
    let figures = &incident.figures;
    assert_eq!((figures.rung_after_ms["sent"], figures.rung_after_ms["accepted"]), (40, 300));
    assert_eq!((figures.paths_lost, figures.faults, figures.starts), (1, 1, 0));
    assert_eq!(incident.versions["then"], "0.0.9");
    assert_eq!(incident.config["device"][0]["kind"], "pendant");
    assert_eq!(incident.config["route"][0]["lanes"][0], "life");
    assert!(page.contains("rung") && page.contains("Utan namn"));
}

#[test]
fn with_names_they_are_told_and_secrets_of_the_config_still_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = made(dir.path());
    let incident = read(&config, &alarm(), true).unwrap();
    let facts = json!(&incident).to_string();
    for told in ["stina-hall", "anna.k", "hon grät", "Sovrum 3", "r-stina (Stina Bergström)"] {
        assert!(facts.contains(told), "{told} in {facts}");
    }
    let config_facts = incident.config.to_string();
    assert!(!config_facts.contains("hemligt") && !config_facts.contains("/opt/secret"), "{config_facts}");

    let to = dir.path().join("incident.tar");
    write(&incident, &config, &to).unwrap();
    let bytes = std::fs::read(&to).unwrap();
    assert!(
        bytes.windows(13).any(|part| part == b"incident.html")
            && bytes.windows(13).any(|part| part == b"incident.json")
    );
    let nobody = crate::rules::alarm_id("trigger", &["nothing"]);
    assert!(matches!(read(&config, &nobody, false), Err(IncidentError::NoAlarm(_))));
}
