//! What a receiver says: frames cut out of the stream, and each read as an answer. Pure.
//!
//! Enters: bytes as they come. Leaves: [`Answer`]s in their order, or why the stream is no DC-09.
//! Invariants: however the bytes are cut they read the same; nothing longer than a frame can be is kept.

use super::cipher::{self, Key};
use super::frame::{checksum, read_timestamp};
use crate::limits::DC09_FRAME_BYTES_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ack,
    /// Not taken: outside of the receiver's time window, or nothing that it can read.
    Nak,
    /// Read, and nothing that it can process.
    Duh,
    /// Taken, and it has something to say. What that is, is not acted on.
    Rsp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub kind: Kind,
    /// Of the message that it answers; 0 in a NAK.
    pub number: u16,
    /// Hexadecimal digits without leading zeros; `None` where it names none.
    pub account: Option<String>,
    pub encrypted: bool,
    /// The receiver's time, UTC milliseconds.
    pub stamp_ms: Option<i64>,
}

/// Why a stream is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("what it says is no DC-09 frame")]
    NoFrame,
    #[error("its frame does not end")]
    TooLong,
    #[error("it answered with an empty frame: it could not read the message")]
    Empty,
    #[error("the checksum of its answer is wrong")]
    Checksum,
    #[error("its answer cannot be read")]
    Unreadable,
    #[error("its answer cannot be decrypted; compare the key with the receiver's")]
    Undecipherable,
    #[error("it answered encrypted; give its key in `key_file`")]
    KeyMissing,
}

/// Cuts a stream into answers.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True where a frame has begun and not ended.
    pub fn in_frame(&self) -> bool {
        self.buffer.iter().any(|byte| !byte.is_ascii_whitespace())
    }

    /// The next answer, if it is whole. After an error the stream is of no more use.
    pub fn next(&mut self, key: Option<&Key>) -> Result<Option<Answer>, Lost> {
        loop {
            match self.buffer.as_slice() {
                [] => return Ok(None),
                [b'\n', rest @ ..] => {
                    let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                        return if self.buffer.len() > DC09_FRAME_BYTES_MAX { Err(Lost::TooLong) } else { Ok(None) };
                    };
                    if end >= DC09_FRAME_BYTES_MAX {
                        return Err(Lost::TooLong);
                    }
                    if rest[end] == b'\n' {
                        return Err(Lost::NoFrame);
                    }
                    let frame = read(&rest[..end], key);
                    self.buffer.drain(..end + 2);
                    return frame.map(Some);
                }
                // Between frames some write line ends of their own.
                [b'\r', ..] => drop(self.buffer.remove(0)),
                [b'"', rest @ ..] => {
                    // A refusal without a frame, as one receiver says it to an account that it does not know.
                    let Some(end) = rest.iter().take(BARE_BYTES_MAX).position(|byte| *byte == b'"') else {
                        return if rest.len() >= BARE_BYTES_MAX { Err(Lost::NoFrame) } else { Ok(None) };
                    };
                    let kind = match &rest[..end] {
                        b"NAK" => Kind::Nak,
                        b"DUH" => Kind::Duh,
                        // An ACK without its number proves nothing.
                        _ => return Err(Lost::NoFrame),
                    };
                    self.buffer.drain(..end + 2);
                    return Ok(Some(Answer { kind, number: 0, account: None, encrypted: false, stamp_ms: None }));
                }
                _ => return Err(Lost::NoFrame),
            }
        }
    }
}

/// Longest word between the quotes of a refusal without a frame, its closing quote included.
const BARE_BYTES_MAX: usize = 8;

