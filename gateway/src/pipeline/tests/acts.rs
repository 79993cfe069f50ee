//! What people do with an alarm: taken over, handed over, escalated; and the chain of who read and did what.

use tokio::sync::oneshot;
use vaka_protocol::Rung;

use super::Bench;
use crate::dispatch::Report;
use crate::journal::format::{self, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentStart};
use crate::journal::reader;
use crate::journal::record::{Act, ActWhat, JoinWhat, Trace};
use crate::pipeline::follow::Touched;
use crate::pipeline::keeper::{Ask, Input};
use crate::pipeline::view::AlarmRow;

impl Bench {
    fn act_with(&mut self, row: &AlarmRow, what: ActWhat, by: &str, other: Option<&str>) -> Result<AlarmRow, String> {
        let (reply, mut answer) = oneshot::channel();
        let other = other.map(str::to_owned);
        let act = Act { other, ..Act::new(row.id.clone(), what, by.into(), "kom".into()) };
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Act { act, reply })]);
        answer.try_recv().expect("an answer")
    }

    fn trace(&mut self, person: &str, act: &str) -> Result<(), String> {
        let (reply, mut answer) = oneshot::channel();
        let word = |text: &str| text.to_owned();
        let trace = Trace {
            person: word(person),
            role: word("staff"),
            session: word("0011aabb"),
            act: word(act),
            object: word("resident r1"),
            purpose: String::new(),
            resident: Some(word("r1")),
            at: 0,
            before: Vec::new(),
        };
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Traces { traces: vec![trace], reply })]);
        answer.try_recv().expect("an answer")
    }

    /// Numbers of what is owed, as a restart reads it.
    fn owed_notices(&mut self) -> Vec<(u32, Option<JoinWhat>)> {
        self.keeper().state().alarms.owed().map(|(_, notice)| (notice.number, notice.what)).collect()
    }
}

#[test]
fn an_alarm_that_is_handed_over_waits_for_somebody_again_and_is_told_again() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    let why = bench.act_with(&row, ActWhat::HandOver, "anna", None).expect_err("nobody has it");
    assert!(why.contains("nothing to hand over"), "{why}");
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    let why = bench.act_with(&row, ActWhat::HandOver, "bo", None).expect_err("it is anna's");
    assert!(why.contains("anna's"), "{why}");
    assert_eq!(bench.owed_notices(), []);

    let open = bench.act_with(&row, ActWhat::HandOver, "anna", Some("bo")).expect("handed over");
    assert_eq!((open.rung, open.count), (Rung::Stored, 1), "open again, and not pressed again");
    for _ in 0..2 {
        // Only the new telling is owed, also after a power cut: what was told before it is settled.
        assert_eq!(bench.owed_notices(), [(1, Some(JoinWhat::HandedOver))]);
        let told = bench.keeper().state().alarms.get(&row.id).and_then(|alarm| alarm.notice(1).cloned()).expect("told");
        let (sv, en) = *told.words.expect("words");
        assert!(
            sv.starts_with("Lämnat över av anna till bo. kom.") && en.starts_with("Handed over by anna to bo."),
            "{sv}"
        );
        bench.kill_and_start();
    }
    assert_eq!(bench.act(&row, ActWhat::Claim, "bo").expect("bo takes it").rung, Rung::Claimed);
    assert_eq!(bench.owed_notices(), []);
}

#[test]
fn an_alarm_is_taken_over_only_by_naming_who_has_it() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    for from in [None, Some("cilla")] {
        let why = bench.act_with(&row, ActWhat::Claim, "bo", from).expect_err("it is anna's");
        assert!(why.contains("taken by anna"), "{why}");
    }
    bench.act_with(&row, ActWhat::Claim, "bo", Some("anna")).expect("taken over");
    let by = |bench: &mut Bench| bench.keeper().state().alarms.get(&row.id).and_then(|alarm| alarm.claimed_by.clone());
    assert_eq!(by(&mut bench).as_deref(), Some("bo"));
    bench.kill_and_start();
    assert_eq!(by(&mut bench).as_deref(), Some("bo"));
}

