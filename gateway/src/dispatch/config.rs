//! Who is told, and how they are reached. Plain data that the configuration file fills in, and its check.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;
use vaka_protocol::{DeviceId, Rung};

pub use super::dc09::config::{Dc09Config, Dc09Error};
pub use super::routes::{Hours, Route};

use super::sip::UriError;
pub use super::sip::{SipUri, Transport};
use super::sos_access::config::{SosAccessConfig, SosAccessConfigError};
use super::tls::{Pin, TlsError};
use super::webhook::config::{WebhookConfig, WebhookConfigError};
use super::{dc09, hub};
use super::{sos_access, webhook};

/// Everything dispatch needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DispatchConfig {
    /// SCAIP `cid`: 1 to 16 digits.
    pub controller_id: String,
    /// The resident's `tel:` address, told as SCAIP `crd`; without one `no-voice:` is said.
    pub caller: Option<String>,
    /// IANA name, in which the time of a delayed alarm is told. Empty: UTC.
    pub time_zone: String,
    pub receivers: Vec<ReceiverConfig>,
    pub routes: Vec<Route>,
}

/// What a receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiverKind {
    Scaip,
    /// Another Vaka, for which this one is a device.
    Hub,
    SosAccess,
    Webhook,
    Dc09,
    /// A kind that fails, for the test of what that does to the others.
    #[cfg(test)]
    Panics,
}

impl ReceiverKind {
    pub const ALL: &[(&str, ReceiverKind)] = &[
        ("scaip", ReceiverKind::Scaip),
        ("hub", ReceiverKind::Hub),
        ("sos-access", ReceiverKind::SosAccess),
        ("webhook", ReceiverKind::Webhook),
        ("dc09", ReceiverKind::Dc09),
    ];

    /// The highest rung that such a receiver can prove. Beyond it nothing escalates: the alarm is handed over.
    pub fn last_rung(self) -> Rung {
        match self {
            Self::Scaip | Self::Dc09 => Rung::Accepted,
            Self::Hub => Rung::Closed,
            Self::SosAccess => Rung::Accepted,
            Self::Webhook => Rung::Received,
            #[cfg(test)]
            Self::Panics => Rung::Accepted,
        }
    }
}

/// The local end of a way out of the home: fibre, mobile. Empty: as the machine's routing table says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bind {
    pub address: Option<IpAddr>,
    /// The interface's name, e.g. `wwan0`.
    pub interface: Option<String>,
}

/// One way to a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathConfig {
    /// `fibre`, `mobile`; told with every rung.
    pub name: String,
    pub bind: Bind,
    /// Where the receiver is reached over this path, e.g. its second centre. None: its own `url`.
    pub url: Option<String>,
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverConfig {
    pub name: String,
    pub kind: ReceiverKind,
    /// `sips:HOST:PORT`, or `sip:HOST:PORT;transport=tcp` for tests.
    pub url: String,
    /// Our own id at a hub. Present for the kind `hub`.
    pub device: Option<DeviceId>,
    /// First the primary. Empty: one path, unbound.
    pub paths: Vec<PathConfig>,
    /// Of the path in use: filled in by [`ReceiverConfig::over`].
    pub bind: Bind,
    /// PEM files: our certificate chain and its key, where the receiver wants to see one.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// PEM file: the receiver's certificate must come from one of these and carry its host name.
    pub ca: Option<PathBuf>,
    /// Or, and then nothing else judges: SHA-256 of the receiver's public key (SubjectPublicKeyInfo), base64 or hexadecimal. Any one may match.
    pub pins: Vec<String>,
    /// Digest login, where the receiver asks for one.
    pub user: Option<String>,
    pub password: Option<String>,
    /// The file that holds it; read at every start and reload.
    pub password_file: Option<PathBuf>,
    /// `IP:PORT` to listen on for a receiver that answers on a connection of its own. None: nothing listens.
    pub listen: Option<std::net::SocketAddr>,
    pub heartbeat_interval_s: u32,
    /// From taking up an attempt (connecting included) to the receiver's 2xx.
    pub received_deadline_ms: u32,
    /// From taking up an attempt to the receiver's `mrs`.
    pub accepted_deadline_ms: u32,
    /// From `accepted` to a person's claim, where the kind can prove one: then the next receiver is told too. None: by lane
    /// ([`crate::limits::claimed_deadline_ms`]).
    pub claimed_deadline_s: Option<u32>,
    /// Of a hub: its people may order something here.
    pub orders: bool,
    /// Of kind `sos-access`.
    pub sos_access: Option<SosAccessConfig>,
    /// Of kind `webhook`.
    pub webhook: Option<WebhookConfig>,
    /// What a receiver of the kind `dc09` needs beside.
    pub dc09: Option<Dc09Config>,
}

