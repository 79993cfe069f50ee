//! One resident is erased on the real program: nothing of them is left on the disk, the others and the journal are as they were.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use vaka_tests::{
    Centre, Chance, Gateway, Home, LoopDisk, MachineClock, MqttVersion, Paho, Process, eventually, lacks, or_skip,
    press, run_vaka, setting, vaka_bin,
};

/// Every file below `folder` in which this stands in clear.
fn found(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(self::found(&path, word));
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
        {
            found.push(path);
        }
    }
    found
}

/// The first lives here with a pendant and a bed sensor, the second with a pendant.
fn home_of_two() -> Home {
    let home = Home::init();
    home.device("p1", "pendant").device("bed1", "bed-sensor").device("p2", "pendant");
    home.edit(|config| {
        for id in ["resident-one", "resident-two"] {
            let mut table = toml_edit::Table::new();
            table["id"] = toml_edit::value(id);
            let people = config.entry("resident").or_insert(toml_edit::Item::ArrayOfTables(Default::default()));
            people.as_array_of_tables_mut().expect("tables").push(table);
        }
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            let is_seconds = device["id"].as_str() == Some("p2");
            device["resident"] = toml_edit::value(if is_seconds { "resident-two" } else { "resident-one" });
        }
    });
    home
}

/// The first has moved out, and their things are nobody's.
fn moves_out(home: &Home) {
    home.edit(|config| {
        let people = config["resident"].as_array_of_tables_mut().expect("people");
        people.retain(|person| person["id"].as_str() != Some("resident-one"));
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            if device["resident"].as_str() == Some("resident-one") {
                device.remove("resident");
            }
        }
    });
}

fn press_and_close(home: &Home, gateway: &Gateway, device: &str, seq: u64) {
    let mut pendant = Paho::new(home, device, MqttVersion::V5).connect();
    pendant.event(&press(1, seq));
    let row = gateway.wait_alarm("the press", |row| row["device"] == device && row["rung"] != "closed");
    home.vaka(&["alarm", "close", row["id"].as_str().expect("an id"), "--by", "staff-anna"]).ok();
}

