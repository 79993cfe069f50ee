//! [[receiver]]: who takes alarms, over which paths, and how much they are trusted.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use toml::Spanned;

use super::super::explain::{line_of, shown};
use super::super::*;
use super::{Check, Text, dc09, sos_access, webhook};
use crate::dispatch::config::{ConfigError as Refused, SipUri, Transport};
use crate::dispatch::tls::{Pin, TlsError};
use crate::dispatch::{Bind, PathConfig};

pub(super) fn receivers(c: &mut Check<'_>, file: &file::File) -> Vec<ReceiverConfig> {
    if file.receiver.is_empty() {
        c.warn_of_all(
            "no [[receiver]]: alarms are kept and shown here, but NOBODY OUTSIDE IS TOLD; add the alarm centre",
        );
    }
    let mut receivers = Vec::new();
    for whole in &file.receiver {
        let r = whole.get_ref();
        name(c, file, r);
        if let Some(made) = receiver(c, file, whole) {
            agrees(c, whole, &made);
            receivers.push(made);
        }
    }
    receivers
}

fn name(c: &mut Check<'_>, file: &file::File, r: &file::Receiver) {
    let name = r.name.get_ref();
    if name.is_empty() || name.chars().any(char::is_control) {
        c.wrong(&r.name, "`name` must be a readable word".to_owned());
    }
    if let Some(first) = file.receiver.iter().map(Spanned::get_ref).find(|other| other.name.get_ref() == name)
        && first.name.span() != r.name.span()
    {
        let line = line_of(c.text, first.name.span().start);
        let said = shown(name);
        c.wrong(&r.name, format!("there is already a receiver `{said}` in line {line}; give each its own name"));
    }
}

fn receiver(c: &mut Check<'_>, file: &file::File, whole: &Spanned<file::Receiver>) -> Option<ReceiverConfig> {
    let r = whole.get_ref();
    let kind = c.choice("receiver kind", &r.kind, ReceiverKind::ALL)?;
    let mut made = ReceiverConfig::new(r.name.get_ref(), kind, r.url.get_ref());
    made.paths = r.path.iter().map(|path| way(c, path)).collect();
    match kind {
        ReceiverKind::Scaip => scaip(c, file, r),
        ReceiverKind::Hub => {
            made.device = file.gateway.id.get_ref().parse().ok();
        }
        ReceiverKind::Dc09 => made.dc09 = dc09::dc09(c, file, r),
        // Below, together with what other kinds must not have.
        ReceiverKind::SosAccess | ReceiverKind::Webhook => {}
        #[cfg(test)]
        ReceiverKind::Panics => {}
    }
    if kind != ReceiverKind::Dc09 {
        dc09::unused(c, r);
    }
    sos_access::take(c, r, &mut made);
    webhook::take(c, file, r, &mut made);
    made.orders = r.orders.as_ref().is_some_and(|orders| !orders.is_empty());
    trust(c, whole, &mut made);
    login(c, r, &mut made);
    if let Some(seconds) = &r.heartbeat_interval_s {
        made.heartbeat_interval_s = c.number("heartbeat_interval_s", seconds, 1, 3_600)? as u32;
        if made.heartbeat_interval_s > HEARTBEAT_SAFE_S {
            c.warn(seconds, format!("a lost path is known after three heartbeats, so later than 90 s; {HEARTBEAT_SAFE_S} or less keeps to it"));
        }
    }
    let deadline = |c: &mut Check<'_>, key, value: &Option<Spanned<i64>>, default| {
        value.as_ref().and_then(|v| c.number(key, v, 100, 300_000)).map_or(default, |v| v as u32)
    };
    made.received_deadline_ms = deadline(c, "received_deadline_ms", &r.received_deadline_ms, made.received_deadline_ms);
    made.accepted_deadline_ms = deadline(c, "accepted_deadline_ms", &r.accepted_deadline_ms, made.accepted_deadline_ms);
    if let Some(seconds) = &r.claimed_deadline_s {
        if kind.last_rung() <= vaka_protocol::Rung::Accepted {
            c.wrong(seconds, "`claimed_deadline_s` is of receivers that tell of a person's claim: a hub".to_owned());
        }
        made.claimed_deadline_s = c.number("claimed_deadline_s", seconds, 5, 86_400).map(|s| s as u32);
    }
    let mut ways: Vec<_> =
        made.paths.iter().map(|path| (&path.bind.address, &path.bind.interface, &path.url)).collect();
    ways.sort();
    ways.dedup();
    if r.two_paths == Some(true) && ways.len() < 2 {
        let name = shown(&made.name);
        c.warn(whole, format!("receiver `{name}` is promised two paths and has {}; add [[receiver.path]] for each, with `interface` or `address`", ways.len().max(1)));
    }
    Some(made)
}

/// Three heartbeats in 90 s: one may be just late, a third is the proof.
const HEARTBEAT_SAFE_S: u32 = 28;

fn way(c: &mut Check<'_>, path: &file::ReceiverPath) -> PathConfig {
    let address: Option<IpAddr> = path.address.as_ref().and_then(|word| {
        let parsed = word.get_ref().parse().ok();
        if parsed.is_none() {
            let said = shown(word.get_ref());
            c.wrong(
                word,
                format!(
                    "`address` of a path is this machine's own address on it, such as \"192.0.2.7\"; found `{said}`"
                ),
            );
        }
        parsed
    });
    // Linux: 15 bytes and no slash.
    if let Some(word) = &path.interface
        && (word.get_ref().is_empty() || word.get_ref().len() > 15 || word.get_ref().contains(['/', ' ']))
    {
        let said = shown(word.get_ref());
        c.wrong(word, format!("`interface`: no interface is called `{said}`; `ip link` shows their names"));
    }
    PathConfig {
        name: path.name.get_ref().clone(),
        bind: Bind { address, interface: path.interface.as_ref().map(|word| word.get_ref().clone()) },
        url: path.url.as_ref().map(|url| url.get_ref().clone()),
    }
}

