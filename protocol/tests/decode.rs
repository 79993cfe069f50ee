//! What is forgiven, what is refused, and in which words.

use vaka_protocol::*;

fn event(json: &str) -> Event {
    decode_event(format!(r#"{{"v":1,"event":{json}}}"#).as_bytes()).unwrap_or_else(|e| panic!("{json}: {e}")).event
}

fn event_error(json: &str) -> String {
    decode_event(json.as_bytes()).expect_err(json).to_string()
}

fn command_error(json: &str) -> String {
    decode_command(json.as_bytes()).expect_err(json).to_string()
}

#[test]
fn a_terse_device_is_understood() {
    assert_eq!(event(r#"{"button":{}}"#), Event::Button { press: Press::Short });
    assert_eq!(event(r#"{"button":null}"#), Event::Button { press: Press::Short });
    assert_eq!(event(r#"{"button":{"press":"triple"}}"#), Event::Button { press: Press::Other });
    assert_eq!(event(r#"{"fall":{}}"#), Event::Fall { impact_mg: None, still_s: None });
    assert_eq!(event(r#"{"smoke":{}}"#), Event::Smoke { active: true });
    assert_eq!(event(r#"{"battery":{"low":true}}"#), Event::Battery { percent: None, low: true });
    assert_eq!(event(r#"{"dose":{}}"#), Event::Dose { slot: "".into(), outcome: DoseOutcome::Unknown });
    assert_eq!(event(r#"{"lost":{}}"#), Event::Lost { count: 1 });
    assert_eq!(event(r#"{"done":{"id":3}}"#), Event::Done { id: 3, outcome: Outcome::Done });
    let alarm = event(r#"{"alarm":{"alarm":"a1","lane":"urgent","rung":"queued"}}"#);
    assert_eq!(alarm.lane(), Lane::Life);
    assert!(matches!(alarm, Event::Alarm { rung: Rung::Stored, count: 1, delayed: false, .. }));
}

#[test]
fn unknown_fields_of_any_kind_are_ignored() {
    let deep = "[".repeat(2_000) + &"]".repeat(2_000);
    for stranger in [r#"null"#, r#"{"a":[1,{"b":2.5}]}"#, r#""x""#, r#"[[],{}]"#, deep.as_str()] {
        let json =
            format!(r#"{{"z":{stranger},"v":1,"event":{{"fall":{{"z":{stranger},"still_s":4}}}},"y":{stranger}}}"#);
        let message = decode_event(json.as_bytes()).expect("unknown fields are ignored");
        assert_eq!(message.event, Event::Fall { impact_mg: None, still_s: Some(4) });
    }
}

#[test]
fn an_unknown_event_is_kept_with_its_name() {
    assert_eq!(event(r#"{"choking":{"x":[1]}}"#), Event::Unknown { name: "choking".into() });
    assert_eq!(event(r#"{"unknown":{"name":"button"}}"#), Event::Unknown { name: "unknown".into() });
    assert_eq!(event(r#"{"choking":7}"#).name(), "choking");
    let long = "n".repeat(100);
    assert_eq!(event(&format!(r#"{{"{long}":{{}}}}"#)).name().len(), limits::NAME_BYTES_MAX);
}

#[test]
fn long_words_are_cut_and_long_values_are_refused() {
    let long = "ö".repeat(100);
    assert_eq!(
        event(&format!(r#"{{"decline":{{"slot":"{long}"}}}}"#)),
        Event::Decline { slot: "ö".repeat(16).as_str().into() }
    );
    let json = format!(r#"{{"v":1,"event":{{"vital":{{"kind":"heart_rate","value":"{}"}}}}}}"#, "1".repeat(33));
    assert!(event_error(&json).starts_with("reading the event at event.vital.value: "), "{}", event_error(&json));
}

#[test]
fn restart_and_seq_are_an_identity_only_together() {
    let read = |json: &str| decode_event(json.as_bytes()).expect("a message").identity();
    assert_eq!(read(r#"{"v":1,"restart":7,"seq":42,"event":{"alive":{}}}"#), Some((7, 42)));
    assert_eq!(read(r#"{"v":1,"seq":42,"event":{"alive":{}}}"#), None);
    assert_eq!(read(r#"{"v":1,"restart":7,"seq":null,"event":{"alive":{}}}"#), None);
}

#[test]
fn an_error_names_the_field_and_the_fix() {
    let cases = [
        ("", "reading the event: it is empty; send one map, as CBOR or JSON"),
        ("hello", "reading the event: byte 0x68 begins neither a CBOR map (0xa0 to 0xbf) nor a JSON object"),
        (r#"{"event":{"alive":{}}}"#, "reading the event: the field v is missing; add it"),
        (r#"{"v":1}"#, "reading the event: the field event is missing; add it"),
        (r#"{"event":[1],"v":2}"#, "reading the event: v is 2, and this version reads only 1; send v = 1"),
        (r#"{"v":257,"event":{"alive":{}}}"#, "reading the event: v is 257, and this version reads only 1; send v = 1"),
        (
            r#"{"v":1,"event":{}}"#,
            "reading the event: the map event is empty; give it exactly one key, the name of the event",
        ),
        (
            r#"{"v":1,"event":{"fall":{},"button":{}}}"#,
            "reading the event: fall and button in one message; send each event as a message of its own",
        ),
        (
            r#"{"v":1,"event":{"fall":{}},"event":{"button":{}}}"#,
            "reading the event: fall and button in one message; send each event as a message of its own",
        ),
        (
            r#"{"v":1,"event":{"alive":{}}} {}"#,
            "reading the event: bytes follow after its end; send one message at a time",
        ),
        (
            r#"{"v":1,"event":{"bed":{"occupied":3}}}"#,
            "reading the event at event.bed.occupied: invalid type: integer `3`, expected a boolean",
        ),
        (r#"{"v":1,"event":{"bed":{}}}"#, "reading the event at event.bed: missing field `occupied`"),
        (
            r#"{"v":1,"seq":-1,"event":{"bed":{}}}"#,
            "reading the event at seq: invalid value: integer `-1`, expected u64",
        ),
        (
            r#"{"v":1,"event":{"battery":{"percent":101}}}"#,
            "reading the event at event.battery.percent: invalid value: integer `101`, expected 0 to 100 percent",
        ),
        (
            r#"{"v":1,"event":{"position":{"lat_e7":900000001,"lon_e7":0}}}"#,
            "reading the event at event.position.lat_e7: invalid value: integer `900000001`, expected -900000000 to \
             900000000 ten-millionths of a degree of latitude",
        ),
        (
            r#"{"v":1,"event":"fall"}"#,
            "reading the event at event: invalid type: string \"fall\", expected a map with one key, the name of the event",
        ),
    ];
    for (json, expected) in cases {
        let error = event_error(json);
        let (said, _) = error.split_once(" at line 1 column ").unwrap_or((&error, ""));
        assert_eq!(said, expected);
    }
    assert_eq!(
        command_error(r#"{"v":1,"id":1,"command":{"locate":{}}}"#),
        "reading the command: the field expires_at is missing; add it"
    );
    assert!(
        command_error(
            r#"{"v":1,"id":1,"expires_at":2,"command":{"receipt":{"restart":1,"seq":1,"alarm":"a","rung":"x"}}}"#
        )
        .starts_with("reading the command at command.receipt.rung: rung \"x\" is unknown; use one of stored sent")
    );
}

#[test]
fn a_command_is_not_guessed_at() {
    let message =
        |command: &str| decode_command(format!(r#"{{"v":1,"id":1,"expires_at":2,"command":{command}}}"#).as_bytes());
    assert!(message(r#"{"lock":{"by":"s1"}}"#).is_err());
    assert!(message(r#"{"schedule":{}}"#).is_err());
    let slots = [r#"{"slot":"a","opens_at":1,"closes_at":2}"#; limits::SCHEDULE_SLOTS_MAX + 1].join(",");
    assert!(message(&format!(r#"{{"schedule":{{"slots":[{slots}]}}}}"#)).is_err());
    // A field that came later is passed over by those who do not know it.
    let later = message(r#"{"schedule":{"slots":[{"slot":"a","opens_at":1,"closes_at":2,"in_later_versions":[3]}]}}"#);
    let slot = Slot { slot: "a".into(), opens_at: 1, closes_at: 2, releases: None };
    assert_eq!(later.map(|m| m.command), Ok(Command::Schedule { slots: [slot].into_iter().collect() }));
    // What is ordered of a home is not guessed at either.
    let order = |what: &str| message(&format!(r#"{{"order":{{"by":"anna","role":"night","what":{what}}}}}"#));
    assert!(order(r#"{"unlock":{}}"#).is_ok());
    assert!(order(r#"{"dance":{}}"#).is_err());
    assert!(message(r#"{"order":{"role":"night","what":{"unlock":{}}}}"#).is_err());
    assert_eq!(message(r#"{"dance":{}}"#).map(|m| m.command), Ok(Command::Unknown { name: "dance".into() }));
}

#[test]
fn cbor_errors_name_the_field_too() {
    // {"v":1,"event":{"bed":{"occupied":3}}}
    let bytes = b"\xa2\x61v\x01\x65event\xa1\x63bed\xa1\x68occupied\x03";
    let error = decode_event(bytes).expect_err("3 is no boolean").to_string();
    assert!(error.starts_with("reading the event at event.bed.occupied: "), "{error}");
    assert_eq!(
        decode_event(b"\xa2\x61v\x01\x65event\xa1\x64test\xa0\x00"),
        Err(DecodeError::Trailing { what: "event" })
    );
    // Maps of indefinite length, as some encoders write them.
    let read = decode_event(b"\xbf\x61v\x01\x65event\xbf\x66button\xbf\xff\xff\xff").expect("indefinite maps are read");
    assert_eq!(read.event, Event::Button { press: Press::Short });
    assert_eq!(decode_event(&[b'{'; 20_000]), Err(DecodeError::TooLong { what: "event", bytes: 20_000 }));
}

#[test]
fn a_command_that_cannot_be_read_is_known_by_its_id_where_it_has_one() {
    let json = |text: &str| command_id(text.as_bytes());
    let unknown = r#"{"v":1,"id":7,"expires_at":9,"command":{"order":{"by":"anna","what":{"dance":{"s":[1]}}}}}"#;
    assert!(decode_command(unknown.as_bytes()).is_err(), "a word that this version does not know");
    assert_eq!(json(unknown), Some(7));
    // {"v":1,"id":7,"command":3}
    assert_eq!(command_id(b"\xa3\x61v\x01\x62id\x07\x67command\x03"), Some(7));
    assert_eq!(json(r#"{"v":2,"id":7,"expires_at":9,"command":{}}"#), None, "what another version means is not for us");
    assert_eq!(json(r#"{"v":1,"id":"seven"}"#), None);
    assert_eq!(json(r#"{"v":1,"id":7"#), None);
    assert_eq!(command_id(b""), None);
}

#[test]
fn whose_event_it_is_is_read_and_what_is_no_id_there_loses_nothing() {
    let of = |value: &str| {
        let json = format!(r#"{{"v":1,"of":{value},"event":{{"button":{{}}}}}}"#);
        let message = decode_event(json.as_bytes()).unwrap_or_else(|e| panic!("{json}: {e}"));
        assert_eq!(message.event.name(), "button");
        message.of.map(|device| device.to_string())
    };
    assert_eq!(of(r#""bed-1""#).as_deref(), Some("bed-1"));
    for nothing in [r#""""#, r#""My Button!""#, "null", "true", "-1", "7", "1.5", "[[1,{}]]", r#"{"a":{"b":[1]}}"#] {
        assert_eq!(of(nothing), None, "{nothing}");
    }
}
