//! What a camera's view looked like when a person accepted it: where edges run, in coarse cells. Not a picture.
//!
//! Enters: a small grid of light. Leaves: two bits for each of 16 x 12 cells, which no picture can be made from.

use std::fmt;
use std::str::FromStr;

/// Cells across and down.
pub(crate) const CELLS: (usize, usize) = (16, 12);
const BYTES: usize = CELLS.0 * CELLS.1 * 2 / 8;

/// A coarse edge hash of what a camera sees: 48 bytes, written as 96 hexadecimal digits.
///
/// A camera sees differently by day and by infrared light: keep one for each, and hand both to [`crate::check`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reference([u8; BYTES]);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("a camera's reference is {} hexadecimal digits: take a new one", BYTES * 2);
        if text.len() != BYTES * 2 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; BYTES];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Reference(bytes))
    }
}

/// Points of the grid that edges are looked for in: four each way in a cell.
pub(crate) const POINTS: (usize, usize) = (CELLS.0 * 4, CELLS.1 * 4);

/// Least mean step of light between neighbours for a cell to have an edge. Below: noise of a dim picture. Source: our choice.
const STEP_MIN: u32 = 3;

/// Share of edges, in percent, that are elsewhere before a camera counts as moved. A person in another place of the bed, a blanket and
/// a lamp change less than a third (`tests` below); a camera turned by a fifth of its view changes most.
const MOVED_PERCENT: u32 = 60;

impl Reference {
    /// Of a grid of light of [`POINTS`], row by row.
    pub(crate) fn of(grid: &[u8]) -> Reference {
        let (width, height) = POINTS;
        let step = |a: usize, b: usize| u32::from(grid[a].abs_diff(grid[b]));
        // How much light changes across and down, summed for each cell.
        let mut energies = [[0u32; CELLS.0 * CELLS.1]; 2];
        for y in 0..height - 1 {
            for x in 0..width - 1 {
                let (at, cell) = (y * width + x, y / 4 * CELLS.0 + x / 4);
                energies[0][cell] += step(at, at + 1);
                energies[1][cell] += step(at, at + width);
            }
        }
        let mut bytes = [0; BYTES];
        for (axis, energies) in energies.iter().enumerate() {
            // Against the picture's own mean, so that more light alone moves no edge.
            let mean = energies.iter().sum::<u32>() / energies.len() as u32;
            for (cell, energy) in energies.iter().enumerate() {
                if *energy > (mean * 5 / 4).max(STEP_MIN * 16) {
                    let bit = axis * CELLS.0 * CELLS.1 + cell;
                    bytes[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
        Reference(bytes)
    }

    /// Whether a camera that saw `self` and sees `now` looks elsewhere.
    pub(crate) fn is_elsewhere(&self, now: &Reference) -> bool {
        let count =
            |join: fn(u8, u8) -> u8| -> u32 { self.0.iter().zip(&now.0).map(|(a, b)| join(*a, *b).count_ones()).sum() };
        let (apart, all) = (count(|a, b| a ^ b), count(|a, b| a | b));
        apart * 100 > all * MOVED_PERCENT
    }

    /// How many cells have an edge, across or down.
    pub(crate) fn edges(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }
}
