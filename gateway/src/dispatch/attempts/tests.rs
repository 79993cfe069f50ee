use proptest::prelude::*;

use super::super::config::Route;
use super::super::tests::notice;
use super::*;
use crate::journal::record::ActWhat;

const PACE: Pace = Pace { retry_ms_min: 10, retry_life_ms_max: 100, retry_ms_max: 1_000, redial_ms_max: 100 };

fn ledger(lanes: &[Lane], to: &[&str]) -> Ledger {
    let route = Route { lanes: lanes.to_vec(), to: to.iter().map(|s| (*s).to_owned()).collect(), hours: None };
    Ledger::new(Routes::new(&[route]), PACE, Dice::new(7))
}

fn at(alarm: &str, number: u32, lane: Lane, happened_at: i64) -> Notice {
    Notice { lane, happened_at, ..notice(alarm, number) }
}

fn names(starts: &[Start]) -> Vec<String> {
    starts.iter().map(|s| format!("{}/{}@{}", s.notice.alarm, s.notice.number, s.receiver)).collect()
}

fn fail(ledger: &mut Ledger, start: &Start, now_ms: u64) {
    let failed = LinkEvent::Failed { attempt: start.attempt, failure: Failure::NotReceived(5) };
    assert_eq!(ledger.happened(&start.receiver, "p", failed, now_ms), []);
}

fn accept(ledger: &mut Ledger, start: &Start) -> Vec<Rung> {
    let accepted = LinkEvent::Accepted {
        attempt: Some(start.attempt),
        reference: start.notice.reference.clone(),
        detail: String::new(),
        last: false,
    };
    rungs(ledger.happened(&start.receiver, "p", accepted, 0))
}

fn rungs(reports: Vec<Report>) -> Vec<Rung> {
    reports.into_iter().filter_map(|r| if let Report::Rung { rung, .. } = r { Some(rung) } else { None }).collect()
}

#[test]
fn what_a_receiver_has_had_before_a_restart_is_not_sent_again_and_its_word_on_it_is_understood() {
    let mut ledger = ledger(&[Lane::Technical], &["hub"]);
    let known = Notice { accepted: true, ..at("a1", 2, Lane::Technical, 1_000) };
    ledger.know(&known, "hub");
    ledger.know(&known, "hub");
    assert_eq!(names(&ledger.start_ready(0)), [""; 0]);
    let reference = known.reference.clone();
    let accepted =
        LinkEvent::Accepted { attempt: None, reference: reference.clone(), detail: String::new(), last: false };
    assert_eq!(ledger.happened("hub", "p", accepted, 0), [], "known from before");
    let closed = LinkEvent::Person { reference, act: ActWhat::Close, by: "staff".into() };
    assert_eq!(
        ledger.happened("hub", "p", closed, 0),
        [Report::Person { alarm: known.alarm.clone(), notice: 2, act: ActWhat::Close, by: "hub: staff".into() }]
    );
}

#[test]
fn life_goes_first_newest_first_and_an_alarms_notices_in_their_order() {
    let mut ledger = ledger(&[Lane::Life, Lane::Care, Lane::Test], &["c"]);
    for n in [
        at("t", 1, Lane::Test, 9_000),
        at("care2", 1, Lane::Care, 2_000),
        at("care1", 1, Lane::Care, 1_000),
        at("old", 1, Lane::Life, 1_000),
        at("new", 1, Lane::Life, 5_000),
        at("mid", 1, Lane::Life, 3_000),
        at("old", 2, Lane::Life, 8_000),
    ] {
        assert_eq!(ledger.owe(n, 0), None);
    }
    let order = ["old/1@c", "old/2@c", "new/1@c", "mid/1@c", "care1/1@c", "care2/1@c", "t/1@c"];
    assert_eq!(names(&ledger.start_ready(0)), order);
    assert_eq!(names(&ledger.start_ready(0)), [""; 0]);
}

