//! Updates of the real program, from a publisher over HTTPS: taken while devices send, given back where they do not prove themselves,
//! refused where they are not what was signed.
//!
//! A release here is a few lines of shell that become the program under test: another version by its manifest, with whatever is to
//! be wrong with it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use toml_edit::{Array, table, value};
use vaka_tests::runbook::follow;
use vaka_tests::{
    Centre, Home, Launched, Load, LoopDisk, MqttVersion, Publisher, eventually, free_port, has_program, lacks,
    mosquitto_pub, or_skip, press, root, run_vaka, setting, skip, vaka_bin,
};

/// How a release behaves when it is to run; `$@` and all else is the program's.
const GOOD: &str = "";
const ENDS: &str = "[ $1 = run ] && exit 70";
const HANGS: &str = "[ $1 = run ] && exec tail -f /dev/null";
const DEAF: &str = "[ $1 = run ] && set -- run --config h/deaf.toml";
const READS_NOTHING: &str = "[ $1 = check-config ] && exit 64";

/// A home with a centre, a publisher, and their key.
struct Place {
    publisher: Publisher,
    home: Home,
    _centre: Centre,
}

impl Place {
    #[track_caller]
    fn new() -> Place {
        Place::with(Home::init())
    }

    #[track_caller]
    fn with(home: Home) -> Place {
        let (publisher, centre) = (Publisher::start(), Centre::start("ok"));
        home.centre(centre.port);
        let keys = publisher.beside("keys").display().to_string();
        let key = run_vaka(home.dir(), &["release", "key", &keys]).ok().stdout;
        home.edit(|config| {
            config["update"] = table();
            config["update"]["url"] = value(publisher.url());
            config["update"]["ca"] = value(publisher.ca().display().to_string());
            config["update"]["keys"] = value(Array::from_iter([key.trim()]));
        });
        // The same home, whose alarms go nowhere.
        let text = std::fs::read_to_string(home.config()).expect("vaka.toml");
        let deaf = text.replace(&format!("127.0.0.1:{}", centre.port), &format!("127.0.0.1:{}", free_port()));
        assert_ne!(deaf, text);
        std::fs::write(home.path("deaf.toml"), deaf).expect("it");
        Place { publisher, home, _centre: centre }
    }

    fn program(&self, version: &str, behaviour: &str) -> PathBuf {
        let file = self.publisher.beside(&format!("made-{version}"));
        let script = format!("#!/bin/sh\n# {version}\n{behaviour}\nexec {} \"$@\"\n", vaka_bin().display());
        std::fs::write(&file, script).expect("a release");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a release");
        file
    }

    #[track_caller]
    fn publish(&self, version: &str, behaviour: &str) {
        self.publish_with(version, behaviour, "keys", &[]);
    }

    #[track_caller]
    fn publish_with(&self, version: &str, behaviour: &str, keys: &str, more: &[&str]) {
        let program = self.program(version, behaviour).display().to_string();
        let key = self.publisher.beside(keys).join("release.key").display().to_string();
        let out = self.publisher.files().display().to_string();
        let words = ["release", "sign", "--key", &key, "--version", version, "--out", &out, &program];
        run_vaka(self.home.dir(), &[&words[..], more].concat()).ok();
    }

    fn told(&self, lane: &str) -> usize {
        self.home.alarms().iter().filter(|row| row["lane"] == lane).count()
    }

    /// Steps of updates in the journal: version and step.
    fn steps(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        self.home.records("update").iter().map(|record| (text(&record["version"]), text(&record["step"]))).collect()
    }
}

