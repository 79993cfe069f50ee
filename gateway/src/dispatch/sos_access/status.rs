//! The status numbers of SOS Access v4, and what follows from each. Source: the public description of pwitab/sos-access.

/// Taken.
pub const OK: u32 = 0;
/// The heartbeat service is not switched on for this transmitter.
pub const SERVICE_UNAVAILABLE: u32 = 9;
/// The receiver has this alarm already.
pub const DUPLICATE: u32 = 10;
/// Heartbeats come too often.
pub const PING_TOO_OFTEN: u32 = 101;

/// What a status number means, in words.
pub fn meaning(status: u32) -> &'static str {
    match status {
        OK => "taken",
        1 => "message too long",
        2 => "invalid XML",
        3 => "wrong data content",
        // The table says 4, one of its examples 6.
        4 | 6 => {
            "not authorised: wrong transmitter, type or password; correct them, or ask the receiver's staff for a new password"
        }
        5 => "not treated and not distributed",
        7 => "a mandatory tag is missing",
        SERVICE_UNAVAILABLE => "the heartbeat service is not switched on for this transmitter",
        DUPLICATE => "the same alarm came several times",
        98 => "server error",
        99 => "unknown receiver error",
        100 => "XML header missing or invalid",
        PING_TOO_OFTEN => "heartbeats come too often",
        _ => "unknown status",
    }
}

/// The receiver refuses the message itself, or us: sending the same again will not help there.
pub fn is_permanent(status: u32) -> bool {
    matches!(status, 1..=4 | 6 | 7 | 100)
}