#[test]
fn a_storm_of_tests_leaves_life_its_own_places() {
    let mut ledger = ledger(&[Lane::Life, Lane::Test], &["c"]);
    for n in 0..10_000 {
        assert_eq!(ledger.owe(at("storm", n, Lane::Test, 0), 0), None);
    }
    let tests = ledger.start_ready(0);
    assert_eq!(tests.len(), in_flight_max(Lane::Test));
    ledger.owe(at("press", 1, Lane::Life, 0), 0);
    assert_eq!(names(&ledger.start_ready(0)), ["press/1@c"]);
    accept(&mut ledger, &tests[0]);
    assert_eq!(ledger.start_ready(0).len(), 1);
}

#[test]
fn the_next_receiver_is_tried_at_once_and_everybody_together_after_a_wait() {
    let mut ledger = ledger(&[Lane::Life], &["a", "b"]);
    ledger.owe(notice("x", 1), 0);
    let mut waits = Vec::new();
    let mut now_ms = 0;
    for round in 0..20 {
        let mut starts = ledger.start_ready(now_ms);
        let together = if round == 0 { &["x/1@a"][..] } else { &["x/1@a", "x/1@b"] };
        assert_eq!(names(&starts), together);
        fail(&mut ledger, &starts.remove(0), now_ms);
        if round == 0 {
            starts = ledger.start_ready(now_ms);
            assert_eq!(names(&starts), ["x/1@b"]);
        }
        assert!(ledger.start_ready(now_ms).is_empty(), "still under way at the other");
        fail(&mut ledger, &starts.remove(0), now_ms);
        assert!(ledger.start_ready(now_ms).is_empty());
        let due_ms = ledger.next_due_ms().unwrap();
        waits.push(due_ms - now_ms);
        now_ms = due_ms;
    }
    assert!(waits.iter().all(|w| (2..=33).contains(w)), "{waits:?}");
}

#[test]
fn what_everybody_refuses_for_good_waits_longest() {
    let mut ledger = ledger(&[Lane::Life], &["a"]);
    ledger.owe(notice("x", 1), 0);
    let start = ledger.start_ready(0).remove(0);
    let refused = LinkEvent::Failed { attempt: start.attempt, failure: Failure::Snu { snu: 2 } };
    ledger.happened("a", "p", refused, 0);
    assert_eq!(ledger.next_due_ms(), Some(PACE.retry_life_ms_max));
}

#[test]
fn a_receiver_that_is_back_is_tried_at_once() {
    let mut ledger = ledger(&[Lane::Life], &["a"]);
    ledger.owe(notice("x", 1), 0);
    let start = ledger.start_ready(0).remove(0);
    fail(&mut ledger, &start, 0);
    ledger.happened("other", "p", LinkEvent::Connected, 0);
    assert!(ledger.start_ready(0).is_empty());
    ledger.happened("a", "p", LinkEvent::Connected, 0);
    assert_eq!(names(&ledger.start_ready(0)), ["x/1@a"]);
}

#[test]
fn each_rung_is_told_once_per_receiver_and_a_late_answer_too() {
    let mut ledger = ledger(&[Lane::Life], &["a", "b"]);
    ledger.owe(notice("x", 1), 0);
    let first = ledger.start_ready(0).remove(0);
    let sent = |s: &Start| LinkEvent::Sent { attempt: s.attempt };
    assert_eq!(rungs(ledger.happened("a", "p", sent(&first), 0)), [Rung::Sent]);
    assert_eq!(rungs(ledger.happened("a", "p", sent(&first), 0)), []);
    fail(&mut ledger, &first, 0);
    let second = ledger.start_ready(0).remove(0);
    assert_eq!(rungs(ledger.happened("b", "p", sent(&second), 0)), [Rung::Sent]);
    assert_eq!(accept(&mut ledger, &second), [Rung::Received, Rung::Accepted]);
    assert_eq!(ledger.owed_count(), 0);
    // The first receiver's answer comes an hour later, twice.
    let late = || LinkEvent::Accepted {
        attempt: None,
        reference: first.notice.reference.clone(),
        detail: "mre=1".into(),
        last: false,
    };
    let told = ledger.happened("a", "p", late(), 3_600_000);
    assert!(
        matches!(&told[..], [Report::Rung { rung: Rung::Received, detail, .. }, Report::Rung { rung: Rung::Accepted, detail: mre, .. }] if detail.is_empty() && mre == "mre=1")
    );
    assert_eq!(ledger.happened("a", "p", late(), 3_600_000), []);
    // Owed again (a replay): it is known to be accepted.
    assert_eq!(ledger.owe(notice("x", 1), 0), None);
    assert!(ledger.start_ready(0).is_empty());
}