#[test]
fn taken_while_devices_send_and_killed_in_the_middle_nothing_is_lost() {
    if lacks(&["paho", "sipp", "mosquitto_pub"]) {
        return;
    }
    let rounds = setting("VAKA_UPDATE_ROUNDS", 2);
    let place = Place::new();
    let home = &place.home;
    home.device("m1", "motion-sensor").device("m2", "motion-sensor").device("p1", "pendant");
    let gateway = Launched::start(home, 120);
    assert_eq!(gateway.status().expect("it runs")["running"], "0.1.0");
    let mut load = Load::start(home, &["m1", "m2"], 5, 1_000_000_000);
    for round in 0..rounds {
        let version = format!("0.2.{round}");
        place.publish(&version, GOOD);
        load.wait_more(20, || gateway.tail());
        home.vaka(&["update", "apply", "--by", "ture"]).ok();
        gateway.wait_log(&format!("update.version=\"{version}\" update.step=Begun"), 1);
        // A press in the middle: its device tries until it is acknowledged.
        eventually(
            "the press to be acknowledged",
            || gateway.tail(),
            || {
                let payload = press(1 + round as u32, 1);
                let sent = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &payload);
                (sent.code == 0).then_some(())
            },
        );
        if round % 2 == 1 {
            // In its trial: one of its three starts.
            gateway.kill();
        }
        let status = gateway.wait(&format!("{version} to be proven"), |status| {
            status["running"] == version.as_str() && status["good"]["version"] == version.as_str()
        });
        assert_eq!(status["failed"].as_array().map(Vec::len), Some(0), "{status:#}");
        load.wait_more(20, || gateway.tail());
        let alarm = eventually(
            "the press to be accepted",
            || gateway.tail(),
            || home.alarms().into_iter().find(|row| row["lane"] == "life" && row["rung"] == "accepted"),
        );
        let id = alarm["id"].as_str().expect("an id").to_owned();
        home.vaka(&["alarm", "close", &id, "--by", "anna"]).ok();
        assert_eq!(place.told("test"), 0, "the programs' own tests are ended");
    }
    let (acked, refused) = load.finish();
    assert!(refused.is_empty(), "{refused:?}");
    let mut stored = std::collections::BTreeMap::<_, u32>::new();
    for record in home.records("event") {
        let number = |key: &str| record[key].as_u64().expect("a number");
        let device = record["device"].as_str().expect("a device").to_owned();
        *stored.entry((device, number("restart"), number("seq"))).or_default() += 1;
    }
    let lost: Vec<_> = acked.iter().filter(|identity| !stored.contains_key(*identity)).collect();
    println!("{rounds} updates, {} acknowledged, {} lost", acked.len(), lost.len());
    assert!(lost.is_empty(), "{} of {} are lost, first: {:?}", lost.len(), acked.len(), lost.first());
    assert!(stored.values().all(|count| *count == 1), "doubled");
    let proven = place.steps().iter().filter(|(_, step)| step == "proven").count() as u64;
    assert_eq!(proven, rounds);

    // Back by hand, to the one before, which is kept; a download that hangs is not waited for.
    place.publisher.break_after(Some(20));
    place.publisher.hold(true);
    place.publish("0.9.0", GOOD);
    let is_asked = || place.publisher.asked().iter().any(|asked| asked.contains("vaka-0.9.0-")).then_some(());
    std::thread::scope(|scope| {
        // It answers when the look has ended.
        scope.spawn(|| home.vaka(&["update", "check"]));
        eventually("the download to be under way", || gateway.tail(), is_asked);
        home.vaka(&["update", "rollback", "--by", "ture"]);
    });
    let before = if rounds > 1 { format!("0.2.{}", rounds - 2) } else { "0.1.0".to_owned() };
    gateway.wait("the version before", |status| status["running"] == before.as_str());
    assert!(!gateway.log().contains("nothing came for"), "it waited for the download\n{}", gateway.tail());
    // What was given up is not taken again by itself. Laid out before the line is let go: a gateway asks as it starts, and 0.9.0 would be newer.
    place.publish(&format!("0.2.{}", rounds - 1), GOOD);
    place.publisher.break_after(None);
    place.publisher.hold(false);
    home.vaka(&["update", "check"]);
    let status =
        gateway.wait("that it is not taken again", |status| status["busy"] == false && status["state"] == "failed");
    assert!(status["said"].as_str().is_some_and(|said| said.contains("rolled back by ture")), "{status:#}");
}

