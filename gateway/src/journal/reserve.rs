//! Room that nobody else on the file system can take: a file of nothing but allocated blocks, the next segment in waiting.
//!
//! Enters: a disk with room. Leaves: on a full disk, a segment whose blocks are already there. The blocks never go back
//! to the file system in between: whoever filled it would take them before the press does. What may use the reserve is
//! decided by the pipeline, which by then refuses everything but `life`. Also kept ready: a second head file.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile};
use super::error::{DiskError, at};
use super::paths::Paths;
use super::{Core, Journal, head};

/// State of the room held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    Ready,
    /// In use, or there was no room for it.
    Gone,
    /// Not asked for, or the file system cannot hold blocks back.
    Without,
}

impl Reserve {
    pub fn is_ready(self) -> bool {
        self == Reserve::Ready
    }
}

impl Journal {
    pub fn reserve(&self) -> Reserve {
        self.core.reserve
    }

    /// Holds room back again after a full disk.
    ///
    /// # Errors
    /// Where there is none; nothing is lost by trying.
    pub fn make_reserve(&mut self) -> Result<(), DiskError> {
        self.core.make_reserve()
    }
}

impl Core {
    /// Finds the reserve, or makes it. Best effort: a full disk must not keep the journal shut.
    pub(super) fn find_reserve(&mut self) {
        let disk = &*self.options.disk;
        // A power cut may have given it back its name after it was written to: then it is not empty.
        let is_empty = |file: &dyn DiskFile| file.len().is_ok_and(|len| len == 0);
        let holds = |file: &dyn DiskFile| file.allocated().is_ok_and(|held| held >= self.options.reserve_bytes);
        let whole = |file: Box<dyn DiskFile>| is_empty(&*file) && holds(&*file);
        if self.options.reserve_bytes > 0 && disk.open(&self.paths.reserve, false).is_ok_and(whole) {
            self.reserve = Reserve::Ready;
        } else {
            let _ = self.make_reserve();
        }
    }

    fn make_reserve(&mut self) -> Result<(), DiskError> {
        if self.reserve == Reserve::Ready || self.options.reserve_bytes == 0 {
            return Ok(());
        }
        let disk = &*self.options.disk;
        match make(disk, &self.paths, self.options.reserve_bytes) {
            Ok(()) => {
                self.reserve = Reserve::Ready;
                // A lease of numbers must not need a block either.
                head::keep_spare(disk, &self.paths, &self.head)
            }
            Err(error) => {
                self.reserve =
                    if error.source.kind() == io::ErrorKind::Unsupported { Reserve::Without } else { Reserve::Gone };
                let _ = disk.remove(&self.paths.reserve);
                Err(error)
            }
        }
    }

    /// Gives the reserve the name of a segment, in place of a file of that name that has no room.
    pub(super) fn take_reserve(&mut self, segment: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let disk = &*self.options.disk;
        self.reserve = Reserve::Gone;
        disk.rename(&self.paths.reserve, segment).map_err(at("taking the reserve for", segment))?;
        disk.open(segment, true).map_err(at("opening", segment))
    }
}

fn make(disk: &dyn Disk, paths: &Paths, bytes: u64) -> Result<(), DiskError> {
    match disk.remove(&paths.reserve) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("removing", &paths.reserve)(error)),
        _ => {}
    }
    let file = disk.create(&paths.reserve).map_err(at("creating", &paths.reserve))?;
    file.allocate(bytes).map_err(at("holding room back in", &paths.reserve))?;
    file.sync_all().map_err(at("syncing", &paths.reserve))?;
    disk.sync_dir(&paths.dir).map_err(at("syncing", &paths.dir))
}
