//! What the gateway says to the alarm centre: `<mrq>`.
//!
//! Enters: a notice and what the home is called. Leaves: a body without XML declaration or namespace, as senders in use write it.
//! Invariants: lengths are the schema's; text is cut between characters, never inside one.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quick_xml::escape::escape;

use super::super::Notice;
use super::super::sip::digest::hex;
use crate::journal::record::Whereabouts;
use crate::limits::DELAYED_MS;

/// What stays the same in every message of one home.
#[derive(Debug, Clone)]
pub struct Sender {
    /// SCAIP `cid`, digits.
    pub controller_id: String,
    /// SCAIP `crd`: the resident's `tel:` address, or none.
    pub caller: Option<String>,
    /// In which the time of a delayed alarm is told.
    pub time_zone: TimeZone,
}

/// Device type of the gateway itself: local unit and controller.
const DTY_LOCAL_UNIT: u16 = 2;
/// Of a device that tells its position; an automatic alarm of it is a fence's.
const DTY_TRACKER: u16 = 51;
const STC_AUTOMATIC: u16 = 9;

/// Location codes of an alarm with a position: a fence's, and any other's ("GPS position attached").
const LCO_GEOFENCE: &str = "019";
const LCO_GPS_POSITION: &str = "035";

/// Longest texts of the schema, in characters.
const DID_CHARS_MAX: usize = 8;
const TEXT_CHARS_MAX: usize = 32;

/// The alarm, as it is said at `wall_ms` (UTC milliseconds).
pub fn alarm(sender: &Sender, notice: &Notice, wall_ms: i64) -> String {
    let mut body = String::with_capacity(256);
    body.push_str("<mrq>");
    field(&mut body, "ref", &notice.reference);
    field(&mut body, "cha", "0");
    field(&mut body, "mty", "ME");
    field(&mut body, "cid", notice.controller_id.as_ref().unwrap_or(&sender.controller_id));
    field(&mut body, "dty", &format!("{:04}", notice.dty));
    field(&mut body, "did", &device_id(notice.device.as_ref()));
    let text = if notice.test { format!("TEST {}", notice.text) } else { notice.text.clone() };
    optional(&mut body, "dte", &cut(&text, TEXT_CHARS_MAX));
    // Where a home is behind a hub, its own resident is called back, or nobody.
    let caller = if notice.controller_id.is_some() { &notice.caller } else { &sender.caller };
    field(&mut body, "crd", caller.as_deref().unwrap_or("no-voice:"));
    field(&mut body, "stc", &format!("{:04}", notice.stc));
    optional(&mut body, "stt", &cut(&status_text(sender, notice, wall_ms), TEXT_CHARS_MAX));
    // 0 is the one priority every receiver in use takes.
    field(&mut body, "pri", "0");
    match &notice.whereabouts {
        Some(whereabouts) => location(&mut body, sender, notice, whereabouts),
        None => optional(&mut body, "lte", &cut(notice.room.as_deref().unwrap_or_default(), TEXT_CHARS_MAX)),
    }
    body.push_str("</mrq>");
    body
}

/// Where the device was, in the schema's `lge`, and for receivers that do not read that one, in words in place of the room.
fn location(body: &mut String, sender: &Sender, notice: &Notice, whereabouts: &Whereabouts) {
    let is_fence = notice.dty == DTY_TRACKER && notice.stc == STC_AUTOMATIC;
    field(body, "lco", if is_fence { LCO_GEOFENCE } else { LCO_GPS_POSITION });
    let mut geo = String::new();
    // The schema knows no sign: south and west are told in words alone.
    if whereabouts.lat_e7 >= 0 && whereabouts.lon_e7 >= 0 {
        field(&mut geo, "geo", &whereabouts.degrees());
    }
    if let Ok(at) = Timestamp::from_millisecond(whereabouts.at) {
        field(&mut geo, "tim", &at.to_zoned(sender.time_zone.clone()).strftime("%Y-%m-%dT%H:%M%:z").to_string());
    }
    body.push_str(&format!("<lge>{geo}</lge>"));
    let text = whereabouts.text_within(&sender.time_zone, notice.happened_at, TEXT_CHARS_MAX);
    optional(body, "lte", &cut(&text, TEXT_CHARS_MAX));
}