#[test]
fn where_there_is_no_room_nothing_is_fetched_and_telemetry_keeps_its_own() {
    if lacks(&["sipp"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(96)) else { return };
    let place = Place::with(Home::init_on(&disk.path()));
    let home = &place.home;
    home.edit(|config| config["journal"]["size_max_mib"] = value(16));
    let gateway = Launched::start(home, 120);
    let fetched = || place.publisher.asked().iter().filter(|asked| asked.contains("vaka-0.2.0-")).count();
    // An eighth of 16 MiB is telemetry's; then the whole disk is full. Short before there is anything to fetch: a gateway asks as it starts.
    let short = (2 << 20) - (64 << 10);
    disk.leave(short);
    place.publish("0.2.0", GOOD);
    for left in [short, 0] {
        disk.leave(left);
        home.vaka(&["update", "check"]);
        let status = gateway
            .wait("that it waits for room", |status| status["busy"] == false && status["state"] == "unreachable");
        assert!(status["said"].as_str().is_some_and(|said| said.contains("are kept for the journal")), "{status:#}");
        assert_eq!(fetched(), 0, "not a byte of it: {:?}", place.publisher.asked());
    }
    disk.free_all();
    home.vaka(&["update", "apply", "--by", "ture"]);
    gateway.wait("it to be taken", |status| status["good"]["version"] == "0.2.0" && status["running"] == "0.2.0");
    assert_eq!(fetched(), 1);
}

#[test]
fn a_bad_release_is_given_back_and_its_home_says_so() {
    if lacks(&["sipp"]) {
        return;
    }
    let place = Place::new();
    let home = &place.home;
    // Short, for what never proves itself; a program that is well has more than this in the test above.
    let gateway = Launched::start(home, setting("VAKA_TRIAL_BAD_S", 20));
    for (version, behaviour, why) in [
        ("0.2.0", READS_NOTHING, "does not read vaka.toml"),
        ("0.3.0", ENDS, "ended 3 times"),
        ("0.4.0", DEAF, "no test alarm"),
        ("0.5.0", HANGS, "no test alarm"),
    ] {
        place.publish(version, behaviour);
        home.vaka(&["update", "apply", "--by", "ture"]);
        let status = gateway.wait(&format!("{version} to be given back"), |status| {
            status["running"] == "0.1.0"
                && status["failed"].as_array().is_some_and(|all| all.iter().any(|f| f["version"] == version))
        });
        let failed = status["failed"].as_array().and_then(|all| all.last().cloned()).expect("it failed");
        assert!(failed["why"].as_str().is_some_and(|said| said.contains(why)), "{failed:#}");
        let is_told = |row: &serde_json::Value| row["device"] == "update-failed" && row["lane"] == "technical";
        eventually("the technical alarm", || gateway.tail(), || home.alarms().into_iter().find(is_told));
        eventually(
            "its record",
            || gateway.tail(),
            || place.steps().contains(&(version.to_owned(), "back".to_owned())).then_some(()),
        );
        // Not again by itself.
        home.vaka(&["update", "check"]);
        let state = gateway.wait("the answer", |status| status["busy"] == false && status["state"] != "unknown");
        assert_eq!(state["state"], "failed", "{state:#}");
    }
    eventually(
        "the tests that were cut off to be ended",
        || gateway.tail(),
        || (place.told("test") == 0).then_some(()),
    );
    // Its cause is mended, and a person takes it once more.
    place.publish("0.5.0", GOOD);
    let alarms = home.alarms();
    let failed = alarms.iter().find(|row| row["device"] == "update-failed").expect("its alarm");
    follow("An update failed", home, failed["id"].as_str().expect("an id"));
    gateway.wait("what failed before to be taken", |status| {
        status["running"] == "0.5.0" && status["good"]["version"] == "0.5.0"
    });
}

#[test]
fn what_is_not_signed_whole_newer_or_in_time_is_not_taken_and_nothing_while_somebody_waits_for_help() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let place = Place::new();
    let (home, publisher) = (&place.home, &place.publisher);
    home.device("p1", "pendant");
    let gateway = Launched::start(home, 120);
    let check = |state: &str, said: &str| {
        home.vaka(&["update", "check"]);
        let status = gateway.wait(&format!("`{said}`"), |status| {
            status["busy"] == false && status["said"].as_str().is_some_and(|text| text.contains(said))
        });
        assert_eq!((&status["state"], &status["running"]), (&state.into(), &"0.1.0".into()), "{status:#}");
    };
    check("unreachable", "answers 404");

    let stranger = publisher.beside("stranger").display().to_string();
    run_vaka(home.dir(), &["release", "key", &stranger]).ok();
    place.publish_with("0.2.0", GOOD, "stranger", &[]);
    check("refused", "which [update] keys does not name");
    place.publish("0.2.0", GOOD);
    let manifest = publisher.files().join("release.json");
    let text = std::fs::read_to_string(&manifest).expect("it");
    std::fs::write(&manifest, text.replace("0.2.0", "0.9.0")).expect("it");
    check("refused", "has not signed these bytes");

    // Its program is not what was signed.
    place.publish("0.2.0", GOOD);
    let mut target = std::fs::read_dir(publisher.files()).expect("files").flatten().map(|entry| entry.path());
    let program = target.find(|path| path.to_string_lossy().contains("vaka-0.2.0-")).expect("a program");
    let bytes = std::fs::read(&program).expect("it");
    std::fs::write(&program, bytes.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>()).expect("it");
    check("unreachable", "not those that were signed");
    std::fs::write(&program, &bytes).expect("it");
    place.publish_with("0.2.0", GOOD, "keys", &["--not-before", "2020-01-01T00:00:00Z"]);
    check("refused", "has expired");
    place.publish_with("0.2.0", GOOD, "keys", &["--from", "0.1.5"]);
    check("refused", "publish one in between");
    place.publish_with("0.2.0", GOOD, "keys", &["--ring", "0@2020-01-01T00:00:00Z"]);
    check("waiting", "0 % of the boxes");

    // Somebody has pressed; a person's word does not go above it.
    assert_eq!(mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1)).code, 0);
    let alarm =
        eventually("the alarm", || gateway.tail(), || home.alarms().into_iter().find(|row| row["lane"] == "life"));
    place.publish("0.2.0", GOOD);
    publisher.break_after(Some(20));
    home.vaka(&["update", "apply", "--by", "ture"]);
    gateway.wait("a download that broke off", |status| status["busy"] == false && status["state"] == "unreachable");
    publisher.break_after(None);
    home.vaka(&["update", "apply", "--by", "ture"]);
    gateway.wait("a life alarm to be waited for", |status| {
        status["busy"] == false && status["said"].as_str().is_some_and(|said| said.contains("a life alarm is open"))
    });
    let parts = publisher.asked().iter().filter(|asked| asked.ends_with("bytes=20-")).count();
    assert_eq!(parts, 1, "gone on with where it broke off: {:?}", publisher.asked());
    home.vaka(&["alarm", "close", alarm["id"].as_str().expect("an id"), "--by", "anna"]).ok();
    home.vaka(&["update", "apply", "--by", "ture"]).ok();
    gateway.wait("it to be taken", |status| status["good"]["version"] == "0.2.0" && status["running"] == "0.2.0");
    assert_eq!(gateway.starts(), 1, "one process for whoever started it");

    // An older one, rightly signed, is put in its place.
    place.publish("0.1.5", GOOD);
    home.vaka(&["update", "check"]);
    let status =
        gateway.wait("the older one to be refused", |status| status["busy"] == false && status["state"] == "refused");
    assert!(status["said"].as_str().is_some_and(|said| said.contains("is older than 0.2.0")), "{status:#}");
}

