//! Where one message ends and the next begins on a stream (RFC 3261 §18.3).
//!
//! Enters: bytes as they come, cut anywhere. Leaves: [`Frame`]s. Invariants: at most one head and one body are held;
//! bytes are looked at once, however finely they drip in; without one clear Content-Length the framing is lost.

use super::head::{self, Defect, Message, Start};
use super::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

/// What stood on the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Message(Message),
    /// Its borders are known, its content is not taken. The headers are what could be read of it.
    Defective {
        defect: Defect,
        start: Option<Start>,
        headers: Vec<(String, String)>,
    },
    /// CRLFCRLF between messages: answer with CRLF (RFC 5626 §3.5.1).
    Ping,
}

/// It is no longer known where the next message begins: the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingLost {
    #[error("reading SIP from the peer: its head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("reading SIP from the peer: a head has no Content-Length, which a stream needs")]
    NoLength,
    #[error("reading SIP from the peer: a Content-Length is not a plain number, or two differ")]
    BadLength,
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of the buffer in which no end of head begins.
    scanned: usize,
    /// Bytes of an oversized body still to be passed over.
    skip: u64,
    /// A head that waits for its body.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    start: Option<Start>,
    headers: Vec<(String, String)>,
    defect: Option<Defect>,
    body_bytes: usize,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they came. Call [`Decoder::next`] until it has no more before feeding again.
    pub fn feed(&mut self, bytes: &[u8]) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    /// The stream stands inside a message.
    pub fn in_message(&self) -> bool {
        self.skip > 0 || self.waiting.is_some() || !self.buffer.is_empty()
    }

    /// The next complete frame, or `None` until more bytes have come.
    #[allow(clippy::should_implement_trait)] // It fails, and asks for more: not an iterator.
    pub fn next(&mut self) -> Result<Option<Frame>, FramingLost> {
        loop {
            if let Some(waiting) = self.waiting.take() {
                if self.buffer.len() < waiting.body_bytes {
                    self.waiting = Some(waiting);
                    return Ok(None);
                }
                let rest = self.buffer.split_off(waiting.body_bytes);
                let body = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(waiting.complete(body)));
            }
            if self.scanned == 0 && self.between_messages() {
                return Ok(Some(Frame::Ping));
            }
            let Some(end) = self.head_end() else {
                return if self.buffer.len() > HEAD_BYTES_MAX { Err(FramingLost::HeadTooLong) } else { Ok(None) };
            };
            if end > HEAD_BYTES_MAX {
                return Err(FramingLost::HeadTooLong);
            }
            let (start, headers, defect) = head::parse(&self.buffer[..end]);
            let length = content_length(&self.buffer[..end])?;
            self.buffer.drain(..end + 4);
            self.scanned = 0;
            self.begin_body(start, headers, defect, length);
        }
    }

    fn begin_body(
        &mut self,
        start: Option<Start>,
        headers: Vec<(String, String)>,
        defect: Option<Defect>,
        length: u64,
    ) {
        let fits = usize::try_from(length).ok().filter(|bytes| *bytes <= BODY_BYTES_MAX);
        let (body_bytes, defect) = match fits {
            Some(bytes) => (bytes, defect),
            None => {
                let at_hand = usize::try_from(length).unwrap_or(usize::MAX).min(self.buffer.len());
                self.buffer.drain(..at_hand);
                self.skip = length - at_hand as u64;
                (0, Some(Defect::BodyTooLarge { bytes: length }))
            }
        };
        self.waiting = Some(Waiting { start, headers, defect, body_bytes });
    }

    /// Passes over line ends before a message; true where they were a ping.
    fn between_messages(&mut self) -> bool {
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.buffer.drain(..4);
            return true;
        }
        let blank = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        // A lone line end may be the first half of a ping.
        if blank > 0 && blank < self.buffer.len() {
            self.buffer.drain(..blank);
        } else if blank > 4 {
            self.buffer.drain(..blank - 1);
        }
        false
    }

    /// Where the head ends, if its empty line has come.
    fn head_end(&mut self) -> Option<usize> {
        let found = self.buffer[self.scanned..].windows(4).position(|w| w == b"\r\n\r\n");
        match found {
            Some(at) => Some(self.scanned + at),
            None => {
                let blank_only = self.buffer.iter().take(4).all(|b| matches!(b, b'\r' | b'\n'));
                // Still between messages: look again from the beginning.
                self.scanned = if blank_only { 0 } else { self.buffer.len().saturating_sub(3) };
                None
            }
        }
    }
}

impl Waiting {
    fn complete(self, body: Vec<u8>) -> Frame {
        match (self.start, self.defect) {
            (Some(start), None) => Frame::Message(Message { start, headers: self.headers, body }),
            (start, defect) => {
                Frame::Defective { defect: defect.unwrap_or(Defect::StartLine), start, headers: self.headers }
            }
        }
    }
}

