//! The head of one SIP message: start line and headers, taken apart strictly.
//!
//! Enters: the bytes before the empty line. Leaves: a [`Message`] without its body, or a [`Defect`].

use super::HEADERS_MAX;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Request { method: String, uri: String },
    Response { status: u16, reason: String },
}

/// One SIP message. Header names are in lower case and in their long form (`v` is `via`), values are trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub start: Start,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why a message whose borders are known cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("the SIP start line is neither a request nor a response of SIP/2.0")]
    StartLine,
    #[error("a SIP header line has no name and colon")]
    HeaderLine,
    #[error("the SIP head has a bare CR, LF or NUL in it")]
    BareControl,
    #[error("the SIP head has more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    #[error("the SIP body of {bytes} bytes is larger than is taken")]
    BodyTooLarge { bytes: u64 },
}

impl Message {
    /// First value of a header (name in lower case, long form).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All values of a header, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Branch of the topmost Via: what a response is matched by.
    pub fn branch(&self) -> Option<&str> {
        let top = split_outside_quotes(self.header("via")?, b',').next()?;
        parameter(top, "branch")
    }

    /// CSeq as number and method.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("cseq")?.split_once([' ', '\t'])?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some((number.parse().ok()?, method.trim()))
    }
}

/// Takes a head apart. `head` ends before the empty line; headers read so far come back even with a defect,
/// so that a bad request can be answered.
pub fn parse(head: &[u8]) -> (Option<Start>, Vec<(String, String)>, Option<Defect>) {
    let mut defect = None;
    let mut lines = head_lines(head);
    let start = lines.next().and_then(start_line);
    if start.is_none() {
        defect = Some(Defect::StartLine);
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            defect.get_or_insert(Defect::BareControl);
            continue;
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // A folded line continues the one before it.
            match headers.last_mut() {
                Some((_, value)) => {
                    value.push(' ');
                    value.push_str(String::from_utf8_lossy(line).trim());
                }
                None => {
                    defect.get_or_insert(Defect::HeaderLine);
                }
            }
            continue;
        }
        let Some((name, value)) = header_line(line) else {
            defect.get_or_insert(Defect::HeaderLine);
            continue;
        };
        if headers.len() == HEADERS_MAX {
            defect.get_or_insert(Defect::TooManyHeaders);
            break;
        }
        headers.push((name, value));
    }
    (start, headers, defect)
}

/// Lines between CRLFs; a head without its last CRLF counts as complete.
fn head_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.windows(2).position(|w| w == b"\r\n") {
            Some(at) => {
                rest = Some(&text[at + 2..]).filter(|r| !r.is_empty());
                Some(&text[..at])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

fn start_line(line: &[u8]) -> Option<Start> {
    let line = std::str::from_utf8(line).ok()?;
    if line.bytes().any(|b| b < b' ' || b == 0x7f) {
        return None;
    }
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        // Some peers leave the reason out, and the space before it too.
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let status: u16 = code.parse().ok()?;
        return (100..700).contains(&status).then(|| Start::Response { status, reason: reason.trim().to_owned() });
    }
    let mut parts = line.split(' ');
    let (method, uri, version) = (parts.next()?, parts.next()?, parts.next()?);
    let good = parts.next().is_none() && version == "SIP/2.0" && is_token(method.as_bytes()) && !uri.is_empty();
    good.then(|| Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

fn header_line(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = line[..colon].trim_ascii_end();
    if !is_token(name) {
        return None;
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Some((long_form(name), String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned()))
}

fn long_form(name: String) -> String {
    let long = match name.as_str() {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        "c" => "content-type",
        "e" => "content-encoding",
        "k" => "supported",
        "s" => "subject",
        _ => return name,
    };
    long.to_owned()
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b))
}

/// Parts of `text` between `separator`s that stand outside double quotes and angle brackets.
pub fn split_outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut angled, mut escaped) = (false, false, false);
        for (at, b) in text.bytes().enumerate() {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'<' if !quoted => angled = true,
                b'>' if !quoted => angled = false,
                // The separators are ASCII, so `at` stands on a character's border.
                b if b == separator && !quoted && !angled => {
                    rest = Some(&text[at + 1..]);
                    return Some(&text[..at]);
                }
                _ => {}
            }
        }
        rest = None;
        Some(text)
    })
}

/// Value of `;name=value` in a header value.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    split_outside_quotes(value, b';').skip(1).find_map(|part| {
        let (n, v) = part.split_once('=')?;
        n.trim().eq_ignore_ascii_case(name).then(|| v.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> (Option<Start>, Vec<(String, String)>, Option<Defect>) {
        parse(head.as_bytes())
    }

    #[test]
    fn a_response_needs_no_reason() {
        for line in ["SIP/2.0 200", "SIP/2.0 200 ", "SIP/2.0 200 OK"] {
            assert!(matches!(read(line).0, Some(Start::Response { status: 200, .. })), "{line:?}");
        }
        for line in ["SIP/2.0 20", "SIP/2.0 2000", "SIP/2.0  200", "SIP/2.0 099 x", "SIP/2.1 200 OK", "200 OK", ""] {
            assert_eq!(read(line).2, Some(Defect::StartLine), "{line:?}");
        }
    }

    #[test]
    fn a_request_may_have_an_empty_host() {
        let (start, _, defect) = read("MESSAGE sip:gw@:5060 SIP/2.0");
        assert_eq!(start, Some(Start::Request { method: "MESSAGE".into(), uri: "sip:gw@:5060".into() }));
        assert_eq!(defect, None);
        assert_eq!(read("MESSAGE sip:a b SIP/2.0").2, Some(Defect::StartLine));
    }

    #[test]
    fn compact_folded_and_padded_headers_are_read() {
        let (_, headers, defect) =
            read("SIP/2.0 200 OK\r\nv :  SIP/2.0/TCP a;branch=z9hG4bK1\r\nSubject: one\r\n\t two\r\nl:    42");
        assert_eq!(defect, None);
        let expected = [("via", "SIP/2.0/TCP a;branch=z9hG4bK1"), ("subject", "one two"), ("content-length", "42")];
        assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn injected_controls_and_nameless_lines_are_defects() {
        assert_eq!(read("SIP/2.0 200 OK\r\nFrom: a\nTo: b").2, Some(Defect::BareControl));
        assert_eq!(read("SIP/2.0 200 OK\r\nFrom a").2, Some(Defect::HeaderLine));
        assert_eq!(read("SIP/2.0 200 OK\r\n folded").2, Some(Defect::HeaderLine));
        let many = format!("SIP/2.0 200 OK\r\n{}", "a: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(read(&many).2, Some(Defect::TooManyHeaders));
    }

    #[test]
    fn the_branch_is_the_topmost_vias_own() {
        let (start, headers, _) = read(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS a;rport=5 ; Branch=z9hG4bKa, SIP/2.0/TLS b;branch=z9hG4bKb\r\nVia: x;branch=c\r\nCSeq: 7 MESSAGE",
        );
        let message = Message { start: start.unwrap(), headers, body: Vec::new() };
        assert_eq!(message.branch(), Some("z9hG4bKa"));
        assert_eq!(message.cseq(), Some((7, "MESSAGE")));
        assert_eq!(message.all("via").count(), 2);
    }

    #[test]
    fn quotes_and_angles_hide_separators() {
        let parts: Vec<_> = split_outside_quotes(r#""a,\",b" <sip:x,y>, c"#, b',').collect();
        assert_eq!(parts, [r#""a,\",b" <sip:x,y>"#, " c"]);
    }
}
