//! What holds for every message: the way there and back, in both encodings, past strangers and through garbage.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use vaka_protocol::*;

fn label() -> impl Strategy<Value = Label> {
    "\\PC{0,40}".prop_map(|text| text.as_str().into())
}

fn words() -> impl Strategy<Value = Words> {
    "\\PC{0,200}".prop_map(|text| text.as_str().into())
}

fn strict<const N: usize>(pattern: &'static str) -> impl Strategy<Value = heapless::String<N>> {
    pattern.prop_map(|text| heapless::String::try_from(text.as_str()).expect("the pattern fits"))
}

fn device() -> impl Strategy<Value = DeviceId> {
    "[a-z0-9-]{1,32}".prop_map(|text| DeviceId::try_from(text.as_str()).expect("the pattern fits"))
}

fn alarm_id() -> impl Strategy<Value = AlarmId> {
    "[a-z0-9]{1,24}".prop_map(|text| AlarmId::try_from(text.as_str()).expect("the pattern fits"))
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

/// A name that no version-1 event or command has: theirs have no `z` followed by a digit.
fn stranger() -> impl Strategy<Value = Name> {
    "z[0-9][a-z_]{0,40}".prop_map(|text| text.as_str().into())
}

fn outcome() -> impl Strategy<Value = Outcome> {
    label().prop_map(|word| Outcome::from(word.as_str()))
}

fn plain_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        one_of(Press::ALL).prop_map(|press| Event::Button { press }),
        Just(Event::Cancel {}),
        (option::of(any::<u32>()), option::of(any::<u32>()))
            .prop_map(|(impact_mg, still_s)| Event::Fall { impact_mg, still_s }),
        Just(Event::Seizure {}),
        (any::<bool>(), 0..5usize).prop_map(|(active, which)| match which {
            0 => Event::Smoke { active },
            1 => Event::Gas { active },
            2 => Event::Co { active },
            3 => Event::Heat { active },
            _ => Event::Flood { active },
        }),
        Just(Event::Enuresis {}),
        (any::<bool>(), 0..6usize).prop_map(|(yes, which)| match which {
            0 => Event::Bed { occupied: yes },
            1 => Event::Chair { occupied: yes },
            2 => Event::Mat { pressed: yes },
            3 => Event::Door { open: yes },
            4 => Event::Privacy { on: yes },
            _ => Event::Mains { on: yes },
        }),
        Just(Event::Motion {}),
        any::<i32>().prop_map(|centi_c| Event::Temperature { centi_c }),
        any::<u16>().prop_map(|days_left| Event::Stock { days_left }),
        label().prop_map(|tag| Event::Staff { tag }),
        label().prop_map(|slot| Event::Decline { slot }),
        (option::of(0..=100u8), any::<bool>()).prop_map(|(percent, low)| Event::Battery { percent, low }),
        Just(Event::Tamper {}),
        (-150..=20i16).prop_map(|rssi_dbm| Event::Signal { rssi_dbm }),
        any::<u32>().prop_map(|count| Event::Lost { count }),
        (label(), any::<bool>()).prop_map(|(part, active)| Event::Fault { part, active }),
        (prop::sample::select(StartCause::ALL), label()).prop_map(|(cause, version)| Event::Started { cause, version }),
        Just(Event::Alive {}),
        (any::<u64>(), outcome()).prop_map(|(id, outcome)| Event::Done { id, outcome }),
        Just(Event::Test {}),
        stranger().prop_map(|name| Event::Unknown { name }),
    ]
}

