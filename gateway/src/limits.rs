//! Every bound in one place: value, unit, why, what happens beyond it, source.
//!
//! Full means refuse and count, never drop in silence.

/// Largest event payload accepted, in bytes. Beyond: quarantined and answered with MQTT 5 reason 0x99; a packet that is
/// itself too large ends the connection with 0x95.
/// The largest message of 94 real Zigbee2MQTT models is under 2 KiB. Source: our choice.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;

/// Largest MQTT packet accepted, in bytes: the payload, topic and properties. Beyond: that connection alone is closed.
pub const PACKET_BYTES_MAX: u32 = EVENT_BYTES_MAX as u32 + 1024;

/// QoS 1 and 2 publishes that one connection may have unacknowledged (MQTT 5 receive maximum).
/// Beyond: reading from that connection stops until a commit is through. 20 is what common 3.1.1 clients keep anyway.
pub const IN_FLIGHT_PER_CONNECTION_MAX: u16 = 20;

/// Devices connected at once; fewer where the machine allows fewer descriptors. Beyond: a further device hears "server busy", is
/// counted, and it is a technical alarm; a device that is connected already may always come anew.
/// 24 KiB each with TLS (measured, 2,000 connections), so at most 512 MiB; a home with 20 listed devices can never have more than 20.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Descriptors kept for everything but devices and [`HANDSHAKES_MAX`]: the journal, the receivers, the control socket.
pub const DESCRIPTORS_KEPT: usize = 128;

/// Share of the connections that is free again before full becomes "no longer full", as a reciprocal: one device coming and
/// going makes no news.
pub const CONNECTIONS_FREE: usize = 16;

/// Connections at once that have not proved yet who they are. Beyond: see [`HANDSHAKES_PER_ADDRESS_MAX`]. At most about 40 KiB each.
pub const HANDSHAKES_MAX: usize = 512;

/// As [`HANDSHAKES_MAX`], from one network address. Beyond either: the oldest handshake of that address, or of the address that has
/// most, makes place if it is older than [`HANDSHAKE_FAIR_MS`] or its address has more than the newcomer's; else the newcomer is
/// turned away and counted. So strangers on the LAN keep out nobody who comes from another address.
/// Larger: one machine can hold more of the memory; smaller: homes behind one address (a VPN) come back later after an outage.
/// Source: our choice; 2,000 homes behind one address, `tests/bench/hub.rs`: 128 turned away 6,500 of their tries, 384 2,800.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 384;

/// How long a handshake keeps its place whoever else comes, in milliseconds. A Cortex-M4 needs about 500.
pub const HANDSHAKE_FAIR_MS: u64 = 2_000;

/// Longest time from TCP accept to a finished TLS handshake and CONNECT, in milliseconds. Beyond: dropped and counted.
/// A Cortex-M4 needs about 0.5 s for its part. Source: our choice.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;

/// Events that one device may send at once, above its hourly share. Beyond: telemetry and technical events are refused (MQTT 5: 0x97),
/// counted and a technical alarm; `life` and `care` are only counted. Smaller: a device back after days offline, at 8,640 events a
/// day, loses some; larger: one device fills a fifth of the default journal at once. Source: our choice.
pub const SHARE_EVENTS_BURST: u64 = 100_000;

/// Events an hour that one device may go on sending: ten a second, ten times the busiest sensor we know of.
pub const SHARE_EVENTS_PER_HOUR: u64 = 36_000;

/// Bytes of payload after which an event counts as one more.
pub const SHARE_BYTES_PER_TOKEN: u64 = 1_024;

/// How many devices' shares a bridge or a gateway has.
pub const SHARE_MULTIPLE: u64 = 20;

/// Tests that one device may send at once. Beyond: refused as telemetry beyond its share is. A technician's visit needs a few for
/// each device; a device that tests itself every second must not wear out the alarm centre. Source: our choice.
pub const SHARE_TESTS_BURST: u64 = 60;

/// Tests an hour of one device after that.
pub const SHARE_TESTS_PER_HOUR: u64 = 60;

/// Tests at once of all devices of the home: four for each device of a service house with 500. Beyond: refused, and a technical alarm.
pub const HOME_TESTS_BURST: u64 = 2_000;

/// Tests an hour of the home after that: each is a message to the alarm centre.
pub const HOME_TESTS_PER_HOUR: u64 = 600;

/// A flood is over when nothing has been beyond its share for this long, in milliseconds. Shorter: one flood is told as several.
pub const FLOOD_OVER_MS: u64 = 60_000;

/// Keep-alive used when a client asks for none (0), in seconds: a silent half-open connection must not live for ever.
pub const KEEP_ALIVE_DEFAULT_S: u16 = 300;

/// Records written and synced by one commit at the most. Bounds how long a press waits behind a running commit.
pub const COMMIT_RECORDS_MAX: usize = 1_024;

/// Size at which a segment is closed and the next begun, in bytes. Smaller: more directory syncs; larger: coarser removal.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// Identities (restart, seq) remembered for all devices together, to tell a retransmission from a new event.
/// 4 bytes each. Beyond a device's share its oldest are forgotten; a retransmission that old counts as new, never the reverse.
pub const IDENTITIES_MAX: usize = 1_048_576;

/// Identities every device may keep, whatever the others do.
pub const IDENTITIES_PER_DEVICE_MIN: usize = 8_192;

/// The `restart` of an identity that the gateway assigns. No device numbers its boots so high: an assigned number can never be
/// taken for a device's own, neither by the gateway nor, in a receipt, by the device.
pub const ASSIGNED_RESTART: u32 = u32::MAX;

/// Commands one device may have open. Beyond: the oldest receipt is let go; other commands are refused.
pub const COMMANDS_PER_DEVICE_MAX: usize = 64;

/// Life of a receipt command, in milliseconds. A light for an alarm an hour old would tell the resident nothing true.
pub const RECEIPT_EXPIRES_MS: i64 = 60 * 60 * 1_000;

/// An event stamped further ahead of the gateway's clock than this, in milliseconds, is marked clock-suspect.
pub const FUTURE_TOLERANCE_MS: i64 = 5_000;

/// A device that has been connected, or heard with its uptime, for longer than this, in milliseconds, has told what waited during an outage: an
/// event that is late after that shows that its clock is behind. Longer: a night is judged by a wrong clock for as long. Shorter: a slow
/// delivery of much that had waited is taken for a wrong clock, and judged as if it happened now. Source: our choice; the firmware's whole
/// outbox goes in seconds.
pub const CLOCK_PROOF_MS: i64 = 600_000;

/// An event that happened longer ago than this when it was stored, in milliseconds, is stamped as delayed.
/// 30 s is the longest time an alarm may take over a working path (EN 50136 practice, DESIGN §7).
pub const DELAYED_MS: i64 = 30_000;

/// Notices of one alarm that wait for the receiver. Beyond: the press is counted and told with the newest notice.
pub const NOTICES_PER_ALARM_MAX: usize = 64;

/// Closed alarms kept in memory for `vaka alarm list --all`. Older ones are in the journal.
pub const CLOSED_ALARMS_KEPT: usize = 256;

/// Bytes of a bad payload kept in quarantine. Longer ones are cut; length and hash of the whole are kept.
pub const QUARANTINE_BYTES_MAX: usize = 4 * 1024;

/// Largest packet taken from a 3.1.1 client, in bytes. 3.1.1 cannot be told the limit, and closing would make it send the same
/// again for ever, before its next press: so what is over [`EVENT_BYTES_MAX`] is quarantined and acknowledged up to here.
/// Beyond: the connection is closed and counted.
pub const PACKET_BYTES_MAX_V311: u32 = 64 * 1024;

/// Longest time a write to a device may take, in milliseconds. Beyond: the peer does not read, the connection is closed.
pub const WRITE_MS_MAX: u64 = 10_000;

/// Sessions remembered after their connection ended, for all devices together: subscription and half-received publishes only.
pub const SESSIONS_KEPT_MAX: usize = 8_192;

