//! Frames on their way to one viewer: a place for one, not a queue.
//!
//! Enters: frames as the camera gives them. Leaves: the newest, whenever the viewer comes for it.
//! Invariant: at most one frame waits. A picture that is still waiting gives way to a newer one; of a video, parts are left out up to
//! the next key picture, because a part without those before it shows rubbish. After such a gap a MediaSource has to be moved on: to the
//! start of its last buffered range.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use zeroize::Zeroizing;

/// Bytes of a picture: zeroed when dropped, and their `Debug` is a length. Not cloned: hand it on.
pub struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    /// Takes the bytes over; they are zeroed from here on.
    pub fn new(bytes: Vec<u8>) -> Self {
        Wiped(Zeroizing::new(bytes))
    }
}

impl std::ops::Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// For `bytes::Bytes::from_owner`, by which a body is sent without a copy.
impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What a viewer is sent.
#[derive(Debug)]
pub enum Frame {
    /// One whole picture, veiled or clear: `image/jpeg`.
    Jpeg(Wiped),
    /// Begins a video: what a browser's MediaSource is opened with (`video/mp4; codecs="avc1.42c01e"`), and the fragmented MP4's
    /// initialisation segment. Comes first, and is never left out.
    Mp4Init { mime: String, segment: Wiped },
    /// One picture of the video, as one fragment (`moof` and `mdat`).
    Mp4Part { segment: Wiped, is_key: bool },
}

#[derive(Debug, Default)]
struct Slot {
    frame: Option<Frame>,
    /// A part was left out: none fits before the next key picture.
    needs_key: bool,
    passed: u64,
    lost: u64,
    /// One of both ends has gone.
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    put: Notify,
    taken: Notify,
}

impl Shared {
    /// A slot is whole after every statement, so a panic elsewhere spoils nothing.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.slot().is_closed = true;
        self.put.notify_waiters();
        self.taken.notify_waiters();
    }
}

/// The end that a look fills.
#[derive(Debug)]
pub struct FrameSink(Arc<Shared>);

/// The viewer's end. Dropping it ends the look.
#[derive(Debug)]
pub struct Frames(Arc<Shared>);

/// A place for one frame.
pub fn frames() -> (FrameSink, Frames) {
    let shared = Arc::new(Shared::default());
    (FrameSink(Arc::clone(&shared)), Frames(shared))
}

impl Frames {
    /// The next frame, as soon as there is one. `None`: the [`FrameSink`] was dropped. What waits when a look ends is taken back. Cancel-safe.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            // Made before looking: it then hears of whatever comes after the look.
            let put = self.0.put.notified();
            {
                let mut slot = self.0.slot();
                if let Some(frame) = slot.frame.take() {
                    slot.passed += 1;
                    self.0.taken.notify_waiters();
                    return Some(frame);
                }
                if slot.is_closed {
                    return None;
                }
            }
            put.await;
        }
    }
}

impl FrameSink {
    /// Hands a frame on. `false`: the viewer has gone.
    pub(crate) fn put(&self, frame: Frame) -> bool {
        let mut slot = self.0.slot();
        if slot.is_closed {
            return false;
        }
        let fits = match (&slot.frame, &frame) {
            (None, Frame::Mp4Part { is_key, .. }) => *is_key || !slot.needs_key,
            // Whatever waits, a whole picture says more now; a beginning follows nothing else.
            (None, _) | (_, Frame::Jpeg(_)) | (Some(Frame::Jpeg(_)), Frame::Mp4Init { .. }) => true,
            (Some(_), _) => false,
        };
        slot.lost += u64::from(!fits || slot.frame.is_some());
        slot.needs_key = !fits;
        if fits {
            slot.frame = Some(frame);
            self.0.put.notify_waiters();
        }
        true
    }

    /// Whether nothing waits for the viewer.
    pub(crate) fn is_free(&self) -> bool {
        self.0.slot().frame.is_none()
    }

