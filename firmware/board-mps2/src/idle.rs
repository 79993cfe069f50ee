//! Runs the network and the rest of the image for ever and sleeps in between (WFI). Enters: wake-ups, from interrupts or from
//! the futures themselves. Only what was woken is looked at.
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

/// Looks at the network, and at the rest, whenever something woke it. `passed` is called each time that what was woken has
/// been looked at.
pub fn run(
    mut network: Pin<&mut impl Future<Output = Infallible>>,
    mut rest: Pin<&mut impl Future<Output = Infallible>>,
    mut passed: impl FnMut(),
) -> ! {
    loop {
        look(&NETWORK, network.as_mut());
        look(&REST, rest.as_mut());
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

/// Looks at it if it was woken.
fn look(woken: &'static AtomicBool, future: Pin<&mut impl Future<Output = Infallible>>) {
    if !woken.swap(false, Ordering::AcqRel) {
        return;
    }
    let waker = waker(woken);
    if let Poll::Ready(never) = future.poll(&mut Context::from_waker(&waker)) {
        match never {}
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
