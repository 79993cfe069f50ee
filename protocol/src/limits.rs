//! Every bound of the wire format: value, unit, why, what happens beyond it. Source, where none is named: our choice.

/// Longest message that is read, in bytes. Beyond: [`DecodeError::TooLong`](crate::DecodeError::TooLong).
/// What Vaka writes stays below [`MESSAGE_BYTES_MAX`]; the rest is room for fields of later versions.
pub const DECODE_BYTES_MAX: usize = 16 * 1024;

/// Longest message that is written, in bytes of CBOR: a buffer of this size always suffices for an event, and for
/// every command whose texts hold no more than [`WORDS_BYTES_MAX`] and [`URL_BYTES_MAX`] (a test holds it).
/// Beyond: [`EncodeError`](crate::EncodeError). Larger: a device could not keep a command in one flash page of 4 KiB
/// with its neighbours.
pub const MESSAGE_BYTES_MAX: usize = 1_024;

/// Longest device id, in bytes. It is the common name of a certificate and a level of a topic.
/// Beyond: [`IdError::Length`](crate::IdError::Length).
pub const DEVICE_ID_BYTES_MAX: usize = 32;

/// Longest alarm id, in bytes. Beyond: [`IdError::Length`](crate::IdError::Length).
pub const ALARM_ID_BYTES_MAX: usize = 24;

/// Longest name of an event, a command or a field that is remembered, in bytes. Beyond: cut on a character boundary.
/// The longest name of version 1 has 11.
pub const NAME_BYTES_MAX: usize = 32;

/// Longest informative word (unit, slot, tag, room …), in bytes. Beyond: cut on a character boundary, because an event
/// must not be lost over a long label.
pub const LABEL_BYTES_MAX: usize = 32;

/// Longest text for a person, in bytes: two lines on a dispenser's display. Beyond: cut on a character boundary.
pub const WORDS_BYTES_MAX: usize = 160;

/// Longest measured value as decimal text, in bytes. Beyond: refused; a cut number would be another number.
pub const VALUE_BYTES_MAX: usize = 32;

/// Longest address of an update, in bytes. Beyond: refused; a cut address would be another address.
pub const URL_BYTES_MAX: usize = 200;

/// Digits of a SHA-256 in hexadecimal.
pub const SHA256_HEX_BYTES: usize = 64;

/// Dose slots in one `schedule` command: two days of four. Beyond: refused; the gateway sends the rest when it is due.
pub const SCHEDULE_SLOTS_MAX: usize = 8;

/// Longest topic, in bytes: `vaka/v1/` + 32 + `/certificate` is 52.
pub const TOPIC_BYTES_MAX: usize = 64;

/// Days of medicine left at which `stock` becomes a technical matter. Fewer: no time to refill over a weekend.
pub const STOCK_LOW_DAYS: u16 = 3;

/// Longest path or reason in a decode error, in bytes. Beyond: cut. A payload cannot fill a log through its error.
pub const REASON_BYTES_MAX: usize = 160;

/// The same where there is no allocator. Larger: an error would be larger than 128 bytes and cost every caller's stack.
/// The longest path of version 1, `command.settings.position_interval_s`, has 36.
pub const NOTE_BYTES_MAX: usize = 40;