fn scaip(c: &mut Check<'_>, file: &file::File, r: &file::Receiver) {
    if file.gateway.controller_id.is_none() {
        let text = "a scaip receiver needs `controller_id` in [gateway] (digits, given by the alarm centre)";
        c.wrong(&r.kind, text.to_owned());
    }
    for url in urls(r) {
        match SipUri::parse(url.get_ref()) {
            Ok(uri) if uri.transport == Transport::Tcp => unencrypted(c, r, url, &uri.host, "sips:"),
            // Said of the receiver as a whole.
            Ok(_) | Err(_) => {}
        }
    }
}

/// The receiver's address, and those of its paths that have their own.
pub(super) fn urls(r: &file::Receiver) -> impl Iterator<Item = &Text> {
    std::iter::once(&r.url).chain(r.path.iter().filter_map(|path| path.url.as_ref()))
}

/// What a receiver without TLS must hear.
pub(super) fn unencrypted(c: &mut Check<'_>, r: &file::Receiver, url: &Text, host: &str, secure: &str) {
    for unused in [&r.cert, &r.key, &r.ca, &r.pin].into_iter().flatten() {
        c.wrong(unused, format!("only used with TLS; write the url as {secure}…, or remove this"));
    }
    if !loopback(host) {
        let said = shown(r.name.get_ref());
        c.warn(url, format!("receiver `{said}` is reached without encryption: anybody on the way reads and forges alarms; use {secure}"));
    }
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn trust(c: &mut Check<'_>, whole: &Spanned<file::Receiver>, made: &mut ReceiverConfig) {
    let r = whole.get_ref();
    match (&r.cert, &r.key) {
        (Some(cert), Some(key)) => {
            (made.cert, made.key) = (Some(c.path("cert", cert)), Some(secret(c, "key", key)));
        }
        (None, None) => {
            // The home's own identity, where it has one.
            let pki = crate::provision::Pki::beside(&c.home);
            if made.is_over_tls() && pki.client_cert().is_file() {
                (made.cert, made.key) = (Some(pki.client_cert()), Some(pki.client_key()));
            }
        }
        (Some(one), None) | (None, Some(one)) => {
            c.wrong(one, "`cert` and `key` go together; give both or none".to_owned());
        }
    }
    made.ca = r.ca.as_ref().map(|ca| c.path("ca", ca));
    if let Some(pin) = &r.pin {
        let word = pin.get_ref().strip_prefix("sha256:").unwrap_or(pin.get_ref());
        match Pin::parse(word) {
            Ok(pin) => made.pins = vec![pin.hex()],
            Err(_) => {
                let said = shown(pin.get_ref());
                c.wrong(
                    pin,
                    format!(
                        "`pin`: expected the SHA-256 of the receiver's public key as 64 hex digits, found `{said}`"
                    ),
                );
            }
        }
    }
    if !made.is_trusted() {
        let said = shown(&made.name);
        c.warn(
            whole,
            format!(
                "receiver `{said}` has neither `pin` nor `ca`: it is not trusted and NOTHING WILL BE DELIVERED to it"
            ),
        );
    }
}

fn login(c: &mut Check<'_>, r: &file::Receiver, made: &mut ReceiverConfig) {
    match (&r.user, &r.password_file) {
        // Said of its own kind.
        _ if made.kind == ReceiverKind::Webhook => {}
        (_, file) if made.kind == ReceiverKind::SosAccess => {
            made.password_file = file.as_ref().map(|file| secret(c, "password_file", file));
        }
        (Some(user), Some(file)) => {
            made.user = Some(user.get_ref().clone());
            made.password_file = Some(secret(c, "password_file", file));
        }
        (None, None) => {}
        (Some(one), None) | (None, Some(one)) => {
            c.wrong(one, "`user` and `password_file` go together; give both or none".to_owned());
        }
    }
}

/// A file that nobody else may read.
pub(super) fn secret(c: &mut Check<'_>, key: &str, file: &Text) -> PathBuf {
    let path = c.path(key, file);
    if std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        c.warn(file, format!("`{key}`: others can read {}; run chmod 600 on it", path.display()));
    }
    path
}

/// What dispatch would refuse at its start is said here, with its line.
fn agrees(c: &mut Check<'_>, whole: &Spanned<file::Receiver>, made: &ReceiverConfig) {
    let mut refused = Vec::new();
    made.check(&mut refused);
    for error in refused {
        match error {
            // A warning: the rest of the gateway works.
            Refused::Tls { source: TlsError::Unjudged, .. } => {}
            Refused::Url { source, .. } => {
                // Of a path or of the receiver: the text names it.
                c.wrong(&whole.get_ref().url, format!("`url`: {source}"));
            }
            // Said above, with the very line.
            Refused::Tls { source: TlsError::HalfIdentity, .. } | Refused::Login { .. } | Refused::Dc09 { .. } => {}
            error => c.wrong(whole, error.to_string()),
        }
    }
}