#[test]
fn an_answer_after_the_deadline_ends_the_tries() {
    let mut ledger = ledger(&[Lane::Life], &["a"]);
    ledger.owe(notice("x", 1), 0);
    let start = ledger.start_ready(0).remove(0);
    fail(&mut ledger, &start, 0);
    let late = LinkEvent::Accepted {
        attempt: None,
        reference: start.notice.reference.clone(),
        detail: String::new(),
        last: false,
    };
    assert_eq!(rungs(ledger.happened("a", "p", late, 5)), [Rung::Sent, Rung::Received, Rung::Accepted]);
    assert_eq!((ledger.next_due_ms(), ledger.owed_count()), (None, 0));
}

#[test]
fn a_lane_without_a_route_is_told_and_kept() {
    let mut ledger = ledger(&[Lane::Life], &["a"]);
    let report = ledger.owe(at("x", 1, Lane::Care, 0), 0);
    assert!(matches!(report, Some(Report::Unserved { lane: Lane::Care, .. })));
    assert_eq!(ledger.owe(at("x", 1, Lane::Care, 0), 0), None);
    assert!(ledger.start_ready(0).is_empty());
    let routes = Routes::new(&[Route { lanes: vec![Lane::Care], to: vec!["b".into()], hours: None }]);
    assert_eq!(ledger.reroute(routes), []);
    assert_eq!(names(&ledger.start_ready(0)), ["x/1@b"]);
}

#[test]
fn a_full_lane_refuses_and_says_so() {
    let mut ledger = ledger(&[Lane::Test], &["a"]);
    for n in 0..OWED_PER_LANE_MAX as u32 {
        assert_eq!(ledger.owe(at("t", n, Lane::Test, 0), 0), None);
    }
    assert!(matches!(ledger.owe(at("t", u32::MAX, Lane::Test, 0), 0), Some(Report::Unserved { .. })));
    assert_eq!(ledger.owe(at("t", u32::MAX - 1, Lane::Test, 0), 0), None, "said once");
    assert_eq!(ledger.has_room(), []);
    ledger.settled(&"t".parse().unwrap());
    assert_eq!(ledger.has_room(), [Report::Room { lane: Lane::Test }]);
    assert_eq!((ledger.has_room(), ledger.owed_count()), (vec![], 0));
    assert_eq!(ledger.owe(at("t", u32::MAX, Lane::Test, 0), 0), None, "owed again, it is taken up");
    assert_eq!(ledger.owed_count(), 1);
}

#[test]
fn a_press_now_takes_the_place_of_the_oldest_that_waits() {
    let mut ledger = ledger(&[Lane::Life], &["a"]);
    for n in 0..OWED_PER_LANE_MAX as i64 {
        assert_eq!(ledger.owe(at(&format!("a{n}"), 1, Lane::Life, n), 0), None);
    }
    let told = ledger.owe(at("now", 1, Lane::Life, i64::MAX), 0);
    assert!(matches!(told, Some(Report::Unserved { alarm, .. }) if alarm.as_ref() == "a0"), "who gave way");
    assert_eq!(ledger.owed_count(), OWED_PER_LANE_MAX);
    assert_eq!(names(&ledger.start_ready(0))[0], "now/1@a");
    assert_eq!(ledger.owe(at("older", 1, Lane::Life, -1), 0), None, "the overflow of the lane was told already");
    assert_eq!(ledger.owed_count(), OWED_PER_LANE_MAX);
}

