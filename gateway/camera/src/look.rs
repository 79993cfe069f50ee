//! One look through one camera.
//!
//! Enters: a camera, how it is shown, and when it is over. Leaves: frames in the sink, and why it ended.
//! Invariant: whatever the camera does, it is over at its moment, and as soon as the viewer has gone; what the viewer has not come for by
//! then is taken back, also when the look is dropped.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::pictures::Pictures;
use crate::{Camera, Fault, Frame, FrameSink, Wiped, limits, rtsp, still, veil};

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
    /// Frames that the viewer has taken from this sink.
    pub passed: u64,
    /// Frames left out of this sink because the viewer was slow.
    pub lost: u64,
    /// From the call to the first frame, in milliseconds; `None`: there was none.
    pub first_ms: Option<u64>,
}

/// Looks through `camera` until `until`, or until the viewer goes; frames go to `sink`. Dropping the future ends it at once.
///
/// To change from veiled to clear, drop the future and call again with the same sink and the same moment.
/// Lasts at most [`limits::LOOK_S_MAX`]. A camera that gave no frame at all up to `until` is [`Fault::Silent`]: nobody has seen anything.
pub async fn look(camera: &Camera, view: View, until: Instant, sink: &FrameSink) -> Result<Ended, Fault> {
    let mut shown = Shown::new(sink);
    let why = bounded(until, sink, show(camera, view, &mut shown)).await?;
    if why == Why::Expired && shown.first_ms.is_none() {
        return Err(Fault::Silent { camera: camera.id().to_owned(), silent_ms: ms(shown.start) });
    }
    let (passed, lost) = sink.counts();
    Ok(Ended { why, passed, lost, first_ms: shown.first_ms })
}

/// Lets `source` fill `sink` until `until`, for [`limits::LOOK_S_MAX`] at most, or until the viewer goes.
async fn bounded(
    until: Instant,
    sink: &FrameSink,
    source: impl Future<Output = Result<Infallible, Fault>>,
) -> Result<Why, Fault> {
    // Let go of after the source, which then puts nothing more.
    let _emptied = Emptied(sink);
    let until = until.min(Instant::now() + Duration::from_secs(limits::LOOK_S_MAX));
    tokio::select! {
        biased;
        () = sink.left() => Ok(Why::Left),
        () = sleep_until(until) => Ok(Why::Expired),
        fault = source => fault.map(|never| match never {}),
    }
}

/// Empties the viewer's place when dropped: nothing is seen after a look, or in the next one, that belongs to this one.
struct Emptied<'a>(&'a FrameSink);

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        self.0.empty();
    }
}

/// Where frames go, and when the first one went.
pub(crate) struct Shown<'a> {
    pub sink: &'a FrameSink,
    start: Instant,
    first_ms: Option<u64>,
}

impl Shown<'_> {
    pub fn new(sink: &FrameSink) -> Shown<'_> {
        Shown { sink, start: Instant::now(), first_ms: None }
    }

    pub fn first_ms(&self) -> Option<u64> {
        self.first_ms
    }

    pub fn put(&mut self, frame: Frame) {
        self.first_ms.get_or_insert_with(|| ms(self.start));
        // Whether the viewer has gone is heard by `left`.
        self.sink.put(frame);
    }
}

fn ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

async fn show(camera: &Camera, view: View, shown: &mut Shown<'_>) -> Result<Infallible, Fault> {
    if view == View::Video {
        if !camera.can(View::Video) {
            return Err(Fault::NoVideo { camera: camera.id().to_owned() });
        }
        return rtsp::show(camera, shown).await;
    }
    let mut pictures = Pictures::new(camera)?;
    let pause_ms = camera.waits.picture_pause_ms;
    loop {
        let jpeg = pictures.next(if pictures.is_stream() { pause_ms } else { camera.waits.still_pause_ms }).await?;
        let jpeg = if view == View::Veiled { veiled(camera, jpeg).await? } else { jpeg };
        shown.put(Frame::Jpeg(jpeg));
    }
}

/// Decoding takes milliseconds, so it does not run where connections are served; a panic in it is a damaged picture.
async fn veiled(camera: &Camera, jpeg: Wiped) -> Result<Wiped, Fault> {
    let veiled = tokio::task::spawn_blocking(move || still::light(&jpeg).map(|light| veil::veil(&light))).await;
    veiled.unwrap_or(Err(still::Bad::Malformed)).map_err(|bad| bad.fault(camera.id()))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::frames;

    fn picture() -> Frame {
        Frame::Jpeg(Wiped::new(vec![1]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_over_at_its_moment_and_no_later_than_the_longest_one() {
        for (asked_s, lasts_s) in [(2, 2), (limits::LOOK_S_MAX, limits::LOOK_S_MAX), (3_600, limits::LOOK_S_MAX)] {
            let (sink, _viewer) = frames();
            let start = Instant::now();
            let source = async {
                sink.put(picture());
                pending().await
            };
            let why = bounded(start + Duration::from_secs(asked_s), &sink, source).await;
            assert_eq!(why, Ok(Why::Expired));
            assert_eq!(start.elapsed(), Duration::from_secs(lasts_s), "{asked_s} s were asked for");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_taken_back_however_a_look_ends() {
        let ended = || Fault::Ended { camera: "c1".to_owned() };
        for (what, fault, drops) in
            [("its moment", None, false), ("a fault", Some(ended()), false), ("dropped", None, true)]
        {
            let (sink, viewer) = frames();
            let source = async {
                sink.put(picture());
                match fault {
                    Some(fault) => Err(fault),
                    None => pending().await,
                }
            };
            let look = bounded(Instant::now() + Duration::from_secs(2), &sink, source);
            if drops {
                let _ = tokio::time::timeout(Duration::from_secs(1), look).await;
            } else {
                let _ = look.await;
            }
            assert!(sink.is_free(), "{what}");
            drop(viewer);
        }
    }
}
