//! The publisher's list and its images, as they lie on this box.
//!
//! Enters: the publisher's files. Leaves: a list that is signed, and images whose bytes are those that it names. Invariants: a file has the
//! name of an image only when it was read back whole; a list is judged again at each start; nothing is fetched without room for the journal.

use std::collections::BTreeSet;
use std::io::Read;

use ring::digest::{Context, SHA256};
use vaka_device::update::image::{HEADER_BYTES, Header, padded};
use vaka_update::devices::{Devices, Image, LIST, ListError, SIGNATURE};
use vaka_update::disk::{Disk, Folder};
use vaka_update::fetch::{FetchError, Publisher};
use vaka_update::kept;
use vaka_update::limits::{MANIFEST_BYTES_MAX, SIGNATURE_BYTES_MAX, SYNC_BYTES};
use vaka_update::sign::{self, PublicKey, SignError};

use crate::config::Config;
use crate::limits::FREE_FOR_TELEMETRY;

/// Why there is no list, or no image. The words stand in `vaka device update list`.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("asking the publisher: {0}")]
    Publisher(String),
    #[error("{LIST}: {0}")]
    Sign(#[from] SignError),
    #[error("{SIGNATURE}: it is no text")]
    NoText,
    #[error(transparent)]
    List(#[from] ListError),
    #[error("{LIST} has expired at {0}; the publisher has to sign it again")]
    Expired(jiff::Timestamp),
    #[error("{file}: its bytes are not those that were signed; it is fetched again later, and later each time")]
    Damaged { file: String },
    /// It was brought before, and is not tried again yet.
    #[error("{0}")]
    Wrong(String),
    #[error("{file}: {why}; the publisher has to sign another")]
    NotIt { file: String, why: String },
    #[error(
        "{file} waits for room: {needs} more bytes are needed and {free} are free, of which {kept} are kept for the journal"
    )]
    NoRoom { file: String, needs: u64, free: u64, kept: u64 },
    #[error("keeping firmware in {folder}: {source}")]
    Disk { folder: String, source: std::io::Error },
}

/// The folder and what is known of it.
pub struct Shelf {
    folder: Folder,
}

impl Shelf {
    pub fn new(folder: Folder) -> Shelf {
        Shelf { folder }
    }

    /// The list that was kept; `None`: there is none, or a key that signed it counts no more.
    pub fn kept(&self, keys: &[PublicKey]) -> Option<Devices> {
        kept::read(&self.folder, keys)
    }

    /// Asks the publisher for its list; keeps it where it may follow the one that is known.
    ///
    /// # Errors
    /// [`Trouble`]; the list that is known stays.
    pub async fn ask(
        &self,
        publisher: &Publisher,
        keys: &[PublicKey],
        known: Option<&Devices>,
    ) -> Result<Devices, Trouble> {
        let bytes = publisher.small(LIST, MANIFEST_BYTES_MAX).await?;
        let signature = publisher.small(SIGNATURE, SIGNATURE_BYTES_MAX).await?;
        let text = String::from_utf8(signature).map_err(|_| Trouble::NoText)?;
        sign::verify(keys, &bytes, &text)?;
        let list = Devices::parse(&bytes)?;
        list.follows(known)?;
        if Some(&list) != known {
            self.disk(|folder| {
                folder.make()?;
                kept::write(folder, &bytes, &text)
            })?;
        }
        Ok(list)
    }

    /// SHA-256 of the images of the list that are whole here. Reads no bytes of them: a name is given after that.
    pub fn here(&self, list: Option<&Devices>) -> BTreeSet<String> {
        let images = list.into_iter().flat_map(|list| &list.images);
        let is_here =
            |image: &&Image| self.folder.length(&name(&image.sha256)).is_ok_and(|length| length == image.size);
        images.filter(is_here).map(|image| image.sha256.clone()).collect()
    }

    /// Brings an image, going on where it was cut off.
    ///
    /// # Errors
    /// [`Trouble`]; what came stays, unless it is wrong.
    pub async fn bring(&self, publisher: &Publisher, image: &Image, config: &Config) -> Result<(), Trouble> {
        let part = format!("{}.part", image.sha256);
        let there = self.disk(|folder| {
            folder.make()?;
            let there = folder.length(&part)?;
            if there > image.size {
                folder.remove(&part)?;
            }
            Ok(if there > image.size { 0 } else { there })
        })?;
        if there < image.size {
            self.has_room(image, image.size - there, config)?;
            let mut unsynced = 0;
            let begin = || self.folder.remove(&part);
            let keep = |piece: &[u8]| {
                self.folder.append(&part, piece)?;
                unsynced += piece.len() as u64;
                if unsynced >= SYNC_BYTES {
                    unsynced = 0;
                    self.folder.sync(&part)?;
                }
                Ok(())
            };
            publisher.rest(&image.file, there, image.size, begin, keep).await?;
        }
        let (header, sha256) = self.disk(|folder| hashed(folder, &part))?;
        if sha256 != image.sha256 {
            self.disk(|folder| folder.remove(&part))?;
            return Err(Trouble::Damaged { file: image.file.clone() });
        }
        // It stays as it is: fetched again, it would be the same.
        says(&header, image).map_err(|why| Trouble::NotIt { file: image.file.clone(), why })?;
        self.disk(|folder| {
            folder.sync(&part)?;
            folder.rename(&part, &name(&image.sha256))?;
            folder.sync_folder()
        })
    }

