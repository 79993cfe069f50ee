//! How somebody came and went by one fence: the positions read one after the other.
//!
//! Enters: a trail, the fence, on which side somebody was known to be and since when. Leaves: each change of side that lasted,
//! with when it began. Invariants: a change counts when it has lasted as long as agreed; a position that may be on either side
//! changes nothing, and poor ones only where several agree; positions are read in the order in which they were true, so that one
//! that comes late changes nothing but what is known of then.

use super::area::Side;
use super::fix::Fix;
use super::{Fence, Trail};
use crate::limits::POOR_FIXES_MIN;
use crate::rules::care::moment::{At, Moment};

/// A change of side that lasted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    pub side: Side,
    /// The first position on that side.
    pub first: Fix,
    /// The newest one.
    pub last: Fix,
}

/// What the trail tells of a fence.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Course {
    /// Oldest first, sides alternating.
    pub turns: Vec<Turn>,
    /// Somebody seems to have changed sides, and will have when this has lasted as long as agreed. Absent where what is known of
    /// it is too poor to count by itself.
    pub pending: Option<(Side, At)>,
}

/// Positions on the other side, not yet a change.
#[derive(Clone, Copy)]
struct Run {
    side: Side,
    first: Fix,
    last: Fix,
    good: bool,
    poor: u32,
}

impl Run {
    fn new(side: Side, fix: Fix) -> Run {
        Run { side, first: fix, last: fix, good: !fix.poor, poor: u32::from(fix.poor) }
    }

    fn add(&mut self, fix: Fix) {
        // A poor one alone was none: it counts from the first good one.
        if !fix.poor && !self.counts() {
            self.first = fix;
        }
        self.last = fix;
        self.good |= !fix.poor;
        self.poor += u32::from(fix.poor);
    }

    fn counts(&self) -> bool {
        self.good || self.poor >= POOR_FIXES_MIN
    }

    fn turn(&self) -> Turn {
        Turn { side: self.side, first: self.first, last: self.last }
    }
}

impl Course {
    /// Reads what came after `known`: the side, and since when (UTC milliseconds).
    pub fn read(fence: &Fence, trail: &Trail, known: Option<(Side, i64)>, now: Moment) -> Course {
        let (mut side, from_ms) = (known.map(|known| known.0), known.map_or(i64::MIN, |known| known.1));
        let mut course = Course::default();
        let mut run: Option<Run> = None;
        let new = trail.fixes().partition_point(|fix| fix.at.wall_ms <= from_ms);
        for fix in &trail.fixes()[new..] {
            let Some(on) = fence.area.side(fix, fence.hysteresis_m) else { continue };
            match &mut run {
                None if side == Some(on) => course.stays(*fix),
                None => run = Some(Run::new(on, *fix)),
                Some(known) if known.side == on => known.add(*fix),
                // One poor position takes back nothing.
                Some(known) if fix.poor && known.good => {}
                Some(known) => {
                    if known.counts() && fix.at.after_ms(&known.first.at) >= fence.dwell_ms {
                        side = Some(known.side);
                        course.turns.push(known.turn());
                    }
                    run = (side != Some(on)).then(|| Run::new(on, *fix));
                    if run.is_none() {
                        course.stays(*fix);
                    }
                }
            }
        }
        if let Some(run) = run.filter(Run::counts) {
            if now.age_ms(&run.first.at) >= fence.dwell_ms {
                course.turns.push(run.turn());
            } else {
                course.pending = Some((run.side, run.first.at));
            }
        }
        course
    }

    fn stays(&mut self, fix: Fix) {
        if let Some(turn) = self.turns.last_mut() {
            turn.last = fix;
        }
    }
}

/// The side of the newest good position up to `until_ms` (UTC milliseconds) that is certainly on one.
pub fn last_side(fence: &Fence, trail: &Trail, until_ms: i64) -> Option<(Side, Fix)> {
    let known = trail.fixes().iter().rev().skip_while(|fix| fix.at.wall_ms > until_ms).filter(|fix| !fix.poor);
    known.filter_map(|fix| Some((fence.area.side(fix, fence.hysteresis_m)?, *fix))).next()
}
