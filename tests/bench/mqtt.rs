//! Just enough of MQTT 3.1.1 and 5 to load a server: packets are appended to a buffer, and read out of one.
//!
//! Own code on purpose: the generator must cost less than what it measures, and share no code with the server under test.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    V311,
    V5,
}

/// A packet from the server; only what the bench looks at.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Accepted { session_present: bool },
    PubAck { id: u16, refused: bool },
    SubAck { refused: bool },
    Publish { topic: &'a str, id: Option<u16>, payload: &'a [u8] },
    Other,
}

/// CONNECT. `keep` asks for a session that outlives the connection. Keep-alive is 10 minutes: no pings while measuring.
pub fn connect(out: &mut Vec<u8>, version: Version, client: &str, keep: bool) {
    let mut body = Vec::with_capacity(64);
    string(&mut body, "MQTT");
    body.push(if version == Version::V5 { 5 } else { 4 });
    body.push(if keep { 0 } else { 0b10 });
    body.extend(600u16.to_be_bytes());
    if version == Version::V5 {
        if keep {
            // Session expiry interval: one hour.
            body.extend([5, 0x11, 0, 0, 0x0e, 0x10]);
        } else {
            body.push(0);
        }
    }
    string(&mut body, client);
    packet(out, 0x10, &body);
}

/// PUBLISH at QoS 1.
pub fn publish(out: &mut Vec<u8>, version: Version, topic: &str, id: u16, payload: &[u8]) {
    out.push(0x32);
    let properties = usize::from(version == Version::V5);
    length(out, 2 + topic.len() + 2 + properties + payload.len());
    string(out, topic);
    out.extend(id.to_be_bytes());
    if version == Version::V5 {
        out.push(0);
    }
    out.extend(payload);
}

/// SUBSCRIBE to one filter at QoS 1.
pub fn subscribe(out: &mut Vec<u8>, version: Version, filter: &str) {
    let mut body = vec![0xff, 0xfe];
    if version == Version::V5 {
        body.push(0);
    }
    string(&mut body, filter);
    body.push(1);
    packet(out, 0x82, &body);
}

pub fn puback(out: &mut Vec<u8>, id: u16) {
    let [high, low] = id.to_be_bytes();
    out.extend([0x40, 2, high, low]);
}

pub fn disconnect(out: &mut Vec<u8>) {
    out.extend([0xe0, 0]);
}

fn packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    length(out, body.len());
    out.extend(body);
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn length(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Bytes from the server, cut into packets.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Where the next packet begins.
    start: usize,
}

impl Inbox {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend(bytes);
    }

    /// The next whole packet, if one has come. A refused CONNECT, a DISCONNECT and nonsense are errors.
    pub fn next(&mut self, version: Version) -> Result<Option<Packet<'_>>> {
        let bytes = &self.bytes[self.start..];
        if bytes.len() < 2 {
            return Ok(None);
        }
        let Some((size, after)) = read_length(&bytes[1..])? else {
            return Ok(None);
        };
        let end = 1 + after + size;
        if bytes.len() < end {
            return Ok(None);
        }
        self.start += end;
        read(version, bytes[0], &bytes[1 + after..end]).map(Some)
    }
}

/// A variable length number and how many bytes it took.
fn read_length(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut value = 0;
    for (i, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, i + 1)));
        }
    }
    ensure!(bytes.len() < 4, "the server sent a length of more than four bytes");
    Ok(None)
}

fn read(version: Version, first: u8, body: &[u8]) -> Result<Packet<'_>> {
    Ok(match first >> 4 {
        2 => {
            ensure!(body.len() >= 2, "the server sent a short CONNACK");
            ensure!(body[1] == 0, "the server refused CONNECT with code {:#04x}", body[1]);
            Packet::Accepted { session_present: body[0] & 1 == 1 }
        }
        3 => {
            let (topic, mut rest) = read_string(body)?;
            let mut id = None;
            if first & 0b110 != 0 {
                ensure!(rest.len() >= 2, "the server sent a PUBLISH without its id");
                id = Some(u16::from_be_bytes([rest[0], rest[1]]));
                rest = &rest[2..];
            }
            if version == Version::V5 {
                let Some((size, after)) = read_length(rest)? else {
                    bail!("the server sent a PUBLISH without properties")
                };
                ensure!(rest.len() >= after + size, "the server sent properties longer than their PUBLISH");
                rest = &rest[after + size..];
            }
            Packet::Publish { topic, id, payload: rest }
        }
        4 => {
            ensure!(body.len() >= 2, "the server sent a short PUBACK");
            let refused = body.get(2).is_some_and(|reason| *reason >= 0x80);
            Packet::PubAck { id: u16::from_be_bytes([body[0], body[1]]), refused }
        }
        9 => Packet::SubAck { refused: body.last().is_none_or(|reason| *reason >= 0x80) },
        14 => bail!("the server closed the session with reason {:#04x}", body.first().copied().unwrap_or(0)),
        _ => Packet::Other,
    })
}

fn read_string(bytes: &[u8]) -> Result<(&str, &[u8])> {
    ensure!(bytes.len() >= 2, "the server sent a string without its length");
    let size = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    ensure!(bytes.len() >= 2 + size, "the server sent a string longer than its packet");
    Ok((std::str::from_utf8(&bytes[2..2 + size])?, &bytes[2 + size..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_only_when_it_is_whole() {
        let mut bytes = Vec::new();
        publish(&mut bytes, Version::V5, "a/b", 9, &[b'x'; 300]);
        puback(&mut bytes, 7);
        let mut inbox = Inbox::default();
        inbox.push(&bytes[..200]);
        assert_eq!(inbox.next(Version::V5).unwrap(), None);
        inbox.push(&bytes[200..]);
        let whole = Packet::Publish { topic: "a/b", id: Some(9), payload: &[b'x'; 300] };
        assert_eq!(inbox.next(Version::V5).unwrap(), Some(whole));
        assert_eq!(inbox.next(Version::V5).unwrap(), Some(Packet::PubAck { id: 7, refused: false }));
        assert_eq!(inbox.next(Version::V5).unwrap(), None);
    }

    #[test]
    fn a_refusal_is_not_an_acknowledgement() {
        let mut inbox = Inbox::default();
        inbox.push(&[0x40, 4, 0, 1, 0x97, 0]);
        assert_eq!(inbox.next(Version::V5).unwrap(), Some(Packet::PubAck { id: 1, refused: true }));
        inbox.push(&[0x20, 3, 0, 0x87, 0]);
        assert!(inbox.next(Version::V5).unwrap_err().to_string().contains("0x87"));
    }
}