fn detailed_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (
            -900_000_000..=900_000_000,
            -1_800_000_000..=1_800_000_000,
            option::of(any::<u32>()),
            option::of(any::<u32>()),
            option::of(any::<u32>()),
        )
            .prop_map(|(lat_e7, lon_e7, accuracy_m, speed_cm_s, fix_age_s)| Event::Position {
                lat_e7,
                lon_e7,
                accuracy_m,
                speed_cm_s,
                fix_age_s,
            }),
        (label(), strict("-?[0-9]{1,20}([.][0-9]{1,9})?"), label()).prop_map(|(kind, value, unit)| Event::Vital {
            kind,
            value,
            unit
        }),
        (label(), one_of(DoseOutcome::ALL)).prop_map(|(slot, outcome)| Event::Dose { slot, outcome }),
        (any::<bool>(), option::of(label())).prop_map(|(locked, by)| Event::Lock { locked, by }),
        (any::<bool>(), option::of(label())).prop_map(|(open, by)| Event::Cabinet { open, by }),
    ]
}

fn home_event() -> impl Strategy<Value = Event> {
    let lane = || one_of(Lane::ALL);
    let at = || option::of(any::<i64>());
    prop_oneof![
        (
            (alarm_id(), lane(), one_of(Rung::ALL), option::of(device()), option::of(label()), option::of(label())),
            (label(), at(), any::<bool>(), any::<u32>(), option::of(any::<u16>()), option::of(any::<u16>()), words()),
            (any::<u32>(), one_of(Telling::ALL), option::of(label()), option::of(label()), option::of(label())),
        )
            .prop_map(
                |(
                    (alarm, lane, rung, device, resident, room),
                    (cause, happened_at, delayed, count, dty, stc, text),
                    (number, what, controller_id, caller, by),
                )| {
                    Event::Alarm {
                        alarm,
                        lane,
                        rung,
                        device,
                        resident,
                        room,
                        cause,
                        happened_at,
                        delayed,
                        count,
                        dty,
                        stc,
                        text,
                        number,
                        what,
                        controller_id,
                        caller,
                        by,
                    }
                }
            ),
        (label(), lane(), label(), option::of(label()), at(), any::<bool>(), words()).prop_map(
            |(task, lane, what, resident, due_at, open, text)| Event::Task {
                task,
                lane,
                what,
                resident,
                due_at,
                open,
                text
            }
        ),
        (lane(), any::<bool>(), any::<u32>(), words()).prop_map(|(lane, ok, faults, text)| Event::Health {
            lane,
            ok,
            faults,
            text
        }),
        (
            (lane(), label(), option::of(label()), at(), any::<bool>(), words()),
            (at(), option::of(label()), option::of(any::<u16>()), any::<bool>(), option::of(alarm_id()))
        )
            .prop_map(
                |((lane, slot, resident, due_at, done, text), (from_at, state, look_s, may_see_clearly, alarm))| {
                    Event::Round {
                        lane,
                        slot,
                        resident,
                        due_at,
                        done,
                        text,
                        from_at,
                        state,
                        look_s,
                        may_see_clearly,
                        alarm,
                    }
                }
            ),
    ]
}

fn event_message() -> impl Strategy<Value = EventMessage> {
    (
        option::of(any::<u32>()),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        option::of(any::<i64>()),
        option::of(device()),
        prop_oneof![plain_event(), detailed_event(), home_event()],
    )
        .prop_map(|(restart, seq, uptime_ms, at, of, event)| EventMessage {
            v: 1,
            restart,
            seq,
            uptime_ms,
            at,
            of,
            event,
        })
}

fn slot() -> impl Strategy<Value = Slot> {
    (label(), any::<i64>(), any::<i64>(), any::<Option<i64>>()).prop_map(|(slot, opens_at, closes_at, releases)| Slot {
        slot,
        opens_at,
        closes_at,
        releases,
    })
}

