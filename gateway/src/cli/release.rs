//! `vaka release`: for whoever publishes versions. Signatures are minisign's, and minisign's own keys sign as well.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use vaka_update::manifest::{FORM, File, Ring};
use vaka_update::sign::SecretKey;
use vaka_update::{Manifest, Version, hex, machine};

use super::{Exit, Failure, print_line};
use crate::update::{FORMATS, MANIFEST, SIGNATURE, TARGET};

#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Make a key pair: DIR/release.key (secret, keep it off every network) and DIR/release.pub
    Key {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Write release.json, its signature and the programs into a folder for a web server
    #[command(
        disable_version_flag = true,
        after_help = "Run the new version itself for it: it knows which formats it reads and writes. Put release.json.minisig there last.\nExample:\n  vaka release sign --key release.key --version 0.3.0 --ring 5@2026-12-01T08:00:00Z --ring 100@2026-12-08T08:00:00Z --out stable target/release/vaka"
    )]
    Sign(SignArgs),
    /// Write devices.json, its signature and firmware images of devices into the same folder
    #[command(
        after_help = "The list takes the place of the one before: name every image that homes may still take. Put devices.json.minisig there last.\nExample:\n  vaka release sign-devices --key release.key --out stable pendant.img lock.img"
    )]
    SignDevices(super::release_devices::DevicesArgs),
    /// Judge a folder as a box would: signatures, forms, and the bytes of each program and image; exit 1 if something is wrong
    Verify {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Public key, 56 characters; more than one may be given
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct SignArgs {
    /// The program, for the machines that this one is for; or TARGET=FILE for others. One for each
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// As `vaka release key` wrote it. Without it: sign release.json with minisign afterwards
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[arg(long, value_name = "X.Y.Z")]
    version: Version,
    /// The oldest version that it can follow
    #[arg(long, value_name = "X.Y.Z", default_value = "0.0.0")]
    from: Version,
    /// No box takes it before, UTC such as 2026-12-01T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
    /// No box takes it after so many days
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u32,
    /// PERCENT@TIME: this share of the boxes from then on; more than one may be given [default: all at once]
    #[arg(long = "ring", value_name = "PERCENT@TIME", value_parser = ring)]
    rings: Vec<Ring>,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn ring(text: &str) -> Result<Ring, String> {
    let wrong = || format!("`{text}` is no ring; write 5@2026-12-01T08:00:00Z");
    let (percent, from) = text.split_once('@').ok_or_else(wrong)?;
    let percent = percent.trim_end_matches('%').parse().ok().filter(|percent| *percent <= 100).ok_or_else(wrong)?;
    Ok(Ring { percent, from: from.parse().map_err(|_| wrong())? })
}

pub fn run(command: ReleaseCommand) -> Result<Exit, Failure> {
    match command {
        ReleaseCommand::Key { dir } => key(&dir),
        ReleaseCommand::Sign(args) => sign(args),
        ReleaseCommand::SignDevices(args) => super::release_devices::sign(&args),
        ReleaseCommand::Verify { dir, keys } => super::release_verify::verify(&dir, &keys),
    }
}

fn key(dir: &Path) -> Result<Exit, Failure> {
    let failed =
        |e: &dyn std::fmt::Display| Failure::new(Exit::Disk, format!("make a key in {}", dir.display()), e, "");
    let key = SecretKey::generate().map_err(|e| failed(&e))?;
    fs::create_dir_all(dir).map_err(|e| failed(&e))?;
    // Never over another: boxes that trust the old one would be cut off.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dir.join("release.key"))
        .map_err(|e| failed(&e))?;
    file.write_all(key.file().as_bytes()).and_then(|()| file.sync_all()).map_err(|e| failed(&e))?;
    let public = key.public();
    let text = format!("untrusted comment: minisign public key {}\n{}\n", public.id(), public.line());
    fs::write(dir.join("release.pub"), text).map_err(|e| failed(&e))?;
    print_line(&public.line())?;
    Ok(Exit::Ok)
}

#[expect(clippy::disallowed_methods, reason = "a publisher's own machine, without a home or its clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default()
}

fn sign(args: SignArgs) -> Result<Exit, Failure> {
    let attempt = format!("sign release {}", args.version);
    let usage = |e: &dyn std::fmt::Display| Failure::new(Exit::Usage, &*attempt, e, "");
    let disk = |e: &dyn std::fmt::Display| Failure::new(Exit::Disk, &*attempt, e, "");
    fs::create_dir_all(&args.out).map_err(|e| disk(&e))?;
    let mut files = Vec::new();
    for word in &args.files {
        let (target, path) = word.split_once('=').unwrap_or((TARGET, word));
        let bytes = fs::read(path).map_err(|e| Failure::new(Exit::Disk, &*attempt, format!("{path}: {e}"), ""))?;
        machine::fits(&bytes, target).map_err(|why| {
            usage(&format!("{path}: {why}: {target} is what you said, or this program's own; write TARGET=FILE"))
        })?;
        let file = format!("vaka-{}-{target}", args.version);
        fs::write(args.out.join(&file), &bytes).map_err(|e| disk(&e))?;
        let sha256 = hex(digest(&SHA256, &bytes).as_ref());
        files.push(File { target: target.to_owned(), file, size: bytes.len() as u64, sha256 });
    }
    let not_before = args.not_before.unwrap_or_else(now);
    let expires =
        not_before.checked_add(SignedDuration::from_hours(24 * i64::from(args.days))).map_err(|e| usage(&e))?;
    let manifest = Manifest {
        v: FORM,
        version: args.version,
        from: args.from,
        not_before,
        expires,
        rings: args.rings,
        formats: FORMATS,
        files,
    };
    manifest.check().map_err(|why| usage(&why))?;
    let text = serde_json::to_string_pretty(&manifest).map_err(|e| usage(&e))? + "\n";
    // A signature that belongs to other bytes is worse than none.
    let _ = fs::remove_file(args.out.join(SIGNATURE));
    fs::write(args.out.join(MANIFEST), &text).map_err(|e| disk(&e))?;
    let Some(key) = &args.key else {
        print_line(&format!("sign it: minisign -S -m {}", args.out.join(MANIFEST).display()))?;
        return Ok(Exit::Ok);
    };
    let key = fs::read_to_string(key)
        .map_err(|e| Failure::new(Exit::Usage, &*attempt, format!("{}: {e}", key.display()), ""))?;
    let key = SecretKey::parse(&key).map_err(|e| usage(&e))?;
    let signature = key.sign(text.as_bytes(), &format!("vaka {} from {not_before}", args.version));
    fs::write(args.out.join(SIGNATURE), signature).map_err(|e| disk(&e))?;
    print_line(&format!("{} signed by {}", args.version, key.public().line()))?;
    Ok(Exit::Ok)
}
