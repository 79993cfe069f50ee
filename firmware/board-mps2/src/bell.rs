//! Tells one future of the image that another has something for it.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use crate::idle;

/// Rung by one, heard once by another. All of them run in one loop, so that there is nothing to lock.
#[derive(Debug, Default)]
pub struct Bell(Cell<bool>);

impl Bell {
    /// Silent.
    pub const fn new() -> Self {
        Self(Cell::new(false))
    }

    /// Rings it.
    pub fn ring(&self) {
        self.0.set(true);
        idle::wake();
    }

    /// Waits until it has rung since the last time.
    pub async fn rung(&self) {
        // Whoever rings wakes the whole loop, which asks here again.
        poll_fn(|_| if self.0.take() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// It has rung since the last time.
    pub fn take(&self) -> bool {
        self.0.take()
    }
}
