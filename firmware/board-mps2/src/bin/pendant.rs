//! The image of a pendant: a button that calls, and one that takes the call back.
#![no_std]
#![no_main]

use vaka_board_mps2 as board;
use vaka_device::pendant::Pendant;
use vaka_device::pins::{Active, Input};
use vaka_device::signal::Signal;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run(|inputs, _| {
        let button = Input::new(inputs.button(), Active::Low);
        let pendant = Pendant::new(button).with_cancel(Input::new(inputs.cancel(), Active::Low));
        ("pendant", (Signal::new(inputs.radio()), pendant))
    })
}
