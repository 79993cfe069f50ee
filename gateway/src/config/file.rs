//! The shape of vaka.toml as it is written. Every value keeps its place in the text, so that a complaint can name the line.
//!
//! Words that stand for a choice (lanes, kinds, roles) are text here and become types in `check`, which can suggest the nearest.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::check::care;

type Text = Spanned<String>;
type Number = Spanned<i64>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub gateway: Gateway,
    pub ingest: Ingest,
    pub enrol: Option<Listen>,
    #[serde(default)]
    pub journal: Journal,
    pub backup: Option<Backup>,
    pub retention: Option<Retention>,
    #[serde(default)]
    pub receiver: Vec<Spanned<Receiver>>,
    #[serde(default)]
    pub route: Vec<Spanned<Route>>,
    #[serde(default)]
    pub device: Vec<Spanned<Device>>,
    #[serde(default)]
    pub resident: Vec<Resident>,
    /// What is agreed for whoever has no table of their own.
    pub night: Option<Spanned<care::night::Table>>,
    pub presence: Option<Spanned<care::presence::Table>>,
    #[serde(default)]
    pub fence: Vec<Spanned<care::place::Table>>,
    #[serde(default)]
    pub dose: Vec<Spanned<care::dose::Table>>,
    #[serde(default)]
    pub reminder: Vec<Spanned<care::reminder::Table>>,
    #[serde(default)]
    pub threshold: Vec<Spanned<care::vital::Table>>,
    pub silence: Option<Spanned<care::silence::Table>>,
    pub power: Option<Spanned<care::power::Table>>,
    #[serde(default)]
    pub camera: Vec<Spanned<Camera>>,
    pub visit: Option<Visit>,
    pub board: Option<Board>,
    pub metrics: Option<Listen>,
    pub otlp: Option<Otlp>,
    pub update: Option<Update>,
    pub firmware: Option<Spanned<Firmware>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Firmware {
    pub listen: Text,
    pub url: Text,
    #[serde(default)]
    pub boards: BTreeMap<String, Text>,
}

/// Days by class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    pub life_days: Option<Number>,
    pub care_days: Option<Number>,
    pub technical_days: Option<Number>,
    pub telemetry_days: Option<Number>,
    pub test_days: Option<Number>,
    pub positions_days: Option<Number>,
    pub looks_days: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Otlp {
    pub to: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    pub url: Text,
    pub keys: Spanned<Vec<Text>>,
    pub ca: Text,
    #[serde(default)]
    pub quiet: Vec<Text>,
}

/// What a technician must find before they go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visit {
    pub signal_min_dbm: Option<Number>,
    pub battery_min_percent: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    pub id: Text,
    pub controller_id: Option<Text>,
    pub time_zone: Option<Text>,
    pub language: Option<Text>,
    pub role: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingest {
    pub listen: Text,
    pub tls_min: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub dir: Option<Text>,
    pub size_max_mib: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    pub recipients: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Receiver {
    pub name: Text,
    pub kind: Text,
    pub url: Text,
    pub cert: Option<Text>,
    pub key: Option<Text>,
    pub ca: Option<Text>,
    pub pin: Option<Text>,
    pub user: Option<Text>,
    pub password_file: Option<Text>,
    pub heartbeat_interval_s: Option<Number>,
    pub received_deadline_ms: Option<Number>,
    pub accepted_deadline_ms: Option<Number>,
    pub claimed_deadline_s: Option<Number>,
    pub orders: Option<Vec<Text>>,
    pub transmitter_code: Option<Text>,
    pub transmitter_type: Option<Text>,
    pub receiver_id: Option<Text>,
    pub transmitter_area: Option<Text>,
    #[serde(default)]
    pub event_codes: BTreeMap<String, Text>,
    pub rotate_password: Option<bool>,
    pub secret_file: Option<Text>,
    pub ping: Option<bool>,
    /// These to `timestamps`: kind `dc09` alone.
    pub account: Option<Text>,
    pub prefix: Option<Text>,
    pub receiver_number: Option<Text>,
    pub protocol: Option<Text>,
    pub key_file: Option<Text>,
    pub extended: Option<Spanned<bool>>,
    pub zones: Option<Spanned<BTreeMap<String, Number>>>,
    pub timestamps: Option<Spanned<bool>>,
    /// Two independent paths are promised to the resident.
    pub two_paths: Option<bool>,
    #[serde(default)]
    pub path: Vec<ReceiverPath>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiverPath {
    pub name: Text,
    pub interface: Option<Text>,
    pub address: Option<Text>,
    pub url: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub lanes: Vec<Text>,
    pub to: Vec<Text>,
    pub days: Option<Vec<Text>>,
    pub from: Option<Text>,
    pub until: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub id: Text,
    pub kind: Text,
    pub room: Option<Text>,
    pub resident: Option<Text>,
    pub via: Option<Text>,
    pub address: Option<Text>,
    pub fixed: Option<bool>,
    pub exit: Option<Spanned<bool>>,
    pub unit: Option<Text>,
    pub unlock: Option<Spanned<Unlock>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unlock {
    pub roles: Vec<Text>,
    pub always: Option<bool>,
    pub open_s: Option<Number>,
    pub consent: Option<Spanned<care::consent::Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resident {
    pub id: Text,
    pub phone: Option<Text>,
    pub unit: Option<Text>,
    pub night: Option<Spanned<care::night::Table>>,
    pub presence: Option<Spanned<care::presence::Table>>,
    pub look: Option<Spanned<care::look::Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Camera {
    pub id: Text,
    pub room: Option<Text>,
    pub look: Text,
    pub snapshot: Option<Text>,
    pub user: Option<Text>,
    pub password_file: Option<Text>,
    pub pin: Option<Text>,
    pub allowed: Option<Spanned<Vec<Text>>>,
    pub wake_s: Option<Number>,
    pub light: Text,
    #[serde(default)]
    pub references: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Board {
    pub listen: Text,
    pub host: Option<Text>,
    pub cert: Option<Text>,
    pub key: Option<Text>,
    pub idle_min: Option<Number>,
    pub one_time_codes: Option<bool>,
    #[serde(default)]
    pub push_services: Vec<Text>,
    pub ntfy: Option<Text>,
    pub push_ca: Option<Text>,
    pub card: Option<BoardCard>,
    pub oidc: Option<BoardOidc>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoardCard {
    pub listen: Text,
    pub ca: Text,
    pub crl: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoardOidc {
    pub issuer: Text,
    pub client_id: Text,
    pub client_secret_file: Option<Text>,
    pub ca: Option<Text>,
    pub acr: Spanned<Vec<Text>>,
    pub claim: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub listen: Text,
}