    /// Removes what none of these lists names any more. `kept`: an image that a device fetches still.
    pub fn clear(&self, lists: &[&Devices], kept: Option<&str>) {
        let images = || lists.iter().flat_map(|list| &list.images);
        let is_named = |stem: &str| images().any(|image| image.sha256 == stem) || kept == Some(stem);
        for name in self.folder.names().unwrap_or_default() {
            let stem = name.strip_suffix(".img").or_else(|| name.strip_suffix(".part"));
            if stem.is_some_and(|stem| !is_named(stem)) {
                // Only room is lost where it stays.
                let _ = self.folder.remove(&name);
            }
        }
    }

    pub fn path(&self, sha256: &str) -> std::path::PathBuf {
        self.folder.path(&name(sha256))
    }

    fn disk<T>(&self, work: impl FnOnce(&Folder) -> std::io::Result<T>) -> Result<T, Trouble> {
        let folder = || self.folder.path("").display().to_string();
        work(&self.folder).map_err(|source| Trouble::Disk { folder: folder(), source })
    }

    fn has_room(&self, image: &Image, needs: u64, config: &Config) -> Result<(), Trouble> {
        let disk = self.disk(|folder| rustix::fs::statvfs(folder.path("")).map_err(std::io::Error::from))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let kept = (config.journal.size_max_mib << 20) / FREE_FOR_TELEMETRY;
        if free < needs.saturating_add(kept) {
            return Err(Trouble::NoRoom { file: image.file.clone(), needs, free, kept });
        }
        Ok(())
    }
}

fn name(sha256: &str) -> String {
    format!("{sha256}.img")
}

/// Its first bytes, and its SHA-256.
fn hashed(folder: &Folder, name: &str) -> std::io::Result<([u8; HEADER_BYTES], String)> {
    let mut file = folder.open(name)?;
    let mut header = [0; HEADER_BYTES];
    let (mut hash, mut piece, mut at) = (Context::new(&SHA256), vec![0; 16 * 1024], 0);
    loop {
        let got = file.read(&mut piece)?;
        if got == 0 {
            return Ok((header, vaka_update::hex(hash.finish().as_ref())));
        }
        let bytes = piece.get(..got).unwrap_or_default();
        hash.update(bytes);
        for (to, from) in header.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
        at += got;
    }
}

/// The image says of itself what the list says of it. Who made it is the device's to judge.
fn says(header: &[u8; HEADER_BYTES], image: &Image) -> Result<(), String> {
    let said = Header::parse(header).map_err(|_| "it does not begin as an image of firmware".to_owned())?;
    if said.role != padded(&image.kind) || said.board != padded(&image.board) {
        return Err(format!("it is for another device than a {} on {}", image.kind, image.board));
    }
    let version = image.version.to_string();
    if said.name.as_str() != version {
        return Err(format!("it is version {}, and listed as {version}", said.name.as_str()));
    }
    if said.file_bytes().map(u64::from) != Some(image.size) {
        return Err(format!(
            "its header speaks of {} bytes after it, and it has {} in all",
            said.body_bytes, image.size
        ));
    }
    Ok(())
}

/// An image's bytes say of themselves what the list says of them.
///
/// # Errors
/// In words: what does not match.
pub fn is_as_listed(bytes: &[u8], image: &Image) -> Result<(), String> {
    says(bytes.first_chunk::<HEADER_BYTES>().ok_or("it is shorter than an image's header")?, image)
}

/// What an image file is, for whoever publishes it: kind, board and version.
///
/// # Errors
/// In words: it is no image.
pub fn read_image(bytes: &[u8]) -> Result<(String, String, String), String> {
    let header = bytes.first_chunk::<HEADER_BYTES>().ok_or("it is shorter than an image's header")?;
    let said = Header::parse(header).map_err(|_| "it does not begin as an image of firmware".to_owned())?;
    let text = |name: &[u8]| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    Ok((text(&said.role), text(&said.board), said.name.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_list_names_goes_and_what_a_device_fetches_or_the_next_needs_stays() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(Folder::new(dir.path()));
        let image = |sha256: &str| {
            let (kind, board, file) = ("pendant".into(), "host".into(), format!("{sha256}.img"));
            let version = "1.1.0".parse().unwrap();
            Image { kind, board, version, file, size: 1, sha256: sha256.into(), rings: Vec::new() }
        };
        let list = |sha256: &str| {
            let at = |text: &str| text.parse().unwrap();
            let (made, expires) = (at("2026-11-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
            Devices { v: vaka_update::devices::FORM, made, expires, images: vec![image(sha256)] }
        };
        for name in ["new.part", "before.img", "fetched.img", "over.img", "over.part", "devices.kept"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        shelf.clear(&[&list("new"), &list("before")], Some("fetched"));
        let mut names = shelf.folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["before.img", "devices.kept", "fetched.img", "new.part"]);
    }
}
