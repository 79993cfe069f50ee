//! Heap and stack, and how much of them was used. The heap serves TLS, and a role that is chosen at boot, once; everything
//! else has its place when the image is linked.
//!
//! Invariant: static memory, heap and stack lie in the 96 KiB of `memory.x`. The stack has what the others leave, and is
//! painted before it is used, so that a test can say how far down it ever came.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use embedded_alloc::LlffHeap;

/// The heap, bytes. A handshake takes 6 KB at its height and the largest role with the models of its parts 2 KB (measured;
/// the line `sizes` says it); twice of that, so that holes between what lives on do not matter.
const HEAP_BYTES: usize = 16 * 1024;

/// What the stack is painted with before it is used.
const PAINT: u32 = 0x5afe_57ac;

/// A heap that knows its peak.
struct Measured {
    heap: LlffHeap,
    peak: AtomicUsize,
}

// SAFETY: the inner heap's promise; counting does not touch memory.
unsafe impl GlobalAlloc for Measured {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let place = unsafe { self.heap.alloc(layout) };
        self.peak.fetch_max(self.heap.used(), Ordering::Relaxed);
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.heap.dealloc(place, layout) }
    }
}

#[global_allocator]
static HEAP: Measured = Measured { heap: LlffHeap::empty(), peak: AtomicUsize::new(0) };

/// Once, before anything is allocated. Call it with as little stack in use as there can be.
#[inline(never)]
pub fn start() {
    static mut ARENA: [MaybeUninit<u8>; HEAP_BYTES] = [MaybeUninit::uninit(); HEAP_BYTES];
    // SAFETY: the arena is used here alone, and this function is called once.
    unsafe { HEAP.heap.init(&raw mut ARENA as usize, HEAP_BYTES) };
    let (low, _) = stack();
    let here = cortex_m::register::msp::read() as usize - 256;
    for address in (low..here).step_by(4) {
        // SAFETY: between the end of what is linked and the stack in use there is nobody's memory.
        unsafe { (address as *mut u32).write_volatile(PAINT) };
    }
}

/// Bytes of heap in use at the most so far.
pub fn heap_peak() -> usize {
    HEAP.peak.load(Ordering::Relaxed)
}

/// Bytes of heap in use.
pub fn heap_used() -> usize {
    HEAP.heap.used()
}

/// Bytes of stack in use at the most so far.
pub fn stack_peak() -> usize {
    let (low, high) = stack();
    // SAFETY: this image's own RAM.
    let is_painted = |address: &usize| unsafe { (*address as *const u32).read_volatile() } == PAINT;
    let touched = (low..high).step_by(4).find(|address| !is_painted(address));
    high - touched.unwrap_or(high)
}

/// Bytes that the stack may have.
pub fn stack_room() -> usize {
    let (low, high) = stack();
    high - low
}

/// Lowest and highest address of the stack.
fn stack() -> (usize, usize) {
    unsafe extern "C" {
        static mut __sheap: u8;
        static mut _stack_start: u8;
    }
    (&raw const __sheap as usize, &raw const _stack_start as usize)
}
