//! What a device must know of its own certificate: from when to when it is good, and whose key is in it.
//!
//! Enters: X.509, DER. Absent: whom it names and who signed it. Those are the gateway's to judge; what a device is given
//! came from whoever knew its code, or over the connection that its certificate had opened.

use super::der::{self, Reader};
use crate::part::rtc::{YEAR_MAX, days_of, days_since_1970};

/// The facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Good from then on, UTC milliseconds.
    pub from_ms: i64,
    /// And until then.
    pub until_ms: i64,
    /// The key, an uncompressed point of P-256.
    pub public: [u8; 65],
}

impl Facts {
    /// Reads them. `None`: it is no certificate of a P-256 key, or one with dates before 1970 or after [`YEAR_MAX`].
    pub fn read(certificate: &[u8]) -> Option<Self> {
        let mut outer = Reader(certificate);
        let mut inner = outer.sequence()?.sequence()?;
        if inner.tag()? == der::CONTEXT_0 {
            // The version.
            inner.next()?;
        }
        // Serial number, signature's algorithm, issuer.
        for _ in 0..3 {
            inner.next()?;
        }
        let mut validity = inner.sequence()?;
        let (from_ms, until_ms) = (time_ms(&mut validity)?, time_ms(&mut validity)?);
        // Subject.
        inner.next()?;
        let mut key = inner.sequence()?;
        key.sequence()?;
        let [0, public @ ..] = key.take(der::BIT_STRING)? else { return None };
        let is_whole = outer.0.is_empty() && from_ms <= until_ms && public.first() == Some(&4);
        Some(Self { from_ms, until_ms, public: public.try_into().ok()? }).filter(|_| is_whole)
    }
}

/// A time as RFC 5280, 4.1.2.5 has it: in UTC, with seconds.
fn time_ms(reader: &mut Reader<'_>) -> Option<i64> {
    let (tag, text) = reader.next()?;
    let (year, rest) = match tag {
        der::UTC_TIME => {
            let (year, rest) = number(text)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        der::GENERALIZED_TIME => {
            let (century, rest) = number(text)?;
            let (year, rest) = number(rest)?;
            (century * 100 + year, rest)
        }
        _ => return None,
    };
    let mut fields = [0; 5];
    let mut rest = rest;
    for field in &mut fields {
        (*field, rest) = number(rest)?;
    }
    let [month, day, hour, minute, second] = fields;
    let is_date = (1970..=i64::from(YEAR_MAX)).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day);
    let is_time = hour < 24 && minute < 60 && second < 60 && rest == b"Z";
    let seconds = || (days_since_1970(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    (is_date && is_time).then(|| seconds() * 1_000)
}

/// Two digits.
fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let ([tens, ones], rest) = text.split_first_chunk()?;
    let digit = |digit: &u8| char::from(*digit).to_digit(10).map(i64::from);
    Some((digit(tens)? * 10 + digit(ones)?, rest))
}