/// UTC milliseconds of 2010-01-01: a device's time before it comes from a clock that was never set (many start at 1970 or 2000).
pub const EARLIEST_TIME_MS: i64 = 1_262_304_000_000;

/// Share of `size_max_mib` that must be free on the file system before a lane's records are refused: telemetry first,
/// `life` never by this rule. Reciprocals: 8 means one eighth.
pub const FREE_FOR_TELEMETRY: u64 = 8;
/// As [`FREE_FOR_TELEMETRY`], for technical and test.
pub const FREE_FOR_TECHNICAL: u64 = 16;
/// As [`FREE_FOR_TELEMETRY`], for care.
pub const FREE_FOR_CARE: u64 = 32;

/// Below this share (as [`FREE_FOR_TELEMETRY`]) refusals are recorded in sums: a flood of refused telemetry must not fill with
/// its own records what is kept for the lanes above it.
pub const FREE_FOR_EACH_REFUSAL: u64 = 12;

/// Refusals of one device and lane that may wait for their record at once when refusals are recorded in sums.
/// Beyond: recorded. A crash takes at most so many off a count whose beginning is recorded.
pub const REFUSALS_SUMMED_MAX: u64 = 1_024;

/// Blocks held back for a full disk, in bytes: about 1,500 presses with all that follows from each. Smaller: `life` stops sooner
/// on a disk that something else has filled. Source: our choice; 700 bytes an event, measured, and as much for its rungs.
pub const RESERVE_BYTES: u64 = 2 * 1024 * 1024;

/// Records after which the fold is saved to the index once nothing has come for [`IDLE_MS`].
pub const SNAPSHOT_RECORDS: u64 = 20_000;

/// Records after which the fold is saved although events come. A start replays at most about this many: 0.3 s, measured.
/// Smaller: more flash wear, a fold with every identity remembered is 4 MiB.
pub const SNAPSHOT_RECORDS_MAX: u64 = 100_000;

/// Age at which the room that the file system leaves is looked up again, in milliseconds, while there is enough of it.
/// Longer: a disk that something else fills is noticed by a write that fails, which the reserve then takes.
pub const ROOM_MS: u64 = 250;

/// A pause between two batches after which the room on the disk is looked up again, in milliseconds. Longer: what another program has
/// filled meanwhile is noticed a batch later.
pub const ROOM_PAUSE_MS: u64 = 5;

/// Longest wait of a commit for company, in microseconds, where several devices send at once: one sync for all of them
/// writes 630 bytes an event to the flash at 16 devices, one for each half 1,050. A lone device's event and a press never wait. Source: measured.
pub const GATHER_US: u64 = 300;

/// Records that wait, or were answered just now, beyond which a commit gathers nobody: it is large enough. Larger: senders
/// that keep several events under way wait for nothing.
pub const GATHER_RECORDS_MAX: usize = 24;

/// Longest wait between two attempts to open the journal anew, in milliseconds, after the disk refused a commit.
pub const REOPEN_MS: u64 = 1_000;

/// Longest sleep of the journal's thread when nothing comes, in milliseconds: when it looks whether to stop or keep house.
pub const IDLE_MS: u64 = 60_000;
/// Sequence numbers that the journal reserves at once, so that none is used twice even if the disk loses its end.
/// A crash leaves a gap of at most this in the numbers. Smaller: three more syncs more often; larger: nothing but gaps.
pub const SEQ_LEASE: u64 = 65_536;

/// Piece of a segment that is in memory while it is read, in bytes. A longer record (a checkpoint) takes its own length.
pub const READ_WINDOW_BYTES: usize = 256 * 1024;

/// Memory that an empty batch keeps for the next, in bytes. A checkpoint's megabytes go back after its commit.
pub const BATCH_KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Copies of unreadable journal bytes kept for whoever looks into it, in bytes. Beyond: reported, not copied.
pub const DAMAGED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Files of such copies. Beyond: reported at every open instead of once.
pub const DAMAGED_FILES_MAX: usize = 256;

/// Memory of the sled cache while it is open, in bytes.
pub const INDEX_CACHE_BYTES: u64 = 1024 * 1024;
/// Notices of one lane that dispatch keeps in memory. Beyond: not taken up, reported as unserved, still owed by the journal.
/// About 1 KiB each. Source: our choice; a storm of 10,000 tests fits.
pub const OWED_PER_LANE_MAX: usize = 16_384;

/// Notices a lane may have under way at its receivers at once, so that no lane waits behind another and a
/// receiver that comes back is not flooded. More: other lanes delay life on the wire; fewer: a hub's life lane gets slow.
pub const fn in_flight_max(lane: vaka_protocol::Lane) -> usize {
    use vaka_protocol::Lane;
    match lane {
        Lane::Life => 256,
        Lane::Care => 64,
        Lane::Technical => 8,
        Lane::Telemetry => 4,
        Lane::Test => 2,
    }
}

/// Settled notices whose late receipts are still recognised. Older: a late receipt is logged and goes nowhere.
pub const PAST_NOTICES_MAX: usize = 1_024;

/// Shortest wait before a notice is tried anew at its first receiver, in milliseconds; the waits grow with jitter from here.
pub const RETRY_MS_MIN: u64 = 1_000;

/// Longest such wait for the lane life where a receiver refuses, in milliseconds; a third of it where none is reached: so soon is a
/// path that is back used while a life alarm waits.
/// Source: our choice; accepted in at most 10 s on average over a working path (EN 50136 practice).
pub const RETRY_LIFE_MS_MAX: u64 = 3_000;

/// Longest such wait for every other lane, in milliseconds.
pub const RETRY_MS_MAX: u64 = 60_000;

/// Longest wait between two tries to reach a receiver, in milliseconds. Longer: a path that is back is used late.
pub const REDIAL_MS_MAX: u64 = 10_000;

/// A connection must have held this long before a loss starts again from the shortest wait, in milliseconds.
/// Shorter: a receiver that takes and drops connections is dialled every second by every home.
pub const PATH_STABLE_MS: u64 = 120_000;

/// Heartbeats in a row that may fail before the path counts as lost. With 25 s between them: known in at most 80 s.
pub const HEARTBEAT_MISSES_MAX: u32 = 3;

/// Connections a receiver may have open towards us (only where `listen` is configured). Beyond: closed at once.
pub const DIAL_BACK_CONNECTIONS_MAX: usize = 8;

/// Messages that wait to be written to one receiver's connection. Beyond: it does not read, the connection is closed.
pub const WRITE_QUEUE_MAX: usize = 1_024;

/// Longest time a connection that the gateway ends stays open, in milliseconds, so that the device reads why.
/// Beyond: it is reset, and the device sees a lost connection. Source: our choice; a few round trips over a mobile network.
pub const FAREWELL_MS_MAX: u64 = 1_000;

/// Submissions that wait for the journal, of all devices together. Beyond: nobody new is let in (MQTT 5: server busy) until it is less.
/// Only a disk that refuses makes so many wait; each costs about 1 KiB.
pub const INBOX_MAX: usize = 50_000;

/// Longest time that stopping waits for the journal's thread, in milliseconds. Beyond: the disk refuses, and the process ends without it.
pub const STOP_MS_MAX: u64 = 10_000;

/// UTC milliseconds of 2026-01-01, when this program did not exist yet: a machine's time before it is a lost clock.
pub const PLAUSIBLE_TIME_MS: i64 = 1_767_225_600_000;

/// UTC milliseconds of 2046-01-01: the latest time that a journal may give a machine with a lost clock. Its certificates end about then.
pub const PLAUSIBLE_TIME_MS_MAX: i64 = 2_398_377_600_000;

/// A notice of life or care that nobody has accepted for this long, in milliseconds: the home is told that nobody has it yet.
/// Source: the longest time an alarm may take over a working path (EN 50136 practice, DESIGN §7).
pub const NOBODY_HAS_IT_MS: u64 = 30_000;