#[test]
fn more_help_is_asked_of_everybody_at_once_whether_somebody_has_it_or_not() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.act_with(&row, ActWhat::Escalate, "anna", None).expect("escalated");
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    bench.act_with(&row, ActWhat::Escalate, "anna", None).expect("escalated again");
    let keeper = bench.keeper();
    let alarm = keeper.state().alarms.get(&row.id).expect("open");
    let sent: Vec<bool> =
        alarm.notices.iter().map(|notice| super::super::view::notice(alarm, notice, keeper.labels()).to_all).collect();
    assert_eq!(sent, [false, true, true]);
    assert_eq!(alarm.rung(), Rung::Stored);
    // A word about the first call says nothing about the one that is out now.
    let (alarm, act, by) = (row.id.clone(), ActWhat::Close, "centre".to_owned());
    bench.keeper().run_batch(&mut vec![Input::Report(Report::Person { alarm, notice: 0, act, by })]);
    assert_eq!(bench.rows().remove(0).rung, Rung::Stored);
}

#[test]
fn a_note_changes_nothing_else() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    let noted = bench.act_with(&row, ActWhat::Note, "bo", None).expect("noted");
    assert_eq!(noted.rung, Rung::Claimed);
    let alarm = bench.keeper().state().alarms.get(&row.id).expect("open").clone();
    assert_eq!((alarm.note.as_str(), alarm.claimed_by.as_deref(), alarm.notices.len()), ("kom", Some("anna"), 1));
}

#[test]
fn who_read_what_is_a_chain_that_goes_on_over_restarts_and_shows_where_a_line_was_changed() {
    let mut bench = Bench::new();
    for (person, act) in [("anna", "read-resident"), ("bo", "read-name")] {
        bench.trace(person, act).expect("written");
    }
    bench.kill_and_start();
    bench.trace("cilla", "claim").expect("written");
    bench.stop_and_start();
    bench.trace("anna", "log-out").expect("written");
    let sound = reader::verify(bench.dir()).expect("readable");
    assert_eq!((sound.traces.count, sound.traces.broken.len(), sound.is_sound()), (4, 0, true));

    // Somebody with the disk in hand writes another name, and a checksum that fits.
    bench.keeper = None;
    forge(bench.dir(), "cilla", "klara");
    let forged = reader::verify(bench.dir()).expect("readable");
    assert!(forged.damage.is_empty(), "the record itself is whole: {:?}", forged.damage);
    assert_eq!((forged.traces.count, forged.traces.broken.len(), forged.is_sound()), (4, 1, false));
}

/// Puts one word in another's place in the only record that has it, of the same length, with its checksum made again.
fn forge(dir: &std::path::Path, word: &str, other: &str) {
    assert_eq!(word.len(), other.len());
    let mut seen = 0;
    for file in std::fs::read_dir(dir.join("segments")).expect("segments").flatten() {
        let mut bytes = std::fs::read(file.path()).expect("readable");
        let Some(at) = bytes.windows(word.len()).position(|window| window == word.as_bytes()) else { continue };
        bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
        let SegmentStart::Valid(header) = SegmentHeader::decode(&bytes) else { panic!("a segment") };
        format::seal(&mut bytes[SEGMENT_HEADER_BYTES..], header.salt);
        std::fs::write(file.path(), bytes).expect("writable");
        seen += 1;
    }
    assert_eq!(seen, 1, "one record has it");
}

#[test]
fn whoever_follows_hears_of_what_has_changed_after_its_commit_and_not_of_telemetry() {
    let mut bench = Bench::new();
    let (sender, heard) = std::sync::mpsc::channel();
    bench.keeper().follow_with(Box::new(move |keeper, touched: &Touched| {
        let rungs: Vec<Rung> =
            touched.alarms.iter().filter_map(|id| keeper.state().alarms.get(id)).map(|alarm| alarm.rung()).collect();
        let _ = sender.send(rungs);
    }));
    bench.publish("bed", r#"{"v":1,"restart":1,"seq":1,"event":{"bed":{"occupied":true}}}"#);
    bench.press("p1", 1);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Claim, "anna").expect("claimed");
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [[Rung::Stored], [Rung::Claimed], [Rung::Closed]]);
}
