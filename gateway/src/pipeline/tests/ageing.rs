//! Retention by class: what is over its days is read by nobody, nothing younger goes, an open alarm stays whole, and no clock empties a journal.

use std::collections::BTreeMap;

use super::*;
use crate::journal::reader;
use crate::journal::record::Kind;
use crate::limits::{AGEING_PASS_MS, CLOCK_EVEN_MS, CLOCK_STEADY_MS};
use crate::pipeline::ageing::{held_by, period_days};
use crate::pipeline::class::{Class, Days};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

impl Bench {
    /// Sealed, with these days, under a clock that a time source vouches for.
    fn keeping(days: &[(Class, u32)]) -> Bench {
        let mut bench = Bench::new();
        bench.keeper = None;
        std::fs::remove_dir_all(bench.dir()).unwrap();
        std::fs::create_dir_all(bench.dir()).unwrap();
        vaka_seal::Ring::open_or_make(bench.dir()).unwrap();
        bench.labels.kept = days.iter().copied().collect();
        bench.clock.vouch(true);
        bench.start();
        bench
    }

    /// Time goes by as in a running gateway, and what is due is done.
    fn days_pass(&mut self, days: i64) {
        let steps = days * DAY_MS / AGEING_PASS_MS as i64;
        for _ in 0..steps {
            self.clock.advance(AGEING_PASS_MS);
            self.keeper().keep_house(false);
        }
    }

