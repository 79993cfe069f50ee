//! The image of a pendant: a button that calls, and one that takes the call back.
#![no_std]
#![no_main]

use vaka_board_mps2 as board;
use vaka_device::pendant::Pendant;
use vaka_device::pins::{Active, Input};

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run("pendant", |inputs, _| {
        let button = Input::new(inputs.button(), Active::Low);
        Pendant::new(button).with_cancel(Input::new(inputs.cancel(), Active::Low))
    })
}
