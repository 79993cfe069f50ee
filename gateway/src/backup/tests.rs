use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use vaka_archive::{Identity, Recipient, identities, new_identity};
use vaka_protocol::Lane;

use super::*;
use crate::backup::{files, restore, retire, take};
use crate::clock::{Confidence, Now};
use crate::config::Config;
use crate::journal::record::{Alive, Record};
use crate::journal::{Journal, Options, Stamp, reader};
use crate::provision::{self, Issued, NewHome, identity};

const NOW: Now = Now { mono_ms: 5_000, wall_ms: 1_795_212_345_123, confidence: Confidence::Synchronised };

struct Made {
    dir: tempfile::TempDir,
    config: Config,
    identity: Vec<Identity>,
    recipient: Recipient,
}

/// A home with a few records, a device's folder and what a running gateway leaves.
fn home() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let new = NewHome {
        gateway: "gw-1".try_into().unwrap(),
        controller_id: "10149471".into(),
        listen: "127.0.0.1:8883".parse().unwrap(),
    };
    let file = provision::create(&dir.path().join("old"), &new, NOW.wall_ms).unwrap();
    let (config, _) = Config::load(&file).unwrap();
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let (mut journal, _) = Journal::open(&config.journal.dir, options).unwrap();
    for online in [true, false, true] {
        let record = Record::Alive(Alive { device: "p1".try_into().unwrap(), online });
        journal.append(&record, Lane::Telemetry, Stamp { mono_ms: 1, wall_ms: NOW.wall_ms });
    }
    journal.commit().unwrap();
    drop(journal);
    fs::create_dir_all(config.home.join("p1")).unwrap();
    fs::write(config.home.join("p1/key.pem"), "a device's key").unwrap();
    let key = dir.path().join("key.txt");
    let (text, recipient) = new_identity();
    fs::write(&key, text).unwrap();
    Made { identity: identities(&key).unwrap(), recipient, config, dir }
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn take(&self, retired: bool) -> PathBuf {
        let to = self.path("home.age");
        take::take(&self.config, &to, std::slice::from_ref(&self.recipient), retired, NOW.wall_ms).unwrap();
        to
    }

    fn restore(&self, from: &Path, keep_keys: bool) -> Result<restore::Restored, BackupError> {
        restore::restore(from, &self.identity, &self.path("new"), keep_keys, NOW)
    }
}

