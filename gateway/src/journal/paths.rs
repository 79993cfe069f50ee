//! Where things lie in a journal's folder.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub dir: PathBuf,
    /// `<first seq>-<salt>.vaka`, both in hex.
    pub segments: PathBuf,
    /// Copies of what could not be read.
    pub damaged: PathBuf,
    /// Ceiling, floor, boot: see [`super::format::Head`].
    pub head: PathBuf,
    /// The head while it is written; otherwise the one before.
    pub head_new: PathBuf,
    /// Blocks held back for a full disk.
    pub reserve: PathBuf,
    pub lock: PathBuf,
}

impl Paths {
    pub fn new(dir: &Path) -> Paths {
        Paths {
            dir: dir.to_owned(),
            segments: dir.join("segments"),
            damaged: dir.join("damaged"),
            head: dir.join("head"),
            head_new: dir.join("head.new"),
            reserve: dir.join("reserve"),
            lock: dir.join("lock"),
        }
    }
}
