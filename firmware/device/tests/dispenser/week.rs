//! A week of four doses a day with a gateway that pushes, releases and goes away, and power that goes at random.
//!
//! The gateway here asks as the real one's rule does: the next eight doses, whenever they change or half of them are over and
//! once a day; a dose that was given or has its outcome not again, unless a person has released it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vaka_device::dispenser::State;
use vaka_protocol::{DoseOutcome, EventMessage, Slot};

use super::*;

const TIMES: [(&str, i64); 4] = [("morning", 8), ("noon", 12), ("evening", 18), ("night", 22)];
const DAYS: i64 = 7;
/// A word so long before a dose opens is still of that dose.
const EARLY_MS: i64 = 2 * HOUR as i64;

#[derive(Default)]
struct Gateway {
    pushed: Vec<Slot>,
    pushed_at: i64,
    /// What a confirmed schedule has named: slot and opening.
    asked: BTreeSet<(String, i64)>,
    /// Released doses: which of the plan, and the window.
    released: Vec<(usize, Slot)>,
    /// Given by hand, which of the plan: not asked for any more.
    signed: BTreeSet<usize>,
}

fn plan() -> Vec<Slot> {
    (0..DAYS).flat_map(|day| TIMES.map(|(name, hours)| slot(name, day * 24 + hours))).collect()
}

/// The words that came about the dose at that place of the plan, in their order.
fn words(home: &Home, plan: &[Slot], place: usize) -> Vec<(DoseOutcome, i64)> {
    let dose = &plan[place];
    let next = plan[place + 1..].iter().find(|later| later.slot == dose.slot).map_or(i64::MAX, |later| later.opens_at);
    let window = dose.opens_at - EARLY_MS..next - EARLY_MS;
    let mut heard: Vec<&EventMessage> = home.heard.iter().collect();
    heard.sort_by_key(|message| message.identity());
    let of = heard.into_iter().filter_map(|message| match &message.event {
        Event::Dose { slot, outcome } if *slot == dose.slot => message.at.map(|at| (*outcome, at)),
        _ => None,
    });
    of.filter(|(_, at)| window.contains(at)).collect()
}

fn ends(words: &[(DoseOutcome, i64)]) -> Vec<DoseOutcome> {
    let is_end = |what: &DoseOutcome| !matches!(what, DoseOutcome::Reminded | DoseOutcome::Dispensed);
    words.iter().map(|(what, _)| *what).filter(is_end).collect()
}

fn is_out(words: &[(DoseOutcome, i64)]) -> bool {
    words.iter().any(|(what, _)| matches!(what, DoseOutcome::Dispensed | DoseOutcome::Taken | DoseOutcome::Unknown))
}

impl Gateway {
    fn tick(&mut self, home: &mut Home, plan: &[Slot], releases: bool) {
        for (place, dose) in plan.iter().enumerate() {
            let said = words(home, plan, place);
            let locked = [DoseOutcome::Missed, DoseOutcome::Refused];
            let is_locked = ends(&said).len() == 1 && locked.contains(&ends(&said)[0]) && !is_out(&said);
            let is_locked = is_locked && !self.signed.contains(&place);
            let is_new = !self.released.iter().any(|(of, _)| *of == place);
            // Long before the next of its slot.
            if releases && is_locked && is_new && home.at < dose.opens_at + 10 * HOUR as i64 {
                let closes_at = home.at + HOUR as i64;
                self.released.push((
                    place,
                    Slot { opens_at: home.at, closes_at, releases: Some(dose.opens_at), ..dose.clone() },
                ));
            }
        }
        let wants = |place: usize| {
            let said = words(home, plan, place);
            !self.signed.contains(&place) && !is_out(&said) && ends(&said).is_empty()
        };
        let planned = plan.iter().enumerate().filter(|(place, _)| wants(*place)).map(|(_, dose)| dose.clone());
        let released = self.released.iter().filter(|(place, release)| {
            let since = words(home, plan, *place).into_iter().filter(|(_, at)| *at > release.opens_at);
            ends(&since.clone().collect::<Vec<_>>()).is_empty() && !is_out(&since.collect::<Vec<_>>())
        });
        let mut next: Vec<Slot> = planned.chain(released.map(|(_, release)| release.clone())).collect();
        next.retain(|dose| dose.closes_at > home.at);
        next.sort_by_key(|dose| dose.opens_at);
        next.truncate(8);
        let left: Vec<&Slot> = self.pushed.iter().filter(|dose| dose.closes_at > home.at).collect();
        let is_by_hand = |dose: &Slot| self.signed.iter().any(|place| plan[*place] == *dose);
        let is_over = |dose: &Slot| dose.opens_at <= home.at && !next.contains(dose) && !is_by_hand(dose);
        let left: Vec<&Slot> = left.into_iter().filter(|dose| !is_over(dose)).collect();
        let is_same = left.len() <= next.len() && left.iter().zip(&next).all(|(left, next)| **left == *next);
        let is_old = home.at - self.pushed_at >= DAY as i64;
        let runs_out = left.len() <= 4 && left.len() < next.len();
        if (!is_same || is_old || runs_out) && home.schedule(&next) == Outcome::Done {
            self.asked.extend(next.iter().map(|dose| (dose.slot.to_string(), dose.opens_at)));
            (self.pushed, self.pushed_at) = (next, home.at);
        }
    }
}

