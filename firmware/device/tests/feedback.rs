//! What the resident is told: never more than is true, and always about the newest call.

use proptest::prelude::*;
use vaka_device::{Feedback, PRESS_ACK_MS_MAX, calling, not_through, shown};
use vaka_protocol::{Light, Rung};

#[test]
fn received_is_said_at_accepted_and_on_the_way_at_claimed() {
    for rung in [Rung::Stored, Rung::Sent, Rung::Received] {
        assert_eq!((shown(rung).sv, shown(rung).en), ("Larmet skickas", "Calling for help"));
        assert_eq!(shown(rung).light, Light::Blink);
    }
    assert_eq!(shown(Rung::Accepted).text("sv"), "Larmet är mottaget");
    assert_eq!(shown(Rung::Claimed).text("sv"), "Hjälp är på väg");
    assert_eq!(shown(Rung::Claimed).text("en"), "Help is on the way");
    assert_eq!(shown(Rung::Closed).text("fi"), "Larmet är avslutat");
}

#[test]
fn a_receipt_for_an_older_call_does_not_calm_the_newer_one() {
    let mut feedback = Feedback::new();
    assert_eq!(feedback.receipt(1, 1, Rung::Accepted), None);
    assert_eq!(feedback.called(1, 1, 0), calling());
    feedback.called(1, 2, 100);
    assert_eq!(feedback.receipt(1, 1, Rung::Claimed), None);
    assert_eq!(feedback.receipt(1, 3, Rung::Claimed), None);
    assert_eq!(feedback.receipt(2, 2, Rung::Claimed), None);
    assert_eq!(feedback.receipt(1, 2, Rung::Accepted), Some(shown(Rung::Accepted)));
}

#[test]
fn a_call_that_is_not_through_says_so_once_and_recovers() {
    let mut feedback = Feedback::new();
    assert_eq!(feedback.tick(1_000_000), None);
    feedback.called(1, 1, 500);
    assert_eq!(feedback.tick(500 + PRESS_ACK_MS_MAX - 1), None);
    assert_eq!(feedback.tick(500 + PRESS_ACK_MS_MAX), Some(not_through()));
    assert_eq!(feedback.tick(500 + 2 * PRESS_ACK_MS_MAX), None);
    assert_eq!(feedback.receipt(1, 1, Rung::Stored), Some(shown(Rung::Stored)));
    feedback.called(1, 2, 10_000);
    feedback.receipt(1, 2, Rung::Stored);
    assert_eq!(feedback.tick(u64::MAX), None);
}

proptest! {
    #[test]
    fn what_is_shown_only_climbs_and_only_for_the_newest_call(
        acts in prop::collection::vec((0u64..4, prop::sample::select(Rung::ALL), any::<bool>()), 0..40)
    ) {
        let mut feedback = Feedback::new();
        let mut newest = None;
        let mut highest = None;
        for (seq, rung, call) in acts {
            if call {
                feedback.called(1, seq, 0);
                (newest, highest) = (Some(seq), None);
            } else {
                let climbs = newest == Some(seq) && highest < Some(rung);
                prop_assert_eq!(feedback.receipt(1, seq, rung), climbs.then(|| shown(rung)));
                if climbs {
                    highest = Some(rung);
                }
            }
        }
    }
}