    /// Waits until nothing waits for the viewer any more. `false`: the viewer has gone.
    pub(crate) async fn taken(&self) -> bool {
        loop {
            let taken = self.0.taken.notified();
            {
                let slot = self.0.slot();
                if slot.is_closed || slot.frame.is_none() {
                    return !slot.is_closed;
                }
            }
            taken.await;
        }
    }

    /// Takes back what the viewer has not come for.
    pub(crate) fn empty(&self) {
        let frame = self.0.slot().frame.take();
        drop(frame);
        self.0.taken.notify_waiters();
    }

    /// Ends when the viewer has gone.
    pub(crate) async fn left(&self) {
        loop {
            let taken = self.0.taken.notified();
            if self.0.slot().is_closed {
                return;
            }
            taken.await;
        }
    }

    /// How many frames the viewer has taken so far, and how many were left out.
    pub fn counts(&self) -> (u64, u64) {
        let slot = self.0.slot();
        (slot.passed, slot.lost)
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        self.empty();
        self.0.close();
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let frame = self.0.slot().frame.take();
        drop(frame);
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(byte: u8, is_key: bool) -> Frame {
        Frame::Mp4Part { segment: Wiped::new(vec![byte]), is_key }
    }

    fn byte(frame: Option<Frame>) -> Option<u8> {
        match frame? {
            Frame::Jpeg(bytes) | Frame::Mp4Part { segment: bytes, .. } | Frame::Mp4Init { segment: bytes, .. } => {
                bytes.first().copied()
            }
        }
    }

    #[tokio::test]
    async fn of_pictures_the_newest_waits() {
        let (sink, mut viewer) = frames();
        for byte in 1..=3 {
            assert!(sink.put(Frame::Jpeg(Wiped::new(vec![byte]))));
        }
        assert_eq!(byte(viewer.next().await), Some(3));
        assert_eq!(sink.counts(), (1, 2));
        drop(sink);
        assert_eq!(byte(viewer.next().await), None);
    }

    #[tokio::test]
    async fn of_a_video_nothing_comes_between_a_gap_and_the_next_key_picture() {
        let (sink, mut viewer) = frames();
        sink.put(Frame::Mp4Init { mime: String::new(), segment: Wiped::new(vec![0]) });
        // The beginning is still waiting: what comes now is lost, and so is what builds on it.
        sink.put(part(1, true));
        assert_eq!(byte(viewer.next().await), Some(0));
        sink.put(part(2, false));
        sink.put(part(3, true));
        assert_eq!(byte(viewer.next().await), Some(3));
        sink.put(part(4, false));
        assert_eq!(byte(viewer.next().await), Some(4));
        assert_eq!(sink.counts(), (3, 2));
    }

    #[tokio::test]
    async fn a_picture_takes_the_place_of_a_video_that_is_over() {
        let (sink, mut viewer) = frames();
        sink.put(part(1, true));
        sink.put(Frame::Jpeg(Wiped::new(vec![2])));
        assert_eq!(byte(viewer.next().await), Some(2));
        sink.put(Frame::Jpeg(Wiped::new(vec![3])));
        sink.put(Frame::Mp4Init { mime: String::new(), segment: Wiped::new(vec![4]) });
        assert_eq!(byte(viewer.next().await), Some(4));
    }

    #[tokio::test]
    async fn what_waits_goes_with_its_sink() {
        let (sink, mut viewer) = frames();
        sink.put(Frame::Jpeg(Wiped::new(vec![1])));
        drop(sink);
        assert_eq!(byte(viewer.next().await), None);
    }

    #[tokio::test]
    async fn a_viewer_who_goes_is_heard_and_leaves_nothing() {
        let (sink, viewer) = frames();
        sink.put(Frame::Jpeg(Wiped::new(vec![1])));
        let (_, taken, ()) = tokio::join!(sink.left(), sink.taken(), async move { drop(viewer) });
        assert!(!taken);
        assert!(!sink.put(Frame::Jpeg(Wiped::new(vec![2]))));
        assert!(sink.0.slot().frame.is_none());
    }
}
