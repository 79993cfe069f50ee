//! The transmitter's password: the installer's, or the one that the receiver has given in exchange for it.
//!
//! The receiver takes the old password until it hears the new one, so the new one is on the disk before it is used; after a crash in
//! between, either works. It is kept beside the installer's file, which stays as it is, with the hash of the installer's password:
//! another password in that file (a replaced gateway, a new agreement) makes the kept one void. Source: the public description of
//! pwitab/sos-access.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tokio::sync::{Mutex, MutexGuard};

use super::super::sip::digest::hex;
use super::config::is_password;

/// Two paths to one receiver must not ask at the same time: the second answer would void the first.
static RENEWING: Mutex<()> = Mutex::const_new(());

/// Why a new password could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("keeping the new password in {}: {source}; let the gateway write in that folder", path.display())]
pub(super) struct KeepError {
    path: PathBuf,
    source: std::io::Error,
}

pub(super) struct Password {
    /// The installer's.
    given: String,
    /// Where the exchanged one is kept; none where it is not to be exchanged.
    kept_in: Option<PathBuf>,
}

impl Password {
    /// `given` stands in `file`; with a file it is exchanged at the first contact.
    pub fn new(given: String, file: Option<&Path>) -> Self {
        let kept_in = file.map(|file| {
            let mut name = file.as_os_str().to_owned();
            name.push(".exchanged");
            PathBuf::from(name)
        });
        Self { given, kept_in }
    }

    /// What to say now. Read anew each time: the receiver's other path may have exchanged it.
    pub fn current(&self) -> String {
        self.kept().unwrap_or_else(|| self.given.clone())
    }

    fn kept(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.kept_in.as_ref()?).ok()?;
        let (of, kept) = text.trim_end_matches('\n').split_once('\n')?;
        (of == self.hash() && is_password(kept)).then(|| kept.to_owned())
    }

    fn hash(&self) -> String {
        hex(ring::digest::digest(&ring::digest::SHA256, self.given.as_bytes()).as_ref())
    }

    /// The right to exchange the password, where that is still to be done.
    pub async fn due(&self) -> Option<Renewing<'_>> {
        let file = self.kept_in.as_deref()?;
        if self.kept().is_some() {
            return None;
        }
        let alone = RENEWING.lock().await;
        // The other path may have been first.
        self.kept().is_none().then_some(Renewing { password: self, file, _alone: alone })
    }
}

pub(super) struct Renewing<'a> {
    password: &'a Password,
    file: &'a Path,
    _alone: MutexGuard<'static, ()>,
}

impl Renewing<'_> {
    /// The new password is in use from here on, also after a power cut.
    pub fn keep(&self, new: &str) -> Result<(), KeepError> {
        let text = format!("{}\n{new}\n", self.password.hash());
        let temporary = self.file.with_extension("new");
        let written = || {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, self.file)?;
            let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::File::open(folder)?.sync_all()
        };
        written().map_err(|source| KeepError { path: self.file.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const GIVEN: &str = "installer-12345";
    const NEW: &str = "8usedlb54a234md";

    #[tokio::test]
    async fn an_exchanged_password_lasts_until_the_installer_writes_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sos.pass");
        let password = Password::new(GIVEN.into(), Some(&file));
        assert_eq!(password.current(), GIVEN);
        password.due().await.expect("not exchanged yet").keep(NEW).unwrap();
        assert_eq!(password.current(), NEW);
        assert!(password.due().await.is_none());
        assert_eq!(Password::new(GIVEN.into(), Some(&file)).current(), NEW, "after a restart");
        let replaced = Password::new("installer-67890".into(), Some(&file));
        assert_eq!(replaced.current(), "installer-67890");
        assert!(replaced.due().await.is_some());
        let kept = dir.path().join("sos.pass.exchanged");
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(kept).unwrap().contains(GIVEN));
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_not_used() {
        let password = Password::new(GIVEN.into(), Some(Path::new("/nowhere/at-all/sos.pass")));
        let said = password.due().await.unwrap().keep(NEW).unwrap_err().to_string();
        assert!(said.contains("/nowhere/at-all/sos.pass.exchanged"), "{said}");
        assert_eq!(password.current(), GIVEN);
        assert!(Password::new(GIVEN.into(), None).due().await.is_none(), "not asked to exchange it");
    }
}
