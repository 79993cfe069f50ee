//! The end of a home: nothing of it can be read on this disk any more.
//!
//! Enters: a home whose gateway has stopped. Leaves: no home. Every file is overwritten where it lies, synced and removed under a name that
//! says nothing; then the disk's free room is written full once, because what was removed or replaced before (earlier names, journal
//! segments that retention took) lies there. What this cannot reach is said, not promised: [`BEYOND`].
//! Invariant: the keys go first. Absent: files outside the home's folders, which may be the system's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

use crate::config::Config;

/// What no program can promise of flash.
pub const BEYOND: &str = "flash keeps worn blocks that nobody can address: for those only the disk's own erase (blkdiscard -s, or the maker's \
     sanitize), a volume that was encrypted from the first day, or the shredder helps. Names of files may stay in the file system's own journal; \
     they hold ids, no names of people. Backups and what receivers were told are elsewhere. \
     A home's key in the machine's TPM stays there: shred /etc/vaka/home.key.cred too.";

/// Bytes written at once. Source: our choice.
const PIECE_BYTES: usize = 1024 * 1024;

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Erased {
    pub files: u64,
    pub bytes: u64,
    /// Written into the free room.
    pub free_bytes: u64,
}

/// One try that failed: what is there still is named.
#[derive(Debug, thiserror::Error)]
#[error("{attempt} {}: {source}; it is NOT erased, do the same again", path.display())]
pub struct EraseError {
    attempt: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn at<'a>(attempt: &'static str, path: &'a Path) -> impl Fn(io::Error) -> EraseError + 'a {
    move |source| EraseError { attempt, path: path.to_path_buf(), source }
}

/// Erases the home of `config`: its folder, its journal, the names beside it. Its gateway has been stopped and marked as out of use.
/// `fill`: write the free room of its disks full too.
///
/// # Errors
/// [`EraseError`]; what was erased before stays so.
pub fn everything(config: &Config, fill: bool) -> Result<Erased, EraseError> {
    let mut erased = Erased::default();
    let (home, journal) = (&config.home, &config.journal.dir);
    let beside = journal.parent().unwrap_or(home);
    let places = [home, journal].map(|place| place.canonicalize().unwrap_or_else(|_| place.clone()));
    // Keys first: without them most of the rest is noise already.
    let keys = vaka_seal::home::files_beside(journal);
    // A device's key opens every box that is restored from this home.
    for path in &devices_beside(config) {
        gone(path, &mut erased)?;
    }
    for path in [config.pki().dir()].into_iter().chain(keys.iter().map(PathBuf::as_path)) {
        root_gone(path, &mut erased)?;
    }
    for path in [beside.join("names.enc"), journal.clone()] {
        root_gone(&path, &mut erased)?;
    }
    // What says that this home is being erased, and where everything is, stays to the end: a try that failed can be made again.
    let last = [config.file.clone(), crate::backup::retire::mark(home)];
    if let Ok(entries) = fs::read_dir(home) {
        for entry in entries {
            let path = entry.map_err(at("looking into", home))?.path();
            if !last.iter().any(|one| one.file_name() == path.file_name()) {
                gone(&path, &mut erased)?;
            }
        }
    }
    if fill {
        let mut disks: Vec<(u64, PathBuf)> = Vec::new();
        for gone in &places {
            let Some(folder) = gone.ancestors().skip(1).find(|folder| folder.is_dir()) else { continue };
            let disk = rustix::fs::stat(folder).map_err(|e| at("looking at", folder)(e.into()))?.st_dev;
            if disks.iter().all(|(known, _)| *known != disk) {
                disks.push((disk, folder.to_path_buf()));
            }
        }
        for (_, folder) in disks {
            erased.free_bytes += fill_up(&folder)?;
        }
    }
    for path in last {
        gone(&path, &mut erased)?;
    }
    root_gone(home, &mut erased)?;
    Ok(erased)
}

/// Folders beside the home with a device's key, as `vaka device add --out` makes them: by the authority that lies there too, which is this home's.
fn devices_beside(config: &Config) -> Vec<PathBuf> {
    let Ok(authority) = fs::read(config.pki().server_ca()) else { return Vec::new() };
    let home = config.home.canonicalize().unwrap_or_else(|_| config.home.clone());
    let is_devices = |path: &PathBuf| {
        *path != home && path.join("key.pem").is_file() && fs::read(path.join("ca.pem")).is_ok_and(|ca| ca == authority)
    };
    let beside = home.parent().map(fs::read_dir).into_iter().flatten().flatten().flatten();
    beside.map(|entry| entry.path()).filter(is_devices).collect()
}

/// A folder that vaka.toml names: where it is a link, what it leads to goes first.
fn root_gone(path: &Path, erased: &mut Erased) -> Result<(), EraseError> {
    if path.is_symlink()
        && let Ok(real) = path.canonicalize()
    {
        gone(&real, erased)?;
    }
    gone(path, erased)
}

fn gone(path: &Path, erased: &mut Erased) -> Result<(), EraseError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at("looking at", path)(error)),
    };
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(at("looking into", path))? {
            gone(&entry.map_err(at("looking into", path))?.path(), erased)?;
        }
        let bare = nameless(path)?;
        return fs::remove_dir(&bare).map_err(at("removing", &bare));
    }
    if found.is_file() {
        overwrite(path, found.len()).map_err(at("overwriting", path))?;
        erased.files += 1;
        erased.bytes += found.len();
    }
    let bare = nameless(path)?;
    fs::remove_file(&bare).map_err(at("removing", &bare))
}

