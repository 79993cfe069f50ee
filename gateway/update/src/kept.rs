//! The newest list of firmware that was taken, with its signature: one file, replaced whole.
//!
//! Invariant: a power cut leaves the one before or this one, each with its own signature. Two files under two names could part company,
//! and a box that has lost its list would take an older one: what its publisher had called back.

use std::io::{self, Read};

use crate::devices::{Devices, LIST, SIGNATURE};
use crate::disk::Disk;
use crate::limits::{MANIFEST_BYTES_MAX, SIGNATURE_BYTES_MAX};
use crate::sign::{self, PublicKey};

/// Its name. Length of the signature as a line of text, the signature, the list.
pub const KEPT: &str = "devices.kept";

/// The list that was kept; `None`: there is none, or a key that signed it counts no more.
pub fn read(disk: &dyn Disk, keys: &[PublicKey]) -> Option<Devices> {
    let (list, signature) = whole(disk).or_else(|| apart(disk))?;
    sign::verify(keys, &list, std::str::from_utf8(&signature).ok()?).ok()?;
    Devices::parse(&list).ok()
}

/// Keeps a list whose signature was judged.
///
/// # Errors
/// Where the disk refuses; the list before stays.
pub fn write(disk: &dyn Disk, list: &[u8], signature: &str) -> io::Result<()> {
    let new = format!("{KEPT}.new");
    disk.write(&new, &[format!("{}\n", signature.len()).as_bytes(), signature.as_bytes(), list].concat())?;
    disk.sync(&new)?;
    disk.rename(&new, KEPT)?;
    disk.sync_folder()?;
    // Two files, as they were kept before.
    [LIST, SIGNATURE].iter().try_for_each(|name| disk.remove(name))
}

fn whole(disk: &dyn Disk) -> Option<(Vec<u8>, Vec<u8>)> {
    let bytes = bytes(disk, KEPT, SIGNATURE_BYTES_MAX + MANIFEST_BYTES_MAX + 32)?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let length: usize = std::str::from_utf8(bytes.get(..end)?).ok()?.parse().ok()?;
    let (signature, list) = bytes.get(end + 1..)?.split_at_checked(length)?;
    Some((list.to_vec(), signature.to_vec()))
}

fn apart(disk: &dyn Disk) -> Option<(Vec<u8>, Vec<u8>)> {
    Some((bytes(disk, LIST, MANIFEST_BYTES_MAX)?, bytes(disk, SIGNATURE, SIGNATURE_BYTES_MAX)?))
}

fn bytes(disk: &dyn Disk, name: &str, most: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.open(name).ok()?.take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= most).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::FORM;
    use crate::sign::SecretKey;
    use crate::slots::tests::SimDisk;

    fn list(made: &str) -> Devices {
        let expires = "2027-01-01T00:00:00Z".parse().unwrap();
        Devices { v: FORM, made: made.parse().unwrap(), expires, images: Vec::new() }
    }

    fn keep(disk: &SimDisk, key: &SecretKey, list: &Devices) -> io::Result<()> {
        let bytes = serde_json::to_vec(list).unwrap();
        write(disk, &bytes, &key.sign(&bytes, "devices"))
    }

    /// Two files, as the version before kept them.
    fn keep_apart(disk: &SimDisk, key: &SecretKey, list: &Devices) {
        let bytes = serde_json::to_vec(list).unwrap();
        for (name, bytes) in [(LIST, &bytes[..]), (SIGNATURE, key.sign(&bytes, "devices").as_bytes())] {
            disk.write(name, bytes).unwrap();
            disk.sync(name).unwrap();
        }
        disk.sync_folder().unwrap();
    }

    #[test]
    fn a_power_cut_at_every_operation_leaves_a_list_that_is_signed_and_never_an_older_one_than_was_kept() {
        let key = SecretKey::generate().unwrap();
        let keys = [key.public()];
        let lists = ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"].map(list);
        let mut cuts = 0;
        let operations = (0..12).flat_map(|operation| [(operation, false), (operation, true)]);
        for (operation, were_apart) in operations {
            for names in 0..6 {
                for eighths in [0, 3, 8] {
                    let disk = SimDisk::default();
                    match were_apart {
                        true => keep_apart(&disk, &key, &lists[0]),
                        false => keep(&disk, &key, &lists[0]).unwrap(),
                    }
                    disk.cut_after(operation);
                    // Cut once, and again in the next one.
                    let is_kept = keep(&disk, &key, &lists[1]).is_ok();
                    cuts += u32::from(!is_kept);
                    let disk = disk.after_the_cut(names, eighths);
                    let found = read(&disk, &keys).expect("one of the two");
                    assert!(found == lists[1] || !is_kept && found == lists[0], "{operation} {names} {eighths}");
                    disk.cut_after(operation);
                    let is_kept = keep(&disk, &key, &lists[2]).is_ok();
                    let disk = disk.after_the_cut(names, eighths);
                    let last = read(&disk, &keys).expect("one of the two");
                    assert!(last == lists[2] || !is_kept && last == found, "{operation} {names} {eighths}");
                }
            }
        }
        assert!(cuts > 0);
    }

    #[test]
    fn what_the_version_before_kept_is_read_until_there_is_a_newer_one_and_damage_is_none() {
        let key = SecretKey::generate().unwrap();
        let keys = [key.public()];
        let (old, new) = (list("2026-11-01T00:00:00Z"), list("2026-11-02T00:00:00Z"));
        let disk = SimDisk::default();
        assert_eq!(read(&disk, &keys), None);
        keep_apart(&disk, &key, &old);
        assert_eq!(read(&disk, &keys), Some(old));
        keep(&disk, &key, &new).unwrap();
        assert_eq!(read(&disk, &keys), Some(new));
        assert_eq!(disk.names().unwrap(), [KEPT]);
        assert_eq!(read(&disk, &[SecretKey::generate().unwrap().public()]), None, "that key counts no more");
        for damaged in [&b""[..], b"5", b"999999\nx", b"-1\nx", b"x\ny"] {
            disk.write(KEPT, damaged).unwrap();
            assert_eq!(read(&disk, &keys), None);
        }
    }
}
