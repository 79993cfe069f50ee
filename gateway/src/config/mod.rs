//! vaka.toml: what a technician has agreed with the resident and the alarm centre.
//!
//! Enters: the file's bytes. Leaves: a [`Config`] in which every path is absolute, every word is a type and every reference
//! points at something, together with loud [`Warning`]s; or every complaint found, each with its line and its fix.
//!
//! Invariant: reading is all or nothing; no bytes, however damaged, panic. Unknown keys are errors. Absent: nothing is opened,
//! bound or connected here, and no secret is kept (a password stays in its file).

mod check;
mod explain;
mod file;
mod kind;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaka_protocol::{DeviceId, Lane};

pub use crate::dispatch::{ReceiverConfig, ReceiverKind, Route};
use crate::rules::care::agreed::Agreed;
use crate::rules::orders::Unlock;
pub use crate::rules::visit::kinds::Thresholds;
pub use kind::{DeviceKind, UnknownKind};

/// Disk the journal may use when nothing is configured, in MiB. Source: DESIGN §5.
pub const JOURNAL_SIZE_MIB: u64 = 512;
/// Smallest journal, in MiB: two segments of 8 MiB, one being written and one settled. Below: nothing could ever be removed whole.
pub const JOURNAL_SIZE_MIB_MIN: u64 = 16;

/// One thing to say about the file: an error's part, or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub file: PathBuf,
    /// Counted from 1; absent when it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong and what to do, in one sentence.
    pub text: String,
}

/// A finding with which the gateway runs, but not as it should: printed loud at every start.
pub type Warning = Finding;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.text),
            None => write!(f, "{}: {}", self.file.display(), self.text),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {source}; {}", file.display(), unread(source))]
    Read { file: PathBuf, source: std::io::Error },
    /// Everything that was found wrong, in the order of the lines.
    #[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Finding>),
}

/// What to do where the file cannot be read.
fn unread(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "the home is another user's, who alone may look in: sudo vaka … goes on as that user"
        }
        _ => "make a home with `vaka init DIR`, or name the file with --config FILE",
    }
}

/// What this gateway is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A box in one home.
    Home,
    /// A service house: hundreds of devices, staff on the network.
    House,
    /// A municipality's server: its devices are gateways.
    Hub,
}

/// Language of what residents and staff read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Sv,
    En,
}

/// Oldest TLS that a device may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TlsMin {
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

#[derive(Debug, Clone)]
pub struct Gateway {
    /// Also its MQTT identity towards a hub.
    pub id: DeviceId,
    /// SCAIP `cid`, digits. Present whenever there is a SCAIP receiver.
    pub controller_id: Option<String>,
    /// Where the resident lives; carries its IANA name.
    pub time_zone: jiff::tz::TimeZone,
    pub language: Language,
    pub role: Role,
}

#[derive(Debug, Clone)]
pub struct Ingest {
    pub listen: SocketAddr,
    pub tls_min: TlsMin,
}

#[derive(Debug, Clone)]
pub struct Journal {
    pub dir: PathBuf,
    pub size_max_mib: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    pub id: DeviceId,
    pub kind: DeviceKind,
    pub room: Option<String>,
    /// An id, never a name.
    pub resident: Option<String>,
    /// The bridge that speaks for it; it has no certificate of its own.
    pub via: Option<DeviceId>,
    /// Its name on the bridge (Zigbee2MQTT: the friendly name). Present exactly when `via` is.
    pub address: Option<String>,
    /// Its button is mounted (SCAIP 0004), not carried (0003). `fixed-trigger` unless the file says otherwise.
    pub fixed: bool,
    /// A door that leads out of the home.
    pub exit: bool,
    /// The group whose staff see it. Absent: its resident's, else everybody's.
    pub unit: Option<String>,
}

/// What people may order of the devices.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// By lock. Absent: nobody opens it through the gateway.
    pub unlock: BTreeMap<DeviceId, Unlock>,
    /// By hub, what its people may order here: keys of [`vaka_protocol::Ordered`].
    pub hubs: BTreeMap<String, BTreeSet<&'static str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resident {
    pub id: String,
    /// `tel:+46…`, where the alarm centre calls back (SCAIP `crd`). Absent: `no-voice:`.
    pub phone: Option<String>,
    /// The group whose staff see them. Absent: everybody's.
    pub unit: Option<String>,
}

/// A camera, as a technician set it up.
#[derive(Debug, Clone)]
pub struct Camera {
    pub id: DeviceId,
    pub room: Option<String>,
    /// What shows the resident that somebody looks.
    pub light: DeviceId,
    /// Without its password, which stays in its file.
    pub(in crate::config) setup: vaka_camera::Setup,
    pub password_file: Option<PathBuf>,
    /// What it saw when a person accepted it, by day and by night.
    pub references: Vec<vaka_camera::Reference>,
}

/// The whole of vaka.toml, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file itself, absolute.
    pub file: PathBuf,
    /// Its folder; relative paths in the file start here.
    pub home: PathBuf,
    pub gateway: Gateway,
    pub ingest: Ingest,
    /// Where new devices come with a one-time code. Absent: nothing listens.
    pub enrol: Option<SocketAddr>,
    pub journal: Journal,
    /// Whom a backup is sealed to: age recipients, `age1…`.
    pub backup: Vec<String>,
    /// How many days records are kept, by class; a class that is absent: as long as the journal's size allows.
    pub retention: crate::pipeline::class::Days,
    /// In the order of the file.
    pub receivers: Vec<ReceiverConfig>,
    pub routes: Vec<Route>,
    pub devices: BTreeMap<DeviceId, Device>,
    pub residents: BTreeMap<String, Resident>,
    pub cameras: BTreeMap<DeviceId, Camera>,
    /// What the care rules go by.
    pub agreed: Arc<Agreed>,
    pub orders: Orders,
    /// What a technician must find before they go; absent values are the kinds' own.
    pub visit: Thresholds,
    /// Absent: no board listens.
    pub board: Option<vaka_board::settings::Settings>,
    /// Absent: no metrics listen.
    pub metrics: Option<SocketAddr>,
    /// The collector of spans on this machine. Absent: none are told.
    pub otlp: Option<SocketAddr>,
    /// Absent: no release is looked for.
    pub update: Option<Update>,
    /// Absent: no firmware is given to the devices.
    pub firmware: Option<Firmware>,
}

