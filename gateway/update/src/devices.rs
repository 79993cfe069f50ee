//! What a publisher says of firmware for devices: `devices.json`, signed as it stands, by the same keys as a release.
//!
//! Enters: its bytes, after its signature was judged; which device asks. Leaves: the newest image for it, or why there is none. Invariants:
//! a list that is older than the one that is known, or has expired, is not taken; where a device's board is not known, nothing is guessed.
//! Absent: what an image itself says; the device judges that by keys of its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Version;
use crate::limits::{IMAGE_BYTES_MAX, IMAGES_MAX, MANIFEST_BYTES_MAX, RINGS_MAX};
use crate::manifest::{Ring, file_fault};
use crate::policy::{Moment, Wait, has_come_to};

/// The form of `devices.json` that is written and read here.
pub const FORM: u32 = 1;

/// Names of a publisher's files.
pub const LIST: &str = "devices.json";
pub const SIGNATURE: &str = "devices.json.minisig";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    pub v: u32,
    /// When it was signed. A box that knows a later one does not take it.
    #[serde(with = "crate::text")]
    pub made: Timestamp,
    /// From then on nobody begins anything of it.
    #[serde(with = "crate::text")]
    pub expires: Timestamp,
    pub images: Vec<Image>,
}

/// Firmware for one kind of device on one board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The word after `kind =` in `[[device]]`; in the image's header it is the role.
    pub kind: String,
    /// The board in the image's header, e.g. `mps2-an386`.
    pub board: String,
    pub version: Version,
    /// Its name beside `devices.json`.
    pub file: String,
    /// In bytes, the header among them.
    pub size: u64,
    /// Of the whole file, lower-case hexadecimal.
    pub sha256: String,
    /// Which share of the homes from when on. Empty: every home.
    #[serde(default)]
    pub rings: Vec<Ring>,
}

#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("reading devices.json: {0}")]
    Json(#[from] serde_json::Error),
    #[error("reading devices.json: it is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLong,
    #[error("reading devices.json: its form is {0}, this program knows {FORM}; update the gateway first (vaka update)")]
    Form(u32),
    #[error("reading devices.json: {0}")]
    Wrong(String),
    #[error(
        "taking devices.json: it is of {made}, and one of {known} is known; is the publisher's folder an old copy?"
    )]
    Older { made: Timestamp, known: Timestamp },
}

/// Why there is no image for a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoImage {
    #[error("the publisher has no firmware for it")]
    None,
    #[error("the publisher has firmware for {0} boards of this kind; say which it is in [firmware.boards]")]
    Boards(usize),
}

