//! NMEA 0183 sentences. Enters: bytes of a serial line, torn and disturbed as they come. Leaves: the two sentences that
//! tell a position (GGA) and a speed (RMC).
//!
//! Invariants: only a whole sentence with the right checksum counts; any talker does (GP, GN, GL, GA …); an empty field is
//! unknown and never zero; whole numbers throughout. Written anew rather than taken from the crate `nmea`: that one
//! computes in `f64`, which this processor does not, and does not assemble lines. In the tests it is the judge.

/// Longest sentence that is read, bytes, from `$` to the checksum. The standard says 82; some receivers write more, to
/// our knowledge never above 102. Beyond: dropped, as two sentences that ran together.
pub const SENTENCE_BYTES_MAX: usize = 102;

/// Puts sentences together.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    line: heapless::Vec<u8, SENTENCE_BYTES_MAX>,
    is_in: bool,
}

/// A whole sentence that tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentence {
    /// Where, and how sure.
    Gga(Gga),
    /// How fast.
    Rmc(Rmc),
    /// Another one, with the right checksum: the receiver lives.
    Other,
}

/// A position. Absent: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gga {
    /// Time of day, UTC milliseconds.
    pub time_ms: Option<u32>,
    /// Degrees times 10,000,000: latitude, longitude.
    pub place_e7: Option<(i32, i32)>,
    /// 0 none, 1 satellites, 2 differential, 3 PPS, 4 and 5 real-time kinematic, 6 estimated, 7 by hand, 8 simulated.
    pub quality: u8,
    /// Horizontal dilution of precision, hundredths.
    pub hdop_centi: Option<u32>,
}

/// A speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rmc {
    /// Time of day, UTC milliseconds.
    pub time_ms: Option<u32>,
    /// The receiver trusts it.
    pub is_valid: bool,
    /// Over ground, centimetres a second.
    pub speed_cm_s: Option<u32>,
}

impl Lines {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self { line: heapless::Vec::new(), is_in: false }
    }

    /// Takes a byte. `Some`: it ended a whole sentence.
    pub fn push(&mut self, byte: u8) -> Option<Sentence> {
        match byte {
            // Begins anew, also where a line was torn.
            b'$' => {
                self.line.clear();
                self.is_in = true;
                None
            }
            b'\r' | b'\n' => {
                let is_whole = core::mem::take(&mut self.is_in);
                let sentence = if is_whole { parse(&self.line) } else { None };
                self.line.clear();
                sentence
            }
            _ if self.is_in => {
                // Too long, or not text: no sentence.
                self.is_in = (b' '..=b'~').contains(&byte) && self.line.push(byte).is_ok();
                None
            }
            _ => None,
        }
    }
}

/// Reads what stands between `$` and the end of the line, e.g. `GPGGA,…*47`. `None`: not whole, or disturbed.
pub fn parse(line: &[u8]) -> Option<Sentence> {
    let star = line.len().checked_sub(3)?;
    let (body, [b'*', high, low]) = line.split_at_checked(star)? else { return None };
    let sum = (hex(*high)? << 4) | hex(*low)?;
    if body.iter().fold(0, |sum, byte| sum ^ byte) != sum {
        return None;
    }
    let mut fields = body.split(|byte| *byte == b',');
    let name = fields.next()?;
    match name.get(2..)? {
        b"GGA" if name.len() == 5 => gga(fields).map(Sentence::Gga),
        b"RMC" if name.len() == 5 => rmc(fields).map(Sentence::Rmc),
        _ => Some(Sentence::Other),
    }
}