impl ReceiverConfig {
    /// A receiver with the default deadlines: heartbeat every 25 s, received in 5 s, accepted in 20 s.
    ///
    /// With three missed heartbeats a lost path is known in at most 80 s; a silent centre is overtaken after 5 s, one that
    /// takes messages but never answers them after 20 s. Source: SCAIP practice (20 s), EN 50136 figures (90 s, 30 s).
    pub fn new(name: &str, kind: ReceiverKind, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: url.to_owned(),
            device: None,
            paths: Vec::new(),
            bind: Bind::default(),
            cert: None,
            key: None,
            ca: None,
            pins: Vec::new(),
            user: None,
            password: None,
            password_file: None,
            listen: None,
            heartbeat_interval_s: 25,
            received_deadline_ms: 5_000,
            // A hub has to ask its own receivers first.
            accepted_deadline_ms: if kind == ReceiverKind::Hub { 30_000 } else { 20_000 },
            claimed_deadline_s: None,
            orders: false,
            sos_access: None,
            webhook: None,
            dc09: None,
        }
    }
}

/// What is wrong with the configuration, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("receiver `{name}`: two of its paths are called `{path}`; give each its own name")]
    PathTwice { name: String, path: String },
    #[error("receiver `{name}`: url: {source}")]
    Url { name: String, source: UriError },
    #[error("receiver `{name}`: `{url}` is no hub: write `mqtts:HOST:PORT`")]
    HubUrl { name: String, url: String },
    #[error("receiver `{name}`: a path to a hub is chosen by `interface`, not by `address`")]
    HubBind { name: String },
    #[error(
        "receiver `{name}`: a hub knows this gateway by its certificate: write the `cert` and `key` that \
         `vaka device add … --kind gateway` made there"
    )]
    HubIdentity { name: String },
    #[error("receiver `{name}`: {source}")]
    Dc09 { name: String, source: Dc09Error },
    #[error("receiver `{name}`: {source}")]
    Tls { name: String, source: TlsError },
    #[error("receiver `{name}`: `{field}` = {value} is outside {min}..={max}")]
    Range { name: String, field: &'static str, value: u32, min: u32, max: u32 },
    #[error("receiver `{name}`: `accepted_deadline_ms` is shorter than `received_deadline_ms`; make it longer")]
    Deadlines { name: String },
    #[error(
        "receiver `{name}`: `user` and `password` belong together, without quotes, backslashes or line ends in `user`"
    )]
    Login { name: String },
    #[error("receiver `{name}`: {source}")]
    SosAccess { name: String, source: SosAccessConfigError },
    #[error("receiver `{name}`: {source}")]
    Webhook { name: String, source: WebhookConfigError },
    #[error("two receivers are called `{name}`; give each its own name")]
    Twice { name: String },
    #[error("route to `{name}`: there is no receiver of that name; add [[receiver]] or correct `to`")]
    NoReceiver { name: String },
    #[error("controller_id `{0}` must be 1 to 16 digits (the alarm centre gives it out)")]
    ControllerId(String),
    #[error("the resident's address `{0}` must be `tel:` and digits, for example tel:+46701234567")]
    Caller(String),
    #[error("time_zone `{0}` is not known here; write an IANA name such as \"Europe/Stockholm\"")]
    TimeZone(String),
}

