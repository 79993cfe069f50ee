//! What an SOS Access receiver answers: `<alarmresponse>`, `<pingresponse>`, `<requestnewauthenticationresponse>`.
//!
//! Enters: what has come so far on a connection. Leaves: the first whole answer, or that more has to come, or why it is none.
//! Invariants: bounded in size, fields and depth; no DTD, no entity beyond XML's five and character references; what follows the
//! first answer is not looked at; never panics. Source: the public description of pwitab/sos-access.

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::Event;

use super::message::Request;
use crate::limits::SOS_ANSWER_BYTES_MAX;

/// Most fields in an answer; a real one has five.
const FIELDS_MAX: usize = 32;

/// Longest text of one field, in bytes: four times the longest field of the description.
const FIELD_BYTES_MAX: usize = 1_024;

/// Why what came is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("reading an SOS Access answer: it is not well-formed XML")]
    Malformed,
    #[error("reading an SOS Access answer: its root is `{0}`")]
    Root(String),
    #[error("reading an SOS Access answer: it has a DTD or an entity of its own, which is refused")]
    Entity,
    #[error(
        "reading an SOS Access answer: more than {SOS_ANSWER_BYTES_MAX} bytes, {FIELDS_MAX} fields, or {FIELD_BYTES_MAX} bytes in one"
    )]
    TooLarge,
    #[error("reading an SOS Access answer: `{0}` is missing, stands twice, or is not what it must be")]
    Field(&'static str),
}

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it answers.
    pub to: Request,
    pub reference: Option<String>,
    /// See [`super::status`].
    pub status: u32,
    /// The receiver's words, fit for a log.
    pub info: String,
    /// Answer to [`Request::NewPassword`]; absent where it has none, or none of the length it must have.
    pub new_password: Option<String>,
}

impl Answer {
    /// Reads the first answer of `bytes`; `None` while it has not come whole.
    ///
    /// # Errors
    /// [`AnswerError`] where no further bytes can make it an answer.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, AnswerError> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if MARK.starts_with(bytes) {
            return Ok(None);
        }
        let (bytes, mut utf8) = match bytes.strip_prefix(MARK) {
            Some(rest) => (rest, true),
            None => (bytes, false),
        };
        let mut reader = Reader::from_reader(bytes);
        let (mut root, mut depth) = (None, 0usize);
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut text: Vec<u8> = Vec::new();
        loop {
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) if is_cut_short(&error, bytes) => return unfinished(bytes),
                Err(_) => return Err(AnswerError::Malformed),
            };
            match event {
                Event::Decl(decl) => {
                    let named = decl.encoding().and_then(Result::ok);
                    utf8 |= named.is_some_and(|name| name.eq_ignore_ascii_case(b"utf-8"));
                }
                Event::Start(tag) => {
                    let name = name_of(tag.local_name().as_ref())?;
                    match (&root, depth) {
                        (None, _) => root = Some(Request::answered_by(&name).ok_or(AnswerError::Root(name))?),
                        (Some(_), 1) => push(&mut fields, name)?,
                        (Some(_), 2..8) => {}
                        (Some(_), _) => return Err(AnswerError::TooLarge),
                    }
                    depth += 1;
                    text.clear();
                }
                Event::Empty(tag) => {
                    let name = name_of(tag.local_name().as_ref())?;
                    match depth {
                        0 => return Err(AnswerError::Root(name)),
                        1 => push(&mut fields, name)?,
                        _ => {}
                    }
                }
                Event::Text(part) if depth == 0 => {
                    if !part.trim_ascii().is_empty() {
                        return Err(AnswerError::Malformed);
                    }
                }
                Event::Text(part) => append(&mut text, &part)?,
                Event::CData(part) if depth > 0 => append(&mut text, &part)?,
                Event::GeneralRef(name) if depth > 0 => {
                    let character = match name.resolve_char_ref().map_err(|_| AnswerError::Malformed)? {
                        Some(character) => character,
                        None => match &*name {
                            b"amp" => '&',
                            b"lt" => '<',
                            b"gt" => '>',
                            b"quot" => '"',
                            b"apos" => '\'',
                            _ => return Err(AnswerError::Entity),
                        },
                    };
                    let mut buffer = [0; 4];
                    let encoded = character.encode_utf8(&mut buffer);
                    match u8::try_from(u32::from(character)) {
                        Ok(byte) if !utf8 => append(&mut text, &[byte])?,
                        _ if !utf8 => append(&mut text, b"?")?,
                        _ => append(&mut text, encoded.as_bytes())?,
                    }
                }
                Event::End(_) => {
                    depth = depth.checked_sub(1).ok_or(AnswerError::Malformed)?;
                    match (depth, root) {
                        (0, Some(to)) => return Self::from_fields(to, &fields).map(Some),
                        (1, _) => {
                            if let Some((_, value)) = fields.last_mut() {
                                *value = decoded(&text, utf8)?;
                            }
                        }
                        _ => {}
                    }
                    text.clear();
                }
                Event::CData(_) | Event::GeneralRef(_) => return Err(AnswerError::Malformed),
                Event::DocType(_) => return Err(AnswerError::Entity),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return unfinished(bytes),
            }
        }
    }

    fn from_fields(to: Request, fields: &[(String, String)]) -> Result<Self, AnswerError> {
        let text = |tag: &'static str| {
            let mut found = fields.iter().filter(|(name, _)| name == tag).map(|(_, value)| value.as_str());
            let first = found.next().filter(|value| !value.is_empty());
            if found.next().is_some() { Err(AnswerError::Field(tag)) } else { Ok(first) }
        };
        let status = text("status")?.ok_or(AnswerError::Field("status"))?;
        let plain = status.len() <= 6 && status.bytes().all(|b| b.is_ascii_digit());
        let status = if plain { status.parse().ok() } else { None };
        // The description says `newauthentication`, its example writes `authentication`.
        let new_password = match text("newauthentication")? {
            Some(found) => Some(found),
            None if to == Request::NewPassword => text("authentication")?,
            None => None,
        };
        Ok(Self {
            to,
            reference: text("reference")?.map(|reference| reference.chars().take(50).collect()),
            status: status.ok_or(AnswerError::Field("status"))?,
            info: for_a_log(text("info")?.unwrap_or_default()),
            new_password: new_password.filter(|found| super::config::is_password(found)).map(str::to_owned),
        })
    }
}

