//! XML from outside, read into a small tree: no document type, no entities but the five, bounded in size and depth.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use crate::limits::{TEXT_BYTES_MAX, XML_ATTRIBUTES_MAX, XML_DEPTH_MAX};

/// An element, by its local name: makers choose their prefixes freely.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

/// No XML that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad;

impl Node {
    /// The root of a document.
    pub fn read(bytes: &[u8]) -> Result<Node, Bad> {
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(Bad);
        }
        let mut reader = Reader::from_reader(bytes);
        reader.config_mut().trim_text(true);
        // The first stands above the root.
        let mut open = vec![Node::default()];
        loop {
            match reader.read_event().map_err(|_| Bad)? {
                Event::Start(start) if open.len() <= XML_DEPTH_MAX => open.push(begun(&start)?),
                Event::Empty(start) => {
                    let node = begun(&start)?;
                    open.last_mut().ok_or(Bad)?.children.push(node);
                }
                Event::End(_) => {
                    let node = open.pop().ok_or(Bad)?;
                    open.last_mut().ok_or(Bad)?.children.push(node);
                }
                Event::Text(text) => open.last_mut().ok_or(Bad)?.text.push_str(&text.decode().map_err(|_| Bad)?),
                Event::CData(text) => open.last_mut().ok_or(Bad)?.text.push_str(&text.decode().map_err(|_| Bad)?),
                Event::GeneralRef(name) => {
                    let character = name.resolve_char_ref().map_err(|_| Bad)?.map(String::from);
                    let name = name.decode().map_err(|_| Bad)?;
                    let known = character.or_else(|| resolve_predefined_entity(&name).map(str::to_owned)).ok_or(Bad)?;
                    open.last_mut().ok_or(Bad)?.text.push_str(&known);
                }
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => (),
                Event::Start(_) | Event::DocType(_) => return Err(Bad),
                Event::Eof => break,
            }
        }
        let mut above = open.pop().ok_or(Bad)?;
        match (open.is_empty(), above.children.len()) {
            (true, 1) => above.children.pop().ok_or(Bad),
            _ => Err(Bad),
        }
    }

    /// The first element of this name, here or below.
    pub fn first(&self, name: &str) -> Option<&Node> {
        if self.name == name { Some(self) } else { self.children.iter().find_map(|child| child.first(name)) }
    }

    /// All elements of this name below, none within another.
    pub fn all(&self, name: &str) -> Vec<&Node> {
        let below = |child| if Node::is(child, name) { vec![child] } else { Node::all(child, name) };
        self.children.iter().flat_map(below).collect()
    }

    fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The text of the first element of this name, if it has any.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name).map(|node| node.text.trim()).filter(|text| !text.is_empty())
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

fn begun(start: &BytesStart<'_>) -> Result<Node, Bad> {
    let name = std::str::from_utf8(start.local_name().into_inner()).map_err(|_| Bad)?.to_owned();
    let mut attributes = Vec::new();
    // The reader's own search for a name that comes twice takes the square of their number; the first is taken here.
    for attribute in start.attributes().with_checks(false) {
        if attributes.len() == XML_ATTRIBUTES_MAX {
            return Err(Bad);
        }
        let attribute = attribute.map_err(|_| Bad)?;
        let key = std::str::from_utf8(attribute.key.local_name().into_inner()).map_err(|_| Bad)?.to_owned();
        attributes.push((key, attribute.unescape_value().map_err(|_| Bad)?.into_owned()));
    }
    Ok(Node { name, attributes, ..Node::default() })
}

/// `text` as it may stand in a message.
pub(crate) fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_attributes_than_any_camera_has_are_refused() {
        let element = |count: usize| {
            let attributes: String = (0..count).map(|at| format!(" a{at}=\"{at}\"")).collect();
            format!("<e{attributes}/>")
        };
        let read = Node::read(element(XML_ATTRIBUTES_MAX).as_bytes()).expect("an element");
        assert_eq!(read.attribute("a63"), Some("63"));
        assert_eq!(Node::read(element(XML_ATTRIBUTES_MAX + 1).as_bytes()), Err(Bad));
        // Their number alone bounds the work, also where each is the same.
        assert_eq!(Node::read(b"<e a=\"1\" a=\"2\"/>").expect("an element").attribute("a"), Some("1"));
    }
}
