//! From what is written to what it means: words become types, references are followed, paths become absolute.
//!
//! Invariant: goes on after a complaint, so that one run names everything that is wrong.

mod board;
mod cameras;
pub(super) mod care;
mod dc09;
mod devices;
mod firmware;
mod orders;
mod receivers;
mod retention;
mod routes;
mod sos_access;
mod update;
mod webhook;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use vaka_protocol::DeviceId;

use super::explain::{line_of, shown};
use super::*;

type Text = Spanned<String>;

/// What is collected on the way: complaints, warnings, and where we are.
pub(in crate::config) struct Check<'t> {
    text: &'t str,
    file: &'t Path,
    home: PathBuf,
    wrong: Vec<Finding>,
    warnings: Vec<Warning>,
}

impl Check<'_> {
    fn at<T>(&self, place: &Spanned<T>, text: String) -> Finding {
        Finding { file: self.file.to_path_buf(), line: Some(line_of(self.text, place.span().start)), text }
    }

    fn wrong<T>(&mut self, place: &Spanned<T>, text: String) {
        let finding = self.at(place, text);
        // A table that holds for several people is complained of once.
        if !self.wrong.contains(&finding) {
            self.wrong.push(finding);
        }
    }

    fn warn<T>(&mut self, place: &Spanned<T>, text: String) {
        let finding = self.at(place, text);
        if !self.warnings.contains(&finding) {
            self.warnings.push(finding);
        }
    }

    /// The meaning of a word out of a short list; complains with the nearest.
    fn choice<T: Copy>(&mut self, key: &str, word: &Text, known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(k, _)| k == word.get_ref()).map(|(_, value)| *value);
        if found.is_none() {
            let hint = match nearest(word.get_ref(), known.iter().map(|(k, _)| *k)) {
                Some(near) => format!("did you mean `{near}`? "),
                None => String::new(),
            };
            let list = known.iter().map(|(k, _)| *k).collect::<Vec<_>>().join(", ");
            self.wrong(word, format!("unknown {key} `{}`; {hint}known: {list}", shown(word.get_ref())));
        }
        found
    }

    fn device_id(&mut self, key: &str, word: &Text) -> Option<DeviceId> {
        let id = DeviceId::try_from(word.get_ref().as_str()).ok();
        if id.is_none() {
            let said = shown(word.get_ref());
            self.wrong(word, format!("`{key}`: `{said}` is not an id; use a-z, 0-9 and -, 1 to 32 characters"));
        }
        id
    }

    fn listen(&mut self, word: &Text) -> Option<SocketAddr> {
        let address = word.get_ref().parse().ok();
        if address.is_none() {
            let said = shown(word.get_ref());
            self.wrong(word, format!("`listen`: expected ADDRESS:PORT such as \"127.0.0.1:8883\", found `{said}`"));
        }
        address
    }

    /// Where spans are told: in clear, and so to this machine alone.
    fn collector(&mut self, word: &Text) -> Option<SocketAddr> {
        let address = word.get_ref().parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
        if address.is_none() {
            let said = shown(word.get_ref());
            self.wrong(
                word,
                format!("`to`: expected an address of this machine such as \"127.0.0.1:4318\", found `{said}`; a collector here sends on by TLS"),
            );
        }
        address
    }

    fn number(&mut self, key: &str, value: &Spanned<i64>, min: i64, max: i64) -> Option<i64> {
        let fits = (min..=max).contains(value.get_ref());
        if !fits {
            self.wrong(value, format!("`{key}` must be from {min} to {max}, found {}", value.get_ref()));
        }
        fits.then_some(*value.get_ref())
    }

    /// About the file as a whole.
    fn warn_of_all(&mut self, text: &str) {
        self.warnings.push(Finding { file: self.file.to_path_buf(), line: None, text: text.to_owned() });
    }

    /// A path that should exist; one that does not is a warning, as a gateway without it still does all its other work.
    /// `credential:NAME` is what the service manager was told to pass under that name.
    fn path(&mut self, key: &str, word: &Text) -> PathBuf {
        let path = match word.get_ref().strip_prefix(CREDENTIAL) {
            None => self.home.join(word.get_ref()),
            Some(name) if name.is_empty() || name.contains('/') => {
                self.wrong(
                    word,
                    format!("`{key}`: `{name}` is no credential's name; write {CREDENTIAL}NAME, without a folder"),
                );
                return PathBuf::from(name);
            }
            Some(name) => match crate::provision::credentials() {
                Some(folder) => folder.join(name),
                None => {
                    let fix = format!("add LoadCredential={name}:FILE to the service's unit");
                    self.warn(word, format!("`{key}`: no credentials were passed ($CREDENTIALS_DIRECTORY); {fix}"));
                    return PathBuf::from(word.get_ref());
                }
            },
        };
        if !path.is_file() {
            self.warn(
                word,
                format!("`{key}`: there is no file {}; this receiver cannot be reached without it", path.display()),
            );
        }
        path
    }
}

