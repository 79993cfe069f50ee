//! What a [[receiver]] of the kind `dc09` says of itself. Enters: its table. Leaves: [`Dc09Config`], and complaints with their lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::Spanned;
use vaka_protocol::DeviceId;

use super::super::explain::shown;
use super::super::{file, nearest};
use super::Check;
use super::receivers::{secret, unencrypted, urls};
use crate::dispatch::config::{Dc09Config, Dc09Error};
use crate::dispatch::dc09::cipher::Key;
use crate::dispatch::dc09::config::{Endpoint, Protocol};

/// Most bytes read of a key's file: 64 digits and what editors add.
const KEY_FILE_BYTES_MAX: u64 = 128;

/// `None` where it cannot be spoken; why has been said.
pub(super) fn dc09(c: &mut Check<'_>, file: &file::File, r: &file::Receiver) -> Option<Dc09Config> {
    for url in urls(r) {
        match Endpoint::parse(url.get_ref()) {
            // Its words are hidden by the key where there is one. That they are its own words, TLS alone can prove.
            Ok(endpoint) if !endpoint.over_tls && r.key_file.is_none() => {
                unencrypted(c, r, url, &endpoint.host, "tls:")
            }
            Ok(endpoint) if !endpoint.over_tls => unencrypted(c, r, url, "localhost", "tls:"),
            Ok(_) => {}
            Err(error) => c.wrong(url, shown(&error.to_string())),
        }
    }
    let Some(account) = &r.account else {
        c.wrong(&r.kind, Dc09Error::NoAccount.to_string());
        return None;
    };
    let mut made = Dc09Config::new(account.get_ref());
    if let Some(prefix) = &r.prefix {
        made.prefix = prefix.get_ref().clone();
    }
    if let Some(number) = &r.receiver_number {
        made.receiver = number.get_ref().clone();
    }
    if let Some(word) = &r.protocol {
        made.protocol = c.choice("protocol", word, Protocol::ALL)?;
    }
    made.timestamps = r.timestamps.as_ref().is_none_or(|on| *on.get_ref());
    made.extended = r.extended.as_ref().is_none_or(|on| *on.get_ref());
    if let Some(word) = &r.key_file {
        let path = secret(c, "key_file", word);
        // One that is not there is warned of already: the rest of the gateway works.
        if path.is_file() {
            match read_key(&path) {
                Ok(key) => made.key = Some(key),
                Err(why) => c.wrong(word, format!("`key_file`: {why}")),
            }
        }
        made.key_file = Some(path);
    }
    if let Some(on) = r.timestamps.as_ref().filter(|on| !on.get_ref() && r.key_file.is_some()) {
        c.wrong(on, "`timestamps`: an encrypted message always bears one; remove this".to_owned());
    }
    zones(c, file, r, &mut made);
    for error in made.check() {
        match (&error, &r.prefix, &r.receiver_number, &r.zones) {
            (Dc09Error::Account(_), ..) => c.wrong(account, error.to_string()),
            (Dc09Error::Line { field: "prefix", .. }, Some(place), ..) => c.wrong(place, error.to_string()),
            (Dc09Error::Line { .. }, _, Some(place), _) => c.wrong(place, error.to_string()),
            (Dc09Error::Zone { .. } | Dc09Error::ZoneTwice { .. }, .., Some(place)) => {
                c.wrong(place, error.to_string())
            }
            // Warned of above.
            (Dc09Error::Key { .. }, ..) => {}
            _ => c.wrong(&r.kind, error.to_string()),
        }
    }
    Some(made)
}

fn read_key(path: &Path) -> Result<Key, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| format!("{}: {error}", path.display()))?;
    Key::parse(&text).map_err(|error| error.to_string())
}

fn zones(c: &mut Check<'_>, file: &file::File, r: &file::Receiver, made: &mut Dc09Config) {
    let Some(zones) = &r.zones else { return };
    let ids: Vec<&str> = file.device.iter().map(|device| device.get_ref().id.get_ref().as_str()).collect();
    for (id, zone) in zones.get_ref() {
        let known = ids.contains(&id.as_str()).then(|| DeviceId::try_from(id.as_str()).ok()).flatten();
        let Some(device) = known else {
            let hint = match nearest(id, ids.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add its [[device]]".to_owned(),
            };
            c.wrong(zone, format!("`zones` names the unknown device `{}`; {hint}", shown(id)));
            continue;
        };
        if let Some(number) = c.number("zones", zone, 1, 999) {
            made.zones.insert(device, number as u16);
        }
    }
}

