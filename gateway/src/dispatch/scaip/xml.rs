//! The flat XML of SCAIP: one root, fields of text below it.
//!
//! Enters: a body from outside. Leaves: tags with their trimmed texts. Invariants: bounded in size, fields and depth;
//! no DTD, no entity beyond XML's five and character references; never panics.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Most fields in one body; the longest real one has under 30.
const FIELDS_MAX: usize = 64;

/// Longest text of one field, in bytes: four times the longest field of the schema.
const FIELD_BYTES_MAX: usize = 1_024;

/// Why a body is not SCAIP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("reading a SCAIP body: it is not well-formed XML in UTF-8")]
    Malformed,
    #[error("reading a SCAIP body: its root is `{0}`, not `mrs` or `mrq`")]
    Root(String),
    #[error("reading a SCAIP body: it has a DTD or an entity of its own, which is refused")]
    Entity,
    #[error(
        "reading a SCAIP body: more than {FIELDS_MAX} fields, or one over {FIELD_BYTES_MAX} bytes, or nested too deep"
    )]
    TooLarge,
    #[error("reading a SCAIP body: `{tag}` is missing or is not what it must be")]
    Field { tag: &'static str },
}

/// The fields of one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// `mrs`, `mrq`, or `scaip` where a peer names it so.
    pub root: String,
    fields: Vec<(String, String)>,
}

impl Fields {
    /// Reads `<mrs>`, `<mrq>` or `<scaip>`, where `<scaip>` may also wrap one of the others.
    pub fn read(body: &[u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(body).map_err(|_| XmlError::Malformed)?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut path: Vec<String> = Vec::new();
        let mut root: Option<String> = None;
        let mut closed = false;
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut current = String::new();
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(tag) => {
                    let name = local(tag.local_name().as_ref())?;
                    if closed {
                        return Err(XmlError::Malformed);
                    }
                    if path.is_empty() && root.is_none() {
                        if !matches!(name.as_str(), "mrs" | "mrq" | "scaip") {
                            return Err(XmlError::Root(name.chars().take(16).collect()));
                        }
                        root = Some(name.clone());
                    } else if path.len() == 1 && path[0] == "scaip" && matches!(name.as_str(), "mrs" | "mrq") {
                        root = Some(name.clone());
                    }
                    if path.len() == 8 {
                        return Err(XmlError::TooLarge);
                    }
                    current.clear();
                    path.push(name);
                }
                Event::Empty(tag) => {
                    let name = local(tag.local_name().as_ref())?;
                    if path.is_empty() {
                        return Err(XmlError::Root(name.chars().take(16).collect()));
                    }
                    keep(&mut fields, name, "")?;
                }
                Event::Text(part) => append(&mut current, &part.decode().map_err(|_| XmlError::Malformed)?)?,
                Event::CData(part) => append(&mut current, &part.decode().map_err(|_| XmlError::Malformed)?)?,
                Event::GeneralRef(name) => {
                    let character = match name.resolve_char_ref().map_err(|_| XmlError::Malformed)? {
                        Some(character) => character,
                        None => match name.decode().map_err(|_| XmlError::Malformed)?.as_ref() {
                            "amp" => '&',
                            "lt" => '<',
                            "gt" => '>',
                            "quot" => '"',
                            "apos" => '\'',
                            _ => return Err(XmlError::Entity),
                        },
                    };
                    append(&mut current, character.encode_utf8(&mut [0; 4]))?;
                }
                Event::End(_) => {
                    let name = path.pop().ok_or(XmlError::Malformed)?;
                    if path.is_empty() {
                        closed = true;
                    } else if !matches!(name.as_str(), "mrs" | "mrq") {
                        keep(&mut fields, name, current.trim())?;
                    }
                    current.clear();
                }
                Event::DocType(_) => return Err(XmlError::Entity),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match root {
            Some(root) if closed => Ok(Self { root, fields }),
            _ => Err(XmlError::Malformed),
        }
    }

    /// First text under a tag; absent and empty are alike.
    pub fn text(&self, tag: &str) -> Option<&str> {
        self.fields.iter().find(|(t, text)| t == tag && !text.is_empty()).map(|(_, text)| text.as_str())
    }

    /// A number under a tag: `2`, `02` and `0002` are the same code.
    pub fn number(&self, tag: &'static str) -> Result<Option<u32>, XmlError> {
        let Some(text) = self.text(tag) else {
            return Ok(None);
        };
        let plain = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
        let number = if plain { text.parse().ok() } else { None };
        number.map(Some).ok_or(XmlError::Field { tag })
    }

    /// A tag that decides what the message means may stand once only.
    pub fn once(&self, tag: &'static str) -> Result<(), XmlError> {
        if self.fields.iter().filter(|(t, _)| t == tag).count() > 1 {
            return Err(XmlError::Field { tag });
        }
        Ok(())
    }
}

fn local(name: &[u8]) -> Result<String, XmlError> {
    if name.len() > 64 {
        return Err(XmlError::TooLarge);
    }
    Ok(std::str::from_utf8(name).map_err(|_| XmlError::Malformed)?.to_owned())
}

fn append(current: &mut String, part: &str) -> Result<(), XmlError> {
    if current.len() + part.len() > FIELD_BYTES_MAX {
        // White space between the fields may be long; a field may not.
        if part.trim().is_empty() && current.trim().is_empty() {
            return Ok(());
        }
        return Err(XmlError::TooLarge);
    }
    current.push_str(part);
    Ok(())
}

fn keep(fields: &mut Vec<(String, String)>, name: String, text: &str) -> Result<(), XmlError> {
    if fields.len() == FIELDS_MAX {
        return Err(XmlError::TooLarge);
    }
    fields.push((name, text.to_owned()));
    Ok(())
}