/// Journals and configs as released versions left them: this program opens them, and says the same of them.
#[test]
fn what_released_versions_wrote_is_opened() {
    let released = std::fs::read_dir(root().join("tests/data/released")).expect("the fixtures");
    let mut versions = 0;
    for version in released.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let home = Home::init();
        std::fs::copy(version.join("vaka.toml"), home.config()).expect("its config");
        std::fs::remove_dir_all(home.path("journal")).expect("the journal of another");
        let copied = Command::new("cp").arg("-r").args([version.join("journal"), home.path("")]).status();
        assert!(copied.expect("cp").success());
        // Of one that sealed its records.
        if version.join("home.key").exists() {
            std::fs::copy(version.join("home.key"), home.path("home.key")).expect("its key");
        }
        home.vaka(&["check-config"]).ok();
        home.vaka(&["journal", "verify"]).ok();
        let read = |text: &str| -> Vec<serde_json::Value> {
            text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
        };
        let expected = std::fs::read_to_string(version.join("export.jsonl")).expect("what it said");
        let found = home.vaka(&["journal", "export"]).ok().stdout;
        for (found, expected) in read(&found).iter().zip(&read(&expected)) {
            let (found, expected) = (found.as_object().expect("fields"), expected.as_object().expect("fields"));
            // New fields may come; what was said stays.
            for (key, said) in expected {
                assert_eq!(found.get(key), Some(said), "{key} in {found:?}");
            }
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{}", version.display());
        let alarms = std::fs::read_to_string(version.join("alarms.json")).expect("its alarms");
        let alarms: Vec<serde_json::Value> = serde_json::from_str(&alarms).expect("JSON");
        let brief = |rows: &[serde_json::Value]| -> Vec<_> {
            rows.iter().map(|row| (row["id"].clone(), row["lane"].clone(), row["rung"].clone())).collect()
        };
        assert_eq!(brief(&home.alarms()), brief(&alarms), "what was open is open");
        versions += 1;
    }
    assert!(versions > 0, "no fixture");
}

