//! An accelerometer, and what it is made to feel, thousandths of g along three axes, gravity included.
//!
//! | line | what happens |
//! |---|---|
//! | `feel X Y Z X Y Z …` | it feels these next, one at each of its sampling times, and the last of them on and on; more lines go on from there |
//! | `shake X Y Z X Y Z …` | it feels these again and again, from now on |
//!
//! As many as a line holds; a line with another number of numbers is none.

use alloc::boxed::Box;
use core::cell::RefCell;

use heapless::{Deque, Vec};
use vaka_device::Now;
use vaka_parts::accelerometer::{Bus, Lis2dh12};

use crate::inputs::{Inputs, Parts};

/// The address of a part with pin SA0 high.
const ADDRESS: u8 = 0x19;

/// What may wait to be felt: two seconds and a half of a hundred a second. Beyond: not felt, and said.
const WAITING_MAX: usize = 256;

/// What one line holds at the most.
const LINE_MAX: usize = 20;

/// On an upright body.
const UPRIGHT: [i16; 3] = [0, 1_000, 0];

#[derive(Debug)]
struct Body {
    chip: RefCell<Lis2dh12>,
    moves: RefCell<Moves>,
}

#[derive(Debug)]
struct Moves {
    next: Deque<[i16; 3], WAITING_MAX>,
    /// After the last of `next` it begins again with these.
    again: Vec<[i16; 3], LINE_MAX>,
    last: [i16; 3],
    /// When it felt last, milliseconds since boot.
    felt_ms: u64,
}

/// The part, on its bus.
pub fn chip(inputs: &mut Inputs) -> Bus<'static> {
    let moves = Moves { next: Deque::new(), again: Vec::new(), last: UPRIGHT, felt_ms: 0 };
    let body: &Body =
        Box::leak(Box::new(Body { chip: RefCell::new(Lis2dh12::new(ADDRESS)), moves: RefCell::new(moves) }));
    inputs.attach(body);
    Bus(&body.chip)
}

impl Moves {
    fn next(&mut self) -> [i16; 3] {
        if self.next.is_empty() {
            self.next.extend(self.again.iter().copied());
        }
        self.last = self.next.pop_front().unwrap_or(self.last);
        self.last
    }
}

impl Parts for Body {
    fn obey(&self, word: &str, rest: &str, _now: Now) -> bool {
        let Some(samples) = samples(rest) else { return false };
        let mut moves = self.moves.borrow_mut();
        match word {
            "feel" => moves.again.clear(),
            "shake" => moves.again.clone_from(&samples),
            _ => return false,
        }
        samples.iter().all(|sample| moves.next.push_back(*sample).is_ok())
    }

    fn pass(&self, now: Now) -> u64 {
        let (mut chip, mut moves) = (self.chip.borrow_mut(), self.moves.borrow_mut());
        let Some(every_ms) = 1_000_u64.checked_div(chip.rate_hz().into()) else {
            moves.felt_ms = now.uptime_ms;
            return u64::MAX;
        };
        while now.since(moves.felt_ms) >= every_ms {
            moves.felt_ms += every_ms;
            chip.feel(moves.next().map(i32::from));
        }
        u64::MAX
    }
}

/// The samples of a line; `None`: it holds something else.
fn samples(line: &str) -> Option<Vec<[i16; 3], LINE_MAX>> {
    let mut words = line.split(' ').map(|word| word.parse().ok());
    let mut samples = Vec::new();
    while let Some(x) = words.next() {
        samples.push([x?, words.next()??, words.next()??]).ok()?;
    }
    Some(samples)
}
