use proptest::prelude::*;

use super::*;

const PLACE: Place = Place { seq: 7, kind: 2 };

fn journal() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    fs::create_dir(&journal).unwrap();
    (dir, journal)
}

fn people(ids: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    ids.iter().map(|id| ((*id).to_owned(), BTreeSet::from([format!("{id}-pendant")]))).collect()
}

fn sealed(ring: &Ring, resident: &str, text: &str) -> (u32, Vec<u8>) {
    let mut bytes = text.as_bytes().to_vec();
    let id = ring.seal(ring.of(resident).unwrap(), PLACE, &mut bytes, 0);
    (id, bytes)
}

proptest! {
    #[test]
    fn what_is_sealed_opens_at_its_place_alone(body in prop::collection::vec(any::<u8>(), 0..300), bit in any::<prop::sample::Index>()) {
        let (_dir, journal) = journal();
        let ring = Ring::open_or_make(&journal).unwrap();
        let mut bytes = b"head".to_vec();
        bytes.extend(&body);
        prop_assert_eq!(ring.seal(HOME_ID, PLACE, &mut bytes, 4), HOME_ID);
        prop_assert_eq!((&bytes[..4], bytes.len()), (&b"head"[..], 4 + body.len() + crate::OVERHEAD_BYTES));
        prop_assert_eq!(ring.open_body(HOME_ID, PLACE, &bytes[4..]).unwrap(), Some(body));
        for other in [Place { seq: 8, ..PLACE }, Place { kind: 3, ..PLACE }] {
            prop_assert!(matches!(ring.open_body(HOME_ID, other, &bytes[4..]), Err(None)));
        }
        let bit = bit.index((bytes.len() - 4) * 8);
        bytes[4 + bit / 8] ^= 1 << (bit % 8);
        prop_assert!(matches!(ring.open_body(HOME_ID, PLACE, &bytes[4..]), Err(None)));
    }
}

#[test]
fn one_residents_key_goes_for_good_and_the_others_stay() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&people(&["r1", "r2"])).unwrap();
    let (first, of_r1) = sealed(&ring, "r1", "she fell");
    let (second, of_r2) = sealed(&ring, "r2", "he slept");
    let folds = ring.folds();
    let mut fold = b"everybody".to_vec();
    ring.seal(folds, PLACE, &mut fold, 0);
    let key_of_r1 = ring.kept.keys[&first].key.clone();

    ring.renew_folds().unwrap();
    ring.shred(&[first]).unwrap();
    for ring in [ring, Ring::load(&journal).unwrap().unwrap()] {
        assert_eq!(ring.open_body(first, PLACE, &of_r1).unwrap(), None);
        assert_eq!(ring.open_body(folds, PLACE, &fold).unwrap(), None, "a fold has everybody in it");
        assert_eq!(ring.open_body(second, PLACE, &of_r2).unwrap().unwrap(), b"he slept");
        assert!(ring.is_erased(first) && ring.of("r1").is_none() && ring.devices_of("r1").is_empty());
    }
    // Whoever moves in under the same id gets a key that was never used.
    let mut ring = Ring::open(&journal).unwrap().unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    assert!(ring.of("r1").unwrap() > first);
    assert_ne!(ring.kept.keys[&ring.of("r1").unwrap()].key, key_of_r1);
    assert_eq!(ring.open_body(first, PLACE, &of_r1).unwrap(), None);
    let names: Vec<_> = fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [NAME]);
    let bytes = fs::read(journal.join(NAME)).unwrap();
    assert!(!bytes.windows(10).any(|part| part == b"r2-pendant"), "ids stand in no file in clear");
}

#[test]
fn what_is_missing_is_an_error_and_never_an_erasure() {
    let (dir, journal) = journal();
    assert!(Ring::load(&journal).unwrap().is_none());
    let mut ring = Ring::open_or_make(&journal).unwrap();
    let before = fs::read(journal.join(NAME)).unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    let (id, bytes) = sealed(&ring, "r1", "she fell");

    // An earlier version of the file put back: it does not know the key, and does not say that it was erased.
    fs::write(journal.join(NAME), before).unwrap();
    let earlier = Ring::load(&journal).unwrap().unwrap();
    let error = earlier.open_body(id, PLACE, &bytes).unwrap_err().unwrap().to_string();
    assert!(error.contains("/journal/keys has no key 3") && error.contains("newest one from the backup"), "{error}");

    let home = dir.path().join("home.key");
    let key = fs::read(&home).unwrap();
    fs::write(&home, "cd".repeat(32)).unwrap();
    let error = Ring::load(&journal).unwrap_err().to_string();
    assert!(error.contains("/journal/keys cannot be opened with the home's key from"), "{error}");
    fs::remove_file(&home).unwrap();
    let error = Ring::open_or_make(&journal).unwrap_err().to_string();
    assert!(error.contains("home.key: put it back from the backup"), "{error}");
    assert!(!home.exists(), "another key would not open what is sealed");
    fs::write(&home, key).unwrap();
    assert!(Ring::load(&journal).unwrap().is_some());
}