/// Every file below `dir`, by its path there.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = PathBuf::from(entry.file_name());
        if entry.path().is_dir() {
            found.extend(tree(&entry.path()).into_iter().map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn records(dir: &Path) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let read = reader::scan(dir, 0, |entry| {
        found.push((entry.header.seq, entry.body.to_vec()));
        ControlFlow::Continue(())
    });
    read.unwrap();
    found
}

#[test]
fn a_home_comes_back_as_it_was_under_keys_of_its_own() {
    let made = home();
    let made_by = made.restore(&made.take(true), false).unwrap();
    let (old, new) = (tree(&made.config.home), tree(&made.path("new")));
    let other = |path: &Path| {
        let anew = files::MADE_ANEW.iter().any(|(name, _)| path.starts_with(Path::new("journal").join(name)));
        anew || path == Path::new("journal/head")
    };
    let identity_files = ["pki/server.pem", "pki/server.key", "pki/client.pem", "pki/client.key", "pki/issued.jsonl"];
    let mut same = 0;
    for (path, bytes) in old.iter().filter(|(path, _)| !other(path)) {
        let is_new = identity_files.iter().any(|name| path == Path::new(name));
        assert_eq!(new.get(path).is_some_and(|found| found == bytes), !is_new, "{}", path.display());
        same += usize::from(!is_new);
    }
    assert!(same >= 7, "{same}: authorities with keys, vaka.toml, the device's folder, a segment");
    assert_eq!(records(&made.config.journal.dir), records(&made.path("new/journal")), "nothing happened in between");

    // What receivers knew of the old box is revoked, and the new one is somebody else.
    let (config, _) = Config::load(&made_by.config).unwrap();
    let (issued, _) = Issued::load(&config.pki().issued()).unwrap();
    let pem = |path: &Path| {
        use rustls_pki_types::pem::PemObject;
        identity(&rustls_pki_types::CertificateDer::from_pem_file(path).unwrap()).unwrap()
    };
    let (before, now) = (pem(&made.config.pki().client_cert()), pem(&config.pki().client_cert()));
    assert!(issued.is_revoked(&before.serial) && !issued.is_revoked(&now.serial));
    let keys = made_by.identity.unwrap();
    assert!(keys.server != keys.server_before && keys.client.unwrap() != keys.client_before);
}

#[test]
fn what_happened_after_a_backup_is_told_as_missing_and_kept_keys_stay() {
    let made = home();
    let made_by = made.restore(&made.take(false), true).unwrap();
    assert!(made_by.identity.is_none());
    let same =
        |name: &str| fs::read(made.config.home.join(name)).unwrap() == fs::read(made.path("new").join(name)).unwrap();
    assert!(same("pki/server.key") && same("pki/client.key"));
    let mut last = None;
    let read = reader::scan(&made.path("new/journal"), 0, |entry| {
        last = entry.decode().ok();
        ControlFlow::Continue(())
    });
    read.unwrap();
    let Some(Record::Fault(fault)) = last else { panic!("{last:?}") };
    assert!(fault.fault == "restored" && fault.active && fault.detail.contains("2026-11-20"), "{fault:?}");
    assert!(reader::verify(&made.path("new/journal")).unwrap().is_sound());
}

#[test]
fn everything_in_the_home_is_taken_but_what_is_named_with_its_reason() {
    let made = home();
    let home = &made.config.home;
    for name in [
        "pki/.later/deep/new-kind-of-key",
        "pki/issued.jsonl.new-812",
        "yesterday.age",
        "x.age.part",
        "pki/file.new-kind",
    ] {
        let path = home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    fs::write(made.path("centre.pin"), "elsewhere").unwrap();
    let toml = fs::read_to_string(&made.config.file).unwrap().replace("# pin = ", "ca = \"../centre.pin\"\n# pin = ");
    fs::write(&made.config.file, toml).unwrap();
    let (config, _) = Config::load(&made.config.file).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(config.journal.dir.join("control.sock")).unwrap();
    fs::write(config.journal.dir.join("reserve"), "").unwrap();
    fs::write(retire::mark(home), "{}").unwrap();

    let listing = files::list(&config, &made.path("home.age")).unwrap();
    let mut taken: Vec<PathBuf> = listing.kept.values().map(|kept| kept.path.clone()).collect();
    taken.extend(listing.left_out.iter().map(|left| left.path.clone()));
    for path in tree_paths(home) {
        let by_records = files::BY_RECORDS.iter().any(|name| path.starts_with(config.journal.dir.join(name)));
        assert!(by_records || taken.iter().any(|one| path.starts_with(one)), "{} is forgotten", path.display());
    }
    let kept = |name: &str| listing.kept.contains_key(name);
    assert!(kept("home/pki/.later/deep/new-kind-of-key") && kept("home/pki/file.new-kind") && kept("home/p1/key.pem"));
    let outside = made.path("centre.pin").canonicalize().unwrap();
    assert!(kept(&format!("outside{}", outside.display())), "{:?}", listing.kept.keys());
    for name in
        ["yesterday.age", "x.age.part", "retired", "pki/issued.jsonl.new-812", "journal/lock", "journal/reserve"]
    {
        assert!(listing.left_out.iter().any(|left| left.path == home.join(name)), "{name}: {:?}", listing.left_out);
    }
}

fn tree_paths(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        match entry.path().is_dir() {
            true => found.extend(tree_paths(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn a_damaged_or_foreign_backup_makes_no_home() {
    let made = home();
    let from = made.take(true);
    let whole = fs::read(&from).unwrap();
    for at in [10, whole.len() / 2, whole.len() - 3] {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&from, bytes).unwrap();
        assert!(made.restore(&from, false).is_err());
        assert!(!made.path("new").exists() && !made.path("new.restoring").exists(), "{at}");
    }
    // Sealed to the right key, and no backup.
    vaka_archive::seal::<BackupError>(&from, std::slice::from_ref(&made.recipient), |packer| {
        Ok(packer.add_bytes("photos/1.jpg", 0o600, b"x")?)
    })
    .unwrap();
    assert!(matches!(made.restore(&from, false), Err(BackupError::NoBackup { .. })));
    fs::write(&from, whole).unwrap();
    fs::create_dir_all(made.path("new")).unwrap();
    fs::write(made.path("new/something"), "").unwrap();
    assert!(matches!(made.restore(&from, false), Err(BackupError::HomeExists(_))));
    fs::remove_file(made.path("new/something")).unwrap();
    made.restore(&from, false).unwrap();
}

#[test]
fn a_journal_outside_the_home_is_restored_inside_and_named() {
    let mut made = home();
    fs::rename(&made.config.journal.dir, made.path("elsewhere")).unwrap();
    let text = fs::read_to_string(&made.config.file).unwrap().replace("dir = \"journal\"", "dir = \"../elsewhere\"");
    fs::write(&made.config.file, text).unwrap();
    made.config = Config::load(&made.config.file).unwrap().0;
    fs::rename(made.config.home.join("home.key"), made.path("home.key")).unwrap();
    fs::write(made.path("names.enc"), "sealed").unwrap();
    let from = made.take(true);
    let before = records(&made.path("elsewhere"));
    let made_by = made.restore(&from, false).unwrap();
    let journal = made.path("new/outside/journal");
    assert_eq!(
        made_by.outside,
        [journal.clone(), made.path("new/outside/home.key"), made.path("new/outside/names.enc")]
    );
    assert_eq!((records(&journal), before.len()), (before, 3));
    assert_eq!(fs::read_to_string(made.path("new/outside/names.enc")).unwrap(), "sealed");
}

#[test]
fn the_restored_home_reads_the_residents_names() {
    use crate::board::names::Names;
    let made = home();
    let name = vaka_board::gateway::Name { name: "Karin Ek".into(), ..Default::default() };
    Names::of(&made.config).write("r1", &name).unwrap();
    let from = made.take(true);
    made.restore(&from, false).unwrap();
    let config = Config::load(&made.path("new/vaka.toml")).unwrap().0;
    assert!(fs::read_to_string(made.path("new/pki/names.key")).unwrap().starts_with("sealed-1 "));
    assert_eq!(Names::of(&config).read("r1").unwrap(), Some(name));
}

#[test]
fn a_backup_without_the_journals_keys_says_so_and_keeps_the_one_that_it_replaces() {
    let made = home();
    let journal = &made.config.journal.dir;
    vaka_seal::Ring::open_or_make(journal).unwrap();
    let ring = vaka_seal::ring_path(journal);
    let lost = || {
        let to = made.path("home.age");
        let taken = take::take(&made.config, &to, std::slice::from_ref(&made.recipient), false, NOW.wall_ms).unwrap();
        taken.manifest.left_out.iter().filter(|left| left.is_loss).map(|left| left.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(lost(), [] as [PathBuf; 0]);
    let kept = || fs::read(made.path("home.before-loss.age")).ok();
    assert_eq!(kept(), None);
    let last = fs::read(made.path("home.age")).unwrap();
    fs::write(&ring, "worn out").unwrap();
    assert_eq!(lost(), std::slice::from_ref(&ring), "they open nothing");
    assert_eq!(kept(), Some(last.clone()));
    fs::remove_file(&ring).unwrap();
    assert_eq!(lost(), [ring], "they are gone");
    assert_eq!(kept(), Some(last), "the next nights have no more to keep");
}

#[test]
fn a_backup_waits_for_an_erasure_before_it_takes_a_record() {
    use std::os::unix::fs::MetadataExt;
    let made = home();
    let pki = made.config.pki().dir().to_path_buf();
    let erasing = provision::lock_home(&pki).unwrap();
    // proc(5), `locks`: a line with `->` waits, for a file by its inode.
    let inode = format!(":{} ", fs::metadata(&pki).unwrap().ino());
    let waits = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.contains(&inode))
    };
    let taken = std::thread::scope(|scope| {
        let to = made.path("home.age");
        let taking = scope.spawn({
            let made = &made;
            move || take::take(&made.config, &to, std::slice::from_ref(&made.recipient), false, NOW.wall_ms).unwrap()
        });
        while !waits() {
            assert!(!taking.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        // What an erasure writes under new keys, which the backup is about to take.
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let (mut journal, _) = Journal::open(&made.config.journal.dir, options).unwrap();
        let record = Record::Alive(Alive { device: "p1".try_into().unwrap(), online: false });
        let seq = journal.append(&record, Lane::Telemetry, Stamp { mono_ms: 1, wall_ms: NOW.wall_ms });
        journal.commit().unwrap();
        drop((journal, erasing));
        (taking.join().unwrap(), seq)
    });
    assert_eq!(taken.0.manifest.journal.last_seq, taken.1, "the records are of after the erasure, as the keys are");
}

#[test]
fn every_home_key_is_in_the_backup_and_no_keys_that_are_being_destroyed() {
    let made = home();
    let journal = made.config.journal.dir.clone();
    for name in ["home.key.old", "home.key.2", "home.key.damaged"] {
        fs::write(journal.with_file_name(name), "5a".repeat(32)).unwrap();
    }
    for name in ["keys.old", "keys-2.old", "keys-2.new"] {
        fs::write(journal.join(name), "destroyed").unwrap();
    }
    fs::write(journal.join("keys-3"), "kept").unwrap();
    let made_by = files::list(&made.config, Path::new("/nowhere")).unwrap();
    let has = |end: &str| made_by.kept.keys().any(|name| name.ends_with(end));
    for name in ["home.key", "home.key.old", "home.key.2", "home.key.damaged", "journal/keys-3"] {
        assert!(has(name), "{name} in {:?}", made_by.kept.keys());
    }
    for name in ["keys.old", "keys-2.old", "keys-2.new"] {
        assert!(!has(name), "{name} in {:?}", made_by.kept.keys());
    }
}
