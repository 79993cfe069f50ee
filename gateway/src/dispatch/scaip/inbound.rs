//! What a receiver asks of us, and the answer to it: every request gets one. Pure.

use super::super::sip::write::{response, token};
use super::super::sip::{Defect, Frame, Start};
use super::CONTENT_TYPE;
use super::mrs::Mrs;

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Bytes to send back on the same connection.
    pub reply: Option<Vec<u8>>,
    /// The alarm centre's answer to one of our references.
    pub mrs: Option<Mrs>,
}

const METHODS: &str = "MESSAGE, OPTIONS";

/// Judges a request or a defective message.
pub(crate) fn judge(frame: &Frame) -> Heard {
    let (start, headers, body, defect) = match frame {
        Frame::Message(message) => (Some(&message.start), &message.headers, message.body.as_slice(), None),
        Frame::Defective { start, headers, defect } => (start.as_ref(), headers, &[][..], Some(defect)),
        Frame::Ping => return Heard::default(),
    };
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let reply = |status, reason: &str, extra: &[(&str, &str)]| Heard {
        reply: response(start, headers, status, reason, &token(), extra),
        mrs: None,
    };
    match defect {
        Some(Defect::BodyTooLarge { .. }) => return reply(413, "Request Entity Too Large", &[]),
        Some(_) => return reply(400, "Bad Request", &[]),
        None => {}
    }
    if ["via", "from", "to", "call-id", "cseq"].iter().any(|name| value(name).is_none()) {
        return reply(400, "Missing Header", &[]);
    }
    let Some(Start::Request { method, .. }) = start else {
        return Heard::default();
    };
    let extensions: Vec<&str> = headers.iter().filter(|(n, _)| n == "require").map(|(_, v)| v.as_str()).collect();
    if !extensions.is_empty() {
        return reply(420, "Bad Extension", &[("Unsupported", &extensions.join(", "))]);
    }
    match method.as_str() {
        "MESSAGE" => {}
        // Proxies ask this way whether the connection lives.
        "OPTIONS" => return reply(200, "OK", &[("Allow", METHODS), ("Accept", CONTENT_TYPE)]),
        _ => return reply(405, "Method Not Allowed", &[("Allow", METHODS)]),
    }
    let kind = value("content-type").map(|v| v.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if !matches!(kind.as_deref(), None | Some(CONTENT_TYPE | "application/xml" | "text/xml")) {
        return reply(415, "Unsupported Media Type", &[("Accept", CONTENT_TYPE)]);
    }
    match Mrs::parse(body) {
        Ok(mrs) => Heard { mrs: Some(mrs), ..reply(200, "OK", &[]) },
        Err(error) => {
            tracing::warn!(%error, "a MESSAGE that is no answer");
            reply(400, "Bad Request", &[])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sip::Decoder;
    use super::*;

    const HEAD: &str = "Via: a;branch=b\r\nFrom: <sip:c>\r\nTo: <sip:g>\r\nCall-ID: 1\r\n";

    fn status(method: &str, headers: &str, body: &str) -> (Option<String>, bool) {
        let text = format!(
            "{method} sip:gw SIP/2.0\r\n{headers}CSeq: 1 {method}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut decoder = Decoder::new();
        decoder.feed(text.as_bytes());
        let heard = judge(&decoder.next().unwrap().unwrap());
        let line = heard.reply.map(|b| String::from_utf8(b).unwrap().lines().next().unwrap()[8..11].to_owned());
        (line, heard.mrs.is_some())
    }

    #[test]
    fn every_request_gets_its_answer() {
        let mrs = "<mrs><ref>1</ref><snu>0</snu></mrs>";
        let with = |more: &str| format!("{HEAD}{more}");
        assert_eq!(status("MESSAGE", HEAD, mrs), (Some("200".into()), true));
        assert_eq!(
            status("MESSAGE", &with("c: application/scaip+xml;charset=UTF-8\r\n"), mrs),
            (Some("200".into()), true)
        );
        assert_eq!(status("MESSAGE", &with("Content-Type: text/plain\r\n"), mrs), (Some("415".into()), false));
        assert_eq!(status("MESSAGE", HEAD, "hello"), (Some("400".into()), false));
        assert_eq!(status("MESSAGE", HEAD, "<mrq><ref>1</ref></mrq>"), (Some("400".into()), false));
        assert_eq!(status("MESSAGE", "Via: a\r\n", mrs), (Some("400".into()), false));
        assert_eq!(status("MESSAGE", &with("Require: 100rel\r\n"), mrs), (Some("420".into()), false));
        assert_eq!(status("INVITE", HEAD, ""), (Some("405".into()), false));
        assert_eq!(status("OPTIONS", HEAD, ""), (Some("200".into()), false));
        assert_eq!(status("ACK", HEAD, ""), (None, false));
        assert_eq!(status("BAD METHOD", HEAD, ""), (Some("400".into()), false));
        assert_eq!(status("MESSAGE", HEAD, &"x".repeat(70_000)), (Some("413".into()), false));
    }
}
