//! The image of a pendant: one button.
#![no_std]
#![no_main]

use embedded_hal::digital::InputPin;
use vaka_board_mps2 as board;
use vaka_device::{Cx, Now, Role};
use vaka_protocol::{Event, Press};

struct Button<B> {
    button: B,
    is_down: bool,
}

impl<B: InputPin> Role for Button<B> {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        let is_down = self.button.is_low().unwrap_or(false);
        if is_down && !self.is_down {
            cx.call(Event::Button { press: Press::Short });
        }
        self.is_down = is_down;
    }

    fn rest_ms(&self, _now: Now) -> u64 {
        u64::MAX
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run(|inputs, _| Button { button: inputs.button(), is_down: false })
}
