//! One-time codes by an app (RFC 6238), where nothing better can be had and the settings allow them.
//!
//! Invariants: a code opens only in the browser it was set up in, so that nobody can guess from elsewhere, and nobody can be
//! locked out from elsewhere; a code is spent by being used; too many wrong ones in a row end it until an administrator makes
//! a new link.

use data_encoding::BASE32_NOPAD;
use ring::hmac;

use super::credentials::Totp;

const STEP_S: i64 = 30;
/// What apps expect: six digits, SHA-1, thirty seconds.
const MODULUS: u32 = 1_000_000;

/// The code of a step. HMAC-SHA-1 is what apps compute; a collision in SHA-1 does not help to guess it.
pub fn code_at(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 15);
    let word = u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", word % MODULUS)
}

pub fn step_of(now_ms: i64) -> u64 {
    u64::try_from(now_ms / 1_000 / STEP_S).unwrap_or(0)
}

/// The step whose code this is: now's, or a neighbour's for clocks that differ, and none that has been used.
pub fn matching(secret: &[u8], last: u64, typed: &str, now_ms: i64) -> Option<u64> {
    let typed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let now = step_of(now_ms);
    let steps = now.saturating_sub(1)..=now + 1;
    // How long comparing takes tells nothing worth having: only the code's own browser gets here, for a few tries.
    let is_it = |step: &u64| code_at(secret, *step) == typed;
    steps.filter(|step| *step > last).find(is_it)
}

/// What the app scans.
pub fn address(person: &str, host: &str, secret: &[u8]) -> String {
    format!("otpauth://totp/Vaka%20{host}:{person}?secret={}&issuer=Vaka%20{host}", BASE32_NOPAD.encode(secret))
}

impl Totp {
    /// The step that this code spends, if it opens.
    pub fn matching(&self, device_hex: &str, typed: &str, now_ms: i64) -> Option<u64> {
        let secret = super::secret::decode(&self.secret)?;
        (self.device == device_hex).then(|| matching(&secret, self.step, typed, now_ms)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for SHA-1, cut to six digits.
    #[test]
    fn the_codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (second, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(code_at(secret, step_of(second * 1_000)), code, "{second}");
        }
    }

    #[test]
    fn a_code_is_spent_by_use_and_opens_only_in_its_browser() {
        let secret = b"12345678901234567890";
        let totp = Totp {
            person: "a".into(),
            secret: super::super::secret::encode(secret),
            device: "d".into(),
            step: 0,
            added_at: 0,
        };
        let now = 1_234_567_890_000;
        let step = step_of(now);
        assert_eq!(totp.matching("d", "005 924", now), Some(step));
        assert_eq!(totp.matching("other", "005924", now), None);
        assert_eq!(Totp { step, ..totp.clone() }.matching("d", "005924", now), None);
        assert_eq!(totp.matching("d", "005924", now + 30_000), Some(step), "a clock that differs");
        assert_eq!(totp.matching("d", "005924", now + 60_000), None);
        assert_eq!(totp.matching("d", "", now), None);
    }
}
