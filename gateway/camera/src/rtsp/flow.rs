//! How much video the library may hold before it gives a picture.
//!
//! Enters: bytes on their way to the library, and its pictures. Leaves: whether more may follow.
//! Why here: what belongs to one picture is the library's to judge (it gathers on over new RTP times where no slice has come), so what is
//! counted is all that it was given since it last gave one.
//! Invariant: beyond [`VIDEO_PICTURE_BYTES_MAX`] nothing follows until a picture has come out.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::limits::VIDEO_PICTURE_BYTES_MAX;

#[derive(Default)]
pub(super) struct Flow {
    bytes: AtomicUsize,
    out: Notify,
}

impl Flow {
    /// So many bytes go to the library.
    pub fn goes_in(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A picture came out.
    pub fn came_out(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.out.notify_waiters();
    }

    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > VIDEO_PICTURE_BYTES_MAX
    }

    /// Until more may follow.
    pub async fn room(&self) {
        loop {
            // Made before looking: it then hears of whatever comes after the look.
            let out = self.out.notified();
            if !self.is_full() {
                return;
            }
            out.await;
        }
    }
}
