//! How closely paths are watched, and how soon a loss is known: hours on the paused clock, with the bounds that people are promised.

use super::memory::{AT_ONCE, Memory, Mood};
use super::*;

const HOUR: Duration = Duration::from_secs(3_600);
/// DESIGN §7: the loss of the primary path is known.
const LOSS_KNOWN_MAX: Duration = Duration::from_secs(90);
/// DESIGN §7: a second path is tested at least so often.
const STANDBY_MAX: Duration = Duration::from_secs(5 * 3_600);

/// One receiver, as configured by default, over two paths.
fn two_paths(first: &Memory, second: &Memory) -> DispatchConfig {
    let way = |name: &str, centre: &Memory| PathConfig {
        name: name.to_owned(),
        url: Some(centre.url()),
        ..PathConfig::default()
    };
    let paths = vec![way("fibre", first), way("mobile", second)];
    config(vec![ReceiverConfig { paths, ..ReceiverConfig::new("arc", ReceiverKind::Scaip, &first.url()) }])
}

/// Both paths are proven.
async fn standing(first: &Memory, second: &Memory) -> Stage {
    let mut stage = Stage::paced(two_paths(first, second), Pace::default());
    stage.path("arc", true).await;
    stage.path("arc", true).await;
    stage
}

async fn lost(stage: &mut Stage, name: &str) {
    stage.until_within(HOUR, |r| matches!(r, Report::Path { path, up: false, .. } if path.starts_with(name))).await;
}

fn longest_gap(times: &[Instant]) -> Duration {
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_second_path_is_proven_every_few_hours_while_the_first_is_heard_all_the_time() {
    let (first, second) = (Memory::new("first"), Memory::new("second"));
    let _stage = standing(&first, &second).await;
    tokio::time::sleep(24 * HOUR).await;
    let (first, second) = (first.book().heartbeats, second.book().heartbeats);
    assert!(longest_gap(&first) <= Duration::from_secs(25), "{:?}", longest_gap(&first));
    assert!(longest_gap(&second) <= STANDBY_MAX, "{:?}", longest_gap(&second));
    let later = second.iter().filter(|at| **at > second[0] + HOUR).count();
    assert!((4..=6).contains(&later), "a second path costs little: {later} heartbeats in a day");
}

#[tokio::test(start_paused = true)]
async fn a_second_path_is_proven_at_once_when_the_first_is_lost_and_then_watched_as_closely() {
    let (first, second) = (Memory::new("first"), Memory::new("second"));
    let mut stage = standing(&first, &second).await;
    tokio::time::sleep(HOUR).await;
    let before = second.book().heartbeats.len();
    first.is(Mood::Swallows);
    lost(&mut stage, "fibre").await;
    let known_at = Instant::now();
    tokio::time::sleep(HOUR).await;
    let beats = second.book().heartbeats.split_off(before);
    assert!(beats[0] - known_at < Duration::from_millis(10), "proven {:?} after", beats[0] - known_at);
    assert!(longest_gap(&beats) <= Duration::from_secs(25), "{:?}", longest_gap(&beats));
    // Back: the second is left alone again, and still tested.
    first.is(AT_ONCE);
    stage.until(|r| matches!(r, Report::Path { path, up: true, .. } if path.starts_with("fibre"))).await;
    tokio::time::sleep(HOUR / 60).await;
    let before = second.book().heartbeats.len();
    tokio::time::sleep(24 * HOUR).await;
    let beats = second.book().heartbeats.split_off(before);
    assert!((4..=6).contains(&beats.len()) && longest_gap(&beats) <= STANDBY_MAX, "{beats:?}");
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_first_path_is_known_in_time_however_it_is_lost() {
    for (how, mood) in [("half-open", Mood::Swallows), ("hanging", Mood::Hangs), ("refused", Mood::Refuses)] {
        let mut longest = Duration::ZERO;
        // Early, midway and late between two heartbeats.
        for second in [0, 1, 7, 13, 19, 24] {
            let (fibre, mobile) = (Memory::new("first"), Memory::new("second"));
            let mut stage = standing(&fibre, &mobile).await;
            tokio::time::sleep(HOUR / 6 + Duration::from_secs(second)).await;
            let from = Instant::now();
            fibre.is(mood);
            lost(&mut stage, "fibre").await;
            longest = longest.max(from.elapsed());
        }
        assert!(longest <= LOSS_KNOWN_MAX, "{how}: known after {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_press_overtakes_a_half_open_first_path_before_anybody_knows_that_it_is_lost() {
    let (first, second) = (Memory::new("first"), Memory::new("second"));
    let mut stage = standing(&first, &second).await;
    tokio::time::sleep(HOUR).await;
    first.is(Mood::Swallows);
    let pressed = Instant::now();
    stage.dispatcher.owe(notice("a1", 1));
    let rung = stage.accepted("a1").await;
    assert!(matches!(&rung, Report::Rung { path, .. } if path.starts_with("mobile ")), "{rung:?}");
    assert!(pressed.elapsed() <= Duration::from_secs(10), "{:?}", pressed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_press_gets_through_where_the_first_path_is_gone_and_the_seconds_connection_was_forgotten() {
    let (first, second) = (Memory::new("first"), Memory::new("second"));
    let mut stage = standing(&first, &second).await;
    tokio::time::sleep(HOUR).await;
    // A mobile network forgets a connection on which nothing was said for an hour.
    second.is(Mood::Forgets);
    first.is(Mood::Refuses);
    let pressed = Instant::now();
    stage.dispatcher.owe(notice("a1", 1));
    let rung = stage.accepted("a1").await;
    assert!(matches!(&rung, Report::Rung { path, .. } if path.starts_with("mobile ")), "{rung:?}");
    assert!(pressed.elapsed() <= Duration::from_secs(30), "{:?}", pressed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_second_path_whose_connection_was_forgotten_is_no_lost_path() {
    let (first, second) = (Memory::new("first"), Memory::new("second"));
    let mut stage = standing(&first, &second).await;
    tokio::time::sleep(HOUR).await;
    second.is(Mood::Forgets);
    tokio::time::sleep(24 * HOUR).await;
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    let lost = stage.heard.iter().filter(|r| matches!(r, Report::Path { up: false, .. })).count();
    assert_eq!(lost, 0, "{:?}", stage.heard);
}