fn ordered() -> impl Strategy<Value = Ordered> {
    prop_oneof![
        option::of(any::<u16>()).prop_map(|open_s| Ordered::Unlock { open_s }),
        Just(Ordered::Lock {}),
        (option::of(one_of(Light::ALL)), option::of(one_of(Sound::ALL)), option::of(words()))
            .prop_map(|(light, sound, text)| Ordered::Feedback { light, sound, text }),
        (option::of(any::<u32>()), option::of(0..=100u8), option::of(label())).prop_map(
            |(heartbeat_interval_s, volume_percent, language)| Ordered::Settings {
                heartbeat_interval_s,
                volume_percent,
                language
            }
        ),
        (label(), any::<i64>(), any::<bool>(), label()).prop_map(|(resident, at, clear, call)| Ordered::Look {
            resident,
            at,
            clear,
            call
        }),
        (any::<u64>(), label()).prop_map(|(id, outcome)| Ordered::Looked { id, outcome }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (any::<u32>(), any::<u64>(), alarm_id(), one_of(Rung::ALL))
            .prop_map(|(restart, seq, alarm, rung)| Command::Receipt { restart, seq, alarm, rung, last: seq % 2 == 1 }),
        (option::of(one_of(Light::ALL)), option::of(one_of(Sound::ALL)), option::of(words()))
            .prop_map(|(light, sound, text)| Command::Feedback { light, sound, text }),
        vec(slot(), 0..=limits::SCHEDULE_SLOTS_MAX)
            .prop_map(|slots| Command::Schedule { slots: slots.into_iter().collect() }),
        words().prop_map(|text| Command::Reminder { text }),
        Just(Command::Locate {}),
        (any::<bool>(), option::of(any::<i64>()), label()).prop_map(|(open, until, by)| Command::Lock {
            open,
            until,
            by
        }),
        any::<bool>().prop_map(|open| Command::Shutter { open }),
        (option::of(alarm_id()), option::of(device()), label(), words(), ordered()).prop_map(
            |(alarm, device, by, purpose, what)| Command::Order { alarm, device, role: by.clone(), by, purpose, what }
        ),
        (option::of(any::<u32>()), option::of(any::<u32>()), option::of(0..=100u8), option::of(label())).prop_map(
            |(heartbeat_interval_s, position_interval_s, volume_percent, language)| Command::Settings {
                heartbeat_interval_s,
                position_interval_s,
                volume_percent,
                language,
            }
        ),
        (label(), strict("[!-~]{0,200}"), any::<u32>(), strict("[0-9a-f]{64}"))
            .prop_map(|(version, url, size_bytes, sha256)| Command::Update { version, url, size_bytes, sha256 }),
        stranger().prop_map(|name| Command::Unknown { name }),
    ]
}

fn command_message() -> impl Strategy<Value = CommandMessage> {
    (any::<u64>(), any::<i64>(), command()).prop_map(|(id, expires_at, command)| CommandMessage {
        v: 1,
        id,
        expires_at,
        command,
    })
}

fn cbor_event(message: &EventMessage) -> Vec<u8> {
    let mut buffer = [0; limits::MESSAGE_BYTES_MAX];
    let length = encode_event_cbor(message, &mut buffer).expect("every event fits");
    buffer[..length].to_vec()
}

/// Any JSON value: what a field of a later version may hold.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            vec(("\\PC{0,6}", inner), 0..4).prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn as_cbor(value: &serde_json::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = minicbor_serde::Serializer::new(&mut bytes);
    serde::Serialize::serialize(value, writer.serialize_unit_as_null(true)).expect("JSON fits into CBOR");
    bytes
}