impl DispatchConfig {
    /// Everything that is wrong; empty means usable. Files are not opened: they may change while the gateway runs.
    pub fn check(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        let scaip = self.receivers.iter().any(|r| r.kind == ReceiverKind::Scaip);
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if scaip && !(digits(&self.controller_id) && (1..=16).contains(&self.controller_id.len())) {
            wrong.push(ConfigError::ControllerId(self.controller_id.clone()));
        }
        if let Some(caller) = &self.caller {
            let number = caller.strip_prefix("tel:").map(|n| n.strip_prefix('+').unwrap_or(n));
            if !number.is_some_and(|n| !n.is_empty() && n.len() <= 32 && digits(n)) {
                wrong.push(ConfigError::Caller(caller.clone()));
            }
        }
        if self.time_zone().is_none() {
            wrong.push(ConfigError::TimeZone(self.time_zone.clone()));
        }
        let mut names = BTreeSet::new();
        for receiver in &self.receivers {
            if !names.insert(receiver.name.as_str()) {
                wrong.push(ConfigError::Twice { name: receiver.name.clone() });
            }
            receiver.check(&mut wrong);
        }
        let mut missing: Vec<&String> =
            self.routes.iter().flat_map(|r| &r.to).filter(|to| !names.contains(to.as_str())).collect();
        missing.dedup();
        wrong.extend(missing.into_iter().map(|name| ConfigError::NoReceiver { name: name.clone() }));
        wrong
    }

    /// The time zone, or `None` where its name is unknown.
    pub(crate) fn time_zone(&self) -> Option<TimeZone> {
        if self.time_zone.is_empty() { Some(TimeZone::UTC) } else { TimeZone::get(&self.time_zone).ok() }
    }
}

impl ReceiverConfig {
    /// The receiver as it is reached over each of its paths, the primary first: what a link is started with.
    pub(crate) fn over_each_path(&self) -> Vec<(Arc<str>, ReceiverConfig)> {
        if self.paths.is_empty() {
            return vec![(self.url.as_str().into(), self.clone())];
        }
        let over = |path: &PathConfig| {
            let url = path.url.clone().unwrap_or_else(|| self.url.clone());
            let label = format!("{} {url}", path.name);
            (label.into(), ReceiverConfig { url, bind: path.bind.clone(), paths: Vec::new(), ..self.clone() })
        };
        self.paths.iter().map(over).collect()
    }

    /// What each of its paths is called in records and reports, the primary first.
    pub fn path_labels(&self) -> Vec<String> {
        self.over_each_path().into_iter().map(|(label, _)| label.to_string()).collect()
    }

    /// Its address asks for TLS.
    pub fn is_over_tls(&self) -> bool {
        match self.kind {
            ReceiverKind::Scaip => SipUri::parse(&self.url).is_ok_and(|uri| uri.transport == Transport::Tls),
            ReceiverKind::Hub => true,
            ReceiverKind::SosAccess => sos_access::config::Address::parse(&self.url).is_ok_and(|address| address.tls),
            ReceiverKind::Webhook => webhook::config::Target::parse(&self.url).is_ok_and(|target| target.tls),
            ReceiverKind::Dc09 => dc09::config::Endpoint::parse(&self.url).is_ok_and(|endpoint| endpoint.over_tls),
            #[cfg(test)]
            ReceiverKind::Panics => false,
        }
    }

    /// Whether there is anything to know it by; without, nothing is sent over TLS.
    pub fn is_trusted(&self) -> bool {
        !self.is_over_tls() || self.ca.is_some() || !self.pins.is_empty()
    }

