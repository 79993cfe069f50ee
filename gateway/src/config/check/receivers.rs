//! [[receiver]] and [[route]]: who takes alarms, over which path, and how much they are trusted.

use std::os::unix::fs::PermissionsExt;

use toml::Spanned;
use vaka_protocol::Lane;

use super::super::explain::{line_of, shown};
use super::super::*;
use super::{Check, Text};

const LANES: &[(&str, Lane)] = &[
    ("life", Lane::Life),
    ("care", Lane::Care),
    ("technical", Lane::Technical),
    ("telemetry", Lane::Telemetry),
    ("test", Lane::Test),
];
const LATER_RECEIVERS: &[&str] = &["hub", "dc09", "sos-access", "webhook"];

pub(super) fn receivers(c: &mut Check<'_>, file: &file::File) -> Vec<Receiver> {
    let mut receivers: Vec<Receiver> = Vec::new();
    if file.receiver.is_empty() {
        c.warnings.push(Finding {
            file: c.file.to_path_buf(),
            line: None,
            text: "no [[receiver]]: alarms are kept and shown here, but NOBODY OUTSIDE IS TOLD; add the alarm centre"
                .to_owned(),
        });
    }
    for (r, whole) in file.receiver.iter().map(|whole| (whole.get_ref(), whole)) {
        let name = r.name.get_ref();
        if name.is_empty() || name.chars().any(char::is_control) {
            c.wrong(&r.name, "`name` must be a readable word".to_owned());
        }
        if let Some(first) = file.receiver.iter().map(Spanned::get_ref).find(|other| other.name.get_ref() == name)
            && first.name.span() != r.name.span()
        {
            let line = line_of(c.text, first.name.span().start);
            c.wrong(
                &r.name,
                format!("there is already a receiver `{}` in line {line}; give each its own name", shown(name)),
            );
        }
        if LATER_RECEIVERS.contains(&r.kind.get_ref().as_str()) {
            c.wrong(
                &r.kind,
                format!(
                    "receiver kind `{}` is not yet supported by this version of vaka; use `scaip`",
                    r.kind.get_ref()
                ),
            );
            continue;
        }
        let Some(kind) = c.choice("receiver kind", &r.kind, &[("scaip", ReceiverKind::Scaip)]) else {
            continue;
        };
        if file.gateway.controller_id.is_none() {
            c.wrong(
                &r.kind,
                "a scaip receiver needs `controller_id` in [gateway] (digits, given by the alarm centre)".to_owned(),
            );
        }
        let url = match sip_url(r.url.get_ref()) {
            Ok(url) => url,
            Err(why) => {
                let said = shown(r.url.get_ref());
                c.wrong(
                    &r.url,
                    format!("`url`: {why} in `{said}`; write sips:HOST:PORT, or sip:HOST:PORT;transport=tcp for tests"),
                );
                continue;
            }
        };
        let identity = match (&r.cert, &r.key) {
            (Some(cert), Some(key)) => Some((c.path("cert", cert), c.path("key", key))),
            (None, None) => {
                let pki = crate::provision::Pki::beside(&c.home);
                Some((pki.client_cert(), pki.client_key()))
                    .filter(|(cert, _)| url.transport == Transport::Tls && cert.is_file())
            }
            (Some(one), None) | (None, Some(one)) => {
                c.wrong(one, "`cert` and `key` go together; give both or none".to_owned());
                None
            }
        };
        let ca = r.ca.as_ref().map(|ca| c.path("ca", ca));
        let pin = r.pin.as_ref().and_then(|pin| pinned(c, pin));
        let credentials = match (&r.user, &r.password_file) {
            (Some(user), Some(file)) => {
                let path = c.path("password_file", file);
                if std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
                    c.warn(file, format!("`password_file`: others can read {}; run chmod 600 on it", path.display()));
                }
                Some((user.get_ref().clone(), path))
            }
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                c.wrong(one, "`user` and `password_file` go together; give both or none".to_owned());
                None
            }
        };
        match url.transport {
            Transport::Tls if r.ca.is_none() && r.pin.is_none() => c.warn(
                whole,
                format!(
                    "receiver `{}` has neither `pin` nor `ca`: it is not trusted and NOTHING WILL BE DELIVERED to it",
                    shown(name)
                ),
            ),
            Transport::Tcp => {
                for unused in [&r.cert, &r.key, &r.ca, &r.pin].into_iter().flatten() {
                    c.wrong(unused, "only used with TLS; write the url as sips:HOST:PORT, or remove this".to_owned());
                }
                if !loopback(&url.host) {
                    let said = shown(name);
                    c.warn(&r.url, format!("receiver `{said}` is reached without encryption: anybody on the way reads and forges alarms; use sips:"));
                }
            }
            Transport::Tls => {}
        }
        let heartbeat = r.heartbeat_interval_s.as_ref().map(|v| c.number("heartbeat_interval_s", v, 1, 86_400));
        receivers.push(Receiver {
            name: name.clone(),
            kind,
            url,
            identity,
            ca,
            pin,
            credentials,
            heartbeat_interval_s: heartbeat.flatten().map_or(HEARTBEAT_INTERVAL_S, |s| s as u32),
            received_deadline_ms: c.deadline_ms("received_deadline_ms", &r.received_deadline_ms),
            accepted_deadline_ms: c.deadline_ms("accepted_deadline_ms", &r.accepted_deadline_ms),
        });
    }
    receivers
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `sips:HOST[:PORT]`, `sip:HOST[:PORT];transport=tcp`.
fn sip_url(url: &str) -> Result<SipUrl, &'static str> {
    let (scheme, rest) = url.split_once(':').ok_or("no scheme")?;
    let (address, parameters) = rest.split_once(';').unwrap_or((rest, ""));
    let transport = match (scheme.to_ascii_lowercase().as_str(), parameters) {
        ("sips", "" | "transport=tls" | "transport=tcp") => Transport::Tls,
        ("sip", "transport=tcp") => Transport::Tcp,
        ("sip", "") => return Err("`sip:` without `;transport=tcp`"),
        ("sip" | "sips", _) => return Err("an unknown parameter"),
        _ => return Err("an unknown scheme"),
    };
    let default = if transport == Transport::Tls { 5061 } else { 5060 };
    let (host, port) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        Some(_) => return Err("a bad IPv6 address"),
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port).filter(|p| !p.is_empty())),
            None => (address, Some("")),
        },
    };
    let port = match port {
        Some("") => default,
        Some(digits) => digits.parse().ok().filter(|port| *port != 0).ok_or("a bad port")?,
        None => return Err("a bad port"),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !(host.contains(':') || host.chars().all(plain)) {
        return Err("a bad host");
    }
    Ok(SipUrl { host: host.to_owned(), port, transport })
}

