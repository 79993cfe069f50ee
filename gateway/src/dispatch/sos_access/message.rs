//! What the gateway says to an SOS Access receiver.
//!
//! Enters: a notice and what the home is called. Leaves: XML in ISO 8859-1 with its declaration, one document a connection.
//! Invariants: lengths are the description's; text is cut between characters; nothing but printable characters of ISO 8859-1 and
//! line ends is written. Source: the public description of pwitab/sos-access.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::scaip::mrq::Sender;
use super::super::{Notice, NoticeWhat};
use super::codes;
use super::config::SosAccessConfig;
use crate::limits::DELAYED_MS;

/// Longest texts of the description, in characters.
const TEXT_CHARS_MAX: usize = 40;
const INFO_CHARS_MAX: usize = 2_000;

/// What is asked of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Alarm,
    Ping,
    NewPassword,
}

impl Request {
    const TAGS: [(Request, &str, &str); 3] = [
        (Request::Alarm, "alarmrequest", "alarmresponse"),
        (Request::Ping, "pingrequest", "pingresponse"),
        (Request::NewPassword, "requestnewauthentication", "requestnewauthenticationresponse"),
    ];

    /// Which request an answer with this root belongs to.
    pub fn answered_by(root: &str) -> Option<Self> {
        Self::TAGS.iter().find(|(_, _, answer)| *answer == root).map(|(request, ..)| *request)
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Alarm => Self::TAGS[0].1,
            Self::Ping => Self::TAGS[1].1,
            Self::NewPassword => Self::TAGS[2].1,
        }
    }
}

/// The alarm, as it is said at `wall_ms` (UTC milliseconds).
pub fn alarm(own: &SosAccessConfig, password: &str, sender: &Sender, notice: &Notice, wall_ms: i64) -> Vec<u8> {
    let mut body = Document::new(Request::Alarm);
    body.field("reference", &notice.reference);
    body.field("authentication", password);
    body.field("receiver", &own.receiver_id);
    if let Ok(happened) = Timestamp::from_millisecond(notice.happened_at) {
        body.field("transmittertime", &local(happened, &sender.time_zone, "%Y-%m-%d %H:%M:%S%.3f"));
    }
    // Only the end of a cause ends an alarm there. What a resident takes back stays an alarm, and says so.
    body.field("alarmtype", if notice.what == NoticeWhat::Over { "RE" } else { "AL" });
    body.field("transmittertype", &own.transmitter_type);
    body.field("transmittercode", &own.transmitter_code);
    if let Some(area) = &own.transmitter_area {
        body.field("transmitterarea", area);
    }
    body.field("eventcode", codes::event_code(&own.event_codes, notice));
    body.text("sectiontext", notice.room.as_deref().unwrap_or_default(), TEXT_CHARS_MAX);
    body.text("detectortext", notice.device.as_ref(), TEXT_CHARS_MAX);
    body.text("additionalinfo", &info(sender, notice, wall_ms), INFO_CHARS_MAX);
    body.end()
}

/// The heartbeat, or the question for a new password.
pub fn ask(request: Request, own: &SosAccessConfig, password: &str, reference: &str) -> Vec<u8> {
    let mut body = Document::new(request);
    body.field("authentication", password);
    body.field("reference", reference);
    body.field("transmittercode", &own.transmitter_code);
    body.field("transmittertype", &own.transmitter_type);
    body.end()
}