/// Says of every key of this kind that stands in the table of another.
pub(super) fn unused(c: &mut Check<'_>, r: &file::Receiver) {
    let texts = [&r.account, &r.prefix, &r.receiver_number, &r.protocol, &r.key_file];
    let spans = texts.into_iter().flatten().map(Spanned::span);
    let switches = [&r.timestamps, &r.extended].into_iter().flatten().map(Spanned::span);
    for span in spans.chain(switches).chain(r.zones.as_ref().map(Spanned::span)) {
        c.wrong(&Spanned::new(span, ()), "only used by receivers of the kind `dc09`; remove this".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::super::super::{Config, ConfigError};
    use super::*;

    const HEAD: &str = "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
        [[device]]\nid = \"p1\"\nkind = \"pendant\"\n[[device]]\nid = \"bed-1\"\nkind = \"bed-sensor\"\n\
        [[route]]\nlanes = [\"life\", \"care\", \"technical\"]\nto = [\"arc\"]\n[[receiver]]\nname = \"arc\"\nkind = \"dc09\"\n";

    fn parse(more: &str) -> Result<(Config, Vec<String>), Vec<String>> {
        match Config::parse(format!("{HEAD}{more}\n").as_bytes(), Path::new("v.toml")) {
            Ok((config, warnings)) => Ok((config, warnings.iter().map(|w| w.to_string()).collect())),
            Err(ConfigError::Invalid(findings)) => Err(findings.iter().map(|f| f.to_string()).collect()),
            Err(other) => Err(vec![other.to_string()]),
        }
    }

    #[test]
    fn all_of_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("arc.key");
        std::fs::write(&key, format!("{}\n", "41".repeat(24))).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        let pin = "00".repeat(32);
        let (config, warnings) = parse(&format!(
            "url = \"tls:arc.example:50100\"\npin = \"{pin}\"\naccount = \"12aF\"\nprefix = \"77\"\nreceiver_number = \"F3\"\n\
             protocol = \"SIA-DCS\"\nkey_file = \"{}\"\nextended = false\nzones = {{ p1 = 15, bed-1 = 16 }}",
            key.display()
        ))
        .unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let id = |text: &str| DeviceId::try_from(text).unwrap();
        let expected = Dc09Config {
            prefix: "77".into(),
            receiver: "F3".into(),
            protocol: Protocol::SiaDcs,
            key: Some(Key::Aes192([0x41; 24])),
            key_file: Some(key),
            extended: false,
            zones: [(id("p1"), 15), (id("bed-1"), 16)].into(),
            ..Dc09Config::new("12aF")
        };
        assert_eq!(config.receivers[0].dc09, Some(expected));
        assert!(!format!("{config:?}").contains("65"), "the key is not printed");
        let (config, _) = parse("url = \"tcp:127.0.0.1:1\"\naccount = \"1234\"\ntimestamps = false").unwrap();
        assert_eq!(config.receivers[0].dc09, Some(Dc09Config { timestamps: false, ..Dc09Config::new("1234") }));
    }

    #[test]
    fn each_mistake_is_named_with_line_and_fix() {
        let dir = tempfile::tempdir().unwrap();
        let bad = dir.path().join("bad.key");
        std::fs::write(&bad, "secret\n").unwrap();
        let with = |more: &str| format!("url = \"tcp:127.0.0.1:1\"\naccount = \"1234\"\n{more}");
        let cases = [
            ("url = \"tcp:127.0.0.1:1\"".to_owned(), "v.toml:16: a dc09 receiver needs its `account`"),
            (
                "url = \"sips:h:1\"\naccount = \"1234\"".to_owned(),
                "v.toml:17: url `sips:h:1`: an unknown scheme; write tls:HOST:PORT",
            ),
            (with("").replace("1234", "gw-1"), "v.toml:18: `account` `gw-1` must be 3 to 16 hexadecimal digits"),
            (with("prefix = \"x\""), "v.toml:19: `prefix` `x` must be 1 to 6"),
            (with("receiver_number = \"\""), "v.toml:19: `receiver_number` `` must be 1 to 6"),
            (with("protocol = \"SIA\""), "v.toml:19: unknown protocol `SIA`; "),
            (
                with(&format!("key_file = \"{}\"", bad.display())),
                "v.toml:19: `key_file`: a key is 32, 48 or 64 hexadecimal digits",
            ),
            (
                with("key_file = \"k\"\ntimestamps = false"),
                "v.toml:20: `timestamps`: an encrypted message always bears one",
            ),
            (with("zones = { p2 = 1 }"), "v.toml:19: `zones` names the unknown device `p2`; did you mean `p1`?"),
            (with("zones = { p1 = 1000 }"), "v.toml:19: `zones` must be from 1 to 999"),
            (with("zones = { p1 = 1, bed-1 = 1 }"), "v.toml:19: `bed-1` and `p1` have the same zone 1"),
            (with("pin = \"00\""), "v.toml:19: only used with TLS"),
        ];
        for (more, says) in cases {
            let wrong = parse(&more).expect_err(says);
            assert!(wrong.iter().any(|text| text.starts_with(says)), "{says}: {wrong:#?}");
        }
        let other = with("prefix = \"1\"").replace("tcp:127.0.0.1:1", "sip:127.0.0.1:1;transport=tcp");
        let text = format!("{HEAD}{other}\n").replace("\"dc09\"", "\"scaip\"");
        let Err(ConfigError::Invalid(findings)) = Config::parse(text.as_bytes(), Path::new("v.toml")) else { panic!() };
        assert_eq!(
            findings.iter().filter(|f| f.to_string().contains("only used by receivers of the kind `dc09`")).count(),
            2
        );
    }

    #[test]
    fn what_weakens_it_is_warned_of() {
        let (config, warnings) =
            parse("url = \"tcp:arc.example:1\"\naccount = \"1234\"\nkey_file = \"not-there\"").unwrap();
        assert!(warnings[0].contains("there is no file"), "{warnings:?}");
        // Without its key it is not spoken to at all, never in clear.
        let mut wrong = Vec::new();
        config.receivers[0].check(&mut wrong);
        assert!(wrong[0].to_string().contains("could not be read from"), "{wrong:?}");
        let (_, warnings) = parse("url = \"tcp:arc.example:1\"\naccount = \"1234\"").unwrap();
        assert!(warnings[0].contains("without encryption") && warnings[0].contains("tls:"), "{warnings:?}");
        let (_, warnings) = parse("url = \"tls:arc.example:1\"\naccount = \"1234\"").unwrap();
        assert!(warnings[0].contains("NOTHING WILL BE DELIVERED"), "{warnings:?}");
    }
}
