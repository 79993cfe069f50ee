//! The head file: written aside, synced, its name exchanged with the old one's, folder synced. Always one whole version on the disk.

use std::io;

use super::disk::Disk;
use super::error::{DiskError, at};
use super::format::{HEAD_BYTES, Head};
use super::paths::Paths;

/// What the head file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadRead {
    Valid(Head),
    Absent,
    Damaged,
}

pub(crate) fn load(disk: &dyn Disk, paths: &Paths) -> Result<HeadRead, DiskError> {
    let file = match disk.open(&paths.head, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HeadRead::Absent),
        other => other.map_err(at("opening", &paths.head))?,
    };
    let mut bytes = [0; HEAD_BYTES];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    Ok(match Head::decode(&bytes[..read]) {
        Some(head) => HeadRead::Valid(head),
        None => HeadRead::Damaged,
    })
}

/// Writes the new version into the older of two files and exchanges their names: on a full disk no block is needed.
pub(crate) fn store(disk: &dyn Disk, paths: &Paths, head: &Head) -> Result<(), DiskError> {
    write_spare(disk, paths, head)?;
    match disk.exchange(&paths.head_new, &paths.head) {
        Ok(()) => {}
        // The first head of a journal, or a file system that cannot.
        Err(_) => {
            disk.rename(&paths.head_new, &paths.head).map_err(at("renaming", &paths.head_new))?;
            let _ = write_spare(disk, paths, head);
        }
    }
    disk.sync_dir(&paths.dir).map_err(at("syncing", &paths.dir))
}

/// Makes sure that the second file is there, with its block.
pub(super) fn keep_spare(disk: &dyn Disk, paths: &Paths, head: &Head) -> Result<(), DiskError> {
    if disk.open(&paths.head_new, false).is_ok() { Ok(()) } else { write_spare(disk, paths, head) }
}

fn write_spare(disk: &dyn Disk, paths: &Paths, head: &Head) -> Result<(), DiskError> {
    let file = match disk.open(&paths.head_new, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&paths.head_new),
        other => other,
    };
    let file = file.map_err(at("creating", &paths.head_new))?;
    file.write_at(&head.encode(), 0).map_err(at("writing", &paths.head_new))?;
    file.sync_all().map_err(at("syncing", &paths.head_new))
}
