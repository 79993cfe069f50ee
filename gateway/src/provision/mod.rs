//! Who may speak: the home's certificate authorities, its devices' certificates, and which of them are revoked.
//!
//! Enters: a technician's wish (`vaka init`, `vaka device …`), a peer's certificate. Leaves: files in `pki/` beside vaka.toml,
//! a device's three PEM files, a [`PeerIdentity`], TLS settings.
//!
//! Invariants: two authorities, one for servers and one for devices, and the extended key usage is checked, so that a device
//! can never pose as the gateway; a private key is written 0600 and never printed; every certificate is listed in
//! `issued.jsonl`, synced, before its files leave this process; an enrolment number is used once per device id.
//! Absent: the network, over which a device comes for its certificate (`enrol`), and the connection that a renewal is asked for on.

mod authority;
#[cfg(test)]
mod authority_tests;
mod cameras;
mod certificate;
mod devices;
pub(crate) mod files;
mod floor;
mod home;
mod identity;
mod invite;
mod invites;
mod issued;
mod own;
mod reload;
mod renew;
#[cfg(test)]
mod renew_tests;
mod succession;
#[cfg(test)]
mod tests;
pub mod tls;
mod verifier;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use authority::Given;
pub use cameras::accept_view;
pub use devices::{AddDevice, Added, Expected, Listed, Removed, add, list, remove};
pub(crate) use devices::{lock_home, write_config};
pub use floor::{Floor, read_floor};
pub use home::{NewHome, create, create_under};
pub(crate) use identity::ENROLMENT_URN;
pub use identity::{IdentityError, PeerIdentity, identity};
pub(crate) use invite::sha256;
pub use invite::{Invited, Judged, NotEnrolled, invite, invites, judge, locators, never_came, server_ca};
pub use invites::{Invitation, InvitationState};
pub use issued::{Issued, IssuedRow};
pub use own::renew_own;
pub use reload::{Told, stop_gateway, tell_gateway};
pub use renew::{NotRenewed, Renewal, first_used, renew, waiting};
pub use succession::{Key, Superseded, supersede};

/// Life of both authorities, in days (20 years): longer than the box. Their keys never leave `pki/`; a shorter life would
/// end with every device of the home having to be visited.
pub const CA_DAYS: i64 = 20 * 365;

/// Life of the gateway's own certificates, in days (10 years). The key that could sign new ones lies in the same folder, so a short
/// life protects nothing, and an ended one would silence every device at once, also those whose own clock is years ahead. The
/// gateway makes them again by itself when a third is left ([`renew_own`]): a box may lie in a cupboard for three years before that.
pub const GATEWAY_DAYS: i64 = 10 * 365;

/// Life of a device's certificate, in days: a yearly visit and five weeks. A lost device is out within that time even if
/// nobody removed it; renewal at two thirds (267 days) leaves four months for a device that is away.
pub const DEVICE_DAYS: i64 = 400;

/// A device's certificate is valid from this long before it was made, in milliseconds: clocks of a day ago still take it.
pub const BACKDATE_MS: i64 = 24 * 60 * 60 * 1_000;

/// A clock that shows less than this (2026-01-01, UTC milliseconds) has been lost: lives are counted from here instead,
/// as a certificate made "in 1970" would have ended before its first use.
pub const CLOCK_FLOOR_MS: i64 = 1_767_225_600_000;

/// The folder in which the service manager passes credentials, where it does (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)).
pub fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// Where one of the home's private keys is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlace {
    pub name: &'static str,
    pub path: PathBuf,
    /// Passed by the service manager, not a file in `pki/`.
    pub is_credential: bool,
    pub state: KeyState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Private,
    /// Users other than its owner may read it.
    Open,
    Missing,
}

/// The home's keys and certificates: `pki/` beside vaka.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    dir: PathBuf,
    /// Where the service manager put the keys that are not to lie in `pki/`.
    credentials: Option<PathBuf>,
}

impl Pki {
    /// The folder `pki` in `home`; its keys may come as systemd credentials instead (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)).
    pub fn beside(home: &Path) -> Pki {
        Pki { dir: home.join("pki"), credentials: credentials() }
    }

    /// With the keys in `folder`, those that are there.
    #[must_use]
    pub fn with_credentials(mut self, folder: Option<&Path>) -> Pki {
        self.credentials = folder.map(Path::to_path_buf);
        self
    }

    /// A private key: the credential of that name, else the file in `pki/`.
    fn key(&self, name: &str) -> PathBuf {
        let given = self.credentials.as_ref().map(|folder| folder.join(name)).filter(|file| file.is_file());
        given.unwrap_or_else(|| self.dir.join(name))
    }

