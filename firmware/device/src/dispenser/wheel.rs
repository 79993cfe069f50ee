//! Where the carousel stands, and how it gets elsewhere. Enters: what its sensors show, the time since boot. Leaves: how the
//! motor is to run; that it has arrived, is stuck, or has counted what it holds.
//!
//! The wheel stops in turn closed and open: stop 0 is the wall behind the blank place (home), stop `2k - 1` has compartment `k` (from 1) open at the window,
//! stop `2k` has it behind the wall again. The index sensor is high at an open stop and low at a closed one. So each move is
//! made of steps from one stop to the next with one change of the index, and each step is kept before the motor runs:
//! after a power cut the index alone says which of the two stops it is. Invariants: never more than one step without a
//! change of the index; nothing moves when the index is not as the stop wants it; stuck stays stuck until it was counted.

use super::bytes::Reader;

/// Most compartments of a carousel: a week of four doses a day. Larger: the bits of [`Wheel`]'s count do not reach.
pub const COMPARTMENTS_MAX: u8 = 28;

/// Longest time for the index to change, in milliseconds. One step takes 250 to 500 ms at 1,000 ms from compartment to
/// compartment; 1.4 times that for a weak battery. Longer: with a dead index sensor the motor could reach the next
/// compartment, which opens 750 ms after the closed place before it. Source: our choice, by the geometry of the model.
pub const EDGE_MS_MAX: u64 = 700;

/// The motor runs on so long after the index changed, in milliseconds: to the middle of the stop.
pub const CENTRE_MS: u64 = 250;

/// As [`EDGE_MS_MAX`] while the whole wheel is counted: over the blank place it takes 1,500 ms, 1.4 times that at most.
pub const COUNT_EDGE_MS_MAX: u64 = 2_100;

/// How the motor is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// Not at all.
    Still,
    /// To higher compartments.
    Forward,
    /// To lower ones.
    Back,
}

/// What the sensors show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sight {
    /// A compartment stands open at the window.
    pub index: bool,
    /// The blank place is at the window.
    pub home: bool,
    /// Something lies in the compartment at the window.
    pub content: bool,
}

/// What has come of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Nothing yet, or nothing moves.
    Nothing,
    /// [`Wheel::bytes`] must be kept, then [`Wheel::go`]: the next step waits for it.
    ToKeep,
    /// It stands where it was sent.
    Arrived,
    /// It is stuck, or does not know where it stands.
    Stuck,
    /// Once round: bit `k - 1` is set where compartment `k` holds something.
    Counted(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    Rest,
    /// To this stop; the next step is to be kept.
    Sent(u8),
    /// To this stop; this step runs since then. `edge_ms`: when the index changed.
    Step {
        to: u8,
        since_ms: u64,
        edge_ms: Option<u64>,
    },
    /// Forward to home, to begin the count there.
    Seek {
        edge_ms: u64,
        index: bool,
    },
    /// Once round.
    Count {
        edge_ms: u64,
        index: bool,
        seen: u8,
        full: u32,
    },
    /// Counted: on to stop 0, as far from the first compartment as every closed stop is from the next.
    Leave {
        since_ms: u64,
        left_ms: Option<u64>,
        full: u32,
    },
}

/// The carousel as the device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wheel {
    compartments: u8,
    stop: u8,
    /// Where the step goes that was kept: after a power cut it stands at `stop` or there.
    next: u8,
    is_stuck: bool,
    must_count: bool,
    going: Going,
}

impl Wheel {
    /// A wheel of which nothing is known: it must be counted. `compartments`: 1 to [`COMPARTMENTS_MAX`].
    pub fn new(compartments: u8) -> Self {
        let compartments = compartments.clamp(1, COMPARTMENTS_MAX);
        Self { compartments, stop: 0, next: 0, is_stuck: false, must_count: true, going: Going::Rest }
    }