#[test]
fn nothing_is_written_where_nothing_is_new() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    let before = fs::read(journal.join(NAME)).unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    assert!(fs::read(journal.join(NAME)).unwrap() == before, "a new nonce would show a write");
    // A device that is passed on to another stays known as once theirs.
    ring.lives_here(&BTreeMap::from([("r1".to_owned(), BTreeSet::from(["mat".to_owned()]))])).unwrap();
    assert_eq!(ring.devices_of("r1").into_iter().collect::<Vec<_>>(), ["mat", "r1-pendant"]);
}

#[test]
fn memory_and_file_say_the_same_also_where_the_earlier_file_cannot_be_overwritten() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    let path = journal.join(NAME);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let doomed = ring.of("r1").unwrap();
    let why = ring.shred(&[doomed]).unwrap_err().to_string();
    assert!(why.contains("keys.old") && ring.leftover().contains("keys.old"), "{why}");
    for ring in [&ring, &Ring::load(&journal).unwrap().unwrap()] {
        assert!(ring.is_erased(doomed) && !ring.has(doomed));
    }
    // As long as it lies there nothing is changed.
    let before = ring.reach();
    assert!(ring.lives_here(&people(&["r2"])).is_err());
    assert_eq!((ring.of("r2"), ring.reach()), (None, before));
    fs::remove_file(journal.join("keys.old")).unwrap();
    ring.lives_here(&people(&["r2"])).unwrap();
    assert!(ring.leftover().is_empty() && ring.lacks(before).is_none());
    assert_eq!(Ring::load(&journal).unwrap().unwrap().of("r2"), ring.of("r2"));
}

#[test]
fn a_doomed_key_is_nobodys_and_who_had_it_gets_another() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    let (old, sealed_then) = sealed(&ring, "r1", "she fell");
    ring.doom(&BTreeSet::from([old]));
    assert_eq!(ring.of("r1"), None);
    ring.lives_here(&people(&["r1"])).unwrap();
    let new = ring.of("r1").unwrap();
    assert!(new != old && ring.open_body(old, PLACE, &sealed_then).unwrap().is_some(), "not destroyed yet");
    ring.shred(&[old]).unwrap();
    assert_eq!((ring.of("r1"), ring.open_body(old, PLACE, &sealed_then).unwrap()), (Some(new), None));
    assert_eq!(Ring::load(&journal).unwrap().unwrap().of("r1"), Some(new));
}

#[test]
fn numbers_end_before_one_reads_as_a_periods() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.kept.next = (1 << periods::BASE_BITS) - 1;
    let last = ring.renew_folds().unwrap();
    assert!(ring.knows(last));
    assert!(matches!(ring.renew_folds(), Err(KeyError::Full(_))));
    assert_eq!(ring.folds(), last, "the keys are as they were");
}

#[test]
fn a_key_that_fails_hands_over_to_the_homes() {
    let (_dir, journal) = journal();
    let ring = Ring::open_or_make(&journal).unwrap();
    let mut bytes = b"help".to_vec();
    assert_eq!(ring.seal(99, PLACE, &mut bytes, 0), HOME_ID);
    assert_eq!(ring.open_body(HOME_ID, PLACE, &bytes).unwrap().unwrap(), b"help");
}

#[test]
fn the_newest_keys_stay_the_journals_also_when_a_folder_of_old_records_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path();
    assert_eq!(ring_path(journal), journal.join("keys"));
    std::fs::create_dir(journal.join("unread-1")).unwrap();
    assert_eq!(ring_path(journal), journal.join("keys-2"), "what is put back as `keys` overwrites nothing");
    std::fs::write(journal.join("keys-2"), "").unwrap();
    std::fs::write(journal.join("keys-2.new"), "").unwrap();
    assert_eq!(ring_path(journal), journal.join("keys-2"));
    std::fs::remove_dir(journal.join("unread-1")).unwrap();
    assert_eq!(ring_path(journal), journal.join("keys-2"), "a person has removed what nobody can read");
    for copy in ["keys-20261124", "keys-20261124.bak", "keys-0", "keys-of-today", "keys-5.bak", "keys.bak"] {
        std::fs::write(journal.join(copy), "").unwrap();
    }
    assert_eq!(ring_path(journal), journal.join("keys-2"), "a person's copies are copies");
    std::fs::write(journal.join("keys"), "").unwrap();
    assert_eq!(ring_path(journal), journal.join("keys"), "one beside keys that never were lost too");
}

