//! Runs the network and the rest of the image and sleeps in between (WFI). Enters: wake-ups, from interrupts or from the
//! futures themselves. Leaves: what the rest ends with. Only what was woken is looked at.
//!
//! Invariants: a wake-up that comes between looking and sleeping is not slept over; the rest that wakes the network is not
//! woken by that. embassy-net wakes its runner whenever a socket was looked at, also one that only waits: with one waker for
//! both, each look asked for the next, and the core never slept while a connection stood (measured: 7,600 looks in the 20 ms
//! that a button bounces). Absent: an executor with tasks; a task cannot be generic over the role.

use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::work;

static NETWORK: AtomicBool = AtomicBool::new(true);
static REST: AtomicBool = AtomicBool::new(true);

/// Lets everything be looked at again.
pub fn wake() {
    NETWORK.store(true, Ordering::Release);
    REST.store(true, Ordering::Release);
}

/// Looks at the network, and at the rest, whenever something woke it, until the rest is done. `passed` is called each time
/// that what was woken has been looked at.
pub fn run<T>(
    mut network: Pin<&mut impl Future<Output = Infallible>>,
    mut rest: Pin<&mut impl Future<Output = T>>,
    mut passed: impl FnMut(),
) -> T {
    // Nobody has looked at these two yet.
    wake();
    loop {
        if let Some(never) = look(&NETWORK, network.as_mut()) {
            match never {}
        }
        if let Some(done) = look(&REST, rest.as_mut()) {
            return done;
        }
        passed();
        // Interrupts are held back from here on, but end the sleep.
        cortex_m::interrupt::disable();
        if !NETWORK.load(Ordering::Acquire) && !REST.load(Ordering::Acquire) {
            let began = work::cycles();
            cortex_m::asm::wfi();
            work::slept(began);
        }
        // SAFETY: not within a critical section; this loop is the program's outermost.
        unsafe { cortex_m::interrupt::enable() };
    }
}

/// Looks at it if it was woken. What it ends with, if it is done.
fn look<T>(woken: &'static AtomicBool, future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    if !woken.swap(false, Ordering::AcqRel) {
        return None;
    }
    match future.poll(&mut Context::from_waker(&waker(woken))) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

const TABLE: RawWakerVTable = RawWakerVTable::new(|woken| RawWaker::new(woken, &TABLE), raise, raise, |_| {});

fn raise(woken: *const ()) {
    // SAFETY: the table goes with the address of a static alone.
    unsafe { (*woken.cast::<AtomicBool>()).store(true, Ordering::Release) };
}

fn waker(woken: &'static AtomicBool) -> Waker {
    let raw = RawWaker::new(core::ptr::from_ref(woken).cast(), &TABLE);
    // SAFETY: the table stores into a static, and may be called from anywhere.
    unsafe { Waker::from_raw(raw) }
}
