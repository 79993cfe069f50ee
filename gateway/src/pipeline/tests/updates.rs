//! What an update asks of the keeper: a test alarm of the gateway's own, what goes on, and a journal that a newer program wrote in.

use vaka_update::policy::Scene;

use super::*;
use crate::journal::format::{RecordHeader, SegmentHeader, SegmentStart, seal};
use crate::pipeline::export;

impl Bench {
    fn prove(&mut self) -> AlarmId {
        let (reply, mut answer) = oneshot::channel();
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Prove { version: "0.2.0".to_owned(), reply })]);
        answer.try_recv().expect("an answer")
    }

    fn rung(&mut self, alarm: &AlarmId, rung: Rung, last: bool) {
        let report = Report::Rung {
            alarm: alarm.clone(),
            notice: 0,
            rung,
            receiver: "lc".to_owned(),
            path: "tcp".to_owned(),
            detail: String::new(),
            last,
        };
        self.keeper().run_batch(&mut vec![Input::Report(report)]);
    }

    fn scene(&mut self) -> Scene {
        self.keeper().scene(true)
    }
}

#[test]
fn a_programs_own_test_is_an_alarm_in_the_lane_test_and_another_each_time() {
    let mut bench = Bench::new();
    let first = bench.prove();
    let second = bench.prove();
    assert_ne!(first, second);
    let raise = bench.keeper().state().alarms.get(&first).expect("raised").raise.clone();
    assert_eq!((raise.lane, raise.rule.as_str(), raise.stc), (Lane::Test, "update", 102));
    assert_eq!(bench.keeper().is_accepted(&first), Some(false));
    bench.rung(&first, Rung::Received, false);
    assert_eq!(bench.keeper().is_accepted(&first), Some(false), "it has arrived, and nobody has taken it");
    bench.rung(&first, Rung::Accepted, false);
    assert_eq!(bench.keeper().is_accepted(&first), Some(true));
    // A webhook can prove no more.
    bench.rung(&second, Rung::Received, true);
    assert_eq!(bench.keeper().is_accepted(&second), Some(true));
    bench.kill_and_start();
    assert_eq!(bench.keeper().is_accepted(&first), Some(true));
    let mut own = vec![first, second];
    own.sort();
    assert_eq!(bench.keeper().own_tests(), own, "whoever comes after it ends them");
    assert_eq!(bench.scene().life.len(), 0);
}

#[test]
fn an_open_life_alarm_is_seen_and_whether_somebody_has_it() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let life = bench.scene().life;
    assert!(life.len() == 1 && !life[0].settled);
    let now_ms = bench.clock.now().wall_ms;
    assert_eq!(life[0].newest_ms, now_ms);
    let alarm = bench.keeper().state().alarms.open().next().expect("raised").id().clone();
    bench.rung(&alarm, Rung::Accepted, true);
    assert!(bench.scene().life[0].settled);
    bench.clock.advance(60_000);
    // Pressed again: told again, and owed again.
    bench.press("p1", 2);
    let life = bench.scene().life;
    assert!(!life[0].settled && life[0].newest_ms > now_ms);
}