/// From `accepted` to a person's claim at a receiver that can prove one, in milliseconds; then the next receiver is told too.
/// None: such an alarm may wait for its person. Source: our choice; staff on their round need a minute to take out the phone.
pub const fn claimed_deadline_ms(lane: vaka_protocol::Lane) -> Option<u64> {
    use vaka_protocol::Lane;
    match lane {
        Lane::Life => Some(180_000),
        Lane::Care => Some(900_000),
        Lane::Technical | Lane::Telemetry | Lane::Test => None,
    }
}

/// A home that its hub has not heard for this long is told to people there, in milliseconds. Source: the longest time until a
/// lost primary path is known (EN 50136 practice, DESIGN §7): supervision must live upstream.
pub const HOME_SILENT_MS: u64 = 90_000;

/// After a person has closed the alarm of a home's silence and it stays silent, it is told again, in milliseconds. Shorter: who repairs it
/// closes the same alarm over and over; longer: whoever presses there is heard by nobody, and nobody is reminded. Source: our choice.
pub const HOME_SILENT_AGAIN_MS: u64 = 60 * 60 * 1_000;

/// Longest time between two proofs of a second path while the first one works, in seconds. EN 50136 practice asks for 5 hours;
/// half an hour less leaves room for a proof that has to be tried again.
pub const STANDBY_TEST_S: u32 = 16_200;

/// Exchanges of one path whose deadline is over and whose answer is still waited for. Beyond: the oldest is ended.
/// Source: our choice; an answer later than these belongs to an alarm that has been tried again since.
pub const LATE_EXCHANGES_MAX: usize = 8;

/// Longest wait for such an answer, in milliseconds. Beyond: the connection is closed; the next try asks anew.
pub const LATE_ANSWER_MS_MAX: u64 = 60_000;

/// Largest answer of an SOS Access receiver, in bytes. Beyond: the connection is closed, the alarm is tried again.
/// A real one has under 500. Source: our choice.
pub const SOS_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Largest head of a webhook's answer, in bytes. Beyond: as for one that is no HTTP. Usual servers allow themselves 8 KiB.
pub const WEBHOOK_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Fields in that head. Beyond: as for one that is no HTTP.
pub const WEBHOOK_HEADERS_MAX: usize = 64;

/// Most bytes of a webhook's answer that are read so that its connection can be used again. Beyond: the connection is closed.
pub const WEBHOOK_REST_BYTES_MAX: usize = 16 * 1024;

/// Longest wait for that rest, in milliseconds. Beyond: the connection is closed. The alarm is received by then either way.
pub const WEBHOOK_REST_MS_MAX: u64 = 100;

/// Connections to a webhook that stay open while nothing is said. Beyond: closed after their answer. As many as say something at once.
pub const WEBHOOK_IDLE_MAX: usize = 4;

/// Secrets a webhook's messages are signed with. Beyond: a config error. The one in use, and others while it is exchanged.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
/// Longest answer of a DC-09 receiver between its line feed and its carriage return, in bytes: what three digits of length can say, and
/// the eight in front. Beyond: the connection is given up.
pub const DC09_FRAME_BYTES_MAX: usize = 0xfff + 8;

/// Characters of plain words told beside a DC-09 event. Beyond: cut. Source: our choice; with it an encrypted message stays under
/// the 1,024 bytes that a receiver in use reads at once.
pub const DC09_TEXT_CHARS_MAX: usize = 64;

/// Unanswered notices whose DC-09 number is remembered. Beyond: the oldest is told under a new number, and its late answer counts for
/// nothing. An eighth of the numbers that there are, so that one is not used again soon.
pub const DC09_NUMBERS_KEPT_MAX: usize = 1_024;

/// Connections on which a DC-09 receiver was silent too long and that are still listened to for its late answer.
/// Beyond: the oldest is closed. Source: our choice; two cover a slow receiver without keeping a socket for every try.
pub const DC09_LATE_CONNECTIONS_MAX: usize = 2;

/// How long after a DC-09 connection stands its path is proven by a heartbeat, in milliseconds: one message is under way at a time, and
/// the alarms that waited for the connection go first. Longer: a path that works is known as such later.
pub const DC09_PROOF_AFTER_MS: u64 = 100;

/// A device that sends what had waited is done when nothing delayed has come from it for this long, in milliseconds: until then the
/// care rules do not judge, or a bed left and entered again during an outage would be an alarm between two packets.
/// Longer: an absence that lasts is told later by as much. Source: our choice; some fifty round trips over a mobile network.
pub const CATCH_UP_QUIET_MS: i64 = 10_000;

/// Longest such wait, in milliseconds: a device whose clock is slow looks late with every event, and must not keep the rules waiting.
pub const CATCH_UP_MS_MAX: i64 = 120_000;

/// Rounds of judging one person at one moment: a decision may make another due (care, then life). Beyond: at the next event or a second later.
pub const JUDGE_ROUNDS_MAX: usize = 8;

/// Settled causes of the care rules that are remembered. Beyond: the oldest is forgotten. Each is a rule, a person and a kind of cause,
/// so only configs changed for years make so many. About 100 bytes each.
pub const SETTLED_MAX: usize = 8_192;
/// What people in a home did, for one hub that has not heard it yet. Beyond: the oldest is let go and logged; that alarm stays open at the
/// hub until somebody closes it there. About 300 bytes each. Source: our choice; weeks of a busy home without its hub.
pub const ACTS_OWED_MAX: usize = 4_096;

/// Closes of one home that a hub keeps for alarms it has not heard of yet. Beyond: the oldest is let go, and that alarm stays open at the
/// hub, should it still come, until somebody closes it there. About 150 bytes each. Source: our choice; they overtake each other within seconds,
/// and a home that never tells its alarms here leaves no more than these.
pub const EARLY_CLOSES_PER_HOME_MAX: usize = 8;

/// Things beside alarms that one receiver is sent at once. More: an alarm's answer waits behind theirs on the same connection;
/// fewer: what waited through an outage takes longer.
pub const PARCELS_IN_FLIGHT_MAX: usize = 4;

/// Longest wait for a hub to take something beside alarms, in milliseconds. Beyond: its connection is made anew. Long, because a busy hub
/// takes alarms first. Source: our choice.
pub const PARCEL_MS_MAX: u64 = 120_000;

/// Longest time between two words of a home to its hub on how it is, in milliseconds. Shorter: a hub of 2,000 homes stores more of
/// them than of alarms. That a home lives is known from its connection. Source: our choice.
pub const HEALTH_INTERVAL_MS: u64 = 6 * 60 * 60 * 1_000;

/// Shortest time between two of them, in milliseconds. Shorter: a battery that is low and good in turn is told each time. Source: our choice.
pub const HEALTH_PAUSE_MS: u64 = 5_000;

/// Telemetry events a second that one receiver is sent. More: after a town's outage a hub of 2,000 homes gets more at once than it can
/// store; fewer: a home with one event a second is longer in catching up than the outage lasted. A day's outage of such a home is made up in 6 hours.
/// Source: our choice.
pub const TELEMETRY_PER_S: u64 = 5;

/// Telemetry events read off the journal at once for one receiver. Larger: more memory for each; smaller: the journal is read more often.
pub const STREAM_WINDOW_EVENTS: usize = 64;

/// Shortest time between two readings of the journal for one receiver, in milliseconds: telemetry waits for company so long. Shorter: the
/// segment being written, at most 8 MiB, is read again for each event.
pub const STREAM_PAUSE_MS: u64 = 5_000;

/// Telemetry events that a receiver has taken before that is written down. More: as many are sent once more after a restart, and told
/// apart there by their number; fewer: more records for the same.
pub const STREAM_SAVE_EVENTS: u64 = 64;

/// Longest time until it is written down, in milliseconds; and records that may be read once more after a restart.
pub const STREAM_SAVE_MS: u64 = 60_000;

/// Records without telemetry that a start may go over again for one receiver. More: a slower start of its stream; fewer: more records that say nothing.
pub const STREAM_SAVE_RECORDS: u64 = 65_536;

