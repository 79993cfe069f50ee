//! H.264 as fragmented MP4, one picture in each fragment, for a browser's MediaSource.
//!
//! Enters: a sample entry (`avc1`), then pictures with four-byte lengths before their NAL units, and RTP times. Leaves: an
//! initialisation segment and fragments.
//! Invariant: each fragment begins where the one before ends. A browser takes a gap of twice a picture's length for a break, and shows
//! nothing until the next key picture; cameras that halve their rate in the dark make such gaps.
//! Source of the boxes: ISO/IEC 14496-12 as described in the Media Source byte stream format; tried with Chromium and ffmpeg.

/// Longest that one picture may last, in seconds: a camera that pauses longer starts a new count.
const PICTURE_S_MAX: u64 = 2;

/// One video track under way.
#[derive(Debug)]
pub(crate) struct Track {
    /// Ticks per second.
    rate: u32,
    size: (u32, u32),
    entry: Vec<u8>,
    number: u32,
    /// Where the next fragment begins, in ticks.
    next: u64,
    /// How long the last picture was, in ticks.
    length: u64,
    /// RTP time of the last picture.
    last: Option<i64>,
}

impl Track {
    /// `size` in pixels; `entry`: a whole `avc1` box.
    pub fn new(rate: u32, size: (u32, u32), entry: Vec<u8>) -> Self {
        // Until two pictures have come: five a second.
        Track { rate, size, entry, number: 0, next: 0, length: u64::from(rate / 5).max(1), last: None }
    }

    /// The initialisation segment.
    pub fn init(&self) -> Vec<u8> {
        let matrix = [0x1_0000u32, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
        let mut out = Vec::with_capacity(1_024);
        put(&mut out, b"ftyp", |out| {
            out.extend_from_slice(b"iso5\0\0\0\0iso5iso6mp41");
        });
        put(&mut out, b"moov", |out| {
            full(out, b"mvhd", 0, 0, |out| {
                words(out, &[0, 0, self.rate, 0, 0x1_0000, 0x0100_0000, 0, 0]);
                words(out, &matrix);
                words(out, &[0, 0, 0, 0, 0, 0, 2]);
            });
            put(out, b"trak", |out| {
                // Enabled, and part of the presentation.
                full(out, b"tkhd", 0, 3, |out| {
                    words(out, &[0, 0, 1, 0, 0, 0, 0, 0, 0]);
                    words(out, &matrix);
                    words(out, &[self.size.0 << 16, self.size.1 << 16]);
                });
                put(out, b"mdia", |out| {
                    // Its language is undetermined.
                    full(out, b"mdhd", 0, 0, |out| words(out, &[0, 0, self.rate, 0, 0x55c4_0000]));
                    full(out, b"hdlr", 0, 0, |out| out.extend_from_slice(b"\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0"));
                    put(out, b"minf", |out| {
                        full(out, b"vmhd", 0, 1, |out| words(out, &[0, 0]));
                        put(out, b"dinf", |out| {
                            full(out, b"dref", 0, 0, |out| {
                                words(out, &[1]);
                                // In this very file.
                                full(out, b"url ", 0, 1, |_| ());
                            });
                        });
                        put(out, b"stbl", |out| {
                            full(out, b"stsd", 0, 0, |out| {
                                words(out, &[1]);
                                out.extend_from_slice(&self.entry);
                            });
                            full(out, b"stts", 0, 0, |out| words(out, &[0]));
                            full(out, b"stsc", 0, 0, |out| words(out, &[0]));
                            full(out, b"stsz", 0, 0, |out| words(out, &[0, 0]));
                            full(out, b"stco", 0, 0, |out| words(out, &[0]));
                        });
                    });
                });
            });
            put(out, b"mvex", |out| full(out, b"trex", 0, 0, |out| words(out, &[1, 1, 0, 0, 0])));
        });
        out
    }

    /// A fragment with one picture. `at`: its RTP time, unwrapped, in ticks.
    pub fn part(&mut self, picture: &[u8], at: i64, is_key: bool) -> Vec<u8> {
        let begin = self.next;
        self.length = self.length_until(at);
        self.last = Some(at);
        self.next += self.length;
        self.number = self.number.wrapping_add(1);
        // A key picture depends on none; any other does, and is none to begin with.
        let flags = if is_key { 0x0200_0000 } else { 0x0101_0000 };
        let mut out = Vec::with_capacity(picture.len() + 128);
        put(&mut out, b"moof", |out| {
            full(out, b"mfhd", 0, 0, |out| words(out, &[self.number]));
            put(out, b"traf", |out| {
                // Offsets count from this fragment's beginning.
                full(out, b"tfhd", 0, 0x02_0000, |out| words(out, &[1]));
                full(out, b"tfdt", 1, 0, |out| out.extend_from_slice(&begin.to_be_bytes()));
                // One sample: where it begins, how long it lasts, its size and its flags. `moof` is 100 bytes, `mdat`'s head 8.
                full(out, b"trun", 0, 0x0701, |out| {
                    words(out, &[1, MOOF_BYTES + 8, self.length as u32, picture.len() as u32, flags]);
                });
            });
        });
        debug_assert_eq!(out.len(), MOOF_BYTES as usize);
        put(&mut out, b"mdat", |out| out.extend_from_slice(picture));
        out
    }

    /// How long a picture at `at` is said to last: as long as the one before did, since nobody knows when the next one comes.
    fn length_until(&self, at: i64) -> u64 {
        let most = i64::from(self.rate) * PICTURE_S_MAX as i64;
        match self.last {
            Some(last) if (1..=most).contains(&at.saturating_sub(last)) => (at - last) as u64,
            _ => self.length,
        }
    }
}

const MOOF_BYTES: u32 = 100;

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

/// A box: its length, its name, and what `fill` puts in it.
fn put(out: &mut Vec<u8>, name: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    words(out, &[0]);
    out.extend_from_slice(name);
    fill(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A box with a version and flags.
fn full(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    put(out, name, |out| {
        words(out, &[u32::from(version) << 24 | flags]);
        fill(out);
    });
}
