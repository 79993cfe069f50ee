//! Whether a camera would show something, found out without a picture leaving.

use std::future::Future;

use crate::{Camera, Fault, Reference};

/// What a camera shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Light, edges, and pictures that differ.
    Well,
    /// Too dark to see anything: no light and no infrared.
    Dark,
    /// Something is before the lens, or its shutter is shut: light, but no edges.
    Covered,
    /// The same picture again and again.
    Frozen,
    /// It looks elsewhere than any of its references. A person must look, and accept a new one.
    Moved,
    /// Video comes, but it has no still pictures to judge it by.
    Unjudged,
}

impl State {
    /// A stable word for records and programs.
    pub fn word(self) -> &'static str {
        match self {
            State::Well => "well",
            State::Dark => "dark",
            State::Covered => "covered",
            State::Frozen => "frozen",
            State::Moved => "moved",
            State::Unjudged => "unjudged",
        }
    }

    /// Whether a look through this camera can be relied on.
    pub fn is_well(self) -> bool {
        self == State::Well
    }

    /// For staff, in Swedish.
    pub fn sv(self) -> &'static str {
        match self {
            State::Well => "Kameran visar bild.",
            State::Dark => "Det är för mörkt för kameran.",
            State::Covered => "Kameran är övertäckt.",
            State::Frozen => "Kamerans bild står still.",
            State::Moved => "Kameran är riktad åt ett annat håll.",
            State::Unjudged => "Kameran sänder, men bilden går inte att bedöma.",
        }
    }

    /// For staff, in English.
    pub fn en(self) -> &'static str {
        match self {
            State::Well => "The camera shows a picture.",
            State::Dark => "It is too dark for the camera.",
            State::Covered => "The camera is covered.",
            State::Frozen => "The camera's picture stands still.",
            State::Moved => "The camera points elsewhere.",
            State::Unjudged => "The camera sends, but its picture cannot be judged.",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    pub state: State,
    /// What the camera saw just now, to be kept if a person accepts it. `None`: there was no picture to make it from.
    pub reference: Option<Reference>,
    pub took_ms: u64,
}

/// Checks `camera` against what it saw when it was accepted: by day, by infrared light; none yet: [`State::Moved`] is not judged.
/// Takes at most [`crate::limits::CHECK_MS_MAX`] and the camera's waking. No picture leaves, and none is kept.
pub fn check(camera: &Camera, references: &[Reference]) -> impl Future<Output = Result<Checked, Fault>> + Send {
    let _ = references;
    let camera = camera.id().to_owned();
    async move { Err(Fault::NoPictures { camera }) }
}
