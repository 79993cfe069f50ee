//! Video of one camera: H.264 by RTSP over TCP, passed on as it is.
//!
//! Enters: a camera that speaks RTSP. Leaves: fragmented MP4, beginning with a key picture.
//! The library (retina) describes, sets up and plays; it stands behind [`front::Front`], which alone knows the camera's password and key.
//! Absent: UDP, sound, decoding.

mod flow;
mod front;

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use retina::client::{
    PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions, TeardownPolicy, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use url::Url;

use self::flow::Flow;
use self::front::Front;
use crate::fmp4::Track;
use crate::limits::{
    LATE_MS_MAX, PICTURE_HEIGHT_PX_MAX, PICTURE_WIDTH_PX_MAX, VIDEO_PICTURE_BYTES_MAX, VIEWER_MS_MAX, WAKE_PAUSE_MS,
};
use crate::look::Shown;
use crate::{Camera, Fault, Frame, Wiped};

/// Shows video until the camera fails; tried again while it may be waking and has shown nothing.
pub(crate) async fn show(camera: &Camera, shown: &mut Shown<'_>) -> Result<Infallible, Fault> {
    let awake_at = Instant::now() + Duration::from_millis(camera.wake_ms.into());
    loop {
        let Err(fault) = once(camera, shown).await;
        let is_waking = Instant::now() < awake_at && shown.first_ms().is_none();
        match fault {
            Fault::PathDown { .. } | Fault::Answered { status: 500.., .. } | Fault::Ended { .. } if is_waking => {
                sleep_until(Instant::now() + Duration::from_millis(WAKE_PAUSE_MS)).await;
            }
            fault => return Err(fault),
        }
    }
}

async fn once(camera: &Camera, shown: &mut Shown<'_>) -> Result<Infallible, Fault> {
    let front = Front::open(camera).await?;
    let (url, flow) = (front.url().clone(), Flow::default());
    tokio::select! {
        // What the front says is wrong is the reason for whatever the library then says.
        biased;
        fault = front.serve(camera, &flow) => Err(fault),
        result = play(camera, url, &flow, shown) => result,
    }
}

async fn play(camera: &Camera, url: Url, flow: &Flow, shown: &mut Shown<'_>) -> Result<Infallible, Fault> {
    let id = || camera.id().to_owned();
    let malformed = |what| move |_| Fault::Malformed { camera: id(), what };
    let options = SessionOptions::default().user_agent("vaka".to_owned()).teardown(TeardownPolicy::Never);
    let begun = async {
        let mut session = Session::describe(url, options).await.map_err(malformed("the description of its video"))?;
        let is_h264 = |stream: &retina::client::Stream| stream.media() == "video" && stream.encoding_name() == "h264";
        let at = session.streams().iter().position(is_h264).ok_or_else(|| Fault::NoVideo { camera: id() })?;
        let tcp = Transport::Tcp(TcpTransportOptions::default());
        let setup = SetupOptions::default().transport(tcp).frame_format(FrameFormat::MP4);
        session.setup(at, setup).await.map_err(malformed("its answer about video"))?;
        let playing = session.play(PlayOptions::default()).await.map_err(malformed("its answer about video"))?;
        Ok((at, playing.demuxed().map_err(malformed("the description of its video"))?))
    };
    let silence = Duration::from_millis(camera.waits.silence_ms);
    let most = Duration::from_millis(camera.waits.connect_ms) + silence;
    let (at, mut pictures) = timeout(most, begun).await.unwrap_or_else(|_| Err(camera.silent()))?;
    let mut track: Option<Track> = None;
    let mut late: Option<Late> = None;
    let mut needs_key = true;
    // Parameters that came with a picture that was left out are told with the next one that is shown.
    let mut is_new = true;
    // Bytes alone are no sign of life: a picture that can be shown is due by then.
    let mut due = Instant::now() + silence;
    loop {
        let next = if Instant::now() < due { timeout_at(due, pictures.next()).await.ok() } else { None };
        let picture = match next {
            Some(Some(Ok(CodecItem::VideoFrame(picture)))) => picture,
            Some(Some(Ok(_))) => continue,
            Some(Some(Err(_))) => return Err(Fault::Malformed { camera: id(), what: "its video" }),
            Some(None) => return Err(Fault::Ended { camera: id() }),
            None if flow.is_full() => return Err(too_large(camera)),
            None => return Err(camera.silent()),
        };
        flow.came_out();
        is_new |= picture.has_new_parameters();
        let is_key = picture.is_random_access_point();
        // What was lost is missing in every picture up to the next key picture.
        needs_key = (needs_key || picture.loss() > 0) && !is_key;
        // Pictures that come too late for a live view have waited for a slow viewer, in places that are not ours to bound.
        let (time, rate) = (picture.timestamp().timestamp(), picture.timestamp().clock_rate().get());
        let late = late.get_or_insert_with(|| Late::new(time, rate));
        needs_key |= late.is_late(time, is_key, shown.sink.is_free());
        if needs_key {
            continue;
        }
        if is_new {
            let parameters = pictures.streams().get(at).and_then(|stream| stream.parameters());
            let Some(ParametersRef::Video(parameters)) = parameters else {
                return Err(Fault::Malformed { camera: id(), what: "the description of its video" });
            };
            let size = parameters.pixel_dimensions();
            if size.0 as usize > PICTURE_WIDTH_PX_MAX || size.1 as usize > PICTURE_HEIGHT_PX_MAX {
                return Err(Fault::TooLarge { camera: id(), what: "a picture in pixels", max: PICTURE_WIDTH_PX_MAX });
            }
            let entry = parameters.mp4_sample_entry().build().map_err(malformed("the description of its video"))?;
            let mime = format!("video/mp4; codecs=\"{}\"", parameters.rfc6381_codec());
            let new = Track::new(picture.timestamp().clock_rate().get(), size, entry);
            let segment = Wiped::new(new.init());
            track = Some(new);
            // The beginning is never left out, so it waits for the viewer, as long as the look lasts.
            shown.sink.taken().await;
            shown.put(Frame::Mp4Init { mime, segment });
            is_new = false;
        }
        if let Some(track) = &mut track {
            let segment = part(camera, track, picture)?;
            // Several come at once at times; only a viewer that is slow for longer loses some.
            let _ = timeout(Duration::from_millis(VIEWER_MS_MAX), shown.sink.taken()).await;
            shown.put(Frame::Mp4Part { segment, is_key });
        }
        // Only now: while a viewer is waited for, the camera owes nothing.
        due = Instant::now() + silence;
    }
}

/// How late pictures come, against the least late of them: by the camera's clock and ours.
struct Late {
    start: Instant,
    /// RTP time of the first picture, in ticks.
    first: i64,
    /// Ticks per second.
    rate: u32,
    least_ms: i64,
    /// Since when pictures come too late although nothing waits for the viewer.
    free_since: Option<Instant>,
}

impl Late {
    fn new(first: i64, rate: u32) -> Self {
        Late { start: Instant::now(), first, rate, least_ms: 0, free_since: None }
    }

    /// Whether a picture of RTP time `at` that has come now is too late to be shown. `is_free`: nothing waits for the viewer. What a slow
    /// viewer has piled up is then worked off at once; a camera that is late for longer only has a clock that goes wrong, and is judged
    /// anew from a key picture on.
    fn is_late(&mut self, at: i64, is_key: bool, is_free: bool) -> bool {
        let theirs_ms = at.saturating_sub(self.first).saturating_mul(1_000) / i64::from(self.rate);
        let late_ms = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX).saturating_sub(theirs_ms);
        self.least_ms = self.least_ms.min(late_ms);
        let is_late = late_ms.saturating_sub(self.least_ms) > LATE_MS_MAX;
        if !is_late || !is_free {
            self.free_since = None;
            return is_late;
        }
        let free_since = *self.free_since.get_or_insert_with(Instant::now);
        let is_wrong = is_key && free_since.elapsed() >= Duration::from_millis(LATE_MS_MAX.unsigned_abs());
        if is_wrong {
            *self = Late::new(at, self.rate);
        }
        !is_wrong
    }
}