/// Reads what stands between LF and CR. The length is not compared: the checksum covers the same bytes and proves more.
fn read(frame: &[u8], key: Option<&Key>) -> Result<Answer, Lost> {
    if frame.is_empty() {
        return Err(Lost::Empty);
    }
    let (head, body) = frame.split_at_checked(8).ok_or(Lost::Unreadable)?;
    let sum = cipher::unhex(&head[..4]).ok_or(Lost::Unreadable)?;
    if sum != checksum(body).to_be_bytes() {
        return Err(Lost::Checksum);
    }
    let body = std::str::from_utf8(body).map_err(|_| Lost::Unreadable)?;
    let (id, rest) = body.strip_prefix('"').and_then(|rest| rest.split_once('"')).ok_or(Lost::Unreadable)?;
    let (encrypted, id) = id.strip_prefix('*').map_or((false, id), |id| (true, id));
    let kind = match id {
        "ACK" => Kind::Ack,
        "NAK" => Kind::Nak,
        "DUH" => Kind::Duh,
        "RSP" => Kind::Rsp,
        _ => return Err(Lost::Unreadable),
    };
    let (names, content) = rest.split_once('[').ok_or(Lost::Unreadable)?;
    let (number, names) = names.split_at_checked(4).ok_or(Lost::Unreadable)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Lost::Unreadable);
    }
    // A NAK names no account (`A0`), and R and L stand in either order.
    let account = names.split_once('#').map(|(_, account)| plain_account(account));
    if account.as_ref().is_some_and(|digits| digits.len() > 16 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(Lost::Unreadable);
    }
    let plain;
    let content = match (encrypted, key) {
        (false, _) => content,
        (true, None) => return Err(Lost::KeyMissing),
        (true, Some(key)) => {
            plain = decrypt(content, key).ok_or(Lost::Undecipherable)?;
            &plain
        }
    };
    let unreadable = if encrypted { Lost::Undecipherable } else { Lost::Unreadable };
    let (_, tail) = content.split_once(']').ok_or(unreadable)?;
    let stamp_ms = tail.rsplit_once('_').and_then(|(_, stamp)| read_timestamp(stamp));
    if encrypted && stamp_ms.is_none() {
        // With a wrong key noise came out; a time, which is always there, does not come out of noise.
        return Err(unreadable);
    }
    Ok(Answer { kind, number: number.parse().unwrap_or(0), account, encrypted, stamp_ms })
}

fn decrypt(content: &str, key: &Key) -> Option<String> {
    let text = key.decrypt(cipher::unhex(content.as_bytes())?)?;
    // The padding may be any bytes; what follows it is text.
    let text: String = text.into_iter().map(char::from).collect();
    // Padding has no bracket; where there is a bar, what is said begins after it.
    let said = text.split_once('|').filter(|(pad, _)| !pad.contains(']')).map_or(text.as_str(), |(_, said)| said);
    Some(said.to_owned())
}