/// What minisign itself signs is taken, and what we sign is taken by minisign.
#[test]
fn minisign_and_we_read_each_other() {
    if !has_program("minisign") {
        return skip("minisign is not installed; a signature of its own is among the unit tests");
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let minisign = |words: &[&str]| {
        let output =
            std::process::Command::new("minisign").args(words).current_dir(folder.path()).output().expect("it runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key_of = |file: &str| {
        let text = std::fs::read_to_string(folder.path().join(file)).expect("a key");
        text.lines().nth(1).expect("two lines").to_owned()
    };
    let bin = vaka_bin().display().to_string();
    run_vaka(folder.path(), &["release", "sign", "--version", "0.2.0", "--out", "r", &bin]).ok();
    minisign(&["-G", "-W", "-p", "m.pub", "-s", "m.key"]);
    for more in [&[][..], &["-l"]] {
        minisign(&[&["-S", "-s", "m.key", "-m", "r/release.json"], more].concat());
        run_vaka(folder.path(), &["release", "verify", "r", "--key", &key_of("m.pub")]).ok();
    }
    run_vaka(folder.path(), &["release", "key", "k"]).ok();
    assert_eq!(run_vaka(folder.path(), &["release", "verify", "r", "--key", &key_of("k/release.pub")]).code, 1);
    run_vaka(folder.path(), &["release", "sign", "--key", "k/release.key", "--version", "0.2.0", "--out", "r", &bin])
        .ok();
    minisign(&["-V", "-p", "k/release.pub", "-m", "r/release.json"]);
}

#[test]
fn a_program_for_another_machine_is_neither_signed_as_ours_nor_taken() {
    if lacks(&["sipp"]) {
        return;
    }
    let place = Place::new();
    let (home, publisher) = (&place.home, &place.publisher);
    let gateway = Launched::start(home, 120);
    // The first bytes of a program for the other machine: x86-64 or AArch64.
    let (number, other) = if cfg!(target_arch = "x86_64") { (183, "aarch64") } else { (62, "x86_64") };
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[18] = number;
    let program = publisher.beside("foreign");
    std::fs::write(&program, bytes).expect("a program");
    let key = publisher.beside("keys").join("release.key").display().to_string();
    let out = publisher.files().display().to_string();
    let sign = |word: &str| {
        let words = ["release", "sign", "--key", &key, "--version", "0.2.0", "--out", &out, word];
        run_vaka(home.dir(), &words)
    };
    let foreign = program.display().to_string();
    let refused = sign(&foreign);
    assert_eq!(refused.code, 64, "{refused:?}");
    for word in [&*foreign, &format!("it is a program for {other}"), "TARGET=FILE"] {
        assert!(refused.stderr.contains(word), "{word} in {refused:?}");
    }
    assert!(!publisher.files().join("release.json").exists(), "nothing is left to be published");

    // Rightly named, it is not for this box, which goes on as it is.
    sign(&format!("{other}-unknown-linux-gnu={foreign}")).ok();
    home.vaka(&["update", "check"]);
    let status = gateway.wait("the answer", |status| {
        status["busy"] == false && status["said"].as_str().is_some_and(|said| said.contains("has no program for"))
    });
    assert_eq!((&status["state"], &status["running"]), (&"refused".into(), &"0.1.0".into()), "{status:#}");
    assert!(publisher.asked().iter().all(|asked| !asked.contains("vaka-0.2.0")), "{:?}", publisher.asked());
}