/// Random bytes in place of a file's, up to the end of its last block; on the disk when this returns.
fn overwrite(path: &Path, bytes: u64) -> io::Result<()> {
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            OpenOptions::new().write(true).open(path)?
        }
        opened => opened?,
    };
    let (end, mut from) = (bytes.div_ceil(4_096) * 4_096, 0);
    while from < end {
        let piece = noise(usize::try_from(end - from).unwrap_or(PIECE_BYTES).min(PIECE_BYTES))?;
        file.write_all_at(&piece, from)?;
        from += piece.len() as u64;
    }
    file.sync_all()
}

fn noise(bytes: usize) -> io::Result<Vec<u8>> {
    let mut noise = vec![0; bytes];
    SystemRandom::new().fill(&mut noise).map_err(|_| io::Error::other("no randomness from the operating system"))?;
    Ok(noise)
}

/// The same thing under a name that says nothing.
fn nameless(path: &Path) -> Result<PathBuf, EraseError> {
    let mut number = 0_u64;
    loop {
        let bare = path.with_file_name(format!("{number:x}"));
        if bare == path {
            return Ok(bare);
        }
        if bare.symlink_metadata().is_err() {
            fs::rename(path, &bare).map_err(at("renaming", path))?;
            return Ok(bare);
        }
        number += 1;
    }
}

/// Writes until the disk is full, syncs, and gives the room back.
fn fill_up(folder: &Path) -> Result<u64, EraseError> {
    let path = folder.join("vaka-erase");
    let filled = (|| {
        // Blocks of what was removed are free only when the file system has committed that; until then nothing can be written over them.
        rustix::fs::syncfs(File::open(folder)?)?;
        let mut file = File::create(&path)?;
        let (mut written, mut size) = (0_u64, PIECE_BYTES);
        let piece = vec![0xff; PIECE_BYTES];
        while size > 0 {
            match file.write(&piece[..size]) {
                Ok(0) => break,
                Ok(bytes) => written += bytes as u64,
                // The last blocks are smaller than a piece.
                Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    size /= 2
                }
                Err(error) => return Err(error),
            }
        }
        file.sync_all()?;
        Ok(written)
    })();
    // Given back whatever happened: a full disk would stop everything else on the machine.
    let removed = fs::remove_file(&path);
    let written = filled.map_err(at("filling the free room by", &path))?;
    removed.map_err(at("removing", &path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("syncing", folder))?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_goes_with_its_contents_names_and_links_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (home, other) = (dir.path().join("home"), dir.path().join("other"));
        fs::create_dir_all(home.join("a/b")).unwrap();
        fs::write(home.join("a/b/key"), "secret").unwrap();
        fs::write(home.join("0"), vec![1; 9_000]).unwrap();
        fs::write(&other, "stays").unwrap();
        std::os::unix::fs::symlink(&other, home.join("link")).unwrap();
        // A second name shows what became of the bytes.
        fs::hard_link(home.join("a/b/key"), dir.path().join("witness")).unwrap();
        let mut erased = Erased::default();
        gone(&home, &mut erased).unwrap();
        assert_eq!((erased.files, erased.bytes), (2, 9_006));
        assert!(!home.exists());
        assert_eq!(fs::read_to_string(&other).unwrap(), "stays");
        let witness = fs::read(dir.path().join("witness")).unwrap();
        assert!(witness.len() == 4_096 && !witness.windows(6).any(|part| part == b"secret"));
        gone(&home, &mut erased).unwrap();
    }

    #[test]
    fn a_journal_behind_a_link_goes_with_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("ssd"), dir.path().join("journal"));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("segment"), "Karin").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut erased = Erased::default();
        root_gone(&link, &mut erased).unwrap();
        assert!(!real.exists() && link.symlink_metadata().is_err() && erased.files == 1);
    }
}