/// A bed sensor that is not heard for this long proves nothing, in milliseconds: 26 hours. Longer: a dead sensor reads as somebody in bed for
/// another night. Shorter: one that speaks only when something changes is doubted while it works. For sensors behind a bridge the agreement
/// names a time of its own (`bed_heard_min`). Source: our choice; the daily word of sleepy radio sensors, and two hours.
pub const BED_HEARD_MS: i64 = 26 * 3_600_000;

/// A bed sensor's connection may be gone this long in the night before a person is asked to look, in milliseconds. Longer: nobody knows whether
/// the bed is empty. Shorter: every restart of a router is a visit. Source: our choice; half of the time out of bed that is agreed by default.
pub const BED_GONE_MS: i64 = 15 * 60_000;

/// Movement counts for a look-in from so long before its time on, in milliseconds. Longer: it says less of now. Shorter: who was seen in the
/// kitchen two minutes ago is visited. Source: our choice.
pub const ROUND_MOVED_MS: i64 = 10 * 60_000;

/// A bed that is empty for less than this, in milliseconds, is no visit up: who turns over in bed leaves it for a sensor. Source: our choice.
pub const VISIT_UP_MS: i64 = 60_000;

/// Times out of a bed that are remembered, the newest. Beyond: the oldest is forgotten. More than anybody is up in a night; 40 bytes each.
pub const NIGHT_UPS_KEPT: usize = 48;

/// Declined look-ins remembered of one device, by what it calls them. Beyond: the oldest is forgotten, and that look-in is made.
pub const NIGHT_DECLINES_KEPT: usize = 16;

/// Look-ins whose end is remembered for whoever shows them. Beyond: the oldest is forgotten; that it ended is not. Some 250 bytes each.
pub const NIGHT_ROUNDS_KEPT: usize = 2_048;

/// Look-ins a night that can be agreed with one person. Beyond: a config error. Source: our choice; one in every half hour.
pub const NIGHT_ROUNDS_MAX: usize = 24;

/// So long before its time something on the round may be signed, in milliseconds: the patrol is early. Earlier: refused, it would be a
/// signature for what is still to be done. Source: our choice.
pub const SIGN_EARLY_MS: i64 = 30 * 60_000;

/// So long after its latest time a look-in may still be signed, in milliseconds: at the end of the shift. Later: refused; a visit
/// without a planned time may be. Source: our choice.
pub const SIGN_LATE_MS: i64 = 12 * 3_600_000;

/// Within so long the same person's signature of an unplanned visit, with the same note, is the same one, in milliseconds: a finger that
/// tapped twice, or a phone that sent again. Source: our choice.
pub const SIGN_REPEAT_MS: i64 = 2 * 60_000;

/// Longest note to a signature, in bytes. Longer: refused. Source: our choice; what happened goes into the care record, not here.
pub const SIGN_NOTE_BYTES_MAX: usize = 1_024;

/// Signatures kept of each resident. Beyond: the oldest is shown no longer; the journal has it. Source: our choice; a night has at most
/// 24 look-ins, and two nights are shown.
pub const SIGNATURES_KEPT: usize = 64;
/// Positions of one device that are remembered, so that what was true in which order is known after an outage. Beyond: the one that says
/// least goes (it lies on the way between two others). About 60 bytes each, so 4 KiB for a device. Source: our choice; an hour of
/// walking with a position each minute stays whole.
pub const TRAIL_FIXES_MAX: usize = 64;

/// How long before the newest, in milliseconds, positions stay though their days are over. Source: our choice; somebody who came home and whose
/// device has been silent since is at home by the positions of their way in: those from indoors are too uncertain to tell.
pub const TRAIL_STAYS_MS: i64 = 60 * 60 * 1_000;

/// How long positions are remembered, in milliseconds before the newest. Beyond: gone. Source: our choice; a whole night and a day of
/// outage can be judged as of then, and nobody's ways are kept for longer than that needs.
pub const TRAIL_MS_MAX: i64 = 86_400_000;

/// Devices whose positions are remembered. Beyond: the one heard longest ago is forgotten, and known again with its next position.
/// Source: our choice; far more than a service house has people with a GPS alarm. About 4 MiB in all.
pub const TRAILS_MAX: usize = 1_024;

/// Error of a position, in metres, where the device does not say it. Source: our choice; a GPS receiver between houses.
pub const POSITION_ACCURACY_M_ASSUMED: u32 = 50;

/// Error beyond which a position is poor, in metres: taken from mobile masts, or from a satellite just above the horizon. A poor position
/// alone decides nothing. Source: our choice; satellites give 5–50 m, wifi 20–100 m, masts 300 m and more.
pub const POSITION_ACCURACY_M_POOR: u32 = 150;

/// So many poor positions in a row that agree count as one good. Beyond any: somebody far away whose device sees no satellite would
/// never be missed. Source: our choice.
pub const POOR_FIXES_MIN: u32 = 3;

/// Age of a fix when it was sent, in seconds, beyond which it is poor: the device repeats where it last saw the sky.
/// Source: our choice; usual trackers send every 10 minutes at the slowest.
pub const FIX_AGE_S_MAX: u32 = 900;

/// Nobody in a fence's care moves faster, in metres a second: a position that would need it is poor. Source: our choice; 250 km/h, a
/// fast train.
pub const SPEED_M_S_MAX: u32 = 70;

/// Furthest that an area agreed with a person may reach from its middle, in metres. Beyond: a config error. Source: our choice; larger is
/// a typing mistake, and within it a plane laid out by distance and bearing is true to a metre.
pub const FENCE_REACH_M_MAX: u32 = 50_000;

/// Smallest radius of an area, in metres. Below: a config error; no position is certain to be within it. Source: our choice; the error of
/// a good position is 5–20 m.
pub const FENCE_RADIUS_M_MIN: u32 = 25;

/// Corners of an area. Beyond: a config error. Source: our choice; a block of houses drawn closely has 40.
pub const FENCE_CORNERS_MAX: usize = 100;

/// Areas agreed with one person. Beyond: a config error. Each is looked at with each of their positions.
pub const FENCES_MAX: usize = 16;

/// A leave or a time to be back that is found later than this, in milliseconds, raises nothing any more: it is in the notes.
/// Source: our choice; after half a day staff have been there, or the silence of the device has been an alarm of its own.
pub const PLACE_STALE_MS: i64 = 43_200_000;

/// A position so old when somebody was to be back, in milliseconds, still shows them back, though the device may be off since.
/// Source: our choice; longer: yesterday's shows it, of a device whose battery is dead; shorter: a night of charging is an alarm.
pub const BACK_FIX_MS_MAX: i64 = 12 * 60 * 60 * 1_000;

/// A position older than this, in milliseconds, is asked for anew while an alarm of its device is open.
/// Source: our choice; who walks is 300 m away by then.
pub const POSITION_OLD_MS: i64 = 240_000;

/// Time between two such questions, and until one expires, in milliseconds. Shorter: the device's battery does not last the search.
pub const LOCATE_EVERY_MS: i64 = 300_000;

/// How long after an alarm its device is asked where it is, in milliseconds. Beyond: no more by itself; an alarm that nobody closes must
/// not follow somebody around for days.
pub const LOCATE_FOR_MS: i64 = 14_400_000;
/// How long a device must have had its connection without a break before its coming and going counts as over, in milliseconds; and
/// how long it must have been away before what was not heard of it meanwhile counts as not observed. Shorter: a bad link is told
/// again and again; longer: that a device is well again is told later. Source: our choice; twice the time a radio link needs to
/// settle after a power cut in the house.
pub const STEADY_MS: i64 = 15 * 60 * 1_000;

/// Devices whose activity is counted by the hour. Beyond: not counted; the counts are information alone. About 80 bytes each.
pub const ACTIVITY_DEVICES_MAX: usize = 8_192;

/// Devices whose charge is followed. Beyond: their hours left are said to be unknown. About 120 bytes each.
pub const CHARGES_MAX: usize = 8_192;

/// Fall of a battery on mains loss below which its hours left are not reckoned, in percent: devices tell whole percents, and one of
/// them alone may be rounding.
pub const DRAIN_PERCENT_MIN: u8 = 2;