fn gga<'b>(mut fields: impl Iterator<Item = &'b [u8]>) -> Option<Gga> {
    let time_ms = time_ms(fields.next()?)?;
    let lat = degrees_e7(fields.next()?, fields.next()?, 2, (b'N', b'S'))?;
    let lon = degrees_e7(fields.next()?, fields.next()?, 3, (b'E', b'W'))?;
    let quality = match fields.next()? {
        [] => 0,
        [digit @ b'0'..=b'8'] => digit - b'0',
        _ => return None,
    };
    let _satellites = fields.next()?;
    let hdop_centi = decimal(fields.next()?, 2)?.and_then(|hdop| u32::try_from(hdop).ok());
    // Altitude, geoid and age follow: the sentence must be whole.
    fields.nth(4)?;
    Some(Gga { time_ms, place_e7: lat.zip(lon), quality, hdop_centi })
}

fn rmc<'b>(mut fields: impl Iterator<Item = &'b [u8]>) -> Option<Rmc> {
    let time_ms = time_ms(fields.next()?)?;
    let is_valid = match fields.next()? {
        b"A" => true,
        b"V" | b"" => false,
        _ => return None,
    };
    let knots_milli = decimal(fields.nth(4)?, 3)?;
    // Course and date follow.
    fields.nth(1)?;
    // 1 knot = 1,852 m an hour = 463/900 m/s: thousandths of a knot to centimetres a second.
    let speed_cm_s = knots_milli.and_then(|knots| u32::try_from(knots.saturating_mul(463) / 9_000).ok());
    Some(Rmc { time_ms, is_valid, speed_cm_s })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A decimal number times 10^`places`, further digits cut. Outer `None`: it is none; inner: the field is empty.
#[allow(clippy::option_option, reason = "empty is another thing than wrong")]
fn decimal(field: &[u8], places: u32) -> Option<Option<u64>> {
    if field.is_empty() {
        return Some(None);
    }
    let (mut value, mut left, mut is_fraction, mut digits) = (0u64, places, false, 0);
    for byte in field {
        match byte {
            b'.' if !is_fraction => is_fraction = true,
            b'0'..=b'9' if is_fraction && left == 0 => {}
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
                left -= u32::from(is_fraction);
                digits += 1;
            }
            _ => return None,
        }
    }
    // A lone point is no number.
    (digits > 0).then_some(())?;
    Some(Some(value.checked_mul(10u64.checked_pow(left)?)?))
}

/// `hhmmss.sss` as milliseconds of the day.
#[allow(clippy::option_option, reason = "empty is another thing than wrong")]
fn time_ms(field: &[u8]) -> Option<Option<u32>> {
    let Some(milli) = decimal(field, 3)? else { return Some(None) };
    let milli = u32::try_from(milli).ok()?;
    let (hours, minutes, rest) = (milli / 10_000_000, milli / 100_000 % 100, milli % 100_000);
    // A leap second has 60.
    if hours > 23 || minutes > 59 || rest >= 61_000 {
        return None;
    }
    Some(Some((hours * 60 + minutes) * 60_000 + rest))
}

/// `ddmm.mmmm` or `dddmm.mmmm` and a hemisphere as degrees times 10,000,000.
#[allow(clippy::option_option, reason = "empty is another thing than wrong")]
fn degrees_e7(field: &[u8], side: &[u8], digits: usize, signs: (u8, u8)) -> Option<Option<i32>> {
    if field.is_empty() && side.is_empty() {
        return Some(None);
    }
    let [side] = *side else { return None };
    let sign = if side == signs.0 { 1 } else { -1 };
    if (side != signs.0 && side != signs.1) || field.get(digits + 2).is_some_and(|byte| *byte != b'.') {
        return None;
    }
    let degrees = decimal(field.get(..digits)?, 0)??;
    // Minutes times 10^7; a degree has 60.
    let minutes_e7 = decimal(field.get(digits..).filter(|rest| rest.len() >= 2)?, 7)??;
    let max = if digits == 2 { 90 } else { 180 };
    let e7 = degrees.checked_mul(10_000_000)?.checked_add((minutes_e7 + 30) / 60)?;
    if minutes_e7 >= 600_000_000 || e7 > max * 10_000_000 {
        return None;
    }
    i32::try_from(e7).ok().map(|e7| Some(sign * e7))
}
