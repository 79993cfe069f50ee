//! The command line as a technician or a script uses it: what it says, and how it exits.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use toml_edit::value;
use vaka_tests::{Gateway, Home, MqttVersion, event, lacks, mosquitto_pub, press, skip, vaka_bin};

/// A stopped home whose journal holds a press and some motion.
fn home_with_events() -> Home {
    let home = Home::init();
    home.device("p1", "pendant");
    let mut gateway = Gateway::start(&home);
    for seq in 1..=20 {
        let payload = if seq == 1 { press(1, seq) } else { event(1, seq, r#"{"motion":{}}"#) };
        assert_eq!(mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &payload).code, 0);
    }
    assert!(gateway.stop().success());
    home
}

/// The journal's segments, oldest first.
fn segments(home: &Home) -> Vec<PathBuf> {
    let dir = fs::read_dir(home.path("journal/segments")).expect("the journal's segments");
    let mut files: Vec<PathBuf> = dir.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[test]
fn init_makes_a_home_that_passes_its_own_check_and_is_never_overwritten() {
    let home = Home::init();
    let check = home.vaka(&["check-config", "h/vaka.toml"]);
    assert_eq!(check.code, 0, "{check:?}");
    let before = fs::read(home.config()).expect("vaka.toml");
    let again = home.vaka_plain(&["init", "h"]);
    assert_eq!(again.code, 64, "{again:?}");
    assert_eq!(fs::read(home.config()).expect("vaka.toml"), before);
    let key = home.device("p1", "pendant").pem("p1", "key.pem");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(key).expect("the key").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "a key is its owner's alone");
}

#[test]
fn an_unknown_key_is_an_error_that_names_its_line_and_the_nearest_known_one() {
    let home = Home::init();
    let good = fs::read_to_string(home.config()).expect("vaka.toml");
    for (known, wrong) in
        [("time_zone", "time_zome"), ("size_max_mib", "size_max_mb"), ("listen", "lisen"), ("[ingest]", "[ingets]")]
    {
        let text = good.replacen(known, wrong, 1);
        assert_ne!(text, good, "{known} is in what init writes");
        fs::write(home.config(), &text).expect("writing vaka.toml");
        let line = text.lines().position(|l| l.contains(wrong)).expect("the line") + 1;
        let check = home.vaka(&["check-config", "h/vaka.toml"]);
        let said = format!("{}{}", check.stdout, check.stderr);
        assert_eq!(check.code, 64, "{wrong}: {said}");
        let bare = |word: &str| word.trim_matches(['[', ']']).to_owned();
        for part in [line.to_string(), bare(wrong), bare(known)] {
            assert!(said.contains(&part), "{wrong}: no `{part}` in: {said}");
        }
        let run = home.vaka(&["run"]);
        assert_eq!(run.code, 64, "run with {wrong}: {run:?}");
    }
}

#[test]
fn values_that_cannot_be_are_refused_with_their_place() {
    let home = Home::init();
    let good = fs::read_to_string(home.config()).expect("vaka.toml");
    type Change = fn(&mut toml_edit::DocumentMut);
    let mistakes: [(&str, Change); 5] = [
        ("time_zone", |c| c["gateway"]["time_zone"] = value("Europe/Stokholm")),
        ("controller_id", |c| c["gateway"]["controller_id"] = value("ten")),
        ("listen", |c| c["ingest"]["listen"] = value("8883")),
        ("role", |c| c["gateway"]["role"] = value("castle")),
        ("size_max_mib", |c| c["journal"]["size_max_mib"] = value(-1)),
    ];
    for (key, change) in mistakes {
        fs::write(home.config(), &good).expect("writing vaka.toml");
        home.edit(change);
        let check = home.vaka(&["check-config", "h/vaka.toml"]);
        assert_eq!(check.code, 64, "{key}: {check:?}");
        let said = format!("{}{}", check.stdout, check.stderr);
        let text = fs::read_to_string(home.config()).expect("vaka.toml");
        let line = text.lines().position(|l| l.trim_start().starts_with(key)).expect("the line") + 1;
        assert!(said.contains(&format!("vaka.toml:{line}:")), "{key}, line {line}: {said}");
    }
}

#[test]
fn usage_mistakes_exit_64_and_say_what_there_is() {
    let home = Home::init();
    for args in [&["alram"][..], &["device", "add"], &["journal", "dance"], &["run", "--quickly"], &[]] {
        let output = home.vaka_plain(args);
        assert_eq!(output.code, 64, "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{args:?} says nothing");
    }
    let output = home.vaka_plain(&["run", "--config", "nowhere.toml"]);
    assert_eq!(output.code, 64, "{output:?}");
    assert!(output.stderr.contains("nowhere.toml"), "{output:?}");
    assert_eq!(home.vaka_plain(&["--help"]).code, 0);
    assert_eq!(home.vaka_plain(&["--version"]).code, 0);
    let missing = home.vaka(&["alarm", "show", "nosuchalarm"]);
    assert!(matches!(missing.code, 1 | 64), "{missing:?}");
}

#[test]
fn a_home_that_never_ran_has_an_empty_journal_and_no_alarms() {
    let home = Home::init();
    assert!(home.alarms().is_empty());
    assert!(home.export().is_empty());
    home.vaka(&["journal", "stat"]).ok();
    home.vaka(&["journal", "verify"]).ok();
    home.vaka(&["journal", "tail"]).ok();
}

#[test]
fn two_gateways_on_one_home_are_one_too_many() {
    let home = Home::init();
    let gateway = Gateway::start(&home);
    let second = home.vaka(&["run"]);
    assert!(matches!(second.code, 64 | 74), "{second:?}");
    assert!(!second.stderr.is_empty());
    drop(gateway);
}

#[test]
fn the_journal_is_counted_shown_and_exported() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home_with_events();
    let stat = home.vaka(&["journal", "stat", "--json"]).ok();
    assert!(!stat.rows().is_empty(), "{stat:?}");
    home.vaka(&["journal", "verify"]).ok();
    let tail = home.vaka(&["journal", "tail", "-n", "3"]).ok();
    assert_eq!(tail.stdout.lines().count(), 3, "{tail:?}");
    let export = home.vaka(&["journal", "export"]).ok();
    assert_eq!(export.stdout.lines().count(), export.rows().len(), "a line a record");
    let events: Vec<_> = export.rows().into_iter().filter(|record| record["kind"] == "event").collect();
    assert_eq!(events.len(), 20);
    for (at, record) in events.iter().enumerate() {
        assert_eq!(
            (&record["device"], &record["restart"], &record["seq"]),
            (&"p1".into(), &1.into(), &(at as u64 + 1).into()),
            "{record}"
        );
    }
}

