//! Sealed journals: what is on the disk says nothing, one resident can be erased, and a crash in between changes nothing of that.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::journal::record::Erased;
use crate::journal::{format, reader};
use crate::pipeline::erasing;
use crate::pipeline::view::Label;

/// Whose devices are whose.
fn labels(of: &[(&str, &str)]) -> Labels {
    let label = |resident: &str| Label { resident: Some(resident.to_owned()), ..Label::default() };
    Labels { devices: of.iter().map(|(id, resident)| (device(id), label(resident))).collect(), ..Labels::default() }
}

const BOTH: &[(&str, &str)] = &[("p1", "resident-one"), ("bed", "resident-one"), ("p2", "resident-two")];
const SECOND: &[(&str, &str)] = &[("p2", "resident-two")];

impl Bench {
    /// With keys, if `sealed`; two people live here.
    fn of_two(sealed: bool) -> Bench {
        let mut bench = Bench::new();
        bench.keeper = None;
        fs::remove_dir_all(bench.dir()).unwrap();
        fs::create_dir_all(bench.dir()).unwrap();
        if sealed {
            vaka_seal::Ring::open_or_make(bench.dir()).unwrap();
        }
        bench.labels = labels(BOTH);
        bench.start();
        bench
    }

    /// Each presses and is helped; the first is in bed.
    fn lived(&mut self) {
        for (seq, from) in [(1, "p1"), (2, "p2")] {
            assert_eq!(self.press(from, seq), PublishReason::Success);
            let row = self.rows().into_iter().find(|row| row.device == device(from)).expect("an alarm");
            self.accept(&row, 0);
            self.act(&row, ActWhat::Close, "anna").expect("closed");
        }
        self.publish("bed", r#"{"v":1,"restart":1,"seq":1,"event":{"bed":{"occupied":true}}}"#);
    }

    /// Two lived here, then somebody new came and pressed; with the keys of before that.
    fn since_yesterday() -> (Bench, Vec<u8>) {
        let mut bench = Bench::of_two(true);
        bench.lived();
        bench.keeper = None;
        let of_yesterday = fs::read(bench.dir().join("keys")).unwrap();
        bench.labels = labels(&[("p1", "resident-three"), ("bed", "resident-one"), ("p2", "resident-two")]);
        bench.start();
        assert_eq!(bench.press("p1", 7), PublishReason::Success);
        (bench, of_yesterday)
    }

    /// The first has moved out.
    fn moves_out(&mut self) {
        self.labels = labels(SECOND);
        self.kill_and_start();
    }

    fn erase(&mut self, resident: &str) -> Result<Erased, String> {
        let (reply, mut answer) = oneshot::channel();
        let (resident, by) = (resident.to_owned(), "anna".to_owned());
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Erase { resident, by, reply })]);
        answer.try_recv().expect("an answer")
    }

    /// Every file below the journal in which this stands in clear.
    fn found(&self, word: &str) -> Vec<PathBuf> {
        fn look(folder: &Path, word: &[u8], found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    look(&path, word, found);
                } else if fs::read(&path).is_ok_and(|bytes| bytes.windows(word.len()).any(|part| part == word)) {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        look(self.dir(), word.as_bytes(), &mut found);
        found
    }

    /// Nothing of the first is left, all of the second is, and the journal is whole; so after every kind of start.
    fn is_erased(&mut self) {
        for start in ["as it is", "killed", "stopped", "without its index"] {
            match start {
                "killed" => self.kill_and_start(),
                "stopped" => self.stop_and_start(),
                "without its index" => {
                    self.keeper = None;
                    let _ = fs::remove_dir_all(restore::index_dir(self.dir()));
                    self.start();
                }
                _ => {}
            }
            let rows = self.rows();
            let closed: Vec<_> = rows.iter().map(|row| (row.device.as_str(), row.rung)).collect();
            assert_eq!(closed, [("p2", Rung::Closed)], "{start}");
            let state = self.keeper().state();
            assert!(state.care.facts.get(&device("bed")).is_none_or(|bed| bed.bed.is_none()), "{start}");
            let fold = minicbor_serde::to_vec(state).unwrap();
            assert!(!fold.windows(12).any(|part| part == b"resident-one"), "{start}");
        }
        let report = reader::verify(self.dir()).unwrap();
        assert!(report.is_sound() && report.erased > 0 && report.keys.is_none(), "{report:?}");
        let mut said = Vec::new();
        let scan = reader::scan(self.dir(), 0, |entry| {
            said.push(crate::pipeline::export::line(&entry.header, entry.body));
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!(scan.unwrap().erased, report.erased);
        let of = |id: &str| said.iter().filter(|line| line["kind"] == "event" && line["device"] == id).count();
        assert_eq!((of("p1"), of("bed"), of("p2")), (0, 0, 1));
        assert_eq!(said.iter().filter(|line| line["kind"] == "gone").count() as u64, report.erased);
    }
}

#[test]
fn what_is_on_the_disk_says_nothing_and_is_read_the_same() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.stop_and_start();
    for word in ["resident-one", "button", "occupied", "larmcentral", "anna"] {
        assert_eq!(bench.found(word), Vec::<PathBuf>::new(), "{word}");
    }
    let rows = bench.rows();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.rung == Rung::Closed));
    assert!(bench.keeper().state().care.facts.get(&device("bed")).unwrap().bed.is_some());
    let report = reader::verify(bench.dir()).unwrap();
    assert!(report.is_sound() && report.sealed > 8 && report.erased == 0, "{report:?}");
    // The saved fold was believed: sealed, and opened again.
    assert!(bench.keeper().restored.replayed < 5, "{}", bench.keeper().restored.replayed);
}

