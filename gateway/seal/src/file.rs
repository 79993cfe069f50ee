//! Replacing a small file of secrets: the new one is durable first, then what stood in the old one is overwritten.
//!
//! Enters: a path, bytes. Leaves: that file. A crash at any point leaves one whole version under the name; what may be left beside it
//! (`.new`, `.old`) is overwritten by [`clean`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

use crate::{KeyError, READ_AGAIN_AFTER, READS_MAX};

/// errno(3): the disk has failed at it.
pub(crate) const EIO: i32 = 5;

fn at<'a>(attempt: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeyError + 'a {
    move |source| KeyError::File { attempt, path: path.to_owned(), source }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// What the file says, whole. A reading that the disk fails at, or that ends early, is done again.
///
/// # Errors
/// As [`fs::read`]: what has failed each time, and is not known to be damaged.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_again(|| {
        let length = fs::metadata(path)?.len();
        let bytes = fs::read(path)?;
        if bytes.len() as u64 >= length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    })
}

/// [`read`] of text; what is none is [`io::ErrorKind::InvalidData`].
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn read_again(mut read: impl FnMut() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut tries = 1;
    loop {
        match read() {
            Err(error) if tries < READS_MAX && may_pass(&error) => tries += 1,
            other => return other,
        }
        // Nobody wakes it: at a start or in a command of its own, where no alarm waits behind it.
        std::thread::park_timeout(READ_AGAIN_AFTER);
    }
}

/// Another reading may go well. One that is not there, or not allowed, is so the next moment too.
fn may_pass(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EIO)
        || matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof | io::ErrorKind::StaleNetworkFileHandle
        )
}

/// The file says `bytes`, readable by its owner alone, and what it said before is overwritten where it lay. `Some`: why it is not overwritten,
/// and lies beside the new one.
///
/// # Errors
/// [`KeyError`]; then the file says what it said.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<Option<KeyError>, KeyError> {
    clean(path)?;
    let (new, old) = (beside(path, ".new"), beside(path, ".old"));
    // Held before anything changes: what may not be overwritten is not replaced.
    let before = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(at("opening", path))?),
    };
    write_new(&new, bytes)?;
    if before.is_some() {
        // A second name, so that the old bytes can still be found after the new file has taken its place.
        fs::hard_link(path, &old).map_err(at("keeping the old", path))?;
    }
    name(&new, path).inspect_err(|_| {
        // Nobody may go by what a power cut could undo.
        let _ = fs::rename(&old, path);
    })?;
    Ok(before.and_then(|before| shred_held(&before, &old).err()))
}

/// As [`replace`] where there is no file yet; what lies beside it stays, but for a [`new_of`] that a crash left.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let new = new_of(path);
    shred(&new)?;
    write_new(&new, bytes)?;
    name(&new, path)
}

/// Where a file is written before it has its name.
pub(crate) fn new_of(path: &Path) -> PathBuf {
    beside(path, ".new")
}

pub(crate) fn name(new: &Path, path: &Path) -> Result<(), KeyError> {
    fs::rename(new, path).map_err(at("renaming", new))?;
    sync_folder(path)
}

fn write_new(new: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(new).map_err(at("creating", new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at("writing", new))
}

/// Overwrites what a crash left of an earlier [`replace`].
pub(crate) fn clean(path: &Path) -> Result<(), KeyError> {
    let (new, old) = (beside(path, ".new"), beside(path, ".old"));
    // Linked, and not yet replaced: the same file under both names, and it is the one that counts.
    if is_same(path, &old) {
        fs::remove_file(&old).map_err(at("removing", &old))?;
    }
    // One that cannot be overwritten spares the other nothing.
    let first = shred(&new);
    shred(&old).and(first)
}

/// What of an earlier [`replace`] lies beside this file; for a moment also while one is under way.
pub fn leftovers(path: &Path) -> Vec<PathBuf> {
    [".new", ".old"]
        .map(|suffix| beside(path, suffix))
        .into_iter()
        .filter(|left| left.symlink_metadata().is_ok())
        .collect()
}

/// What cannot be used is kept under another name (`.damaged`, `.damaged-2`), never overwritten. `None`: it is not there.
pub fn set_aside(path: &Path) -> Result<Option<PathBuf>, KeyError> {
    let names = (1..).map(|n| beside(path, &if n == 1 { ".damaged".to_owned() } else { format!(".damaged-{n}") }));
    for aside in names {
        if aside.symlink_metadata().is_ok() {
            continue;
        }
        return match fs::rename(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(at("keeping aside", path)(source)),
            Ok(()) => sync_folder(path).map(|()| Some(aside)),
        };
    }
    Ok(None)
}

/// What [`set_aside`] has kept of this file, the newest first.
pub fn kept_aside(path: &Path) -> Vec<PathBuf> {
    let first = beside(path, ".damaged");
    let more = (2..).map(|n| beside(path, &format!(".damaged-{n}")));
    let mut kept: Vec<PathBuf> = std::iter::once(first).chain(more).take_while(|aside| aside.exists()).collect();
    kept.reverse();
    kept
}

fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    id(one).is_some_and(|id_of_one| Some(id_of_one) == id(other))
}

