//! Every fuzzing target, in the normal run: over its corpus as it is, then over mutations of it made from a seed.
//!
//! `VAKA_FUZZ_RUNS=1000000` makes more of them, `VAKA_FUZZ_SEED=2` others. A failing input is printed as hexadecimal: once
//! mended, it belongs in `tests/fuzz/corpus/<target>/`. With libFuzzer: see `tests/fuzz/Cargo.toml`.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::PathBuf;

use targets::Target;
use vaka::journal::simdisk::Rng;
use vaka_tests::{root, setting};

/// Longest input made by mutation, in bytes.
const BYTES_MAX: usize = 8 * 1024;

/// Numbers at which code that counts goes wrong.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, i64::MIN as u64, u64::MAX];

fn corpus_dir(name: &str) -> PathBuf {
    root().join("tests/fuzz/corpus").join(name)
}

/// The corpus in the order of its file names, so that a seed means the same everywhere.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = corpus_dir(name);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a corpus file")).collect()
}

/// Tells of the input that it is dropped with during a panic.
struct Witness<'a> {
    name: &'a str,
    input: &'a [u8],
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.input.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("target {} fails on {} bytes: {hex}", self.name, self.input.len());
        }
    }
}

fn run((name, target): Target, input: &[u8]) {
    let _witness = Witness { name, input };
    target(input);
}

fn place(rng: &mut Rng, bytes: &[u8]) -> usize {
    rng.below(bytes.len() as u64 + 1) as usize
}