/// Changes one byte of the first body that is sealed with a resident's own key, and puts the checksums right: its number.
fn forge(dir: &Path) -> u64 {
    let path = fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    let format::SegmentStart::Valid(segment) = format::SegmentHeader::decode(&bytes) else { panic!("a segment") };
    let mut rest = &mut bytes[format::SEGMENT_HEADER_BYTES..];
    let seq = loop {
        let header = format::RecordHeader::decode(rest, segment.salt).expect("a record");
        let (record, after) = rest.split_at_mut(format::RECORD_HEADER_BYTES + header.length as usize);
        if header.key_id > 2 {
            let (header_bytes, body) = record.split_at_mut(format::RECORD_HEADER_BYTES);
            body[20] ^= 1;
            format::sum(header_bytes, body, segment.salt);
            break header.seq;
        }
        rest = after;
    };
    fs::write(&path, bytes).unwrap();
    seq
}

#[test]
fn a_record_that_is_not_what_was_sealed_is_named_and_costs_itself_alone() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.keeper = None;
    let seq = forge(bench.dir());
    let report = reader::verify(bench.dir()).unwrap();
    assert!(!report.is_sound() && report.damage.is_empty() && report.unopened == [seq], "{report:?}");
    let _ = fs::remove_dir_all(restore::index_dir(bench.dir()));
    bench.start();
    let rows = bench.rows();
    assert!(rows.iter().any(|row| row.device == device("p2")), "{rows:?}");
    assert!(rows.iter().any(|row| row.device == device("journal-damaged")), "{rows:?}");
}

#[test]
fn one_is_erased_and_the_other_stays() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    // A start reads the fold that was saved with both in it.
    bench.stop_and_start();
    bench.moves_out();
    let erased = bench.erase("resident-one").expect("erased");
    assert_eq!(erased.devices, BTreeSet::from([device("bed"), device("p1")]));
    bench.is_erased();
    let again = bench.erase("resident-one").unwrap_err();
    assert!(again.contains("erased already; known: resident-two"), "{again}");
    // Whoever moves in under that id begins with nothing.
    bench.labels = labels(BOTH);
    bench.kill_and_start();
    assert_eq!(bench.press("p1", 9), PublishReason::Success);
    let rows = bench.rows();
    assert_eq!(rows.iter().filter(|row| row.device == device("p1") && row.count == 1).count(), 1);
}

#[test]
fn a_crash_between_any_two_steps_is_finished_by_the_next_start() {
    for cut_after in ["the record", "the new key of folds", "the checkpoint"] {
        let mut bench = Bench::of_two(true);
        bench.lived();
        bench.moves_out();
        let clock = bench.clock.clone();
        let keeper = bench.keeper();
        let key = keeper.restored.journal.ring().unwrap().of("resident-one").unwrap();
        let devices: BTreeSet<DeviceId> = [device("bed"), device("p1")].into();
        let (resident, by) = ("resident-one".to_owned(), "anna".to_owned());
        let erased = Erased { resident, devices, passed_on: BTreeSet::new(), keys: vec![key], by };
        keeper.append(Record::Erased(erased), Lane::Technical);
        keeper.commit();
        if cut_after != "the record" {
            keeper.restored.journal.ring().unwrap().renew_folds().unwrap();
        }
        if cut_after == "the checkpoint" {
            keeper.restored.checkpoint(clock.as_ref()).unwrap();
        }
        assert!(keeper.restored.journal.ring().unwrap().has(key), "{cut_after}");
        bench.kill_and_start();
        assert!(!bench.keeper().restored.journal.ring().unwrap().has(key), "{cut_after}");
        bench.is_erased();
    }
}

#[test]
fn nobody_is_erased_who_waits_for_help_or_lives_here() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.press("p1", 5);
    let id = bench.rows().into_iter().find(|row| row.rung == Rung::Stored).expect("open").id;
    bench.moves_out();
    let why = bench.erase("resident-one").unwrap_err();
    assert!(why.contains(id.as_str()) && why.contains("Close them first"), "{why}");
    let person = crate::rules::care::agreed::Person { id: "resident-one".into(), ..Default::default() };
    bench.agreed = Arc::new(Agreed { people: vec![person], ..Agreed::default() });
    bench.kill_and_start();
    let why = bench.erase("resident-one").unwrap_err();
    assert!(why.contains("still lives here by vaka.toml"), "{why}");
    assert_eq!(bench.rows().len(), 3);
    let mut plain = Bench::of_two(false);
    assert!(plain.erase("resident-one").unwrap_err().contains("`vaka journal seal`"));
}

