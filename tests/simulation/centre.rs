//! The alarm centres: they take, lose, refuse, answer late or twice, and come and go.
//!
//! Enters: attempts from the ledger. Leaves: what its link would tell, with the time it takes; what the centre has accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use vaka::dispatch::sim::{LinkEvent, Start};
use vaka::dispatch::{Failure, Notice};

use crate::Rng;

/// A receiver gives up on an answer after this, in milliseconds.
const DEADLINE_MS: u64 = 8_000;

pub struct Centre {
    pub name: String,
    pub up: bool,
    /// By (controller, reference): one controller here.
    pub accepted: BTreeMap<String, Accepted>,
}

pub struct Accepted {
    pub notice: Arc<Notice>,
    /// How often it came: all but the first are thrown away as repeats.
    pub copies: u32,
}

/// Something to be told after so many milliseconds.
pub type Told = (u64, LinkEvent);

impl Centre {
    pub fn new(name: &str) -> Centre {
        Centre { name: name.to_owned(), up: true, accepted: BTreeMap::new() }
    }

    fn accept(&mut self, notice: &Arc<Notice>) {
        let kept = self.accepted.entry(notice.reference.clone());
        let kept = kept.or_insert_with(|| Accepted { notice: notice.clone(), copies: 0 });
        assert_eq!(*kept.notice, **notice, "the same reference for two different messages");
        kept.copies += 1;
    }

    /// Takes an attempt; with `faults` anything may go wrong with it.
    pub fn take(&mut self, start: &Start, rng: &mut Rng, faults: bool) -> Vec<Told> {
        let attempt = start.attempt;
        let reference = start.notice.reference.clone();
        let failed = |failure| LinkEvent::Failed { attempt, failure };
        if !self.up {
            return vec![(0, failed(Failure::NotConnected("nobody answers".into())))];
        }
        let sent = || LinkEvent::Sent { attempt };
        let received = || LinkEvent::Received { attempt, detail: String::new() };
        let accepted =
            |attempt| LinkEvent::Accepted { attempt, reference: reference.clone(), detail: String::new(), last: false };
        let lag_ms = 5 + rng.below(400);
        let fault = if faults { rng.below(14) } else { u64::MAX };
        match fault {
            // Lost on the way there.
            0 => vec![(0, sent()), (DEADLINE_MS, failed(Failure::NotReceived(DEADLINE_MS as u32)))],
            // The receipt is lost.
            1 | 2 => {
                self.accept(&start.notice);
                vec![(0, sent()), (lag_ms, received()), (DEADLINE_MS, failed(Failure::NotAccepted(DEADLINE_MS as u32)))]
            }
            // The receipt is late: after its deadline, on whatever connection there is then.
            3 | 4 => {
                self.accept(&start.notice);
                vec![
                    (0, sent()),
                    (lag_ms, received()),
                    (DEADLINE_MS, failed(Failure::NotAccepted(DEADLINE_MS as u32))),
                    (DEADLINE_MS + rng.below(60_000), accepted(None)),
                ]
            }
            5 => vec![(0, sent()), (lag_ms, failed(Failure::Status { status: 503, reason: "busy".into() }))],
            6 => vec![(0, sent()), (lag_ms, received()), (lag_ms + 5, failed(Failure::Snu { snu: 1 }))],
            // The connection breaks; nobody knows on which side of the message.
            7 => {
                if rng.one_in(2) {
                    self.accept(&start.notice);
                }
                vec![(0, sent()), (lag_ms, failed(Failure::Closed("reset".into())))]
            }
            // The 200 is lost, the receipt comes; and once more.
            8 => {
                self.accept(&start.notice);
                vec![(0, sent()), (lag_ms, accepted(Some(attempt))), (lag_ms + rng.below(9_000), accepted(None))]
            }
            _ => {
                self.accept(&start.notice);
                vec![(0, sent()), (lag_ms, received()), (lag_ms + rng.below(800), accepted(Some(attempt)))]
            }
        }
    }
}