fn reach(last_rung: Rung, paths: &[&str]) -> Reach {
    let way = |name: &&str| Way { name: Arc::from(*name), url: name.to_string(), lost: false };
    Reach { last_rung, claimed_deadline_ms: None, paths: paths.iter().map(way).collect() }
}

fn ways(starts: &[Start]) -> Vec<String> {
    starts.iter().map(|s| format!("{}/{}", s.receiver, s.path)).collect()
}

#[test]
fn the_other_path_comes_before_the_next_receiver_and_a_lost_path_last() {
    let mut ledger = ledger(&[Lane::Life], &["a", "b"]);
    let paths = [("a", &["fibre", "mobile"][..]), ("b", &["fibre", "mobile"])];
    ledger.set_reach(paths.map(|(name, paths)| (name.to_owned(), reach(Rung::Accepted, paths))).into());
    let tried = |alarm: &str, ledger: &mut Ledger| {
        ledger.owe(notice(alarm, 1), 0);
        let mut order = Vec::new();
        while let Some(start) = ledger.start_ready(0).pop() {
            order.extend(ways(std::slice::from_ref(&start)));
            fail(ledger, &start, 0);
        }
        ledger.settled(&alarm.parse().unwrap());
        order
    };
    assert_eq!(tried("x", &mut ledger), ["a/fibre", "a/mobile", "b/fibre", "b/mobile"]);
    let lost = || LinkEvent::Path { up: false, detail: String::new() };
    ledger.happened("a", "fibre", lost(), 0);
    assert_eq!(tried("y", &mut ledger), ["a/mobile", "a/fibre", "b/fibre", "b/mobile"]);
    // Together: each receiver over its best path, then over the other.
    ledger.owe(notice("z", 1), 0);
    while let Some(start) = ledger.start_ready(0).pop() {
        fail(&mut ledger, &start, 0);
    }
    let due_ms = ledger.next_due_ms().unwrap();
    let together = ledger.start_ready(due_ms);
    assert_eq!(ways(&together), ["a/mobile", "b/fibre"]);
    together.iter().for_each(|start| fail(&mut ledger, start, due_ms));
    assert_eq!(ways(&ledger.start_ready(due_ms)), ["a/fibre", "b/mobile"]);
}

#[test]
fn what_can_prove_no_more_than_receiving_ends_there_unless_somebody_can_prove_more() {
    let received = |start: &Start| LinkEvent::Received { attempt: start.attempt, detail: String::new() };
    let hook = || [("hook".to_owned(), reach(Rung::Received, &["p"]))].into();
    let mut alone = ledger(&[Lane::Life], &["hook"]);
    alone.set_reach(hook());
    alone.owe(notice("x", 1), 0);
    let start = alone.start_ready(0).remove(0);
    let told = alone.happened("hook", "p", received(&start), 0);
    assert!(matches!(
        &told[..],
        [Report::Rung { last: false, .. }, Report::Rung { rung: Rung::Received, last: true, .. }]
    ));
    assert_eq!((alone.owed_count(), alone.next_due_ms()), (0, None));

    let mut both = ledger(&[Lane::Life], &["hook", "centre"]);
    both.set_reach(hook());
    both.owe(notice("x", 1), 0);
    let start = both.start_ready(0).remove(0);
    let told = both.happened("hook", "p", received(&start), 0);
    assert!(told.iter().all(|report| matches!(report, Report::Rung { last: false, .. })), "{told:?}");
    let next = both.start_ready(0).remove(0);
    assert_eq!(next.receiver, "centre");
    accept(&mut both, &next);
    assert_eq!(both.owed_count(), 0);
}

