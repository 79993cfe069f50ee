//! Runs one future and sleeps in between (WFI). Enters: wake-ups, from interrupts or from the future itself.
//!
//! Invariant: a wake-up that comes between looking and sleeping is not slept over. Absent: an executor with tasks; the
//! image has three futures that are joined, and a task cannot be generic over the role.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate::work;

static WOKEN: AtomicBool = AtomicBool::new(true);

/// Lets the future be looked at again.
pub fn wake() {
    WOKEN.store(true, Ordering::Release);
}

/// Looks at the future whenever something woke it, until it is done. `passed` is called each time it has been looked at as
/// a whole.
pub fn run<T>(mut future: Pin<&mut impl Future<Output = T>>, mut passed: impl FnMut()) -> T {
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    loop {
        WOKEN.store(false, Ordering::Release);
        if let core::task::Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        passed();
        // Interrupts are held back from here on, but end the sleep.
        cortex_m::interrupt::disable();
        if !WOKEN.load(Ordering::Acquire) {
            let began = work::cycles();
            cortex_m::asm::wfi();
            work::slept(began);
        }
        // SAFETY: not within a critical section; this loop is the program's outermost.
        unsafe { cortex_m::interrupt::enable() };
    }
}

fn waker() -> Waker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(|_| RAW, |_| wake(), |_| wake(), |_| {});
    const RAW: RawWaker = RawWaker::new(core::ptr::null(), &TABLE);
    // SAFETY: the table ignores its pointer, and all of it may be called from anywhere.
    unsafe { Waker::from_raw(RAW) }
}