proptest! {
    #[test]
    fn every_event_comes_back_in_both_encodings(message in event_message()) {
        prop_assert_eq!(decode_event(&cbor_event(&message)), Ok(message.clone()));
        prop_assert_eq!(decode_event(encode_event_json(&message).as_bytes()), Ok(message.clone()));
    }

    #[test]
    fn every_command_comes_back_in_both_encodings(message in command_message()) {
        let mut buffer = [0; limits::MESSAGE_BYTES_MAX];
        let length = encode_command_cbor(&message, &mut buffer).expect("every command fits");
        prop_assert_eq!(decode_command(&buffer[..length]), Ok(message.clone()));
        prop_assert_eq!(decode_command(encode_command_json(&message).as_bytes()), Ok(message.clone()));
    }

    #[test]
    fn unknown_fields_of_any_kind_change_nothing(message in event_message(), stranger in any_json(), name in "[A-Z]{0,50}") {
        let mut json: serde_json::Value = serde_json::from_str(&encode_event_json(&message)).expect("JSON");
        json[&name] = stranger.clone();
        let fields = json["event"].as_object_mut().and_then(|event| event.values_mut().next());
        fields.expect("one event")[&name] = stranger;
        prop_assert_eq!(decode_event(json.to_string().as_bytes()), Ok(message.clone()));
        prop_assert_eq!(decode_event(&as_cbor(&json)), Ok(message.clone()));
    }

    #[test]
    fn unknown_events_are_kept_whatever_they_hold(name in stranger(), body in any_json()) {
        let json = serde_json::json!({"v": 1, "event": {name.as_str(): body}});
        let expected = Ok(EventMessage::new(Event::Unknown { name }));
        prop_assert_eq!(&decode_event(json.to_string().as_bytes()), &expected);
        prop_assert_eq!(&decode_event(&as_cbor(&json)), &expected);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_event(&bytes);
        let _ = decode_command(&bytes);
    }

    #[test]
    fn a_damaged_message_never_panics_and_its_error_is_short(
        message in event_message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for mut bytes in [cbor_event(&message), encode_event_json(&message).into_bytes()] {
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                if let Err(error) = decode_event(bytes) {
                    prop_assert!(error.to_string().len() <= 2 * limits::REASON_BYTES_MAX + 40);
                }
                let _ = decode_command(bytes);
            }
        }
    }

    #[test]
    fn a_truncated_message_is_never_read_as_a_whole_one(message in event_message(), cut in any::<prop::sample::Index>()) {
        for bytes in [cbor_event(&message), encode_event_json(&message).into_bytes()] {
            prop_assert!(decode_event(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn any_text_is_a_topic_or_none(text in "\\PC{0,60}") {
        if let Some((device, kind)) = topic::parse(&text) {
            prop_assert_eq!(topic::build(&device, kind).as_str().to_owned(), text);
        }
    }
}

/// Nesting as deep as a message may be long: skipped in a loop, not by recursion.
#[test]
fn depth_does_not_cost_stack() {
    let head = b"\xa3\x61v\x01\x61z".as_slice();
    let tail = b"\x00\x65event\xa1\x65alive\xa0".as_slice();
    for opening in [0x81u8, 0x9f, 0xc1] {
        let depth = limits::DECODE_BYTES_MAX - 64;
        let closing = if opening == 0x9f { vec![0xff; depth / 2] } else { Vec::new() };
        let opening = vec![opening; if closing.is_empty() { depth } else { depth / 2 }];
        let bytes = [head, &opening, &tail[..1], &closing, &tail[1..]].concat();
        let read = decode_event(&bytes).map(|message| message.event);
        assert_eq!(read, Ok(Event::Alive {}));
    }
}

/// The largest of all messages: a buffer of `MESSAGE_BYTES_MAX` must hold it.
#[test]
fn the_largest_messages_fit() {
    let slot = Slot {
        slot: "x".repeat(32).as_str().into(),
        opens_at: i64::MIN,
        closes_at: i64::MIN,
        releases: Some(i64::MIN),
    };
    let schedule = Command::Schedule { slots: std::iter::repeat_n(slot, limits::SCHEDULE_SLOTS_MAX).collect() };
    let mut buffer = [0; limits::MESSAGE_BYTES_MAX];
    let length = encode_command_cbor(&CommandMessage::new(u64::MAX, i64::MIN, schedule), &mut buffer);
    assert!(length.is_ok_and(|length| length <= limits::MESSAGE_BYTES_MAX));
    let alive = EventMessage::new(Event::Alive {});
    assert_eq!(
        encode_event_cbor(&alive, &mut [0; 8]).map_err(|e| e.to_string()),
        Err("writing the event: it does not fit in 8 bytes; 1024 always suffice".into())
    );
}