#[test]
fn a_receiver_that_was_there_is_not_asked_again_over_its_other_path() {
    let mut ledger = ledger(&[Lane::Life], &["a", "b"]);
    let way = |name: &str, url: &str| Way { name: Arc::from(name), url: url.to_owned(), lost: false };
    let paths = vec![way("fibre", "centre"), way("mobile", "centre"), way("backup", "second centre")];
    let reach = Reach { last_rung: Rung::Accepted, claimed_deadline_ms: None, paths };
    ledger.set_reach([("a".to_owned(), reach)].into());
    ledger.owe(notice("x", 1), 0);
    let first = ledger.start_ready(0).remove(0);
    let refused = LinkEvent::Failed { attempt: first.attempt, failure: Failure::NotAccepted(20_000) };
    ledger.happened("a", "fibre", refused, 0);
    let second = ledger.start_ready(0).remove(0);
    assert_eq!(&*second.path, "backup", "another centre behind the same name is asked");
    fail(&mut ledger, &second, 0);
    assert_eq!(names(&ledger.start_ready(0)), ["x/1@b"]);
}

#[test]
fn a_hub_that_accepts_while_all_are_asked_gives_its_people_their_time() {
    let mut ledger = ledger(&[Lane::Life], &["hub", "centre"]);
    ledger.set_reach([("hub".to_owned(), reach(Rung::Closed, &["p"]))].into());
    ledger.owe(notice("x", 1), 0);
    for _ in 0..2 {
        let start = ledger.start_ready(0).remove(0);
        fail(&mut ledger, &start, 0);
    }
    let due_ms = ledger.next_due_ms().unwrap();
    let together = ledger.start_ready(due_ms);
    assert_eq!(names(&together), ["x/1@hub", "x/1@centre"]);
    accept(&mut ledger, &together[0]);
    fail(&mut ledger, &together[1], due_ms);
    ledger.happened("centre", "p", LinkEvent::Connected, due_ms);
    assert!(ledger.start_ready(due_ms).is_empty(), "somebody has it");
    let by_ms = ledger.next_due_ms().unwrap();
    assert_eq!(names(&ledger.start_ready(by_ms)), ["x/1@centre"]);
    assert_eq!(ledger.nobody_has(by_ms).len(), 1, "nobody claimed it");
}

#[test]
fn while_all_are_asked_one_that_is_back_does_not_wait_for_the_slowest() {
    let mut ledger = ledger(&[Lane::Life], &["a", "b"]);
    ledger.owe(notice("x", 1), 0);
    for _ in 0..2 {
        let start = ledger.start_ready(0).remove(0);
        fail(&mut ledger, &start, 0);
    }
    let due_ms = ledger.next_due_ms().unwrap();
    let together = ledger.start_ready(due_ms);
    assert_eq!(names(&together), ["x/1@a", "x/1@b"]);
    fail(&mut ledger, &together[0], due_ms);
    assert!(ledger.start_ready(due_ms).is_empty(), "nobody else is there to ask");
    ledger.happened("a", "p", LinkEvent::Connected, due_ms);
    assert_eq!(names(&ledger.start_ready(due_ms)), ["x/1@a"]);
    ledger.happened("a", "p", LinkEvent::Connected, due_ms);
    assert!(ledger.start_ready(due_ms).is_empty(), "it is under way there");
}

#[test]
fn a_persons_act_is_of_what_was_told_up_to_it() {
    let mut ledger = ledger(&[Lane::Life], &["hub"]);
    ledger.set_reach([("hub".to_owned(), reach(Rung::Closed, &["p"]))].into());
    ledger.owe(notice("x", 1), 0);
    ledger.owe(notice("x", 2), 0);
    let closed = |number| LinkEvent::Person {
        reference: notice("x", number).reference,
        act: ActWhat::Close,
        by: "staff".into(),
    };
    assert_eq!(ledger.happened("hub", "p", closed(1), 0), [], "the second press has nobody");
    assert_eq!(names(&ledger.start_ready(0)), ["x/2@hub"]);
    let told = ledger.happened("hub", "p", closed(2), 0);
    assert!(matches!(&told[..], [Report::Person { notice: 2, .. }]), "{told:?}");
    assert_eq!(ledger.owed_count(), 0);
}

