//! What ended the last boot, kept where a reset does not reach. Enters: panics, faults of the processor, the watchdog's
//! warning. Leaves: the cause, once, at the next boot.
//!
//! Invariant: whatever goes wrong ends in a reset, and the next boot knows why. After a power cut the memory holds
//! chance, which no check sum fits: then it was the power.

use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use heapless::String;
use vaka_protocol::StartCause;

use crate::say;

/// Longest text of a cause, bytes: file and line fit.
const TEXT_BYTES_MAX: usize = 96;

/// Why this boot began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The power came.
    Power,
    /// The last boot ended in a panic: where.
    Panic(String<TEXT_BYTES_MAX>),
    /// The watchdog was not fed in time.
    Watchdog,
    /// The program asked for it.
    Asked,
}

impl Cause {
    /// As the gateway is told.
    pub fn told(&self) -> StartCause {
        match self {
            Self::Power => StartCause::Power,
            Self::Panic(_) => StartCause::Panic,
            Self::Watchdog => StartCause::Watchdog,
            Self::Asked => StartCause::Other,
        }
    }
}

const NAMES: [&str; 4] = ["power", "panic", "watchdog", "asked"];

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Power => f.write_str(NAMES[0]),
            Self::Panic(place) => write!(f, "{} {place}", NAMES[1]),
            Self::Watchdog => f.write_str(NAMES[2]),
            Self::Asked => f.write_str(NAMES[3]),
        }
    }
}

#[repr(C)]
struct Kept {
    kind: u32,
    length: u32,
    text: [u8; TEXT_BYTES_MAX],
    sum: u32,
}

#[unsafe(link_section = ".uninit.fault")]
static mut KEPT: MaybeUninit<Kept> = MaybeUninit::uninit();

/// Any bytes are a valid `Kept`: plain numbers.
fn kept() -> &'static mut MaybeUninit<Kept> {
    // SAFETY: read at boot before interrupts, written on the way into a reset with interrupts off; never both.
    unsafe { &mut *(&raw mut KEPT) }
}

fn sum(kind: u32, length: u32, text: &[u8]) -> u32 {
    let start = 0x811c_9dc5 ^ kind ^ length << 16;
    text.iter().fold(start, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The cause, which is then forgotten.
pub fn take() -> Cause {
    // SAFETY: plain numbers; RAM that nothing wrote since the power came reads as chance.
    let kept = unsafe { kept().assume_init_mut() };
    let text = &kept.text[..(kept.length as usize).min(TEXT_BYTES_MAX)];
    let is_sound = sum(kept.kind, kept.length, text) == kept.sum;
    let cause = match kept.kind {
        1 if is_sound => {
            Cause::Panic(text.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect())
        }
        2 if is_sound => Cause::Watchdog,
        3 if is_sound => Cause::Asked,
        _ => Cause::Power,
    };
    kept.sum = !kept.sum;
    kept.kind = 0;
    cause
}

fn keep(kind: u32, text: &str) {
    let text = &text.as_bytes()[..text.len().min(TEXT_BYTES_MAX)];
    let length = text.len() as u32;
    let mut whole = [0; TEXT_BYTES_MAX];
    whole[..text.len()].copy_from_slice(text);
    kept().write(Kept { kind, length, text: whole, sum: sum(kind, length, text) });
}

/// Resets with that cause.
pub fn reset() -> ! {
    keep(3, "");
    cortex_m::peripheral::SCB::sys_reset()
}

/// The watchdog is about to reset.
pub fn on_watchdog() {
    keep(2, "");
}

/// A fault of the processor at that address.
pub fn on_fault(kind: &str, address: u32) -> ! {
    cortex_m::interrupt::disable();
    let mut text: String<TEXT_BYTES_MAX> = String::new();
    let _ = write!(text, "{kind}@{address:#x}");
    say!("panic {text}");
    keep(1, &text);
    cortex_m::peripheral::SCB::sys_reset()
}

#[panic_handler]
fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    let mut text: String<TEXT_BYTES_MAX> = String::new();
    if let Some(place) = info.location() {
        // The file's end says enough, and fits.
        let file = place.file();
        let mut start = file.len().saturating_sub(TEXT_BYTES_MAX - 12);
        while !file.is_char_boundary(start) {
            start += 1;
        }
        let _ = write!(text, "{}:{}", &file[start..], place.line());
    }
    say!("panic {text}");
    keep(1, &text);
    cortex_m::peripheral::SCB::sys_reset()
}