/// Sealed for this resident in the class's period of now.
fn in_period(ring: &Ring, resident: &str, class: &str, text: &str) -> (u32, Vec<u8>) {
    let mut bytes = text.as_bytes().to_vec();
    let wanted = ring.under(ring.of(resident).unwrap(), Some(class));
    let id = ring.seal(wanted, PLACE, &mut bytes, 0);
    assert_eq!(id, wanted);
    (id, bytes)
}

#[test]
fn a_period_goes_for_everybody_a_person_goes_from_every_period_and_what_is_written_to_stays() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&people(&["r1", "r2"])).unwrap();
    let (plain, bytes) = sealed(&ring, "r1", "untimed");
    assert_eq!(&fs::read(journal.join(NAME)).unwrap()[8..10], [1, 0], "without periods an older program opens it");
    ring.begin_periods(&[("telemetry", Some(30)), ("life", Some(730))], 1_000, 1_000).unwrap();
    assert_eq!(&fs::read(journal.join(NAME)).unwrap()[8..10], [2, 0], "an older program must not drop the periods");
    let (of_r1, one) = in_period(&ring, "r1", "telemetry", "slept");
    let (of_r2, two) = in_period(&ring, "r2", "telemetry", "rose");
    let (life, fell) = in_period(&ring, "r1", "life", "fell");
    assert_eq!((ring.whose(of_r1), ring.whose(of_r2), ring.whose(plain)), (Some("r1"), Some("r2"), Some("r1")));
    let older = Ring::load(&journal).unwrap().unwrap();
    assert_eq!(ring.under(plain, Some("care")), plain, "a class without a time");
    // It is written to: whoever asks, it stays.
    ring.shred_periods(&[1, 2]).unwrap();
    assert_eq!(ring.open_body(of_r1, PLACE, &one).unwrap().unwrap(), b"slept");
    ring.begin_periods(&[("telemetry", Some(30))], 2_000, 2_000).unwrap();
    let (next, new) = in_period(&ring, "r1", "telemetry", "woke");
    assert!(older.knows(of_r1) && !older.knows(next) && ring.knows(next), "a copy from before the period is older");
    assert_eq!(ring.periods()[&1].until_ms, Some(2_000));
    let key = ring.periods()[&1].key.clone();
    ring.shred_periods(&[1]).unwrap();
    ring.shred_periods(&[1]).unwrap();
    for ring in [&ring, &Ring::load(&journal).unwrap().unwrap()] {
        assert_eq!(ring.open_body(of_r1, PLACE, &one).unwrap(), None);
        assert_eq!(ring.open_body(of_r2, PLACE, &two).unwrap(), None);
        assert_eq!(ring.open_body(next, PLACE, &new).unwrap().unwrap(), b"woke");
        assert_eq!(ring.open_body(life, PLACE, &fell).unwrap().unwrap(), b"fell");
        assert_eq!(ring.open_body(plain, PLACE, &bytes).unwrap().unwrap(), b"untimed");
        assert!(ring.periods()[&1].is_gone() && !format!("{:?}", ring.kept).contains(&key));
        assert_eq!(ring.period_of(of_r1).unwrap().days, 30);
    }
    let own = ring.of("r1").unwrap();
    ring.shred(&[own]).unwrap();
    assert_eq!(ring.open_body(life, PLACE, &fell).unwrap(), None, "the person goes from each period");
    // A period that the file does not know is missing, not erased.
    let unknown = periods::both(own, 99).unwrap();
    assert!(matches!(ring.open_body(unknown, PLACE, &fell), Err(Some(KeyError::Missing { .. }))));
}

/// The journal's keys say this, sealed as they are.
fn says(journal: &Path, version: u16, plain: &str) {
    let home = HomeKey::find(journal).unwrap().unwrap();
    let mut sealed = plain.as_bytes().to_vec();
    body::seal(&body::cipher(&home.bytes), Nonces::new().next().unwrap(), OWN, &mut sealed, 0).unwrap();
    fs::write(journal.join(NAME), [MAGIC.as_slice(), &version.to_le_bytes(), &sealed].concat()).unwrap();
}

