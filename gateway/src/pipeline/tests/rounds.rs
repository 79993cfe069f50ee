//! The round as the keeper shows it, and signatures that survive a kill.

use jiff::tz::TimeZone;
use vaka_board::gateway::{Night, RoundItem, RoundState};

use super::*;
use crate::board::round;
use crate::config::Config;
use crate::pipeline::keeper::NotSigned;
use crate::rules::care::signed::{Refusal, Wish};

/// A night that has begun, with a look-in an hour from now. The bed has never been entered.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let now = crate::rules::care::when::local(&TimeZone::UTC, bench.clock.now().wall_ms);
    let at = |minutes: i64| {
        let time = now.time().wrapping_add(jiff::Span::new().minutes(minutes));
        time.strftime("%H:%M").to_string()
    };
    let text = format!(
        "[gateway]\nid = \"gw-1\"\ntime_zone = \"Etc/UTC\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[resident]]\nid = \"r1\"\n\
         [resident.night]\nfrom = \"{}\"\nuntil = \"{}\"\nrounds = [{{ at = \"{}\", latest = \"{}\" }}]\n\
         [[device]]\nid = \"bed\"\nkind = \"bed-sensor\"\nresident = \"r1\"\n",
        at(-10),
        at(300),
        at(60),
        at(120)
    );
    let (config, _) = Config::parse(text.as_bytes(), Path::new("vaka.toml")).unwrap();
    bench.agreed = config.agreed.clone();
    bench.kill_and_start();
    bench
}

impl Bench {
    pub(super) fn pass_min(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.clock.advance(60_000);
            self.keeper().run_batch(&mut Vec::new());
        }
    }

    /// How many records of this kind are on the disk.
    pub(super) fn records(&self, kind: u8) -> usize {
        let mut count = 0;
        let scan = crate::journal::reader::scan(self.dir(), 0, |entry| {
            count += usize::from(entry.header.kind == kind);
            std::ops::ControlFlow::Continue(())
        });
        scan.map(|_| count).expect("the journal is read")
    }

    fn night(&mut self) -> Night {
        let (reply, mut answer) = oneshot::channel();
        let look = Ask::See(Box::new(move |keeper: &Keeper| {
            let _ = reply.send(round::night(keeper, None));
        }));
        self.keeper().run_batch(&mut vec![Input::Ask(look)]);
        answer.try_recv().expect("a night")
    }

    pub(super) fn sign(&mut self, planned_at: Option<i64>, by: &str) -> Result<(), NotSigned> {
        let (reply, mut answer) = oneshot::channel();
        let wish = Wish::Visit { resident: "r1".into(), planned_at, note: "sov".into() };
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Sign { wish, by: by.into(), reply })]);
        answer.try_recv().expect("an answer")
    }
}

fn look_in(night: &Night) -> &RoundItem {
    night.round.iter().find(|item| item.form == "look-in").expect("a look-in")
}

#[test]
fn a_look_in_goes_from_next_to_visit_to_visited_and_stays_so_after_a_kill() {
    let mut bench = bench();
    let night = bench.night();
    assert_eq!(night.round.len(), 1);
    assert_eq!((night.round[0].state, night.round[0].form.as_str()), (RoundState::Next, "look-in"));
    let planned_at = night.round[0].planned_at;
    bench.pass_min(61);
    // The bed has never been heard: somebody is asked to see to that, beside the look-in.
    assert_eq!(look_in(&bench.night()).state, RoundState::Due);
    bench.pass_min(45);
    let asked = bench.night();
    let asked = look_in(&asked);
    assert_eq!(asked.state, RoundState::Visit, "{asked:?}");
    let alarm = asked.alarm.clone().expect("an alarm that asks for it");
    bench.sign(Some(planned_at), "anna").unwrap();
    bench.sign(Some(planned_at), "anna").expect("the same signature again is no error");
    let refused = bench.sign(Some(planned_at), "bo").unwrap_err();
    assert!(matches!(refused, NotSigned::Refused(Refusal::Conflict(_))), "{refused}");
    for restart in ["none", "kill", "stop"] {
        match restart {
            "kill" => bench.kill_and_start(),
            "stop" => bench.stop_and_start(),
            _ => {}
        }
        let night = bench.night();
        let item = look_in(&night);
        assert_eq!((item.state, item.by.as_deref()), (RoundState::Visited, Some("anna")), "{restart}: {item:?}");
        assert!(item.said.sv.starts_with("anna var där") && item.said.sv.ends_with("sov"), "{item:?}");
        assert!(night.people[0].marks.iter().any(|mark| mark.said.en.starts_with("anna was here")), "{night:?}");
        let row = bench.rows().into_iter().find(|row| row.id.as_ref() == alarm).expect("the alarm");
        assert_eq!((row.rung, row.outcome), (Rung::Closed, Some(CloseOutcome::Helped)), "{restart}");
    }
    let records = bench.records(31);
    assert_eq!(records, 1, "signed once");
}

#[test]
fn the_night_shows_when_somebody_was_in_bed_and_how_often_up() {
    let mut bench = bench();
    let bed = |bench: &mut Bench, seq: u64, on: bool| {
        let payload = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"bed":{{"occupied":{on}}}}}}}"#);
        assert_eq!(bench.publish("bed", &payload), PublishReason::Success);
    };
    let start_ms = bench.clock.now().wall_ms;
    bed(&mut bench, 1, true);
    bench.pass_min(10);
    bed(&mut bench, 2, false);
    bench.pass_min(5);
    bed(&mut bench, 3, true);
    bench.pass_min(5);
    let minute = |minutes: i64| start_ms + minutes * 60_000;
    let person = bench.night().people.remove(0);
    assert_eq!(person.in_bed.last(), Some(&(minute(15), None)), "{person:?}");
    assert_eq!(person.in_bed[0].1, Some(minute(10)));
    assert!(person.said.en.starts_with("In bed since") && person.said.en.contains("Up 1 time"), "{person:?}");
}