#[test]
fn what_a_hub_accepts_and_nobody_claims_goes_to_the_next_receiver() {
    let mut ledger = ledger(&[Lane::Life, Lane::Test], &["hub", "centre"]);
    ledger.set_reach([("hub".to_owned(), reach(Rung::Closed, &["p"]))].into());
    ledger.owe(notice("x", 1), 0);
    let start = ledger.start_ready(0).remove(0);
    assert_eq!(accept(&mut ledger, &start), [Rung::Sent, Rung::Received, Rung::Accepted]);
    assert_eq!(ledger.owed_count(), 1, "its people have not claimed it");
    // The hub's connection coming back is no reason to go on before the time.
    ledger.happened("hub", "p", LinkEvent::Connected, 1_000);
    assert!(ledger.start_ready(179_999).is_empty() && ledger.nobody_has(179_999).is_empty());
    assert_eq!(names(&ledger.start_ready(180_000)), ["x/1@centre"]);
    let claimed =
        LinkEvent::Person { reference: start.notice.reference.clone(), act: ActWhat::Claim, by: "anna".into() };
    let told = ledger.happened("hub", "p", claimed, 180_001);
    assert!(matches!(&told[..], [Report::Person { by, .. }] if by == "hub: anna"));
    assert_eq!(ledger.owed_count(), 0);
    // Neither the hub is told again meanwhile, nor the centre asked less often for it.
    ledger.owe(notice("y", 1), 200_000);
    let start = ledger.start_ready(200_000).remove(0);
    accept(&mut ledger, &start);
    let mut now_ms = 380_000;
    for _ in 0..5 {
        let starts = ledger.start_ready(now_ms);
        assert_eq!(names(&starts), ["y/1@centre"]);
        fail(&mut ledger, &starts[0], now_ms);
        let wait_ms = ledger.waiting.first().unwrap().0 - now_ms;
        assert!(wait_ms <= PACE.retry_life_ms_max, "{wait_ms}");
        now_ms += wait_ms;
    }
    ledger.settled(&"y".parse().unwrap());
    // A test waits for nobody's claim.
    ledger.owe(at("t", 1, Lane::Test, 0), 0);
    let test = ledger.start_ready(200_000).remove(0);
    accept(&mut ledger, &test);
    assert_eq!(ledger.owed_count(), 0);
}

#[test]
fn nobody_has_it_is_told_once_after_its_time_and_only_of_life_and_care() {
    let mut ledger = ledger(&[Lane::Life, Lane::Care, Lane::Technical], &["a"]);
    ledger.owe(at("x", 1, Lane::Life, 0), 0);
    ledger.owe(at("y", 1, Lane::Care, 0), 10);
    ledger.owe(at("z", 1, Lane::Technical, 0), 10);
    ledger.owe(at("taken", 1, Lane::Life, 0), 0);
    let starts = ledger.start_ready(0);
    accept(&mut ledger, starts.iter().find(|s| s.notice.alarm.as_ref() == "taken").unwrap());
    assert!(ledger.nobody_has(NOBODY_HAS_IT_MS - 1).is_empty());
    assert!(
        matches!(&ledger.nobody_has(NOBODY_HAS_IT_MS)[..], [Report::Nobody { alarm, .. }] if alarm.as_ref() == "x")
    );
    assert!(
        matches!(&ledger.nobody_has(NOBODY_HAS_IT_MS + 10)[..], [Report::Nobody { alarm, .. }] if alarm.as_ref() == "y")
    );
    assert!(ledger.nobody_has(u64::MAX).is_empty());
}