/// An account as receivers may also write it: upper case, leading zeros gone.
pub fn plain_account(account: &str) -> String {
    account.trim_start_matches('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::timestamp;
    use super::*;

    const KEY: Key = Key::Aes128([0x41; 16]);

    fn framed(body: &str) -> Vec<u8> {
        format!("\n{:04X}0{:03X}{body}\r", checksum(body.as_bytes()), body.len()).into_bytes()
    }

    fn all(bytes: &[u8], piece: usize) -> (Vec<Answer>, Option<Lost>) {
        let (mut decoder, mut answers) = (Decoder::default(), Vec::new());
        for part in bytes.chunks(piece) {
            decoder.feed(part);
            loop {
                match decoder.next(Some(&KEY)) {
                    Ok(Some(answer)) => answers.push(answer),
                    Ok(None) => break,
                    Err(lost) => return (answers, Some(lost)),
                }
            }
        }
        (answers, None)
    }

    fn one(bytes: &[u8]) -> Result<Answer, Lost> {
        match all(bytes, bytes.len()) {
            (answers, None) if answers.len() == 1 => Ok(answers[0].clone()),
            (_, Some(lost)) => Err(lost),
            (answers, None) => panic!("{answers:?}"),
        }
    }

    fn plain(kind: Kind, number: u16, account: Option<&str>, stamp_ms: Option<i64>) -> Answer {
        Answer { kind, number, account: account.map(str::to_owned), encrypted: false, stamp_ms }
    }

    #[test]
    fn answers_of_implementations_in_use_are_read() {
        let ack = one(&framed("\"ACK\"0001R0L0#01aB[]")).unwrap();
        assert_eq!(ack, plain(Kind::Ack, 1, Some("1AB"), None));
        let nak = one(b"\nE4410025\"NAK\"0000R0L0A0[]_16:20:01,09-24-2025\r").unwrap();
        assert_eq!(nak, plain(Kind::Nak, 0, None, Some(1_758_730_801_000)));
        // pysiaalarm: another order in its NAK, a bare word to an account it does not know, `None` for a missing R.
        assert_eq!(one(&framed("\"NAK\"0000L0R0A0[]_16:20:01,09-24-2025")).unwrap(), nak);
        assert_eq!(one(b"\"NAK\"").unwrap(), plain(Kind::Nak, 0, None, None));
        assert_eq!(one(&framed("\"ACK\"0001NoneL0#1234[]")).unwrap(), plain(Kind::Ack, 1, Some("1234"), None));
        assert_eq!(one(&framed("\"DUH\"9999L0#1234[][x]")).unwrap(), plain(Kind::Duh, 9_999, Some("1234"), None));
        assert_eq!(one(&framed("\"RSP\"0007R0L0#1234[|something]_00:00:00,01-01-2026")).unwrap().kind, Kind::Rsp);
        // A length that is wrong beside a checksum that is right, and a checksum in small letters.
        assert!(one(b"\n1bc10999\"ACK\"0001L0#1234[]\r").is_ok_and(|a| a.number == 1));
    }

    #[test]
    fn encrypted_answers_are_read_with_and_without_a_bar() {
        for text in
            ["0000000000000000000000000]", "0123456789abcdef0123456789|]", "\u{1}\u{ff}_56789abcdef012345678|data]"]
        {
            let mut text: Vec<u8> = format!("{text}_13:59:58,12-31-2012").chars().map(|c| c as u8).collect();
            let short = (16 - text.len() % 16) % 16;
            text.splice(0..0, std::iter::repeat_n(b'0', short));
            let body = format!("\"*ACK\"0010R0L0#5678[{}", cipher::hex(&KEY.encrypt(text).unwrap()));
            let expected = Answer { encrypted: true, ..plain(Kind::Ack, 10, Some("5678"), Some(1_356_962_398_000)) };
            assert_eq!(one(&framed(&body)).unwrap(), expected);
            let mut decoder = Decoder::default();
            decoder.feed(&framed(&body));
            assert_eq!(decoder.next(None), Err(Lost::KeyMissing));
            let mut decoder = Decoder::default();
            decoder.feed(&framed(&body));
            assert_eq!(decoder.next(Some(&Key::Aes128([0x42; 16]))), Err(Lost::Undecipherable));
        }
        assert_eq!(one(&framed("\"*ACK\"0010R0L0#5678[AB")), Err(Lost::Undecipherable));
        assert_eq!(one(&framed("\"*ACK\"0010R0L0#5678[]")), Err(Lost::Undecipherable));
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let long = [b"\n".to_vec(), vec![b'x'; DC09_FRAME_BYTES_MAX], b"\r".to_vec()].concat();
        let cases: [(&[u8], Lost); 14] = [
            (b"HTTP/1.1 400 Bad Request\r\n", Lost::NoFrame),
            (b"\x00\xff", Lost::NoFrame),
            (b"\n\r", Lost::Empty),
            (b"\nE4410025\"NAK\"0000R0L0A0[]_16:20:02,09-24-2025\r", Lost::Checksum),
            (b"\nE4410025\n", Lost::NoFrame),
            (b"\nE44\r", Lost::Unreadable),
            (b"\nxyz10025\"NAK\"\r", Lost::Unreadable),
            (b"\"ACK\"", Lost::NoFrame),
            (b"\"ACKNOWLEDGE", Lost::NoFrame),
            (&framed("\"OK\"0001L0#1234[]"), Lost::Unreadable),
            (&framed("\"ACK\"00a1L0#1234[]"), Lost::Unreadable),
            (&framed("\"ACK\"0001L0#1234"), Lost::Unreadable),
            (&framed("\"ACK\"0001L0#12\u{7}4[]"), Lost::Unreadable),
            (&long, Lost::TooLong),
        ];
        for (bytes, lost) in cases {
            assert_eq!(one(bytes), Err(lost), "{}", String::from_utf8_lossy(bytes));
            // Byte by byte it ends the same way.
            assert_eq!(all(bytes, 1).1, Some(lost));
        }
        let mut decoder = Decoder::default();
        decoder.feed(b"\r\n");
        assert!(decoder.next(None) == Ok(None) && !decoder.in_frame());
        decoder.feed(b"E441");
        assert!(decoder.next(None) == Ok(None) && decoder.in_frame());
    }

    #[test]
    fn several_in_one_piece_come_in_their_order() {
        let bytes = [framed("\"ACK\"0001L0#1234[]"), b"\r".to_vec(), framed("\"ACK\"0002L0#1234[]")].concat();
        for piece in [1, 3, bytes.len()] {
            let (answers, lost) = all(&bytes, piece);
            assert_eq!((answers.iter().map(|a| a.number).collect::<Vec<_>>(), lost), (vec![1, 2], None));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_the_same_however_they_are_cut(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..9) {
            let frame = [b"\n".to_vec(), bytes.clone(), b"\r".to_vec()].concat();
            for bytes in [bytes, frame] {
                prop_assert_eq!(all(&bytes, piece), all(&bytes, bytes.len().max(1)));
            }
        }

        #[test]
        fn whatever_time_an_answer_bears_is_read(ms in 0i64..4_000_000_000_000) {
            let stamp = timestamp(ms);
            let answer = one(&framed(&format!("\"NAK\"0000R0L0A0[]_{stamp}"))).unwrap();
            prop_assert_eq!(answer.stamp_ms, Some(ms - ms % 1_000));
        }
    }
}