impl Gateway {
    /// A person gives the due dose by hand, and signs for it.
    fn sign(&mut self, home: &mut Home, plan: &[Slot]) {
        let ledger = home.machine().role.ledger();
        let due = ledger.current().map(|place| &ledger.doses[place]).filter(|dose| dose.state == State::Due);
        let is_it =
            |planned: &Slot| due.is_some_and(|due| planned.slot == due.slot && planned.opens_at == due.opens_at);
        self.signed.extend(plan.iter().position(is_it));
    }
}

fn week(hands: &[u8], gone: &[(i64, i64)], cuts: &[u64], releases: bool) -> Vec<Vec<DoseOutcome>> {
    let mut home = filled();
    let (plan, mut gateway) = (plan(), Gateway::default());
    let mut cuts = cuts.iter().copied();
    let mut armed = home.cuts;
    home.carousel.borrow_mut().cut_after(cuts.next());
    home.dark_ms = 4 * MIN;
    let mut turn = 0;
    while home.at < START + DAYS * DAY as i64 {
        let hour = (home.at - START) / HOUR as i64;
        home.online = !gone.iter().any(|(from, hours)| (*from..from + hours).contains(&hour));
        if home.online {
            gateway.tick(&mut home, &plan, releases);
        }
        let place = home.machine().role.ledger().current();
        if place.is_some() {
            turn += 1;
            match hands[turn % hands.len()] {
                0..=5 => {
                    home.ask();
                    home.take();
                }
                6 => home.ask(),
                7 => home.press(Line::Refuse, 3_500),
                8 if home.online => gateway.sign(&mut home, &plan),
                _ => {}
            }
        }
        if armed != home.cuts {
            armed = home.cuts;
            home.carousel.borrow_mut().cut_after(cuts.next());
        }
        home.run(10 * MIN);
    }
    home.online = true;
    home.carousel.borrow_mut().cut_after(None);
    home.run(3 * HOUR);

    for (place, dose) in plan.iter().enumerate() {
        let (compartment, said) = (place + 1, words(&home, &plan, place));
        let (name, ends) = (dose.slot.as_str(), ends(&said));
        let last = ends.last().copied();
        let releases = gateway.released.iter().filter(|(of, _)| *of == place).count();
        if ends.is_empty() && gateway.signed.contains(&place) {
            assert!(home.carousel.borrow().holds(compartment), "{name} {place}: given by hand, and by the dispenser");
            continue;
        }
        if ends.is_empty() {
            // Of a dose that it never heard of the real gateway says itself that it is unknown: it was away.
            let touches = |(from, hours): &(i64, i64)| {
                START + from * HOUR as i64 <= dose.closes_at && dose.opens_at <= START + (from + hours) * HOUR as i64
            };
            assert!(
                !gateway.asked.contains(&(name.to_owned(), dose.opens_at)),
                "{name} {place}: asked for, and {said:?}"
            );
            assert!(gone.iter().any(touches), "{name} {place}: not asked for, and the gateway was there");
            assert!(home.carousel.borrow().holds(compartment), "{name} {place}: not asked for, and given");
            continue;
        }
        // Its outcome, one of each release, and that it is gone.
        assert!((1..=2 + releases).contains(&ends.len()), "{name} {place}: {said:?}, released {releases} times");
        assert!(ends.len() < 2 + releases || last == Some(DoseOutcome::Unknown), "{name} {place}: {said:?}");
        let taken: Vec<i64> = home.taken.iter().filter(|(of, _)| *of == compartment).map(|(_, at)| *at).collect();
        assert!(taken.len() <= 1, "{name} {place} was taken {} times", taken.len());
        assert_eq!(usize::from(home.carousel.borrow().holds(compartment)) + taken.len(), 1);
        // Cut while the wheel passed it on the way to a later dose: that dose is unknown.
        let is_passed_over = |at: i64| {
            let later = plan.iter().enumerate().filter(|(_, dose)| (dose.opens_at..dose.closes_at).contains(&at));
            later.map(|(of, _)| self::ends(&words(&home, &plan, of))).any(|ends| ends.contains(&DoseOutcome::Unknown))
        };
        match taken.first() {
            Some(at) => {
                assert!(
                    matches!(last, Some(DoseOutcome::Taken | DoseOutcome::Unknown)),
                    "{name} {place}: taken, {said:?}"
                );
                let mut windows = vec![dose];
                windows.extend(gateway.released.iter().filter(|(of, _)| *of == place).map(|(_, window)| window));
                // Several cuts in a row while it lies there: it is closed away when the power has come to stay.
                let late = HOUR as i64;
                let is_in_time = windows.iter().any(|of| (of.opens_at..of.closes_at + late).contains(at));
                assert!(is_in_time || is_passed_over(*at), "{name} {place}: taken at {at}, {said:?}");
            }
            None => assert!(last != Some(DoseOutcome::Taken), "{name} {place}: {said:?}, and nobody took it"),
        }
    }
    assert!(!home.heard.iter().any(|message| matches!(message.event, Event::Lost { .. })));
    (0..plan.len()).map(|place| ends(&words(&home, &plan, place))).collect()
}

