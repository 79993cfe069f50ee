//! The keys that only a receiver of kind `webhook` has.

use super::super::*;
use super::Check;
use super::receivers::{secret, unencrypted, urls};
use crate::dispatch::webhook::config::{Target, WebhookConfig};

/// Takes them up; for a receiver of another kind complains of each.
pub(super) fn take(c: &mut Check<'_>, file: &file::File, r: &file::Receiver, made: &mut ReceiverConfig) {
    if made.kind != ReceiverKind::Webhook {
        if let Some(word) = &r.secret_file {
            c.wrong(word, "`secret_file` is of a receiver of kind `webhook`; remove it".to_owned());
        }
        if r.ping.is_some() {
            c.wrong(&r.kind, "`ping` is of a receiver of kind `webhook`; remove it".to_owned());
        }
        return;
    }
    for word in [&r.user, &r.password_file].into_iter().flatten() {
        c.wrong(
            word,
            "a webhook has no login: it knows us by `secret_file`, or by `cert` and `key`; remove this".to_owned(),
        );
    }
    for url in urls(r) {
        if let Ok(Target { tls: false, host, .. }) = Target::parse(url.get_ref()) {
            unencrypted(c, r, url, &host, "https:");
        }
    }
    let ping = r.ping.unwrap_or(true);
    if !ping {
        let text = "without `ping` nobody notices that this receiver is lost until an alarm does not come through";
        c.warn(&r.kind, text.to_owned());
    }
    made.webhook = Some(WebhookConfig {
        gateway: file.gateway.id.get_ref().clone(),
        secrets: Vec::new(),
        secret_file: r.secret_file.as_ref().map(|word| secret(c, "secret_file", word)),
        ping,
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEAD: &str = "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[[receiver]]\nname = \"hook\"\nkind = \"webhook\"\n\
        url = \"http://127.0.0.1:4321/x\"\nsecret_file = \"hook.secret\"\n";

    fn said(text: &str) -> String {
        match Config::parse(text.as_bytes(), Path::new("/nowhere/v.toml")) {
            Ok((_, warnings)) => warnings.iter().map(|w| format!("{w}\n")).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_webhook_is_taken_up_and_needs_no_controller_id() {
        let (config, _) = Config::parse(HEAD.as_bytes(), Path::new("/nowhere/v.toml")).unwrap();
        let hook = config.receivers[0].webhook.clone().unwrap();
        assert_eq!((hook.gateway.as_str(), hook.ping), ("gw-1", true));
        assert_eq!(hook.secret_file.as_deref(), Some(Path::new("/nowhere/hook.secret")));
    }

    #[test]
    fn mistakes_name_line_and_fix() {
        let table = [
            (HEAD.replace("http:", "ftp:"), "write https://HOST[:PORT]/PATH"),
            (HEAD.replace("127.0.0.1:4321", "hook.example"), "write https://"),
            (HEAD.replace("http:", "https:"), "NOTHING WILL BE DELIVERED"),
            (HEAD.replace("secret_file = \"hook.secret\"\n", ""), "nobody can tell our alarms"),
            (format!("{HEAD}user = \"u\"\n"), "v.toml:10: a webhook has no login"),
            (format!("{HEAD}ping = false\n"), "v.toml:7: without `ping` nobody notices"),
            (
                format!("{HEAD}transmitter_code = \"1\"\n"),
                "v.toml:10: `transmitter_code` is of a receiver of kind `sos-access`",
            ),
            (HEAD.replace("\"webhook\"", "\"scaip\""), "`secret_file` is of a receiver of kind `webhook`"),
        ];
        for (text, expected) in table {
            assert!(said(&text).contains(expected), "{text}\nexpected: {expected}\nsaid: {}", said(&text));
        }
    }

    #[test]
    fn a_file_of_secrets_is_read_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hook.secret");
        let config = dir.path().join("v.toml");
        let (config, _) = Config::parse(HEAD.as_bytes(), &config).unwrap();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut receiver = config.receivers[0].clone();
            crate::dispatch::webhook::config::read_secrets(&mut receiver)
                .map(|()| receiver.webhook.map_or(0, |hook| hook.secrets.len()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("# one\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), Ok(1));
        for (text, says) in [("", "there is none in it"), ("\nwhsec_x\n", "line 2"), ("secret", "line 1")] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says) && error.contains("hook.secret"), "{error}");
        }
    }
}
