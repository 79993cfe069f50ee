//! The alarm centre's answer: `<mrs>`.

use super::xml::{Fields, XmlError};

/// What the alarm centre says about one of our references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mrs {
    pub reference: String,
    /// Status number: 0 is "taken"; see [`snu_meaning`].
    pub snu: u32,
    pub status_text: Option<String>,
    /// Media reply: 0 no voice, 1 duplex, 2 microphone only, 3 speaker only.
    pub media_reply: u32,
    /// Call handling reply: 61 predefined receiver, 62 the number in `transfer`.
    pub call_reply: Option<u32>,
    pub transfer: Option<String>,
}

impl Mrs {
    pub fn parse(body: &[u8]) -> Result<Self, XmlError> {
        let fields = Fields::read(body)?;
        if fields.root == "mrq" {
            return Err(XmlError::Root(fields.root));
        }
        for tag in ["ref", "snu"] {
            fields.once(tag)?;
        }
        let reference = fields.text("ref").filter(|r| r.len() <= 16 && r.bytes().all(|b| b.is_ascii_alphanumeric()));
        Ok(Self {
            reference: reference.ok_or(XmlError::Field { tag: "ref" })?.to_owned(),
            snu: fields.number("snu")?.ok_or(XmlError::Field { tag: "snu" })?,
            status_text: fields.text("ste").map(plain),
            // What the centre wants beside the answer must never cost the answer.
            media_reply: fields.number("mre").ok().flatten().unwrap_or(0),
            call_reply: fields.number("cre").ok().flatten(),
            transfer: fields.text("tnu").map(plain),
        })
    }

    /// What a person should know beside "accepted": that the centre wants to speak.
    pub fn detail(&self) -> String {
        if self.media_reply == 0 {
            return String::new();
        }
        let mut text = format!("mre={}", self.media_reply);
        if let Some(call_reply) = self.call_reply {
            text.push_str(&format!(" cre={call_reply}"));
        }
        if let Some(transfer) = &self.transfer {
            text.push_str(&format!(" tnu={transfer}"));
        }
        text
    }
}

/// A peer's text for our logs: short, without control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(128).collect()
}

/// What a status number means, in words.
pub fn snu_meaning(snu: u32) -> &'static str {
    match snu {
        0 => "taken",
        1 => "message too long",
        2 => "invalid format",
        3 => "wrong data content",
        4 => "on hold",
        5 => "not treated",
        6 => "busy",
        7 => "a mandatory tag is missing",
        99 => "undefined error",
        _ => "unknown status",
    }
}

/// The centre refuses the message itself: sending the same again will not help there.
pub fn snu_is_permanent(snu: u32) -> bool {
    matches!(snu, 1 | 2 | 3 | 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Mrs, XmlError> {
        Mrs::parse(text.as_bytes())
    }

    #[test]
    fn real_answers_are_read() {
        let plain = read("<mrs><ref>00020486</ref><snu>0</snu></mrs>\r\n").unwrap();
        assert_eq!((plain.reference.as_str(), plain.snu, plain.detail().as_str()), ("00020486", 0, ""));
        let voice =
            read("<mrs><ref> aB1 </ref><snu>000</snu><mre>01</mre><cre>62</cre><tnu>sip:op&amp;a@centre</tnu></mrs>")
                .unwrap();
        assert_eq!(voice.snu, 0);
        assert_eq!(voice.detail(), "mre=1 cre=62 tnu=sip:op&a@centre");
        let declared = "<?xml version=\"1.0\"?>\n<!-- x --><s:mrs xmlns:s=\"urn:x\">\n <s:ref>1</s:ref><s:snu>99</s:snu><s:ste>A&#229;</s:ste></s:mrs>";
        assert_eq!(read(declared).unwrap().status_text.as_deref(), Some("Aå"));
    }

    #[test]
    fn the_other_root_is_tolerated() {
        assert_eq!(read("<scaip><ref>1</ref><snu>0</snu></scaip>").unwrap().snu, 0);
        assert_eq!(read("<scaip><mrs><ref>1</ref><snu>5</snu></mrs></scaip>").unwrap().snu, 5);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let refused = [
            "",
            "<mrs/>",
            "<mrs><ref>1</ref></mrs>",
            "<mrs><ref>1</ref><snu></snu></mrs>",
            "<mrs><ref>1</ref><snu>0</snu>",
            "<mrs><ref>1</ref><snu>-0</snu></mrs>",
            "<mrs><ref>1</ref><snu>+0</snu></mrs>",
            "<mrs><ref>12345678901234567</ref><snu>0</snu></mrs>",
            "<mrs><ref>å</ref><snu>0</snu></mrs>",
            "<mrs><ref>1</ref><snu>5</snu><snu>0</snu></mrs>",
            "<mrs><ref>1</ref><ref>2</ref><snu>0</snu></mrs>",
            "<mrs><ref>1</ref><snu>0</snu></mrs><mrs/>",
            "<mrq><ref>1</ref><snu>0</snu></mrq>",
            "<html><ref>1</ref><snu>0</snu></html>",
            "<!DOCTYPE mrs [<!ENTITY z \"0\">]><mrs><ref>1</ref><snu>&z;</snu></mrs>",
            "<mrs><ref>1</ref><snu>&z;</snu></mrs>",
            "<mrs><ref>1</snu></mrs>",
            "<mrs><ref>1</ref><snu>4294967296</snu></mrs>",
        ];
        for text in refused {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Mrs::parse(b"<mrs><ref>\xff</ref><snu>0</snu></mrs>").is_err());
        assert!(read(&format!("{}{}", "<mrs>".repeat(9), "</mrs>".repeat(9))).is_err());
        assert!(read(&format!("<mrs>{}</mrs>", "<a>1</a>".repeat(65))).is_err());
        assert!(read(&format!("<mrs><ref>1</ref><snu>0</snu><ste>{}</ste></mrs>", "x".repeat(2_000))).is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Mrs::parse(&body);
        }

        #[test]
        fn anything_like_xml_is_survived(text in "(<|>|/|&|;|#|mrs|ref|snu|tnu|mre|scaip|!\\[CDATA\\[|\\]\\]>|\\?|0|1|x|\"|=| |-|!){0,60}") {
            let _ = Mrs::parse(text.as_bytes());
        }

        #[test]
        fn a_mutated_answer_never_turns_a_refusal_into_taken(at in 0usize..60, byte in any::<u8>()) {
            let mut body = b"<mrs><ref>abc</ref><snu>5</snu><ste>no</ste></mrs>".to_vec();
            let at = at.min(body.len() - 1);
            body[at] = byte;
            if let Ok(mrs) = Mrs::parse(&body) {
                prop_assert!(mrs.snu != 0 || byte == b'0');
            }
        }
    }
}
