use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{ArchiveError, Entry, Identity, Packer, Recipient, Sum, identities, new_identity, open, recipient, seal};

struct Keys {
    file: PathBuf,
    identity: Vec<Identity>,
    recipient: Recipient,
}

fn keys(dir: &Path, name: &str) -> Keys {
    let (text, recipient) = new_identity();
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    Keys { identity: identities(&file).unwrap(), file, recipient }
}

/// A megabyte and a bit that no run length hides: several of age's chunks.
fn long() -> Vec<u8> {
    (0..1_300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn fill(packer: &mut Packer) -> Result<(), ArchiveError> {
    packer.add_bytes("home/vaka.toml", 0o644, b"[gateway]\n")?;
    packer.add_bytes("home/empty", 0o600, b"")?;
    packer.add_bytes(&format!("home/{}/deep", "far".repeat(60)), 0o600, b"a long path")?;
    packer.add_bytes("journal/segment", 0o600, &long())
}

/// Entries with their bytes, and the sum.
type Whole = (Vec<(Entry, Vec<u8>)>, Sum);

fn read(file: &Path, keys: &Keys) -> Result<Whole, ArchiveError> {
    let mut found = Vec::new();
    let sum = open::<ArchiveError>(file, &keys.identity, |entry, from| {
        let mut bytes = Vec::new();
        let read = from.read_to_end(&mut bytes);
        read.map_err(|source| ArchiveError::File { attempt: "reading", path: entry.path.clone().into(), source })?;
        found.push((entry.clone(), bytes));
        Ok(())
    })?;
    Ok((found, sum))
}

#[test]
fn what_is_sealed_comes_out_for_each_recipient_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (office, deputy, stranger) = (keys(dir.path(), "a"), keys(dir.path(), "b"), keys(dir.path(), "c"));
    let file = dir.path().join("backup.age");
    let sealed = seal(&file, &[office.recipient.clone(), deputy.recipient.clone()], fill).unwrap();
    for owner in [&office, &deputy] {
        let (found, sum) = read(&file, owner).unwrap();
        assert_eq!((sum, sum.files), (sealed, 4));
        assert_eq!(
            (found[0].0.path.as_str(), found[0].0.mode, &found[0].1[..]),
            ("home/vaka.toml", 0o644, &b"[gateway]\n"[..])
        );
        assert!(found[1].1.is_empty() && found[2].0.path.len() > 180 && found[3].1 == long());
    }
    assert!(matches!(read(&file, &stranger), Err(ArchiveError::OtherKey(_))));
    // Nothing of the content, nor a path, is to be read in it.
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    for word in [&b"gateway"[..], b"vaka.toml", &long()[..64]] {
        assert!(!bytes.windows(word.len()).any(|part| part == word));
    }
    assert!(!dir.path().join("backup.age.part").exists());
}

#[test]
fn any_cut_and_any_changed_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), "key");
    let file = dir.path().join("backup.age");
    seal(&file, std::slice::from_ref(&keys.recipient), fill).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let places = (0..400).step_by(9).chain((400..whole.len()).step_by(131_101)).chain([whole.len() - 1]);
    for at in places {
        std::fs::write(&file, &whole[..at]).unwrap();
        assert!(read(&file, &keys).is_err(), "cut at {at}");
        let mut other = whole.clone();
        other[at] ^= 1;
        std::fs::write(&file, &other).unwrap();
        assert!(read(&file, &keys).is_err(), "changed at {at}");
    }
}

#[test]
fn what_fails_half_way_leaves_the_earlier_archive() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), "key");
    let (file, part) = (dir.path().join("backup.age"), dir.path().join("backup.age.part"));
    let to = std::slice::from_ref(&keys.recipient);
    seal(&file, to, fill).unwrap();
    let before = std::fs::read(&file).unwrap();
    let short = seal::<ArchiveError>(&file, to, |packer| {
        packer.add_bytes("first", 0o600, &long())?;
        packer.add("second", 0o600, 10, &b"nine byte"[..])
    });
    assert!(matches!(short, Err(ArchiveError::Shrank { .. })), "{short:?}");
    let twice = seal::<ArchiveError>(&file, to, |packer| {
        packer.add_bytes("first", 0o600, b"1")?;
        packer.add_bytes("first", 0o600, b"2")
    });
    assert!(matches!(twice, Err(ArchiveError::Twice { .. })), "{twice:?}");
    assert!(matches!(seal(&file, &[], fill), Err(ArchiveError::NoRecipient)));
    assert!(std::fs::read(&file).unwrap() == before && !part.exists());
    // What a killed process left is longer than what comes: nothing of it stays.
    std::fs::write(&part, vec![0x5a; 4 << 20]).unwrap();
    seal(&file, to, fill).unwrap();
    assert_eq!(read(&file, &keys).unwrap().1.files, 4);
}

#[test]
fn keys_are_refused_by_name_and_secrets_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), "key");
    let text = std::fs::read_to_string(&keys.file).unwrap();
    assert!(text.contains(&format!("# recipient: {}", keys.recipient)));
    assert_eq!(recipient(&keys.recipient.to_string()).unwrap().to_string(), keys.recipient.to_string());
    let secret = text.lines().last().unwrap();
    let said = recipient(secret).unwrap_err().to_string();
    assert!(said.contains("a private key") && !said.contains(secret), "{said}");
    assert!(recipient("age1nonsense").unwrap_err().to_string().contains("age1nonsense"));
    for wrong in ["", "# nothing\n", "age1nonsense\n"] {
        std::fs::write(&keys.file, wrong).unwrap();
        assert!(matches!(identities(&keys.file), Err(ArchiveError::NoIdentity(_))), "{wrong}");
    }
}

/// age's first implementation as a judge, both ways.
#[test]
fn the_age_program_reads_what_is_sealed_here() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), "key");
    let file = dir.path().join("backup.age");
    seal(&file, std::slice::from_ref(&keys.recipient), fill).unwrap();
    let script = format!("age -d -i {} {} | tar -xO home/vaka.toml", keys.file.display(), file.display());
    let Ok(said) =
        Command::new("sh").args(["-c", &format!("command -v age tar >/dev/null || exit 9; {script}")]).output()
    else {
        return println!("SKIP tests::the_age_program_reads_what_is_sealed_here: no sh");
    };
    if said.status.code() == Some(9) {
        return println!(
            "SKIP tests::the_age_program_reads_what_is_sealed_here: needs the age command as a second judge"
        );
    }
    assert_eq!(String::from_utf8_lossy(&said.stdout), "[gateway]\n", "{}", String::from_utf8_lossy(&said.stderr));
}
