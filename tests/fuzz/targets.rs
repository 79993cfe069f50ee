//! What is fuzzed: one function for each surface that bytes from outside reach. Each panics where the gateway would be wrong.
//!
//! Used twice: by cargo-fuzz (`fuzz_targets/`), and by the normal test run (`tests/e2e/fuzz_corpus.rs`).

use std::path::Path;
use std::sync::Arc;

use vaka::config::{Config, ConfigError};
use vaka::dispatch::dc09::answer::{Answer as Dc09Answer, Decoder as Dc09Decoder};
use vaka::dispatch::dc09::cipher::Key;
use vaka::dispatch::dc09::frame::checksum;
use vaka::dispatch::scaip::mrs::Mrs;
use vaka::dispatch::sip::frame::{Decoder, Frame};
use vaka::dispatch::sip::{digest, uri::SipUri, write};
use vaka::dispatch::sos_access::Answer;
use vaka::ingest::adapter::{UNKNOWN_TEXT_CHARS_MAX, zigbee2mqtt};
use vaka::ingest::wire::{Incoming, Wire};
use vaka::ingest::{PublishReason, payload};
use vaka::journal::disk::Disk;
use vaka::journal::record::{Alive, Record};
use vaka::journal::simdisk::SimDisk;
use vaka::journal::{Journal, Options, Stamp, reader};
use vaka_protocol::enrol::{ANSWER_BYTES_MAX, Answer as EnrolAnswer, Code, Request};
use vaka_protocol::{
    DeviceId, EncodeError, Lane, decode_command, decode_event, encode_command_cbor, encode_command_json,
    encode_event_cbor, encode_event_json, topic,
};

/// Bytes of one MQTT connection, cut where the first byte says; everything that wants an answer is answered.
pub fn mqtt(bytes: &[u8]) {
    let Some((cut, mut rest)) = bytes.split_first() else { return };
    let piece = usize::from(*cut).max(1);
    let mut wire = Wire::new();
    while !rest.is_empty() && !wire.is_closing() {
        let mut part = &rest[..piece.min(rest.len())];
        rest = &rest[part.len()..];
        while !part.is_empty() && !wire.is_closing() {
            let used = wire.receive(part);
            assert!(used > 0 || wire.is_closing(), "bytes that nobody takes");
            part = &part[used..];
            while let Some(incoming) = wire.take_incoming() {
                answer(&mut wire, incoming);
            }
        }
    }
    assert!(wire.output().len() <= 4_096 + 64 * bytes.len(), "an answer out of all proportion");
}

fn answer(wire: &mut Wire, incoming: Incoming) {
    match incoming {
        Incoming::Connect(connect) => wire.accept(&connect, Some("assigned"), false),
        Incoming::Publish(publish) => {
            assert!(publish.qos <= 2 && (publish.qos == 0) == publish.id.is_none());
            if let Some(id) = publish.id {
                wire.answer(id, publish.qos, PublishReason::QuotaExceeded);
            }
        }
        Incoming::Release(id) => wire.complete(id),
        Incoming::Subscribe { id, filters } => {
            let granted: Vec<Option<u8>> = filters.iter().map(|(_, qos)| (*qos < 2).then_some(*qos)).collect();
            wire.subscribed(id, &granted);
            wire.publish("vaka/v1/p1/command", b"{}", 1);
        }
        Incoming::Unsubscribe { id, filters } => wire.unsubscribed(id, filters.len()),
        Incoming::Ping => wire.pong(),
        Incoming::Acknowledged(_) | Incoming::Disconnect { .. } | Incoming::KeepAlive(_) | Incoming::Broken(_) => {}
    }
}

/// An event or a command in CBOR: what is read is written so that it reads the same.
pub fn cbor(bytes: &[u8]) {
    let mut buffer = [0; 4_096];
    let whole = |e: EncodeError| panic!("what was read cannot be written: {e}");
    if let Ok(message) = decode_event(bytes) {
        let length = encode_event_cbor(&message, &mut buffer).unwrap_or_else(whole);
        assert_eq!(decode_event(&buffer[..length]).as_ref(), Ok(&message));
        assert_eq!(decode_event(encode_event_json(&message).as_bytes()).as_ref(), Ok(&message));
        let _ = (message.event.lane(), message.event.name(), message.event.scaip(false));
    }
    if let Ok(message) = decode_command(bytes) {
        let length = encode_command_cbor(&message, &mut buffer).unwrap_or_else(whole);
        assert_eq!(decode_command(&buffer[..length]).as_ref(), Ok(&message));
    }
    let _ = payload::read(bytes, None);
}

/// An event or a command in JSON: as [`cbor`], the other way round.
pub fn json(bytes: &[u8]) {
    if let Ok(message) = decode_event(bytes) {
        assert_eq!(decode_event(encode_event_json(&message).as_bytes()).as_ref(), Ok(&message));
    }
    if let Ok(message) = decode_command(bytes) {
        assert_eq!(decode_command(encode_command_json(&message).as_bytes()).as_ref(), Ok(&message));
    }
    let _ = payload::read(bytes, None);
}

