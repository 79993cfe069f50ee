//! What the gateway says to a receiver: a notice as Contact ID or SIA, or the heartbeat. Pure.
//!
//! Enters: a notice and the time. Leaves: a message without its frame. Invariants: it is ASCII, since receivers differ about
//! every other letter; it fits a read of 1,024 bytes, encrypted too, since one in use reads no more at once.

use std::fmt::Write as _;

use super::codes;
use super::config::{Dc09Config, Protocol};
use super::frame::{Content, timestamp};
use crate::dispatch::Notice;
use crate::limits::{DC09_TEXT_CHARS_MAX, DELAYED_MS};

/// The alarm, as it is told at `wall_ms` (UTC milliseconds). `offset_ms` is how far the receiver's clock is ahead of ours: added to the time of
/// the event too, so that its age comes out right whose clock ever is wrong.
pub fn alarm(config: &Dc09Config, notice: &Notice, wall_ms: i64, offset_ms: i64) -> Content {
    let code = codes::of(notice);
    let zone = config.zones.get(&notice.device).copied().unwrap_or(0);
    let account = &config.account;
    let data = match config.protocol {
        Protocol::AdmCid => {
            let qualifier = if code.restore { 3 } else { 1 };
            format!("#{account}|{qualifier}{:03} 00 {zone:03}", code.contact_id)
        }
        Protocol::SiaDcs => format!("#{account}|N{}{zone:03}", code.sia),
    };
    let delayed = notice.delayed || wall_ms.saturating_sub(notice.happened_at) > DELAYED_MS;
    let mut extended = Vec::new();
    if config.extended {
        if delayed {
            extended.push(format!("H{}", timestamp(notice.happened_at.saturating_add(offset_ms))));
        }
        // Beside Contact ID one receiver in use takes one block alone; when it happened is then the one that matters.
        if !delayed || config.protocol == Protocol::SiaDcs {
            extended.push(format!("I{}", words(notice)));
        }
    }
    Content { id: config.protocol.as_str(), data, extended }
}

/// The heartbeat.
pub fn heartbeat() -> Content {
    Content { id: "NULL", data: String::new(), extended: Vec::new() }
}

/// What, where, which device, how often.
fn words(notice: &Notice) -> String {
    let mut text = if notice.test { "TEST ".to_owned() } else { String::new() };
    text.push_str(&notice.text);
    if let Some(room) = &notice.room {
        let _ = write!(text, ", {room}");
    }
    let mut plain = plain(&text);
    plain.truncate(DC09_TEXT_CHARS_MAX);
    let _ = write!(plain, ", {}", notice.device);
    if notice.count > 1 {
        let _ = write!(plain, ", {} times", notice.count);
    }
    plain
}

