//! The power fails while a home is sealed, and while it is made of its backup; and the disk is full. There is always a whole backup or an
//! honest end, and what was cut off is done again.
//!
//! As in `power_cut`: the process is frozen at a random moment, and the disk as it was then is the one on which everything goes on.

use std::path::{Path, PathBuf};
use std::process::Command;

use toml_edit::value;
use vaka_tests::{
    Chance, Gateway, Home, LoopDisk, MqttVersion, Output, Process, eventually, lacks, mosquitto_pub, or_skip, press,
    run_vaka, setting, vaka_bin,
};

const EVENTS: u64 = 5;
/// Of other files in the home, so that sealing them takes as long as a moment can be hit.
const BALLAST: usize = 6 << 20;

/// A stopped home with events and the municipality's key; the key's file.
fn home() -> (Home, PathBuf) {
    let home = Home::init();
    home.device("p1", "pendant");
    let said = home.vaka_plain(&["backup", "key", "--to", "key.txt"]).ok().stdout;
    let recipient = said.split('"').nth(1).expect("a recipient").to_owned();
    home.edit(|config| {
        config["backup"] = toml_edit::table();
        config["backup"]["recipients"] = value(toml_edit::Array::from_iter([recipient]));
    });
    let mut gateway = Gateway::start(&home);
    for seq in 1..=EVENTS {
        let sent = mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, seq));
        assert_eq!(sent.code, 0, "{sent:?}");
    }
    assert!(gateway.stop().success());
    drop(gateway);
    std::fs::write(home.path("ballast"), vec![0x5a; BALLAST]).expect("a large file");
    let key = home.dir().join("key.txt");
    (home, key)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

fn begin(dir: &Path, words: &[&str]) -> Process {
    let mut command = Command::new(vaka_bin());
    command.args(words).current_dir(dir);
    Process::start(&command, &dir.join("command.log"))
}

/// Bytes in a file, or in all files of a folder.
fn bytes(path: &Path) -> u64 {
    let Ok(found) = std::fs::metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes(&entry.path())).sum()
}

/// Waits until so much is written under `path`, or it has ended; then the disk as it is.
fn cut(disk: &LoopDisk, mut process: Process, path: &Path, after: u64) -> LoopDisk {
    let ended = eventually(
        "a moment to cut at",
        || path.display().to_string(),
        || match process.exited() {
            Some(status) => Some(Some(status)),
            None => (bytes(path) >= after).then_some(None),
        },
    );
    if let Some(status) = ended {
        assert!(status.success(), "{}", process.tail());
    } else {
        process.signal("STOP");
    }
    let copy = disk.cut();
    process.kill();
    copy
}

fn check(home: &Home, backup: &Path) -> Output {
    home.vaka_plain(&["backup", "check", text(backup), "--identity", "key.txt"])
}

