//! Messages to send: a MESSAGE request, and the response to whatever came.

use super::head::{Message, Start, split_outside_quotes};
use super::uri::Transport;

/// What a MESSAGE says, apart from its body. All text comes from checked configuration or from [`token`].
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub uri: &'a str,
    pub transport: Transport,
    /// `ip:port` at which this side can be reached on this connection.
    pub local: &'a str,
    /// User of the From address: the SCAIP controller id.
    pub user: &'a str,
    pub branch: &'a str,
    pub from_tag: &'a str,
    pub call_id: &'a str,
    pub cseq: u32,
    /// A whole `Authorization` or `Proxy-Authorization` line without its line end.
    pub authorization: Option<&'a str>,
    pub content_type: &'a str,
}

/// The bytes of a MESSAGE request (RFC 3428; no Contact, which it forbids).
pub fn message_request(request: &Request<'_>, body: &[u8]) -> Vec<u8> {
    let Request { uri, local, user, branch, from_tag, call_id, cseq, content_type, .. } = request;
    let (via, scheme) = match request.transport {
        Transport::Tcp => ("TCP", "sip"),
        Transport::Tls => ("TLS", "sips"),
    };
    let mut head = format!(
        "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/{via} {local};branch={branch};rport\r\nMax-Forwards: 70\r\n\
         From: <{scheme}:{user}@{local}>;tag={from_tag}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} MESSAGE\r\n"
    );
    if let Some(line) = request.authorization {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The response to a request with these headers, or `None` where nothing may or can be answered
/// (no Via to send it back by; an ACK never has a response).
///
/// Every Via in its order, From, Call-ID and CSeq go back as they came; To gets `tag` if it has none.
pub fn response(
    start: Option<&Start>,
    headers: &[(String, String)],
    status: u16,
    reason: &str,
    tag: &str,
    extra: &[(&str, &str)],
) -> Option<Vec<u8>> {
    match start {
        Some(Start::Response { .. }) => return None,
        Some(Start::Request { method, .. }) if method == "ACK" => return None,
        _ => {}
    }
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    value("via")?;
    let mut head = format!("SIP/2.0 {status} {reason}\r\n");
    for (_, via) in headers.iter().filter(|(n, _)| n == "via") {
        push(&mut head, "Via", via);
    }
    if let Some(from) = value("from") {
        push(&mut head, "From", from);
    }
    if let Some(to) = value("to") {
        let tagged =
            split_outside_quotes(to, b';').skip(1).any(|p| p.trim_start().to_ascii_lowercase().starts_with("tag="));
        let with_tag = if tagged { to.to_owned() } else { format!("{to};tag={tag}") };
        push(&mut head, "To", &with_tag);
    }
    for (name, written) in [("call-id", "Call-ID"), ("cseq", "CSeq")] {
        if let Some(text) = value(name) {
            push(&mut head, written, text);
        }
    }
    for (name, text) in extra {
        push(&mut head, name, text);
    }
    head.push_str("Content-Length: 0\r\n\r\n");
    Some(head.into_bytes())
}

/// The response to a whole request.
pub fn answer(message: &Message, status: u16, reason: &str, tag: &str) -> Option<Vec<u8>> {
    response(Some(&message.start), &message.headers, status, reason, tag, &[])
}

fn push(head: &mut String, name: &str, value: &str) {
    head.push_str(name);
    head.push_str(": ");
    head.push_str(value);
    head.push_str("\r\n");
}

/// A random token of 16 characters, for branches, tags and Call-IDs.
pub fn token() -> String {
    use ring::rand::SecureRandom;
    let mut bytes = [0u8; 10];
    if ring::rand::SystemRandom::new().fill(&mut bytes).is_err() {
        // Uniqueness is what counts here, not secrecy: a counter and the address of this frame will do.
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        bytes[..8].copy_from_slice(&count.to_be_bytes());
    }
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bits = 0u32;
    let mut held = 0;
    let mut text = String::with_capacity(16);
    for byte in bytes {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(LETTERS[(bits >> held & 31) as usize]));
        }
    }
    text
}

/// A Via branch of this standard's age (RFC 3261 §8.1.1.7).
pub fn branch() -> String {
    format!("z9hG4bK{}", token())
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Decoder, Frame};
    use super::*;

    fn one(bytes: &[u8]) -> Message {
        let mut decoder = Decoder::new();
        decoder.feed(bytes);
        match decoder.next() {
            Ok(Some(Frame::Message(message))) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_reads_back() {
        let request = Request {
            uri: "sips:arc@h:1",
            transport: Transport::Tls,
            local: "10.0.0.1:4",
            user: "123",
            branch: "z9hG4bKx",
            from_tag: "t",
            call_id: "c",
            cseq: 2,
            authorization: Some("Authorization: Digest a"),
            content_type: "application/scaip+xml",
        };
        let message = one(&message_request(&request, "å".as_bytes()));
        assert_eq!(message.branch(), Some("z9hG4bKx"));
        assert_eq!(message.header("from"), Some("<sips:123@10.0.0.1:4>;tag=t"));
        assert_eq!(message.header("authorization"), Some("Digest a"));
        assert_eq!(message.cseq(), Some((2, "MESSAGE")));
        assert_eq!(message.body, "å".as_bytes());
        assert_eq!(message.header("contact"), None);
    }

    #[test]
    fn a_response_echoes_every_via_in_order_and_tags_to() {
        let asked = one(b"MESSAGE sip:a SIP/2.0\r\nv: one;branch=1, two\r\nVia: three\r\nf: <sip:x>;tag=1\r\nt: <sip:y;tag=no>\r\ni: c@d\r\nCSeq: 9 MESSAGE\r\nl: 0\r\n\r\n");
        let back = one(&answer(&asked, 200, "OK", "mine").unwrap());
        assert_eq!(back.all("via").collect::<Vec<_>>(), ["one;branch=1, two", "three"]);
        assert_eq!(back.header("to"), Some("<sip:y;tag=no>;tag=mine"));
        assert_eq!(back.header("from"), Some("<sip:x>;tag=1"));
        assert_eq!(back.header("call-id"), Some("c@d"));
        assert_eq!(back.header("cseq"), Some("9 MESSAGE"));
    }

    #[test]
    fn what_must_not_be_answered_is_not() {
        let ack = one(b"ACK sip:a SIP/2.0\r\nVia: x\r\nl: 0\r\n\r\n");
        assert_eq!(answer(&ack, 405, "no", "t"), None);
        let homeless = one(b"MESSAGE sip:a SIP/2.0\r\nl: 0\r\n\r\n");
        assert_eq!(answer(&homeless, 400, "no", "t"), None);
        let response = one(b"SIP/2.0 200 OK\r\nVia: x\r\nl: 0\r\n\r\n");
        assert_eq!(answer(&response, 400, "no", "t"), None);
    }

    #[test]
    fn tokens_differ() {
        let (a, b) = (token(), token());
        assert_eq!(a.len(), 16);
        assert_ne!(a, b);
    }
}
