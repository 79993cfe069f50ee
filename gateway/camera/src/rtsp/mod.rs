//! Video of one camera: H.264 by RTSP over TCP, passed on as it is.
//!
//! Enters: a camera that speaks RTSP. Leaves: fragmented MP4, beginning with a key picture.
//! The library (retina) describes, sets up and plays; it stands behind [`front::Front`], which alone knows the camera's password and key.
//! Absent: UDP, sound, decoding.

mod front;

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use retina::client::{
    PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions, TeardownPolicy, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

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
    let url = front.url().clone();
    tokio::select! {
        // What the front says is wrong is the reason for whatever the library then says.
        biased;
        fault = front.serve(camera) => Err(fault),
        result = play(camera, url, shown) => result,
    }
}

async fn play(camera: &Camera, url: Url, shown: &mut Shown<'_>) -> Result<Infallible, Fault> {
    let id = || camera.id().to_owned();
    let malformed = |what| move |_| Fault::Malformed { camera: id(), what };
    let options = SessionOptions::default().user_agent("vaka".to_owned()).teardown(TeardownPolicy::Never);
    let mut session = Session::describe(url, options).await.map_err(malformed("the description of its video"))?;
    let is_h264 = |stream: &retina::client::Stream| stream.media() == "video" && stream.encoding_name() == "h264";
    let at = session.streams().iter().position(is_h264).ok_or_else(|| Fault::NoVideo { camera: id() })?;
    let tcp = Transport::Tcp(TcpTransportOptions::default());
    let setup = SetupOptions::default().transport(tcp).frame_format(FrameFormat::MP4);
    session.setup(at, setup).await.map_err(malformed("its answer about video"))?;
    let playing = session.play(PlayOptions::default()).await.map_err(malformed("its answer about video"))?;
    let mut pictures = playing.demuxed().map_err(malformed("the description of its video"))?;
    let mut track: Option<Track> = None;
    let mut late: Option<Late> = None;
    let mut needs_key = true;
    loop {
        let picture = match pictures.next().await {
            Some(Ok(CodecItem::VideoFrame(picture))) => picture,
            Some(Ok(_)) => continue,
            Some(Err(_)) => return Err(Fault::Malformed { camera: id(), what: "its video" }),
            None => return Err(Fault::Ended { camera: id() }),
        };
        let is_key = picture.is_random_access_point();
        // What was lost is missing in every picture up to the next key picture.
        needs_key = (needs_key || picture.loss() > 0) && !is_key;
        // Pictures that come too late for a live view have waited for a slow viewer, in places that are not ours to bound.
        let (time, rate) = (picture.timestamp().timestamp(), picture.timestamp().clock_rate().get());
        needs_key |= late.get_or_insert_with(|| Late::new(time, rate)).is_late(time);
        if needs_key {
            continue;
        }
        if track.is_none() || picture.has_new_parameters() {
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
        }
        if let Some(track) = &mut track {
            let segment = part(camera, track, picture)?;
            // Several come at once at times; only a viewer that is slow for longer loses some.
            let _ = timeout(Duration::from_millis(VIEWER_MS_MAX), shown.sink.taken()).await;
            shown.put(Frame::Mp4Part { segment, is_key });
        }
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
}

impl Late {
    fn new(first: i64, rate: u32) -> Self {
        Late { start: Instant::now(), first, rate, least_ms: 0 }
    }

    /// Whether a picture of RTP time `at` that has come now is too late to be shown.
    fn is_late(&mut self, at: i64) -> bool {
        let theirs_ms = at.saturating_sub(self.first).saturating_mul(1_000) / i64::from(self.rate);
        let late_ms = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX).saturating_sub(theirs_ms);
        self.least_ms = self.least_ms.min(late_ms);
        late_ms - self.least_ms > LATE_MS_MAX
    }
}

fn part(camera: &Camera, track: &mut Track, picture: VideoFrame) -> Result<Wiped, Fault> {
    let (at, is_key) = (picture.timestamp().timestamp(), picture.is_random_access_point());
    let data = Wiped::new(picture.into_data());
    if data.len() > VIDEO_PICTURE_BYTES_MAX {
        let max = VIDEO_PICTURE_BYTES_MAX;
        return Err(Fault::TooLarge { camera: camera.id().to_owned(), what: "a picture of its video", max });
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
        assert!(!late.is_late(ticks(1_000)));
        for step in 0..20 {
            advance(Duration::from_millis(100)).await;
            assert!(!late.is_late(ticks(1_100 + step * 100)));
        }
        // Now it stands in a queue: time passes here, and hardly there.
        advance(Duration::from_millis(900)).await;
        assert!(!late.is_late(ticks(3_000)));
        advance(Duration::from_millis(200)).await;
        assert!(late.is_late(ticks(3_000)));
        // Back in time.
        assert!(!late.is_late(ticks(4_000)));
    }
}