#[test]
fn a_quiet_week_has_all_its_doses_taken() {
    let ends = week(&[0], &[], &[], false);
    assert!(ends.iter().all(|ends| *ends == [DoseOutcome::Taken]), "{ends:?}");
}

#[test]
fn a_week_in_which_nobody_comes_has_them_all_missed_and_released_ones_twice() {
    let ends = week(&[9], &[], &[], false);
    assert!(ends.iter().all(|ends| *ends == [DoseOutcome::Missed]), "{ends:?}");
    let ends = week(&[9], &[], &[], true);
    assert!(ends.iter().all(|ends| *ends == [DoseOutcome::Missed; 2]), "{ends:?}");
}

#[test]
fn a_gateway_gone_for_a_day_and_a_half_changes_nothing() {
    let ends = week(&[0], &[(10, 36), (70, 30), (130, 36)], &[], false);
    assert!(ends.iter().all(|ends| *ends == [DoseOutcome::Taken]), "{ends:?}");
}

#[test]
fn doses_that_are_given_by_hand_leave_the_others_their_own_compartments() {
    let ends = week(&[8, 0, 0], &[], &[], false);
    let by_hand = ends.iter().filter(|ends| ends.is_empty()).count();
    let taken = ends.iter().filter(|ends| **ends == [DoseOutcome::Taken]).count();
    assert!(by_hand >= 8 && by_hand + taken == ends.len(), "{ends:?}");
}

#[test]
fn doses_that_come_before_the_first_schedule_are_nobodys_word_and_nobody_gets_another_in_their_place() {
    let ends = week(&[0], &[(0, 20)], &[], false);
    assert!(ends[..3].iter().all(Vec::is_empty), "{ends:?}");
    assert!(ends[3..].iter().all(|ends| *ends == [DoseOutcome::Missed]), "{ends:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn a_week_with_power_cuts_and_outages(
        hands in prop::collection::vec(0u8..10, 1..40),
        gone in prop::collection::vec((0i64..168, 1i64..24), 0..4),
        cuts in prop::collection::vec(prop_oneof![0u64..3_000, 0u64..60_000], 0..40),
        releases: bool,
    ) {
        week(&hands, &gone, &cuts, releases);
    }
}
