//! What `[board]` in vaka.toml says, checked by the gateway's config.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[board]`. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// The name people type: the passkeys' relying party and the certificate's name. `localhost` unless the file says otherwise.
    pub host: String,
    /// The municipality's certificate and key, watched for changes. Absent: `own`, for localhost alone.
    pub cert: Option<(PathBuf, PathBuf)>,
    /// The gateway's own server certificate and key.
    pub own: (PathBuf, PathBuf),
    /// `people.toml`: who may log in. Beside it `credentials.jsonl`.
    pub people: PathBuf,
    /// Idle time after which a session ends, in minutes.
    pub idle_min: u32,
    pub card: Option<Card>,
    pub oidc: Option<Oidc>,
    /// One-time codes are allowed.
    pub totp: bool,
    /// Push services beside those of the common browsers: host names.
    pub push_services: Vec<String>,
    /// An ntfy-compatible channel that hears of every new call, for sites without internet.
    pub ntfy: Option<String>,
    /// Whose certificates those have, where no public authority's, PEM.
    pub push_ca: Option<PathBuf>,
}

/// `[board.card]`: log-in by a client certificate (a SITHS card) on a listener of its own.
#[derive(Debug, Clone)]
pub struct Card {
    pub listen: SocketAddr,
    /// The issuers that are believed, PEM.
    pub ca: PathBuf,
    /// Revocation lists, PEM or DER, read anew when they change.
    pub crl: Option<PathBuf>,
}

/// `[board.oidc]`: log-in through the municipality's identity provider.
#[derive(Debug, Clone)]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    pub client_secret_file: Option<PathBuf>,
    /// The issuer's certificate authority, where it is not a public one, PEM.
    pub ca: Option<PathBuf>,
    /// Authentication context that is demanded, e.g. `http://id.sambi.se/loa/loa3`; any of these.
    pub acr: Vec<String>,
    /// The claim that names the person, `sub` unless the file says otherwise.
    pub claim: String,
}
