//! Writing that a power cut cannot leave half done: temporary file, fsync, rename, fsync of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::ProvisionError;

pub(crate) const PRIVATE: u32 = 0o600;
pub(crate) const PUBLIC: u32 = 0o644;

/// Puts `bytes` into `path` with `mode`, in place of what was there, all or nothing.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ProvisionError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if let Err(source) = written {
        // Best effort: the error above is the one to tell.
        let _ = fs::remove_file(&new);
        return Err(ProvisionError::File { path: path.to_path_buf(), source });
    }
    sync_folder(path)
}

/// Makes the entry `path` of its folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), ProvisionError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(ProvisionError::file(folder))
}

/// Makes the folder `path`, and those above it, open to this user only.
pub(crate) fn folder(path: &Path) -> Result<(), ProvisionError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(ProvisionError::file(path))?;
    sync_folder(path)
}
