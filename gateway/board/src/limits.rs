//! Every bound of the board: value, unit, why, what happens beyond.

/// Connections at once, for each listener. 500 open boards, each with one for its events and one or two for pages. Beyond: the oldest
/// stranger's connection of the most crowded address is closed; where all are logged in, the new one. Source: our choice.
pub const CONNECTIONS_MAX: usize = 2_048;
/// The same of one address, of IPv6 one network (/64): a municipality's staff behind one address, 500 boards. Beyond: the oldest stranger's of
/// that address is closed; where all are logged in, the new one. Source: our choice.
pub const CONNECTIONS_HERE_MAX: usize = 1_536;
/// Time for a TLS handshake, in milliseconds. A phone on a poor network needs 1 to 3 s. Beyond: closed. Source: our choice.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Time from a connection's beginning to its first request, in milliseconds, whatever it speaks: the handshake's and a head's. Beyond: closed.
/// Source: our choice.
pub const FIRST_REQUEST_MS_MAX: u64 = 15_000;
/// Time for a request's head over HTTP/1, in milliseconds. Beyond: closed. Source: our choice.
pub const HEADER_MS_MAX: u64 = 10_000;
/// Largest request body, in bytes. A form of settings has about 2 KiB. Beyond: 413. Source: our choice.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// What is read, and thrown away, of a body that its answer did not need, in bytes. Beyond: the connection ends with the answer. Source: our
/// choice, sixteen times the largest body that is taken: whoever sends too much is told so as well.
pub const UNREAD_BYTES_MAX: usize = 16 * BODY_BYTES_MAX;
/// How long for, in milliseconds. Beyond: the connection ends with the answer. Source: our choice, as for a request's head.
pub const UNREAD_MS_MAX: u64 = HEADER_MS_MAX;
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
/// A connection over which nothing comes for so long is asked whether it is there, and closed after as long again, in milliseconds. Source: our choice.
pub const QUIET_MS_MAX: u64 = 20_000;
/// Messages to phones under way at once: each may take half a minute. Beyond: a phone is not told of this call; the board has it. Source: our choice.
pub const PUSHES_MAX: usize = 128;
/// Time between two looks at the certificate's files, in milliseconds. Source: our choice; a renewal leaves days, a look costs two calls.
pub const CERTIFICATE_LOOK_MS: u64 = 10_000;
/// Pause after an accept that failed, in milliseconds. Source: our choice, the same as for devices.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// Waits before each try to tell a phone, in milliseconds. Beyond: it is not told of this call. Source: our choice; the board has it anyway.
pub const PUSH_TRIES_MS: [u64; 4] = [0, 1_000, 5_000, 25_000];
/// Alarms whose pushes are remembered. Beyond: one may be pushed again. Source: our choice.
pub const PUSHED_KEPT_MAX: usize = 10_000;
/// Longest address of a phone, in bytes; those of today have 150 to 500. Beyond: refused. Source: our choice.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 2_048;
/// Phones of one person. Beyond: the one that was first goes. Source: our choice.
pub const PUSH_PER_PERSON_MAX: usize = 8;
/// Alarms that wait for a person and are shown in full. An article is about 2 KiB: 20 of them, [`OTHERS_SHOWN_MAX`] in each other
/// part, style and script stay within 100 KiB. Beyond: the most urgent are shown, the rest are counted above them and stand on
/// /alarms. Source: our choice; the sum is measured by `tests/bench`.
pub const ALARMS_SHOWN_MAX: usize = 20;
/// The same in each other part of the list: technical, taken, tests. Source: as above.
pub const OTHERS_SHOWN_MAX: usize = 8;
/// Groups of people (groups of residents, role, language) whose lists are kept between two changes. Beyond: all are made anew. Source: our
/// choice; a list is some hundred pointers, an event some KiB.
pub const AUDIENCES_MAX: usize = 256;
/// Least text that is packed as gzip, in bytes: below, it fits into one packet anyway. Source: our choice.
pub const PACKED_BYTES_MIN: u64 = 1_024;
/// Longest text that is packed, in bytes; our longest pages have some 200 KiB. Beyond: it is sent as it is. Source: our choice: packing
/// takes a processor about 1 ms for 100 KiB.
pub const PACKED_BYTES_MAX: u64 = 1_048_576;
/// Rows on a page of all alarms, residents, devices. Beyond: the next page. Source: our choice, about 60 KiB.
pub const ROWS_SHOWN_MAX: usize = 100;
/// Between two beats to an open page, in milliseconds; each is sent only when the gateway has answered. A page is stale after two
/// that did not come, within 5 s. Source: our choice.
pub const BEAT_MS: u64 = 2_000;
/// Least time between two looks at the gateway's health that changes ask for, in milliseconds; a beat looks in any case. Beyond: a row
/// is shown at once, the line about the gateway itself follows. Source: our choice: a storm of alarms costs the keeper four looks a second.
pub const HEALTH_PAUSE_MS: u64 = 250;
/// The round is read anew at least this often, in milliseconds: a look-in becomes due by the clock alone. Source: our choice.
pub const NIGHT_READ_MS: u64 = 15_000;
/// Longest stream of events to one page, in milliseconds. Then the page asks again, and whoever has been logged out or lost a
/// role in between is refused. Source: our choice: a minute of a revoked person's list at most.
pub const EVENTS_MS_MAX: u64 = 60_000;
/// A session that was told the list no longer ago than this, in milliseconds, goes on following without a new line in the log: the time a
/// stream lasts. Beyond: it is read anew, and traced. Source: our choice.
pub const GOES_ON_MS: i64 = EVENTS_MS_MAX as i64;
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
/// Time between two askings whether whoever looks is logged in still, in milliseconds; each picture asks too. Source: our choice; "at once"
/// to a person.
pub const LOOK_LIVES_MS: u64 = 250;
/// Longest grant of a look that is read, in characters; ours have 64. Beyond: refused. Source: our choice.
pub const LOOK_TOKEN_CHARS_MAX: usize = 128;
/// Longest wait for an act to show in the list before the page goes back to it, in milliseconds. Beyond: the page shows the list
/// as it is, and is told of the change when it comes. Source: our choice.
pub const SHOWS_MS_MAX: u64 = 500;
/// Days before a certificate's end from which it stands red. Source: our choice, as the technical alarm of it.
pub const CERTIFICATE_DAYS: i64 = 30;
/// People in `people.toml`. A municipality's home care has some hundreds to some thousands. Beyond: the file is refused. Source: our choice.
pub const PEOPLE_MAX: usize = 20_000;
/// Characters of a name, a card's subject, a key's or a program's label. Beyond: refused. Source: our choice.
pub const NAME_CHARS_MAX: usize = 120;
/// Bytes of overtaken lines that `credentials.jsonl` may hold at a start, beside twice what counts. Beyond: it is written anew. Source: our choice.
pub const CREDENTIALS_BYTES_SPARE: u64 = 64 * 1024;
/// Failed log-ins from one place before it waits. A wet finger fails three or four times. Beyond: 429 with how long. Source: our choice.
pub const FAILURES_MAX: u32 = 10;
/// How long a place waits after that, in milliseconds. Source: our choice: long for a guesser, short for an honest person who has other ways.
pub const LOCK_MS: i64 = 5 * 60_000;
/// Places whose failures are counted. Beyond: one address is forgotten. Source: our choice, about 1 MiB.
pub const PLACES_MAX: usize = 16_384;
/// Failed log-ins that are written to the log in a minute, of all together. Beyond: counted, and told with the next. Source: our choice,
/// so that strangers cannot fill the disk: 30 lines a minute are 9 MB a day.
pub const FAILED_TRACES_A_MINUTE: u32 = 30;
/// Time to answer what a log-in asks, in milliseconds. Finding a key and its PIN takes a minute. Beyond: begun anew. Source: webauthn_rp's own.
pub const FLOW_MS: i64 = 300_000;
/// Log-ins that have begun, of all together. Beyond: a stranger's oldest is forgotten. Source: our choice: a shift of a large town, about 1 MiB.
pub const FLOWS_MAX: usize = 2_048;
/// The same from one place. Beyond: its oldest is forgotten. Source: our choice: a ward behind one address.
pub const FLOWS_HERE_MAX: usize = 64;
/// Browsers that are known from a log-in, in memory. Beyond: one of them is a stranger again. Source: our choice.
pub const DEVICES_MAX: usize = 16_384;
/// How long a one-time link works, in milliseconds. Source: our choice: made today, used at tomorrow's shift.
pub const LINK_MS: i64 = 24 * 3_600_000;
/// Passkeys of one person. Beyond: one must be removed first. Source: our choice.
pub const PASSKEYS_MAX: usize = 10;
/// Programs with a token. Beyond: one must be ended first. Source: our choice.
pub const TOKENS_MAX: usize = 256;
/// Longest life of a token, in days. Source: our choice: somebody looks at it once a year.
pub const TOKEN_DAYS_MAX: i64 = 400;
/// Longest wait for the identity provider, in milliseconds. Beyond: the person is told to use a key. Source: our choice.
pub const PROVIDER_MS_MAX: u64 = 10_000;
/// Largest answer of the identity provider, in bytes. Key sets have some KiB. Beyond: refused. Source: our choice.
pub const PROVIDER_BYTES_MAX: usize = 1024 * 1024;
/// How long what the provider says of itself is kept, in milliseconds. Source: our choice; its keys are asked for anew when none fits.
pub const PROVIDER_KEPT_MS: i64 = 3_600_000;
/// The same when none of its keys fits: it is asked no oftener than this, in milliseconds. Source: our choice.
pub const PROVIDER_AGAIN_MS: i64 = 60_000;
/// Wrong one-time codes in a row, in the browser they belong to, before a person needs a new link. Source: our choice: a thief of
/// the browser guesses right in 20 tries with a chance of 6 in 100,000.
pub const CODES_WRONG_MAX: u32 = 20;
/// A state that the gateway has not confirmed for so long, in milliseconds, is no longer shown as this moment's: pages answer 503.
/// Two beats and a half, as the script's own judgement. Source: our choice.
pub const ANSWER_MS_MAX: i64 = 5_000;

/// Longest words to a resident, in bytes: what a device's display and the wire have room for ([`vaka_protocol::limits::WORDS_BYTES_MAX`]).
pub const ORDER_TEXT_BYTES_MAX: usize = vaka_protocol::limits::WORDS_BYTES_MAX;
