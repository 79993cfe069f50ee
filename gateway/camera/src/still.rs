//! A still picture: judged on its header, then, where it is to be veiled or checked, decoded to light alone.
//!
//! Enters: bytes that a camera calls JPEG. Leaves: the same, found to be one, or its light in a small grid.
//! Invariant: no memory is taken for a picture before its size is known to be allowed. Progressive JPEG, which a small file can make
//! arbitrarily slow, is refused: cameras send baseline.

use zeroize::Zeroizing;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::Fault;
use crate::limits::{PICTURE_HEIGHT_PX_MAX, PICTURE_WIDTH_PX_MAX};

/// Why a picture will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    TooLarge,
    Malformed,
}

impl Bad {
    pub fn fault(self, camera: &str) -> Fault {
        let camera = camera.to_owned();
        match self {
            Bad::TooLarge => Fault::TooLarge { camera, what: "a picture in pixels", max: PICTURE_WIDTH_PX_MAX },
            Bad::Malformed => Fault::Malformed { camera, what: "a picture" },
        }
    }
}

/// Width and height in pixels of a whole baseline JPEG. What stands after its end, as some cameras pad, is cut off.
pub(crate) fn judge(jpeg: &mut Vec<u8>) -> Result<(usize, usize), Bad> {
    let end = jpeg.iter().rposition(|byte| *byte == 0xd9).ok_or(Bad::Malformed)?;
    let is_padding = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n' | 0xff);
    if end < 2 || jpeg[end - 1] != 0xff || !jpeg[end + 1..].iter().all(is_padding) {
        return Err(Bad::Malformed);
    }
    jpeg.truncate(end + 1);
    size(jpeg)
}

/// Walks the segments up to the frame's header. Source: ITU-T T.81, B.1.1.3 and B.2.2.
fn size(jpeg: &[u8]) -> Result<(usize, usize), Bad> {
    let word = |at: usize| Some(usize::from(*jpeg.get(at)?) << 8 | usize::from(*jpeg.get(at + 1)?));
    if word(0) != Some(0xffd8) {
        return Err(Bad::Malformed);
    }
    let mut at = 2;
    loop {
        if jpeg.get(at) != Some(&0xff) {
            return Err(Bad::Malformed);
        }
        let marker = *jpeg.get(at + 1).ok_or(Bad::Malformed)?;
        match marker {
            0xff => at += 1,
            // Baseline and extended sequential, Huffman coded.
            0xc0 | 0xc1 => {
                let height = word(at + 5).ok_or(Bad::Malformed)?;
                let width = word(at + 7).ok_or(Bad::Malformed)?;
                let is_large = width > PICTURE_WIDTH_PX_MAX || height > PICTURE_HEIGHT_PX_MAX;
                return match (width, height) {
                    (0, _) | (_, 0) => Err(Bad::Malformed),
                    _ if is_large => Err(Bad::TooLarge),
                    size => Ok(size),
                };
            }
            // Other kinds of frame, an end or a scan before any frame, a second beginning.
            0xc2 | 0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xd0..=0xda | 0x00 | 0x01 => {
                return Err(Bad::Malformed);
            }
            _ => {
                let length = word(at + 2).filter(|length| *length >= 2).ok_or(Bad::Malformed)?;
                at += 2 + length;
            }
        }
    }
}

/// The light of a picture, a byte for each pixel, row by row.
pub(crate) struct Light {
    pub width: usize,
    pub height: usize,
    pub pixels: Zeroizing<Vec<u8>>,
}

/// Decodes a picture that [`judge`] has found fit.
pub(crate) fn light(jpeg: &[u8]) -> Result<Light, Bad> {
    let options = DecoderOptions::default()
        .set_max_width(PICTURE_WIDTH_PX_MAX)
        .set_max_height(PICTURE_HEIGHT_PX_MAX)
        .jpeg_set_max_scans(4)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let pixels = Zeroizing::new(decoder.decode().map_err(|_| Bad::Malformed)?);
    let info = decoder.info().ok_or(Bad::Malformed)?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    if width == 0 || height == 0 || pixels.len() != width * height {
        return Err(Bad::Malformed);
    }
    Ok(Light { width, height, pixels })
}

impl Light {
    /// Mean light in `columns` x `rows` cells, row by row. A picture smaller than that has cells of one pixel, some of them twice.
    pub fn grid(&self, columns: usize, rows: usize) -> Zeroizing<Vec<u8>> {
        let span = |cell: usize, cells: usize, length: usize| {
            let start = (cell * length / cells).min(length - 1);
            start..((cell + 1) * length / cells).clamp(start + 1, length)
        };
        let mut grid = Zeroizing::new(Vec::with_capacity(columns * rows));
        for row in 0..rows {
            let ys = span(row, rows, self.height);
            for column in 0..columns {
                let xs = span(column, columns, self.width);
                let line = |y: usize| &self.pixels[y * self.width..][xs.clone()];
                let sum: usize = ys.clone().flat_map(line).map(|pixel| usize::from(*pixel)).sum();
                grid.push((sum / (xs.len() * ys.len())) as u8);
            }
        }
        grid
    }

    /// The picture without its upper and lower sixth: clocks and names that a camera writes there say nothing of what it sees.
    pub fn middle(&self) -> Light {
        let edge = self.height / 6;
        let pixels = &self.pixels[edge * self.width..(self.height - edge) * self.width];
        Light { width: self.width, height: self.height - 2 * edge, pixels: Zeroizing::new(pixels.to_vec()) }
    }

    /// A number that is equal for equal pixels.
    pub fn sum(&self) -> u64 {
        // FNV-1a: any number that differs will do, nobody attacks it to look alive who could not send noise instead.
        let pixels = self.pixels.iter();
        pixels.fold(0xcbf2_9ce4_8422_2325, |sum, pixel| (sum ^ u64::from(*pixel)).wrapping_mul(0x0100_0000_01b3))
    }
}