/// A topic: what is read as one is built the same; nobody's id is made from anything else.
pub fn topic(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some((device, kind)) = topic::parse(text) {
        assert_eq!(topic::build(&device, kind).as_str(), text);
    }
    if let Ok(device) = DeviceId::try_from(text) {
        assert_eq!(topic::parse(&topic::event(&device)), Some((device, topic::Kind::Event)));
    }
    let _ = zigbee2mqtt::source(text);
}

/// What an authority that speaks EST answers with.
pub fn pkcs7(bytes: &[u8]) {
    let Ok(found) = vaka::est::certificates_of(bytes) else { return };
    assert!(!found.is_empty() && found.len() <= vaka::limits::EST_CERTIFICATES_MAX);
    for one in found {
        assert!(bytes.windows(one.len()).any(|part| part == &*one), "a certificate that does not stand there");
    }
}

/// What stands behind its length at the enrolment door, in either direction, and a code as somebody typed it.
pub fn enrol(bytes: &[u8]) {
    let mut buffer = vec![0; 2 + ANSWER_BYTES_MAX];
    if let Ok(request) = Request::read(bytes)
        && let Ok(length) = request.write(&mut buffer)
    {
        assert!(Request::read(&buffer[2..length]) == Ok(request), "another request when written");
    }
    if let Ok(answer) = EnrolAnswer::read(bytes)
        && let Ok(length) = answer.write(&mut buffer)
    {
        assert!(EnrolAnswer::read(&buffer[2..length]) == Ok(answer), "another answer when written");
    }
    if let Ok(code) = std::str::from_utf8(bytes).map_err(drop).and_then(|typed| Code::parse(typed).map_err(drop)) {
        assert_eq!(Code::parse(&code.text()), Ok(code));
    }
}

/// Bytes of a SIP connection: however they are cut, they read the same, and every message can be answered.
pub fn sip(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = frames(bytes, bytes.len().max(1));
    let cut = frames(bytes, usize::from(*cut).max(1));
    assert_eq!(whole, cut, "the same bytes, cut elsewhere, read otherwise");
    for frame in whole.0 {
        let Frame::Message(message) = frame else { continue };
        let _ = (message.branch(), message.cseq(), digest::challenge(&message).is_some());
        if let Some(answer) = write::answer(&message, 200, "OK", "tag") {
            let (frames, lost) = frames(&answer, answer.len());
            assert!(lost.is_none() && frames.len() == 1, "an answer that is not one message");
        }
        let _ = Mrs::parse(&message.body);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = SipUri::parse(text);
    }
}

fn frames(bytes: &[u8], piece: usize) -> (Vec<Frame>, Option<String>) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for part in bytes.chunks(piece) {
        decoder.feed(part);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(lost) => return (frames, Some(lost.to_string())),
            }
        }
    }
    (frames, None)
}

/// An alarm centre's answer: its reference can only be one of ours, its words fit a log.
pub fn mrs(bytes: &[u8]) {
    if let Ok(mrs) = Mrs::parse(bytes) {
        assert!(mrs.reference.len() <= 16 && mrs.reference.bytes().all(|b| b.is_ascii_alphanumeric()));
        let texts = [mrs.status_text.as_deref(), mrs.transfer.as_deref(), Some(&mrs.detail())]
            .map(|text| text.unwrap_or_default().chars().any(char::is_control));
        assert_eq!(texts, [false; 3], "control characters for a log");
    }
}

/// An SOS Access receiver's answer: what has come says the same however much more comes, and its words fit a log.
pub fn sos_answer(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = Answer::read(bytes);
    let part = Answer::read(&bytes[..usize::from(*cut).min(bytes.len())]);
    match part {
        Ok(None) => {}
        told => assert_eq!(told, whole, "more bytes made it another answer"),
    }
    if let Ok(Some(answer)) = whole {
        assert!(!answer.info.chars().any(char::is_control), "control characters for a log");
        assert!(answer.reference.is_none_or(|reference| (1..=50).contains(&reference.chars().count())));
        assert!(answer.new_password.is_none_or(|password| password.chars().count() == 15));
    }
}

/// Bytes of a DC-09 receiver: however they are cut, they read the same; what is read fits a log. Also as a frame whose checksum is right.
pub fn dc09(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let body: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).take(4_000).collect();
    let framed = [format!("\n{:04X}0{:03X}", checksum(&body), body.len()).as_bytes(), &body, b"\r"].concat();
    for bytes in [bytes, &framed] {
        let whole = dc09_answers(bytes, bytes.len().max(1));
        assert_eq!(
            whole,
            dc09_answers(bytes, usize::from(*cut).max(1)),
            "the same bytes, cut elsewhere, read otherwise"
        );
        for answer in whole.0 {
            assert!(answer.number <= 9_999);
            assert!(
                answer.account.is_none_or(|digits| digits.len() <= 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            );
        }
    }
}