/// Time on battery before its hours left are reckoned from it, in milliseconds: the first minutes under load show a fall that does not go on.
pub const DRAIN_MS_MIN: i64 = 10 * 60 * 1_000;

/// Rise of a battery's charge, in percent, that can only be a new or charged battery: cells recover by a few percent when it gets warmer.
pub const CHARGED_PERCENT: u8 = 5;

/// Longest time without any event after which the silence rule records that it listens, in milliseconds, so that a quiet home can be
/// told from a gateway that did not run. Shorter: more records (at most 24 a day now, of 150 bytes); longer: shorter outages go unseen.
pub const LISTENING_MS: i64 = 60 * 60 * 1_000;

/// A word of a dispenser's so long before a dose opens is still of that dose, in milliseconds: given out too early, or by a clock that is
/// wrong. Earlier: of the dose before. Source: our choice.
pub const DOSE_EARLY_REACH_MS: i64 = 2 * 60 * 60 * 1_000;

/// A word of a dispenser's so long after a dose has closed is still of that dose, in milliseconds, where no other has begun.
/// Later: of no planned dose, and told as such. Source: our choice.
pub const DOSE_LATE_REACH_MS: i64 = 24 * 60 * 60 * 1_000;

/// Given out so long before its time is not told as early, in milliseconds: the clocks of two devices differ.
pub const DOSE_EARLY_TOLERANCE_MS: i64 = 60_000;

/// Doses that nothing is decided of are looked for so many days back: an outage of a week is told dose by dose. Beyond: not told.
pub const DOSE_LOOK_BACK_DAYS: i32 = 8;

/// Days from yesterday on that a schedule is filled from: a slot of one dose a day fills it, one of a day a week is always in it.
pub const DOSE_HORIZON_DAYS: i32 = 10;

/// A dispenser that has just connected says first what it kept, for so long, in milliseconds: until then nothing is missed.
/// Source: our choice; three times [`CATCH_UP_QUIET_MS`].
pub const DOSE_CONTACT_SETTLES_MS: i64 = 30_000;

/// That a dispenser is still connected shows so long after a moment that it was there at that moment, in milliseconds. Above one and
/// a half times the keep-alive of 300 s: until then a connection that is dead at the other end counts as one. Below [`DOSE_UNCLEAR_MS`].
pub const DOSE_ONLINE_PROVES_MS: i64 = 8 * 60 * 1_000;

/// A dispenser whose connection is gone is silent when it has not been heard for so long, in milliseconds. Shorter: a change of
/// network at dose time is an alarm; longer: less of the grace is left for the visit. Source: our choice.
pub const DOSE_SILENT_MS: i64 = 5 * 60 * 1_000;

/// As [`DOSE_SILENT_MS`], of a dispenser that has never told of its connection. Source: our choice, to be replaced by what is agreed of
/// each device's supervision.
pub const DOSE_HEARD_MS: i64 = 60 * 60 * 1_000;

/// After a start of the gateway a dispenser has so long to come back before it counts as silent, in milliseconds.
/// Source: our choice; devices try again within a minute.
pub const DOSE_START_MS: i64 = 120_000;

/// So long after a dose has closed its outcome is told at the latest, in milliseconds, whether it is clear or not.
pub const DOSE_UNCLEAR_MS: i64 = 10 * 60 * 1_000;

/// A dispenser's word that is of no planned dose is told if it was recorded so long ago at the most, in milliseconds: a new agreement
/// must not tell of what was before it.
pub const DOSE_UNPLANNED_MS: i64 = 60 * 60 * 1_000;

/// A schedule that a dispenser has not confirmed so long after it was sent is told, in milliseconds. Source: our choice: a quarter of the
/// usual grace; the dispenser still has the schedule before it.
pub const DOSE_CONFIRM_MS: i64 = 15 * 60 * 1_000;

/// A schedule is sent again after so long, in milliseconds, and is not delivered when it is older.
pub const DOSE_SCHEDULE_MS: i64 = 24 * 60 * 60 * 1_000;

/// The same outcome of the same slot within so many milliseconds is the same word, sent under another number.
pub const DOSE_REPEAT_MS: i64 = 1_000;

/// Words of a dispenser on one slot that are remembered: eight days of given out and taken. Beyond: of the outcome said most often the
/// oldest. About 45 bytes each.
pub const DOSE_REPORTS_MAX: usize = 16;

/// Slots of one dispenser, and of one resident, that are remembered. Beyond: the one named longest ago. [[dose]] allows as many.
pub const DOSE_SLOTS_MAX: usize = 16;

/// Doses of one slot whose outcome is remembered, by date. Beyond: the oldest. Two weeks: more than [`DOSE_LOOK_BACK_DAYS`].
pub const DOSE_TOLD_MAX: usize = 16;

/// Doses that a dispenser was asked for, remembered until they are decided. Beyond: the oldest. About 40 bytes each.
pub const DOSE_ASKED_MAX: usize = 32;

/// Reminders of one device whose answer is awaited. Beyond: the oldest. Each is forgotten when it is answered or has expired.
pub const REMINDERS_OPEN_MAX: usize = 16;

/// Kinds of readings of one device that are remembered. Beyond: the one read longest ago. Three readings each.
pub const VITAL_KINDS_MAX: usize = 8;

/// Limits of one resident that a reading may be beyond at once. Beyond: the one that began first is forgotten.
pub const VITALS_BEYOND_MAX: usize = 32;

/// A reading is judged until so long after it was recorded, in milliseconds; its like in that time is remembered at its highest and
/// lowest. Longer: a new limit would be held against old readings.
pub const VITAL_FRESH_MS: i64 = 60 * 60 * 1_000;

/// A wall clock that goes back by more than this, in milliseconds, was far ahead before: what is planned for later is not settled by it.
/// Less: the hour that is set back each autumn, and what was planned in it, would come again.
pub const SET_BACK_MS: i64 = 26 * 3_600_000;

/// Devices whose newest words are remembered, listed or not: as many as can be connected. Beyond: unlisted names behind a bridge are
/// not judged by what they said last.
pub const FACTS_DEVICES_MAX: usize = 16_384;

/// How often a device that asked for the time is told it, in milliseconds. A clock crystal of 100 ppm drifts 0.4 s in between; rarer: a
/// device that was set wrong stays so for longer. Source: our choice.
pub const TIME_TOLD_EVERY_MS: u64 = 3_600_000;

/// Longest certificate request that is read, in bytes. One with a P-256 key is about 250; longer: refused as unreadable.
pub const CSR_BYTES_MAX: usize = 1_024;

/// Renewals that wait to be signed. Each is a signature and a write to the disk, some milliseconds; beyond: refused with "quota exceeded",
/// and the device asks again. A whole house that comes back at once is less than this.
pub const RENEWALS_WAITING_MAX: usize = 4_096;

/// Least time between two new certificates of one device, in milliseconds of the running clock. A device that asks in a loop, with a new
/// key each time, would fill `issued.jsonl`: so it can write some 30 KB a day. Beyond: refused with "quota exceeded".
pub const RENEWAL_PAUSE_MS: u64 = 30 * 60_000;

/// How far the wall clock may go back behind the newest record, in milliseconds, while no time source vouches for it: a day covers a
/// clock set by hand. Further back: it has been lost, and time goes on from the newest record.
pub const CLOCK_BACK_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// How far ahead of the newest record a clock may start that nobody vouches for but the machine's own hardware clock, in milliseconds:
/// longer in a cupboard than this, and an empty battery is the likelier story. It is then not told to devices.
pub const CLOCK_AHEAD_MS_MAX: i64 = 400 * 24 * 60 * 60 * 1_000;

/// How long the kernel's word on whether the clock is synchronised is believed before it is asked again, in milliseconds.
pub const CLOCK_ASKED_MS: u64 = 10_000;
/// How long a technician's armed test lasts, in milliseconds of the running clock. Longer: the resident's own press may come in between
/// and be told as a test. Shorter: a technician in another room does not reach the device. Source: the visit's design, five minutes.
pub const VISIT_ARMED_MS: i64 = 5 * 60_000;