    /// As it was kept. `index`: the sensor, after the boot.
    pub fn read(compartments: u8, bytes: &[u8], index: bool) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [1, stop, next, flags] = reader.array()? else { return None };
        let fresh = Self::new(compartments);
        let last = 2 * fresh.compartments;
        if stop > last || next > last || stop.abs_diff(next) > 1 {
            return None;
        }
        let stop = if is_open(next) == index { next } else { stop };
        Some(Self { stop, next: stop, is_stuck: flags & 1 != 0, must_count: flags & 2 != 0, ..fresh })
    }

    /// What is to be kept. Layout: version 1, stop, next stop, 1 = stuck + 2 = must be counted.
    pub fn bytes(&self) -> [u8; 4] {
        [1, self.stop, self.next, u8::from(self.is_stuck) | u8::from(self.must_count) << 1]
    }

    /// It does not move until a person has opened it and it was counted.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// What it holds and where it stands is not known.
    pub fn must_count(&self) -> bool {
        self.must_count
    }

    /// Nothing moves.
    pub fn is_at_rest(&self) -> bool {
        self.going == Going::Rest
    }

    /// The compartment (from 1) that stands open.
    pub fn open(&self) -> Option<u8> {
        is_open(self.stop).then(|| self.stop.div_ceil(2))
    }

    /// The compartment (from 1) that is open to hands, also on the way or stuck, as far as is known. `index`: the sensor.
    pub fn exposed(&self, index: bool) -> Option<u8> {
        let open = if is_open(self.next) { self.next } else { self.stop };
        (index && !self.must_count && is_open(open)).then(|| open.div_ceil(2))
    }

    /// A person works in it: it stands still, and is counted afterwards. To be kept.
    pub fn hands(&mut self) {
        self.going = Going::Rest;
        self.must_count = true;
    }

    /// Stands still for now, wherever that is; the next sending goes on from here.
    pub fn halt(&mut self, index: bool) {
        if is_open(self.next) == index {
            self.stop = self.next;
        }
        self.going = Going::Rest;
    }

    /// What has to be kept before it moves cannot be: it does not move.
    pub fn fail(&mut self) {
        self.stuck();
    }

    /// Sends compartment `k` (from 1) to the window.
    pub fn send_open(&mut self, compartment: u8) {
        self.send((2 * compartment.min(self.compartments)).saturating_sub(1));
    }

    /// Closes what is open: behind the wall, in the direction of the doses.
    pub fn send_closed(&mut self) {
        self.send(self.stop + u8::from(is_open(self.stop)));
    }

    /// Whoever has run in between: begins the count.
    pub fn send_count(&mut self, sight: Sight, now_ms: u64) {
        self.going = match sight.home {
            true => Going::Count { edge_ms: now_ms, index: sight.index, seen: 0, full: 0 },
            false => Going::Seek { edge_ms: now_ms, index: sight.index },
        };
    }

    fn send(&mut self, stop: u8) {
        if !self.is_stuck && !self.must_count {
            self.going = Going::Sent(stop);
        }
    }

    /// The step that [`Came::ToKeep`] named is kept: the motor runs.
    pub fn go(&mut self, now_ms: u64) {
        if let Going::Sent(to) = self.going {
            self.going = Going::Step { to, since_ms: now_ms, edge_ms: None };
        }
    }

    /// How the motor is to run now.
    pub fn drive(&self) -> Drive {
        match self.going {
            Going::Rest | Going::Sent(_) => Drive::Still,
            Going::Step { .. } if self.next < self.stop => Drive::Back,
            Going::Step { .. } | Going::Seek { .. } | Going::Count { .. } | Going::Leave { .. } => Drive::Forward,
        }
    }

    /// Looks at the sensors.
    pub fn pass(&mut self, sight: Sight, now_ms: u64) -> Came {
        match self.going {
            // Somebody has turned it by hand.
            Going::Rest if !self.is_stuck && !self.must_count && is_open(self.stop) != sight.index => self.stuck(),
            Going::Rest => Came::Nothing,
            Going::Sent(_) if is_open(self.stop) != sight.index => self.stuck(),
            Going::Sent(to) if to == self.stop => {
                self.going = Going::Rest;
                Came::Arrived
            }
            Going::Sent(to) => {
                self.next = if to > self.stop { self.stop + 1 } else { self.stop - 1 };
                Came::ToKeep
            }
            Going::Step { to, since_ms, edge_ms } => self.step(sight, now_ms, (to, since_ms, edge_ms)),
            Going::Seek { edge_ms, index } => {
                if sight.home {
                    self.send_count(sight, now_ms);
                } else if sight.index != index {
                    self.going = Going::Seek { edge_ms: now_ms, index: sight.index };
                } else if now_ms.saturating_sub(edge_ms) >= COUNT_EDGE_MS_MAX {
                    return self.stuck();
                }
                Came::Nothing
            }
            Going::Count { edge_ms, index, seen, full } => self.count(sight, now_ms, (edge_ms, index, seen, full)),
            Going::Leave { since_ms, left_ms, full } => match left_ms {
                _ if sight.index || now_ms.saturating_sub(since_ms) >= COUNT_EDGE_MS_MAX => self.stuck(),
                None if !sight.home => {
                    self.going = Going::Leave { since_ms, left_ms: Some(now_ms), full };
                    Came::Nothing
                }
                Some(left_ms) if now_ms.saturating_sub(left_ms) >= CENTRE_MS => {
                    *self = Self { must_count: false, ..Self::new(self.compartments) };
                    Came::Counted(full)
                }
                _ => Came::Nothing,
            },
        }
    }

    fn step(&mut self, sight: Sight, now_ms: u64, (to, since_ms, edge_ms): (u8, u64, Option<u64>)) -> Came {
        match edge_ms {
            None if sight.index == is_open(self.next) => {
                self.going = Going::Step { to, since_ms, edge_ms: Some(now_ms) };
                Came::Nothing
            }
            None if now_ms.saturating_sub(since_ms) >= EDGE_MS_MAX => self.stuck(),
            Some(edge_ms) if now_ms.saturating_sub(edge_ms) >= CENTRE_MS => {
                self.stop = self.next;
                self.going = Going::Sent(to);
                self.pass(sight, now_ms)
            }
            _ => Came::Nothing,
        }
    }

    fn count(&mut self, sight: Sight, now_ms: u64, (edge_ms, index, seen, full): (u64, bool, u8, u32)) -> Came {
        let mut next = (edge_ms, sight.index, seen, full);
        if sight.index != index {
            next.0 = now_ms;
            next.2 += u8::from(sight.index);
        } else if now_ms.saturating_sub(edge_ms) >= COUNT_EDGE_MS_MAX {
            return self.stuck();
        }
        if next.2 > self.compartments {
            return self.stuck();
        }
        if sight.index && sight.content {
            next.3 |= 1 << (next.2.max(1) - 1);
        }
        if sight.home && seen > 0 {
            if seen != self.compartments {
                return self.stuck();
            }
            self.going = Going::Leave { since_ms: now_ms, left_ms: None, full };
            return Came::Nothing;
        }
        self.going = Going::Count { edge_ms: next.0, index: next.1, seen: next.2, full: next.3 };
        Came::Nothing
    }

    fn stuck(&mut self) -> Came {
        self.going = Going::Rest;
        // A count that failed is not tried again before somebody has turned the key.
        (self.is_stuck, self.must_count) = (true, false);
        Came::Stuck
    }
}

fn is_open(stop: u8) -> bool {
    stop % 2 == 1
}
