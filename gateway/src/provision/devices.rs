//! `vaka device add|list|remove`: the device's place in vaka.toml and its certificate, kept together.
//!
//! Order on the disk: `issued.jsonl`, then the device's files, then vaka.toml. Cut off anywhere, doing it again completes it.
//! The home is locked meanwhile, so that two technicians never draw the same enrolment number or lose each other's line.

use std::fs::File;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustix::fs::FlockOperation;
use serde::Serialize;
use toml_edit::{ArrayOfTables, Document, DocumentMut, Item, Table, value};
use vaka_protocol::DeviceId;

use super::ENROLMENT_URN;
use super::certificate::{Signed, Start, Subject, end, hex, read_authority};
use super::invites::Invites;
use super::issued::{Issued, IssuedRow, append};
use super::{DEVICE_DAYS, ProvisionError, Told, files, tell_gateway};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Device, DeviceKind, Warning, nearest};

/// What `vaka device add` is asked for.
#[derive(Debug, Clone)]
pub struct AddDevice {
    pub id: DeviceId,
    pub kind: DeviceKind,
    pub room: Option<String>,
    pub resident: Option<String>,
    /// Bridge and the device's name on it.
    pub via: Option<(DeviceId, String)>,
    /// Where cert.pem, key.pem and ca.pem go; none for a device behind a bridge.
    pub out: Option<PathBuf>,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Added {
    pub id: DeviceId,
    pub kind: DeviceKind,
    /// The new certificate; absent behind a bridge.
    pub certificate: Option<IssuedRow>,
    pub out: Option<PathBuf>,
    /// Earlier enrolments of the same device that still work.
    pub earlier: Vec<u32>,
    /// False: it was in vaka.toml before, and has a new certificate.
    pub new: bool,
    pub told: Told,
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Adds a device, or gives an existing one of the same kind its next certificate.
///
/// # Errors
/// [`ProvisionError`]; vaka.toml is either as before or whole.
pub fn add(config_file: &Path, wish: &AddDevice, now_ms: i64) -> Result<Added, ProvisionError> {
    let (config, mut warnings) = Config::load(config_file)?;
    let pki = config.pki();
    let _lock = lock_home(pki.dir())?;
    // Read again under the lock: somebody may just have finished.
    let (config, text) = (Config::load(config_file)?.0, read(config_file)?);
    let existing = config.device(&wish.id);
    if let Some(device) = existing {
        same_place(device, wish)?;
    }
    let new_text = match existing {
        Some(_) => None,
        None => Some(appended(&text, config_file, wish)?),
    };
    if let Some(new_text) = &new_text {
        warnings = Config::parse(new_text.as_bytes(), config_file)?.1;
    }
    let behind_bridge = wish.via.is_some() || existing.is_some_and(|device| device.via.is_some());
    let (issued, issued_warnings) = Issued::load(&pki.issued())?;
    warnings.extend(issued_warnings);
    let certificate = match (&wish.out, behind_bridge) {
        (None, true) => None,
        (Some(_), true) => return Err(ProvisionError::NeedlessOut(wish.id.to_string())),
        (None, false) => return Err(ProvisionError::NoOut(wish.id.to_string())),
        (Some(out), false) => Some(certify(&config, &issued, &wish.id, out, now_ms)?),
    };
    if let Some(new_text) = new_text.as_ref() {
        write_config(config_file, new_text)?;
    }
    Ok(Added {
        id: wish.id.clone(),
        kind: wish.kind,
        certificate,
        out: wish.out.clone(),
        earlier: in_force(&issued, &wish.id).iter().map(|row| row.enrolment).collect(),
        new: existing.is_none(),
        told: tell_gateway(&config.journal.dir.join("lock")),
        warnings,
    })
}

/// A device that will come for its certificate by itself.
#[derive(Debug, Clone)]
pub struct Expected {
    /// False: it was in vaka.toml before.
    pub new: bool,
    pub told: Told,
    pub warnings: Vec<Warning>,
}

/// Puts a device into vaka.toml without a certificate. `book` is called under the home's lock before, when all that can be wrong with the
/// wish has been found.
///
/// # Errors
/// [`ProvisionError`], `book`'s too; vaka.toml is either as before or whole.
pub(super) fn expect(
    config_file: &Path,
    wish: &AddDevice,
    book: impl FnOnce(&Config) -> Result<Vec<Warning>, ProvisionError>,
) -> Result<Expected, ProvisionError> {
    let pki = Config::load(config_file)?.0.pki();
    let _lock = lock_home(pki.dir())?;
    let ((config, mut warnings), text) = (Config::load(config_file)?, read(config_file)?);
    let existing = config.device(&wish.id);
    if let Some(device) = existing {
        same_place(device, wish)?;
    }
    if existing.is_some_and(|device| device.via.is_some()) {
        return Err(ProvisionError::NeedlessCode(wish.id.to_string()));
    }
    let new_text = match existing {
        Some(_) => None,
        None => Some(appended(&text, config_file, wish)?),
    };
    if let Some(new_text) = &new_text {
        warnings = Config::parse(new_text.as_bytes(), config_file)?.1;
    }
    warnings.extend(book(&config)?);
    if let Some(new_text) = &new_text {
        write_config(config_file, new_text)?;
    }
    Ok(Expected { new: existing.is_none(), told: tell_gateway(&config.journal.dir.join("lock")), warnings })
}

fn same_place(device: &Device, wish: &AddDevice) -> Result<(), ProvisionError> {
    if device.kind != wish.kind {
        return Err(ProvisionError::OtherKind { id: wish.id.to_string(), existing: device.kind, wanted: wish.kind });
    }
    let via = wish.via.as_ref();
    for (key, wanted, existing) in [
        ("room", wish.room.as_deref(), device.room.as_deref()),
        ("resident", wish.resident.as_deref(), device.resident.as_deref()),
        ("via", via.map(|(bridge, _)| bridge.as_ref()), device.via.as_ref().map(AsRef::as_ref)),
        ("address", via.map(|(_, address)| address.as_str()), device.address.as_deref()),
    ] {
        if wanted.is_some() && wanted != existing {
            let existing = existing.map_or("none".to_owned(), |text| format!("`{text}`"));
            return Err(ProvisionError::OtherPlace { id: wish.id.to_string(), key, existing });
        }
    }
    Ok(())
}

fn certify(
    config: &Config,
    issued: &Issued,
    id: &DeviceId,
    out: &Path,
    now_ms: i64,
) -> Result<IssuedRow, ProvisionError> {
    let pki = config.pki();
    let key = out.join("key.pem");
    if key.symlink_metadata().is_ok() {
        return Err(ProvisionError::KeyExists(key));
    }
    let ca = read_authority(&pki.device_ca(), &pki.device_ca_key())?;
    let server_ca = read(&pki.server_ca())?;
    let enrolment = issued.next_enrolment(id);
    let (pair, made) = end(&ca, device_subject(id, enrolment)?, now_ms)?;
    let row = row(id, enrolment, &made, now_ms);
    files::folder(out)?;
    append(&pki.issued(), std::slice::from_ref(&row))?;
    files::write(&out.join("ca.pem"), server_ca.as_bytes(), files::PUBLIC)?;
    files::write(&out.join("cert.pem"), made.pem.as_bytes(), files::PUBLIC)?;
    files::write(&key, pair.serialize_pem().as_bytes(), files::PRIVATE)?;
    Ok(row)
}

/// What the certificate of a device says.
pub(super) fn device_subject(id: &DeviceId, enrolment: u32) -> Result<Subject<'_>, ProvisionError> {
    let uri = Ia5String::try_from(format!("{ENROLMENT_URN}{enrolment}"))?;
    Ok(Subject {
        name: id.as_ref(),
        usage: ExtendedKeyUsagePurpose::ClientAuth,
        alternatives: vec![SanType::URI(uri)],
        start: Start::Yesterday,
        days: DEVICE_DAYS,
    })
}

/// The list's row of a certificate just signed.
pub(super) fn row(id: &DeviceId, enrolment: u32, signed: &Signed, now_ms: i64) -> IssuedRow {
    IssuedRow {
        id: id.clone(),
        enrolment,
        serial: signed.serial.clone(),
        fingerprint_sha256: hex(ring::digest::digest(&ring::digest::SHA256, &signed.der).as_ref()),
        issued_at: now_ms,
        not_after: signed.not_after,
        revoked_at: None,
        superseded_at: None,
    }
}

/// One device as `list` and `show` print it.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub device: Device,
    /// Oldest first, revoked ones included.
    pub certificates: Vec<IssuedRow>,
}