/// A press whose device says that it came before the test was armed is real; its clock may be wrong by so much, in milliseconds.
/// Larger: a press just before it would be a test. Source: our choice; devices are told the time hourly and drift 0.4 s in between.
pub const VISIT_CLOCK_MS: i64 = 2_000;

/// A connection brings what its device had waiting within so long of its CONNECT, in milliseconds: of a device that tells no time a press
/// is a test only if its connection is older than that when the test is armed. Shorter: a press that had waited is told as a test.
/// Longer: who arms at once has to arm again. Source: our choice; our firmware sends what waits in its first second.
pub const VISIT_SETTLED_MS: i64 = 3_000;

/// A technician's visit that has not been finished for so long is told, in milliseconds. Source: our choice, a day.
pub const VISIT_OPEN_MS: i64 = 24 * 3_600_000;

/// Fewest probes of its signal that a device itself sends in a visit before the worst of them counts: one may be luck. A technician's
/// own measurement is the worst of what they saw, and counts alone. Source: our choice.
pub const VISIT_PROBES_MIN: u32 = 3;

/// Longest reason, name or other word of a technician's in a visit, in characters. Beyond: refused, with this number.
pub const VISIT_TEXT_CHARS_MAX: usize = 300;

/// Weakest signal at which a device may be left, in dBm: worn ones move, and a body takes 10 dB; mounted ones stay; what has a mobile
/// network hears it lower. Source: our choice; 2.4 GHz radios lose packets from about -90 dBm on. `[visit] signal_min_dbm` overrides.
pub const VISIT_SIGNAL_WORN_DBM: i16 = -75;
pub const VISIT_SIGNAL_MOUNTED_DBM: i16 = -82;
pub const VISIT_SIGNAL_MOBILE_DBM: i16 = -98;

/// Lowest charge at which a device may be left, in percent: it has to last until somebody comes again. Source: our choice.
/// `[visit] battery_min_percent` overrides.
pub const VISIT_BATTERY_PERCENT: u8 = 40;
/// Wrong proofs for one invitation. Beyond: it is burnt, and its device needs a new code. Only who saw a device's request can make one
/// (the locator is made of the code): a stranger burns nobody's. Source: our choice; a code of 60 bits needs no such help, but who stands
/// between a device and its gateway shall be heard soon.
pub const INVITATION_TRIES_MAX: u32 = 5;

/// Life of an invitation unless told otherwise, in milliseconds. Longer: a code on a slip of paper is good for whoever finds it.
pub const INVITATION_MS: u64 = 15 * 60 * 1_000;

/// Longest life of an invitation, in milliseconds: a day's round. Beyond: refused on the command line.
pub const INVITATION_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Shortest life of an invitation, in milliseconds. Below: refused, nobody types so fast.
pub const INVITATION_MS_MIN: u64 = 1_000;

/// Invitations open at once: every device of two large service houses. Beyond: refused on the command line.
pub const INVITATIONS_OPEN_MAX: usize = 1_024;

/// Invitations remembered, open or settled, about 1 KiB each while a certificate is kept with them. Beyond: the oldest settled are
/// forgotten; what was issued stands in `issued.jsonl` for ever.
pub const INVITATIONS_KEPT_MAX: usize = 2_048;

/// Connections at once at the enrolment door. Beyond: see [`ENROL_PLACES_PER_ADDRESS_MAX`]. About 40 KiB each.
pub const ENROL_PLACES_MAX: usize = 64;

/// As [`ENROL_PLACES_MAX`], from one network address; whoever comes from an address with fewer gets in, as at the devices' door.
/// A technician enrols one device after another.
pub const ENROL_PLACES_PER_ADDRESS_MAX: usize = 16;

/// Enrolments that one address may try at once. Beyond: its connection is closed before TLS, and counted.
/// A technician with a bag of twenty devices behind one router. Source: our choice.
pub const ENROL_TRIES_BURST: u64 = 40;

/// Enrolments an hour that one address may try after that: one every six seconds.
pub const ENROL_TRIES_PER_HOUR: u64 = 600;

/// Enrolments that all addresses of one IPv6 network (/64) may try at once: whoever has one of them can have them all. As many as ten
/// machines, so that a phone with its eight addresses leaves a technician their turn. Beyond: as above.
pub const ENROL_NETWORK_BURST: u64 = 400;

/// As [`ENROL_NETWORK_BURST`], an hour after that: ten a second.
pub const ENROL_NETWORK_PER_HOUR: u64 = 36_000;

/// Enrolments that all addresses together may try at once. More than a /24 of strangers has after its burst; beyond: closed as above.
pub const ENROL_ALL_BURST: u64 = 1_000;

/// Enrolments an hour of all addresses together: 100 a second, a twentieth of a home box's processor for the handshakes.
pub const ENROL_ALL_PER_HOUR: u64 = 360_000;

/// Longest time for one request to an authority that speaks EST, connecting included, in milliseconds. Beyond: named, and asked again later.
pub const EST_MS_MAX: u64 = 30_000;

/// Longest answer of such an authority, in bytes: sixteen certificates of 4 KiB in base64, and as much again. Beyond: refused.
pub const EST_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Certificates in one answer of it. Beyond: refused. A chain has four.
pub const EST_CERTIFICATES_MAX: usize = 16;

/// Shortest and longest time after which an authority that wants time (202, Retry-After) is asked again, in seconds. Below: it would be
/// asked in a loop. Above: a month, after which a certificate of a year would be too late.
pub const EST_RETRY_S_MIN: u64 = 10;
pub const EST_RETRY_S_MAX: u64 = 30 * 24 * 60 * 60;

/// Time between two tries to renew a certificate at such an authority, where the last one failed, in milliseconds of the running clock.
pub const EST_TRY_MS: u64 = 6 * 60 * 60 * 1_000;

/// Addresses whose tries are remembered, about 60 bytes each: those of tries that were let in, and all of them together are fewer. Beyond:
/// nobody new is let in until some of them may be forgotten, which is four minutes after their last try at the latest.
pub const ENROL_ADDRESSES_MAX: usize = 8_192;

/// Longest time from TCP accept to the whole request, in milliseconds. Beyond: closed and counted. Source: our choice; a Cortex-M4
/// needs 0.5 s for TLS and has made its key before.
pub const ENROL_MS_MAX: u64 = 10_000;

/// Look-ins by camera a day that can be agreed with one person. Beyond: a config error. Source: our choice; as at night.
pub const LOOK_ROUNDS_MAX: usize = 24;

/// Looks and checks that are remembered, the newest of all. Beyond: the oldest is forgotten; the journal has it. About 400 bytes each.
/// Source: our choice; a house of 50 cameras with ten look-ins and as many checks in a night.
pub const LOOKS_KEPT: usize = 1_024;

/// Look-ins by camera whose end is remembered for whoever shows it. Beyond: the oldest is forgotten; that it ended is not.
pub const LOOK_ENDS_KEPT: usize = 512;

/// Whoever has looked and not said what they saw is asked again after so long, in milliseconds. Source: the task's routine.
pub const LOOK_ASK_AGAIN_MS: i64 = 60_000;

/// And after so long somebody is sent, in milliseconds: as long again. Source: our choice.
pub const LOOK_OUTCOME_MS: i64 = 120_000;

/// A "not tonight" holds for so long at least, in milliseconds. Source: our choice; who presses shortly before noon means the evening too.
pub const LOOK_NO_MS: i64 = 12 * 3_600_000;

/// How long the command that puts the light out is kept for a lamp that is away, in milliseconds. Longer than any outage of a lamp that
/// comes back with its light on. Source: our choice.
pub const LOOK_LIGHT_OFF_MS: i64 = 24 * 3_600_000;

/// An alarm opens the camera for so long after it was raised, in milliseconds. Later: somebody is there, or should be. Source: our choice.
pub const LOOK_ALARM_MS: i64 = 30 * 60_000;