#[test]
fn keys_of_a_newer_program_are_named_as_such() {
    let (_dir, journal) = journal();
    Ring::open_or_make(&journal).unwrap();
    // Whatever stands in front: the seal says it.
    for in_front in [1, 2, 3] {
        says(&journal, in_front, r#"{"format":3,"keys":"somewhere else"}"#);
        let error = Ring::load(&journal).unwrap_err();
        assert!(!error.is_lost(), "the file is whole: {error}");
        let error = error.to_string();
        assert!(error.contains("/journal/keys is of format 3") && error.contains("newer Vaka"), "{error}");
    }
}

#[test]
fn a_changed_bit_of_the_version_costs_nothing_and_is_right_again_after_the_next_write() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    ring.lives_here(&people(&["r1"])).unwrap();
    let (id, bytes) = sealed(&ring, "r1", "she fell");
    let whole = fs::read(journal.join(NAME)).unwrap();
    for bit in 0..16 {
        let mut changed = whole.clone();
        changed[8 + bit / 8] ^= 1 << (bit % 8);
        fs::write(journal.join(NAME), &changed).unwrap();
        let ring = Ring::load(&journal).unwrap().unwrap();
        assert_eq!(ring.open_body(id, PLACE, &bytes).unwrap().unwrap(), b"she fell", "bit {bit}");
    }
    let mut ring = Ring::open(&journal).unwrap().unwrap();
    ring.lives_here(&people(&["r2"])).unwrap();
    assert_eq!(&fs::read(journal.join(NAME)).unwrap()[8..10], [1, 0]);
    // Of an earlier program, which said it in front alone.
    let mut earlier: serde_json::Value = serde_json::to_value(&ring.kept).unwrap();
    earlier.as_object_mut().unwrap().remove("format");
    says(&journal, 0x0101, &earlier.to_string());
    assert!(Ring::load(&journal).unwrap().unwrap().of("r2").is_some());
    // With more changed than that both causes are named.
    let mut changed = whole;
    changed[8] ^= 8;
    changed[40] ^= 1;
    fs::write(journal.join(NAME), &changed).unwrap();
    let error = Ring::load(&journal).unwrap_err();
    assert!(error.is_lost(), "{error}");
    for word in ["/journal/keys says that it is of format 9", "damaged", "newer Vaka"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
}

#[test]
fn what_opens_and_is_not_keys_is_named_as_that_and_not_as_a_wrong_key() {
    let (_dir, journal) = journal();
    Ring::open_or_make(&journal).unwrap();
    for (plain, why) in [("[]", "at line 1 column"), (r#"{"next":1,"keys":{},"erased":[]}"#, "not all keys")] {
        says(&journal, 1, plain);
        let error = Ring::load(&journal).unwrap_err();
        assert!(matches!(error, KeyError::NotKeys { .. }) && error.is_lost(), "{error}");
        let error = error.to_string();
        assert!(error.contains("/journal/keys opens with the home's key") && error.contains(why), "{error}");
    }
}

#[test]
fn what_is_left_of_earlier_keys_and_cannot_be_overwritten_is_said_and_stops_nothing() {
    let (_dir, journal) = journal();
    let mut ring = Ring::open_or_make(&journal).unwrap();
    assert_eq!(ring.leftover(), "");
    // A folder refuses to be opened for writing, whoever asks.
    let old = journal.join("keys.old");
    fs::create_dir(&old).unwrap();
    let found = Ring::open(&journal).unwrap().unwrap();
    for word in ["/journal/keys.old", "were to be destroyed", "shred --remove"] {
        assert!(found.leftover().contains(word), "{word} in {}", found.leftover());
    }
    // Nothing counts as destroyed meanwhile.
    ring.lives_here(&BTreeMap::new()).unwrap();
    let why = ring.lives_here(&people(&["r1"])).unwrap_err().to_string();
    assert!(why.contains("/journal/keys.old") && ring.of("r1").is_none(), "{why}");
    fs::remove_dir(&old).unwrap();
    let mut ring = Ring::open(&journal).unwrap().unwrap();
    assert_eq!(ring.leftover(), "");
    ring.lives_here(&people(&["r1"])).unwrap();
}

#[test]
fn what_the_disk_refuses_to_read_each_time_counts_as_lost_and_is_kept_for_the_day_it_can_be_read() {
    let (dir, journal) = journal();
    let made = Ring::open_or_make(&journal).unwrap().home.bytes;
    let (keys, home) = (journal.join(NAME), dir.path().join("home.key"));
    for file in [&keys, &home] {
        let whole = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        assert!(Ring::load(&journal).unwrap_err().is_lost(), "a folder is no key");
        fs::remove_dir(file).unwrap();
        // Every reading of it ends with EIO.
        std::os::unix::fs::symlink("/proc/self/mem", file).unwrap();
        let error = Ring::load(&journal).unwrap_err();
        assert!(error.is_lost() && error.is_disk(), "{error}");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        if file == &home {
            let other = HomeKey::any_or_make(&journal).unwrap();
            assert_ne!(other.bytes, made);
            let kept = dir.path().join("home.key.damaged");
            assert!(kept.is_symlink(), "kept, whatever the disk says of it");
            fs::remove_file(&kept).unwrap();
            fs::write(&kept, &whole).unwrap();
            assert_eq!(Ring::load(&journal).unwrap().unwrap().home.bytes, made, "readable again under that name");
        }
        fs::remove_file(file).unwrap();
        fs::write(file, whole).unwrap();
    }
}