impl Listed {
    /// The certificate that the device uses: of its last enrolment in force, the oldest.
    pub fn used(&self) -> Option<&IssuedRow> {
        let last = self.certificates.iter().filter(|row| row.is_in_force()).map(|row| row.enrolment).max()?;
        self.certificates.iter().find(|row| row.is_in_force() && row.enrolment == last)
    }

    /// When the last certificate in force runs out, UTC milliseconds; none behind a bridge.
    pub fn not_after(&self) -> Option<i64> {
        self.certificates.iter().filter(|row| row.is_in_force()).map(|row| row.not_after).max()
    }
}

/// Every device of vaka.toml, by id, with its certificates.
pub fn list(config: &Config) -> Result<(Vec<Listed>, Vec<Warning>), ProvisionError> {
    let (issued, warnings) = Issued::load(&config.pki().issued())?;
    let rows = |device: &Device| issued.of(&device.id).into_iter().cloned().collect();
    let listed = config.devices.values().map(|device| Listed { device: device.clone(), certificates: rows(device) });
    Ok((listed.collect(), warnings))
}

/// What `vaka device remove` did.
#[derive(Debug, Clone, Serialize)]
pub struct Removed {
    pub id: DeviceId,
    /// Enrolments that were revoked.
    pub revoked: Vec<u32>,
    /// False: only an enrolment was revoked, the device stays.
    pub gone: bool,
    pub told: Told,
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Revokes a device's certificates and takes it out of vaka.toml; with `enrolment`, revokes that one only.
///
/// # Errors
/// [`ProvisionError`]; for a bridge as long as devices stand behind it.
pub fn remove(
    config_file: &Path,
    id: &DeviceId,
    enrolment: Option<u32>,
    now_ms: i64,
) -> Result<Removed, ProvisionError> {
    let pki = Config::load(config_file)?.0.pki();
    let _lock = lock_home(pki.dir())?;
    let (config, mut warnings) = Config::load(config_file)?;
    let text = read(config_file)?;
    if config.device(id).is_none() {
        let hint = nearest(id.as_ref(), config.devices.keys().map(AsRef::as_ref));
        let hint = hint.map_or("; `vaka device list` names them".into(), |near| format!("; did you mean `{near}`?"));
        return Err(ProvisionError::NoDevice { id: id.to_string(), file: config_file.to_path_buf(), hint });
    }
    let behind: Vec<&str> =
        config.devices.values().filter(|d| d.via.as_ref() == Some(id)).map(|d| d.id.as_ref()).collect();
    if enrolment.is_none() && !behind.is_empty() {
        return Err(ProvisionError::StillBehind { id: id.to_string(), behind: behind.join(", ") });
    }
    let (issued, issued_warnings) = Issued::load(&pki.issued())?;
    let mut rows = in_force(&issued, id);
    if let Some(enrolment) = enrolment {
        rows.retain(|row| row.enrolment == enrolment);
        if rows.is_empty() {
            return Err(ProvisionError::NoEnrolment { id: id.to_string(), enrolment });
        }
    }
    let new_text = match enrolment {
        Some(_) => None,
        None => Some(without(&text, config_file, id)?),
    };
    if let Some(new_text) = &new_text {
        warnings = Config::parse(new_text.as_bytes(), config_file)?.1;
    }
    // What was to be revoked must not come back by a code that is still open.
    let now = crate::clock::Now { wall_ms: now_ms, ..SystemClock::new().now() };
    let (mut invites, _) = Invites::load(&pki.invites())?;
    if !invites.rows().is_empty() {
        invites.cancel(id, now);
        invites.save(&pki.invites(), now)?;
    }
    rows.iter_mut().for_each(|row| row.revoked_at = Some(now_ms));
    if !rows.is_empty() {
        append(&pki.issued(), &rows)?;
    }
    if let Some(new_text) = &new_text {
        write_config(config_file, new_text)?;
    }
    warnings.extend(issued_warnings);
    Ok(Removed {
        id: id.clone(),
        revoked: rows.iter().map(|row| row.enrolment).collect(),
        gone: new_text.is_some(),
        told: tell_gateway(&config.journal.dir.join("lock")),
        warnings,
    })
}

fn in_force(issued: &Issued, id: &DeviceId) -> Vec<IssuedRow> {
    issued.of(id).into_iter().filter(|row| row.is_in_force()).cloned().collect()
}

fn read(path: &Path) -> Result<String, ProvisionError> {
    std::fs::read_to_string(path).map_err(ProvisionError::file(path))
}

/// Keeps who may read the file as it was.
pub(crate) fn write_config(path: &Path, text: &str) -> Result<(), ProvisionError> {
    use std::os::unix::fs::PermissionsExt;
    // Behind a link stands the file that is meant.
    let path = path.canonicalize().map_err(ProvisionError::file(path))?;
    let mode = std::fs::metadata(&path).map_err(ProvisionError::file(&path))?.permissions().mode();
    files::write(&path, text.as_bytes(), mode & 0o777)
}

/// Held until dropped.
pub(crate) fn lock_home(pki: &Path) -> Result<File, ProvisionError> {
    let dir = File::open(pki).map_err(ProvisionError::file(pki))?;
    rustix::fs::flock(&dir, FlockOperation::LockExclusive).map_err(|error| ProvisionError::file(pki)(error.into()))?;
    Ok(dir)
}

/// The text with a `[[device]]` after the last one; all else stays as it was written.
fn appended(text: &str, file: &Path, wish: &AddDevice) -> Result<String, ProvisionError> {
    let damaged = |error: toml_edit::TomlError| ProvisionError::file(file)(std::io::Error::other(error));
    let mut document: DocumentMut = text.parse().map_err(damaged)?;
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    let mut put = |key: &str, text: Option<&str>| {
        if let Some(text) = text {
            table.insert(key, value(text));
        }
    };
    put("id", Some(wish.id.as_ref()));
    put("kind", Some(wish.kind.as_str()));
    put("room", wish.room.as_deref());
    put("resident", wish.resident.as_deref());
    put("via", wish.via.as_ref().map(|(bridge, _)| bridge.as_ref()));
    put("address", wish.via.as_ref().map(|(_, address)| address.as_str()));
    let devices = document.entry("device").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let devices = devices.as_array_of_tables_mut().ok_or_else(|| ProvisionError::InlineDevices(file.to_path_buf()))?;
    devices.push(table);
    Ok(document.to_string())
}

/// The text without the block of `id` and the comment directly above it; every other byte stays.
fn without(text: &str, file: &Path, id: &DeviceId) -> Result<String, ProvisionError> {
    let damaged = |error: toml_edit::TomlError| ProvisionError::file(file)(std::io::Error::other(error));
    let document = Document::parse(text).map_err(damaged)?;
    let inline = || ProvisionError::InlineDevices(file.to_path_buf());
    let devices = document.get("device").and_then(Item::as_array_of_tables).ok_or_else(inline)?;
    let device = devices.iter().find(|d| d.get("id").and_then(Item::as_str) == Some(id.as_ref())).ok_or_else(inline)?;
    let ends = device.iter().filter_map(|(_, item)| item.span()).map(|span| span.end);
    let span = device.span().ok_or_else(inline)?;
    let (start, end) = (span.start, ends.fold(span.end, usize::max));
    // Whole lines: from the header's first column to the end of the last value's line.
    let mut start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    while let Some(above) = text[..start].strip_suffix('\n') {
        let line = above.rfind('\n').map_or(0, |at| at + 1);
        if !above[line..].trim_start().starts_with('#') {
            break;
        }
        start = line;
    }
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    let (before, after) = (&text[..start], &text[end..]);
    // One of the two blank lines around the block goes with it.
    let before = before
        .strip_suffix('\n')
        .filter(|b| b.ends_with('\n') && (after.is_empty() || after.starts_with('\n')))
        .unwrap_or(before);
    Ok(format!("{before}{after}"))
}