/// 64 hex digits, colons allowed, `sha256:` in front allowed.
fn pinned(c: &mut Check<'_>, pin: &Text) -> Option<[u8; 32]> {
    let word = pin.get_ref().strip_prefix("sha256:").unwrap_or(pin.get_ref());
    let digits: Vec<u8> = word
        .chars()
        .filter(|d| *d != ':')
        .map(|d| d.to_digit(16).map(|n| n as u8))
        .collect::<Option<_>>()
        .unwrap_or_default();
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let pin_bytes = <[u8; 32]>::try_from(bytes).ok().filter(|_| digits.len() == 64);
    if pin_bytes.is_none() {
        let said = shown(pin.get_ref());
        c.wrong(
            pin,
            format!("`pin`: expected the SHA-256 of the receiver's public key as 64 hex digits, found `{said}`"),
        );
    }
    pin_bytes
}

pub(super) fn routes(c: &mut Check<'_>, file: &file::File, receivers: &[Receiver]) -> Vec<Route> {
    let names: Vec<&str> = file.receiver.iter().map(|r| r.get_ref().name.get_ref().as_str()).collect();
    let mut routes = Vec::new();
    for (route, whole) in file.route.iter().map(|whole| (whole.get_ref(), whole)) {
        for (key, list) in [("lanes", &route.lanes), ("to", &route.to)] {
            if list.is_empty() {
                c.wrong(whole, format!("`{key}` of this [[route]] is empty; name at least one"));
            }
        }
        let mut lanes = Vec::new();
        for word in &route.lanes {
            let lane = c.choice("lane", word, LANES);
            if lane == Some(Lane::Telemetry) {
                c.wrong(
                    word,
                    "`telemetry` stays in the home: a scaip receiver takes alarms only; remove it from `lanes`"
                        .to_owned(),
                );
            }
            lanes.extend(lane);
        }
        for name in route.to.iter().filter(|name| !names.contains(&name.get_ref().as_str())) {
            let hint = match nearest(name.get_ref(), names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add its [[receiver]]".to_owned(),
            };
            c.wrong(name, format!("this [[route]] names the unknown receiver `{}`; {hint}", shown(name.get_ref())));
        }
        routes.push(Route { lanes, to: route.to.iter().map(|name| name.get_ref().clone()).collect() });
    }
    if !receivers.is_empty() && !routes.iter().any(|route| route.lanes.contains(&Lane::Life)) {
        c.warnings.push(Finding {
            file: c.file.to_path_buf(),
            line: None,
            text: "no [[route]] for the lane `life`: LIFE ALARMS GO TO NOBODY; add lanes = [\"life\"] and to = [...]"
                .to_owned(),
        });
    }
    for r in file.receiver.iter().map(Spanned::get_ref) {
        if !routes.iter().any(|route| route.to.contains(r.name.get_ref())) {
            c.warn(&r.name, format!("no [[route]] leads to receiver `{}`", shown(r.name.get_ref())));
        }
    }
    routes
}