#[test]
fn the_index_is_made_again_from_the_records() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home_with_events();
    let before = home.alarms();
    home.vaka(&["journal", "rebuild"]).ok();
    assert_eq!(home.alarms(), before);
    // Deleting every folder but the records' own deletes only what can be made again.
    for entry in fs::read_dir(home.path("journal")).expect("the journal's folder").flatten() {
        if entry.path().is_dir() && entry.file_name() != "segments" {
            fs::remove_dir_all(entry.path()).expect("removing the index");
        }
    }
    assert_eq!(home.alarms(), before);
    let gateway = Gateway::start(&home);
    assert_eq!(home.alarms().iter().filter(|row| row["lane"] == "life").count(), 1, "{}", gateway.tail());
}

#[test]
fn one_flipped_bit_is_found_named_and_survived() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home_with_events();
    home.vaka(&["journal", "verify"]).ok();
    let segment = segments(&home).into_iter().next().expect("a segment");
    let mut bytes = fs::read(&segment).expect("reading the segment");
    // In the middle, wherever that is: bodies are sealed, and every record's checksums cover head and body.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x04;
    fs::write(&segment, &bytes).expect("writing the segment");
    let verify = home.vaka(&["journal", "verify"]);
    assert_eq!(verify.code, 1, "{verify:?}");
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    let said = format!("{}{}", verify.stdout, verify.stderr);
    assert!(said.contains(&name), "verify names the file {name}: {said}");

    // It runs all the same, says so in a technical alarm, and loses no more than the one record.
    let gateway = Gateway::start(&home);
    gateway.wait_alarm("a technical alarm about the journal", |row| row["lane"] == "technical");
    assert!(home.alarms().iter().any(|row| row["lane"] == "life"));
    let events = home.export().iter().filter(|record| record["kind"] == "event").count();
    assert!(events >= 19, "{events} of 20 events are left");
}

#[test]
fn a_torn_tail_is_cut_and_nothing_else() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home_with_events();
    let segment = segments(&home).into_iter().next_back().expect("a segment");
    let bytes = fs::read(&segment).expect("reading the segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("something is written") + 1;
    // A record that was being written when the power went: the copy of an earlier one, cut in half.
    let mut torn = bytes[..end].to_vec();
    torn.extend_from_slice(&bytes[end - 40..end - 10]);
    fs::write(&segment, torn).expect("writing the segment");
    let mut gateway = Gateway::start(&home);
    let events = home.export().iter().filter(|record| record["kind"] == "event").count();
    assert_eq!(events, 20);
    assert_eq!(mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(2, 1)).code, 0);
    assert!(gateway.stop().success());
    assert_eq!(home.export().iter().filter(|record| record["kind"] == "event").count(), 21);
}