    /// What is wrong with this receiver alone.
    pub fn check(&self, wrong: &mut Vec<ConfigError>) {
        let name = || self.name.clone();
        let mut paths = BTreeSet::new();
        for path in self.paths.iter().filter(|path| !paths.insert(&path.name)) {
            wrong.push(ConfigError::PathTwice { name: name(), path: path.name.clone() });
        }
        for (_, over) in self.over_each_path() {
            over.check_kind(wrong);
        }
        let ranges = [
            ("heartbeat_interval_s", self.heartbeat_interval_s, 1, 3_600),
            ("received_deadline_ms", self.received_deadline_ms, 10, 60_000),
            ("accepted_deadline_ms", self.accepted_deadline_ms, 10, 300_000),
        ];
        for (field, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                wrong.push(ConfigError::Range { name: name(), field, value, min, max });
            }
        }
        if self.accepted_deadline_ms < self.received_deadline_ms {
            wrong.push(ConfigError::Deadlines { name: name() });
        }
        let user_good = |u: &String| !u.is_empty() && !u.chars().any(|c| c.is_control() || matches!(c, '"' | '\\'));
        let login_good = match (&self.user, &self.password) {
            (None, None) => true,
            (Some(user), Some(_)) => user_good(user),
            // The transmitter's code is its user.
            (None, Some(_)) => self.kind == ReceiverKind::SosAccess,
            _ => false,
        };
        if !login_good {
            wrong.push(ConfigError::Login { name: name() });
        }
    }

    /// What only its kind knows.
    fn check_kind(&self, wrong: &mut Vec<ConfigError>) {
        match self.kind {
            ReceiverKind::Scaip => match SipUri::parse(&self.url) {
                Ok(uri) if uri.transport == Transport::Tls => self.check_tls(wrong),
                Ok(_) => {}
                Err(source) => wrong.push(ConfigError::Url { name: self.name.clone(), source }),
            },
            ReceiverKind::Hub => {
                let name = || self.name.clone();
                match hub::address(&self.url) {
                    None => wrong.push(ConfigError::HubUrl { name: name(), url: self.url.clone() }),
                    Some(_) => self.check_tls(wrong),
                }
                if self.bind.address.is_some() {
                    wrong.push(ConfigError::HubBind { name: name() });
                }
                if self.cert.is_none() {
                    wrong.push(ConfigError::HubIdentity { name: name() });
                }
            }
            ReceiverKind::SosAccess => sos_access::config::check(self, wrong),
            ReceiverKind::Webhook => webhook::config::check(self, wrong),
            ReceiverKind::Dc09 => dc09::config::check(self, wrong),
            #[cfg(test)]
            ReceiverKind::Panics => {}
        }
    }

    /// Adds what is wrong with how the receiver is known over TLS.
    pub(crate) fn check_tls(&self, wrong: &mut Vec<ConfigError>) {
        if let Err(source) = self.tls_check() {
            wrong.push(ConfigError::Tls { name: self.name.clone(), source });
        }
    }

    fn tls_check(&self) -> Result<(), TlsError> {
        for pin in &self.pins {
            Pin::parse(pin)?;
        }
        match (self.pins.is_empty(), &self.ca) {
            (true, None) => Err(TlsError::Unjudged),
            _ if self.cert.is_some() != self.key.is_some() => Err(TlsError::HalfIdentity),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use vaka_protocol::Lane;

    use super::*;

    fn config() -> DispatchConfig {
        DispatchConfig {
            controller_id: "10149471".into(),
            receivers: vec![ReceiverConfig::new(
                "larmcentral",
                ReceiverKind::Scaip,
                "sip:127.0.0.1:5070;transport=tcp",
            )],
            routes: vec![Route { lanes: vec![Lane::Life], to: vec!["larmcentral".into()], hours: None }],
            ..DispatchConfig::default()
        }
    }

    fn said(config: &DispatchConfig) -> String {
        config.check().iter().map(|e| format!("{e}\n")).collect()
    }

    #[test]
    fn a_plain_configuration_is_good() {
        assert_eq!(said(&config()), "");
    }

    #[test]
    fn each_mistake_is_named_with_its_fix() {
        type Spoil = fn(&mut DispatchConfig);
        let mistakes: [(Spoil, &str); 13] = [
            (|c| c.receivers[0].paths = vec![PathConfig::default(), PathConfig::default()], "its own name"),
            (|c| c.receivers[0].url = "sip:h:1".into(), "transport=tcp"),
            (|c| c.receivers[0].url = "sips:h:1".into(), "openssl s_client"),
            (|c| c.receivers[0].heartbeat_interval_s = 0, "heartbeat_interval_s"),
            (|c| c.receivers[0].accepted_deadline_ms = 4_000, "make it longer"),
            (|c| c.receivers[0].user = Some("u".into()), "belong together"),
            (|c| c.receivers.push(c.receivers[0].clone()), "two receivers"),
            (|c| c.routes[0].to.push("nobody".into()), "`nobody`"),
            (|c| c.controller_id = "gw-1".into(), "digits"),
            (|c| c.caller = Some("sip:x".into()), "tel:"),
            (|c| c.time_zone = "Mars/Base".into(), "IANA"),
            (
                |c| {
                    c.receivers[0].url = "sips:h".into();
                    c.receivers[0].pins = vec!["xyz".into()];
                },
                "base64",
            ),
            (
                |c| {
                    c.receivers[0].url = "sips:h".into();
                    c.receivers[0].ca = Some("ca.pem".into());
                    c.receivers[0].cert = Some("c.pem".into());
                },
                "`key`",
            ),
        ];
        for (spoil, says) in mistakes {
            let mut bad = config();
            spoil(&mut bad);
            assert!(said(&bad).contains(says), "{says}: {}", said(&bad));
        }
    }
}
