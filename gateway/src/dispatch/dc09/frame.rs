//! The frame of DC-09: `LF crc 0LLL "ID" SSSS R L #acct [data] [extended]… _timestamp CR`.
//!
//! Enters: what is to be said. Leaves: the bytes of one frame. Pure: what is random comes in.
//! Source: public implementations (siadc09, pysiaalarm, fioletoven/dc09); the standard's text is not public.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cipher::{self, BLOCK_BYTES, Key};

/// Most characters of padding: from one whole block up to one byte less than two.
pub const PAD_CHARS_MAX: usize = 2 * BLOCK_BYTES - 1;

/// Who speaks, as the receiver knows it: hexadecimal digits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender<'a> {
    /// R, written also where it is 0: a receiver in use answers `None` in its place otherwise.
    pub receiver: &'a str,
    /// L.
    pub prefix: &'a str,
    pub account: &'a str,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `ADM-CID`, `SIA-DCS` or `NULL`.
    pub id: &'static str,
    /// Without its brackets; empty for `NULL`.
    pub data: String,
    /// Blocks without their brackets, each a letter and its words.
    pub extended: Vec<String>,
}

/// Writes one frame. `stamp_ms` is the send time (UTC milliseconds); with a key one is needed, and [`PAD_CHARS_MAX`] random
/// characters without `|`, `[` and `]`.
pub fn write(
    sender: &Sender<'_>,
    number: u16,
    content: &Content,
    stamp_ms: Option<i64>,
    key: Option<(&Key, [u8; PAD_CHARS_MAX])>,
) -> Vec<u8> {
    let mut rest = content.data.clone();
    rest.push(']');
    for block in &content.extended {
        rest.push_str(&format!("[{block}]"));
    }
    if let Some(stamp_ms) = stamp_ms {
        rest.push('_');
        rest.push_str(&timestamp(stamp_ms));
    }
    let mark = if key.is_some() { "*" } else { "" };
    let Sender { receiver, prefix, account } = sender;
    let mut body = format!("\"{mark}{}\"{number:04}R{receiver}L{prefix}#{account}[", content.id);
    match key {
        None => body.push_str(&rest),
        Some((key, pad)) => {
            // Where there is no data there is no bar either.
            let text = if content.data.is_empty() { rest } else { format!("|{rest}") };
            let short = (BLOCK_BYTES - text.len() % BLOCK_BYTES) % BLOCK_BYTES;
            let mut padded = pad.get(..BLOCK_BYTES + short).unwrap_or(&pad).to_vec();
            padded.extend_from_slice(text.as_bytes());
            body.push_str(&cipher::hex(&key.encrypt(padded).unwrap_or_default()));
        }
    }
    let mut frame = format!("\n{:04X}0{:03X}", checksum(body.as_bytes()), body.len() & 0xfff).into_bytes();
    frame.extend_from_slice(body.as_bytes());
    frame.push(b'\r');
    frame
}

/// CRC-16/ARC: polynomial 0x8005 reflected, from zero.
pub fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xa001 } else { sum >> 1 })
    })
}

/// `HH:MM:SS,MM-DD-YYYY` in UTC. What no calendar has is written as 1970: the receiver then says what time it is.
pub fn timestamp(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S,%m-%d-%Y").to_string()
}

/// Reads [`timestamp`] back: UTC milliseconds.
pub fn read_timestamp(text: &str) -> Option<i64> {
    let at = jiff::civil::DateTime::strptime("%H:%M:%S,%m-%d-%Y", text).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2012-12-31 13:59:58 UTC.
    const STAMP_MS: i64 = 1_356_962_398_000;

    fn frame(sender: &Sender<'_>, number: u16, id: &'static str, data: &str) -> String {
        let content = Content { id, data: data.to_owned(), extended: Vec::new() };
        String::from_utf8(write(sender, number, &content, None, None)).unwrap()
    }

    #[test]
    fn frames_are_the_bytes_that_other_implementations_write() {
        let sender = Sender { receiver: "F3", prefix: "77", account: "1234" };
        assert_eq!(
            frame(&sender, 1, "SIA-DCS", "#1234|NRR|Atest"),
            "\nF4D20029\"SIA-DCS\"0001RF3L77#1234[#1234|NRR|Atest]\r"
        );
        assert_eq!(checksum(b"\"NULL\"0000L0#1234[]"), 0x1ef2);
        assert_eq!(checksum(b"\"NAK\"0000R0L0A0[]_16:20:01,09-24-2025"), 0xe441);
        assert_eq!(checksum(b"\"ADM-CID\"0001L0#1234[#1234|1101 00 015]_13:59:58,12-31-2012"), 0xaa14);
    }

    #[test]
    fn a_timestamp_reads_back() {
        assert_eq!(timestamp(STAMP_MS), "13:59:58,12-31-2012");
        assert_eq!(read_timestamp("13:59:58,12-31-2012"), Some(STAMP_MS));
        assert_eq!(timestamp(i64::MAX), "00:00:00,01-01-1970");
        for text in
            ["", "24:00:00,01-01-2026", "10:00:00,02-30-2026", "10:00:00,01-01-2026x", "1,1", "10:00:00 01-01-2026"]
        {
            assert_eq!(read_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_encrypted_is_the_bytes_of_the_checked_vector() {
        let key = Key::Aes128([0x41; 16]);
        let sender = Sender { receiver: "0", prefix: "0", account: "5678" };
        let content = Content { id: "ADM-CID", data: "#5678|1101 00 015".to_owned(), extended: Vec::new() };
        let mut pad = [b'x'; PAD_CHARS_MAX];
        pad[..25].copy_from_slice(b"0123456789abcdef012345678");
        let frame = write(&sender, 10, &content, Some(STAMP_MS), Some((&key, pad)));
        let text = String::from_utf8(frame).unwrap();
        // The vector was taken without R; the cipher text does not depend on it.
        let expected = "9FA4A711CA91C33AB185946E8E087BBB6DE8A8DCE8FEFF877FACC4812196E2517BBCEE1D31297E140343E858DFA539B19C7699C9B7E652622E183E1FE8D9A73C";
        assert_eq!(text.split_once('[').unwrap().1, format!("{expected}\r"), "{text}");
        assert_eq!(checksum(format!("\"*ADM-CID\"0010L0#5678[{expected}").as_bytes()), 0xe777);
    }

    #[test]
    fn padding_is_one_block_and_what_lacks_to_the_next_whatever_the_length() {
        let key = Key::Aes256([9; 32]);
        let sender = Sender { receiver: "0", prefix: "0", account: "123" };
        for length in 0..40 {
            let content = Content { id: "SIA-DCS", data: "d".repeat(length), extended: Vec::new() };
            let frame = write(&sender, 1, &content, Some(STAMP_MS), Some((&key, [b'p'; PAD_CHARS_MAX])));
            let at = frame.iter().position(|byte| *byte == b'[').unwrap();
            let secret = cipher::unhex(&frame[at + 1..frame.len() - 1]).unwrap();
            let text = String::from_utf8(key.decrypt(secret).unwrap()).unwrap();
            let pad = text.len() - text.trim_start_matches('p').len();
            assert!((16..32).contains(&pad), "{pad} for {length}");
            let bar = if length == 0 { "" } else { "|" };
            assert_eq!(&text[pad..], format!("{bar}{}]_13:59:58,12-31-2012", "d".repeat(length)));
        }
    }
}
