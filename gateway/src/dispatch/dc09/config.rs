//! What a receiver that speaks DC-09 needs to know beside its address, and the check of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use vaka_protocol::DeviceId;

use super::cipher::{Key, NoKey};
use crate::dispatch::{ConfigError, ReceiverConfig};

/// In which words an event is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Contact ID: three digits.
    AdmCid,
    /// SIA: two letters.
    SiaDcs,
}

impl Protocol {
    /// The words of the frame, which are also those of vaka.toml.
    pub const ALL: &[(&str, Protocol)] = &[("ADM-CID", Protocol::AdmCid), ("SIA-DCS", Protocol::SiaDcs)];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdmCid => "ADM-CID",
            Self::SiaDcs => "SIA-DCS",
        }
    }
}

/// Of a receiver of the kind `dc09`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dc09Config {
    /// 3 to 16 hexadecimal digits, given out by the receiver.
    pub account: String,
    /// L: 1 to 6 hexadecimal digits; `0` where the receiver asks for none.
    pub prefix: String,
    /// R: as L.
    pub receiver: String,
    pub protocol: Protocol,
    /// Messages are encrypted with it, and only encrypted answers count. Neither: all is told in clear.
    pub key: Option<Key>,
    /// The file that it was read from.
    pub key_file: Option<PathBuf>,
    /// Messages bear their send time. Encrypted ones always do.
    pub timestamps: bool,
    /// Extended data: the time of a delayed event, and words for a person.
    pub extended: bool,
    /// The zone under which the receiver knows a device, 1 to 999. Not listed: 0, "no zone".
    pub zones: BTreeMap<DeviceId, u16>,
}

/// What is wrong with it, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dc09Error {
    #[error("`account` `{0}` must be 3 to 16 hexadecimal digits (the receiver gives it out)")]
    Account(String),
    #[error("`{field}` `{said}` must be 1 to 6 hexadecimal digits; leave it out where the receiver asks for none")]
    Line { field: &'static str, said: String },
    #[error("zone {zone} of `{device}` is outside 1..=999; write the one that the receiver has for it")]
    Zone { device: DeviceId, zone: u16 },
    #[error("`{a}` and `{b}` have the same zone {zone}; nobody could tell them apart")]
    ZoneTwice { a: DeviceId, b: DeviceId, zone: u16 },
    #[error("url `{said}`: {why}; write tls:HOST:PORT or tcp:HOST:PORT")]
    Url { said: String, why: &'static str },
    #[error("a dc09 receiver needs its `account`, which the receiver gives out")]
    NoAccount,
    #[error("its key could not be read from {}: {source}", .file.display())]
    Key { file: PathBuf, source: NoKey },
}

impl Dc09Config {
    /// Contact ID in clear, without prefix or zones.
    pub fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            prefix: "0".to_owned(),
            receiver: "0".to_owned(),
            protocol: Protocol::AdmCid,
            key: None,
            key_file: None,
            timestamps: true,
            extended: true,
            zones: BTreeMap::new(),
        }
    }

    /// Everything that is wrong; empty means usable.
    pub fn check(&self) -> Vec<Dc09Error> {
        let digits = |text: &str, min, max| {
            (min..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let mut wrong = Vec::new();
        if !digits(&self.account, 3, 16) {
            wrong.push(Dc09Error::Account(self.account.clone()));
        }
        for (field, said) in [("prefix", &self.prefix), ("receiver_number", &self.receiver)] {
            if !digits(said, 1, 6) {
                wrong.push(Dc09Error::Line { field, said: said.clone() });
            }
        }
        if let (Some(file), None) = (&self.key_file, &self.key) {
            // Never in clear what was to be encrypted.
            wrong.push(Dc09Error::Key { file: file.clone(), source: NoKey });
        }
        let mut owners = BTreeMap::new();
        for (device, zone) in &self.zones {
            if !(1..=999).contains(zone) {
                wrong.push(Dc09Error::Zone { device: device.clone(), zone: *zone });
            }
            if let Some(other) = owners.insert(zone, device) {
                wrong.push(Dc09Error::ZoneTwice { a: other.clone(), b: device.clone(), zone: *zone });
            }
        }
        wrong
    }
}

/// Adds what is wrong with a receiver of this kind.
pub fn check(receiver: &ReceiverConfig, wrong: &mut Vec<ConfigError>) {
    let refused = |source| ConfigError::Dc09 { name: receiver.name.clone(), source };
    match &receiver.dc09 {
        Some(config) => wrong.extend(config.check().into_iter().map(refused)),
        None => wrong.push(refused(Dc09Error::NoAccount)),
    }
    match Endpoint::parse(&receiver.url) {
        Ok(endpoint) if endpoint.over_tls => receiver.check_tls(wrong),
        Ok(_) => {}
        Err(source) => wrong.push(refused(source)),
    }
}

/// Where a receiver listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub over_tls: bool,
}

