//! The image of every device but the pendant and the dispenser: which one it is, its provisioning says.
#![no_std]
#![no_main]

use vaka_board_mps2 as board;
use vaka_device::signal::Signal;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run(|inputs, provisioning| {
        let (kind, role) = board::roles::chosen(inputs, provisioning);
        (kind, (Signal::new(inputs.radio()), role))
    })
}