/// Before the name of something that the service manager passes (systemd.exec(5), LoadCredential).
const CREDENTIAL: &str = "credential:";

pub(super) fn check(text: &str, path: &Path, file: file::File) -> Result<(Config, Vec<Warning>), ConfigError> {
    let absolute =
        std::path::absolute(path).map_err(|source| ConfigError::Read { file: path.to_path_buf(), source })?;
    let home = absolute.parent().unwrap_or(Path::new("/")).to_path_buf();
    let mut c = Check { text, file: path, home: home.clone(), wrong: Vec::new(), warnings: Vec::new() };

    let gateway = gateway(&mut c, &file);
    let listen = c.listen(&file.ingest.listen);
    let tls_min = match &file.ingest.tls_min {
        Some(word) => c.choice("tls_min", word, &[("1.3", TlsMin::V1_3), ("1.2", TlsMin::V1_2)]),
        None => Some(TlsMin::V1_3),
    };
    let dir = file.journal.dir.as_ref().map_or("journal", |dir| dir.get_ref());
    let size = match &file.journal.size_max_mib {
        Some(size) => c.number("size_max_mib", size, JOURNAL_SIZE_MIB_MIN as i64, 1 << 20).map(|mib| mib as u64),
        None => Some(JOURNAL_SIZE_MIB),
    };
    let backup = backup(&mut c, &file);
    let receivers = receivers::receivers(&mut c, &file);
    let routes = routes::routes(&mut c, &file, &receivers);
    let residents = devices::residents(&mut c, &file);
    let devices = devices::devices(&mut c, &file, gateway.as_ref(), &residents);
    let cameras = cameras::cameras(&mut c, &file, &devices);
    let agreed = gateway.as_ref().map(|gateway| care::agreed(&mut c, &file, gateway, &devices, &residents, &cameras));
    let zone = gateway.as_ref().map(|gateway| gateway.time_zone.clone()).unwrap_or(jiff::tz::TimeZone::UTC);
    let orders = orders::orders(&mut c, &file, &zone, &devices);
    let visit = visit(&mut c, &file);
    let enrol = file.enrol.as_ref().map(|e| c.listen(&e.listen));
    if let (Some(Some(enrol)), Some(listen), Some(table)) = (enrol, listen, &file.enrol)
        && enrol == listen
        && enrol.port() != 0
    {
        c.wrong(
            &table.listen,
            "`listen`: [ingest] has this address already; give [enrol] a port of its own".to_owned(),
        );
    }
    let board = file.board.as_ref().and_then(|table| board::board(&mut c, table));
    let metrics = file.metrics.as_ref().map(|m| c.listen(&m.listen));
    let otlp = file.otlp.as_ref().and_then(|table| c.collector(&table.to));
    let retention = file.retention.as_ref().map(|table| retention::retention(&mut c, table)).unwrap_or_default();
    let update = file.update.as_ref().and_then(|table| update::update(&mut c, table));
    let firmware = file.firmware.as_ref().and_then(|table| firmware::firmware(&mut c, table, &file, &devices));

    let journal_dir = home.join(dir);
    match (gateway, listen, tls_min, size, c.wrong.is_empty()) {
        (Some(gateway), Some(listen), Some(tls_min), Some(size_max_mib), true) => {
            let agreed = Arc::new(agreed.unwrap_or_default());
            c.warnings.sort_by_key(|finding| finding.line);
            let config = Config {
                file: absolute,
                home,
                gateway,
                ingest: Ingest { listen, tls_min },
                enrol: enrol.flatten(),
                journal: Journal { dir: journal_dir, size_max_mib },
                backup,
                retention,
                receivers,
                routes,
                devices,
                residents,
                cameras,
                agreed,
                orders,
                visit,
                board,
                metrics: metrics.flatten(),
                otlp,
                update,
                firmware,
            };
            Ok((config, c.warnings))
        }
        _ => {
            c.wrong.sort_by_key(|finding| finding.line);
            Err(ConfigError::Invalid(c.wrong))
        }
    }
}