impl Endpoint {
    /// `tcp:HOST:PORT` or `tls:HOST:PORT`, also with `//`; an IPv6 address in brackets. There is no port that goes without saying.
    pub fn parse(url: &str) -> Result<Self, Dc09Error> {
        let wrong = |why| Dc09Error::Url { said: url.to_owned(), why };
        let (scheme, address) = url.split_once(':').ok_or_else(|| wrong("no scheme"))?;
        let over_tls = match scheme.to_ascii_lowercase().as_str() {
            "tls" => true,
            "tcp" => false,
            _ => return Err(wrong("an unknown scheme")),
        };
        let address = address.strip_prefix("//").unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("no port"))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
            Some(_) => return Err(wrong("a bad IPv6 address")),
            None => host,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_v6 = host.len() < address.len() - port.len() - 1;
        if host.is_empty() || !(is_v6 || host.chars().all(plain)) {
            return Err(wrong("a bad host"));
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or_else(|| wrong("a bad port"))?;
        Ok(Self { host: host.to_owned(), port, over_tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_named_with_its_fix() {
        type Spoil = fn(&mut Dc09Config);
        let id = |text: &str| DeviceId::try_from(text).unwrap();
        assert_eq!(Dc09Config::new("12aF").check(), []);
        let mistakes: [(Spoil, &str); 6] = [
            (|c| c.account = "12".into(), "3 to 16"),
            (|c| c.account = "12345678901234567".into(), "3 to 16"),
            (|c| c.account = "gw01".into(), "hexadecimal"),
            (|c| c.prefix = String::new(), "`prefix`"),
            (|c| c.receiver = "1234567".into(), "`receiver_number`"),
            (|c| c.zones = [(DeviceId::try_from("p1").unwrap(), 1_000)].into(), "1..=999"),
        ];
        for (spoil, says) in mistakes {
            let mut bad = Dc09Config::new("1234");
            spoil(&mut bad);
            let wrong = bad.check();
            assert!(wrong.len() == 1 && wrong[0].to_string().contains(says), "{says}: {wrong:?}");
        }
        let twice = Dc09Config { zones: [(id("a"), 7), (id("b"), 7)].into(), ..Dc09Config::new("1234") };
        assert_eq!(twice.check()[0].to_string(), "`a` and `b` have the same zone 7; nobody could tell them apart");
    }

    #[test]
    fn an_address_names_its_transport_and_port() {
        let good = |url: &str| Endpoint::parse(url).map(|e| (e.host, e.port, e.over_tls));
        assert_eq!(good("tcp:127.0.0.1:1"), Ok(("127.0.0.1".into(), 1, false)));
        assert_eq!(good("TLS://arc.example:50100"), Ok(("arc.example".into(), 50_100, true)));
        assert_eq!(good("tls:[::1]:65535"), Ok(("::1".into(), 65_535, true)));
        for bad in [
            "",
            "tcp:",
            "tcp:host",
            "tcp::1",
            "tcp:host:0",
            "tcp:host:+1",
            "tcp:host:65536",
            "udp:host:1",
            "sips:h:1",
            "tcp:::1:1",
            "tcp:[x]:1",
            "tcp:a b:1",
            "tcp:h/x:1",
        ] {
            let error = Endpoint::parse(bad).unwrap_err();
            assert!(error.to_string().contains("tls:HOST:PORT"), "{bad}: {error}");
        }
    }
}