/// The program before meets what the newer one wrote: kinds of records that it does not know are left out of its fold, and stay.
#[test]
fn a_record_of_a_kind_that_came_later_is_left_alone() {
    const LATER: u8 = 200;
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let stat = bench.keeper().restored.journal.stat();
    let (next, boot) = (stat.next_seq, bench.keeper().restored.boot());
    bench.keeper = None;
    let segments = std::fs::read_dir(bench.dir().join("segments")).unwrap();
    let path = segments.flatten().map(|entry| entry.path()).max().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let SegmentStart::Valid(header) = SegmentHeader::decode(&bytes) else { panic!("a whole segment") };
    let body = b"\xa1\x61x\x01";
    let record = RecordHeader {
        length: body.len() as u32,
        kind: LATER,
        lane: Lane::Technical as u8,
        flags: 0,
        key_id: 0,
        seq: next,
        mono_ms: 0,
        wall_ms: 1_795_000_000_000,
        boot,
        body_crc: 0,
    };
    let mut record = record.encode_unsealed().to_vec();
    record.extend_from_slice(body);
    seal(&mut record, header.salt);
    bytes.extend_from_slice(&record);
    std::fs::write(&path, bytes).unwrap();

    bench.start();
    assert_eq!(bench.keeper().state().alarms.open().filter(|alarm| alarm.raise.lane == Lane::Life).count(), 1);
    let kept = bench.keeper().restored.journal.read(next).unwrap().expect("it is there");
    assert_eq!((kept.header.kind, kept.body.as_slice()), (LATER, &body[..]));
    assert_eq!(export::line(&kept.header, &kept.body)["kind"], "unreadable");
    assert_eq!(bench.press("p1", 2), PublishReason::Success, "and the work goes on behind it");
    bench.kill_and_start();
    assert_eq!(bench.keeper().state().alarms.open().next().map(|alarm| alarm.count), Some(2));
}

/// Gone back from and taken again: what the older program saved meanwhile knows nothing of the newer one's records.
#[test]
fn a_fold_that_an_older_program_saved_is_made_anew() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    bench.stop_and_start();
    assert_eq!(bench.keeper().restored.replayed, 0, "its own is believed");
    bench.press("p1", 2);
    bench.keeper().restored.state.folded_by = restore::FOLD - 1;
    bench.stop_and_start();
    assert!(bench.keeper().restored.replayed > 0);
    assert_eq!(bench.keeper().state().alarms.open().next().map(|alarm| alarm.count), Some(2));
}

/// The same of a checkpoint, which stands in the journal for good.
#[test]
fn a_checkpoint_of_an_older_program_takes_nothing_from_a_fold_that_is_whole() {
    let mut bench = Bench::new();
    bench.press("p1", 1);
    let older = crate::pipeline::fold::State { folded_by: restore::FOLD - 1, ..Default::default() };
    let bytes = minicbor_serde::to_vec(&older).unwrap();
    let checkpoint = Record::Checkpoint(serde_bytes::ByteBuf::from(bytes));
    let clock = crate::clock::ManualClock::new(1_795_000_000_000);
    let restored = &mut bench.keeper().restored;
    let header = restored.append(&checkpoint, Lane::Technical, &clock);
    restored.journal.commit().unwrap();
    restored.state.cursor = header.seq;
    restored.state.folded_by = restore::FOLD - 1;
    bench.stop_and_start();
    assert!(bench.keeper().restored.replayed > 0, "nothing that was saved is believed");
    assert_eq!(bench.press("p1", 2), PublishReason::Success);
    assert_eq!(bench.keeper().state().alarms.open().next().map(|alarm| alarm.count), Some(2));
}

#[test]
fn what_nobody_can_read_any_more_is_known_from_an_older_programs_checkpoint() {
    for is_over in [false, true] {
        let mut bench = Bench::new();
        let older = crate::pipeline::fold::State { folded_by: restore::FOLD - 1, trace: vec![7], ..Default::default() };
        let bytes = minicbor_serde::to_vec(&older).unwrap();
        let clock = crate::clock::ManualClock::new(1_795_000_000_000);
        let restored = &mut bench.keeper().restored;
        // As the reader hands out what is gone: with the days that it was kept, or without where somebody was erased.
        let body: &[u8] = if is_over { &[3] } else { &[] };
        let stamp = crate::journal::Stamp { mono_ms: 1, wall_ms: 1_795_000_000_000 };
        restored.journal.append_raw(crate::journal::record::Kind::Gone as u8, Lane::Telemetry as u8, 0, stamp, body);
        let checkpoint = Record::Checkpoint(serde_bytes::ByteBuf::from(bytes));
        let header = restored.append(&checkpoint, Lane::Technical, &clock);
        restored.journal.commit().unwrap();
        restored.state.cursor = header.seq;
        restored.state.folded_by = restore::FOLD - 1;
        bench.stop_and_start();
        assert_eq!(bench.keeper().state().trace == [7], is_over);
    }
}