    fn bed(&mut self, seq: u64) {
        let event = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"bed":{{"occupied":true}}}}}}"#);
        assert_eq!(self.publish("bed", &event), PublishReason::Success);
    }

    /// Wall times of what can be read on this disk with all keys that are left, by lane; and of what is gone.
    fn readable(&self) -> (BTreeMap<u8, Vec<i64>>, BTreeMap<u8, Vec<i64>>) {
        let (mut read, mut gone) = (BTreeMap::<u8, Vec<i64>>::new(), BTreeMap::<u8, Vec<i64>>::new());
        reader::scan(self.dir(), 0, |entry| {
            let kinds = [Kind::Event as u8, Kind::Gone as u8, Kind::Decisions as u8, Kind::Act as u8, Kind::Rung as u8];
            if kinds.contains(&entry.header.kind) {
                let to = if entry.header.kind == Kind::Gone as u8 { &mut gone } else { &mut read };
                to.entry(entry.header.lane).or_default().push(entry.header.wall_ms);
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let report = reader::verify(self.dir()).unwrap();
        assert!(report.is_sound() && report.keys.is_none(), "{report:?}");
        (read, gone)
    }

    fn wall_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }
}

#[test]
fn telemetry_goes_after_its_days_and_slack_and_what_has_no_time_or_more_of_it_stays() {
    let mut bench = Bench::keeping(&[(Class::Telemetry, 10)]);
    let written_at = bench.wall_ms();
    bench.bed(1);
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    bench.days_pass(10);
    assert!(bench.readable().0[&(Lane::Telemetry as u8)].contains(&written_at), "its days are not over");
    bench.days_pass(i64::from(period_days(10)) + 1);
    let (read, gone) = bench.readable();
    assert!(read.get(&(Lane::Telemetry as u8)).is_none_or(|at| !at.contains(&written_at)), "{read:?}");
    assert!(gone[&(Lane::Telemetry as u8)].contains(&written_at));
    assert!(read[&(Lane::Life as u8)].contains(&written_at), "what has no time stays");
    // The gateway starts from it, also without its saved fold, and judges nothing again.
    let alarms = bench.rows().len();
    std::fs::remove_dir_all(bench.dir().join("index")).ok();
    bench.kill_and_start();
    assert_eq!(bench.rows().len(), alarms);
    let exported: Vec<_> = {
        let mut lines = Vec::new();
        reader::scan(bench.dir(), 0, |entry| {
            lines.push(crate::pipeline::export::line(&entry.header, entry.body));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        lines
    };
    assert!(exported.iter().any(|line| line["kind"] == "gone" && line["kept_days"] == 10), "how long is said");
    assert!(exported.iter().any(|line| line["kind"] == "aged" && line["periods"][0]["class"] == "telemetry"));
    // Who counts those days hears that something is missing.
    let days = crate::report::last_days(bench.dir(), &bench.agreed).unwrap().expect("days");
    let figures = crate::report::read(bench.dir(), &bench.agreed, "gw-1", days).unwrap();
    assert_eq!((figures.gone, figures.damaged), (2, 0), "the event, and what was decided of it");
}

#[test]
fn an_alarm_that_is_still_open_stays_readable_with_the_day_before_it_until_it_is_closed() {
    let mut bench = Bench::keeping(&[(Class::Life, 3), (Class::Telemetry, 3), (Class::Care, 3), (Class::Technical, 3)]);
    bench.bed(1);
    let before = bench.wall_ms();
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    bench.days_pass(30);
    let (read, gone) = bench.readable();
    assert!(read[&(Lane::Life as u8)].contains(&before) && read[&(Lane::Telemetry as u8)].contains(&before));
    assert!(gone.is_empty(), "{gone:?}");
    assert!(held_by(bench.keeper().state(), "telemetry", 0).is_some());
    bench.kill_and_start();
    let row = bench.rows().remove(0);
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    bench.days_pass(30);
    let (read, gone) = bench.readable();
    assert!(!read.get(&(Lane::Life as u8)).is_some_and(|at| at.contains(&before)), "{read:?}");
    assert!(gone[&(Lane::Life as u8)].contains(&before));
}

#[test]
fn an_open_alarm_of_equipment_holds_its_own_lane_alone() {
    let mut bench = Bench::keeping(&[(Class::Telemetry, 3), (Class::Technical, 3)]);
    let written_at = bench.wall_ms();
    bench.bed(1);
    let battery = r#"{"v":1,"restart":1,"seq":1,"event":{"battery":{"percent":9,"low":true}}}"#;
    assert_eq!(bench.publish("p1", battery), PublishReason::Success);
    assert!(held_by(bench.keeper().state(), "telemetry", 0).is_none());
    assert!(held_by(bench.keeper().state(), "technical", written_at).is_some());
    // It may stay open for months: what was before it goes all the same, at a hub too, where one always is.
    assert!(held_by(bench.keeper().state(), "technical", written_at - 2 * DAY_MS).is_none());
    bench.days_pass(30);
    let (read, gone) = bench.readable();
    assert!(gone[&(Lane::Telemetry as u8)].contains(&written_at), "{gone:?}");
    assert!(read[&(Lane::Technical as u8)].contains(&written_at), "{read:?}");
}

#[test]
fn at_a_hub_an_alarm_of_a_home_holds_from_the_day_before_it_and_elsewhere_all() {
    let mut bench = Bench::new();
    let at = bench.wall_ms();
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    assert!(held_by(bench.keeper().state(), "telemetry", at - 30 * DAY_MS).is_some());
    let row = bench.rows().remove(0);
    let told = bench.keeper().state().alarms.get(&row.id).unwrap().raise.clone();
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    // As a home's that its hub was told of.
    let home = serde_json::from_value(serde_json::json!({"alarm": row.id, "number": 1, "count": 1})).unwrap();
    let raise = crate::journal::record::Raise { alarm: "other".try_into().unwrap(), home: Some(home), ..told };
    let state = &mut bench.keeper().restored.state;
    state.alarms.apply_raise(&raise, at, &mut Vec::new());
    assert!(held_by(state, "telemetry", at).is_some());
    assert!(held_by(state, "telemetry", at - DAY_MS).is_none());
}

#[test]
fn a_clock_that_is_unsure_or_has_just_jumped_destroys_nothing() {
    let mut bench = Bench::keeping(&[(Class::Telemetry, 3)]);
    for seq in 1..=5 {
        bench.bed(seq);
        bench.days_pass(1);
    }
    let gone = |bench: &Bench| bench.readable().1.values().map(Vec::len).sum::<usize>();
    let before = gone(&bench);
    bench.clock.vouch(false);
    bench.days_pass(60);
    assert_eq!(gone(&bench), before, "nobody vouches for it");
    bench.clock.vouch(true);
    bench.clock.set_wall(bench.wall_ms() + 3_650 * DAY_MS);
    for _ in 0..CLOCK_STEADY_MS / CLOCK_EVEN_MS - 2 {
        bench.clock.advance(CLOCK_EVEN_MS);
        bench.keeper().keep_house(false);
    }
    assert_eq!(gone(&bench), before, "it has to go evenly first");
    let classes_gone = |bench: &mut Bench| {
        let ring = bench.keeper().restored.journal.ring().unwrap();
        ring.periods().values().filter(|period| period.is_gone()).count()
    };
    let count = classes_gone(&mut bench);
    for _ in 0..4 {
        bench.clock.advance(CLOCK_EVEN_MS);
        bench.keeper().keep_house(false);
    }
    assert!(classes_gone(&mut bench) <= count + 1, "one period of a class in a pass");
}

#[test]
fn an_alarm_that_was_raised_while_the_clock_ran_ahead_keeps_what_was_recorded_before_it() {
    let mut bench = Bench::keeping(&[(Class::Life, 3), (Class::Telemetry, 3)]);
    let before = bench.wall_ms();
    bench.bed(1);
    bench.clock.vouch(false);
    bench.clock.set_wall(before + 3_650 * DAY_MS);
    assert_eq!(bench.press("p1", 1), PublishReason::Success);
    bench.clock.set_wall(before);
    bench.clock.vouch(true);
    bench.days_pass(30);
    let (read, gone) = bench.readable();
    assert!(read[&(Lane::Telemetry as u8)].contains(&before) && gone.is_empty(), "{gone:?}");
}

#[test]
fn a_record_from_a_wrong_year_makes_no_periods_without_end_and_keeps_nothing_for_years() {
    let mut bench = Bench::keeping(&[(Class::Telemetry, 3)]);
    let begun_at = bench.wall_ms();
    bench.clock.vouch(false);
    bench.clock.set_wall(begun_at + 3_650 * DAY_MS);
    bench.bed(1);
    bench.kill_and_start();
    bench.clock.set_wall(begun_at);
    bench.clock.vouch(true);
    bench.kill_and_start();
    let before = bench.wall_ms();
    bench.bed(2);
    bench.days_pass(20);
    let ring = bench.keeper().restored.journal.ring().unwrap();
    assert!(ring.periods().len() <= 22, "a day each: {}", ring.periods().len());
    let (read, gone) = bench.readable();
    assert!(gone[&(Lane::Telemetry as u8)].contains(&before), "{gone:?}");
    assert!(
        !read.get(&(Lane::Telemetry as u8)).is_some_and(|at| at.contains(&(begun_at + 3_650 * DAY_MS))),
        "{read:?}"
    );
}

#[test]
fn what_is_remembered_of_records_goes_with_them() {
    use crate::journal::record::{Aged, AgedPeriod, Look, LookAsked, LookStep, Signed, SignedWhat};
    let mut bench = Bench::keeping(&[(Class::Telemetry, 3), (Class::Care, 3), (Class::Life, 3)]);
    // On the way home, and there two hours later; then it is silent.
    let now = bench.wall_ms();
    for (seq, at, lat_e7) in [(1, now - 7_200_000, 593_390_000), (4, now, 593_293_000)] {
        let position = format!(
            r#"{{"v":1,"restart":1,"seq":{seq},"at":{at},"event":{{"position":{{"lat_e7":{lat_e7},"lon_e7":180686000}}}}}}"#
        );
        assert_eq!(bench.publish("p1", &position), PublishReason::Success);
    }
    let pulse = r#"{"v":1,"restart":1,"seq":2,"event":{"vital":{"kind":"heart_rate","value":"61","unit":"1/min"}}}"#;
    assert_eq!(bench.publish("p1", pulse), PublishReason::Success);
    let what = SignedWhat::Visit { planned_at: None, settles: None };
    let signed = Signed { resident: "r1".into(), by: "anna".into(), note: "hade ont".into(), what };
    bench.keeper().append(Record::Signed(signed), Lane::Care);
    let asked = LookAsked {
        by: Some("anna".into()),
        purpose: "look-in".into(),
        slot: None,
        alarm: None,
        clear: false,
        look_ms: 5_000,
        light: device("p2"),
        sound: false,
        ends_at: bench.wall_ms() + 60_000,
    };
    let step = |step| Record::Look(Look { resident: "r1".into(), camera: device("p2"), step });
    let look = bench.keeper().append(step(LookStep::Asked(Box::new(asked))), Lane::Care).seq;
    let ended = LookStep::Ended { look, shown_ms: 5_000, why: "done".into() };
    bench.keeper().append(step(ended), Lane::Care);
    bench.keeper().commit();
    let remembered = |bench: &mut Bench| {
        let care = &bench.keeper().state().care;
        let fixes = care.place.get(&device("p1")).map_or(0, |trail| trail.fixes().len());
        let readings = serde_json::to_string(&care.vital).unwrap().matches("heart_rate").count();
        (fixes, readings, care.signed.of("r1").count(), care.look.of("r1").count())
    };
    assert_eq!(remembered(&mut bench), (2, 1, 1, 1));
    bench.days_pass(2);
    assert_eq!(remembered(&mut bench), (2, 1, 1, 1), "their days are not over");
    // One alarm whose press bears an old time, closed today: nothing of it is over.
    let old = bench.wall_ms() - 30 * DAY_MS;
    let press = format!(r#"{{"v":1,"restart":1,"seq":3,"at":{old},"event":{{"button":{{"press":"short"}}}}}}"#);
    assert_eq!(bench.publish("p1", &press), PublishReason::Success);
    let row = bench.rows().into_iter().find(|row| row.lane == Lane::Life).unwrap();
    bench.act(&row, ActWhat::Close, "anna").expect("closed");
    let (from_ms, until_ms) = (old - DAY_MS, old + DAY_MS);
    let period = AgedPeriod { number: 999, class: "life".into(), days: 3, from_ms, until_ms };
    bench.keeper().append(Record::Aged(Aged { periods: vec![period] }), Lane::Technical);
    bench.keeper().commit();
    assert!(bench.rows().iter().any(|known| known.id == row.id), "it is of today");
    bench.days_pass(7);
    assert_eq!(
        remembered(&mut bench),
        (1, 0, 0, 0),
        "where a device was last stays: who is home is not missed for its silence"
    );
    assert!(!bench.rows().iter().any(|known| known.id == row.id));
    bench.kill_and_start();
    assert_eq!(remembered(&mut bench), (1, 0, 0, 0));
}

#[test]
fn killed_between_any_two_steps_of_letting_go_it_starts_whole_and_does_it_again() {
    for cut_after in ["the record", "the new key of folds", "the checkpoint", "the keys"] {
        let mut bench = Bench::keeping(&[(Class::Telemetry, 3)]);
        let written_at = bench.wall_ms();
        bench.bed(1);
        bench.press("p1", 1);
        let row = bench.rows().remove(0);
        bench.act(&row, ActWhat::Close, "anna").expect("closed");
        bench.press("p2", 1);
        let open = bench.rows().len();
        bench.days_pass(2);
        let clock = bench.clock.clone();
        let keeper = bench.keeper();
        let number = *keeper.restored.journal.ring().unwrap().periods().keys().next().unwrap();
        let period =
            crate::journal::record::AgedPeriod { number, class: "telemetry".into(), days: 3, from_ms: 0, until_ms: 0 };
        keeper.append(Record::Aged(crate::journal::record::Aged { periods: vec![period] }), Lane::Technical);
        keeper.commit();
        if cut_after != "the record" {
            keeper.restored.journal.ring().unwrap().renew_folds().unwrap();
        }
        if ["the checkpoint", "the keys"].contains(&cut_after) {
            keeper.restored.checkpoint(clock.as_ref()).unwrap();
        }
        if cut_after == "the keys" {
            keeper.restored.journal.ring().unwrap().shred_periods(&[number]).unwrap();
        }
        bench.kill_and_start();
        assert_eq!(bench.rows().len(), open, "{cut_after}: the open alarm is there");
        for row in bench.rows() {
            let _ = bench.act(&row, ActWhat::Close, "anna");
        }
        bench.days_pass(10);
        let (read, gone) = bench.readable();
        assert!(!read.get(&(Lane::Telemetry as u8)).is_some_and(|at| at.contains(&written_at)), "{cut_after}");
        assert!(gone[&(Lane::Telemetry as u8)].contains(&written_at), "{cut_after}");
    }
}

#[test]
fn fewer_days_take_effect_on_what_there_is_and_more_on_what_comes() {
    let mut bench = Bench::keeping(&[(Class::Telemetry, 20)]);
    let first = bench.wall_ms();
    bench.bed(1);
    bench.days_pass(6);
    bench.labels.kept = Days::from([(Class::Telemetry, 5)]);
    bench.kill_and_start();
    bench.days_pass(8);
    assert!(bench.readable().1[&(Lane::Telemetry as u8)].contains(&first), "fewer count for what there is");
    let second = bench.wall_ms();
    bench.bed(2);
    bench.labels.kept = Days::from([(Class::Telemetry, 100)]);
    bench.kill_and_start();
    bench.days_pass(2);
    let third = bench.wall_ms();
    bench.bed(3);
    bench.days_pass(20);
    let (read, gone) = bench.readable();
    assert!(gone[&(Lane::Telemetry as u8)].contains(&second), "what was written under five days keeps them");
    assert!(read[&(Lane::Telemetry as u8)].contains(&third));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    /// Any days, any kills: nothing younger than its days is gone, nothing older than days and slack is read, open alarms are whole.
    #[test]
    fn nothing_goes_early_and_nothing_stays_beyond_its_slack(
        telemetry in 3_u32..25, life in 3_u32..25, steps in prop::collection::vec((0_u8..5, 1_i64..4), 4..14),
    ) {
        let mut bench = Bench::keeping(&[(Class::Telemetry, telemetry), (Class::Life, life)]);
        let mut seq = 0;
        let mut pressed_at = None;
        let mut gone_before = 0;
        for (what, days) in steps {
            seq += 1;
            match what {
                0 | 1 => bench.bed(seq),
                2 => {
                    prop_assert_eq!(bench.press("p1", seq), PublishReason::Success);
                    pressed_at.get_or_insert(bench.wall_ms());
                }
                3 => {
                    for row in bench.rows() {
                        let _ = bench.act(&row, ActWhat::Close, "anna");
                    }
                    pressed_at = None;
                }
                _ => bench.kill_and_start(),
            }
            bench.days_pass(days);
            let now_ms = bench.wall_ms();
            let (read, gone) = bench.readable();
            for (lane, days) in [(Lane::Telemetry, telemetry), (Lane::Life, life)] {
                let age = |at: &i64| (now_ms - at) / DAY_MS;
                let youngest = gone.get(&(lane as u8)).and_then(|all| all.iter().map(age).min());
                prop_assert!(youngest.is_none_or(|age| age >= i64::from(days)), "{lane:?} of {days}: gone at {youngest:?}");
                // A period, a pass for each class, and a start that waits for its clock.
                let most = i64::from(days + period_days(days)) + 2;
                if pressed_at.is_none() {
                    let oldest = read.get(&(lane as u8)).and_then(|all| all.iter().map(age).max());
                    prop_assert!(oldest.is_none_or(|age| age <= most), "{lane:?} of {days}: read at {oldest:?}");
                }
            }
            // As long as somebody waits nothing goes, of whatever class.
            let count = gone.values().map(Vec::len).sum::<usize>();
            if pressed_at.is_some() {
                prop_assert_eq!(count, gone_before);
            }
            gone_before = count;
            if let Some(at) = pressed_at {
                prop_assert!(read[&(Lane::Life as u8)].contains(&at), "an open alarm's press");
            }
        }
    }
}
