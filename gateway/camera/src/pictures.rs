//! Pictures of one camera, one after the other, by MJPEG or as stills: its answer tells which.
//!
//! Enters: a camera that gives JPEG. Leaves: whole pictures of allowed size, no faster than asked for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::http::Http;
use crate::limits::{PICTURE_BYTES_MAX, WAKE_PAUSE_MS};
use crate::mjpeg::{self, Parts};
use crate::still::{self, Bad};
use crate::{Camera, Fault, Wiped};

pub(crate) struct Pictures<'a> {
    camera: &'a Camera,
    http: Http<'a>,
    /// While the camera streams.
    parts: Option<Parts>,
    /// Before this moment a refusal only means that the camera still wakes.
    awake_at: Instant,
    last_at: Option<Instant>,
}

impl<'a> Pictures<'a> {
    pub fn new(camera: &'a Camera) -> Result<Self, Fault> {
        let spot = camera.pictures().ok_or_else(|| Fault::NoPictures { camera: camera.id().to_owned() })?;
        let http = Http::new(camera, spot.clone());
        let awake_at = Instant::now() + Duration::from_millis(camera.wake_ms.into());
        Ok(Pictures { camera, http, parts: None, awake_at, last_at: None })
    }

    /// The next picture, at least `pause_ms` after the last: of a stream what comes sooner is left out, a still is asked for later.
    pub async fn next(&mut self, pause_ms: u64) -> Result<Wiped, Fault> {
        let due = self.last_at.map(|last| last + Duration::from_millis(pause_ms));
        let mut jpeg = loop {
            let jpeg = match &mut self.parts {
                // Bytes alone are no sign of life: a whole picture is due.
                Some(_) => {
                    let silence = Duration::from_millis(self.camera.waits.silence_ms);
                    let part = timeout(silence, self.part()).await;
                    part.unwrap_or_else(|_| Err(self.camera.silent()))?
                }
                None => {
                    if let Some(due) = due {
                        sleep_until(due).await;
                    }
                    self.first().await?
                }
            };
            if due.is_none_or(|due| Instant::now() >= due) {
                break jpeg;
            }
            drop(Wiped::new(jpeg));
        };
        self.last_at = Some(Instant::now());
        still::judge(&mut jpeg).map_err(|bad| bad.fault(self.camera.id()))?;
        Ok(Wiped::new(jpeg))
    }

    /// A still, or the first picture of a stream; tried again while the camera may be waking.
    async fn first(&mut self) -> Result<Vec<u8>, Fault> {
        let waits = self.camera.waits;
        let most = Duration::from_millis(waits.connect_ms + waits.silence_ms);
        loop {
            match timeout(most, self.asked()).await.unwrap_or_else(|_| Err(self.camera.silent())) {
                Err(Fault::PathDown { .. } | Fault::Answered { status: 500.., .. } | Fault::Ended { .. })
                    if Instant::now() < self.awake_at =>
                {
                    sleep_until(Instant::now() + Duration::from_millis(WAKE_PAUSE_MS)).await;
                }
                result => return result,
            }
        }
    }

    async fn asked(&mut self) -> Result<Vec<u8>, Fault> {
        let head = self.http.get().await?;
        let kind = head.get("content-type").unwrap_or_default();
        match mjpeg::boundary(kind) {
            Some(boundary) => {
                self.parts = Some(Parts::new(boundary, PICTURE_BYTES_MAX));
                self.part().await
            }
            None if kind.to_ascii_lowercase().starts_with("image/j") => {
                self.http.whole("a picture", PICTURE_BYTES_MAX).await
            }
            None => Err(Fault::Malformed { camera: self.camera.id().to_owned(), what: "what it calls a picture" }),
        }
    }

    async fn part(&mut self) -> Result<Vec<u8>, Fault> {
        let camera = || self.camera.id().to_owned();
        while let Some(parts) = &mut self.parts {
            match parts.next() {
                Ok(Some(part)) => return Ok(part),
                Ok(None) => match self.http.some().await? {
                    Some(piece) => parts.push(&piece),
                    None => return Err(Fault::Ended { camera: camera() }),
                },
                Err(mjpeg::Bad::TooLarge) => {
                    return Err(Fault::TooLarge { camera: camera(), what: "a picture", max: PICTURE_BYTES_MAX });
                }
                Err(mjpeg::Bad::Malformed) => return Err(Bad::Malformed.fault(self.camera.id())),
            }
        }
        Err(Fault::Ended { camera: camera() })
    }

    /// Whether the camera streams, as far as it has answered.
    pub fn is_stream(&self) -> bool {
        self.parts.is_some()
    }

    /// Whether the camera may still be waking.
    pub fn is_waking(&self) -> bool {
        Instant::now() < self.awake_at
    }
}
