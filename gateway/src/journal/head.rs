//! The head file: written aside, synced, renamed over the old one, folder synced. Always one whole version on the disk.

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

pub(crate) fn store(disk: &dyn Disk, paths: &Paths, head: &Head) -> Result<(), DiskError> {
    match disk.remove(&paths.head_new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("removing", &paths.head_new)(error)),
        _ => {}
    }
    let file = disk.create(&paths.head_new).map_err(at("creating", &paths.head_new))?;
    file.write_at(&head.encode(), 0).map_err(at("writing", &paths.head_new))?;
    file.sync_all().map_err(at("syncing", &paths.head_new))?;
    disk.rename(&paths.head_new, &paths.head).map_err(at("renaming", &paths.head_new))?;
    disk.sync_dir(&paths.dir).map_err(at("syncing", &paths.dir))
}