    /// Every private key of the home, and where it is.
    pub fn keys(&self) -> Vec<KeyPlace> {
        let place = |name| {
            let path = self.key(name);
            let state = match std::fs::metadata(&path) {
                Ok(found) if found.permissions().mode() & 0o077 == 0 => KeyState::Private,
                Ok(_) => KeyState::Open,
                Err(_) => KeyState::Missing,
            };
            KeyPlace { name, is_credential: !path.starts_with(&self.dir), path, state }
        };
        ["server.key", "client.key", "server-ca.key", "device-ca.key"].map(place).into()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The authority that every server of this home is judged by; devices carry it as `ca.pem`.
    pub fn server_ca(&self) -> PathBuf {
        self.dir.join("server-ca.pem")
    }

    /// The authority that every device is judged by.
    pub fn device_ca(&self) -> PathBuf {
        self.dir.join("device-ca.pem")
    }

    /// The authorities above it, where the municipality is the root; for those who judge by the root.
    fn device_ca_above(&self) -> PathBuf {
        self.dir.join("device-ca-above.pem")
    }

    fn server_ca_above(&self) -> PathBuf {
        self.dir.join("server-ca-above.pem")
    }

    fn device_ca_key(&self) -> PathBuf {
        self.key("device-ca.key")
    }

    fn server_ca_key(&self) -> PathBuf {
        self.key("server-ca.key")
    }

    /// What devices see of the gateway.
    pub fn server_cert(&self) -> PathBuf {
        self.dir.join("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.key("server.key")
    }

    /// What receivers and hubs see of the gateway.
    pub fn client_cert(&self) -> PathBuf {
        self.dir.join("client.pem")
    }

    pub fn client_key(&self) -> PathBuf {
        self.key("client.key")
    }

    /// Which authority outside the home `client.pem` comes from; absent: the home's own.
    pub fn est(&self) -> PathBuf {
        self.dir.join("est.json")
    }

    /// Whom that authority's server is known by, PEM.
    pub fn est_anchors(&self) -> PathBuf {
        self.dir.join("est-ca.pem")
    }

    /// What a device was given and has not used yet, PEM.
    fn waiting(&self, device: &vaka_protocol::DeviceId, enrolment: u32) -> PathBuf {
        self.dir.join("renewed").join(format!("{device}-{enrolment}.pem"))
    }

    /// The latest time that this gateway knew for certain, UTC milliseconds in decimal.
    pub fn floor(&self) -> PathBuf {
        self.dir.join("floor")
    }

    /// Every device certificate ever issued.
    pub fn issued(&self) -> PathBuf {
        self.dir.join("issued.jsonl")
    }

    /// Every device that is expected with a one-time code.
    pub fn invites(&self) -> PathBuf {
        self.dir.join("invites.jsonl")
    }
}

/// Why nothing was provisioned. The text names the object and the fix.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error("{} already exists; a home is made once, choose another folder", .0.display())]
    HomeExists(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}; restore pki/ from a backup, or pass it as the service's credential", path.display())]
    Certificate { path: PathBuf, source: rcgen::Error },
    #[error("using {} as the authority for {part}: {what}", path.display())]
    Authority { path: PathBuf, part: &'static str, what: String },
    #[error("making a key or certificate: {0}")]
    Crypto(#[from] rcgen::Error),
    #[error("the system's random source failed")]
    Random,
    #[error("making the journal's keys: {0}")]
    Keys(#[from] vaka_seal::KeyError),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("device `{id}` is already a {existing}, not a {wanted}; use --kind {existing}, or remove it first")]
    OtherKind { id: String, existing: crate::config::DeviceKind, wanted: crate::config::DeviceKind },
    #[error("device `{id}` is already there with another {key} ({existing}); change it in vaka.toml")]
    OtherPlace { id: String, key: &'static str, existing: String },
    #[error("device `{0}` needs a folder for its certificate; add --out DIR")]
    NoOut(String),
    #[error("device `{0}` stands behind a bridge and gets no certificate; leave --out away")]
    NeedlessOut(String),
    #[error("device `{0}` stands behind a bridge and gets no certificate; it needs no code")]
    NeedlessCode(String),
    #[error("{0} codes are open; use them, or wait until some have expired (`vaka device invites`)")]
    ManyInvitations(usize),
    #[error("{} already exists; give another folder, or move the old key away first", .0.display())]
    KeyExists(PathBuf),
    #[error("there is no device `{id}` in {}{hint}", file.display())]
    NoDevice { id: String, file: PathBuf, hint: String },
    #[error("there is no camera `{id}` as a [[camera]] in {}{hint}", file.display())]
    NoCamera { id: String, file: PathBuf, hint: String },
    #[error("device `{id}` has no certificate with enrolment {enrolment} in force; see `vaka device show {id}`")]
    NoEnrolment { id: String, enrolment: u32 },
    #[error("bridge `{id}` still speaks for {behind}; remove these first")]
    StillBehind { id: String, behind: String },
    #[error("{} writes its devices as `device = [...]`; rewrite them as [[device]] tables", .0.display())]
    InlineDevices(PathBuf),
}

impl ProvisionError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> ProvisionError {
        move |source| ProvisionError::File { path: path.to_path_buf(), source }
    }
}