/// Letters that every receiver reads alike: no accents, no brackets or bars, which would end the block.
fn plain(text: &str) -> String {
    let letter = |c: char| match c {
        'å' | 'ä' | 'à' | 'á' | 'â' => 'a',
        'Å' | 'Ä' | 'À' | 'Á' | 'Â' => 'A',
        'ö' | 'ø' | 'ó' | 'ô' => 'o',
        'Ö' | 'Ø' | 'Ó' | 'Ô' => 'O',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'É' | 'È' | 'Ê' | 'Ë' => 'E',
        'ü' | 'ú' => 'u',
        'Ü' | 'Ú' => 'U',
        'æ' => 'a',
        'Æ' => 'A',
        '[' => '(',
        ']' => ')',
        '|' | '"' | '#' | '_' | '^' => ' ',
        ' '..='~' => c,
        _ if c.is_whitespace() || c.is_control() => ' ',
        _ => '?',
    };
    text.trim().chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cipher::Key;
    use super::super::frame::{PAD_CHARS_MAX, Sender, write};
    use super::*;
    use crate::dispatch::NoticeWhat;
    use crate::dispatch::tests::{AT, notice};

    fn config(protocol: Protocol) -> Dc09Config {
        Dc09Config { protocol, zones: [("p1".parse().unwrap(), 15)].into(), ..Dc09Config::new("1234") }
    }

    #[test]
    fn a_press_reads_as_other_senders_write_it() {
        let press = Notice { room: Some("Badrum".into()), ..notice("a1", 1) };
        let cid = alarm(&config(Protocol::AdmCid), &press, AT + 20, 0);
        assert_eq!((cid.id, cid.data.as_str()), ("ADM-CID", "#1234|1101 00 015"));
        assert_eq!(cid.extended, ["ILarmknapp, Badrum, p1"]);
        let dcs = alarm(&config(Protocol::SiaDcs), &press, AT + 20, 0);
        assert_eq!((dcs.id, dcs.data.as_str()), ("SIA-DCS", "#1234|NQA015"));
        let unlisted = Notice { device: "p2".parse().unwrap(), ..press };
        assert_eq!(alarm(&config(Protocol::AdmCid), &unlisted, AT, 0).data, "#1234|1101 00 000");
    }

    #[test]
    fn an_end_has_the_qualifier_three_or_letters_of_its_own() {
        let over = Notice { dty: 23, stc: 94, what: NoticeWhat::Over, ..notice("a1", 2) };
        assert_eq!(alarm(&config(Protocol::AdmCid), &over, AT, 0).data, "#1234|3111 00 015");
        assert_eq!(alarm(&config(Protocol::SiaDcs), &over, AT, 0).data, "#1234|NFH015");
    }

    #[test]
    fn a_late_alarm_says_when_it_happened_in_the_receivers_time() {
        let late = AT + DELAYED_MS + 1;
        let cid = alarm(&config(Protocol::AdmCid), &notice("a1", 1), late, 3_600_000);
        assert_eq!(cid.extended, ["H23:05:45,11-20-2026"]);
        let dcs = alarm(&config(Protocol::SiaDcs), &Notice { delayed: true, ..notice("a1", 1) }, AT, 0);
        assert_eq!(dcs.extended, ["H22:05:45,11-20-2026", "ILarmknapp, p1"]);
        let bare = Dc09Config { extended: false, ..config(Protocol::SiaDcs) };
        assert!(alarm(&bare, &notice("a1", 1), late, 0).extended.is_empty());
    }

    #[test]
    fn tests_repeats_and_swedish_are_told_in_plain_letters() {
        let press = Notice { test: true, count: 3, text: "Lås [upp] dörr|\u{1f6aa}".into(), ..notice("a1", 1) };
        let cid = alarm(&config(Protocol::AdmCid), &press, AT, 0);
        assert_eq!(
            (cid.data.as_str(), cid.extended[0].as_str()),
            ("#1234|1601 00 015", "ITEST Las (upp) dorr ?, p1, 3 times")
        );
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_frame_is_whole_ascii_and_short(text in any::<String>(), room in any::<String>(), happened_at in any::<i64>(),
            offset_ms in any::<i64>(), count in any::<u32>()) {
            let press = Notice { text, room: Some(room), happened_at, count, delayed: true, ..notice("a1", 1) };
            let config = Dc09Config { account: "0123456789ABCDEF".into(), ..config(Protocol::SiaDcs) };
            let content = alarm(&config, &press, AT, offset_ms);
            let key = Key::Aes256([1; 32]);
            let sender = Sender { receiver: "123456", prefix: "123456", account: &config.account };
            for key in [None, Some((&key, [b'p'; PAD_CHARS_MAX]))] {
                let frame = write(&sender, 9_999, &content, Some(happened_at), key);
                prop_assert!(frame.is_ascii() && frame.len() <= 1_024, "{} bytes", frame.len());
                prop_assert_eq!(frame.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count(), 2);
            }
            prop_assert!(content.extended.iter().all(|block| !block.contains(['[', ']', '|'])));
        }
    }
}
