//! Every bound of the board: value, unit, why, what happens beyond.

/// Connections at once, for each listener. 500 open boards, each with one for its events and one or two for pages. Beyond: the
/// connection is closed unread, and counted. Source: our choice.
pub const CONNECTIONS_MAX: usize = 2_048;
/// Time for a TLS handshake, in milliseconds. A phone on a poor network needs 1 to 3 s. Beyond: closed. Source: our choice.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Time for a request's head, in milliseconds. Beyond: closed. Source: our choice.
pub const HEADER_MS_MAX: u64 = 10_000;
/// Largest request body, in bytes. A form of settings has about 2 KiB. Beyond: 413. Source: our choice.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Sessions at once. Beyond: the one that was idle longest ends. Source: our choice, twice the open boards that are measured.
pub const SESSIONS_MAX: usize = 4_096;
/// Idle time after which a session ends, in minutes, where nothing is configured. Source: our choice, fit for a phone that is handed on.
pub const IDLE_MIN: u32 = 15;
/// Longest session however busy, in hours: one shift. Source: our choice.
pub const SESSION_H_MAX: i64 = 12;
/// A strong authentication counts as fresh for sensitive acts for so long, in milliseconds. Source: our choice.
pub const FRESH_MS: i64 = 120_000;
/// Requests at once over one HTTP/2 connection. A page, its style, its script and its events are four. Beyond: the browser waits. Source: our choice.
pub const STREAMS_MAX: u32 = 32;
/// Time between two looks at the certificate's files, in milliseconds. Source: our choice; a renewal leaves days, a look costs two calls.
pub const CERTIFICATE_LOOK_MS: u64 = 10_000;
/// Pause after an accept that failed, in milliseconds. Source: our choice, the same as for devices.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// Alarms that each part of the list shows in full. An article is about 2.5 KiB: 20 of them and the frame stay within 100 KiB.
/// Beyond: the most urgent are shown, the rest are counted above them and stand on /alarms. Source: our choice.
pub const ALARMS_SHOWN_MAX: usize = 20;
/// Rows on a page of all alarms, residents, devices. Beyond: the next page. Source: our choice, about 60 KiB.
pub const ROWS_SHOWN_MAX: usize = 100;
/// Between two beats to an open page, in milliseconds; each is sent only when the gateway has answered. A page is stale after two
/// that did not come, within 5 s. Source: our choice.
pub const BEAT_MS: u64 = 2_000;
/// The round is read anew at least this often, in milliseconds: a look-in becomes due by the clock alone. Source: our choice.
pub const NIGHT_READ_MS: u64 = 15_000;
/// Longest stream of events to one page, in milliseconds. Then the page asks again, and whoever has been logged out or lost a
/// role in between is refused. Source: our choice: a minute of a revoked person's list at most.
pub const EVENTS_MS_MAX: u64 = 60_000;
/// Events that wait for a slow page. Beyond: it is written to when it has read; what changed in between comes at once, as it
/// stands then. Source: our choice.
pub const EVENTS_WAITING_MAX: usize = 4;
/// Longest word that a form may carry into the journal, in characters: a note, a name, a reason. Beyond: refused with a page that
/// says so. Source: our choice.
pub const TEXT_CHARS_MAX: usize = 500;
/// Traces on a page of the log. Beyond: the next page. Source: our choice.
pub const TRACES_SHOWN_MAX: usize = 200;
/// Traces in one export: a year of a busy house. Beyond: the older ones are asked for by date. Source: our choice.
pub const TRACES_EXPORTED_MAX: usize = 200_000;
/// Longest wait for an act to show in the list before the page goes back to it, in milliseconds. Beyond: the page shows the list
/// as it is, and is told of the change when it comes. Source: our choice.
pub const SHOWS_MS_MAX: u64 = 500;
/// Days before a certificate's end from which it stands red. Source: our choice, as the technical alarm of it.
pub const CERTIFICATE_DAYS: i64 = 30;
