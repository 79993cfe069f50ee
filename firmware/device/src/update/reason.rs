//! Why an update came to nothing, and what is told of it.

use vaka_protocol::{Label, Outcome};

use crate::keep::Fault;

/// Why an update came to nothing. The device answers with [`Reason::outcome`] and tells the fault [`Reason::part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The file does not begin as an image, or in another version of the format.
    NotAnImage = 1,
    /// It is for another role or another board.
    Target = 2,
    /// Its length is not the command's, or more than a slot holds.
    Size = 3,
    /// It is not newer than what was confirmed once.
    Downgrade = 4,
    /// It is not signed by a key of this device.
    Signature = 5,
    /// What was written is not what was signed or commanded.
    Damaged = 6,
    /// The file could not be had.
    NotFetched = 7,
    /// The flash failed.
    Flash = 8,
    /// It was booted and did not get an event acknowledged.
    RolledBack = 9,
    /// The command cannot be understood.
    Command = 10,
    /// Another update is being proven.
    Underway = 11,
}

impl Reason {
    const ALL: [Self; 11] = [
        Self::NotAnImage,
        Self::Target,
        Self::Size,
        Self::Downgrade,
        Self::Signature,
        Self::Damaged,
        Self::NotFetched,
        Self::Flash,
        Self::RolledBack,
        Self::Command,
        Self::Underway,
    ];

    /// The answer to the command: `refused` where the same file will never do, `failed` where another try may.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Damaged | Self::NotFetched | Self::Flash | Self::RolledBack => Outcome::Failed,
            _ => Outcome::Refused,
        }
    }

    /// The fault that is told.
    pub fn part(self) -> Label {
        Label::from(match self {
            Self::NotAnImage => "update: not an image",
            Self::Target => "update: other device",
            Self::Size => "update: size",
            Self::Downgrade => "update: not newer",
            Self::Signature => "update: signature",
            Self::Damaged => "update: damaged",
            Self::NotFetched => "update: not fetched",
            Self::Flash => "update: flash",
            Self::RolledBack => "update: rolled back",
            Self::Command => "update: command",
            Self::Underway => "update: underway",
        })
    }

    /// The way back from `reason as u8`.
    pub(super) fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == number)
    }
}

impl From<Fault> for Reason {
    fn from(_: Fault) -> Self {
        Self::Flash
    }
}