fn live(home: &Home, gateway: &Gateway) {
    press_and_close(home, gateway, "p1", 1);
    press_and_close(home, gateway, "p2", 1);
    let mut bed = Paho::new(home, "bed1", MqttVersion::V5).connect();
    bed.event(&vaka_tests::event(1, 1, r#"{"bed":{"occupied":true}}"#));
}

/// Nothing is left of the first and all of the second, by the running program and by the bytes on the disk.
fn is_erased(home: &Home, gateway: &Gateway) {
    let rows: Vec<_> = home.vaka(&["alarm", "list", "--all", "--json"]).ok().rows();
    let life: Vec<_> = rows.iter().filter(|row| row["lane"] == "life").map(|row| &row["device"]).collect();
    assert_eq!(life, ["p2"], "{}", gateway.tail());
    let export = home.export();
    let events: Vec<_> = export.iter().filter(|line| line["kind"] == "event").map(|line| &line["device"]).collect();
    assert_eq!(events, ["p2"]);
    assert!(export.iter().any(|line| line["kind"] == "gone") && export.iter().any(|line| line["kind"] == "erased"));
    let verify = home.vaka(&["journal", "verify", "--json"]).ok().rows();
    assert!(
        verify[0]["ok"] == true && verify[0]["erased"].as_u64() > Some(3) && verify[0]["keys"].is_null(),
        "{verify:?}"
    );
    for word in ["resident-one", "bed1", "occupied", "button"] {
        assert_eq!(found(&home.path("journal"), word), Vec::<PathBuf>::new(), "{word}");
    }
}

#[test]
fn a_resident_is_erased_under_the_running_gateway_and_nothing_of_them_comes_back() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home_of_two();
    let mut gateway = Gateway::start(&home);
    live(&home, &gateway);
    let before = home.export();
    assert!(before.iter().any(|line| line["kind"] == "event" && line["device"] == "bed1"));
    let here = home.vaka(&["resident", "erase", "resident-one", "--by", "staff-anna"]);
    assert!(here.code == 1 && here.stderr.contains("still lives here by vaka.toml"), "{here:?}");
    moves_out(&home);
    gateway.reload();
    gateway.wait_log("the config was read anew");
    home.vaka(&["resident", "erase", "resident-one", "--by", "staff-anna"]).ok();
    is_erased(&home, &gateway);
    // The gateway goes on: a press of the second is stored as ever.
    press_and_close(&home, &gateway, "p2", 2);
    assert_eq!(home.events("p2", 1, 2), 1);
    gateway.kill();
    gateway.restart();
    assert_eq!(home.events("p2", 1, 2), 1);
    assert_eq!(home.export().iter().filter(|line| line["kind"] == "event" && line["device"] == "p1").count(), 0);
    assert!(gateway.stop().success());
    std::fs::remove_dir_all(home.path("journal/index")).expect("the index");
    gateway.restart();
    let rows = home.vaka(&["alarm", "list", "--all", "--json"]).ok().rows();
    assert!(rows.iter().all(|row| row["device"] != "p1"), "{rows:?}");
}

#[test]
fn killed_while_it_erases_it_has_erased_or_has_not_begun() {
    if lacks(&["paho"]) {
        return;
    }
    let (mut finished, mut cut) = (0, 0);
    for pause_ms in [0, 2, 5, 10, 20, 40] {
        let home = home_of_two();
        let mut gateway = Gateway::start(&home);
        live(&home, &gateway);
        moves_out(&home);
        assert!(gateway.stop().success());
        gateway.restart();
        let config = home.config();
        let mut erasing = Command::new(vaka_bin())
            .args(["resident", "erase", "resident-one", "--by", "staff-anna", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command line");
        // Another point of the work each time; what is asserted holds at every one.
        std::thread::park_timeout(Duration::from_millis(pause_ms));
        gateway.kill();
        erasing.wait().expect("it ends");
        gateway.restart();
        let verify = home.vaka(&["journal", "verify", "--json"]).ok().rows();
        if home.export().iter().any(|line| line["kind"] == "erased") {
            is_erased(&home, &gateway);
            finished += 1;
        } else {
            assert_eq!(verify[0]["erased"], 0);
            home.vaka(&["resident", "erase", "resident-one", "--by", "staff-anna"]).ok();
            is_erased(&home, &gateway);
            cut += 1;
        }
    }
    println!("killed 6 times: {finished} were finished by the next start, {cut} had not begun");
    assert_eq!(finished + cut, 6);
}

#[test]
fn a_journal_whose_keys_are_lost_takes_the_next_press_and_reads_the_last_one_when_they_are_back() {
    let home = home_of_two();
    let mut gateway = Gateway::start(&home);
    let sent = |seq| {
        let sent = vaka_tests::mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, seq));
        assert_eq!(sent.code, 0, "{sent:?}");
    };
    sent(1);
    assert!(gateway.stop().success());
    let numbers = |lines: &[serde_json::Value]| lines.iter().map(|line| line["seq"].as_u64()).max();
    let last = numbers(&home.export());
    let (keys, kept) = (home.path("journal/keys"), home.path("keys-kept"));
    std::fs::rename(&keys, &kept).expect("moved");
    gateway.restart();
    sent(2);
    let told = |row: &serde_json::Value| row["device"] == "sealing" && row["lane"] == "technical";
    gateway.wait_alarm("the loss", told);
    // The first press was acknowledged, and nobody can read it any more: somebody is called.
    gateway.wait_alarm("the call", |row| row["device"] == "alarm-unread-1" && row["lane"] == "life");
    let detail = |line: &serde_json::Value| line.to_string().contains("earlier records cannot be read");
    assert!(home.records("fault").iter().any(detail), "{:?}", home.records("fault"));
    gateway.wait_alarm("the press", |row| row["device"] == "p1");
    assert_eq!((home.events("p1", 1, 1), home.events("p1", 1, 2)), (0, 1));
    let check = home.vaka(&["check"]);
    assert!(check.code == 1 && check.stdout.contains("journal/keys is lost"), "{check:?}");
    assert!(!keys.exists(), "nothing is made in the lost one's place");
    assert!(numbers(&home.export()) > last, "a number is used once");
    home.vaka(&["journal", "verify"]).ok();
    // Of another start it is the same, and killed it is.
    gateway.kill();
    gateway.restart();
    assert_eq!(home.events("p1", 1, 2), 1);
    assert!(gateway.stop().success());
    std::fs::rename(&kept, &keys).expect("put back where it was");
    gateway.restart();
    let old = home.vaka(&["journal", "export", "--aside", "1"]).ok().stdout;
    assert!(old.lines().any(|line| line.contains(r#""kind":"event""#) && line.contains(r#""seq":1"#)), "{old}");
    assert_eq!(home.events("p1", 1, 2), 1);
    // Who was called is told what it was; a person closes it.
    gateway.wait_alarm("the call", |row| row["device"] == "alarm-unread-1" && row["rung"] != "closed");
    let says = |line: &&serde_json::Value| {
        line["act"] == "note"
            && line["note"].as_str().is_some_and(|note| note.contains("It can be read again: p1 button"))
    };
    assert_eq!(home.records("act").iter().filter(says).count(), 1, "{:?}", home.records("act"));
    assert!(home.path("journal/unread-1/keys").exists() && home.path("journal/keys-2").exists());
    assert!(home.vaka(&["check"]).stdout.contains("every one whole"), "nothing is lost any more");
}

#[test]
fn keys_that_do_not_open_are_kept_the_centre_hears_once_of_a_press_that_cannot_be_read_and_the_next_is_taken() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    for fault in ["keys", "home.key"] {
        let centre = Centre::start("ok");
        let home = home_of_two();
        home.centre(centre.port);
        let mut gateway = Gateway::start(&home);
        let sent = |seq| {
            let sent = vaka_tests::mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, seq));
            assert_eq!(sent.code, 0, "{sent:?}");
        };
        sent(1);
        gateway.wait_alarm("the press", |row| row["device"] == "p1" && row["rung"] == "accepted");
        assert!(gateway.stop().success());
        let bad = if fault == "keys" { home.path("journal/keys") } else { home.path("home.key") };
        let good = std::fs::read(&bad).expect("a file");
        std::fs::write(&bad, "no key").expect("written");
        gateway.restart();
        sent(2);
        gateway.wait_alarm("the next press", |row| row["device"] == "p1" && row["rung"] == "accepted");
        let called = |row: &serde_json::Value| row["device"] == "alarm-unread-1" && row["lane"] == "life";
        gateway.wait_alarm("the call", |row| called(row) && row["rung"] == "accepted");
        gateway.kill();
        gateway.restart();
        gateway.wait_alarm("the call", called);
        // The gateway's own, as an alarm for help: the local unit, an automatic alarm. Once, over two starts.
        let told = || {
            centre.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(2) && mrq.code("stc") == Some(9)).count()
        };
        assert_eq!(told(), 1, "{fault}: {:?}", centre.alarms());
        let check = home.vaka(&["check"]);
        let kept = format!("{}.damaged", if fault == "keys" { "journal/keys" } else { "home.key" });
        assert!(check.code == 1 && check.stdout.contains("earlier records cannot be read"), "{check:?}");
        assert_eq!(std::fs::read(home.path(&kept)).expect("kept"), b"no key");
        assert!(gateway.stop().success());
        if bad.exists() {
            std::fs::rename(&bad, home.path("home.key.2")).expect("kept beside");
        }
        std::fs::write(&bad, good).expect("put back");
        gateway.restart();
        let old = home.vaka(&["journal", "export", "--aside", "1"]).ok().stdout;
        assert!(old.lines().any(|line| line.contains(r#""kind":"event""#) && line.contains(r#""seq":1"#)), "{old}");
        assert_eq!((home.events("p1", 1, 2), told()), (1, 1), "{fault}");
        assert!(home.vaka(&["check"]).stdout.contains("every one whole"), "{fault}: nothing is lost any more");
    }
}

/// Waits until this process stands in a queue for a lock (proc(5), `locks`: a line with `->`).
fn waits_for_a_lock(pid: u32) {
    let pid = pid.to_string();
    let is_waiting = |line: &str| line.contains("->") && line.split_whitespace().any(|word| word == pid);
    let locks = || std::fs::read_to_string("/proc/locks").expect("/proc/locks");
    eventually("the process to wait for the lock", locks, || locks().lines().any(is_waiting).then_some(()));
}

#[test]
fn nobody_is_erased_while_a_backup_is_taken_and_the_gateway_answers_meanwhile() {
    if lacks(&["paho"]) {
        return;
    }
    let home = home_of_two();
    let gateway = Gateway::start(&home);
    live(&home, &gateway);
    moves_out(&home);
    gateway.reload();
    gateway.wait_log("the config was read anew");
    let said = home.vaka_plain(&["backup", "key", "--to", "key.txt"]).ok().stdout;
    let recipient = said.split('"').nth(1).expect("a recipient");
    let to = home.dir().join("home.age");
    // As either holds it, from before its first record to its last file.
    let pki = std::fs::File::open(home.path("pki")).expect("the folder");
    rustix::fs::flock(&pki, rustix::fs::FlockOperation::LockExclusive).expect("the lock");
    let run = |args: &[&str]| {
        let mut command = Command::new(vaka_bin());
        command.args(args).arg("--config").arg(home.config()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("vaka")
    };
    let mut erasing = run(&["resident", "erase", "resident-one", "--by", "staff-anna"]);
    waits_for_a_lock(erasing.id());
    let mut backing = run(&["backup", "--to", to.to_str().expect("text"), "--recipient", recipient]);
    waits_for_a_lock(backing.id());
    assert!(!to.exists());
    let is_recorded = || home.export().iter().any(|line| line["kind"] == "erased");
    assert!(!is_recorded() && home.vaka(&["alarm", "list", "--all", "--json"]).ok().rows().len() > 1);
    drop(pki);
    assert!(erasing.wait().expect("it ends").success() && backing.wait().expect("it ends").success());
    assert!(is_recorded() && to.exists());
}

#[test]
fn keys_that_cannot_be_read_just_now_stop_the_start_and_a_home_key_passed_anew_opens_them() {
    let home = home_of_two();
    let mut gateway = Gateway::start(&home);
    assert!(gateway.stop().success());
    let (keys, kept) = (home.path("journal/keys"), home.path("keys-kept"));
    std::fs::rename(&keys, &kept).expect("moved");
    // There, and not to be had: a link that leads to itself stands for a folder that is not mounted or may not be read.
    std::os::unix::fs::symlink(&keys, &keys).expect("a link");
    let run = home.vaka(&["run"]);
    assert!(run.code != 0 && run.stderr.contains("journal/keys"), "{run:?}");
    assert!(!home.path("journal/unread-1").exists() && !home.path("journal/keys-2").exists());
    std::fs::remove_file(&keys).expect("removed");
    std::fs::rename(&kept, &keys).expect("moved back");
    // The service manager passes another key: it does not open these.
    let credentials = tempfile::tempdir().expect("a folder");
    std::fs::write(credentials.path().join("home.key"), "5a".repeat(32)).expect("a key");
    let passed = credentials.path().to_str().expect("text");
    let export = home.vaka_with(&[("CREDENTIALS_DIRECTORY", passed)], &["journal", "verify", "--json"]).ok().rows();
    assert!(export[0]["keys"].is_null(), "the file beside the journal opens them: {export:?}");
    // Its own as a credential, and none in the home.
    std::fs::copy(home.path("home.key"), credentials.path().join("home.key")).expect("copied");
    std::fs::remove_file(home.path("home.key")).expect("removed");
    let export = home.vaka(&["journal", "export"]);
    assert!(export.code != 0 && export.stderr.contains("home.key: put it back from the backup"), "{export:?}");
    let gateway = Gateway::start_with(&home, &[("CREDENTIALS_DIRECTORY", passed)]);
    let alarms = home.vaka_with(&[("CREDENTIALS_DIRECTORY", passed)], &["journal", "verify", "--json"]).ok().rows();
    assert!(alarms[0]["keys"].is_null() && alarms[0]["sealed"].as_u64() > Some(0), "{alarms:?}\n{}", gateway.tail());
}

#[test]
fn what_devices_of_nobody_recorded_is_named_where_somebody_is_erased() {
    let home = Home::init();
    home.device("p1", "pendant");
    let _gateway = Gateway::start(&home);
    let sent = vaka_tests::mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1));
    assert_eq!(sent.code, 0, "{sent:?}");
    let said = home.vaka(&["resident", "erase", "resident-one", "--by", "staff-anna"]);
    for word in ["not erased: what p1 recorded", "vaka erase --everything", "resident = "] {
        assert!(said.code == 1 && said.stderr.contains(word), "{word} in {said:?}");
    }
    assert_eq!(home.events("p1", 1, 1), 1);
}

fn copied(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let status = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(status.success());
}

/// A home as an earlier version leaves it, in clear; its gateway is stopped.
fn home_in_clear() -> Home {
    let home = home_of_two();
    std::fs::remove_file(home.path("journal/keys")).expect("removed");
    std::fs::remove_file(home.path("home.key")).expect("removed");
    let mut gateway = Gateway::start(&home);
    live(&home, &gateway);
    let mut bed = Paho::new(&home, "bed1", MqttVersion::V5).connect();
    for seq in 2..200 {
        bed.event(&vaka_tests::event(1, seq, &format!(r#"{{"bed":{{"occupied":{}}}}}"#, seq % 2 == 0)));
    }
    drop(bed);
    assert!(gateway.stop().success());
    drop(gateway);
    home
}

#[test]
fn a_sealing_of_old_records_that_is_killed_anywhere_has_lost_nothing_and_is_done_again() {
    const ROUNDS: u32 = 16;
    if lacks(&["paho"]) {
        return;
    }
    let home = home_in_clear();
    let (journal, clear) = (home.path("journal"), home.path("as-it-was"));
    copied(&journal, &clear);
    assert!(!found(&journal, "occupied").is_empty());
    let before = home.export();
    let begun = std::time::Instant::now();
    home.vaka(&["journal", "seal"]).ok();
    let whole = begun.elapsed();
    let (mut killed, mut among) = (0, 0);
    for round in 0..ROUNDS {
        copied(&clear, &journal);
        let mut sealing = Command::new(vaka_bin())
            .args(["journal", "seal", "--config"])
            .arg(home.config())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command line");
        // Another point of the work each time, by the clock or as soon as the new segments are begun; what is asserted holds at every one.
        let aside = journal.join("segments.new");
        match round % 2 {
            0 => std::thread::park_timeout(whole * round / ROUNDS),
            _ => while !aside.exists() && sealing.try_wait().expect("it can be asked").is_none() {},
        }
        among += u32::from(aside.exists());
        let _ = sealing.kill();
        killed += u32::from(!sealing.wait().expect("it ends").success());
        assert_eq!(home.export(), before, "round {round}: as it was, sealed or not");
        home.vaka(&["journal", "verify"]).ok();
        home.vaka(&["journal", "seal"]).ok();
        assert_eq!(home.export(), before, "round {round}: sealed");
        home.vaka(&["journal", "verify"]).ok();
        for word in ["resident-one", "bed1", "occupied", "button"] {
            assert_eq!(found(&journal, word), Vec::<PathBuf>::new(), "round {round}: {word}");
        }
    }
    println!("killed {killed} times of {ROUNDS}, {among} with new segments aside");
    assert!(killed > 0 && among > 0, "killed {killed} times, {among} inside the work: among new segments");
    let _gateway = Gateway::start(&home);
    assert_eq!(home.events("p1", 1, 1), 1);
}

#[test]
fn a_sealing_of_old_records_that_the_power_cuts_off_has_lost_nothing_and_is_done_again() {
    if lacks(&["paho"]) {
        return;
    }
    let Some(mut disk) = or_skip(LoopDisk::make(64)) else { return };
    let home = home_in_clear();
    let before = home.export();
    let size = |folder: &Path| -> u64 {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    };
    let whole = size(&home.path("journal/segments"));
    let (cuts, mut chance, mut among) = (setting("VAKA_SEAL_CUTS", 8), Chance::from_environment(), 0);
    // On a quick machine every moment may come too late: then more are tried.
    let mut round = 0;
    while round < cuts || (among == 0 && round < 10 * cuts) {
        round += 1;
        let place = disk.path().join("h");
        copied(&home.path(""), &place);
        assert!(Command::new("sync").arg("-f").arg(&place).status().expect("sync").success());
        let mut command = Command::new(vaka_bin());
        command.args(["journal", "seal", "--config"]).arg(place.join("vaka.toml"));
        let mut sealing = Process::start(&command, &home.dir().join("seal.log"));
        // Some time in the writing, then in the exchange and the overwriting behind it.
        let (aside, after) = (place.join("journal/segments.new"), 1 + chance.below(whole));
        let has_ended = eventually(
            "a moment to cut at",
            || aside.display().to_string(),
            || match sealing.exited() {
                Some(_) => Some(true),
                None => (size(&aside) >= after).then_some(false),
            },
        );
        if !has_ended {
            sealing.signal("STOP");
        }
        among += u32::from(aside.exists());
        let copy = disk.cut();
        sealing.kill();
        disk = copy;
        let place = disk.path().join("h");
        let config = place.join("vaka.toml").display().to_string();
        let vaka = |words: &[&str]| run_vaka(disk.path().as_path(), &[words, &["--config", &config]].concat()).ok();
        assert_eq!(vaka(&["journal", "export"]).rows(), before, "round {round}: as it was, sealed or not");
        vaka(&["journal", "verify"]);
        vaka(&["journal", "seal"]);
        assert_eq!(vaka(&["journal", "export"]).rows(), before, "round {round}: sealed");
        for word in ["resident-one", "bed1", "occupied", "button"] {
            assert_eq!(found(&place.join("journal"), word), Vec::<PathBuf>::new(), "round {round}: {word}");
        }
        std::fs::remove_dir_all(&place).expect("away with it");
    }
    println!("{round} cuts, {among} with segments aside");
    assert!(among > 0, "no moment was in the middle");
}

#[test]
fn a_key_of_the_names_that_lies_in_clear_is_said_until_it_is_sealed() {
    let home = home_of_two();
    let key = home.path("pki/names.key");
    assert!(!home.vaka(&["check"]).stdout.contains("lies in clear"));
    std::fs::write(&key, "5a".repeat(32)).expect("as an earlier version leaves it");
    let check = home.vaka(&["check"]).stdout;
    assert!(check.contains("names.key lies in clear") && check.contains("`vaka journal seal`"), "{check}");
    home.vaka(&["journal", "seal"]).ok();
    assert!(!home.vaka(&["check"]).stdout.contains("lies in clear"));
    assert!(!std::fs::read_to_string(&key).expect("the key").contains("5a5a"));
}

#[test]
fn what_is_left_of_destroyed_keys_is_told_and_the_gateway_takes_a_press() {
    let home = home_of_two();
    // Everybody has a key: none is made beside what is left.
    let mut gateway = Gateway::start(&home);
    assert!(gateway.stop().success());
    // A folder cannot be overwritten, whoever tries.
    std::fs::create_dir(home.path("journal/keys.old")).expect("a folder");
    gateway.restart();
    let sent = vaka_tests::mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1));
    assert_eq!((sent.code, home.events("p1", 1, 1)), (0, 1), "{sent:?}");
    gateway.wait_alarm("what is left", |row| row["device"] == "sealing" && row["lane"] == "technical");
    assert!(home.vaka(&["check"]).stdout.contains("keys.old may hold keys that were to be destroyed"));
    assert!(gateway.stop().success());
    std::fs::remove_dir(home.path("journal/keys.old")).expect("removed");
    gateway.restart();
    gateway.wait_alarm("all well", |row| row["device"] == "sealing" && row["over"] == true);
    assert!(!home.vaka(&["check"]).stdout.contains("keys.old"));
}

#[test]
fn keys_that_the_disk_refuses_are_kept_and_the_next_press_is_taken() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home_of_two();
    let mut gateway = Gateway::start(&home);
    let press = |seq: u64| {
        let payload = press(1, seq);
        let sent = vaka_tests::mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &payload);
        assert_eq!(sent.code, 0, "{sent:?}");
    };
    press(1);
    assert!(gateway.stop().success());
    let (keys, kept) = (home.path("journal/keys"), home.path("keys-kept"));
    std::fs::rename(&keys, &kept).expect("moved");
    // What the kernel refuses to read, each time, with EIO stands for a bad sector.
    std::os::unix::fs::symlink("/proc/self/mem", &keys).expect("a link");
    gateway.restart();
    press(2);
    assert_eq!(home.events("p1", 1, 2), 1);
    assert!(home.path("journal/keys.damaged").is_symlink(), "kept");
    gateway.wait_alarm("the call", |row| row["device"] == "alarm-unread-1" && row["lane"] == "life");
    // The card can be read again.
    assert!(gateway.stop().success());
    std::fs::remove_file(home.path("journal/keys.damaged")).expect("removed");
    std::fs::rename(&kept, home.path("journal/keys.damaged")).expect("moved");
    gateway.restart();
    let old = home.vaka(&["journal", "export", "--aside", "1"]).ok().stdout;
    assert!(old.lines().any(|line| line.contains(r#""kind":"event""#) && line.contains(r#""seq":1"#)), "{old}");
}

fn lives_in(home: &Home, resident: &str, devices: &[&str]) {
    home.edit(|config| {
        let mut table = toml_edit::Table::new();
        table["id"] = toml_edit::value(resident);
        config["resident"].as_array_of_tables_mut().expect("people").push(table);
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            if devices.contains(&device["id"].as_str().unwrap_or_default()) {
                device["resident"] = toml_edit::value(resident);
            }
        }
    });
}

#[track_caller]
fn presses(home: &Home, device: &str, seq: u64) {
    let topic = format!("vaka/v1/{device}/event");
    let sent = vaka_tests::mosquitto_pub(home, device, MqttVersion::V5, &topic, &press(1, seq));
    assert_eq!((sent.code, home.events(device, 1, seq)), (0, 1), "{sent:?}");
}

#[test]
fn a_start_that_ended_before_it_told_of_lost_keys_is_made_up_for_when_they_are_back() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let (centre, home) = (Centre::start("ok"), home_of_two());
    home.centre(centre.port);
    let mut gateway = Gateway::start(&home);
    presses(&home, "p1", 1);
    assert!(gateway.stop().success());
    let (keys, away) = (home.path("journal/keys"), home.path("keys-away"));
    std::fs::rename(&keys, &away).expect("moved");
    // Its port is another's: it ends when the journal has begun anew, and before a word of that has left.
    let taken = std::net::TcpListener::bind(("127.0.0.1", home.mqtt_port)).expect("a free port");
    let ended = home.vaka(&["run"]);
    assert!(ended.code == 64 && home.path("journal/unread-1/segments").exists(), "{ended:?}");
    drop(taken);
    std::fs::rename(&away, &keys).expect("put back");
    for _ in 0..2 {
        gateway.restart();
        gateway.wait_alarm("the call", |row| row["device"] == "alarm-unread-1" && row["rung"] == "accepted");
        let calls = centre.alarms().into_iter().filter(|mrq| mrq.code("stc") == Some(9)).count();
        assert_eq!(calls, 1, "{:?}", centre.alarms());
        let old = home.vaka(&["journal", "export", "--aside", "1"]).ok().stdout;
        assert!(old.contains(r#""device":"p1""#), "{old}");
        gateway.kill();
    }
}

#[test]
fn keys_of_last_night_are_noticed_also_by_a_gateway_that_starts_from_its_saved_fold() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home_of_two();
    home.device("p3", "pendant");
    let mut gateway = Gateway::start(&home);
    let keys = home.path("journal/keys");
    let of_last_night = std::fs::read(&keys).expect("keys");
    lives_in(&home, "resident-three", &["p3"]);
    gateway.reload();
    gateway.wait_log("the config was read anew");
    presses(&home, "p3", 1);
    presses(&home, "p2", 1);
    assert!(gateway.stop().success());
    // The next start reads nothing but what the last one saved.
    gateway.restart();
    assert_eq!(gateway.stat()["replayed"], 0);
    assert!(gateway.stop().success());
    let of_today = std::fs::read(&keys).expect("keys");
    assert_ne!(of_today, of_last_night);
    std::fs::write(&keys, &of_last_night).expect("put back from a backup");
    gateway.restart();
    presses(&home, "p3", 2);
    gateway.wait_alarm("the call", |row| row["device"] == "alarm-unread-1" && row["lane"] == "life");
    gateway.wait_alarm("what is lost", |row| row["device"] == "sealing" && row["lane"] == "technical");
    assert!(gateway.stop().success());
    std::fs::write(&keys, &of_today).expect("put back where it was");
    gateway.restart();
    assert!(home.vaka(&["check"]).stdout.contains("every one whole"));
    let old = home.vaka(&["journal", "export", "--aside", "1"]).ok().stdout;
    assert!(old.contains(r#""device":"p3""#), "{old}");
    assert_eq!(home.events("p3", 1, 2), 1);
}

#[test]
fn an_erasure_that_the_disk_does_not_allow_is_done_within_the_hour_and_spares_who_came_back() {
    if lacks(&["paho", "mosquitto_pub"]) {
        return;
    }
    let (home, mut clock) = (home_of_two(), MachineClock::new());
    let words = clock.environment();
    let mut gateway = Gateway::start_with(&home, &words.each_ref().map(|(name, value)| (*name, value.as_str())));
    live(&home, &gateway);
    moves_out(&home);
    gateway.reload();
    gateway.wait_log("the config was read anew");
    let blocked = home.path("journal/keys.old");
    std::fs::create_dir(&blocked).expect("a folder");
    let refused = home.vaka(&["resident", "erase", "resident-one", "--by", "staff-anna"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("is recorded") && refused.stderr.contains("keys.old"),
        "{refused:?}"
    );
    gateway.wait_alarm("that it is not done", |row| row["device"] == "sealing" && row["lane"] == "technical");
    // Somebody else comes in under the same id.
    lives_in(&home, "resident-one", &["p1", "bed1"]);
    gateway.reload();
    eventually(
        "the reload",
        || gateway.tail(),
        || (gateway.log().matches("the config was read anew").count() == 2).then_some(()),
    );
    presses(&home, "p1", 7);
    std::fs::remove_dir(&blocked).expect("removed");
    clock.hours(1);
    gateway.wait_log("keys destroyed");
    gateway.wait_alarm("all well", |row| row["device"] == "sealing" && row["over"] == true);
    presses(&home, "p1", 8);
    let check = || {
        assert_eq!(
            [1, 7, 8].map(|seq| home.events("p1", 1, seq)),
            [0, 1, 1],
            "the first one's is gone, the second one's is there"
        );
    };
    check();
    gateway.kill();
    std::fs::remove_dir_all(home.path("journal/index")).expect("the index");
    gateway.restart();
    check();
    gateway.wait_alarm("the open call", |row| row["device"] == "p1" && row["rung"] != "closed");
}