#[test]
fn a_report_is_one_page_and_the_same_each_time_and_an_empty_journal_says_what_to_do() {
    let home = Home::init();
    let empty = home.vaka(&["report"]);
    assert_eq!(empty.code, 1, "{empty:?}");
    assert!(empty.stderr.contains("the journal is empty") && empty.stderr.contains("fix:"), "{empty:?}");
    let turned = home.vaka(&["report", "--from", "2026-11-30", "--to", "2026-11-01"]);
    assert_eq!((turned.code, turned.stderr.contains("the earlier day first")), (64, true), "{turned:?}");
    let days = ["report", "--from", "2026-11-01", "--to", "2026-11-30"];
    let one = home.vaka(&days);
    assert_eq!((one.code, &one.stdout), (0, &home.vaka(&days).stdout), "{one:?}");
    assert!(one.stdout.starts_with("<!doctype html>\n<html lang=\"sv\">") && !one.stdout.contains("<script"));
    let out = home.path("november.html");
    let told = home.vaka(&[&days[..], &["--lang", "en", "--out", &out.display().to_string()]].concat());
    assert_eq!(told.code, 0, "{told:?}");
    assert!(fs::read_to_string(out).expect("the page").contains("<html lang=\"en\">"));
}

#[test]
fn an_agreement_is_rehearsed_on_recorded_days() {
    let home = Home::init();
    let recording = vaka_tests::root().join("tests/data/home-a/events.jsonl").display().to_string();
    let agreed = vaka_tests::root().join("tests/traces/home-a.toml");
    let text = fs::read_to_string(agreed).expect("what is agreed");
    // Nobody goes to bed by then: every night is told.
    fs::write(home.config(), text.replace("in_bed_by = \"04:00\"", "in_bed_by = \"01:31\""))
        .expect("writing vaka.toml");
    let told = home.vaka(&["rehearse", &recording]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.contains("2011-11-28  02:16   11:31") && told.stdout.contains("care night not-in-bed"),
        "{told:?}"
    );
    let wrong = home.vaka(&["rehearse", "nowhere.jsonl"]);
    assert_eq!(wrong.code, 64, "{wrong:?}");
}

/// What root writes in another's home the gateway could not read: root goes on as the owner, and who is neither hears whose it is.
#[test]
fn root_goes_on_as_the_owner_of_the_home() {
    if !rustix::process::geteuid().is_root() {
        return skip("not root: no other user can be had");
    }
    const OWNER: u32 = 64_123;
    let home = home_with_events();
    home.edit(|config| {
        config["enrol"]["listen"] = value("127.0.0.1:0");
        config["board"]["listen"] = value("127.0.0.1:0");
    });
    let owned = Command::new("chown").args(["-R", &OWNER.to_string()]).arg(home.dir()).status();
    assert!(owned.expect("chown runs").success());

    let rebuilt = home.vaka(&["journal", "rebuild"]).ok();
    assert!(rebuilt.stderr.contains("going on as user 64123"), "{rebuilt:?}");
    home.vaka(&["device", "invite", "p2", "--kind", "pendant"]).ok();
    home.vaka(&["people", "add", "anna", "--role", "staff"]).ok();
    home.vaka(&["device", "add", "p3", "--kind", "pendant", "--out", "h/p3"]).ok();
    home.vaka(&["export", "--to", "all"]).ok();
    // A home that is made belongs to whoever owns the folder that it is made in.
    home.vaka_plain(&["init", "another/deep"]).ok();
    let theirs = |folder: PathBuf| -> Vec<PathBuf> {
        let output = Command::new("find").arg(folder).args(["!", "-user", &OWNER.to_string()]).output();
        let found = String::from_utf8(output.expect("find runs").stdout).expect("paths");
        found.lines().map(PathBuf::from).collect()
    };
    assert_eq!(theirs(home.dir().to_path_buf()), Vec::<PathBuf>::new(), "root's");

    // Neither root nor the owner.
    let stranger = Command::new(vaka_bin()).args(["check-config", "--config"]).arg(home.config()).uid(64_124).output();
    let said = String::from_utf8(stranger.expect("it runs").stderr).expect("text");
    assert!(said.contains("denied") && said.contains("another user's") && said.contains("sudo vaka"), "{said}");
}
