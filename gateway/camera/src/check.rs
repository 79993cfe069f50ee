//! Whether a camera would show something, found out without a picture leaving.
//!
//! Enters: a few pictures, and where there is video its beginning. Leaves: a state, and a reference that no picture can be made from.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::frame::frames;
use crate::limits::{CHECK_MS_MAX, CHECK_STILLS};
use crate::look::Shown;
use crate::pictures::Pictures;
use crate::{Camera, Fault, Reference, View, reference, rtsp, still};

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

/// Mean light below which a picture may be dark, 0 to 255: video's black is 16. Source: our choice.
const DARK_MEAN_MAX: usize = 28;

/// Spread of light, from the darkest twentieth to the lightest, below which a dim picture is dark. A room that is mostly black but shows a
/// bed has more; a lamp on another device, a point or two of many, has none. Source: our choice, tried on drawn rooms.
const DARK_SPREAD_MAX: u8 = 20;

/// Cells with an edge below which a light picture is covered: a hand, a cloth and a shut shutter have none, a room has tens.
const COVERED_EDGES_MAX: u32 = 3;

/// Frames of a video that prove it comes: its beginning, a key picture and one after it.
const VIDEO_FRAMES: usize = 3;

/// What one picture told; nothing that it could be made from again.
#[derive(Debug, Clone, Copy)]
struct Seen {
    is_dark: bool,
    sum: u64,
    reference: Reference,
}

fn seen(jpeg: &[u8]) -> Result<Seen, still::Bad> {
    Ok(told(&still::light(jpeg)?))
}

fn told(light: &still::Light) -> Seen {
    let light = light.middle();
    let grid = light.grid(reference::POINTS.0, reference::POINTS.1);
    let mean = grid.iter().map(|point| usize::from(*point)).sum::<usize>() / grid.len();
    let mut sorted = grid.clone();
    sorted.sort_unstable();
    let twentieth = sorted.len() / 20;
    let spread = sorted[sorted.len() - 1 - twentieth] - sorted[twentieth];
    let is_dark = mean < DARK_MEAN_MAX && spread < DARK_SPREAD_MAX;
    Seen { is_dark, sum: light.sum(), reference: Reference::of(&grid) }
}

/// Judges pictures in the order they came; the last one says what is seen now. Dark before covered before frozen: a dark picture has no
/// edges, and may well be the same twice.
fn judge(pictures: &[Seen], references: &[Reference]) -> Option<Checked> {
    let now = pictures.last()?;
    let is_same = pictures.iter().all(|seen| seen.sum == now.sum);
    let state = match () {
        () if now.is_dark => State::Dark,
        () if now.reference.edges() <= COVERED_EDGES_MAX => State::Covered,
        () if pictures.len() >= CHECK_STILLS && is_same => State::Frozen,
        () if !references.is_empty() && references.iter().all(|known| known.is_elsewhere(&now.reference)) => {
            State::Moved
        }
        () => State::Well,
    };
    Some(Checked { state, reference: Some(now.reference), took_ms: 0 })
}

/// Checks `camera` against what it saw when it was accepted: by day, by infrared light; none yet: [`State::Moved`] is not judged.
/// Takes at most [`crate::limits::CHECK_MS_MAX`] and the camera's waking, in which infrared light may come on. No picture leaves, and
/// none is kept.
pub async fn check(camera: &Camera, references: &[Reference]) -> Result<Checked, Fault> {
    let start = Instant::now();
    let most = Duration::from_millis(CHECK_MS_MAX + u64::from(camera.wake_ms));
    let checked = timeout(most, both_checked(camera, references)).await;
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let silent = Fault::Silent { camera: camera.id().to_owned(), silent_ms: took_ms };
    checked.unwrap_or(Err(silent)).map(|checked| Checked { took_ms, ..checked })
}

/// Every way by which this camera may be looked through: video first, then what can be judged of it.
async fn both_checked(camera: &Camera, references: &[Reference]) -> Result<Checked, Fault> {
    // Made first: its waking is counted from here, whatever the video takes of it.
    let pictures = camera.can(View::Clear).then(|| Pictures::new(camera)).transpose()?;
    if camera.can(View::Video) {
        video_checked(camera).await?;
    }
    match pictures {
        Some(pictures) => pictures_checked(camera, pictures, references).await,
        None => Ok(Checked { state: State::Unjudged, reference: None, took_ms: 0 }),
    }
}

async fn pictures_checked(
    camera: &Camera,
    mut pictures: Pictures<'_>,
    references: &[Reference],
) -> Result<Checked, Fault> {
    loop {
        let mut all = Vec::with_capacity(CHECK_STILLS);
        while all.len() < CHECK_STILLS {
            let jpeg = pictures.next(camera.waits.still_pause_ms).await?;
            let seen = tokio::task::spawn_blocking(move || seen(&jpeg)).await;
            all.push(seen.unwrap_or(Err(still::Bad::Malformed)).map_err(|bad| bad.fault(camera.id()))?);
        }
        match judge(&all, references) {
            // Before a camera is awake, its light may be off, its shutter shut, and its picture the one it fell asleep with.
            Some(Checked { state: State::Dark | State::Covered | State::Frozen, .. }) if pictures.is_waking() => (),
            Some(checked) => return Ok(checked),
            None => (),
        }
    }
}

/// Of video, that it comes is all that can be told without decoding it.
async fn video_checked(camera: &Camera) -> Result<(), Fault> {
    let (sink, mut frames) = frames();
    let mut shown = Shown::new(&sink);
    tokio::select! {
        Err(fault) = rtsp::show(camera, &mut shown) => Err(fault),
        () = async { for _ in 0..VIDEO_FRAMES { frames.next().await; } } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_lamp_on_another_device_makes_no_room_and_a_bed_does() {
        let (width, height) = (640, 480);
        // How many pixels across and down are light in an otherwise dark picture.
        for (what, side, light, is_dark) in [("a lamp", 30, 255, true), ("a bed by a night light", 200, 60, false)] {
            let is_light = |at: usize| (at % width).abs_diff(320) < side / 2 && (at / width).abs_diff(240) < side / 2;
            let pixels = (0..width * height).map(|at| if is_light(at) { light } else { 10 + (at % 3) as u8 }).collect();
            let seen = told(&still::Light { width, height, pixels: Zeroizing::new(pixels) });
            assert_eq!(seen.is_dark, is_dark, "{what}");
        }
    }
}