/// The one length all Content-Length lines agree on, read from the raw head: a defect elsewhere must not lose it.
fn content_length(head: &[u8]) -> Result<u64, FramingLost> {
    let mut length = None;
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = line[colon + 1..].trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(FramingLost::BadLength);
        }
        let text = std::str::from_utf8(digits).map_err(|_| FramingLost::BadLength)?;
        let value: u64 = text.parse().map_err(|_| FramingLost::BadLength)?;
        if length.is_some_and(|before| before != value) {
            return Err(FramingLost::BadLength);
        }
        length = Some(value);
    }
    length.ok_or(FramingLost::NoLength)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: &str = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKq\r\nCSeq: 1 MESSAGE\r\nContent-Length:    6\r\n\r\nab\r\ncd";

    fn all(bytes: &[u8], chunk: usize) -> (Vec<Frame>, Option<FramingLost>) {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for piece in bytes.chunks(chunk.max(1)) {
            decoder.feed(piece);
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(lost) => return (frames, Some(lost)),
                }
            }
            assert!(decoder.buffer.len() <= HEAD_BYTES_MAX + BODY_BYTES_MAX + 4 + chunk);
        }
        (frames, None)
    }

    fn lost(length_lines: &str) -> Option<FramingLost> {
        all(format!("SIP/2.0 200 OK\r\n{length_lines}\r\n\r\n").as_bytes(), 7).1
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let stream = format!("\r\n{OK}\r\n\r\n\r\n{OK}\r\n{OK}");
        for chunk in 1..stream.len() {
            let (frames, lost) = all(stream.as_bytes(), chunk);
            assert_eq!(lost, None);
            let bodies: Vec<&[u8]> = frames
                .iter()
                .filter_map(|f| if let Frame::Message(m) = f { Some(m.body.as_slice()) } else { None })
                .collect();
            assert_eq!(bodies, [b"ab\r\ncd"; 3], "chunk {chunk}");
        }
    }

    #[test]
    fn a_ping_between_messages_is_seen() {
        for chunk in 1..6 {
            assert_eq!(all(b"\r\n\r\n", chunk).0, [Frame::Ping]);
        }
        assert_eq!(all(b"\r\n", 1), (vec![], None));
    }

    #[test]
    fn only_one_plain_content_length_frames_a_message() {
        assert_eq!(lost("l : 0"), None);
        assert_eq!(lost("Content-Length: 0\r\nl: 0"), None);
        for bad in ["+0", "-1", "", "0x0", "0 0", "18446744073709551616"] {
            assert_eq!(lost(&format!("Content-Length: {bad}")), Some(FramingLost::BadLength), "{bad:?}");
        }
        assert_eq!(lost("Content-Length: 0\r\nl: 1"), Some(FramingLost::BadLength));
        assert_eq!(lost("Subject: x"), Some(FramingLost::NoLength));
    }

    #[test]
    fn a_defective_message_does_not_hide_the_next() {
        let stream = format!("GARBAGE\r\nVia: x;branch=y\r\nContent-Length: 3\r\n\r\nabc{OK}");
        let (frames, lost) = all(stream.as_bytes(), 5);
        assert_eq!(lost, None);
        assert!(matches!(&frames[..], [Frame::Defective { defect: Defect::StartLine, .. }, Frame::Message(_)]));
    }

    #[test]
    fn an_oversized_body_is_passed_over_unread() {
        let big = BODY_BYTES_MAX + 1;
        let stream = format!("MESSAGE sip:a SIP/2.0\r\nContent-Length: {big}\r\n\r\n{}{OK}", "x".repeat(big));
        let (frames, _) = all(stream.as_bytes(), 1_000);
        let too_large = Defect::BodyTooLarge { bytes: big as u64 };
        assert!(matches!(&frames[..], [Frame::Defective { defect, .. }, Frame::Message(_)] if *defect == too_large));
    }

    #[test]
    fn an_endless_head_is_given_up() {
        assert_eq!(all(&b"a".repeat(HEAD_BYTES_MAX + 2), 100).1, Some(FramingLost::HeadTooLong));
        assert_eq!(all(&b"\r\n ".repeat(HEAD_BYTES_MAX), 100).1, Some(FramingLost::HeadTooLong));
        assert_eq!(all(&b"\r".repeat(3 * HEAD_BYTES_MAX), 100).1, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), chunk in 1usize..64) {
            all(&bytes, chunk);
        }

        #[test]
        fn a_mutated_message_is_survived_and_cut_alike(
            edits in proptest::collection::vec((0usize..150, prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b'9'), any::<u8>()], any::<bool>()), 1..8),
            chunk in 1usize..64,
        ) {
            let mut bytes = format!("{OK}\r\n{OK}").into_bytes();
            for (at, byte, insert) in edits {
                let at = at.min(bytes.len() - 1);
                if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
            }
            // How the stream was cut into reads must not change what it says (pings between messages aside).
            let messages = |(frames, lost): (Vec<Frame>, Option<FramingLost>)| {
                (frames.into_iter().filter(|f| *f != Frame::Ping).collect::<Vec<_>>(), lost)
            };
            prop_assert_eq!(messages(all(&bytes, chunk)), messages(all(&bytes, bytes.len())));
        }
    }
}