fn backup(c: &mut Check<'_>, file: &file::File) -> Vec<String> {
    let words = file.backup.iter().flat_map(|table| &table.recipients);
    for word in words.clone() {
        if let Err(error) = vaka_archive::recipient(word.get_ref()) {
            c.wrong(word, format!("`recipients`: {error}"));
        }
    }
    words.map(|word| word.get_ref().clone()).collect()
}

/// Both ends of the ranges are what a radio and a battery can show at all.
fn visit(c: &mut Check<'_>, file: &file::File) -> Thresholds {
    let Some(table) = &file.visit else { return Thresholds::default() };
    let signal = table.signal_min_dbm.as_ref().and_then(|dbm| c.number("signal_min_dbm", dbm, -120, -30));
    let battery =
        table.battery_min_percent.as_ref().and_then(|percent| c.number("battery_min_percent", percent, 0, 100));
    Thresholds {
        signal_min_dbm: signal.and_then(|dbm| i16::try_from(dbm).ok()),
        battery_min_percent: battery.and_then(|percent| u8::try_from(percent).ok()),
    }
}

fn gateway(c: &mut Check<'_>, file: &file::File) -> Option<Gateway> {
    let g = &file.gateway;
    let id = c.device_id("id", &g.id);
    if let Some(cid) = &g.controller_id
        && (cid.get_ref().is_empty() || cid.get_ref().len() > 16 || !cid.get_ref().bytes().all(|b| b.is_ascii_digit()))
    {
        c.wrong(cid, format!("`controller_id`: expected 1 to 16 digits, found `{}`", shown(cid.get_ref())));
    }
    let zone = g.time_zone.as_ref().map_or("Europe/Stockholm", |zone| zone.get_ref());
    let time_zone = jiff::tz::TimeZone::get(zone).ok();
    if let (None, Some(word)) = (&time_zone, &g.time_zone) {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
        let hint = nearest(zone, names.iter().map(String::as_str)).unwrap_or("Europe/Stockholm");
        c.wrong(word, format!("unknown time zone `{}`; did you mean `{hint}`?", shown(zone)));
    }
    let language = match &g.language {
        Some(word) => c.choice("language", word, &[("sv", Language::Sv), ("en", Language::En)]),
        None => Some(Language::Sv),
    };
    let role = match &g.role {
        Some(word) => c.choice("role", word, &[("home", Role::Home), ("house", Role::House), ("hub", Role::Hub)]),
        None => Some(Role::Home),
    };
    Some(Gateway {
        id: id?,
        controller_id: g.controller_id.as_ref().map(|cid| cid.get_ref().clone()),
        time_zone: time_zone?,
        language: language?,
        role: role?,
    })
}
