//! Byte-golden messages of version 1, in both encodings. Never edit these: a device in the field speaks them.
//! A new field or event gets a new line; a line that stands here stays.

use vaka_protocol::*;

mod golden;

use golden::{COMMANDS, EVENTS, commands, events};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn assert_same(expected: &[(&str, &str)], written: &[(String, String)]) {
    for (at, (json, cbor)) in written.iter().enumerate() {
        let golden = expected.get(at).copied().unwrap_or_default();
        assert_eq!((json.as_str(), cbor.as_str()), golden, "message {at}; a new one is added at the end");
    }
    assert_eq!(expected.len(), written.len());
}

#[test]
fn every_event_is_written_as_it_always_was() {
    let written: Vec<_> = events()
        .iter()
        .map(|message| {
            let mut buffer = [0; limits::MESSAGE_BYTES_MAX];
            let length = encode_event_cbor(message, &mut buffer).expect("it fits");
            (encode_event_json(message), hex(&buffer[..length]))
        })
        .collect();
    if std::env::var_os("VAKA_PRINT_GOLDEN").is_some() {
        for (json, cbor) in &written {
            println!("    (\n        r#\"{json}\"#,\n        \"{cbor}\",\n    ),");
        }
    }
    assert_same(EVENTS, &written);
}

#[test]
fn every_event_is_read_as_it_always_was() {
    for (message, (json, cbor)) in events().iter().zip(EVENTS) {
        assert_eq!(decode_event(json.as_bytes()).as_ref(), Ok(message));
        assert_eq!(decode_event(&unhex(cbor)).as_ref(), Ok(message));
    }
}

#[test]
fn every_command_is_written_as_it_always_was() {
    let written: Vec<_> = commands()
        .iter()
        .map(|message| {
            let mut buffer = [0; limits::MESSAGE_BYTES_MAX];
            let length = encode_command_cbor(message, &mut buffer).expect("it fits");
            (encode_command_json(message), hex(&buffer[..length]))
        })
        .collect();
    if std::env::var_os("VAKA_PRINT_GOLDEN").is_some() {
        for (json, cbor) in &written {
            println!("    (\n        r#\"{json}\"#,\n        \"{cbor}\",\n    ),");
        }
    }
    assert_same(COMMANDS, &written);
}

#[test]
fn every_command_is_read_as_it_always_was() {
    for (message, (json, cbor)) in commands().iter().zip(COMMANDS) {
        assert_eq!(decode_command(json.as_bytes()).as_ref(), Ok(message));
        assert_eq!(decode_command(&unhex(cbor)).as_ref(), Ok(message));
    }
}

#[test]
fn every_name_is_in_the_golden_messages_and_is_the_key_on_the_wire() {
    for (message, (json, _)) in events().iter().zip(EVENTS) {
        assert!(json.contains(&format!("\"event\":{{\"{}\":{{", message.event.name())), "{json}");
    }
    for (message, (json, _)) in commands().iter().zip(COMMANDS) {
        assert!(json.contains(&format!("\"command\":{{\"{}\":{{", message.command.name())), "{json}");
    }
}
