//! When the receiver is on: bounds, and the table of intervals.

/// One search for a fix lasts at most this long, milliseconds. Shorter: a cold receiver (some 30 s under the open sky, by
/// their makers) finds nothing between houses. Longer: indoors the battery goes. Source: our choice.
pub const LOOK_MS_MAX: u64 = 90_000;

/// A fix this sure ends the search, metres. Source: our choice: which side of the street.
pub const GOOD_M: u32 = 25;

/// A fix that is this young answers `locate` without a search, milliseconds. Source: our choice.
pub const FRESH_MS: u64 = 30_000;

/// After a call for help a position is told this often, and for this long, milliseconds. Source: our choice: who walks
/// is found, and the battery lasts for a call that lasts.
pub const ALARM_INTERVAL_MS: u64 = 60_000;
/// See [`ALARM_INTERVAL_MS`].
pub const ALARM_TRACK_MS: u64 = 1_800_000;

/// Shortest interval between two positions that is taken from the settings, seconds. Source: our choice.
pub const POSITION_INTERVAL_S_MIN: u32 = 30;

/// A receiver that is on and says nothing for this long is broken, milliseconds: it writes each second. Source: our
/// choice.
pub const SILENT_MS: u64 = 15_000;

/// A receiver that searched for this long in all while the wearer moved, without a single fix, is broken, or its antenna
/// is, milliseconds. Only movement counts: in a chair indoors there is never a fix. Source: our choice: some forty
/// searches in vain.
pub const NO_FIX_MS: u64 = 3_600_000;

/// A crossing of the fence that waits for the gateway for this long is shown to the wearer, milliseconds. Source: our
/// choice: three minutes' walk.
pub const UNHEARD_MS: u64 = 180_000;

/// It is shown again after this long, milliseconds. Source: our choice.
pub const UNHEARD_AGAIN_MS: u64 = 600_000;

/// Between two searches for the fence, milliseconds, by battery and movement; `None`: none, so that the button still has
/// a battery.
///
/// | battery | moves | rests |
/// |---|---|---|
/// | 50 % and more, or not known | 1 min | 15 min |
/// | 20 to 49 % | 3 min | 30 min |
/// | 10 to 19 % | 10 min | 60 min |
/// | below | never | never |
///
/// Source: our choice. Resting still looks, since a wearer in a car rests too.
pub fn look_interval_ms(battery_percent: Option<u8>, moves: bool) -> Option<u64> {
    const MINUTE_MS: u64 = 60_000;
    let (moving, resting) = match battery_percent.unwrap_or(100) {
        50.. => (1, 15),
        20..50 => (3, 30),
        10..20 => (10, 60),
        _ => return None,
    };
    Some(if moves { moving } else { resting } * MINUTE_MS)
}
