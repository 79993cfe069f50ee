//! The veil: a picture in coarse grey cells, made here, so that nothing finer leaves the process.
//!
//! Enters: a grid of light. Leaves: a small JPEG in which each cell is one block of 8 x 8 pixels with one value: a block's mean is its
//! DC coefficient, so there is nothing to transform and nothing finer that could be kept.
//! Source of the form and of the table of codes: ITU-T T.81, annexes B, F.1.2.1 and K.3.

use crate::Wiped;
use crate::limits::VEIL_CELLS;
use crate::still::Light;

/// Code length and code for each category of DC difference. Source: T.81, table K.3.
const CODES: [(u32, u32); 9] =
    [(2, 0b00), (3, 0b010), (3, 0b011), (3, 0b100), (3, 0b101), (3, 0b110), (4, 0b1110), (5, 0b1_1110), (6, 0b11_1110)];

/// The veiled picture, as high in proportion as the camera's.
pub(crate) fn veil(light: &Light) -> Wiped {
    let (columns, rows_most) = VEIL_CELLS;
    let rows = (columns * light.height / light.width).clamp(1, rows_most);
    encode(&light.grid(columns, rows), columns, rows)
}

/// A grey JPEG of `columns` x `rows` blocks. `grid` has a byte for each.
fn encode(grid: &[u8], columns: usize, rows: usize) -> Wiped {
    let mut jpeg = Vec::with_capacity(256 + grid.len() * 2);
    jpeg.extend_from_slice(&[0xff, 0xd8]);
    // Quantisation: 8 everywhere. A block's DC coefficient is eight times its mean, so 8 leaves the mean itself.
    jpeg.extend_from_slice(&[0xff, 0xdb, 0, 67, 0]);
    jpeg.extend_from_slice(&[8; 64]);
    // Frame: baseline, 8 bits, one component without subsampling.
    let [height, width] = [rows * 8, columns * 8].map(|pixels| (pixels as u16).to_be_bytes());
    jpeg.extend_from_slice(&[0xff, 0xc0, 0, 11, 8, height[0], height[1], width[0], width[1], 1, 1, 0x11, 0]);
    // Codes: the usual ones for DC, and for AC the only symbol ever sent, "the rest of this block is 0", as one bit.
    jpeg.extend_from_slice(&[0xff, 0xc4, 0, 31, 0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    jpeg.extend_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    jpeg.extend_from_slice(&[0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    jpeg.extend_from_slice(&[0xff, 0xda, 0, 8, 1, 1, 0x00, 0, 63, 0]);
    let mut bits = Bits { bytes: jpeg, waiting: 0, count: 0 };
    let mut before = 0;
    for cell in grid {
        let value = i32::from(*cell) - 128;
        let difference = value - before;
        before = value;
        let category = 32 - difference.unsigned_abs().leading_zeros();
        let (length, code) = CODES[category as usize];
        bits.push(code, length);
        // A negative difference is sent as its ones' complement.
        let magnitude = if difference < 0 { difference - 1 } else { difference };
        bits.push(magnitude as u32 & ((1 << category) - 1), category);
        bits.push(0, 1);
    }
    bits.finish()
}

struct Bits {
    bytes: Vec<u8>,
    waiting: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, length: u32) {
        self.waiting = self.waiting << length | value;
        self.count += length;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.waiting >> self.count) as u8;
            self.bytes.push(byte);
            // A byte of ones would be read as a marker.
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
        self.waiting &= (1 << self.count) - 1;
    }

    fn finish(mut self) -> Wiped {
        // The last byte is filled with ones.
        self.push(0x7f, 7);
        self.bytes.extend_from_slice(&[0xff, 0xd9]);
        Wiped::new(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    use crate::still::{judge, light};

    #[test]
    fn a_decoder_that_is_not_ours_reads_back_every_cell() {
        let (columns, rows) = VEIL_CELLS;
        // Every value and every difference, the greatest both ways among them.
        let grid: Vec<u8> = (0..columns * rows)
            .map(|at| if at % 2 == 0 { (at / 2 % 256) as u8 } else { 255 - (at % 251) as u8 })
            .collect();
        let mut jpeg = encode(&grid, columns, rows).to_vec();
        assert_eq!(judge(&mut jpeg), Ok((columns * 8, rows * 8)));
        let read = light(&jpeg).unwrap_or_else(|bad| panic!("{bad:?}"));
        assert_eq!(read.grid(columns, rows).as_slice(), grid, "the cells as they were");
        for (at, pixel) in read.pixels.iter().enumerate() {
            let cell = at / (columns * 8) / 8 * columns + at % (columns * 8) / 8;
            assert_eq!(*pixel, grid[cell], "one value in each cell");
        }
    }

    #[test]
    fn the_veil_has_no_more_than_its_cells() {
        // A checkerboard finer than a cell: all of it is gone.
        let (width, height) = (640, 480);
        let pixels: Vec<u8> = (0..width * height).map(|at| if (at + at / width) % 2 == 0 { 255 } else { 0 }).collect();
        let veiled = veil(&Light { width, height, pixels: Zeroizing::new(pixels) });
        let read = light(&veiled).unwrap_or_else(|bad| panic!("{bad:?}"));
        assert!(read.pixels.iter().all(|pixel| *pixel == 127), "nothing finer than a cell is left");
    }
}