fn dc09_answers(bytes: &[u8], piece: usize) -> (Vec<Dc09Answer>, Option<String>) {
    let key = Key::Aes128([0x41; 16]);
    let (mut decoder, mut answers) = (Dc09Decoder::default(), Vec::new());
    for part in bytes.chunks(piece) {
        decoder.feed(part);
        loop {
            match decoder.next(Some(&key)) {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => break,
                Err(lost) => return (answers, Some(lost.to_string())),
            }
        }
    }
    (answers, None)
}

/// A config file: whatever it holds, what is wrong is said in words, at a line that there is.
pub fn config(bytes: &[u8]) {
    if let Err(ConfigError::Invalid(findings)) = Config::parse(bytes, Path::new("/nowhere/vaka.toml")) {
        assert!(!findings.is_empty());
        let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
        for finding in findings {
            assert!(!finding.text.is_empty());
            assert!(finding.line.is_none_or(|line| (1..=lines).contains(&line)), "line {:?} of {lines}", finding.line);
        }
    }
}

/// A journal's segment from here on: the first two bytes say where, the rest is what stands there. Always opens, goes on, and
/// has at the next open what was committed after; also every body a record might have.
pub fn journal(bytes: &[u8]) {
    if let Some((kind, body)) = bytes.split_first()
        && let Ok(record) = Record::decode(*kind, body)
    {
        let mut again = Vec::new();
        record.encode_into(&mut again);
        assert_eq!(Record::decode(*kind, &again).ok().as_ref(), Some(&record));
    }
    let [low, high, patch @ ..] = bytes else { return };
    let (disk, dir) = (SimDisk::new(7), Path::new("/journal"));
    let options =
        || Options { disk: Arc::new(disk.clone()), segment_bytes: 64 * 1024, check_all: true, ..Options::default() };
    let record = |online| Record::Alive(Alive { device: DeviceId::try_from("p1").expect("an id"), online });
    let stamp = Stamp { mono_ms: 5, wall_ms: 1_795_000_000_000 };
    let (mut journal, _) = Journal::open(dir, options()).expect("a new journal opens");
    for online in [true, false, true] {
        journal.append(&record(online), Lane::Telemetry, stamp);
    }
    journal.commit().expect("a sound disk takes it");
    drop(journal);
    let segments = dir.join("segments");
    let name = disk.list(&segments).expect("listed").pop().expect("one segment");
    disk.tamper(&segments.join(name), |segment| {
        let at = usize::from(u16::from_le_bytes([*low, *high])).min(segment.len());
        let end = (at + patch.len()).min(segment.len());
        segment[at..end].copy_from_slice(&patch[..end - at]);
        segment.extend_from_slice(&patch[end - at..]);
    });
    reader::verify_on(&disk, dir).expect("verified");
    let (mut journal, _) = Journal::open(dir, options()).expect("opens whatever the damage");
    let seq = journal.append(&record(false), Lane::Life, stamp);
    journal.commit().expect("a sound disk takes it");
    drop(journal);
    let (journal, _) = Journal::open(dir, options()).expect("opens again");
    let found = journal.read(seq).expect("read").expect("what was committed is there");
    assert_eq!(found.decode().ok(), Some(record(false)));
}

/// A bridge's message: topic, a line feed, payload. What nobody can classify is short enough to be shown.
pub fn zigbee2mqtt(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let Ok(topic) = std::str::from_utf8(&bytes[..at]) else { return };
    let Ok(adapted) = zigbee2mqtt::read(topic, bytes.get(at + 1..).unwrap_or_default()) else { return };
    for (field, value) in &adapted.unknown {
        assert!(field.chars().count() <= UNKNOWN_TEXT_CHARS_MAX && value.chars().count() <= UNKNOWN_TEXT_CHARS_MAX);
    }
    assert!(adapted.events.is_sorted_by_key(|event| event.lane()), "an urgent event stands behind another");
}

/// A target and its name, which is its corpus folder's too.
#[allow(dead_code, reason = "cargo-fuzz names its targets itself")]
pub type Target = (&'static str, fn(&[u8]));

#[allow(dead_code, reason = "cargo-fuzz names its targets itself")]
pub const ALL: [Target; 13] = [
    ("mqtt", mqtt),
    ("cbor", cbor),
    ("json", json),
    ("topic", topic),
    ("sip", sip),
    ("mrs", mrs),
    ("sos_answer", sos_answer),
    ("dc09", dc09),
    ("config", config),
    ("journal", journal),
    ("zigbee2mqtt", zigbee2mqtt),
    ("enrol", enrol),
    ("pkcs7", pkcs7),
];
