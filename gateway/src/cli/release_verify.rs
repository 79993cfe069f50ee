//! `vaka release verify`: a publisher's folder, judged as a box would.
//!
//! Invariant: what a box would refuse is named; a folder may have releases, firmware of devices, or both, and each with its signature.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use vaka_update::devices::{self, Devices};
use vaka_update::sign::{self, PublicKey};
use vaka_update::{Manifest, hex};

use super::{Exit, Failure, print_line, release};
use crate::firmware;
use crate::update::{MANIFEST, SIGNATURE};

pub fn verify(dir: &Path, keys: &[String]) -> Result<Exit, Failure> {
    judge(dir, keys, release::now())
        .map_err(|why| Failure::new(Exit::FoundWrong, format!("verify the release in {}", dir.display()), why, ""))?
        .iter()
        .try_for_each(|line| print_line(line))?;
    Ok(Exit::Ok)
}

/// What is in the folder, line by line.
///
/// # Errors
/// In words: what a box would not take, and why.
fn judge(dir: &Path, keys: &[String], now: Timestamp) -> Result<Vec<String>, String> {
    let keys: Vec<PublicKey> =
        keys.iter().map(|key| PublicKey::parse(key)).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let (programs, images) = (signed(dir, MANIFEST, SIGNATURE)?, signed(dir, devices::LIST, devices::SIGNATURE)?);
    if programs.is_none() && images.is_none() {
        return Err(format!("neither {MANIFEST} nor {} is there", devices::LIST));
    }
    let mut lines = Vec::new();
    if let Some((bytes, signature)) = programs {
        let comment = sign::verify(&keys, &bytes, &signature).map_err(|e| format!("{MANIFEST}: {e}"))?;
        let manifest = Manifest::parse(&bytes).map_err(|e| e.to_string())?;
        lives(MANIFEST, manifest.expires, now)?;
        for file in &manifest.files {
            whole(dir, &file.file, file.size, &file.sha256)?;
            lines.push(format!("{} {} {} bytes", manifest.version, file.target, file.size));
        }
        lines.push(format!("signed: {comment}"));
    }
    if let Some((bytes, signature)) = images {
        let comment = sign::verify(&keys, &bytes, &signature).map_err(|e| format!("{}: {e}", devices::LIST))?;
        let list = Devices::parse(&bytes).map_err(|e| e.to_string())?;
        lives(devices::LIST, list.expires, now)?;
        for image in &list.images {
            let bytes = whole(dir, &image.file, image.size, &image.sha256)?;
            firmware::is_as_listed(&bytes, image).map_err(|why| format!("{}: {why}", image.file))?;
            lines.push(format!("{} {} {} {} bytes", image.kind, image.board, image.version, image.size));
        }
        lines.push(format!("signed: {comment}"));
    }
    Ok(lines)
}

/// A list and its signature; `None` where neither is there.
fn signed(dir: &Path, list: &str, signature: &str) -> Result<Option<(Vec<u8>, String)>, String> {
    let read = |name: &str| match fs::read(dir.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{name}: {e}")),
    };
    match (read(list)?, read(signature)?) {
        (None, None) => Ok(None),
        (Some(bytes), Some(text)) => Ok(Some((bytes, String::from_utf8_lossy(&text).into_owned()))),
        (Some(_), None) => Err(format!("{list} is there without {signature}: no box takes it; sign it")),
        (None, Some(_)) => Err(format!("{signature} is there without {list}; put the file there that it signs")),
    }
}

fn lives(list: &str, expires: Timestamp, now: Timestamp) -> Result<(), String> {
    if now < expires { Ok(()) } else { Err(format!("{list} has expired at {expires}; sign it again")) }
}

/// The bytes of a file, where they are those that were signed.
fn whole(dir: &Path, name: &str, size: u64, sha256: &str) -> Result<Vec<u8>, String> {
    let bytes = fs::read(dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
    if bytes.len() as u64 != size {
        return Err(format!("{name}: it has {} bytes, and {size} were signed", bytes.len()));
    }
    if hex(digest(&SHA256, &bytes).as_ref()) != sha256 {
        return Err(format!("{name}: its bytes are not those that were signed"));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "release_verify_tests.rs"]
pub(super) mod tests;
