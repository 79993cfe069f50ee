//! What the alarm operator gives out for one transmitter. Plain data that the configuration file fills in, and its check.

use std::collections::BTreeMap;

use super::super::config::{ConfigError, ReceiverConfig};
use super::codes;

/// What only this kind of receiver needs beside its url and its password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SosAccessConfig {
    /// `<transmittercode>`: which home this is, 1 to 15 characters.
    pub transmitter_code: String,
    /// `<transmittertype>`: 5 characters.
    pub transmitter_type: String,
    /// `<receiver>`: which of the operator's centres takes the alarms, 1 to 20 characters.
    pub receiver_id: String,
    /// `<transmitterarea>`, 1 to 5 characters, where the operator has agreed on one.
    pub transmitter_area: Option<String>,
    /// `<eventcode>` agreed with the operator, 1 to 25 characters, by the words of [`codes::WORDS`].
    pub event_codes: BTreeMap<String, String>,
    /// At the first contact the installer's password is exchanged for one that nobody has seen; kept beside `password_file`.
    pub rotate_password: bool,
}

/// Why such a receiver cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SosAccessConfigError {
    #[error("url `{0}`: write tls:HOST:PORT, or tcp:HOST:PORT for tests")]
    Url(String),
    #[error("`{field}` = `{value}` must be {min} to {max} characters of ISO 8859-1, as the alarm operator gave it out")]
    Field { field: &'static str, value: String, min: usize, max: usize },
    #[error("`transmitter_code`, `transmitter_type` and `receiver_id` are missing; the alarm operator gives them out")]
    Missing,
    #[error("`password_file` must hold the 15 characters that the alarm operator gave out, on one line")]
    Password,
    #[error("event_codes: `{0}` is not known; write one of {list}", list = codes::WORDS.map(|(word, _)| word).join(", "))]
    Word(String),
}

/// `tls:HOST:PORT` or `tcp:HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub tls: bool,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// # Errors
    /// [`SosAccessConfigError::Url`] with the form to write.
    pub fn parse(url: &str) -> Result<Self, SosAccessConfigError> {
        let wrong = || SosAccessConfigError::Url(url.to_owned());
        let (scheme, rest) = url.split_once(':').ok_or_else(wrong)?;
        let tls = match scheme {
            "tls" => true,
            "tcp" => false,
            _ => return Err(wrong()),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(six) if six.parse::<std::net::Ipv6Addr>().is_ok() => six,
            Some(_) => return Err(wrong()),
            None => host,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let bracketed = rest.starts_with('[');
        if host.is_empty() || !(bracketed || host.chars().all(plain)) {
            return Err(wrong());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

/// A password of this protocol: 15 printable characters of ISO 8859-1.
pub fn is_password(text: &str) -> bool {
    fits(text, 15, 15)
}

/// True if `text` has `min` to `max` characters that the protocol can write.
fn fits(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.chars().count()) && text.chars().all(|c| matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}'))
}

/// Everything that is wrong with a receiver of this kind.
pub fn check(receiver: &ReceiverConfig, wrong: &mut Vec<ConfigError>) {
    let mut say = |source| wrong.push(ConfigError::SosAccess { name: receiver.name.clone(), source });
    let tls = match Address::parse(&receiver.url) {
        Ok(address) => address.tls,
        Err(error) => {
            say(error);
            false
        }
    };
    // Before it is read, its file is enough.
    let password_good = receiver.password.as_deref().map_or(receiver.password_file.is_some(), is_password);
    if !password_good {
        say(SosAccessConfigError::Password);
    }
    match &receiver.sos_access {
        None => say(SosAccessConfigError::Missing),
        Some(own) => {
            let area = own.transmitter_area.as_deref();
            let fields = [
                ("transmitter_code", Some(own.transmitter_code.as_str()), 1, 15),
                ("transmitter_type", Some(own.transmitter_type.as_str()), 5, 5),
                ("receiver_id", Some(own.receiver_id.as_str()), 1, 20),
                ("transmitter_area", area, 1, 5),
            ];
            let codes = own.event_codes.values().map(|code| ("event_codes", Some(code.as_str()), 1, 25));
            for (field, value, min, max) in fields.into_iter().chain(codes) {
                if let Some(value) = value.filter(|value| !fits(value, min, max)) {
                    say(SosAccessConfigError::Field { field, value: value.to_owned(), min, max });
                }
            }
            for word in own.event_codes.keys().filter(|word| !codes::WORDS.iter().any(|(known, _)| known == word)) {
                say(SosAccessConfigError::Word(word.clone()));
            }
        }
    }
    if tls {
        receiver.check_tls(wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_explained() {
        let read = |url: &str| Address::parse(url).map(|a| (a.tls, a.host, a.port));
        assert_eq!(read("tls:larm.example:4321"), Ok((true, "larm.example".into(), 4321)));
        assert_eq!(read("tcp:[::1]:1"), Ok((false, "::1".into(), 1)));
        for bad in [
            "",
            "tls",
            "tls:",
            "tls:h",
            "tls::1",
            "tls:h:0",
            "tls:h:x",
            "http:h:1",
            "tls:::1:1",
            "tls:[h]:1",
            "tls:a b:1",
        ] {
            let said = Address::parse(bad).unwrap_err().to_string();
            assert!(said.contains("tls:HOST:PORT"), "{bad}: {said}");
        }
    }

    #[test]
    fn a_password_has_fifteen_characters_that_can_be_written() {
        assert!(is_password("hxp4x9nnwxjatv8") && is_password("åäöåäöåäöåäöåäö"));
        for bad in ["", "hxp4x9nnwxjatv", "hxp4x9nnwxjatv88", "hxp4x9nnwxjatv\n", "hxp4x9nnwxjatv€"] {
            assert!(!is_password(bad), "{bad}");
        }
    }
}
