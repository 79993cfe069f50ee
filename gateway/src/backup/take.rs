//! Taking a backup beside a running gateway, or of a stopped one.
//!
//! Order: the records first, by open files; then everything else; all of it while no command changes keys, devices or vaka.toml, or erases
//! somebody. So a certificate or a revocation that a record rests on is never older than the record, and the keys of saved folds are those
//! that the records were sealed with: an erasure renews them. The running gateway changes its keys by itself too, as days of retention end: the
//! keys are read before and after the records, and count where they are the same.

use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::Value;
use vaka_archive::{Recipient, Sum, seal};

use super::files::{self, JOURNAL};
use super::{BackupError, Copied, FORMAT, MANIFEST, Manifest, file};
use crate::config::Config;
use crate::journal::copy::{self, Committed};
use crate::pipeline::control::{self, Request};
use crate::provision::lock_home;

/// How often records and keys are taken until both are of one moment. Source: our choice; keys change a few times a day.
const TRIES_MAX: usize = 5;

/// A backup that was taken.
#[derive(Debug)]
pub struct Taken {
    pub manifest: Manifest,
    pub sum: Sum,
}

/// Seals the home of `config` to `recipients`, as `to`. `now_ms`: UTC milliseconds. `retired`: the box is out of use.
///
/// # Errors
/// [`BackupError`]; then there is under `to` what was there before.
pub fn take(
    config: &Config,
    to: &Path,
    recipients: &[Recipient],
    retired: bool,
    now_ms: i64,
) -> Result<Taken, BackupError> {
    open_many();
    let to = &std::path::absolute(to).map_err(file("finding", to))?;
    let mut manifest = None;
    let sum = seal::<BackupError>(to, recipients, |packer| {
        let lock = lock_home(config.pki().dir())?;
        // The keeper takes no such lock: it answers meanwhile.
        let journal = &config.journal.dir;
        let ring = vaka_seal::ring_path(journal);
        let (prefix, keys) = of_one_moment(&ring, to, || Ok(copy::prefix(journal, || committed(journal))?))?;
        let listing = files::list(config, to)?;
        if listing.left_out.iter().any(|left| left.is_loss) {
            keep_the_one_before(to)?;
        }
        let dir = config.journal.dir.strip_prefix(&config.home).unwrap_or(&config.journal.dir);
        let (first_seq, last_seq) = (prefix.first_seq, prefix.last_seq);
        let made = Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            gateway: config.gateway.id.to_string(),
            config: config.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            taken_at: now_ms,
            retired,
            journal: Copied { dir: dir.to_path_buf(), first_seq, last_seq },
            left_out: listing.left_out,
        };
        let said = serde_json::to_vec_pretty(&made).map_err(|e| file("describing", to)(e.into()))?;
        packer.add_bytes(MANIFEST, 0o600, &said)?;
        manifest = Some(made);
        for kept in listing.kept.values() {
            // Never the file as it is now: what it was may be overwritten while it is read.
            if let Some(keys) = keys.as_ref().filter(|_| kept.path == ring) {
                packer.add_bytes(&kept.name, kept.mode, keys)?;
                continue;
            }
            let opened = match File::open(&kept.path) {
                // Written aside, and renamed since the look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(file("opening", &kept.path))?,
            };
            let bytes = opened.metadata().map_err(file("measuring", &kept.path))?.len();
            packer.add(&kept.name, kept.mode, bytes, opened)?;
        }
        drop(lock);
        packer.add_bytes(&format!("{JOURNAL}head"), 0o600, &prefix.head)?;
        for piece in &prefix.pieces {
            packer.add(&format!("{JOURNAL}segments/{}", piece.name), 0o600, piece.bytes, &piece.file)?;
        }
        Ok(())
    })?;
    let manifest =
        manifest.ok_or_else(|| BackupError::NoBackup { path: to.clone(), what: "nothing was packed".into() })?;
    Ok(Taken { manifest, sum })
}

/// What `take` takes, with the keys of that moment; no keys: there are none.
fn of_one_moment<T>(
    ring: &Path,
    to: &Path,
    mut take: impl FnMut() -> Result<T, BackupError>,
) -> Result<(T, Option<Vec<u8>>), BackupError> {
    let read = || match std::fs::read(ring) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(file("reading", ring)),
    };
    for _ in 0..TRIES_MAX {
        let before = read()?;
        let taken = take()?;
        if read()? == before {
            return Ok((taken, before));
        }
    }
    let what = format!("{} changed each time while the records were taken; try again", ring.display());
    Err(BackupError::NoBackup { path: to.to_owned(), what })
}

/// What is missing in this one may stand in the one under its name, which it is about to replace. Kept once: the next nights have no more.
fn keep_the_one_before(to: &Path) -> Result<(), BackupError> {
    let kept = to.with_extension("before-loss.age");
    if !to.exists() || kept.exists() {
        return Ok(());
    }
    // A stick may have a file system without links.
    std::fs::hard_link(to, &kept).or_else(|_| std::fs::copy(to, &kept).map(drop)).map_err(file("keeping", to))
}

/// What the running gateway has on its disk.
fn committed(journal: &Path) -> Option<Committed> {
    let stat = control::request(journal, &Request::Stat)?.ok()?;
    let number = |key: &str| stat["journal"].get(key).and_then(Value::as_u64);
    Some(Committed { first_seq: number("first_seq")?, last_seq: number("next_seq")?.saturating_sub(1) })
}

/// A journal of a terabyte has 131,072 segments, each an open file for as long as it takes.
fn open_many() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, opening says which file was one too many.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a gateway does that lets go of a period while its journal is looked at.
    #[test]
    fn records_are_taken_again_where_the_keys_have_changed_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let (ring, to) = (dir.path().join("keys"), dir.path().join("b.age"));
        let taken = |changes: usize| {
            std::fs::write(&ring, "0").unwrap();
            let mut times = 0;
            let found = of_one_moment(&ring, &to, || {
                times += 1;
                if times <= changes {
                    std::fs::write(&ring, times.to_string()).unwrap();
                }
                Ok(times)
            });
            found.map_err(|e| e.to_string())
        };
        assert_eq!(taken(0), Ok((1, Some(b"0".to_vec()))));
        assert_eq!(taken(2), Ok((3, Some(b"2".to_vec()))));
        let why = taken(usize::MAX).unwrap_err();
        assert!(why.contains("keys changed each time") && why.contains("try again"), "{why}");
        std::fs::remove_file(&ring).unwrap();
        assert_eq!(of_one_moment(&ring, &to, || Ok(7)).map_err(|e| e.to_string()), Ok((7, None)));
    }
}