/// The heartbeat.
pub fn heartbeat(sender: &Sender, reference: &str) -> String {
    let mut body = String::from("<mrq>");
    field(&mut body, "ref", reference);
    field(&mut body, "mty", "PI");
    field(&mut body, "cid", &sender.controller_id);
    field(&mut body, "dty", &format!("{DTY_LOCAL_UNIT:04}"));
    field(&mut body, "crd", "no-voice:");
    body.push_str("</mrq>");
    body
}

/// That an alarm is old must be seen at once; how often it was pressed comes second.
fn status_text(sender: &Sender, notice: &Notice, wall_ms: i64) -> String {
    if notice.delayed || wall_ms.saturating_sub(notice.happened_at) > DELAYED_MS {
        return match Timestamp::from_millisecond(notice.happened_at) {
            Ok(at) => format!("DELAYED {}", at.to_zoned(sender.time_zone.clone()).strftime("%Y-%m-%d %H:%M%:z")),
            Err(_) => "DELAYED, TIME UNKNOWN".to_owned(),
        };
    }
    if notice.count > 1 { format!("PRESSED {} TIMES", notice.count) } else { String::new() }
}

/// A device id of at most 8 characters: itself, or its first three and five of its hash, so that it stays the same for ever.
fn device_id(id: &str) -> String {
    if id.chars().count() <= DID_CHARS_MAX {
        return id.to_owned();
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    let head: String = id.chars().take(3).collect();
    format!("{head}{}", &hex(hash.as_ref())[..DID_CHARS_MAX - 3])
}

/// At most `chars` characters on one line, never parting a letter from its accent or an emoji from what it is joined to.
fn cut(text: &str, chars: usize) -> String {
    let line: Vec<char> = text
        .trim()
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c })
        .collect();
    let mut end = line.len().min(chars);
    let leans =
        |c: char| matches!(c, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200d}' | '\u{1f3fb}'..='\u{1f3ff}');
    while end > 0 && end < line.len() && (leans(line[end]) || line[end - 1] == '\u{200d}') {
        end -= 1;
    }
    line[..end].iter().collect::<String>().trim_end().to_owned()
}

fn optional(body: &mut String, tag: &str, text: &str) {
    if !text.is_empty() {
        field(body, tag, text);
    }
}

