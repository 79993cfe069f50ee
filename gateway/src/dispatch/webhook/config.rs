//! Where a webhook is and how it knows us. Plain data that the configuration file fills in, and its check.

use std::path::PathBuf;

use hyper::Uri;

use super::super::config::{ConfigError, ReceiverConfig};
use super::sign::{Secret, SecretError};
use crate::limits::WEBHOOK_SECRETS_MAX;

/// What only this kind of receiver needs beside its url and its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The gateway's id, told in every message.
    pub gateway: String,
    /// Shared with the receiver; every message is signed with each. Empty: the client certificate alone says who we are.
    pub secrets: Vec<Secret>,
    /// The file that holds them, a line each; read at every start and reload.
    pub secret_file: Option<PathBuf>,
    /// A signed `ping` at each heartbeat. Without it the path is judged by alarms alone.
    pub ping: bool,
}

/// Why such a receiver cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookConfigError {
    #[error("url `{0}`: write https://HOST[:PORT]/PATH without user or fragment")]
    Url(String),
    #[error("url `{0}`: alarms go unencrypted to this machine itself only; write https://")]
    Unencrypted(String),
    #[error(
        "a webhook needs `secret_file`, or `cert` and `key`, or both: without them nobody can tell our alarms from a stranger's"
    )]
    Unknown,
    #[error("`secret_file` holds {0} secrets; at most {WEBHOOK_SECRETS_MAX}, a line each")]
    Secrets(usize),
    #[error("what only a webhook needs is missing; this is a mistake of the program")]
    Missing,
}

/// Why the secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("reading the secrets of receiver {name} from {}: {source}", path.display())]
    Read { name: String, path: PathBuf, source: std::io::Error },
    #[error("reading the secrets of receiver {name} from {}: {source}", path.display())]
    Line { name: String, path: PathBuf, source: SecretError },
    #[error("reading the secrets of receiver {name} from {}: there is none in it; write one on a line of its own", path.display())]
    Empty { name: String, path: PathBuf },
}

/// Reads the secrets of a receiver from its file, if it is a webhook with one.
///
/// # Errors
/// [`SecretFileError`] names receiver, file and line.
pub fn read_secrets(receiver: &mut ReceiverConfig) -> Result<(), SecretFileError> {
    let Some(own) = &mut receiver.webhook else { return Ok(()) };
    let Some(path) = own.secret_file.clone() else { return Ok(()) };
    let name = receiver.name.clone();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(SecretFileError::Read { name, path, source }),
    };
    match Secret::read_all(&text) {
        Ok(secrets) if secrets.is_empty() => Err(SecretFileError::Empty { name, path }),
        Ok(secrets) => {
            own.secrets = secrets;
            Ok(())
        }
        Err(source) => Err(SecretFileError::Line { name, path, source }),
    }
}

/// A url, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub tls: bool,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// As the request line says it.
    pub path: String,
    /// As the `Host` header says it.
    pub authority: String,
}

impl Target {
    /// # Errors
    /// [`WebhookConfigError`] with what to write.
    pub fn parse(url: &str) -> Result<Self, WebhookConfigError> {
        let wrong = || WebhookConfigError::Url(url.to_owned());
        // `Uri` lets a fragment fall; whoever wrote one meant something by it.
        let uri: Uri = if url.contains('#') { Err(wrong()) } else { url.parse().map_err(|_| wrong()) }?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        let bare = authority.host().trim_start_matches('[').trim_end_matches(']');
        let (given, usual) = (authority.as_str().len() > authority.host().len(), if tls { 443 } else { 80 });
        let port = authority.port_u16().or((!given).then_some(usual)).filter(|port| *port != 0).ok_or_else(wrong)?;
        if bare.is_empty() {
            return Err(wrong());
        }
        if !tls && !is_loopback(bare) {
            return Err(WebhookConfigError::Unencrypted(url.to_owned()));
        }
        Ok(Self {
            tls,
            host: bare.to_owned(),
            port,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authority: authority.as_str().to_owned(),
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Everything that is wrong with a receiver of this kind.
pub fn check(receiver: &ReceiverConfig, wrong: &mut Vec<ConfigError>) {
    let mut say = |source| wrong.push(ConfigError::Webhook { name: receiver.name.clone(), source });
    let tls = match Target::parse(&receiver.url) {
        Ok(target) => target.tls,
        Err(error) => {
            say(error);
            false
        }
    };
    match &receiver.webhook {
        None => say(WebhookConfigError::Missing),
        Some(own) if own.secrets.len() > WEBHOOK_SECRETS_MAX => say(WebhookConfigError::Secrets(own.secrets.len())),
        // Before they are read, their file is enough.
        Some(own) if own.secrets.is_empty() && own.secret_file.is_none() && !(tls && receiver.cert.is_some()) => {
            say(WebhookConfigError::Unknown);
        }
        Some(_) => {}
    }
    if tls {
        receiver.check_tls(wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_or_explained() {
        let read = |url: &str| Target::parse(url).map(|t| (t.tls, t.host, t.port, t.path, t.authority));
        let target = |tls, host: &str, port, path: &str, authority: &str| {
            Ok((tls, host.to_owned(), port, path.to_owned(), authority.to_owned()))
        };
        assert_eq!(read("https://h.example"), target(true, "h.example", 443, "/", "h.example"));
        assert_eq!(read("https://h:8443/a/b?c=d"), target(true, "h", 8443, "/a/b?c=d", "h:8443"));
        assert_eq!(read("https://[fe80::1]/x"), target(true, "fe80::1", 443, "/x", "[fe80::1]"));
        assert_eq!(read("http://127.0.0.1:1/x"), target(false, "127.0.0.1", 1, "/x", "127.0.0.1:1"));
        assert_eq!(read("http://[::1]:1/"), target(false, "::1", 1, "/", "[::1]:1"));
        for bad in [
            "",
            "h",
            "/x",
            "ftp://h/",
            "https://",
            "https://u@h/",
            "https://u:p@h/",
            "https://h:0/",
            "https://h:x/",
            "https://h:99999/",
            "https://h/#f",
            "https://h/ x",
        ] {
            assert!(matches!(Target::parse(bad), Err(WebhookConfigError::Url(_))), "{bad}: {:?}", Target::parse(bad));
        }
        for open in ["http://h.example/", "http://10.0.0.1/", "http://localhost.example/", "http://127.0.0.1.example/"]
        {
            assert!(matches!(Target::parse(open), Err(WebhookConfigError::Unencrypted(_))), "{open}");
        }
    }
}