#[derive(Debug, Clone)]
enum Act {
    Owe { alarm: u8, number: u32, lane: Lane, happened_at: i64 },
    Fail { which: usize },
    Accept { which: usize },
    Settle { alarm: u8 },
    Wait { ms: u64 },
    Connected,
    LinkStopped,
    Reroute { names: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let lane = prop_oneof![Just(Lane::Life), Just(Lane::Care), Just(Lane::Test)];
    prop_oneof![
        4 => (0u8..4, 0u32..4, lane, 0i64..50).prop_map(|(alarm, number, lane, happened_at)| Act::Owe { alarm, number, lane, happened_at }),
        3 => any::<usize>().prop_map(|which| Act::Fail { which }),
        2 => any::<usize>().prop_map(|which| Act::Accept { which }),
        1 => (0u8..4).prop_map(|alarm| Act::Settle { alarm }),
        2 => (0u64..300).prop_map(|ms| Act::Wait { ms }),
        1 => Just(Act::Connected),
        1 => Just(Act::LinkStopped),
        1 => (1usize..3).prop_map(|names| Act::Reroute { names }),
    ]
}

proptest! {
    /// Whatever happens: nothing owed is lost, nothing is under way twice, no lane exceeds its places, and in the end,
    /// when the receivers work again, everything owed and not settled is accepted.
    #[test]
    fn nothing_owed_is_ever_lost(acts in proptest::collection::vec(act(), 1..80)) {
        let lanes = [Lane::Life, Lane::Care, Lane::Test];
        let mut ledger = ledger(&lanes, &["a", "b"]);
        let mut owed: BTreeMap<String, String> = BTreeMap::new();
        let mut done: BTreeSet<String> = BTreeSet::new();
        let mut flying: Vec<Start> = Vec::new();
        let mut now_ms = 0;
        for act in acts {
            match act {
                Act::Owe { alarm, number, lane, happened_at } => {
                    let n = at(&format!("a{alarm}"), number, lane, happened_at);
                    if !done.contains(&n.reference) {
                        owed.insert(n.reference.clone(), n.alarm.to_string());
                    }
                    ledger.owe(n, 0);
                }
                Act::Fail { which } if !flying.is_empty() => {
                    let start = flying.remove(which % flying.len());
                    fail(&mut ledger, &start, now_ms);
                }
                Act::Accept { which } if !flying.is_empty() => {
                    let start = flying.remove(which % flying.len());
                    accept(&mut ledger, &start);
                    owed.remove(&start.notice.reference);
                    done.insert(start.notice.reference.clone());
                }
                Act::Settle { alarm } => {
                    let name = format!("a{alarm}");
                    ledger.settled(&name.parse().unwrap());
                    done.extend(owed.iter().filter(|(_, a)| **a == name).map(|(r, _)| r.clone()));
                    owed.retain(|_, a| *a != name);
                }
                Act::Wait { ms } => now_ms += ms,
                Act::Connected => { ledger.happened("a", "p", LinkEvent::Connected, now_ms); }
                Act::LinkStopped => {
                    ledger.link_stopped("a", "", now_ms);
                    flying.retain(|s| s.receiver != "a");
                }
                Act::Reroute { names } => {
                    let to = ["b", "a"][..names].iter().map(|s| (*s).to_owned()).collect();
                    ledger.reroute(Routes::new(&[Route { lanes: lanes.to_vec(), to, hours: None }]));
                }
                Act::Fail { .. } | Act::Accept { .. } => {}
            }
            flying.extend(ledger.start_ready(now_ms));
            prop_assert_eq!(ledger.owed_count(), owed.len());
            for lane in lanes {
                for receiver in ["a", "b"] {
                    let there = flying.iter().filter(|s| s.notice.lane == lane && s.receiver == receiver).count();
                    prop_assert!(there <= in_flight_max(lane), "{there} at {receiver}");
                }
            }
            let places: BTreeSet<_> = flying.iter().map(|s| (&s.notice.reference, &s.receiver)).collect();
            prop_assert_eq!(places.len(), flying.len(), "a notice twice at one receiver");
        }
        for _ in 0..100 {
            for start in std::mem::take(&mut flying) {
                accept(&mut ledger, &start);
                owed.remove(&start.notice.reference);
            }
            now_ms += 1_000;
            flying = ledger.start_ready(now_ms);
            if owed.is_empty() { break }
        }
        prop_assert!(owed.is_empty(), "{:?}", owed);
        prop_assert_eq!(ledger.owed_count(), 0);
    }
}