#[test]
fn keys_that_are_lost_stop_the_start_and_erase_nobody() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.keeper = None;
    let (keys, home) = (bench.dir().join("keys"), bench.dir().with_file_name("home.key"));
    for (lost, said) in [(&keys, "/journal/keys is gone"), (&home, "home.key: put it back from the backup")] {
        let kept = fs::read(lost).unwrap();
        fs::remove_file(lost).unwrap();
        let error = restore::open(bench.dir(), SIZE_MAX_BYTES).err().expect("no start").to_string();
        assert!(error.contains(said), "{error}");
        // Before a record is read: a start that believes its saved fold reads few.
        assert!(Journal::open(bench.dir(), Options::default()).is_err());
        assert!(restore::read_only(bench.dir()).unwrap_err().to_string().contains(said));
        // As bytes it can be verified by anybody.
        let report = reader::verify(bench.dir()).unwrap();
        assert!(report.is_sound() && report.sealed > 0 && report.keys.as_deref().unwrap().contains(said), "{report:?}");
        assert!(!lost.exists(), "nothing is made in its place");
        fs::write(lost, kept).unwrap();
    }
    bench.start();
    assert_eq!(bench.rows().len(), 2);
}

#[test]
fn a_journal_whose_keys_are_lost_begins_anew_from_any_crash_and_loses_nothing() {
    use crate::journal::unread;
    for cut_after in ["nothing", "the folder", "the segments", "all", "the keys are back"] {
        let mut bench = Bench::of_two(true);
        bench.lived();
        bench.keeper = None;
        let dir = bench.dir().to_path_buf();
        let newest = reader::verify(&dir).unwrap().last_seq;
        let (keys, aside) = (dir.join("keys"), dir.join("unread-1"));
        let kept = fs::read(&keys).unwrap();
        fs::remove_file(&keys).unwrap();
        match cut_after {
            "the folder" => fs::create_dir(&aside).unwrap(),
            "the segments" => {
                fs::create_dir(&aside).unwrap();
                fs::copy(dir.join("head"), aside.join("head")).unwrap();
                fs::rename(dir.join("segments"), aside.join("segments")).unwrap();
            }
            "all" | "the keys are back" => assert_eq!(unread::begin_anew(&dir).unwrap(), Some(aside.clone())),
            _ => {}
        }
        unread::begin_anew(&dir).unwrap();
        bench.start();
        assert_eq!(bench.press("p1", 7), PublishReason::Success, "{cut_after}");
        let rows = bench.rows();
        assert!(rows.iter().any(|row| row.device == device("p1") && row.rung == Rung::Stored), "{cut_after}");
        assert!(rows.iter().any(|row| row.device == device("sealing")), "{cut_after}");
        if cut_after == "the keys are back" {
            fs::write(&keys, &kept).unwrap();
        }
        bench.keeper = None;
        assert_eq!(unread::begin_anew(&dir).unwrap(), None, "{cut_after}: once");
        bench.start();
        bench.keeper = None;
        let report = reader::verify(&dir).unwrap();
        assert!(report.is_sound() && report.keys.is_none() && report.unopened.is_empty(), "{cut_after}: {report:?}");
        let mut first = 0;
        let _ = reader::scan(&dir, 0, |entry| {
            first = entry.header.seq;
            std::ops::ControlFlow::Break(())
        });
        assert!(first > newest, "{cut_after}: {first} after {newest}");
        // What was put aside is whole, and with its keys it is read again.
        if cut_after != "the keys are back" {
            assert!(!unread::told(&dir).is_empty());
            fs::write(&keys, &kept).unwrap();
            unread::begin_anew(&dir).unwrap();
        }
        assert!(unread::told(&dir).is_empty() && !keys.exists());
        let mut events = 0;
        reader::scan(&aside, 0, |entry| {
            events += u64::from(crate::pipeline::export::line(&entry.header, entry.body)["kind"] == "event");
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(events, 3, "{cut_after}");
        assert!(reader::verify(&aside).unwrap().is_sound(), "{cut_after}");
    }
}

#[test]
fn damaged_keys_or_a_home_key_that_does_not_fit_are_kept_and_the_next_press_is_taken() {
    use crate::journal::unread;
    for fault in [
        "no beginning",
        "too short",
        "a changed byte",
        "home.key is none",
        "home.key is noise",
        "another home.key",
        "no home.key",
    ] {
        let mut bench = Bench::of_two(true);
        bench.lived();
        bench.keeper = None;
        let dir = bench.dir().to_path_buf();
        let (keys, home) = (dir.join("keys"), dir.with_file_name("home.key"));
        let (of_keys, of_home) = (fs::read(&keys).unwrap(), fs::read(&home).unwrap());
        let mut changed = of_keys.clone();
        *changed.last_mut().unwrap() ^= 1;
        match fault {
            "no beginning" => fs::write(&keys, vec![0; of_keys.len()]).unwrap(),
            "too short" => fs::write(&keys, &of_keys[..7]).unwrap(),
            "a changed byte" => fs::write(&keys, changed).unwrap(),
            "home.key is none" => fs::write(&home, "").unwrap(),
            "home.key is noise" => fs::write(&home, [0xff; 65]).unwrap(),
            "another home.key" => fs::write(&home, "5a".repeat(32)).unwrap(),
            _ => fs::remove_file(&home).unwrap(),
        }
        let (bad_keys, bad_home) = (fs::read(&keys).unwrap(), fs::read(&home).ok());
        // Whoever only reads says what is wrong and changes nothing.
        assert!(restore::open(&dir, SIZE_MAX_BYTES).is_err(), "{fault}");
        assert_eq!(fs::read(&keys).unwrap(), bad_keys, "{fault}");
        assert_eq!(unread::begin_anew(&dir).unwrap(), Some(dir.join("unread-1")), "{fault}");
        assert_eq!(unread::begin_anew(&dir).unwrap(), None, "{fault}: once");
        assert_eq!(fs::read(dir.join("keys.damaged")).unwrap(), bad_keys, "{fault}: kept as it was");
        if fault.starts_with("home.key is") {
            assert_eq!(fs::read(home.with_file_name("home.key.damaged")).ok(), bad_home, "{fault}");
        }
        bench.start();
        assert_eq!(bench.press("p1", 7), PublishReason::Success, "{fault}");
        let rows = bench.rows();
        let is_there = |of: &str, lane| rows.iter().any(|row| row.device == device(of) && row.lane == lane);
        assert!(is_there("p1", Lane::Life) && is_there("sealing", Lane::Technical), "{fault}: {rows:?}");
        assert!(is_there("alarm-unread-1", Lane::Life), "{fault}: somebody may have pressed just before");
        let said = unread::told(&dir);
        let culprit = if fault.contains("home.key") { "home.key" } else { "keys" };
        assert!(
            said.contains(culprit) && said.contains("keys.damaged") && said.contains("from the newest backup"),
            "{fault}: {said}"
        );
        bench.keeper = None;
        // What was right is put back, beside what is there: all is read, the new too.
        if fault.contains("home.key") {
            if home.exists() {
                fs::rename(&home, home.with_file_name("home.key.2")).unwrap();
            }
            fs::write(&home, &of_home).unwrap();
        } else {
            fs::write(&keys, &of_keys).unwrap();
        }
        assert_eq!(unread::begin_anew(&dir).unwrap(), None, "{fault}");
        assert_eq!(unread::told(&dir), "", "{fault}");
        for (folder, events) in [(dir.join("unread-1"), 3), (dir.clone(), 1)] {
            let report = reader::verify(&folder).unwrap();
            assert!(report.is_sound() && report.keys.is_none() && report.unopened.is_empty(), "{fault}: {report:?}");
            let mut found = 0;
            reader::scan(&folder, 0, |entry| {
                found += u64::from(crate::pipeline::export::line(&entry.header, entry.body)["kind"] == "event");
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(found, events, "{fault}: {}", folder.display());
        }
    }
}

#[test]
fn keys_of_an_earlier_day_stop_no_start_and_count_as_lost_until_the_right_ones_are_back() {
    use crate::journal::unread;
    let (mut bench, of_yesterday) = Bench::since_yesterday();
    bench.keeper = None;
    let dir = bench.dir().to_path_buf();
    let keys = dir.join("keys");
    let of_today = fs::read(&keys).unwrap();
    fs::write(&keys, &of_yesterday).unwrap();
    let _ = fs::remove_dir_all(restore::index_dir(&dir));
    // Whoever only reads says what is wrong and changes nothing.
    let error = restore::open(&dir, SIZE_MAX_BYTES).err().expect("a key is missing").to_string();
    assert!(error.contains("is older than the journal"), "{error}");
    assert!(!dir.join("unread-1").exists());
    drop(restore::open_to_run(&dir, SIZE_MAX_BYTES).expect("a press is heard"));
    assert_eq!(fs::read(dir.join("keys.damaged")).unwrap(), of_yesterday, "kept as it was");
    // Put back once more, as from a backup: nobody is told that all is well.
    fs::write(&keys, &of_yesterday).unwrap();
    for _ in 0..2 {
        assert_eq!(unread::begin_anew(&dir).unwrap(), None, "once");
        let said = unread::told(&dir);
        assert!(said.contains("is older than these records"), "{said}");
    }
    bench.start();
    assert_eq!(bench.press("p2", 7), PublishReason::Success);
    let rows = bench.rows();
    let is_there = |of: &str, lane| rows.iter().any(|row| row.device == device(of) && row.lane == lane);
    assert!(is_there("alarm-unread-1", Lane::Life) && is_there("sealing", Lane::Technical), "{rows:?}");
    bench.keeper = None;
    fs::write(&keys, &of_today).unwrap();
    assert_eq!(unread::begin_anew(&dir).unwrap(), None);
    assert_eq!(unread::told(&dir), "");
    for folder in [dir.join("unread-1"), dir] {
        let report = reader::verify(&folder).unwrap();
        assert!(report.is_sound() && report.keys.is_none() && report.unopened.is_empty(), "{report:?}");
    }
}

#[test]
fn what_is_put_back_for_an_old_loss_and_cannot_be_read_stops_no_journal_that_is_well() {
    use crate::journal::unread;
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.keeper = None;
    let keys = bench.dir().join("keys");
    fs::remove_file(&keys).unwrap();
    unread::begin_anew(bench.dir()).unwrap().expect("a loss");
    // Every reading of it ends with EIO.
    std::os::unix::fs::symlink("/proc/self/mem", &keys).unwrap();
    assert_eq!(unread::begin_anew(bench.dir()).unwrap(), None);
    bench.start();
    assert_eq!(bench.press("p1", 7), PublishReason::Success);
    let said = unread::told(bench.dir());
    assert!(said.contains("reading") && said.contains("journal/keys"), "{said}");
}

#[test]
fn a_journal_in_clear_is_left_to_who_opens_it() {
    let mut bench = Bench::of_two(false);
    bench.lived();
    bench.keeper = None;
    let segment = fs::read_dir(bench.dir().join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut torn = fs::read(&segment).unwrap();
    torn.extend_from_slice(b"half a rec");
    fs::write(&segment, &torn).unwrap();
    assert_eq!(crate::journal::unread::begin_anew(bench.dir()).unwrap(), None);
    let (_, opened) = Journal::open(bench.dir(), Options::default()).unwrap();
    assert_eq!(opened.cut_bytes, 10, "told once, in the record of the start");
}

#[test]
fn somebody_is_called_once_for_a_press_that_can_no_longer_be_read() {
    use crate::journal::unread;
    let called = |bench: &mut Bench, number: &str| {
        let part = device(&format!("alarm-unread-{number}"));
        bench.rows().iter().filter(|row| row.device == part).map(|row| (row.count, row.rung)).collect::<Vec<_>>()
    };
    // Nobody pressed: nobody is called.
    let mut bench = Bench::of_two(true);
    bench.publish("bed", r#"{"v":1,"restart":1,"seq":1,"event":{"bed":{"occupied":true}}}"#);
    bench.keeper = None;
    fs::remove_file(bench.dir().join("keys")).unwrap();
    unread::begin_anew(bench.dir()).unwrap().expect("a loss");
    bench.start();
    assert!(called(&mut bench, "1").is_empty() && bench.rows().iter().any(|row| row.device == device("sealing")));

    bench.press("p1", 2);
    bench.keeper = None;
    fs::remove_file(bench.dir().join("keys-2")).unwrap();
    unread::begin_anew(bench.dir()).unwrap().expect("another loss");
    bench.start();
    assert_eq!(called(&mut bench, "2"), [(1, Rung::Stored)]);
    let raise = &bench.keeper().state().alarms.newest(&device("alarm-unread-2"), "fault").unwrap().raise;
    assert!(raise.sv.contains("Ring hem eller åk dit") && raise.en.contains("Call or go there"), "{raise:?}");
    // No start tells it again, open or closed, whether or not the note of it was lost.
    bench.kill_and_start();
    let note = bench.dir().join("unread-2/newest.json");
    let noted = fs::read_to_string(&note).unwrap();
    assert!(!noted.contains("life_ms"), "{noted}");
    fs::write(&note, r#"{"wall_ms":1795000000000,"life_ms":1795000000000}"#).unwrap();
    bench.kill_and_start();
    bench.stop_and_start();
    assert_eq!(called(&mut bench, "2"), [(1, Rung::Stored)]);
    let row = bench.rows().into_iter().find(|row| row.device == device("alarm-unread-2")).unwrap();
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    bench.stop_and_start();
    assert_eq!(called(&mut bench, "2"), [(1, Rung::Closed)]);
    assert!(called(&mut bench, "1").is_empty());
}

/// The keys of this bench are lost; then whether somebody is called.
fn calls_after_a_loss(mut bench: Bench) -> bool {
    bench.keeper = None;
    fs::remove_file(bench.dir().join("keys")).unwrap();
    crate::journal::unread::begin_anew(bench.dir()).unwrap().expect("a loss");
    bench.start();
    bench.rows().iter().any(|row| row.device == device("alarm-unread-1"))
}

#[test]
fn who_may_wait_is_called_for_and_who_pressed_a_day_of_running_ago_is_not() {
    const HOUR_MS: u64 = 3_600_000;
    let bed = |bench: &mut Bench, seq: u64| {
        let event = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"bed":{{"occupied":true}}}}}}"#);
        assert_eq!(bench.publish("bed", &event), PublishReason::Success);
    };
    for (pressed_before, hours, restarts, calls) in
        [(true, 23, false, true), (true, 25, false, false), (false, 25, false, false), (true, 25, true, false)]
    {
        let mut bench = Bench::of_two(true);
        if pressed_before {
            bench.press("p1", 1);
        }
        for hour in 0..hours {
            bench.clock.advance(HOUR_MS);
            bed(&mut bench, hour + 1);
            if restarts && hour == 12 {
                bench.kill_and_start();
            }
        }
        assert_eq!(calls_after_a_loss(bench), calls, "{pressed_before} {hours} h, {restarts}");
    }
    // Stamped with the time of the last power cut, three weeks ago; then the network was there, and with it the time.
    let mut bench = Bench::of_two(true);
    bench.press("p1", 1);
    bench.clock.set_wall(bench.clock.now().wall_ms + 21 * 24 * HOUR_MS as i64);
    bench.clock.vouch(true);
    bed(&mut bench, 1);
    assert!(calls_after_a_loss(bench), "pressed just now, whatever its time says");
    // A box that was off for a month says nothing of the hours after a press.
    let mut bench = Bench::of_two(true);
    bench.press("p1", 1);
    bench.kill_and_start();
    bench.clock.advance(720 * HOUR_MS);
    bench.kill_and_start();
    assert!(calls_after_a_loss(bench), "nobody watched in between");
}

#[test]
fn a_second_trouble_beside_the_first_is_told_and_each_once() {
    let mut bench = Bench::of_two(true);
    bench.keeper = None;
    fs::remove_file(bench.dir().join("keys")).unwrap();
    crate::journal::unread::begin_anew(bench.dir()).unwrap().expect("a loss");
    bench.start();
    let told = |bench: &mut Bench| {
        let alarm = bench.keeper().state().alarms.newest(&device("sealing"), "fault").expect("told").clone();
        (alarm.count, bench.keeper().state().sealing.clone())
    };
    let (count, first) = told(&mut bench);
    assert!(count == 1 && first.contains("unread-1"), "{count} {first}");
    // What a crash left beside the new keys, and cannot be overwritten.
    let left = bench.dir().join("keys-2.old");
    fs::create_dir(&left).unwrap();
    bench.kill_and_start();
    let (count, both) = told(&mut bench);
    assert!(count == 2 && both.contains("unread-1") && both.contains("keys-2.old"), "{count} {both}");
    for seq in 1..4 {
        assert_eq!(bench.press("p1", seq), PublishReason::Success);
        bench.kill_and_start();
    }
    assert_eq!(told(&mut bench).0, 2, "each once, over any start");
    fs::remove_dir(&left).unwrap();
    bench.kill_and_start();
    assert_eq!(told(&mut bench), (3, first), "that one is over");
}

#[test]
fn a_journal_in_clear_is_sealed_once_and_then_one_can_be_erased() {
    let mut bench = Bench::of_two(false);
    bench.lived();
    bench.stop_and_start();
    let before = serde_json::to_value(bench.rows()).unwrap();
    bench.keeper = None;
    assert!(!bench.found("button").is_empty());
    let sealed = erasing::seal_old(bench.dir(), &bench.labels).expect("sealed");
    assert!(sealed.records > 8 && sealed.segments > 0, "{sealed:?}");
    // What a crash after the exchange leaves: the old records, in clear.
    fs::create_dir(bench.dir().join("segments.new")).unwrap();
    fs::write(bench.dir().join("segments.new/old"), "button resident-one").unwrap();
    bench.start();
    for word in ["resident-one", "button", "occupied", "larmcentral"] {
        assert_eq!(bench.found(word), Vec::<PathBuf>::new(), "{word}");
    }
    assert_eq!(serde_json::to_value(bench.rows()).unwrap(), before);
    assert!(reader::verify(bench.dir()).unwrap().is_sound());
    bench.keeper = None;
    assert_eq!(erasing::seal_old(bench.dir(), &bench.labels).expect("again").records, 0);
    bench.moves_out();
    bench.erase("resident-one").expect("erased");
    bench.is_erased();
}

#[test]
fn an_earlier_program_does_not_take_sealed_records_for_none() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    let segment = fs::read_dir(bench.dir().join("segments")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(segment).unwrap()[8..10], [2, 0], "the version that it says `too new` to");
}

#[test]
fn what_was_to_be_destroyed_and_cannot_be_is_told_and_the_next_press_is_taken() {
    for left in ["keys.old", "segments.new"] {
        let mut bench = Bench::of_two(true);
        bench.lived();
        bench.keeper = None;
        let path = bench.dir().join(left);
        // Neither opens for writing, or as a folder, whoever asks.
        if left == "keys.old" {
            fs::create_dir(&path).unwrap()
        } else {
            fs::write(&path, "button").unwrap()
        }
        drop(restore::open_to_run(bench.dir(), SIZE_MAX_BYTES).expect("a press is heard"));
        bench.start();
        assert_eq!(bench.press("p1", 7), PublishReason::Success, "{left}");
        let rows = bench.rows();
        assert!(rows.iter().any(|row| row.device == device("p1") && row.rung == Rung::Stored), "{left}: {rows:?}");
        assert!(rows.iter().any(|row| row.device == device("sealing")), "{left}: {rows:?}");
        assert!(bench.keeper().state().sealing.contains(left), "{}", bench.keeper().state().sealing);
        if left == "keys.old" {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        bench.kill_and_start();
        assert_eq!(bench.keeper().state().sealing, "", "{left}");
    }
}

#[test]
fn the_call_for_what_could_not_be_read_stays_and_says_what_it_was_when_the_keys_are_back() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.keeper = None;
    let keys = bench.dir().join("keys");
    let kept = fs::read(&keys).unwrap();
    fs::remove_file(&keys).unwrap();
    crate::journal::unread::begin_anew(bench.dir()).unwrap().expect("a loss");
    bench.start();
    let call = |bench: &mut Bench| {
        let state = bench.keeper().state();
        let alarm = state.alarms.newest(&device("alarm-unread-1"), "fault").expect("the call");
        (alarm.closed_by.is_none(), alarm.note.clone())
    };
    let row = bench.rows().into_iter().find(|row| row.device == device("alarm-unread-1")).expect("the call");
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    bench.kill_and_start();
    let said = call(&mut bench).1;
    assert!(call(&mut bench).0 && !said.contains("can be read again"), "not yet: {said}");
    bench.keeper = None;
    fs::write(&keys, kept).unwrap();
    crate::journal::unread::begin_anew(bench.dir()).unwrap();
    for _ in 0..2 {
        bench.start();
        let (is_open, note) = call(&mut bench);
        assert!(is_open && note.starts_with(&said), "{note}");
        for word in ["Det går att läsa igen: p2 button", "It can be read again: p2 button", "export --aside 1"] {
            assert_eq!(note.matches(word).count(), 1, "{word} once, over two starts, in {note}");
        }
        bench.keeper = None;
    }
}

#[test]
fn a_loss_whose_keys_are_back_before_anybody_was_told_is_told_all_the_same_and_once() {
    let mut bench = Bench::of_two(true);
    assert_eq!(bench.press("p2", 1), PublishReason::Success);
    bench.keeper = None;
    let (keys, away) = (bench.dir().join("keys"), bench.dir().with_file_name("keys-away"));
    fs::rename(&keys, &away).unwrap();
    // The start that found it ended before it told anybody.
    drop(restore::open_to_run(bench.dir(), SIZE_MAX_BYTES).expect("a press is heard"));
    fs::rename(&away, &keys).unwrap();
    crate::journal::unread::begin_anew(bench.dir()).unwrap();
    bench.start();
    let row = |bench: &mut Bench, of: &str| bench.rows().into_iter().find(|row| row.device == device(of));
    let call = row(&mut bench, "alarm-unread-1").expect("who pressed waits for somebody");
    assert_eq!(call.lane, Lane::Life);
    assert!(bench.keeper().state().sealing.contains("--aside 1"), "{}", bench.keeper().state().sealing);
    bench.act(&call, ActWhat::Close, "anna").expect("closed");
    for _ in 0..2 {
        bench.kill_and_start();
        let state = bench.keeper().state();
        let is_call = |alarm: &crate::rules::alarms::Alarm| alarm.raise.device == device("alarm-unread-1");
        assert!(!state.alarms.open().any(is_call), "once");
        assert_eq!(state.sealing, "");
    }
}

#[test]
fn keys_of_an_earlier_day_are_known_as_such_by_the_saved_fold_and_no_number_is_given_twice() {
    use crate::journal::unread;
    let (mut bench, of_yesterday) = Bench::since_yesterday();
    let dir = bench.dir().to_path_buf();
    let keys = dir.join("keys");
    // What comes last is another's, and the fold is saved behind it.
    assert_eq!(bench.press("p2", 7), PublishReason::Success);
    bench.keeper.take().expect("started").finish();
    let of_today = fs::read(&keys).unwrap();
    fs::write(&keys, &of_yesterday).unwrap();
    let error = restore::open(&dir, SIZE_MAX_BYTES).err().expect("a key is missing").to_string();
    assert!(error.contains("is older than the journal"), "{error}");
    drop(restore::open_to_run(&dir, SIZE_MAX_BYTES).expect("a press is heard"));
    // They open the newest of what was put aside, and do not count as its keys.
    for _ in 0..2 {
        assert_eq!(unread::begin_anew(&dir).unwrap(), None);
        assert!(unread::told(&dir).contains("is older than these records"), "{}", unread::told(&dir));
    }
    bench.start();
    assert_eq!(bench.press("p1", 8), PublishReason::Success);
    bench.keeper = None;
    fs::write(&keys, &of_today).unwrap();
    assert_eq!(unread::begin_anew(&dir).unwrap(), None);
    for folder in [dir.join("unread-1"), dir] {
        let report = reader::verify(&folder).unwrap();
        assert!(report.is_sound() && report.keys.is_none() && report.unopened.is_empty(), "{report:?}");
    }
}

#[test]
fn who_comes_back_before_their_erasure_is_finished_has_a_key_of_their_own_and_loses_nothing_new() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.moves_out();
    let blocked = bench.dir().join("keys.old");
    fs::create_dir(&blocked).unwrap();
    let why = bench.erase("resident-one").unwrap_err();
    assert!(why.contains("recorded") && why.contains("not finished"), "{why}");
    assert!(bench.keeper().state().sealing.is_empty());
    assert_eq!(bench.press("p2", 9), PublishReason::Success);
    assert!(bench.keeper().state().sealing.contains("not finished"), "people are told");
    let again = bench.erase("resident-one").unwrap_err();
    assert!(again.contains("recorded and not finished"), "{again}");
    assert_eq!(bench.keeper().restored.journal.ring().expect("keys").of("resident-one"), None, "nobody's at once");
    // The flat has its next tenant, under the same id, with the erasure still open; then there is room again.
    bench.labels = labels(BOTH);
    bench.kill_and_start();
    let doomed = bench.keeper().state().erased_keys.clone();
    let own = |bench: &mut Bench| bench.keeper().restored.journal.ring().expect("keys").of("resident-one");
    assert_eq!(own(&mut bench), None, "the one that will go is nobody's");
    fs::remove_dir(&blocked).unwrap();
    bench.clock.advance(crate::limits::AGEING_PASS_MS);
    bench.keeper().keep_house(false);
    assert!(own(&mut bench).is_some_and(|id| !doomed.contains(&id)), "{:?}", own(&mut bench));
    assert_eq!(bench.press("p1", 11), PublishReason::Success);
    assert_eq!(bench.keeper().state().sealing, "", "all is well again");
    let pressed = |bench: &mut Bench| {
        let (mut read, mut gone) = (0, 0);
        reader::scan(bench.dir(), 0, |entry| {
            let line = crate::pipeline::export::line(&entry.header, entry.body);
            read += u32::from(line["device"] == "p1" && line["seq"] == 11);
            gone += u32::from(entry.header.kind == crate::journal::record::Kind::Gone as u8);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        (read, gone > 0)
    };
    assert_eq!(pressed(&mut bench), (1, true), "the new one's is there, the old one's is gone");
    let _ = fs::remove_dir_all(restore::index_dir(bench.dir()));
    bench.kill_and_start();
    assert_eq!(pressed(&mut bench), (1, true));
    assert!(bench.rows().iter().any(|row| row.device == device("p1")), "and their alarm is open");
}

#[test]
fn a_second_loss_takes_no_name_of_the_first_whose_folder_a_person_has_removed() {
    use crate::journal::unread;
    let mut bench = Bench::of_two(true);
    bench.lived();
    bench.keeper = None;
    let dir = bench.dir().to_path_buf();
    fs::remove_file(dir.join("keys")).unwrap();
    assert_eq!(unread::begin_anew(&dir).unwrap(), Some(dir.join("unread-1")));
    bench.start();
    assert_eq!(bench.press("p2", 5), PublishReason::Success);
    bench.keeper = None;
    fs::remove_dir_all(dir.join("unread-1")).unwrap();
    let second = fs::read(dir.join("keys-2")).unwrap();
    // Kept aside already, when the power went.
    fs::rename(dir.join("keys-2"), dir.join("keys-2.damaged")).unwrap();
    assert_eq!(unread::begin_anew(&dir).unwrap(), Some(dir.join("unread-2")));
    assert!(dir.join("keys-3").exists() && !dir.join("keys-2").exists());
    let said = unread::told(&dir);
    assert!(said.contains("keys-2"), "{said}");
    fs::write(dir.join("keys-2"), &second).unwrap();
    unread::begin_anew(&dir).unwrap();
    let last = unread::last_life(&dir, "2").unwrap().expect("the press");
    assert_eq!(crate::pipeline::export::line(&last.header, &last.body)["device"], "p2");
}

#[test]
fn records_that_the_whole_reading_finds_closed_are_told_with_how_many() {
    let mut bench = Bench::of_two(true);
    bench.lived();
    let ask = |unopened: Vec<u64>| Input::Ask(Ask::Damaged { records: 9, found: Vec::new(), unopened });
    bench.keeper().run_batch(&mut vec![ask(Vec::new())]);
    assert!(!bench.keeper().state().fault_is_active("journal-damaged"));
    bench.keeper().run_batch(&mut vec![ask(vec![3, 5, 8])]);
    assert!(bench.rows().iter().any(|row| row.device == device("journal-damaged")));
    let mut details = Vec::new();
    reader::scan(bench.dir(), 0, |entry| {
        let line = crate::pipeline::export::line(&entry.header, entry.body);
        details.extend(line["detail"].as_str().map(str::to_owned));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(details.last().map(String::as_str), Some("3 records between 3 and 8: their keys do not open them"));
}
