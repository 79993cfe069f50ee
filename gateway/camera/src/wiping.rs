//! An allocator that zeroes what is given back.
//!
//! Enters: what the whole program allocates. Leaves: the system's memory, with zeros where pictures and passwords were. Libraries copy:
//! TLS, RTSP and the web server each hold pieces of a picture that no type of ours can zero.
//!
//! It wipes from the first camera on that the process knows ([`crate::Camera::new`]): what grows is then always moved, and a home without
//! a camera has no pictures. The program sets it: `#[global_allocator] static ALLOCATOR: vaka_camera::Wiping = vaka_camera::Wiping;`

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// There is a camera: what is given back may have held a picture.
static WIPES: AtomicBool = AtomicBool::new(false);

/// From now on, for good: before the first picture of a process that knows no camera of its own. A [`crate::Camera`] does it by itself.
pub fn wipe_from_now_on() {
    WIPES.store(true, Ordering::Relaxed);
}

/// The system's allocator, but memory is zeroed before it is given back, also where an allocation moves to grow.
///
/// Not covered: stacks, the kernel's buffers, the viewer's browser, and memory that other languages allocate.
#[derive(Debug, Default, Clone, Copy)]
pub struct Wiping;

/// Zeroes `size` bytes at `start`, so that the compiler cannot leave it out as a store that nobody reads.
///
/// # Safety
/// `start` must be valid for writing `size` bytes.
unsafe fn wipe(start: *mut u8, size: usize) {
    // SAFETY: as the caller promises.
    unsafe { start.write_bytes(0, size) };
    // Without this, zeros written just before `free` are dead stores, and optimised away.
    std::hint::black_box(start);
}

// SAFETY: every block comes from and goes back to `System` with its own layout; wiping stays within a block that is still ours.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's, and `layout.size()` long, until `System` has it back.
        unsafe {
            if WIPES.load(Ordering::Relaxed) {
                wipe(start, layout.size());
            }
            System.dealloc(start, layout);
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that is not 0 and does not overflow with this alignment. Both blocks are apart, and the
        // smaller size fits in both. The old one is given back only when there is a new one.
        unsafe {
            if !WIPES.load(Ordering::Relaxed) {
                return System.realloc(start, layout, new_size);
            }
            let new = System.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(start, layout.size().min(new_size));
                self.dealloc(start, layout);
            }
            new
        }
    }
}
