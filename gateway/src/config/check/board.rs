//! `[board]`, `[board.card]` and `[board.oidc]`.

use vaka_board::limits::IDLE_MIN;
use vaka_board::settings::{Card, Oidc, Settings};

use super::{Check, Text};
use crate::config::explain::shown;
use crate::config::file;
use crate::provision::Pki;

/// The name that needs no certificate of its own: browsers take it for secure.
const LOCAL: &str = "localhost";
/// Longest idle time, in minutes: a shift. Beyond, a lost phone would be an open door. Source: our choice.
const IDLE_MIN_MAX: i64 = 480;

pub(super) fn board(c: &mut Check<'_>, table: &file::Board) -> Option<Settings> {
    let listen = c.listen(&table.listen);
    let host = table.host.as_ref().map_or(LOCAL, |host| host.get_ref()).to_owned();
    if let Some(word) = table.host.as_ref().filter(|word| !is_host(word.get_ref())) {
        let said = shown(word.get_ref());
        c.wrong(
            word,
            format!("`host`: `{said}` is not a host name; write it as people type it, without https:// and port"),
        );
    }
    let cert = match (&table.cert, &table.key) {
        (Some(cert), Some(key)) => Some((file(c, "cert", cert), file(c, "key", key))),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            c.wrong(one, "`cert` and `key` go together; give both or none".to_owned());
            None
        }
    };
    if let (Some(word), None, None) = (&table.host, &table.cert, &table.key)
        && host != LOCAL
        && is_host(&host)
    {
        c.wrong(
            word,
            format!(
                "`host`: phones and passkeys trust `{host}` only with its own certificate: give [board] `cert` and `key`, or leave `host` out for localhost"
            ),
        );
    }
    let idle_min = match &table.idle_min {
        Some(value) => c.number("idle_min", value, 1, IDLE_MIN_MAX).and_then(|min| u32::try_from(min).ok()),
        None => Some(IDLE_MIN),
    };
    let card = table.card.as_ref().map(|card| (card, c.listen(&card.listen)));
    if let Some((card, Some(at))) = &card
        && Some(*at) == listen
        && at.port() != 0
    {
        c.wrong(
            &card.listen,
            "`listen`: [board] has this address already; give [board.card] a port of its own".to_owned(),
        );
    }
    let card = card.and_then(|(card, listen)| {
        let (ca, crl) = (file(c, "ca", &card.ca), card.crl.as_ref().map(|crl| file(c, "crl", crl)));
        Some(Card { listen: listen?, ca, crl })
    });
    let oidc = table.oidc.as_ref().map(|oidc| self::oidc(c, oidc));
    for word in table.push_services.iter().filter(|word| !is_host(word.get_ref())) {
        let said = shown(word.get_ref());
        c.wrong(word, format!("`push_services`: `{said}` is not a host name; write it without https:// and port"));
    }
    if let Some(word) = table.ntfy.as_ref().filter(|word| !word.get_ref().starts_with("https://")) {
        let said = shown(word.get_ref());
        c.wrong(
            word,
            format!("`ntfy`: `{said}` is not an https:// address of a channel, such as https://ntfy.kommunen.se/vaka"),
        );
    }
    let pki = Pki::beside(&c.home);
    Some(Settings {
        listen: listen?,
        host,
        cert,
        own: (pki.server_cert(), pki.server_key()),
        people: c.home.join("people.toml"),
        idle_min: idle_min?,
        card,
        oidc,
        totp: table.one_time_codes.unwrap_or(false),
        push_services: table.push_services.iter().map(|word| word.get_ref().clone()).collect(),
        ntfy: table.ntfy.as_ref().map(|word| word.get_ref().clone()),
        push_ca: table.push_ca.as_ref().map(|word| file(c, "push_ca", word)),
    })
}

fn oidc(c: &mut Check<'_>, table: &file::BoardOidc) -> Oidc {
    let issuer = table.issuer.get_ref();
    if !issuer.starts_with("https://") {
        let said = shown(issuer);
        c.wrong(
            &table.issuer,
            format!("`issuer`: `{said}` is not an https:// address; the provider's word is worth no more than the way it comes"),
        );
    }
    if table.acr.get_ref().is_empty() {
        c.wrong(
            &table.acr,
            "`acr` of [board.oidc] is empty; name how strongly people must have proven who they are, e.g. \"http://id.sambi.se/loa/loa3\"".to_owned(),
        );
    }
    Oidc {
        issuer: issuer.clone(),
        client_id: table.client_id.get_ref().clone(),
        client_secret_file: table.client_secret_file.as_ref().map(|word| file(c, "client_secret_file", word)),
        ca: table.ca.as_ref().map(|word| file(c, "ca", word)),
        acr: table.acr.get_ref().iter().map(|word| word.get_ref().clone()).collect(),
        claim: table.claim.as_ref().map_or("sub", |word| word.get_ref()).to_owned(),
    }
}

/// A file that should exist. One that does not is a warning: the alarms must go all the same.
fn file(c: &mut Check<'_>, key: &str, word: &Text) -> std::path::PathBuf {
    let path = c.home.join(word.get_ref());
    if !path.is_file() {
        c.warn(word, format!("`{key}`: there is no file {}; the board cannot do its part without it", path.display()));
    }
    path
}

fn is_host(word: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    word.len() <= 253 && word.split('.').all(label)
}