/// True where more bytes could still make sense of it.
fn is_cut_short(error: &Error, bytes: &[u8]) -> bool {
    match error {
        Error::Syntax(SyntaxError::InvalidBangMarkup) => bytes.ends_with(b"<!"),
        Error::Syntax(_) => true,
        Error::IllFormed(IllFormedError::UnclosedReference) => {
            bytes.iter().rev().find(|byte| matches!(byte, b'&' | b'<')) == Some(&b'&')
        }
        _ => false,
    }
}

fn unfinished(bytes: &[u8]) -> Result<Option<Answer>, AnswerError> {
    if bytes.len() > SOS_ANSWER_BYTES_MAX { Err(AnswerError::TooLarge) } else { Ok(None) }
}

fn name_of(name: &[u8]) -> Result<String, AnswerError> {
    let fits = name.len() <= 64 && name.iter().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(AnswerError::Malformed);
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

fn push(fields: &mut Vec<(String, String)>, name: String) -> Result<(), AnswerError> {
    if fields.len() == FIELDS_MAX {
        return Err(AnswerError::TooLarge);
    }
    fields.push((name, String::new()));
    Ok(())
}

fn append(text: &mut Vec<u8>, part: &[u8]) -> Result<(), AnswerError> {
    if text.len() + part.len() > FIELD_BYTES_MAX {
        // White space between the fields may be long; a field may not.
        if part.trim_ascii().is_empty() && text.trim_ascii().is_empty() {
            return Ok(());
        }
        return Err(AnswerError::TooLarge);
    }
    text.extend_from_slice(part);
    Ok(())
}

fn decoded(text: &[u8], utf8: bool) -> Result<String, AnswerError> {
    let text = text.trim_ascii();
    if utf8 {
        return std::str::from_utf8(text).map(str::to_owned).map_err(|_| AnswerError::Malformed);
    }
    Ok(text.iter().map(|byte| char::from(*byte)).collect())
}

/// A peer's text for our logs: short, without control characters.
fn for_a_log(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(128).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: &str = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<alarmresponse>\n<reference>001</reference>\n\
        <status>0</status>\n<info>OK</info>\n<arrivaltime>2006-12-24 15:00:00.000</arrivaltime>\n</alarmresponse>";

    fn read(text: &str) -> Result<Option<Answer>, AnswerError> {
        Answer::read(text.as_bytes())
    }

    #[test]
    fn the_descriptions_own_examples_are_read() {
        let answer = read(OK).unwrap().unwrap();
        let expected = Answer {
            to: Request::Alarm,
            reference: Some("001".into()),
            status: 0,
            info: "OK".into(),
            new_password: None,
        };
        assert_eq!(answer, expected);
        let ping =
            read("<pingresponse><status>101</status><info>PING_TO_OFTEN</info></pingresponse>").unwrap().unwrap();
        assert_eq!((ping.to, ping.status, ping.reference), (Request::Ping, 101, None));
        for tag in ["newauthentication", "authentication"] {
            let new = format!(
                "<requestnewauthenticationresponse><reference>46</reference><status>0</status><info>OK</info>\
                 <{tag}>8usedlb54a234md</{tag}></requestnewauthenticationresponse>"
            );
            assert_eq!(read(&new).unwrap().unwrap().new_password.as_deref(), Some("8usedlb54a234md"));
        }
    }

    #[test]
    fn letters_are_read_as_the_answer_says_they_are_written() {
        let latin = b"<?xml version='1.0' encoding='iso-8859-1'?><alarmresponse><status>5</status><info>f\xf6r sent &#229;&#x20ac;</info></alarmresponse>";
        assert_eq!(Answer::read(latin).unwrap().unwrap().info, "för sent å?");
        let utf8 = "\u{feff}<?xml version='1.0' encoding='UTF-8'?><alarmresponse><status>5</status><info>för sent &#x20ac;</info></alarmresponse>";
        assert_eq!(read(utf8).unwrap().unwrap().info, "för sent €");
    }

    #[test]
    fn every_beginning_of_an_answer_waits_for_the_rest() {
        for end in 0..OK.len() {
            assert_eq!(read(&OK[..end]), Ok(None), "{}", &OK[..end]);
        }
        let marked = "\u{feff}<!-- < & --><alarmresponse><info>&#65;&amp;<![CDATA[<>]]></info><status>0</status></alarmresponse>";
        for end in 0..marked.len() {
            assert_eq!(Answer::read(&marked.as_bytes()[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(marked).unwrap().unwrap().info, "A&<>");
        let twice = format!("{OK}{}", OK.replace(">0<", ">5<"));
        for end in OK.len()..twice.len() {
            assert_eq!(read(&twice[..end]).unwrap().unwrap().status, 0);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_at_once() {
        let refused = [
            "garbage",
            "HTTP/1.1 400 Bad Request\r\n",
            "<alarmrequest><status>0</status></alarmrequest>",
            "<alarmresponse/>",
            "<alarmresponse></alarmresponse>",
            "<alarmresponse><status></status></alarmresponse>",
            "<alarmresponse><status>+0</status></alarmresponse>",
            "<alarmresponse><status>OK</status></alarmresponse>",
            "<alarmresponse><status>9999999</status></alarmresponse>",
            "<alarmresponse><status>5</status><status>0</status></alarmresponse>",
            "<alarmresponse><status>0</info></alarmresponse>",
            "<!DOCTYPE a [<!ENTITY z \"0\">]><alarmresponse>",
            "<alarmresponse><!x",
            "<alarmresponse><info>a & b</info>",
            "<alarmresponse><status>&z;</status></alarmresponse>",
        ];
        for text in refused {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
        assert!(read(&format!("<alarmresponse>{}", "<a>1</a>".repeat(33))).is_err());
        assert!(read(&format!("<alarmresponse>{}", "<a>".repeat(9))).is_err());
        assert!(read(&format!("<alarmresponse><info>{}", "x".repeat(2_000))).is_err());
        assert!(read(&format!("<alarmresponse>{}", " ".repeat(20_000))).is_err());
        assert!(read(&"<".repeat(20_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Answer::read(&body);
        }

        #[test]
        fn a_mutated_refusal_never_turns_into_taken(at in 0usize..90, byte in any::<u8>()) {
            let mut body = b"<alarmresponse><reference>abc</reference><status>5</status><info>no</info></alarmresponse>".to_vec();
            let at = at.min(body.len() - 1);
            body[at] = byte;
            if let Ok(Some(answer)) = Answer::read(&body) {
                prop_assert!(answer.status != 0 || byte == b'0');
            }
        }
    }
}
