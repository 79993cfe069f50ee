//! `vaka release sign-devices`: the signed list of firmware that stands beside a publisher's releases.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use vaka_update::devices::{Devices, FORM, Image, LIST, SIGNATURE};
use vaka_update::hex;
use vaka_update::limits::MANIFEST_BYTES_MAX;
use vaka_update::manifest::Ring;
use vaka_update::sign::SecretKey;

use super::{Exit, Failure, print_line, release};
use crate::config::DeviceKind;
use crate::firmware::read_image;

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Images, each signed by its maker's own key; kind, board and version stand in each one's header
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// As `vaka release key` wrote it. Without it: sign devices.json with minisign afterwards
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// No home begins anything of it after so many days
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u32,
    /// PERCENT@TIME: this share of the homes from then on; more than one may be given [default: all at once]
    #[arg(long = "ring", value_name = "PERCENT@TIME", value_parser = release::ring)]
    rings: Vec<Ring>,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn sign(args: &DevicesArgs) -> Result<Exit, Failure> {
    let attempt = "sign firmware of devices";
    let usage = |e: &dyn std::fmt::Display| Failure::new(Exit::Usage, attempt, e, "");
    let disk = |path: &Path, e: &dyn std::fmt::Display| {
        Failure::new(Exit::Disk, attempt, format!("{}: {e}", path.display()), "")
    };
    fs::create_dir_all(&args.out).map_err(|e| disk(&args.out, &e))?;
    let (mut images, mut bodies) = (Vec::new(), Vec::new());
    for path in &args.images {
        let bytes = fs::read(path).map_err(|e| disk(path, &e))?;
        let wrong = |why: &dyn std::fmt::Display| usage(&format!("{}: {why}", path.display()));
        let (kind, board, version) = read_image(&bytes).map_err(|why| wrong(&why))?;
        kind.parse::<DeviceKind>().map_err(|why| wrong(&why))?;
        let version = version.parse().map_err(|why| wrong(&why))?;
        let file = format!("{kind}-{board}-{version}.img");
        let image = Image {
            kind,
            board,
            version,
            file,
            size: bytes.len() as u64,
            sha256: hex(digest(&SHA256, &bytes).as_ref()),
            rings: args.rings.clone(),
        };
        images.push(image);
        bodies.push(bytes);
    }
    let made: Timestamp = release::now();
    let expires = made.checked_add(SignedDuration::from_hours(24 * i64::from(args.days))).map_err(|e| usage(&e))?;
    let list = Devices { v: FORM, made, expires, images };
    list.check().map_err(|why| usage(&why))?;
    let text = serde_json::to_string_pretty(&list).map_err(|e| usage(&e))? + "\n";
    if text.len() > MANIFEST_BYTES_MAX {
        let why = format!("{LIST} would have {} bytes, and a box reads {MANIFEST_BYTES_MAX}", text.len());
        return Err(usage(&format!("{why}; name fewer images, or fewer rings")));
    }
    // Nothing is written before all of it is right.
    for (image, bytes) in list.images.iter().zip(&bodies) {
        let to = args.out.join(&image.file);
        fs::write(&to, bytes).map_err(|e| disk(&to, &e))?;
    }
    let (to, signed) = (args.out.join(LIST), args.out.join(SIGNATURE));
    // A signature that belongs to other bytes is worse than none.
    let _ = fs::remove_file(&signed);
    fs::write(&to, &text).map_err(|e| disk(&to, &e))?;
    let Some(key) = &args.key else {
        print_line(&format!("sign it: minisign -S -m {}", to.display()))?;
        return Ok(Exit::Ok);
    };
    let key = fs::read_to_string(key).map_err(|e| usage(&format!("{}: {e}", key.display())))?;
    let key = SecretKey::parse(&key).map_err(|e| usage(&e))?;
    fs::write(&signed, key.sign(text.as_bytes(), &format!("vaka devices of {made}"))).map_err(|e| disk(&signed, &e))?;
    for image in &list.images {
        print_line(&format!("{} {} {} {} bytes", image.kind, image.board, image.version, image.size))?;
    }
    print_line(&format!("signed by {}", key.public().line()))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::release_verify::tests::image;
    use super::*;

    /// Signs images of these versions; what is in the folder then, and what was said.
    fn signed(versions: &[String], rings: &[Ring]) -> (usize, Result<Exit, Failure>) {
        let folder = TempDir::new().unwrap();
        let images: Vec<PathBuf> = (0..versions.len()).map(|at| folder.path().join(format!("{at}.img"))).collect();
        for (path, version) in images.iter().zip(versions) {
            fs::write(path, image("pendant", "b1", version, 1_000)).unwrap();
        }
        let out = folder.path().join("out");
        let said = sign(&DevicesArgs { images, key: None, days: 90, rings: rings.to_vec(), out: out.clone() });
        (fs::read_dir(out).map_or(0, |names| names.count()), said)
    }

    #[test]
    fn two_of_one_version_and_a_list_that_no_box_reads_are_refused_before_anything_is_written() {
        let versions = |count: usize| (0..count).map(|minor| format!("1.{minor}.0")).collect::<Vec<_>>();
        let (files, said) = signed(&versions(3), &[]);
        assert!(said.is_ok() && files == 4, "{files}");
        let (files, said) = signed(&["1.1.0".to_owned(), "1.2.0".to_owned(), "1.1.0".to_owned()], &[]);
        let why = said.err().unwrap().to_string();
        assert!(files == 0 && why.contains("pendant b1 1.1.0 is named twice"), "{files}: {why}");
        let rings: Vec<Ring> = (0..16).map(|percent| Ring { percent, from: Timestamp::UNIX_EPOCH }).collect();
        let (files, said) = signed(&versions(64), &rings);
        let why = said.err().unwrap().to_string();
        assert!(files == 0 && why.contains("a box reads 65536; name fewer images"), "{files}: {why}");
    }
}
