//! The bed is wet: two conductors in a sheet.

use vaka_protocol::Event;

use super::{Analog, SUPPLY_MV, kept};
use crate::Now;
use crate::keep::VALUE_BYTES_MAX;
use crate::role::{Cx, Role};
use crate::trouble::Trouble;

/// How long it must be wet before it is told, milliseconds. Source: our choice; sweat and a wrung cloth touch the
/// conductors for a moment only.
pub const WET_MS: u64 = 5_000;

/// How long it must be dry before another wetting counts, milliseconds: the sheet was changed. Source: our choice.
const DRY_MS: u64 = 60_000;

/// Below it the sheet is wet, millivolts. With 100 kΩ from the supply and 1 MΩ across the sheet, dry is 3,000 mV; a wet
/// sheet of some 30 kΩ gives 750. Source: our choice.
const WET_MV: u16 = 1_500;

/// Above it the sheet is dry, millivolts. In between nothing changes.
const DRY_MV: u16 = 2_400;

/// Above it the sheet is unplugged, millivolts.
const UNPLUGGED_MV: u16 = SUPPLY_MV - 150;

/// Below it the sheet is shorted, millivolts: a pin bent, not water.
const SHORTED_MV: u16 = 50;

/// Between two samples, milliseconds.
const SAMPLE_MS: u64 = 1_000;

/// From millivolts to wettings.
#[derive(Debug, Clone)]
pub struct Wet {
    is_wet: bool,
    turning_ms: Option<u64>,
}

impl Wet {
    /// `is_wet`: it was told, and the sheet has not been dry since.
    pub const fn new(is_wet: bool) -> Self {
        Self { is_wet, turning_ms: None }
    }

    /// Takes a sample. `Some(true)`: it has become wet. `Some(false)`: it has become dry, which is told to nobody.
    pub fn sample(&mut self, mv: u16, uptime_ms: u64) -> Option<bool> {
        let is_turning = if self.is_wet { mv > DRY_MV } else { mv < WET_MV };
        if !is_turning {
            self.turning_ms = None;
            return None;
        }
        let since_ms = *self.turning_ms.get_or_insert(uptime_ms);
        let settle_ms = if self.is_wet { DRY_MS } else { WET_MS };
        if uptime_ms.saturating_sub(since_ms) < settle_ms {
            return None;
        }
        (self.is_wet, self.turning_ms) = (!self.is_wet, None);
        Some(self.is_wet)
    }

    /// It was out of sight: what began must begin anew.
    pub fn forget(&mut self) {
        self.turning_ms = None;
    }
}

/// An enuresis sensor. A wetting is told once, and again only after the sheet was dry; also over a power cut.
#[derive(Debug)]
pub struct Enuresis<A> {
    sheet: A,
    wet: Wet,
    trouble: Trouble,
}

impl<A: Analog> Enuresis<A> {
    /// With its sheet.
    pub fn new(sheet: A) -> Self {
        Self { sheet, wet: Wet::new(false), trouble: Trouble::new("sheet", kept::TROUBLE) }
    }
}

impl<A: Analog> Role for Enuresis<A> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
        let mut buffer = [0; VALUE_BYTES_MAX];
        // Cannot be read: told once more rather than not.
        self.wet = Wet::new(matches!(cx.read(kept::WET, &mut buffer), Ok(Some(_))));
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        let mv = self.sheet.millivolts().filter(|mv| (SHORTED_MV..UNPLUGGED_MV).contains(mv));
        self.trouble.is(cx, mv.is_some());
        let Some(mv) = mv else {
            self.wet.forget();
            return;
        };
        match self.wet.sample(mv, cx.now.uptime_ms) {
            Some(true) => {
                // Told first: cut in between, it is told twice.
                cx.tell(Event::Enuresis {});
                let _ = cx.write(kept::WET, &[1]);
            }
            Some(false) => drop(cx.remove(kept::WET)),
            None => {}
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        SAMPLE_MS.min(self.trouble.rest_ms(now))
    }
}
