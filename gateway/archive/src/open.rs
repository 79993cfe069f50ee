//! Reading: each file in turn, and at the end whether that was all, unchanged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use age::DecryptError;
use ring::digest::{Context, SHA256};

use crate::{ArchiveError, CONTENTS, CONTENTS_BYTES_MAX, Contents, FORMAT, Identity, Row, Sum, hex};

/// A file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, without `..`.
    pub path: String,
    pub mode: u32,
    pub bytes: u64,
}

/// Hands each file to `each`, in the order in which they were packed. What `each` was given counts only once this has returned `Ok`.
///
/// # Errors
/// [`ArchiveError`], or what `each` says.
pub fn open<E: From<ArchiveError>>(
    path: &Path,
    identities: &[Identity],
    mut each: impl FnMut(&Entry, &mut dyn Read) -> Result<(), E>,
) -> Result<Sum, E> {
    let damaged = |what: String| ArchiveError::Damaged { path: path.to_path_buf(), what };
    let unread = |source: io::Error| match source.kind() {
        // Of age or of tar: what is in the file is not what was written.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => damaged(source.to_string()),
        _ => ArchiveError::File { attempt: "reading", path: path.to_path_buf(), source },
    };
    let file = File::open(path).map_err(|source| ArchiveError::File {
        attempt: "opening",
        path: path.to_path_buf(),
        source,
    })?;
    let keys = identities.iter().map(|identity| identity as &dyn age::Identity);
    let opened = age::Decryptor::new_buffered(BufReader::new(file)).and_then(|sealed| sealed.decrypt(keys));
    let stream = opened.map_err(|error| match error {
        DecryptError::NoMatchingKeys => ArchiveError::OtherKey(path.to_path_buf()),
        DecryptError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => unread(source),
        _ => ArchiveError::NotAge(path.to_path_buf()),
    })?;
    let mut tar = tar::Archive::new(stream);
    let (mut seen, mut contents) = (BTreeMap::new(), None);
    for entry in tar.entries().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        let name = plain(&entry.path().map_err(unread)?).ok_or_else(|| damaged("a path leaves the archive".into()))?;
        if contents.is_some() || !entry.header().entry_type().is_file() || seen.contains_key(&name) {
            return Err(damaged(format!("{name} is not what was packed")).into());
        }
        let mode = entry.header().mode().map_err(unread)?;
        let found = Entry { path: name.clone(), mode, bytes: entry.size() };
        if name == CONTENTS {
            let mut list = Vec::new();
            (&mut entry).take(CONTENTS_BYTES_MAX).read_to_end(&mut list).map_err(unread)?;
            let list: Contents = serde_json::from_slice(&list).map_err(|error| damaged(error.to_string()))?;
            contents = Some(list);
            continue;
        }
        let mut summed = Summed { from: entry, sum: Context::new(&SHA256), failed: None };
        let told = each(&found, &mut summed);
        if let Some(error) = summed.failed.take() {
            return Err(unread(error).into());
        }
        told?;
        io::copy(&mut summed, &mut io::sink()).map_err(unread)?;
        seen.insert(name, (found.bytes, hex(summed.sum.finish().as_ref())));
    }
    // What follows the tar is authenticated too: the end of the file among it.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(unread)?;
    let Some(Contents { format, files }) = contents else {
        return Err(damaged("its list of contents is missing".into()).into());
    };
    if format > FORMAT {
        return Err(ArchiveError::Newer { path: path.to_path_buf(), format }.into());
    }
    for Row { path: name, bytes, sha256 } in &files {
        if seen.get(name) != Some(&(*bytes, sha256.clone())) {
            return Err(damaged(format!("{name} is not what was packed")).into());
        }
    }
    if files.len() != seen.len() {
        return Err(damaged("there is more in it than was packed".into()).into());
    }
    Ok(Sum { files: files.len() as u64, bytes: files.iter().map(|row| row.bytes).sum() })
}

/// A path that stays where it is put.
fn plain(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| matches!(part, Component::Normal(_)).then(|| part.as_os_str().to_str())?)
        .collect();
    // As it is written: what is left behind `home//` would be absolute.
    (!text.is_empty() && parts?.join("/") == text).then(|| text.to_owned())
}

struct Summed<R> {
    from: R,
    sum: Context,
    /// The archive's own failure, whatever the caller made of it.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.from.read(bytes) {
            Ok(read) => {
                self.sum.update(&bytes[..read]);
                Ok(read)
            }
            Err(error) => {
                let said = io::Error::new(error.kind(), error.to_string());
                self.failed = Some(error);
                Err(said)
            }
        }
    }
}
