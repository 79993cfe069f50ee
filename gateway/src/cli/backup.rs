//! `vaka backup`, `vaka restore`: a home as one sealed file, and a home of it on another box.

use std::io::ErrorKind as ErrorKindOfIo;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Exit, Failure, local_time, print_json, print_line, print_warnings};
use crate::backup::{BackupError, Manifest, last, restore, retire, take};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::journal::ErrorKind;
use crate::provision::{self, ProvisionError};
use vaka_archive::{ArchiveError, Recipient};

#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// Write the backup here; what was there is replaced when the new one is whole
    #[arg(long, value_name = "FILE", required = true)]
    pub to: Option<PathBuf>,
    /// Seal it to this key, age1…; may be repeated [default: [backup] recipients of vaka.toml]
    #[arg(long = "recipient", value_name = "AGE1")]
    pub recipients: Vec<String>,
    /// This box is being replaced: stop its gateway for good first, so that nothing happens after the backup
    #[arg(long)]
    pub retire: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Read a backup to its end with the private key, and write nothing
    #[command(after_help = "Exit 1 if it is damaged.\nExample:\n  vaka backup check home.age --identity key.txt")]
    Check {
        file: PathBuf,
        /// File of the private key, AGE-SECRET-KEY-1…
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Make a pair of keys: not on the box, but where the municipality keeps its secrets
    #[command(after_help = "Example:\n  vaka backup key --to key.txt")]
    Key {
        /// File of the private key
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    pub file: PathBuf,
    /// File of the private key, AGE-SECRET-KEY-1…
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,
    /// Folder of the new home; it must be empty or not be there
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Go on under the old box's keys: only where the old box is destroyed, and a receiver knows it by its key
    #[arg(long)]
    pub keep_keys: bool,
    #[arg(long)]
    pub json: bool,
}

fn failure(attempt: &str, error: BackupError) -> Failure {
    let exit = match &error {
        BackupError::Archive(error) => match error {
            ArchiveError::File { .. } | ArchiveError::Busy(_) | ArchiveError::Shrank { .. } => Exit::Disk,
            ArchiveError::Recipient(_)
            | ArchiveError::NoRecipient
            | ArchiveError::NoIdentity(_)
            | ArchiveError::OtherKey(_)
            | ArchiveError::Newer { .. } => Exit::Usage,
            ArchiveError::Twice { .. } => Exit::Internal,
            ArchiveError::NotAge(_) | ArchiveError::Damaged { .. } => Exit::FoundWrong,
        },
        BackupError::NoBackup { .. } | BackupError::Unsound(_) => Exit::FoundWrong,
        BackupError::Config(_) | BackupError::HomeExists(_) | BackupError::Newer { .. } => Exit::Usage,
        BackupError::TooMany { .. } | BackupError::NotStopped(_) => Exit::Usage,
        BackupError::Open(error) if error.kind() == ErrorKind::Misuse => Exit::Usage,
        BackupError::Provision(ProvisionError::Certificate { .. }) => Exit::FoundWrong,
        BackupError::File { .. }
        | BackupError::Journal(_)
        | BackupError::Open(_)
        | BackupError::Commit(_)
        | BackupError::Provision(_) => Exit::Disk,
    };
    Failure::new(exit, attempt, error, "")
}

pub fn run(args: BackupArgs, config: &Path) -> Result<Exit, Failure> {
    match args.command {
        Some(BackupCommand::Check { file, identity, json }) => check(&file, &identity, json),
        Some(BackupCommand::Key { to }) => key(&to),
        None => write(args, config),
    }
}

fn write(args: BackupArgs, config: &Path) -> Result<Exit, Failure> {
    let attempt = "make a backup";
    let failed = |error| failure(attempt, error);
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let words = if args.recipients.is_empty() { &config.backup } else { &args.recipients };
    let recipients: Result<Vec<Recipient>, _> = words.iter().map(|word| vaka_archive::recipient(word)).collect();
    let recipients = recipients.map_err(|e| failed(e.into()))?;
    if recipients.is_empty() {
        return Err(failed(ArchiveError::NoRecipient.into()));
    }
    let to = args.to.unwrap_or_default();
    let now_ms = SystemClock::new().now().wall_ms;
    if args.retire {
        // The home must not be without a gateway for a backup that cannot be written.
        vaka_archive::may_seal(&to).map_err(|e| failed(e.into()))?;
        retire::retire(&config, Some(&to), now_ms).map_err(failed)?;
    }
    let taken = take::take(&config, &to, &recipients, args.retire, now_ms).and_then(|taken| match args.retire {
        // Else the other box could read nothing, and this one would not start.
        true if taken.manifest.left_out.iter().any(|left| left.is_loss) => {
            let left: Vec<_> = taken.manifest.left_out.iter().filter(|left| left.is_loss).collect();
            let what = left.iter().map(|left| format!("{} is missing in it ({})", left.path.display(), left.why));
            let what = what.collect::<Vec<_>>().join("; ")
                + "; pass what is a credential, as TPM.md says. This box stays in use";
            Err(BackupError::NoBackup { path: to.clone(), what })
        }
        true => retire::finish(&config, &to, now_ms).map(|()| taken),
        false => Ok(taken),
    });
    let taken = taken.inspect_err(|_| {
        if args.retire {
            retire::take_back(&config);
            eprintln!("vaka: the gateway is stopped and there is no backup: start it again (systemctl start vaka)");
        }
    });
    let taken = taken.map_err(failed)?;
    let lost: Vec<_> = taken.manifest.left_out.iter().filter(|left| left.is_loss).collect();
    // A box that is out of use has no next night.
    if lost.is_empty() && !args.retire {
        let whole = last::Last { at: now_ms, bytes: taken.sum.bytes, to: to.clone() };
        if let Err(e) = last::note(&config.home, &whole) {
            eprintln!("vaka: warning: the backup is whole, and the doctor will not know of it: {e}");
        }
    }
    // Told now, and not on the day on which it is missing.
    let exit = if lost.is_empty() { Exit::Ok } else { Exit::FoundWrong };
    if args.json {
        print_json(&json!({"file": to, "backup": taken.manifest, "sum": taken.sum}))?;
        return Ok(exit);
    }
    for left in &lost {
        print_line(&format!("left out: {} ({})", left.path.display(), left.why))?;
    }
    let (file, files, last) = (to.display(), taken.sum.files, taken.manifest.journal.last_seq);
    let (bytes, many) = (taken.sum.bytes, recipients.len());
    let keys = if many == 1 { "key" } else { "keys" };
    print_line(&format!("{file}: {files} files, {bytes} bytes, records up to {last}, sealed to {many} {keys}"))?;
    if args.retire {
        print_line("this box is out of use: `vaka run` refuses here; restore the backup on the new one")?;
    }
    Ok(exit)
}

fn say(manifest: &Manifest, words: &str) -> Result<(), Failure> {
    let zone = jiff::tz::TimeZone::UTC;
    let (gateway, program) = (&manifest.gateway, &manifest.program);
    let (at, last) = (local_time(manifest.taken_at, &zone), manifest.journal.last_seq);
    print_line(&format!("{gateway}, taken {at} UTC by version {program}, records up to {last}{words}"))
}

/// A name that nothing has is a slip of the hand, not the disk's fault.
fn named(attempt: &str, files: [(&str, &Path); 2]) -> Result<(), Failure> {
    for (what, path) in files {
        if path.metadata().is_err_and(|error| error.kind() == ErrorKindOfIo::NotFound) {
            let why = format!("{} is not there", path.display());
            return Err(Failure::new(Exit::Usage, attempt, why, format!("name the file of {what}")));
        }
    }
    Ok(())
}

fn check(file: &Path, identity: &Path, json: bool) -> Result<Exit, Failure> {
    let attempt = format!("check the backup {}", file.display());
    named(&attempt, [("the backup", file), ("the private key", identity)])?;
    let failed = |error: BackupError| failure(&attempt, error);
    let keys = vaka_archive::identities(identity).map_err(|e| failed(e.into()))?;
    let found = restore::check(file, &keys).map_err(failed)?;
    if json {
        print_json(&json!({"ok": true, "backup": found.manifest, "sum": found.sum}))?;
        return Ok(Exit::Ok);
    }
    say(&found.manifest, "")?;
    print_line(&format!("{} files, {} bytes: every one is whole", found.sum.files, found.sum.bytes))?;
    Ok(Exit::Ok)
}

fn key(to: &Path) -> Result<Exit, Failure> {
    let attempt = "make a key for backups";
    if to.symlink_metadata().is_ok() {
        let fix = "give another name; what was sealed to the old one needs the old one";
        return Err(Failure::new(Exit::Usage, attempt, format!("{} already exists", to.display()), fix));
    }
    let (text, recipient) = vaka_archive::new_identity();
    provision::files::write(to, text.as_bytes(), provision::files::PRIVATE)
        .map_err(|error| failure(attempt, error.into()))?;
    print_line(&format!("{}: the private key; keep it where no box is, twice", to.display()))?;
    print_line(&format!("in each vaka.toml:\n[backup]\nrecipients = [\"{recipient}\"]"))?;
    Ok(Exit::Ok)
}

/// Restores, and says what is left for people to do.
pub fn restored(args: &RestoreArgs) -> Result<Exit, Failure> {
    let attempt = format!("restore the backup {}", args.file.display());
    named(&attempt, [("the backup", &args.file), ("the private key", &args.identity)])?;
    let failed = |error: BackupError| failure(&attempt, error);
    let keys = vaka_archive::identities(&args.identity).map_err(|e| failed(e.into()))?;
    let now = SystemClock::new().now();
    let made = restore::restore(&args.file, &keys, &args.to, args.keep_keys, now).map_err(failed)?;
    if args.json {
        print_json(&made)?;
        return Ok(Exit::Ok);
    }
    print_warnings(&made.warnings);
    say(&made.manifest, &format!("; {} records restored", made.records))?;
    for path in &made.outside {
        print_line(&format!("of elsewhere, put it where vaka.toml looks for it: {}", path.display()))?;
    }
    match &made.identity {
        None => print_line("the old box's keys are in use here: it must never run again")?,
        Some(identity) => {
            print_line("new keys under the same authorities: devices know this box without a visit to each")?;
            let (before, now) = (&identity.client_before.sha256, identity.client.as_ref().map(|key| &key.sha256));
            match now {
                Some(now) => print_line(&format!(
                    "a receiver that knows the gateway by its key must be told: {now} in place of {before}"
                ))?,
                None => print_line(&format!(
                    "the certificate towards receivers is an outside authority's: have the old one ({before}) revoked there, then `vaka identity est`"
                ))?,
            }
        }
    }
    if !made.manifest.retired {
        print_line(
            "the old box was not taken out of use first: switch it off before this one starts; what happened there after the backup is not here",
        )?;
    }
    print_line(&format!("next: vaka check-config {0} && vaka run --config {0}", made.config.display()))?;
    Ok(Exit::Ok)
}