impl Devices {
    /// Reads what was signed.
    ///
    /// # Errors
    /// [`ListError`], where it says what cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Devices, ListError> {
        #[derive(Deserialize)]
        struct Form {
            v: u32,
        }
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ListError::TooLong);
        }
        let Form { v } = serde_json::from_slice(bytes)?;
        if v != FORM {
            return Err(ListError::Form(v));
        }
        let devices: Devices = serde_json::from_slice(bytes)?;
        devices.check().map_err(ListError::Wrong)?;
        Ok(devices)
    }

    /// What cannot be, in words.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.images.len() > IMAGES_MAX {
            return Err(format!("it has {} images; at most {IMAGES_MAX} can be", self.images.len()));
        }
        for (at, image) in self.images.iter().enumerate() {
            let of = |image: &Image| (image.kind.clone(), image.board.clone(), image.version);
            if self.images.iter().take(at).any(|before| of(before) == of(image)) {
                return Err(format!(
                    "{} {} {} is named twice; give the second a version of its own",
                    image.kind, image.board, image.version
                ));
            }
            for word in [&image.kind, &image.board] {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                if word.is_empty() || word.len() > 16 || !word.bytes().all(plain) {
                    return Err(format!(
                        "{}: a kind or a board is 1 to 16 letters, digits and `-`, as in an image's header",
                        image.version
                    ));
                }
            }
            if let Some(why) = file_fault(&image.file, image.size, IMAGE_BYTES_MAX, &image.sha256) {
                return Err(why);
            }
            if image.rings.len() > RINGS_MAX || image.rings.iter().any(|ring| ring.percent > 100) {
                return Err(format!("{}: at most {RINGS_MAX} rings, of 0 to 100 percent", image.file));
            }
        }
        Ok(())
    }

    /// It may take the place of the list that is known.
    ///
    /// # Errors
    /// [`ListError::Older`]: whoever has the publisher's server could else bring back what was called back.
    pub fn follows(&self, known: Option<&Devices>) -> Result<(), ListError> {
        match known {
            Some(known) if self.made < known.made => Err(ListError::Older { made: self.made, known: known.made }),
            _ => Ok(()),
        }
    }

    /// The newest image for a device of that kind. `board`: where it is told.
    ///
    /// # Errors
    /// [`NoImage`].
    pub fn newest(&self, kind: &str, board: Option<&str>) -> Result<&Image, NoImage> {
        let of_kind: Vec<&Image> = self.images.iter().filter(|image| image.kind == kind).collect();
        let boards: std::collections::BTreeSet<&str> = of_kind.iter().map(|image| image.board.as_str()).collect();
        let board = match (board, boards.len()) {
            (Some(board), _) => board,
            (None, 1) => boards.first().copied().unwrap_or_default(),
            (None, 0) => return Err(NoImage::None),
            (None, many) => return Err(NoImage::Boards(many)),
        };
        let fitting = of_kind.into_iter().filter(|image| image.board == board);
        fitting.max_by_key(|image| image.version).ok_or(NoImage::None)
    }

    /// The image has come to this home. `id`: of its gateway; one share of homes goes first, another for each version.
    ///
    /// # Errors
    /// [`Wait`]: not yet.
    pub fn has_come(&self, image: &Image, id: &str, now: Moment) -> Result<(), Wait> {
        has_come_to(self.made, &image.rings, image.version, id, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(kind: &str, board: &str, version: &str) -> Image {
        Image {
            kind: kind.to_owned(),
            board: board.to_owned(),
            version: version.parse().unwrap(),
            file: format!("{kind}-{board}-{version}.img"),
            size: 10_000,
            sha256: "ab".repeat(32),
            rings: Vec::new(),
        }
    }

    fn list(made: &str, images: Vec<Image>) -> Devices {
        let expires = "2027-01-01T00:00:00Z".parse().unwrap();
        Devices { v: FORM, made: made.parse().unwrap(), expires, images }
    }

    #[test]
    fn the_newest_of_a_kind_and_nothing_guessed_between_boards() {
        let of = |kind, board, version| image(kind, board, version);
        let devices = list(
            "2026-11-01T00:00:00Z",
            vec![
                of("pendant", "a1", "1.9.0"),
                of("pendant", "a1", "1.10.0"),
                of("lock", "x", "2.0.0"),
                of("lock", "y", "1.0.0"),
            ],
        );
        assert_eq!(devices.newest("pendant", None).unwrap().version, Version(1, 10, 0));
        assert_eq!(devices.newest("pendant", Some("b2")), Err(NoImage::None));
        assert_eq!(devices.newest("lock", None), Err(NoImage::Boards(2)));
        assert_eq!(devices.newest("lock", Some("y")).unwrap().version, Version(1, 0, 0));
        assert_eq!(devices.newest("dispenser", None), Err(NoImage::None));
    }

    #[test]
    fn an_older_list_is_not_taken_and_the_same_one_again_is() {
        let (old, new) = (list("2026-11-01T00:00:00Z", vec![]), list("2026-11-02T00:00:00Z", vec![]));
        assert!(new.follows(Some(&old)).is_ok() && old.follows(None).is_ok() && old.follows(Some(&old)).is_ok());
        assert!(matches!(old.follows(Some(&new)), Err(ListError::Older { .. })));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let good = image("pendant", "a1", "1.0.0");
        let wrong = [
            Image { kind: "a pendant".into(), ..good.clone() },
            Image { board: "much-longer-than-a-header".into(), ..good.clone() },
            Image { file: "../pendant.img".into(), ..good.clone() },
            Image { size: IMAGE_BYTES_MAX + 1, ..good.clone() },
            Image { sha256: "AB".repeat(32), ..good.clone() },
            Image { rings: vec![Ring { percent: 101, from: Timestamp::UNIX_EPOCH }], ..good.clone() },
        ];
        for image in wrong {
            assert!(list("2026-11-01T00:00:00Z", vec![image.clone()]).check().is_err(), "{image:?}");
        }
        let twice =
            list("2026-11-01T00:00:00Z", vec![good.clone(), Image { file: "other.img".into(), ..good.clone() }]);
        assert_eq!(twice.check(), Err("pendant a1 1.0.0 is named twice; give the second a version of its own".into()));
        let bytes = serde_json::to_vec(&list("2026-11-01T00:00:00Z", vec![good.clone()])).unwrap();
        assert_eq!(Devices::parse(&bytes).unwrap().images, vec![good]);
        let other = String::from_utf8(bytes).unwrap().replace("\"v\":1", "\"v\":2");
        assert!(matches!(Devices::parse(other.as_bytes()), Err(ListError::Form(2))));
    }
}
