//! Signed releases of the gateway's program: taken by itself, tried, kept or given back.
//!
//! Enters: a publisher's plain HTTPS files, public keys, a folder. Leaves: which program to start, and why not another. The way of a
//! release: [`fetch`] brings it, [`sign`] says by whom it is, [`manifest`] whether it is for this box, [`slots`] keeps it in one of two
//! places, [`policy`] says when it may begin, [`slots::launch`] starts it and goes back where it does not prove itself.
//!
//! Invariant: at every moment, power cut or not, one program whose bytes are those that were signed can be started; in the end the one
//! the package brought. Invariant: nothing that is not signed by a key of the config is ever written as a program. Absent: alarms,
//! journal, clock; whoever uses this brings the moment and the proof.

pub mod devices;
pub mod disk;
pub mod fetch;
pub mod kept;
pub mod limits;
pub mod machine;
pub mod manifest;
pub mod policy;
pub mod sign;
pub mod slots;
pub mod version;

pub use manifest::{Formats, Manifest, Refusal};
pub use slots::{Installed, Slot, State};
pub use version::Version;

/// Words of a value inside serde: what it prints is what it reads.
pub(crate) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
