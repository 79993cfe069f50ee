use std::path::PathBuf;

use tempfile::TempDir;
use vaka_device::update::image::{Header, padded};
use vaka_update::devices::{FORM, Image, LIST, SIGNATURE as LIST_SIGNATURE};
use vaka_update::sign::SecretKey;

use super::*;

/// A publisher's folder with one image, signed.
struct Place {
    folder: TempDir,
    key: SecretKey,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: TempDir::new().unwrap(), key: SecretKey::generate().unwrap() };
        place.put("p.img", &image("pendant", "b1", "1.1.0", 1_000));
        place.list(|_| {});
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// A list of the image as it lies there, changed, and signed.
    fn list(&self, change: impl FnOnce(&mut Devices)) {
        let bytes = fs::read(self.path("p.img")).unwrap();
        let (kind, board, version) = firmware::read_image(&bytes).unwrap();
        let sha256 = hex(digest(&SHA256, &bytes).as_ref());
        let (file, size) = ("p.img".to_owned(), bytes.len() as u64);
        let image = Image { kind, board, version: version.parse().unwrap(), file, size, sha256, rings: Vec::new() };
        let (made, expires) = ("2026-11-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
        let mut list = Devices { v: FORM, made, expires, images: vec![image] };
        change(&mut list);
        let text = serde_json::to_vec(&list).unwrap();
        self.put(LIST, &text);
        self.put(LIST_SIGNATURE, self.key.sign(&text, "devices").as_bytes());
    }

    fn judged(&self) -> Result<Vec<String>, String> {
        judge(self.folder.path(), &[self.key.public().line()], "2026-12-01T00:00:00Z".parse().unwrap())
    }

    #[track_caller]
    fn refused(&self, words: &str) {
        let said = self.judged().unwrap_err();
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
}

/// What a list says untruly of an image.
type Lie = fn(&mut Image);

/// The file of an image of 1,000 bytes, whose header says `body_bytes`.
pub fn image(kind: &str, board: &str, version: &str, body_bytes: u32) -> Vec<u8> {
    let header = Header {
        key: 0,
        version: 2,
        body_bytes,
        role: padded(kind),
        board: padded(board),
        name: version.into(),
        sha256: [0; 32],
    };
    let mut file = header.to_bytes().to_vec();
    file.resize(file.len() + 1_000, 7);
    file
}

#[test]
fn a_folder_with_firmware_of_devices_alone_is_judged() {
    let place = Place::new();
    let lines = place.judged().unwrap();
    assert!(lines[0].starts_with("pendant b1 1.1.0 ") && lines[1] == "signed: devices", "{lines:?}");
    let other = SecretKey::generate().unwrap().public().line();
    let now = "2026-12-01T00:00:00Z".parse().unwrap();
    assert!(judge(place.folder.path(), &[other], now).unwrap_err().contains(LIST));
    let later = "2027-01-01T00:00:00Z".parse().unwrap();
    let expired = judge(place.folder.path(), &[place.key.public().line()], later).unwrap_err();
    assert!(expired.contains("has expired at 2027-01-01"), "{expired}");
}

#[test]
fn half_a_list_and_an_empty_folder_are_named() {
    for (removed, words) in [
        (vec![LIST_SIGNATURE], "devices.json is there without devices.json.minisig"),
        (vec![LIST], "devices.json.minisig is there without devices.json"),
        (vec![LIST, LIST_SIGNATURE], "neither release.json nor devices.json"),
        (vec!["p.img"], "p.img: "),
    ] {
        let place = Place::new();
        removed.iter().for_each(|name| fs::remove_file(place.path(name)).unwrap());
        place.refused(words);
    }
    // Half a release beside a whole list is no whole folder.
    let place = Place::new();
    place.put(MANIFEST, b"{}");
    place.refused("release.json is there without release.json.minisig");
    place.put(SIGNATURE, place.key.sign(b"other bytes", "").as_bytes());
    place.refused("release.json: ");
}

#[test]
fn what_an_image_is_not_is_named() {
    let whole = image("pendant", "b1", "1.1.0", 1_000);
    for (bytes, words) in [
        (whole[..whole.len() - 1].to_vec(), "were signed"),
        (whole.iter().map(|byte| byte ^ 1).collect(), "its bytes are not those that were signed"),
    ] {
        let place = Place::new();
        place.put("p.img", &bytes);
        place.refused("p.img: ");
        place.refused(words);
    }
    let place = Place::new();
    fs::write(place.path(LIST), fs::read(place.path(LIST)).unwrap().to_ascii_uppercase()).unwrap();
    place.refused("devices.json: ");
    let lies: [(Lie, &str); 3] = [
        (|image| image.kind = "lock".into(), "p.img: it is for another device than a lock on b1"),
        (|image| image.board = "b2".into(), "p.img: it is for another device than a pendant on b2"),
        (|image| image.version = "1.2.0".parse().unwrap(), "p.img: it is version 1.1.0, and listed as 1.2.0"),
    ];
    for (lie, words) in lies {
        let place = Place::new();
        place.list(|list| lie(&mut list.images[0]));
        place.refused(words);
    }
    let place = Place::new();
    place.put("p.img", &image("pendant", "b1", "1.1.0", 999));
    place.list(|_| {});
    place.refused("p.img: its header speaks of 999 bytes");
}