/// Where the devices fetch their firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    pub listen: SocketAddr,
    /// The same as the devices reach it, without a slash at its end.
    pub url: String,
    /// The board of a device, as in an image's header, where its kind has more than one.
    pub boards: BTreeMap<DeviceId, String>,
}

/// Where new versions of this program come from.
#[derive(Debug, Clone)]
pub struct Update {
    pub address: vaka_update::fetch::Address,
    /// Whose signature counts: one key, or two while one takes the other's place.
    pub keys: Vec<vaka_update::sign::PublicKey>,
    /// PEM file of the authorities that vouch for the publisher's server.
    pub ca: PathBuf,
    /// Local times in which no update begins.
    pub quiet: Vec<vaka_update::policy::Window>,
}

/// Where the package keeps its home (`deploy/systemd/vaka.service`).
pub const INSTALLED: &str = "/var/lib/vaka/home/vaka.toml";

impl Config {
    /// Which file to read: `--config FILE`, else `$VAKA_CONFIG`, else `./vaka.toml`; where there is none, the installed home's.
    pub fn path_from(flag: Option<&Path>) -> PathBuf {
        let named = flag.map(Path::to_path_buf);
        let from_environment = || std::env::var_os("VAKA_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from);
        let here = || PathBuf::from("vaka.toml");
        let installed = || PathBuf::from(INSTALLED);
        // Another user's home is found too: its error says whose it is.
        let is_shut = |file: &Path| file.metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied);
        let found =
            || Some(here()).filter(|f| f.is_file()).or_else(|| Some(installed()).filter(|f| f.is_file() || is_shut(f)));
        named.or_else(from_environment).or_else(found).unwrap_or_else(here)
    }

    /// Reads and checks `path`.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if there is no such file, [`ConfigError::Invalid`] with every complaint otherwise.
    pub fn load(path: &Path) -> Result<(Config, Vec<Warning>), ConfigError> {
        let bytes = std::fs::read(path).map_err(|source| ConfigError::Read { file: path.to_path_buf(), source })?;
        Config::parse(&bytes, path)
    }

    /// Checks `bytes` as if they stood in `path`. Looks at the disk only to see whether named files exist.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<(Config, Vec<Warning>), ConfigError> {
        let invalid = |line, text| ConfigError::Invalid(vec![Finding { file: path.to_path_buf(), line, text }]);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
            invalid(Some(line), "not UTF-8 text; save the file as UTF-8".to_owned())
        })?;
        let file: file::File = toml::from_str(text).map_err(|error| {
            let (line, said) = explain::explain(text, &error);
            invalid(line, said)
        })?;
        check::check(text, path, file)
    }

    pub fn device(&self, id: &DeviceId) -> Option<&Device> {
        self.devices.get(id)
    }

    pub fn resident(&self, id: &str) -> Option<&Resident> {
        self.residents.get(id)
    }

    pub fn receiver(&self, name: &str) -> Option<&ReceiverConfig> {
        self.receivers.iter().find(|r| r.name == name)
    }

    /// The device that `bridge` calls `address`.
    pub fn device_behind(&self, bridge: &DeviceId, address: &str) -> Option<&Device> {
        self.devices.values().find(|d| d.via.as_ref() == Some(bridge) && d.address.as_deref() == Some(address))
    }

    /// Who is told about `lane`, in the order of the file, each once.
    pub fn receivers_for(&self, lane: Lane) -> Vec<&ReceiverConfig> {
        let mut told: Vec<&ReceiverConfig> = Vec::new();
        for name in self.routes.iter().filter(|r| r.lanes.contains(&lane)).flat_map(|r| &r.to) {
            let receiver = self.receiver(name).filter(|r| !told.iter().any(|t| t.name == r.name));
            told.extend(receiver);
        }
        told
    }

    /// Where updates of the program are kept.
    pub fn releases(&self) -> vaka_update::disk::Folder {
        releases_of(&self.home)
    }

    /// Where firmware of the devices is kept.
    pub fn images(&self) -> vaka_update::disk::Folder {
        vaka_update::disk::Folder::new(&self.home.join("firmware"))
    }

    /// Where the home's certificates and keys are.
    pub fn pki(&self) -> crate::provision::Pki {
        crate::provision::Pki::beside(&self.home)
    }
}

/// Where a home keeps updates of the program.
pub fn releases_of(home: &Path) -> vaka_update::disk::Folder {
    vaka_update::disk::Folder::new(&home.join("releases"))
}

/// The known word nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near = |k: &str| strsim::osa_distance(&word.to_lowercase(), &k.to_lowercase());
    let part = |k: &str| word.len() >= 3 && (k.contains(word) || (k.len() >= 3 && word.contains(k)));
    known
        .into_iter()
        .map(|k| (if part(k) { near(k).min(2) } else { near(k) }, k))
        .filter(|(distance, k)| *distance <= 1 + k.len().max(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}
