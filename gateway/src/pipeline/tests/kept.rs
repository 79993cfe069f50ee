//! The rows that the board reads: kept in step by each commit, they are those that would be made anew.

use proptest::prelude::*;

use super::*;
use crate::board::desk::{Told, follower};
use crate::board::kept::Kept;

/// With somebody who looks at a board.
fn watched() -> (Bench, Told, tokio::sync::broadcast::Receiver<vaka_board::gateway::Change>) {
    let mut bench = Bench::new();
    let (told, follower) = follower();
    let page = told.changes.subscribe();
    bench.keeper().follow_with(follower);
    (bench, told, page)
}

fn anew(bench: &mut Bench) -> Vec<Arc<vaka_board::gateway::Alarm>> {
    Kept::default().make(bench.keeper(), true)
}

#[derive(Debug, Clone)]
enum Step {
    Press(bool),
    Wet,
    Claim(usize),
    Close(usize),
    Accept(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Press),
        Just(Step::Wet),
        (0..8_usize).prop_map(Step::Claim),
        (0..8_usize).prop_map(Step::Close),
        (0..8_usize).prop_map(Step::Accept),
        (0..5_000_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_that_are_kept_are_those_that_would_be_made_anew(steps in proptest::collection::vec(step(), 1..40)) {
        let (mut bench, told, _page) = watched();
        told.kept.make(bench.keeper(), true);
        for (n, step) in steps.into_iter().enumerate() {
            let seq = n as u64 + 1;
            let chosen = |bench: &mut Bench, at: usize| bench.rows().into_iter().nth(at);
            match step {
                Step::Press(first) => {
                    let _ = bench.press(if first { "p1" } else { "p2" }, seq);
                }
                Step::Wet => {
                    let wet = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"enuresis":{{}}}}}}"#);
                    let _ = bench.publish("bed", &wet);
                }
                Step::Claim(at) => drop(chosen(&mut bench, at).map(|row| bench.act(&row, ActWhat::Claim, "anna"))),
                Step::Close(at) => drop(chosen(&mut bench, at).map(|row| bench.act(&row, ActWhat::Close, "anna"))),
                Step::Accept(at) => drop(chosen(&mut bench, at).map(|row| bench.accept(&row, 0))),
                Step::Pass(ms) => bench.clock.advance(ms),
            }
            prop_assert_eq!(told.kept.read(true), Some(anew(&mut bench)));
            let open = anew(&mut bench).iter().filter(|row| row.closed_by.is_none()).count();
            prop_assert_eq!(told.kept.read(false).map(|rows| rows.len()), Some(open));
        }
    }
}

#[test]
fn rows_that_nobody_reads_are_forgotten_and_a_board_that_nobody_looks_at_keeps_none() {
    let (mut bench, told, page) = watched();
    assert!(told.kept.read(true).is_none(), "nobody has asked");
    told.kept.make(bench.keeper(), true);
    for seq in 1..=257 {
        assert!(matches!(bench.press("p1", seq), PublishReason::Success));
    }
    assert!(told.kept.read(true).is_none(), "256 commits that nobody read between");
    told.kept.make(bench.keeper(), true);
    drop(page);
    bench.press("p1", 2_000);
    assert!(told.kept.read(true).is_none(), "nobody hears of changes any more");
}