/// Longest purpose, in bytes. Source: our choice; a sentence.
pub const LOOK_PURPOSE_BYTES_MAX: usize = 256;

/// Views of one camera that are accepted at once. Beyond: a config error. Source: our choice; by day, at dusk, by infrared light, twice over.
pub const CAMERA_VIEWS_MAX: usize = 8;

/// Tries to look for one slot or alarm that showed nothing. Beyond: refused, and a person goes. Source: our choice.
pub const LOOK_TRIES_MAX: usize = 5;

/// From a grant until the camera is asked: the viewer comes and the light answers, in milliseconds. Beyond: the look is over unused.
/// Source: our choice; a lamp on radio answers within a second or two.
pub const LOOK_SETUP_MS: i64 = 15_000;

/// Longest time that a camera may take to wake and show its first picture, in milliseconds. Source: our choice; battery cameras take 2 to 5 s.
pub const LOOK_WAKE_MS_MAX: i64 = 15_000;

/// A camera is checked so long before its slot, in milliseconds: time to put it right. Source: our choice.
pub const LOOK_CHECK_AHEAD_MS: i64 = 5 * 60_000;

/// And again as often, in milliseconds, until somebody has looked. Source: our choice; each check lights the resident's lamp.
pub const LOOK_CHECK_EVERY_MS: i64 = 10 * 60_000;
/// How long an order to open or lock waits for its device, in milliseconds. Beyond: it is not carried out. Source: our choice; whoever
/// orders stands at the door or is on the way, and a door that opens by itself minutes later is a danger.
pub const ORDER_UNLOCK_MS: i64 = 60_000;

/// How long an order to look waits for its home, in milliseconds. Beyond: it is not carried out. Source: our choice; whoever ordered it
/// waits before an empty page.
pub const ORDER_LOOK_MS: i64 = 15_000;

/// How long a viewer at a hub waits for the home to call, in milliseconds. Beyond: the page says so, and no picture comes. The order's
/// time, and a second path tried after the first.
pub const LOOK_CALL_MS: u64 = 20_000;

/// How long whoever has said at a hub what they saw waits for the home to have heard it, in milliseconds. Beyond: they are told that it is on
/// its way. Source: our choice; a home on a poor line answers within some seconds.
pub const LOOK_SAID_MS: u64 = 10_000;

/// Longest pause in what a home sends of one look, in milliseconds. Beyond: the hub ends it. Longer than a camera may take to wake and be
/// silent in.
pub const LOOK_LINE_SILENT_MS: u64 = 25_000;

/// How often spans that are over are told to the collector, in milliseconds. Source: our choice; nobody waits for them.
pub const OTLP_EVERY_MS: u64 = 5_000;

/// How long a collector may be away before spans are told no more, in milliseconds.
pub const OTLP_BACK_MS: i64 = 60 * 60_000;

/// Spans in one request. Beyond: in the next. Source: our choice, as OpenTelemetry's own exporters.
pub const OTLP_SPANS_MAX: usize = 512;

/// Longest wait for the collector's answer, in milliseconds. Beyond: told again later.
pub const OTLP_ANSWER_MS_MAX: u64 = 10_000;

/// How long a home that calls its hub for a look waits for one path before it tries the next beside it, in milliseconds. Longer: a path
/// that leads nowhere uses up [`LOOK_SETUP_MS`]; shorter: a slow mobile path is called beside a good one. Source: our choice; a TLS
/// handshake over 4G takes less.
pub const LOOK_PATH_MS: u64 = 2_000;

/// How long a receiver's address is waited for before the next one of the same name is tried beside it, in milliseconds. Source: RFC 8305,
/// section 5 ("Connection Attempt Delay").
pub const CONNECT_NEXT_MS: u64 = 250;

/// Homes that have called for a look and have not said for which, at once. Beyond: turned away; the look is over unseen.
pub const LOOK_CALLERS_MAX: usize = 32;

/// Of these, calls of one home. Beyond: turned away; one home cannot keep the others out. Source: our choice; as many as a home has
/// cameras open at once, and it says for which within a moment.
pub const LOOK_CALLERS_OF_HOME_MAX: usize = 4;

/// Longest that a home may take to say for which look it calls, in milliseconds. Beyond: closed.
pub const LOOK_CALLER_MS: u64 = 5_000;

/// A hub that may look is told of look-ins by camera that begin within so long, in milliseconds: a night.
pub const LOOKS_TOLD_AHEAD_MS: i64 = 12 * 3_600_000;

/// And of those that were to be made by so long ago, in milliseconds. Source: our choice; until whoever looked has said how it was, and
/// the visit is made.
pub const LOOKS_TOLD_BACK_MS: i64 = 2 * 3_600_000;

/// Least time between two lookings for what a hub is to be told of look-ins, in milliseconds. Source: our choice; each costs some
/// microseconds for each resident.
pub const LOOKS_TOLD_EVERY_MS: u64 = 1_000;

/// Look-ins by camera that are remembered of one home at its hub, about 150 bytes each. Beyond: those farthest ahead are not
/// known yet. A house of 179 residents with four look-ins each.
pub const HOME_LOOKS_MAX: usize = 768;

/// How long words, light and sound to a resident wait for their device, in milliseconds. Source: our choice; "we are coming" is not
/// true for longer.
pub const ORDER_FEEDBACK_MS: i64 = 5 * 60_000;

/// How long a device's new settings wait for it, in milliseconds: a device that sleeps is there once a day.
pub const ORDER_SETTINGS_MS: i64 = 24 * 60 * 60_000;

/// Orders that are remembered with what became of them, about 500 bytes each. Beyond: the oldest is shown no longer; the journal has it.
/// An order of a hub that is said again after so many others has expired.
pub const ORDERS_KEPT_MAX: usize = 256;

/// Longest a lock stays open by an order, in seconds, and how long where nothing else is agreed. Source: our choice; in with a bag, and
/// an ambulance's crew with a stretcher.
pub const UNLOCK_S_MAX: u16 = 900;
pub const UNLOCK_S: u16 = 120;

/// So far may the clocks of a home and its hub differ before an order is taken for a late one, in milliseconds. Source: our choice; a
/// gateway without NTP is a minute off after some weeks, and its device has the time of [`ORDER_UNLOCK_MS`] from here on.
pub const ORDER_CLOCKS_MS: i64 = 120_000;

/// Orders of one hub that are taken up in a minute, and as many about look-ins by camera. Beyond: not heard, and not answered; the hub says them again. More than people give
/// by hand; a hub in wrong hands fills no home's disk.
pub const HUB_ORDERS_PER_MINUTE: u32 = 20;

/// Commands that may wait for a device when somebody orders something of it. Beyond: refused, so that a schedule of doses finds room.
pub const ORDER_OWED_MAX: usize = COMMANDS_PER_DEVICE_MAX / 2;

/// So long a hub that was not there is told at every start what became of its orders, in milliseconds.
pub const ORDER_ANSWERS_MS: i64 = 24 * 60 * 60_000;
/// Connections to `[metrics]` at once. Prometheus needs one. Beyond: closed, and it asks again.
pub const METRICS_CONNECTIONS_MAX: usize = 8;

/// Longest time for the head of a request there, in milliseconds. Beyond: closed, so that nobody holds a place by saying nothing.
pub const METRICS_REQUEST_MS_MAX: u64 = 5_000;

/// Time between two tries to listen there, in milliseconds: whoever has the port may let it go. Source: our choice, as the board's.
pub const METRICS_RETRY_MS: u64 = 10_000;

/// Longest wait of a scrape for the journal's thread, in milliseconds. Beyond: what it would have told is left out, and
/// `vaka_journal_answers` is 0. Shorter: a slow SD card looks dead. Longer: Prometheus, which gives up after 10 s, sees nothing at all.
pub const METRICS_ANSWER_MS_MAX: u64 = 2_000;

/// Looks at the journal's thread within the time after which a service manager holds the gateway for dead. With four, one that is late
/// by half of that time kills nothing.
pub const WATCHDOG_LOOKS: u32 = 4;

