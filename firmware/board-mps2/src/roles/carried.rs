//! A satellite receiver, and the pin that says whether its wearer moves.
//!
//! | line | what happens |
//! |---|---|
//! | `sky LAT_E7 LON_E7 HDOP_CENTI` | the antenna sees the sky there, with that dilution in hundredths |
//! | `sky` | indoors |
//! | `moves 1` | the wearer moves; `0`: no more |
//! | `receiver` | `receiver MS`: how long it was fed in all |

use alloc::boxed::Box;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};

use vaka_device::Now;
use vaka_parts::gnss::{Gnss, Sky};

use crate::inputs::{Inputs, Parts, Pin};
use crate::say;

/// The wearer does not move.
static RESTS: AtomicBool = AtomicBool::new(true);

#[derive(Debug)]
struct Antenna {
    gnss: Gnss,
    /// When the model was looked at last, milliseconds since boot.
    passed_ms: Cell<u64>,
}

/// The receiver, and the pin that is high while the wearer moves.
pub fn parts(inputs: &mut Inputs) -> (&'static Gnss, Pin) {
    let antenna: &Antenna = Box::leak(Box::new(Antenna { gnss: Gnss::new("GN"), passed_ms: Cell::new(0) }));
    inputs.attach(antenna);
    (&antenna.gnss, Pin::new(&RESTS))
}

impl Parts for Antenna {
    fn obey(&self, word: &str, rest: &str, _now: Now) -> bool {
        match word {
            "sky" if rest.is_empty() => self.gnss.sky(None),
            "sky" => match sky(rest) {
                Some(sky) => self.gnss.sky(Some(sky)),
                None => return false,
            },
            "moves" => RESTS.store(rest != "1", Ordering::Relaxed),
            "receiver" => say!("receiver {}", self.gnss.on_ms()),
            _ => return false,
        }
        true
    }

    fn pass(&self, now: Now) -> u64 {
        let ms = now.since(self.passed_ms.replace(now.uptime_ms));
        self.gnss.pass(ms);
        u64::MAX
    }
}

fn sky(line: &str) -> Option<Sky> {
    let mut words = line.split(' ');
    let (lat_e7, lon_e7) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Sky { lat_e7, lon_e7, hdop_centi: words.next()?.parse().ok()?, speed_milli_kn: 0 })
}
