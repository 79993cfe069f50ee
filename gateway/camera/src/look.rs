//! One look through one camera.

use std::future::Future;

use tokio::time::Instant;

use crate::{Camera, Fault, FrameSink};

/// How a picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// JPEG in coarse grey cells: enough for in bed, on the floor or gone. Ask [`Camera::can`] first: a camera with video alone cannot.
    Veiled,
    /// JPEG as the camera gave it.
    Clear,
    /// H.264 as the camera gave it, packed as fragmented MP4: lighter than JPEG, for viewers whose MediaSource takes it.
    Video,
}

/// Why a look was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its moment had come.
    Expired,
    /// The viewer went.
    Left,
}

/// A look that went as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub why: Why,
    /// Frames that the viewer took.
    pub passed: u64,
    /// Frames left out because the viewer was slow.
    pub lost: u64,
    /// From the call to the first frame, in milliseconds; `None`: there was none.
    pub first_ms: Option<u64>,
}

/// Looks through `camera` until `until`, or until the viewer goes; frames go to `sink`. Dropping the future ends it at once.
///
/// To change from veiled to clear, drop the future and call again with the same sink and the same moment.
pub fn look(
    camera: &Camera,
    view: View,
    until: Instant,
    sink: &FrameSink,
) -> impl Future<Output = Result<Ended, Fault>> + Send {
    let _ = (view, until, sink);
    let camera = camera.id().to_owned();
    async move { Err(Fault::NoPictures { camera }) }
}