/// Time between two tries to record the end of a look while the disk takes nothing, in milliseconds. Source: our choice; the end of its
/// time ends it too, and a start.
pub const LOOK_END_RETRY_MS: u64 = 1_000;

/// Time between two looks whether a release may begin, in milliseconds. Longer: a quiet moment passes unused. Source: our choice.
pub const UPDATE_LOOK_MS: u64 = 60_000;

/// So many of those looks pass until the publisher is asked again: an hour. More often: thousands of boxes ask for nothing.
pub const UPDATE_CHECK_LOOKS: u32 = 60;

/// Longest time until the running program's own test alarm is accepted, before it gives its place to another, in milliseconds. Beyond: the
/// way is not proven, and nothing is switched now. Source: twice the 30 s in which an alarm is to be accepted.
pub const UPDATE_PROOF_MS: u64 = 60_000;

/// Time between two looks how far that test alarm has come, in milliseconds.
pub const UPDATE_PROOF_LOOK_MS: u64 = 250;

/// Longest time that a new program may take to read the config before it is trusted with a start, in milliseconds. Beyond: given up.
pub const UPDATE_CHECK_CONFIG_MS: u64 = 60_000;

/// Downloads of one release that came whole and were not what was signed. Beyond: it is not fetched again until the next start, so
/// that a broken server uses up neither flash nor data.
pub const UPDATE_DAMAGED_MAX: u32 = 3;
/// Record numbers left out when a box is replaced, so that none that the old box used after the copy is used again: 2 years of 1,000
/// records a second. Command ids are 256 times as large; 256 replacements stay within what JSON readers keep exact (2^53).
/// As many again at the most are left out by lot, so that two boxes made of one backup use different ones.
/// Smaller: a command of the new box could be taken for one that a device has carried out. Source: our choice.
pub const SUCCESSION_RECORDS: u64 = 1 << 36;

/// Boots left out in the same way: two years of a start each minute. Source: our choice.
pub const SUCCESSION_BOOTS: u32 = 1 << 20;

/// Files beside the journal that one backup takes. Beyond: refused, somebody keeps other things in the home's folder. Source: our choice.
pub const BACKUP_FILES_MAX: usize = 100_000;

/// How much before an alarm an incident bundle tells, in milliseconds: what led to it. Source: our choice.
pub const INCIDENT_BEFORE_MS: i64 = 60 * 60 * 1_000;
/// How much after its last step, in milliseconds. Source: our choice.
pub const INCIDENT_AFTER_MS: i64 = 10 * 60 * 1_000;
/// Longest span after the alarm, in milliseconds. Beyond: what came later is not in the bundle. Source: our choice.
pub const INCIDENT_SPAN_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Records in an incident's timeline. Beyond: counted. Source: our choice; a page that a person still scrolls through.
pub const INCIDENT_LINES_MAX: usize = 5_000;

/// Time between two looks whether a device may take its firmware, in milliseconds. Longer: a quiet moment passes unused. Source: our choice.
pub const FIRMWARE_LOOK_MS: u64 = 5_000;

/// So many of those looks pass until the publisher is asked again for firmware of devices: an hour. More often: thousands of boxes ask
/// for nothing.
pub const FIRMWARE_CHECK_LOOKS: u32 = 720;

/// So many looks pass until an image that came and was wrong is fetched again, doubled each time up to [`FIRMWARE_CHECK_LOOKS`]. Fewer: a
/// spoiled file at the publisher is fetched by every home without end. Source: our choice, a minute.
pub const FIRMWARE_WRONG_LOOKS: u32 = 12;

/// How long a device that was told to take an image may say and fetch nothing, in milliseconds. Beyond: it counts as silent, its address
/// is closed, a technical alarm is raised and no other device begins. Shorter than some 7 hours: it is given up while it still tries
/// (the device's own `FETCH_TRIES_MAX`). Source: our choice.
pub const FIRMWARE_SILENT_MS: i64 = 12 * 3_600_000;

/// Lowest charge with which a device is updated, and with which another stands in for it, in percent. Below: it waits. Source: our choice;
/// a fetch of minutes over radio and a restart take a few percent of a pendant's battery.
pub const FIRMWARE_BATTERY_MIN_PERCENT: u8 = 30;

/// For how long "somebody is there" counts, in milliseconds. Longer: they have left. Shorter: a slow device is not done. Source: our choice,
/// a visit's length.
pub const FIRMWARE_SOMEONE_MS: i64 = 2 * 3_600_000;

/// Progress of a fetch is recorded this often at the most, in milliseconds. More often: records of nothing. Source: our choice; it has to
/// be well below [`FIRMWARE_SILENT_MS`].
pub const FIRMWARE_PROGRESS_MS: i64 = 15 * 60_000;

/// Connections to `[firmware] listen` at once. More: closed at once, and the device tries again. One device is updated at a time.
pub const FIRMWARE_CONNECTIONS_MAX: usize = 8;

/// Longest time until a connection to `[firmware] listen` has said what it wants, in milliseconds. Beyond: closed.
pub const FIRMWARE_REQUEST_MS_MAX: u64 = 10_000;

/// Longest life of such a connection, in milliseconds. Beyond: cut, and the device goes on from there. Source: 8 MiB over some 40 kbit/s.
pub const FIRMWARE_CONNECTION_MS_MAX: u64 = 30 * 60_000;

/// Bytes of an image that are read at once to be sent. More: memory. Source: our choice.
pub const FIRMWARE_PIECE_BYTES: usize = 16 * 1024;

/// Bytes to a device that lie unsent in the machine, of which Linux takes twice as many. More: they go out still when a life alarm has
/// stopped the rest. Fewer: a fast network is not used. Source: our choice.
pub const FIRMWARE_UNSENT_BYTES: u32 = 16 * 1024;

/// Time between two tries to open `[firmware] listen`, in milliseconds.
pub const FIRMWARE_RETRY_MS: u64 = 5_000;

/// How old the last whole backup may be before the doctor is yellow, in milliseconds. Older: two nights have brought none. Source: our
/// choice; the timer is nightly, and one night without power is none of its.
pub const BACKUP_AGE_MS_MAX: u64 = 3 * 86_400_000;

/// How long the gateway ran on after the newest record of an alarm for nobody to be called when its keys are lost, in milliseconds of the running
/// clock, as records show it. Longer: whoever pressed has pressed again, or was found. Shorter: a press that was acknowledged would be nobody's.
/// Source: our choice; home care comes once a day.
pub const UNREAD_LIFE_MS: u64 = 24 * 3_600_000;
/// Fewest and most days in `[retention]`. Fewer: the handover of last night and what was said against a decision would rest on what nobody can
/// read, and a start that goes without its saved fold judges again what is younger than a day. More is no bound. Source: our choice.
pub const RETENTION_DAYS_MIN: u32 = 3;
pub const RETENTION_DAYS_MAX: u32 = 36_500;

/// Most days that one period's key is written with: what a record may outlive its agreed days by. Longer: fewer keys, and more that stays
/// readable. Source: our choice; a tenth of the days, a month of ten.
pub const PERIOD_DAYS_MAX: u32 = 30;

/// How long the clock must have been vouched for, and gone evenly, before anything goes by it, in milliseconds of the running clock. Shorter: a
/// time source that is wrong for a while takes years with it. Longer: a box that is restarted often never lets go. Source: our choice.
pub const CLOCK_STEADY_MS: u64 = 6 * 60 * 60_000;

/// How far wall clock and running clock may part between two looks, and how long one waits for the other, in milliseconds. Beyond: the clock
/// was set, and [`CLOCK_STEADY_MS`] begins anew. Source: our choice; NTP slews 30 ms in a minute.
pub const CLOCK_EVEN_MS: u64 = 60_000;

/// Pause between two passes over periods, in milliseconds of the running clock. In each pass one period of a class goes at most: of a year of
/// telemetry that a wrong clock would take, somebody notices the first. Source: our choice.
pub const AGEING_PASS_MS: u64 = 60 * 60_000;