fn field(body: &mut String, tag: &str, text: &str) {
    body.push_str(&format!("<{tag}>{}</{tag}>", escape(text)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::tests::notice;
    use super::super::xml::Fields;
    use super::*;

    const AT: i64 = 1_795_212_345_000;

    fn home() -> Sender {
        Sender { controller_id: "10149471".into(), caller: None, time_zone: TimeZone::UTC }
    }

    #[test]
    fn a_press_reads_as_other_senders_write_it() {
        let mut press = notice("a1", 1);
        press.happened_at = AT;
        press.text = "Larmknapp".into();
        press.room = Some("Badrum & tvätt".into());
        let body = alarm(&home(), &press, AT + 20);
        let expected = format!(
            "<mrq><ref>{}</ref><cha>0</cha><mty>ME</mty><cid>10149471</cid><dty>0003</dty><did>p1</did><dte>Larmknapp</dte>\
             <crd>no-voice:</crd><stc>0010</stc><pri>0</pri><lte>Badrum &amp; tvätt</lte></mrq>",
            press.reference
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn a_late_alarm_says_when_it_happened_whoever_noticed_the_delay() {
        let mut press = notice("a1", 1);
        press.happened_at = AT;
        let late = Fields::read(alarm(&home(), &press, AT + DELAYED_MS + 1).as_bytes()).unwrap();
        assert_eq!(late.text("stt"), Some("DELAYED 2026-11-20 22:05+00:00"));
        press.delayed = true;
        assert_eq!(Fields::read(alarm(&home(), &press, AT).as_bytes()).unwrap().text("stt"), late.text("stt"));
        press.happened_at = i64::MAX;
        assert!(alarm(&home(), &press, AT).contains("TIME UNKNOWN"));
    }

    #[test]
    fn repeats_tests_and_the_callers_number_are_told() {
        let mut press = notice("a1", 2);
        (press.happened_at, press.count, press.test) = (AT, 3, true);
        let home = Sender { caller: Some("tel:+4687000000".into()), ..home() };
        let body = alarm(&home, &press, AT);
        assert!(body.contains("<stt>PRESSED 3 TIMES</stt>") && body.contains("<crd>tel:+4687000000</crd>"));
        assert!(body.contains("<dte>TEST "));
    }

    #[test]
    fn a_position_is_told_in_its_fields_and_in_words() {
        let mut left = notice("a1", 1);
        (left.happened_at, left.dty, left.stc, left.room) = (AT, 51, 9, Some("Hall".into()));
        let at = |lat_e7, accuracy_m| Whereabouts { lat_e7, lon_e7: 180_686_000, accuracy_m, at: AT - 60_000 };
        left.whereabouts = Some(at(593_293_000, Some(12)));
        let body = alarm(&home(), &left, AT);
        let told = "<lco>019</lco><lge><geo>59.32930,18.06860</geo><tim>2026-11-20T22:04+00:00</tim></lge>\
                    <lte>59.32930,18.06860 ±12 m 22:04</lte></mrq>";
        assert!(body.ends_with(told), "{body}");
        (left.dty, left.stc, left.whereabouts) = (3, 10, Some(at(-593_293_000, None)));
        let body = alarm(&home(), &left, AT);
        let told =
            "<lco>035</lco><lge><tim>2026-11-20T22:04+00:00</tim></lge><lte>-59.32930,18.06860 22:04</lte></mrq>";
        assert!(body.ends_with(told), "{body}");
    }

    #[test]
    fn an_old_position_says_when_it_was_in_words_too() {
        let mut pressed = notice("a1", 1);
        pressed.happened_at = AT;
        let mut told = |lat_e7, lon_e7, accuracy_m, at| {
            pressed.whereabouts = Some(Whereabouts { lat_e7, lon_e7, accuracy_m, at });
            Fields::read(alarm(&home(), &pressed, AT).as_bytes()).unwrap().text("lte").unwrap_or_default().to_owned()
        };
        let day_ms = 86_400_000;
        assert_eq!(told(593_293_000, 180_686_000, Some(12), AT - day_ms), "59.32930,18.06860 19/11 22:05");
        assert_eq!(told(-893_293_000, -1_780_686_000, None, AT - day_ms), "-89.32930,-178.06860 19/11 22:05");
        assert_eq!(told(-893_293_000, -1_780_686_000, Some(800), AT), "-89.32930,-178.06860 22:05");
        assert_eq!(told(593_293_000, 180_686_000, Some(800), AT), "59.32930,18.06860 ±800 m 22:05");
    }

    #[test]
    fn long_device_ids_are_short_stable_and_different() {
        assert_eq!(device_id("pendant1"), "pendant1");
        let (a, b) = (device_id("bed-sensor-1"), device_id("bed-sensor-2"));
        assert_eq!((a.len(), a.as_str()), (8, device_id("bed-sensor-1").as_str()));
        assert!(a.starts_with("bed") && a != b);
    }

    #[test]
    fn text_is_cut_between_letters() {
        assert_eq!(cut("åäö", 2), "åä");
        assert_eq!(cut("ae\u{301}x", 2), "a");
        assert_eq!(cut("x\u{1f469}\u{200d}\u{1f4bb}", 2), "x");
        assert_eq!(cut(" a\nb ", 9), "a b");
    }

    #[test]
    fn the_heartbeat_is_a_pi() {
        let body = heartbeat(&home(), "r1");
        assert_eq!(body, "<mrq><ref>r1</ref><mty>PI</mty><cid>10149471</cid><dty>0002</dty><crd>no-voice:</crd></mrq>");
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_body_reads_back(text in any::<String>(), room in any::<String>(), count in any::<u32>()) {
            let mut press = notice("a1", 1);
            (press.text, press.room, press.count) = (text, Some(room), count);
            let fields = Fields::read(alarm(&home(), &press, AT).as_bytes()).expect("reads back");
            for tag in ["dte", "lte", "stt"] {
                prop_assert!(fields.text(tag).unwrap_or("").chars().count() <= TEXT_CHARS_MAX);
            }
            prop_assert_eq!(fields.text("ref"), Some(press.reference.as_str()));
        }
    }
}