/// For a person, a line each: that it is a test or old must be seen first.
fn info(sender: &Sender, notice: &Notice, wall_ms: i64) -> String {
    let mut lines: Vec<String> = Vec::new();
    if notice.test {
        lines.push("TEST".to_owned());
    }
    if notice.delayed || wall_ms.saturating_sub(notice.happened_at) > DELAYED_MS {
        lines.push(match Timestamp::from_millisecond(notice.happened_at) {
            Ok(at) => format!("DELAYED {}", local(at, &sender.time_zone, "%Y-%m-%d %H:%M:%S%:z")),
            Err(_) => "DELAYED, TIME UNKNOWN".to_owned(),
        });
    }
    match notice.what {
        NoticeWhat::Raise => {}
        NoticeWhat::Again => lines.push("AGAIN".to_owned()),
        NoticeWhat::Cancel => lines.push("CANCELLED IN THE HOME".to_owned()),
        NoticeWhat::Over => lines.push("OVER".to_owned()),
    }
    lines.push(notice.text.clone());
    if notice.count > 1 {
        lines.push(format!("PRESSED {} TIMES", notice.count));
    }
    // Where a home is behind a hub, its own resident is called back, or nobody.
    let caller = if notice.controller_id.is_some() { &notice.caller } else { &sender.caller };
    if let Some(caller) = caller {
        lines.push(format!("CALL {}", caller.strip_prefix("tel:").unwrap_or(caller)));
    }
    if let Some(home) = &notice.controller_id {
        lines.push(format!("HOME {home}"));
    }
    if let Some(resident) = &notice.resident {
        lines.push(format!("RESIDENT {resident}"));
    }
    lines.push(format!("ALARM {} {}; SCAIP {:04} {:04}", notice.alarm, notice.number, notice.dty, notice.stc));
    let on_one_line = |line: String| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    lines.into_iter().map(on_one_line).collect::<Vec<_>>().join("\n")
}

fn local(at: Timestamp, zone: &TimeZone, form: &str) -> String {
    at.to_zoned(zone.clone()).strftime(form).to_string()
}

struct Document {
    root: &'static str,
    bytes: Vec<u8>,
}

impl Document {
    fn new(request: Request) -> Self {
        let root = request.tag();
        let head = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<{root}>");
        Self { root, bytes: head.into_bytes() }
    }

    /// A text of at most `chars_max` characters; left out where it is empty.
    fn text(&mut self, tag: &str, text: &str, chars_max: usize) {
        let written: String = text.trim().chars().map(written).collect();
        let cut: String = written.chars().take(chars_max).collect();
        if !cut.trim().is_empty() {
            self.field(tag, cut.trim());
        }
    }

    fn field(&mut self, tag: &str, text: &str) {
        self.bytes.extend_from_slice(format!("<{tag}>").as_bytes());
        for c in text.chars().map(written) {
            match c {
                '&' => self.bytes.extend_from_slice(b"&amp;"),
                '<' => self.bytes.extend_from_slice(b"&lt;"),
                '>' => self.bytes.extend_from_slice(b"&gt;"),
                c => self.bytes.push(u8::try_from(u32::from(c)).unwrap_or(b'?')),
            }
        }
        self.bytes.extend_from_slice(format!("</{tag}>").as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(format!("</{}>\n", self.root).as_bytes());
        self.bytes
    }
}

/// The character of ISO 8859-1 that says the same, or a question mark.
fn written(c: char) -> char {
    match c {
        ' '..='~' | '\u{a0}'..='\u{ff}' | '\n' => c,
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201a}' => '\'',
        '\u{201c}'..='\u{201e}' => '"',
        c if c.is_control() || c.is_whitespace() => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::tests::{AT, notice};
    use super::*;

    fn own() -> SosAccessConfig {
        SosAccessConfig {
            transmitter_code: "1234567".into(),
            transmitter_type: "VAKA1".into(),
            receiver_id: "42".into(),
            ..SosAccessConfig::default()
        }
    }

    fn sender() -> Sender {
        let time_zone = TimeZone::get("Europe/Stockholm").unwrap();
        Sender { controller_id: String::new(), caller: None, time_zone }
    }

    fn said(notice: &Notice, wall_ms: i64) -> String {
        let bytes = alarm(&own(), "hxp4x9nnwxjatv8", &sender(), notice, wall_ms);
        bytes.into_iter().map(char::from).collect()
    }

    #[test]
    fn a_press_reads_as_the_description_writes_it() {
        let mut press = notice("a1", 1);
        press.room = Some("Badrum & tvätt".into());
        let expected = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<alarmrequest><reference>{}</reference>\
             <authentication>hxp4x9nnwxjatv8</authentication><receiver>42</receiver>\
             <transmittertime>2026-11-20 23:05:45.000</transmittertime><alarmtype>AL</alarmtype>\
             <transmittertype>VAKA1</transmittertype><transmittercode>1234567</transmittercode><eventcode>QA</eventcode>\
             <sectiontext>Badrum &amp; tvätt</sectiontext><detectortext>p1</detectortext>\
             <additionalinfo>Larmknapp\nALARM a1 1; SCAIP 0003 0010</additionalinfo></alarmrequest>\n",
            press.reference
        );
        assert_eq!(said(&press, AT), expected);
        let bytes = alarm(&own(), "hxp4x9nnwxjatv8", &sender(), &press, AT);
        assert!(bytes.windows(5).any(|five| five == b"tv\xe4tt"), "one byte a letter");
    }