fn too_large(camera: &Camera) -> Fault {
    Fault::TooLarge { camera: camera.id().to_owned(), what: "a picture of its video", max: VIDEO_PICTURE_BYTES_MAX }
}

fn part(camera: &Camera, track: &mut Track, picture: VideoFrame) -> Result<Wiped, Fault> {
    let (at, is_key) = (picture.timestamp().timestamp(), picture.is_random_access_point());
    let data = Wiped::new(picture.into_data());
    if data.len() > VIDEO_PICTURE_BYTES_MAX {
        return Err(too_large(camera));
    }
    Ok(Wiped::new(track.part(&data, at, is_key)))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Milliseconds, in RTP ticks.
    fn ticks(ms: i64) -> i64 {
        ms * 90
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_that_waited_is_late_and_a_camera_that_starts_slowly_is_not() {
        let mut late = Late::new(ticks(500), 90_000);
        // The first had waited half a second itself: what comes in time then is no sign of anything.
        assert!(!late.is_late(ticks(1_000), false, false));
        for step in 0..20 {
            advance(Duration::from_millis(100)).await;
            assert!(!late.is_late(ticks(1_100 + step * 100), false, false));
        }
        // Now it stands in a queue: time passes here, and hardly there.
        advance(Duration::from_millis(900)).await;
        assert!(!late.is_late(ticks(3_000), false, false));
        advance(Duration::from_millis(200)).await;
        assert!(late.is_late(ticks(3_000), false, false));
        // Back in time.
        assert!(!late.is_late(ticks(4_000), false, false));
    }
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_wrong_is_judged_anew_and_freezes_nothing() {
        // Ten pictures a second, a key picture each second, by a clock of half the speed; then one that jumps back by a day.
        for (what, clock) in [
            ("half the speed", (|step: i64| step * 50) as fn(i64) -> i64),
            ("a jump", |step| step * 100 - if step > 100 { 86_400_000 } else { 0 }),
        ] {
            let mut late = Late::new(ticks(0), 90_000);
            let mut seconds = std::collections::BTreeSet::new();
            for step in 1..600 {
                advance(Duration::from_millis(100)).await;
                if !late.is_late(ticks(clock(step)), step % 10 == 0, true) {
                    seconds.insert(step / 10);
                }
            }
            let frozen: Vec<_> = (0..56).filter(|at| (*at..*at + 4).all(|second| !seconds.contains(&second))).collect();
            assert!(frozen.is_empty(), "{what}: four seconds without a picture from {frozen:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_viewer_holds_up_stays_late_for_as_long_as_it_takes() {
        let mut late = Late::new(ticks(0), 90_000);
        for step in 1..100 {
            advance(Duration::from_millis(300)).await;
            // It comes for one in three: the rest stands in a queue.
            assert_eq!(late.is_late(ticks(step * 100), true, false), step > 5, "{step}");
        }
    }
}