#[test]
fn a_backup_that_the_power_cuts_off_leaves_the_one_before_whole() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let Some(mut disk) = or_skip(LoopDisk::make(96)) else { return };
    let (cuts, mut chance) = (setting("VAKA_BACKUP_CUTS", 6), Chance::from_environment());
    let (home, _) = home();
    let file = |disk: &LoopDisk| disk.path().join("home.age");
    home.vaka(&["backup", "--to", text(&file(&disk))]).ok();
    let whole = bytes(&file(&disk));
    let (mut unfinished, mut finished) = (0, 0);
    // On a quick machine every moment may come too late: then more are tried.
    let mut round = 0;
    while round < cuts || (unfinished == 0 && round < 10 * cuts) {
        let before = std::fs::read(file(&disk)).expect("the backup before");
        // One at the very end: named, and not yet known to be.
        let after = if round == cuts - 1 { whole } else { 1 + chance.below(whole) };
        let to = file(&disk);
        let words = ["backup", "--config", text(&home.config()), "--to", text(&to)].map(str::to_owned);
        let process = begin(home.dir(), &words.each_ref().map(String::as_str));
        disk = cut(&disk, process, &disk.path().join("home.age.part"), after);
        let left = std::fs::read(file(&disk)).expect("a backup under its name, whatever was cut");
        match left == before {
            true => unfinished += 1,
            false => finished += 1,
        }
        check(&home, &file(&disk)).ok();
        // What the cut left beside it is no backup, says so, and is in nobody's way.
        let part = disk.path().join("home.age.part");
        if part.exists() {
            if check(&home, &part).code == 0 {
                // Cut after its last byte, and before its name: one byte less is none.
                let file = std::fs::File::options().write(true).open(&part).expect("what the cut left");
                file.set_len(bytes(&part) - 1).expect("a byte less");
            }
            assert_ne!(check(&home, &part).code, 0, "cut {round}: an unfinished file is not taken for a backup");
        }
        home.vaka(&["backup", "--to", text(&file(&disk))]).ok();
        check(&home, &file(&disk)).ok();
        assert!(!part.exists(), "cut {round}");
        round += 1;
    }
    println!("{cuts} cuts: {unfinished} before its name, {finished} after");
    assert!(unfinished > 0, "no moment was in the middle");

    // A disk that is full, nearly and wholly: the one before stays, and the error names the file.
    let before = std::fs::read(file(&disk)).expect("the backup before");
    for left in [1 << 20, 0] {
        disk.leave(left);
        let refused = home.vaka(&["backup", "--to", text(&file(&disk))]);
        assert!(refused.code != 0 && refused.stderr.contains("home.age"), "{refused:?}");
        assert!(refused.stderr.to_lowercase().contains("no space left"), "{refused:?}");
        assert!(!disk.path().join("home.age.part").exists(), "nothing is left to fill the disk");
        assert!(std::fs::read(file(&disk)).expect("it") == before);
    }
    disk.free_all();
    home.vaka(&["backup", "--to", text(&file(&disk))]).ok();
    check(&home, &file(&disk)).ok();
}

#[test]
fn a_restore_that_the_power_cuts_off_is_done_again_and_ends_whole() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let Some(mut disk) = or_skip(LoopDisk::make(96)) else { return };
    let (cuts, mut chance) = (setting("VAKA_BACKUP_CUTS", 6), Chance::from_environment());
    let (home, key) = home();
    home.vaka(&["backup", "--to", "home.age"]).ok();
    let backup = home.dir().join("home.age");
    let whole = bytes(&home.path(""));
    let (mut absent, mut there) = (0, 0);
    let mut round = 0;
    // As above.
    while round < cuts || (absent == 0 && round < 10 * cuts) {
        let new = disk.path().join("new");
        let words = ["restore", text(&backup), "--identity", text(&key), "--to", text(&new)].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = begin(home.dir(), &words);
        let after = if round == cuts - 1 { whole } else { 1 + chance.below(BALLAST as u64) };
        disk = cut(&disk, process, &disk.path().join("new.restoring"), after);
        let new = disk.path().join("new");
        if new.exists() {
            there += 1;
        } else {
            absent += 1;
            let again = ["restore", text(&backup), "--identity", text(&key), "--to", text(&new)];
            run_vaka(home.dir(), &again).ok();
        }
        let config = new.join("vaka.toml").display().to_string();
        run_vaka(disk.path().as_path(), &["check-config", &config]).ok();
        run_vaka(disk.path().as_path(), &["journal", "verify", "--config", &config]).ok();
        let export = run_vaka(disk.path().as_path(), &["journal", "export", "--config", &config]).ok().stdout;
        let events = export.lines().filter(|line| line.contains(r#""kind":"event""#)).count() as u64;
        assert_eq!(events, EVENTS, "cut {round}");
        assert_eq!(bytes(&new.join("ballast")), BALLAST as u64, "cut {round}");
        assert!(!disk.path().join("new.restoring").exists(), "cut {round}: no keys lie about");
        std::fs::remove_dir_all(&new).expect("away with it");
        round += 1;
    }
    println!("{cuts} cuts: {absent} without a home, {there} with a whole one");
    assert!(absent > 0, "no moment was in the middle");

    // A full disk: no home, nothing left; with room again, a whole one.
    disk.leave(1 << 20);
    let new = disk.path().join("new");
    let again = ["restore", text(&backup), "--identity", text(&key), "--to", text(&new)];
    let refused = run_vaka(home.dir(), &again);
    assert!(refused.code != 0 && refused.stderr.to_lowercase().contains("no space left"), "{refused:?}");
    assert!(!new.exists() && !disk.path().join("new.restoring").exists());
    disk.free_all();
    run_vaka(home.dir(), &again).ok();
}