    #[test]
    fn what_a_person_must_know_stands_first() {
        let mut late = notice("a1", 2);
        (late.test, late.count, late.what) = (true, 3, NoticeWhat::Cancel);
        let text = said(&late, AT + DELAYED_MS + 1);
        assert!(text.contains("<additionalinfo>TEST\nDELAYED 2026-11-20 23:05:45+01:00\nCANCELLED IN THE HOME\nLarmknapp\nPRESSED 3 TIMES\n"), "{text}");
        assert!(text.contains("<alarmtype>AL<") && text.contains("<eventcode>RX<"));
        late.happened_at = i64::MAX;
        late.delayed = true;
        let unknown = said(&late, AT);
        assert!(unknown.contains("TIME UNKNOWN") && !unknown.contains("transmittertime"));
        let behind_a_hub = Notice {
            controller_id: Some("77".into()),
            resident: Some("r1".into()),
            caller: Some("tel:+46".into()),
            ..notice("a1", 1)
        };
        assert!(
            said(&behind_a_hub, AT).contains("\nCALL +46\nHOME 77\nRESIDENT r1\nALARM "),
            "{}",
            said(&behind_a_hub, AT)
        );
        let over = Notice { what: NoticeWhat::Over, dty: 23, stc: 94, ..notice("a1", 2) };
        assert!(said(&over, AT).contains("<alarmtype>RE</alarmtype>") && said(&over, AT).contains("<eventcode>FA<"));
    }

    #[test]
    fn letters_that_cannot_be_written_are_replaced() {
        let press = Notice { text: "Fall – ”hallen” 日本\u{7f}\u{9}".into(), ..notice("a1", 1) };
        assert!(said(&press, AT).contains("<additionalinfo>Fall - \"hallen\" ??"), "{}", said(&press, AT));
    }

    #[test]
    fn the_heartbeat_says_who_and_nothing_more() {
        let body = ask(Request::Ping, &own(), "hxp4x9nnwxjatv8", "r1");
        let expected = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<pingrequest><authentication>hxp4x9nnwxjatv8</authentication>\
            <reference>r1</reference><transmittercode>1234567</transmittercode><transmittertype>VAKA1</transmittertype></pingrequest>\n";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn whatever_the_text_it_is_short_and_printable(text in any::<String>(), room in any::<String>(), count in any::<u32>()) {
            let press = Notice { text: text.repeat(50), room: Some(room), count, ..notice("a1", 1) };
            let bytes = alarm(&own(), "hxp4x9nnwxjatv8", &sender(), &press, AT);
            prop_assert!(bytes.iter().all(|b| matches!(b, b' '..=b'~' | 0xa0..=0xff | b'\n')));
            prop_assert!(bytes.len() < 100_000);
            let text: String = bytes.into_iter().map(char::from).collect();
            for (tag, most) in [("sectiontext", 40), ("detectortext", 40), ("additionalinfo", 2_000)] {
                let open = format!("<{tag}>");
                let Some(at) = text.find(&open) else { continue };
                let inner = text[at + open.len()..].split('<').next().unwrap_or_default();
                let plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                prop_assert!((1..=most).contains(&plain.chars().count()), "{tag}");
            }
        }
    }
}
