//! Signatures in the form of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one for each secret.
//!
//! Source: the public specification of standard-webhooks. Invariant: a secret is never printed.

use std::fmt;

use ring::hmac;

use crate::base64;

/// Shortest and longest secret, in bytes. Source: the specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a line of `secret_file` is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} of `secret_file` is not `whsec_` and the base64 of 24 to 64 bytes; make one: \
     echo whsec_$(head -c 32 /dev/urandom | base64)"
)]
pub struct SecretError {
    line: usize,
}

/// A key shared with the receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The secrets of a file's text: a line each, the one in use first; empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`SecretError`] names the first line that is none.
    pub fn read_all(text: &str) -> Result<Vec<Self>, SecretError> {
        let lines = text.lines().map(str::trim).enumerate();
        let written = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        written.map(|(at, line)| Self::parse(line).ok_or(SecretError { line: at + 1 })).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = base64::decode(text.strip_prefix("whsec_")?)?;
        SECRET_BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }
}

/// The `webhook-signature` header of a message: a signature for each secret, parted by spaces. `timestamp_s`: UTC seconds.
pub fn signature(secrets: &[Secret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let one = |secret: &Secret| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
        context.update(format!("{id}.{timestamp_s}.").as_bytes());
        context.update(body);
        format!("v1,{}", base64::encode(context.sign().as_ref()))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    #[test]
    fn the_published_vector_signs_the_same() {
        let secrets = Secret::read_all("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_and_none_is_shown() {
        let text =
            "# in use\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let secrets = Secret::read_all(text).unwrap();
        let signed = signature(&secrets, "id", 1, b"{}");
        assert_eq!(signed.split(' ').filter(|one| one.starts_with("v1,") && one.len() == 47).count(), 2);
        assert_eq!(format!("{secrets:?}"), "[Secret, Secret]");
    }

    #[test]
    fn what_is_no_secret_is_named_by_its_line() {
        let short = format!("whsec_{}", base64::encode(&[7; 23]));
        let long = format!("whsec_{}", base64::encode(&[7; 65]));
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*", short.as_str(), long.as_str(), "whsec_"] {
            let said = Secret::read_all(&format!("\n{bad}\n")).unwrap_err().to_string();
            assert!(said.starts_with("line 2 "), "{said}");
            assert!(bad.len() < 10 || !said.contains(bad), "a secret in a message: {said}");
        }
    }
}
