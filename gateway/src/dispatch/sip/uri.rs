//! Where a receiver is: `sips:HOST:PORT`, or `sip:HOST:PORT;transport=tcp`, each with an optional `user@`.

use std::fmt;

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Tls,
}

/// A receiver's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// As configured: the request URI, and what a person recognises in messages.
    pub text: String,
    /// Host name or address, IPv6 without its brackets.
    pub host: String,
    pub port: u16,
    pub transport: Transport,
}

/// An address that cannot be used; the text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("`{0}` is no SIP address: write `sips:HOST:PORT`, or `sip:HOST:PORT;transport=tcp` for tests")]
    Form(String),
    #[error("`{0}` would use UDP, which this gateway does not speak: write `sips:HOST:PORT`, or add `;transport=tcp`")]
    Udp(String),
}

impl SipUri {
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let form = || UriError::Form(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(form)?;
        let mut parts = rest.split(';');
        let address = parts.next().unwrap_or_default();
        let mut transport = match scheme {
            "sips" => Some(Transport::Tls),
            "sip" => None,
            _ => return Err(form()),
        };
        for parameter in parts {
            transport = match (parameter, transport) {
                ("transport=tcp", None) => Some(Transport::Tcp),
                ("transport=tcp" | "transport=tls", Some(t)) => Some(t),
                ("transport=tls", None) => Some(Transport::Tls),
                ("transport=udp", _) => return Err(UriError::Udp(text.to_owned())),
                _ => return Err(form()),
            };
        }
        let transport = transport.ok_or_else(|| UriError::Udp(text.to_owned()))?;
        let (user, host_port) = match address.split_once('@') {
            Some((user, host_port)) => (user, host_port),
            None => ("u", address),
        };
        let (host, port) = split_port(host_port).ok_or_else(form)?;
        let default_port = if transport == Transport::Tls { 5061 } else { 5060 };
        let port = match port {
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or_else(form)?,
            None => default_port,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~+!%*'()".contains(c);
        let host_good = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
        if user.is_empty() || !user.chars().all(plain) || !host_good {
            return Err(form());
        }
        Ok(Self { text: text.to_owned(), host: host.to_owned(), port, transport })
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let tls = SipUri::parse("sips:larm.example.se").unwrap();
        assert_eq!((tls.host.as_str(), tls.port, tls.transport), ("larm.example.se", 5061, Transport::Tls));
        let tcp = SipUri::parse("sip:arc@127.0.0.1:5070;transport=tcp").unwrap();
        assert_eq!((tcp.host.as_str(), tcp.port, tcp.transport), ("127.0.0.1", 5070, Transport::Tcp));
        let v6 = SipUri::parse("sips:[::1]:7").unwrap();
        assert_eq!((v6.host.as_str(), v6.port), ("::1", 7));
    }

    #[test]
    fn what_cannot_be_used_says_what_to_write() {
        assert!(matches!(SipUri::parse("sip:127.0.0.1:5070"), Err(UriError::Udp(_))));
        for bad in [
            "",
            "sips:",
            "sips:h:0",
            "sips:h:70000",
            "http://h",
            "sips:h\r\nX: y",
            "sips:a b",
            "sips:::1",
            "sips:@h",
            "sips:h;x=y",
        ] {
            assert!(matches!(SipUri::parse(bad), Err(UriError::Form(_))), "{bad:?}");
        }
    }
}
