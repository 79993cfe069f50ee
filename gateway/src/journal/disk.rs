//! Everything of the journal that touches the disk goes through [`Disk`], so that tests can put a failing one in its place.
//!
//! Enters: paths, bytes, offsets. Leaves: bytes and `io::Error`. No policy: what a failure means is decided by the journal.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::rand::SecureRandom;

/// A file system, as far as the journal needs one.
pub trait Disk: Send + Sync {
    /// Makes `dir` and its missing parents, and syncs the folder that each new name stands in.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes created, renamed and removed names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of the regular files in `dir`, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A new, empty file; `AlreadyExists` if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// An existing file.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn DiskFile>>;
    /// Atomic; replaces `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Takes the lock that belongs to `path`, or says what its holder wrote there.
    fn lock(&self, path: &Path) -> io::Result<Locked>;
    /// A number that nobody outside can know.
    fn random(&self) -> u32;
    /// Bytes that can still be written below `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Atomic: each of two files gets the other's name.
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()>;
}

/// One open file. Offsets and lengths in bytes.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Send + Sync {
    fn len(&self) -> io::Result<u64>;
    /// Reads at most `bytes.len()`; 0 at the end of the file.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `bytes`, or fails with any part of it written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// fdatasync: contents, and the length as far as reading them needs it.
    fn sync_data(&self) -> io::Result<()>;
    /// fsync: contents and all metadata.
    fn sync_all(&self) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Gives the file its blocks for `bytes` ahead; its length stays. `Unsupported` where the file system cannot.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Bytes of the blocks that the file has.
    fn allocated(&self) -> io::Result<u64>;
}

/// Answer to [`Disk::lock`].
pub enum Locked {
    Mine(Box<dyn DiskLock>),
    /// What the holder noted.
    Held(String),
}

/// A lock held until it is dropped, with a line of text that others can read.
pub trait DiskLock: Send + Sync {
    fn note(&self) -> io::Result<String>;
    /// Replaces the text. Not synced: it has to outlive the process, not the machine.
    fn set_note(&self, text: &str) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

/// The lock file has this size for ever, so that noting a full disk needs no space.
const NOTE_BYTES: usize = 256;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.create_dir(parent)?;
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            other => other?,
        }
        self.sync_dir(parent)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(write).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Locked> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let lock = RealLock(file);
        match rustix::fs::flock(&lock.0, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Locked::Mine(Box::new(lock))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Locked::Held(lock.note().unwrap_or_default())),
            Err(error) => Err(error.into()),
        }
    }

    fn random(&self) -> u32 {
        let mut bytes = [0; 4];
        // Without the kernel's randomness the clock must do: a journal that does not open helps nobody.
        if ring::rand::SystemRandom::new().fill(&mut bytes).is_err() {
            return rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_nsec as u32;
        }
        u32::from_le_bytes(bytes)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(bytes, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::KEEP_SIZE, 0, bytes)?)
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.blocks() * 512)
    }
}

struct RealLock(File);

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is just being started holds the same open file until it is that program.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

impl DiskLock for RealLock {
    fn note(&self) -> io::Result<String> {
        let mut bytes = [0; NOTE_BYTES];
        let read = self.0.read_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes[..read]).trim_end().to_owned())
    }

    fn set_note(&self, text: &str) -> io::Result<()> {
        let mut bytes = [b' '; NOTE_BYTES];
        let length = text.len().min(NOTE_BYTES);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.0.write_all_at(&bytes, 0)
    }
}
