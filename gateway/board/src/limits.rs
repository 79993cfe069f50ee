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
