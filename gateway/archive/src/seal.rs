//! Writing: beside the name first, synced, then renamed. A process that is killed leaves the earlier archive whole.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use age::stream::StreamWriter;
use ring::digest::{Context, SHA256};
use rustix::fs::FlockOperation;

use crate::{ArchiveError, CONTENTS, Contents, FORMAT, Recipient, Row, Sum, hex};

/// An archive that is being filled.
pub struct Packer {
    tar: tar::Builder<StreamWriter<BufWriter<File>>>,
    rows: Vec<Row>,
    paths: BTreeSet<String>,
    part: PathBuf,
}

/// Fills an archive by `fill` and puts it under the name `to`, sealed to each of `recipients`; readable by its owner alone.
///
/// # Errors
/// [`ArchiveError`], or what `fill` says; then there is under `to` what was there before.
pub fn seal<E: From<ArchiveError>>(
    to: &Path,
    recipients: &[Recipient],
    fill: impl FnOnce(&mut Packer) -> Result<(), E>,
) -> Result<Sum, E> {
    let mut part = to.as_os_str().to_owned();
    // One name: what a killed process left is written over by the next.
    part.push(".part");
    let part = PathBuf::from(part);
    let file = begin(&part, to)?;
    named(&part, to, pack(file, &part, recipients, fill))
}

/// Whether an archive can be written under the name `to`: asked before something is stopped for it.
///
/// # Errors
/// [`ArchiveError`], as [`seal`] would give it.
pub fn may_seal(to: &Path) -> Result<(), ArchiveError> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    drop(begin(&part, to)?);
    fs::remove_file(&part).map_err(failed("removing", &part))?;
    if to.is_dir() {
        return Err(failed("naming", to)(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    Ok(())
}

/// Puts a few files, as they are, into a tar under the name `to`.
///
/// # Errors
/// [`ArchiveError`]; then there is under `to` what was there before.
pub fn bundle(to: &Path, files: &[(&str, &[u8])]) -> Result<(), ArchiveError> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = begin(&part, to)?;
    let written = (|| {
        let mut tar = tar::Builder::new(BufWriter::new(file));
        for (path, bytes) in files {
            put(&mut tar, path, 0o600, bytes.len() as u64, &mut &bytes[..])?;
        }
        let mut file = tar.into_inner()?;
        file.flush()?;
        file.get_ref().sync_all()
    })();
    named(&part, to, written.map_err(failed("writing", &part)))
}

/// Gives what was written its name, or takes it away.
fn named<T, E: From<ArchiveError>>(part: &Path, to: &Path, written: Result<T, E>) -> Result<T, E> {
    let named = written.and_then(|sum| {
        let renamed = fs::rename(part, to).and_then(|()| {
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        });
        renamed.map_err(failed("naming", to))?;
        Ok(sum)
    });
    if named.is_err() {
        // The error is the one to tell.
        let _ = fs::remove_file(part);
    }
    named
}

fn failed<'a>(attempt: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ArchiveError + 'a {
    move |source| ArchiveError::File { attempt, path: path.to_path_buf(), source }
}

fn begin(part: &Path, to: &Path) -> Result<File, ArchiveError> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(part);
    let file = opened.map_err(failed("creating", part))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| ArchiveError::Busy(to.to_path_buf()))?;
    file.set_len(0).map_err(failed("writing", part))?;
    Ok(file)
}

fn pack<E: From<ArchiveError>>(
    file: File,
    part: &Path,
    recipients: &[Recipient],
    fill: impl FnOnce(&mut Packer) -> Result<(), E>,
) -> Result<Sum, E> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let sealing = age::Encryptor::with_recipients(recipients).map_err(|_| ArchiveError::NoRecipient)?;
    let stream = sealing.wrap_output(BufWriter::new(file)).map_err(failed("writing", part))?;
    let (rows, paths) = (Vec::new(), BTreeSet::new());
    let mut packer = Packer { tar: tar::Builder::new(stream), rows, paths, part: part.to_path_buf() };
    fill(&mut packer)?;
    Ok(packer.finish()?)
}

impl Packer {
    /// Adds `bytes` bytes of `from` as the file `path`, with `mode`.
    ///
    /// # Errors
    /// [`ArchiveError::Shrank`] where `from` has fewer; [`ArchiveError::Twice`]; [`ArchiveError::File`] where the archive cannot be written.
    pub fn add(&mut self, path: &str, mode: u32, bytes: u64, from: impl Read) -> Result<(), ArchiveError> {
        if path == CONTENTS || !self.paths.insert(path.to_owned()) {
            return Err(ArchiveError::Twice { path: path.to_owned() });
        }
        let mut read = Counted { from: from.take(bytes), left: bytes, sum: Context::new(&SHA256), is_short: false };
        let put = put(&mut self.tar, path, mode, bytes, &mut read);
        if read.is_short {
            return Err(ArchiveError::Shrank { path: path.to_owned() });
        }
        put.map_err(failed("writing", &self.part))?;
        self.rows.push(Row { path: path.to_owned(), bytes, sha256: hex(read.sum.finish().as_ref()) });
        Ok(())
    }

    /// [`Packer::add`] of what is in memory.
    ///
    /// # Errors
    /// As [`Packer::add`].
    pub fn add_bytes(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.add(path, mode, bytes.len() as u64, bytes)
    }

    fn finish(mut self) -> Result<Sum, ArchiveError> {
        let sum = Sum { files: self.rows.len() as u64, bytes: self.rows.iter().map(|row| row.bytes).sum() };
        let contents = Contents { format: FORMAT, files: self.rows };
        let part = &self.part;
        let finished = serde_json::to_vec(&contents).map_err(io::Error::from).and_then(|list| {
            put(&mut self.tar, CONTENTS, 0o600, list.len() as u64, &mut list.as_slice())?;
            let mut file = self.tar.into_inner()?.finish()?;
            file.flush()?;
            file.get_ref().sync_all()
        });
        finished.map_err(failed("writing", part))?;
        Ok(sum)
    }
}

fn put<W: Write>(tar: &mut tar::Builder<W>, path: &str, mode: u32, bytes: u64, from: &mut dyn Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(mode);
    header.set_mtime(0);
    tar.append_data(&mut header, path, from)
}

/// Sums up what is read, and says where it ends too early.
struct Counted<R> {
    from: R,
    left: u64,
    sum: Context,
    is_short: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(bytes)?;
        if read == 0 && self.left > 0 && !bytes.is_empty() {
            self.is_short = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.sum.update(&bytes[..read]);
        Ok(read)
    }
}
