//! How long to wait between two tries to reach the gateway.

/// The first pause, milliseconds.
pub const FIRST_MS: u32 = 200;

/// The longest, milliseconds. Longer: a gateway that came back waits for its devices. Shorter: a hundred devices around a
/// gateway that starts cost it a handshake each, again and again. Source: our choice.
pub const LONGEST_MS: u32 = 60_000;

/// The longest while a call for help waits, milliseconds. Source: our choice.
pub const URGENT_MS: u32 = 2_000;

/// The pause after so many failures in a row: doubled each time, and between half and all of it by `chance`, so that
/// devices that lost their gateway together do not come back together.
pub fn ms(failures: u32, is_urgent: bool, chance: u32) -> u32 {
    let longest = if is_urgent { URGENT_MS } else { LONGEST_MS };
    let whole = FIRST_MS.saturating_mul(1 << failures.min(16)).min(longest);
    whole / 2 + chance % (whole / 2 + 1)
}
