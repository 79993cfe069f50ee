//! The folder of releases, operation by operation, so that a test can cut the power after each.
//!
//! Invariant: a name is one file in one folder; nothing is durable before `sync` and, where a name is new, `sync_folder`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What is asked of a disk.
pub trait Disk {
    /// # Errors
    /// Of kind `NotFound`, where there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read>>;
    /// Length of a file in bytes, 0 where there is none.
    ///
    /// # Errors
    /// Where the disk refuses, as of all below.
    fn length(&self, name: &str) -> io::Result<u64>;
    /// The file has these bytes and no others; others that had it under this name are gone.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Behind what is there; makes the file.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self, name: &str) -> io::Result<()>;
    /// The file can be started by its owner, and by nobody else.
    fn make_program(&self, name: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// No error where there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
    fn names(&self) -> io::Result<Vec<String>>;
    fn sync_folder(&self) -> io::Result<()>;
}

/// A folder of this machine.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder itself need not be there: an absent one is empty.
    pub fn new(path: &Path) -> Folder {
        Folder(path.to_path_buf())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// # Errors
    /// Where it cannot be made.
    pub fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))?;
        self.0.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
    }
}

impl Disk for Folder {
    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(self.path(name))?))
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        match fs::metadata(self.path(name)) {
            Ok(found) => Ok(found.len()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(e),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.path(name), bytes)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().create(true).append(true).open(self.path(name))?.write_all(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn make_program(&self, name: &str) -> io::Result<()> {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o700))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}