fn mutate(rng: &mut Rng, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let pick = |rng: &mut Rng| &corpus[rng.below(corpus.len() as u64) as usize];
    let mut bytes = pick(rng).clone();
    for _ in 0..1 + rng.below(5) {
        let (from, to) = (place(rng, &bytes), place(rng, &bytes));
        let (from, to) = (from.min(to), from.max(to));
        match rng.below(10) {
            0 | 1 if from < bytes.len() => bytes[from] ^= 1 << rng.below(8),
            2 if from < bytes.len() => bytes[from] = rng.next_u64() as u8,
            3 => drop(bytes.drain(from..to.min(from + 16))),
            4 => bytes.truncate(from),
            5 => {
                let copied = bytes[from..to].to_vec();
                bytes.splice(from..from, copied);
            }
            6 => {
                let other = pick(rng);
                let (a, b) = (place(rng, other), place(rng, other));
                bytes.splice(from..to, other[a.min(b)..a.max(b)].iter().copied());
            }
            7 => {
                let edge = EDGES[rng.below(EDGES.len() as u64) as usize];
                let width = 1 << rng.below(4);
                let number = if rng.one_in(2) { edge.to_be_bytes() } else { edge.to_le_bytes().map(u8::reverse_bits) };
                bytes.splice(from..to.min(from + width), number[8 - width..].iter().copied());
            }
            8 => {
                let word = match words {
                    [] => EDGES[rng.below(12) as usize].to_string(),
                    _ => words[rng.below(words.len() as u64) as usize].to_owned(),
                };
                bytes.splice(from..from, word.bytes());
            }
            _ => {
                let noise: Vec<u8> = (0..rng.below(12)).map(|_| rng.next_u64() as u8).collect();
                bytes.splice(from..from, noise);
            }
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Words worth putting where they do not belong.
fn words(name: &str) -> &'static [&'static str] {
    match name {
        "json" | "zigbee2mqtt" => &[
            "{",
            "}",
            "[",
            "\"",
            "\\u0000",
            "null",
            "true",
            "1e400",
            "-0",
            "18446744073709551616",
            "\"event\":",
            "\"v\":1,",
            "\"action\":\"sos\"",
            "\"smoke\":true,",
            "\n",
            "\u{feff}",
        ],
        "sip" => &[
            "\r\n",
            "\r\n\r\n",
            "Content-Length: 0\r\n",
            "l: 5\r\n",
            "SIP/2.0 200 OK\r\n",
            ";branch=z9hG4bK1",
            ",",
            "\"",
            "CSeq: 4294967296 MESSAGE\r\n",
            "\0",
            "WWW-Authenticate: Digest realm=\"",
            "Via: ",
        ],
        "mrs" => &[
            "<mrs>",
            "</mrs>",
            "<ref>",
            "</ref>",
            "<snu>0</snu>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "&#x0;",
            "&lt;",
            "<?xml",
            "&a;",
            "<!DOCTYPE a [<!ENTITY a \"b\">]>",
        ],
        "sos_answer" => &[
            "<alarmresponse>",
            "</alarmresponse>",
            "<status>0</status>",
            "<reference>",
            "</reference>",
            "<newauthentication>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "&#x0;",
            "&lt;",
            "encoding=\"UTF-8\"",
            "\u{e5}",
            "<!DOCTYPE a [<!ENTITY a \"b\">]>",
        ],
        "dc09" => &[
            "\n",
            "\r",
            "\"ACK\"",
            "\"*ACK\"",
            "\"NAK\"",
            "\"DUH\"",
            "0000",
            "R0",
            "L0",
            "#1234",
            "[",
            "]",
            "|",
            "_",
            "A0",
            "_00:00:00,01-01-2026",
        ],
        "config" => &[
            "[gateway]\n",
            "[[device]]\n",
            "[[receiver]]\n",
            "= ",
            "\"",
            "'''",
            "\n",
            "id = \"p1\"\n",
            "9999999999999999999",
            "nan",
            "1979-05-27",
            "\u{e5}",
        ],
        "pkcs7" => &["\u{30}", "\u{30}\u{0}", "\u{0}\u{0}", "\u{6}\u{9}", "\u{31}\u{0}"],
        "enrol" => &["cproof", "gkind", "ccsr", "glocator", "7KQ2-", "0", "\u{5}", "grefused", "dbusy"],
        "topic" => &["/", "vaka/v1/", "+", "#", "event", "command", "\u{0}", "zigbee2mqtt/", "/set", "\u{e5}"],
        _ => &[],
    }
}

fn fuzz(name: &str, share: u64) {
    let target = *targets::ALL.iter().find(|(known, _)| *known == name).expect("a target");
    let corpus = corpus(name);
    assert!(corpus.len() >= 3, "the corpus of {name} is nearly empty");
    corpus.iter().for_each(|input| run(target, input));
    let mut rng = Rng::new(setting("VAKA_FUZZ_SEED", 1));
    for _ in 0..setting("VAKA_FUZZ_RUNS", 20_000) / share {
        run(target, &mutate(&mut rng, &corpus, words(name)));
    }
}

#[test]
fn any_mqtt_bytes_are_taken_or_end_their_connection() {
    fuzz("mqtt", 1);
}

#[test]
fn any_cbor_reads_the_same_when_written_or_is_refused() {
    fuzz("cbor", 1);
}

#[test]
fn any_json_reads_the_same_when_written_or_is_refused() {
    fuzz("json", 1);
}

#[test]
fn any_topic_is_its_owners_or_nobodys() {
    fuzz("topic", 1);
}

#[test]
fn any_sip_bytes_read_the_same_however_they_are_cut() {
    fuzz("sip", 1);
}

#[test]
fn any_answer_of_a_centre_is_read_or_refused() {
    fuzz("mrs", 1);
}

#[test]
fn any_sos_access_answer_reads_the_same_however_it_comes() {
    fuzz("sos_answer", 1);
}

#[test]
fn any_answer_of_a_dc09_receiver_is_read_or_refused() {
    fuzz("dc09", 1);
}

#[test]
fn any_config_is_taken_or_explained() {
    fuzz("config", 1);
}

#[test]
fn a_journal_opens_whatever_stands_in_it() {
    // Three journals are opened for each input.
    fuzz("journal", 4);
}

#[test]
fn any_message_of_a_bridge_is_read_or_refused() {
    fuzz("zigbee2mqtt", 1);
}

#[test]
fn any_enrolment_message_or_code_reads_the_same_when_written_or_is_refused() {
    fuzz("enrol", 1);
}

#[test]
fn any_answer_of_an_authority_is_read_or_refused() {
    fuzz("pkcs7", 1);
}

#[test]
fn every_target_has_its_corpus_and_its_fuzzer() {
    for (name, _) in targets::ALL {
        assert!(corpus_dir(name).is_dir(), "no corpus for {name}");
        assert!(root().join(format!("tests/fuzz/fuzz_targets/{name}.rs")).is_file(), "no fuzzer for {name}");
    }
}