/// Random bytes in place of a file's, on the disk; then its name goes.
fn shred(path: &Path) -> Result<(), KeyError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at("opening", path))?,
    };
    shred_held(&file, path)
}

/// [`shred`] of one that is open for writing.
fn shred_held(file: &File, path: &Path) -> Result<(), KeyError> {
    let length = file.metadata().map_err(at("measuring", path))?.len().div_ceil(4_096) * 4_096;
    let mut noise = vec![0; usize::try_from(length).unwrap_or(0)];
    SystemRandom::new().fill(&mut noise).map_err(|_| KeyError::Random)?;
    file.write_all_at(&noise, 0).and_then(|()| file.sync_data()).map_err(at("overwriting", path))?;
    fs::remove_file(path).map_err(at("removing", path))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> Result<(), KeyError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("syncing", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_fails_is_done_again_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        fs::write(&path, "whole").unwrap();
        let eio = || io::Error::from_raw_os_error(EIO);
        for passing in [eio(), io::ErrorKind::Interrupted.into(), io::ErrorKind::UnexpectedEof.into()] {
            let mut first = Some(passing);
            assert_eq!(read_again(|| first.take().map_or_else(|| read(&path), Err)).unwrap(), b"whole");
        }
        let mut tries = 0;
        let mut failing = |error: fn() -> io::Error| {
            tries = 0;
            let told = read_again(|| {
                tries += 1;
                Err(error())
            });
            (told.unwrap_err().to_string(), tries)
        };
        assert_eq!(failing(|| io::Error::from_raw_os_error(EIO)), (eio().to_string(), READS_MAX));
        assert_eq!(failing(|| io::ErrorKind::NotFound.into()).1, 1);
        // The kernel refuses every reading at this place of a process's memory with EIO.
        assert_eq!(read(Path::new("/proc/self/mem")).unwrap_err().raw_os_error(), Some(EIO));
        assert!(matches!(read_text(&path).as_deref(), Ok("whole")));
    }

    #[test]
    fn what_stood_there_before_is_overwritten_where_it_lay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        replace(&path, b"the secret of r1").unwrap();
        // A second name shows what became of the bytes.
        let witness = dir.path().join("witness");
        fs::hard_link(&path, &witness).unwrap();
        replace(&path, b"nothing").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"nothing");
        let bytes = fs::read(&witness).unwrap();
        assert!(bytes.len() == 4_096 && !bytes.windows(6).any(|part| part == b"secret"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_may_not_be_overwritten_is_not_replaced_and_what_then_cannot_be_is_left_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        // Nobody may write to a program that runs, also not root.
        fs::copy("/bin/sleep", &path).unwrap();
        let mut runs = std::process::Command::new(&path).arg("60").spawn().unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(replace(&path, b"new"), Err(KeyError::File { attempt: "opening", .. })));
        assert!(fs::read(&path).unwrap() == before && leftovers(&path).is_empty());
        runs.kill().unwrap();
        runs.wait().unwrap();
        assert!(matches!(replace(&path, b"new"), Ok(None)));
        // Opens for writing, and no write to it ever comes to rest.
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        assert!(matches!(replace(&path, b"newer"), Ok(Some(_))));
        assert_eq!((fs::read(&path).unwrap(), leftovers(&path)), (b"newer".to_vec(), vec![beside(&path, ".old")]));
    }

    #[test]
    fn a_crash_at_any_point_leaves_one_whole_file_and_no_old_bytes_after_the_next_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let (new, old) = (beside(&path, ".new"), beside(&path, ".old"));
        // Written aside, half.
        fs::write(&path, "one").unwrap();
        fs::write(&new, "tw").unwrap();
        clean(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), new.exists()), (b"one".to_vec(), false));
        // Linked, not renamed: the file that counts must not be overwritten under its second name.
        fs::hard_link(&path, &old).unwrap();
        fs::write(&new, "two").unwrap();
        clean(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), old.exists(), new.exists()), (b"one".to_vec(), false, false));
        // Renamed, the old one not yet overwritten.
        fs::write(&old, "secret").unwrap();
        let witness = dir.path().join("witness");
        fs::hard_link(&old, &witness).unwrap();
        clean(&path).unwrap();
        assert!(!old.exists() && !fs::read(&witness).unwrap().starts_with(b"secret"));
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
