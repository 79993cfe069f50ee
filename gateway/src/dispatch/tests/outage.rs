//! After an outage: what a centre gets in its first seconds, and how often one that takes and drops connections is dialled.

use super::memory::{AT_ONCE, Memory, Mood, Step};
use super::*;
use crate::limits::{PATH_STABLE_MS, RETRY_MS_MIN, in_flight_max};

const FIRST: Duration = Duration::from_secs(10);
const LIFE: usize = 20;
const OTHERS: usize = 1_000;

/// An outage in which presses, technical notices and tests have piled up.
async fn owing(centre: &Memory) -> (Stage, BTreeMap<String, Lane>) {
    let receiver = ReceiverConfig::new("arc", ReceiverKind::Scaip, &centre.url());
    let mut stage = Stage::paced(config(vec![receiver]), Pace::default());
    stage.path("arc", true).await;
    centre.is(Mood::Refuses);
    stage.path("arc", false).await;
    let mut lanes = BTreeMap::new();
    for (lane, count) in [(Lane::Technical, OTHERS), (Lane::Test, OTHERS), (Lane::Life, LIFE)] {
        for n in 0..count {
            let of_lane = Notice { lane, happened_at: AT + n as i64, ..notice(&format!("{}{n}", lane.as_str()), 1) };
            lanes.insert(of_lane.reference.clone(), lane);
            stage.dispatcher.owe(of_lane);
        }
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    (stage, lanes)
}

/// The first seconds after the centre is reached again: how many of each lane came, the most of each that waited for an answer at
/// once, and the references of life in the order of their coming, each with how many of other lanes came before it.
struct FirstSeconds {
    came: BTreeMap<Lane, usize>,
    unanswered_max: BTreeMap<Lane, usize>,
    life: Vec<(String, usize)>,
}

async fn first_seconds(centre: &Memory, lanes: &BTreeMap<String, Lane>, mood: Mood) -> FirstSeconds {
    let dials = centre.book().dials.len();
    centre.is(mood);
    while centre.book().dials.len() == dials {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let back_at = centre.book().dials[dials];
    tokio::time::sleep_until(back_at + FIRST).await;
    let mut seen = FirstSeconds { came: BTreeMap::new(), unanswered_max: BTreeMap::new(), life: Vec::new() };
    let mut waiting: BTreeMap<Lane, usize> = BTreeMap::new();
    for (_, step) in centre.book().alarms {
        match step {
            Step::Came(reference) => {
                let lane = lanes[&reference];
                *seen.came.entry(lane).or_default() += 1;
                let now = waiting.entry(lane).or_default();
                *now += 1;
                let max = seen.unanswered_max.entry(lane).or_default();
                *max = (*max).max(*now);
                if lane == Lane::Life {
                    let others = seen.came.iter().filter(|(lane, _)| **lane != Lane::Life).map(|(_, count)| count);
                    seen.life.push((reference, others.sum()));
                }
            }
            Step::Answered(reference) => *waiting.entry(lanes[&reference]).or_default() -= 1,
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_centre_that_comes_back_is_not_flooded_and_hears_the_newest_of_life_first() {
    let centre = Memory::new("arc");
    let (_stage, lanes) = owing(&centre).await;
    let answer_ms = 100;
    let mood = Mood::Answers { after: Duration::from_millis(answer_ms) };
    let seen = first_seconds(&centre, &lanes, mood).await;
    assert_eq!(seen.came[&Lane::Life], LIFE, "each press once");
    // Each lane waits for an answer before it says more: the centre sets the pace.
    let rounds = usize::try_from(FIRST.as_millis()).expect("small") / answer_ms as usize + 1;
    for lane in [Lane::Technical, Lane::Test] {
        assert!(seen.unanswered_max[&lane] <= in_flight_max(lane), "{lane:?}");
        assert!(seen.came[&lane] <= in_flight_max(lane) * rounds, "{lane:?}: {}", seen.came[&lane]);
    }
    let mut came: Vec<&String> = seen.life.iter().map(|(reference, _)| reference).collect();
    let mut newest_first: Vec<String> = (0..LIFE).rev().map(|n| notice(&format!("life{n}"), 1).reference).collect();
    // A press whose own turn came in the very millisecond of the connection was under way already.
    let early = came.iter().take_while(|reference| ***reference != newest_first[0]).count();
    let under_way: Vec<&String> = came.drain(..early).collect();
    assert!(early <= 3, "{early} presses came before the newest");
    newest_first.retain(|reference| !under_way.contains(&reference));
    assert_eq!(came, newest_first.iter().collect::<Vec<_>>());
    let before = seen.life.last().expect("life came").1;
    let window = in_flight_max(Lane::Technical) + in_flight_max(Lane::Test);
    assert!(before <= window, "{before} messages of other lanes came before the last press");
}

#[tokio::test(start_paused = true)]
async fn a_centre_that_comes_back_but_answers_nothing_gets_no_more_than_the_lanes_windows_each_time() {
    let centre = Memory::new("arc");
    let (_stage, lanes) = owing(&centre).await;
    let seen = first_seconds(&centre, &lanes, Mood::Swallows).await;
    // Given up after 5 s, told once more: nothing says that the centre has lost it.
    let tries = 3;
    assert!(seen.came[&Lane::Life] <= LIFE * tries, "{:?}", seen.came);
    for lane in [Lane::Technical, Lane::Test] {
        let came = seen.came.get(&lane).copied().unwrap_or(0);
        assert!(came <= in_flight_max(lane) * tries, "{lane:?}: {came}");
    }
}

/// Waits between the end of one connection and the next dial, of a centre that ends each so long after it took it.
async fn waits_ms(held_ms: u64, dials: usize) -> Vec<u64> {
    let centre = Memory::new("arc");
    centre.is(Mood::Drops { after: Duration::from_millis(held_ms) });
    let receiver = ReceiverConfig::new("arc", ReceiverKind::Scaip, &centre.url());
    let _stage = Stage::paced(config(vec![receiver]), Pace::default());
    while centre.book().dials.len() < dials {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let book = centre.book().dials;
    let gap_ms = |pair: &[Instant]| u64::try_from((pair[1] - pair[0]).as_millis()).expect("small") - held_ms;
    book.windows(2).map(gap_ms).collect()
}

#[tokio::test(start_paused = true)]
async fn a_centre_that_takes_and_drops_connections_is_dialled_ever_less_often() {
    // What three times the shortest wait allows is never left where each loss starts anew.
    let fresh_max_ms = 3 * RETRY_MS_MIN + 1;
    for held_ms in [0, PATH_STABLE_MS - 1_000] {
        let waits = waits_ms(held_ms, 100).await;
        let long = waits.iter().filter(|wait| **wait > fresh_max_ms).count();
        assert!(long > waits.len() / 4, "held {held_ms} ms: {waits:?}");
    }
    let waits = waits_ms(PATH_STABLE_MS + 1_000, 100).await;
    assert!(waits.iter().all(|wait| *wait <= fresh_max_ms), "stable minutes start anew: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waited_is_all_accepted_in_the_end() {
    let centre = Memory::new("arc");
    let (mut stage, lanes) = owing(&centre).await;
    centre.is(AT_ONCE);
    for _ in 0..lanes.len() {
        stage.until(|r| matches!(r, Report::Rung { rung: Rung::Accepted, .. })).await;
    }
    let came = centre.book().alarms.iter().filter(|(_, step)| matches!(step, Step::Came(_))).count();
    assert_eq!(came, lanes.len(), "each once");
}
