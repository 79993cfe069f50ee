//! The keys that only a receiver of kind `sos-access` has.

use std::collections::BTreeMap;

use super::super::explain::shown;
use super::super::*;
use super::Check;
use super::receivers::{unencrypted, urls};
use crate::dispatch::sos_access::codes;
use crate::dispatch::sos_access::config::{Address, SosAccessConfig};

/// Takes them up; for a receiver of another kind complains of each.
pub(super) fn take(c: &mut Check<'_>, r: &file::Receiver, made: &mut ReceiverConfig) {
    let given = [
        ("transmitter_code", &r.transmitter_code),
        ("transmitter_type", &r.transmitter_type),
        ("receiver_id", &r.receiver_id),
        ("transmitter_area", &r.transmitter_area),
    ];
    if made.kind != ReceiverKind::SosAccess {
        for (key, word) in given {
            if let Some(word) = word {
                c.wrong(word, format!("`{key}` is of a receiver of kind `sos-access`; remove it"));
            }
        }
        if r.rotate_password.is_some() || !r.event_codes.is_empty() {
            c.wrong(
                &r.kind,
                "`rotate_password` and `event_codes` are of a receiver of kind `sos-access`; remove them".to_owned(),
            );
        }
        return;
    }
    for (key, _) in given.iter().take(3).filter(|(_, word)| word.is_none()) {
        c.wrong(&r.kind, format!("a sos-access receiver needs `{key}`: the alarm operator gives it out"));
    }
    if let Some(user) = &r.user {
        c.wrong(
            user,
            "a sos-access receiver has no `user`: its `transmitter_code` says who we are; remove it".to_owned(),
        );
    }
    if r.password_file.is_none() {
        c.wrong(
            &r.kind,
            "a sos-access receiver needs `password_file`: the 15 characters that the alarm operator gave out"
                .to_owned(),
        );
    }
    for url in urls(r) {
        if let Ok(Address { tls: false, host, .. }) = Address::parse(url.get_ref()) {
            unencrypted(c, r, url, &host, "tls:");
        }
    }
    let mut event_codes = BTreeMap::new();
    for (word, code) in &r.event_codes {
        if !codes::WORDS.iter().any(|(known, _)| known == word) {
            let known = || codes::WORDS.iter().map(|(known, _)| *known);
            let hint = match nearest(word, known()) {
                Some(near) => format!("did you mean `{near}`? "),
                None => String::new(),
            };
            let list = known().collect::<Vec<_>>().join(", ");
            c.wrong(code, format!("unknown word `{}` in `event_codes`; {hint}known: {list}", shown(word)));
        }
        event_codes.insert(word.clone(), code.get_ref().clone());
    }
    let text = |word: &Option<super::Text>| word.as_ref().map(|word| word.get_ref().clone());
    if let (Some(transmitter_code), Some(transmitter_type), Some(receiver_id)) =
        (text(&r.transmitter_code), text(&r.transmitter_type), text(&r.receiver_id))
    {
        made.sos_access = Some(SosAccessConfig {
            transmitter_code,
            transmitter_type,
            receiver_id,
            transmitter_area: text(&r.transmitter_area),
            event_codes,
            rotate_password: r.rotate_password.unwrap_or(false),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEAD: &str = "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[receiver]]\nname = \"sos\"\nkind = \"sos-access\"\n\
        url = \"tcp:127.0.0.1:4321\"\ntransmitter_code = \"1234567\"\ntransmitter_type = \"VAKA1\"\nreceiver_id = \"42\"\n\
        password_file = \"/nowhere/sos.pass\"\n";

    fn said(text: &str) -> String {
        match Config::parse(text.as_bytes(), Path::new("v.toml")) {
            Ok((_, warnings)) => warnings.iter().map(|w| format!("{w}\n")).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_the_operator_gave_out_is_taken_up() {
        let text =
            format!("{HEAD}transmitter_area = \"A1\"\nevent_codes = {{ fall = \"FALL\" }}\nrotate_password = true\n");
        let (config, _) = Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap();
        let expected = SosAccessConfig {
            transmitter_code: "1234567".into(),
            transmitter_type: "VAKA1".into(),
            receiver_id: "42".into(),
            transmitter_area: Some("A1".into()),
            event_codes: [("fall".to_owned(), "FALL".to_owned())].into(),
            rotate_password: true,
        };
        assert_eq!(config.receivers[0].sos_access, Some(expected));
        assert_eq!(config.receivers[0].password_file.as_deref(), Some(Path::new("/nowhere/sos.pass")));
    }

    #[test]
    fn mistakes_name_line_and_fix() {
        let without = |key: &str| {
            HEAD.lines().filter(|line| !line.starts_with(key)).map(|l| format!("{l}\n")).collect::<String>()
        };
        let table = [
            (without("transmitter_code"), "v.toml:7: a sos-access receiver needs `transmitter_code`"),
            (without("password_file"), "v.toml:7: a sos-access receiver needs `password_file`"),
            (format!("{HEAD}user = \"u\"\n"), "v.toml:13: a sos-access receiver has no `user`"),
            (format!("{HEAD}secret_file = \"s\"\n"), "v.toml:13: `secret_file` is of a receiver of kind `webhook`"),
            (
                format!("{HEAD}event_codes = {{ fal = \"F\" }}\n"),
                "v.toml:13: unknown word `fal` in `event_codes`; did you mean `fall`?",
            ),
            (HEAD.replace("VAKA1", "VAKA"), "`transmitter_type` = `VAKA` must be 5 to 5 characters"),
            (HEAD.replace("tcp:127.0.0.1:4321", "sips:x"), "write tls:HOST:PORT"),
            (HEAD.replace("tcp:127.0.0.1", "tcp:192.0.2.1"), "v.toml:8: receiver `sos` is reached without encryption"),
            (HEAD.replace("tcp:", "tls:"), "NOTHING WILL BE DELIVERED"),
            (HEAD.replace("sos-access", "webhook"), "`transmitter_code` is of a receiver of kind `sos-access`"),
        ];
        for (text, expected) in table {
            assert!(said(&text).contains(expected), "{text}\nexpected: {expected}\nsaid: {}", said(&text));
        }
    }
}
