//! The Ethernet controller LAN9118 for `embassy-net`. Enters: frames, changes of the cable. Leaves: frames.
//!
//! By programmed I/O, a frame at a time: one buffer for the frame that came, one for the frame that goes. Its interrupt
//! only wakes; the driver reads what there is when it is asked.
//!
//! Source: SMSC, LAN9118 data sheet (registers in chapter 5; transmit commands in 3.12; receive status in 3.13).

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

use crate::idle;
use crate::reg::Reg;

/// Its interrupt.
pub const IRQ: u16 = 13;

/// Longest frame without its check sum, bytes.
const FRAME_BYTES_MAX: usize = 1_514;

const BASE: usize = 0x4020_0000;
// SAFETY: the controller's registers.
const RX_DATA: Reg = unsafe { Reg::at(BASE) };
const TX_DATA: Reg = unsafe { Reg::at(BASE + 0x20) };
const RX_STATUS: Reg = unsafe { Reg::at(BASE + 0x40) };
const TX_STATUS: Reg = unsafe { Reg::at(BASE + 0x48) };
const IRQ_CFG: Reg = unsafe { Reg::at(BASE + 0x54) };
const INT_STS: Reg = unsafe { Reg::at(BASE + 0x58) };
const INT_EN: Reg = unsafe { Reg::at(BASE + 0x5c) };
const FIFO_INT: Reg = unsafe { Reg::at(BASE + 0x68) };
const TX_CFG: Reg = unsafe { Reg::at(BASE + 0x70) };
const HW_CFG: Reg = unsafe { Reg::at(BASE + 0x74) };
const RX_FIFO_INF: Reg = unsafe { Reg::at(BASE + 0x7c) };
const TX_FIFO_INF: Reg = unsafe { Reg::at(BASE + 0x80) };
const MAC_CMD: Reg = unsafe { Reg::at(BASE + 0xa4) };
const MAC_DATA: Reg = unsafe { Reg::at(BASE + 0xa8) };

/// A frame came.
const RX_LEVEL: u32 = 1 << 3;
/// The cable.
const PHY: u32 = 1 << 18;

/// The controller's own registers behind `MAC_CMD`.
mod mac {
    pub const CONTROL: u32 = 1;
    pub const ADDRESS_HIGH: u32 = 2;
    pub const ADDRESS_LOW: u32 = 3;
    pub const MII_ACCESS: u32 = 6;
    pub const MII_DATA: u32 = 7;
}

/// The registers of the part that drives the cable.
mod phy {
    pub const CONTROL: u32 = 0;
    pub const STATUS: u32 = 1;
    pub const INTERRUPT_SOURCE: u32 = 29;
    pub const INTERRUPT_MASK: u32 = 30;
    /// In `STATUS`: there is a partner.
    pub const LINK: u32 = 1 << 2;
}

fn mac_set(register: u32, value: u32) {
    MAC_DATA.set(value);
    MAC_CMD.set(1 << 31 | register);
    while MAC_CMD.get() & 1 << 31 != 0 {}
}

fn mac_get(register: u32) -> u32 {
    MAC_CMD.set(1 << 31 | 1 << 30 | register);
    while MAC_CMD.get() & 1 << 31 != 0 {}
    MAC_DATA.get()
}

fn phy_set(register: u32, value: u32) {
    mac_set(mac::MII_DATA, value);
    mac_set(mac::MII_ACCESS, 1 << 11 | register << 6 | 0b10);
}

fn phy_get(register: u32) -> u32 {
    mac_set(mac::MII_ACCESS, 1 << 11 | register << 6);
    mac_get(mac::MII_DATA)
}

/// The interrupt: held back until the driver has looked.
pub fn on_interrupt() {
    INT_EN.set(0);
    idle::wake();
}

/// The controller.
#[derive(Debug)]
pub struct Lan9118 {
    address: [u8; 6],
    came: [u32; FRAME_BYTES_MAX.div_ceil(4) + 1],
    goes: [u32; FRAME_BYTES_MAX.div_ceil(4)],
}

impl Lan9118 {
    /// Not yet started.
    pub const fn new() -> Self {
        Self { address: [0; 6], came: [0; FRAME_BYTES_MAX.div_ceil(4) + 1], goes: [0; FRAME_BYTES_MAX.div_ceil(4)] }
    }

    /// Resets and starts it under that hardware address.
    pub fn start(&mut self, address: [u8; 6]) {
        self.address = address;
        HW_CFG.set(1);
        while HW_CFG.get() & 1 != 0 {}
        // 5 KiB of its memory for what goes, the rest for what comes.
        HW_CFG.set(5 << 16);
        let [a, b, c, d, e, f] = address;
        mac_set(mac::ADDRESS_LOW, u32::from_le_bytes([a, b, c, d]));
        mac_set(mac::ADDRESS_HIGH, u32::from_le_bytes([e, f, 0, 0]));
        // Negotiate speed with the partner; tell of every change.
        phy_set(phy::CONTROL, 1 << 12 | 1 << 9);
        phy_set(phy::INTERRUPT_MASK, 1 << 6 | 1 << 4);
        // Receiver and transmitter on, full duplex.
        mac_set(mac::CONTROL, 1 << 20 | 1 << 3 | 1 << 2);
        TX_CFG.set(1 << 1);
        // Interrupt as soon as one frame is there; push-pull, active high.
        FIFO_INT.set(0xff << 24);
        INT_STS.set(u32::MAX);
        IRQ_CFG.set(1 << 8 | 1 << 4 | 1);
        INT_EN.set(RX_LEVEL | PHY);
    }

    /// Reads the next whole frame. Returns its length, without its check sum.
    fn fetch(&mut self) -> Option<usize> {
        while RX_FIFO_INF.get() >> 16 & 0xff != 0 {
            let status = RX_STATUS.get();
            let length = (status >> 16 & 0x3fff) as usize;
            let mut words = length.div_ceil(4);
            for word in self.came.iter_mut().take(words) {
                *word = RX_DATA.get();
                words -= 1;
            }
            // Longer than any frame: nothing that is for us.
            (0..words).for_each(|_| _ = RX_DATA.get());
            let is_whole = status & 1 << 15 == 0 && words == 0 && length > 4;
            if is_whole {
                return Some(length - 4);
            }
        }
        None
    }
}

fn bytes(words: &mut [u32]) -> &mut [u8] {
    // SAFETY: every byte of the words is initialised, bytes need no alignment, and both have the same length in memory.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 4) }
}

/// A frame that came.
#[derive(Debug)]
pub struct Came<'a>(&'a mut [u8]);

impl RxToken for Came<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame that goes.
#[derive(Debug)]
pub struct Goes<'a>(&'a mut [u32]);

impl TxToken for Goes<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let result = f(&mut bytes(self.0)[..length]);
        let words = length.div_ceil(4);
        TX_DATA.set(1 << 13 | 1 << 12 | length as u32);
        TX_DATA.set(length as u32);
        self.0[..words].iter().for_each(|word| TX_DATA.set(*word));
        // What became of earlier ones: nobody asks, but the list must not fill.
        while TX_FIFO_INF.get() >> 16 & 0xff != 0 {
            TX_STATUS.get();
        }
        result
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Came<'a>;
    type TxToken<'a> = Goes<'a>;

    fn receive(&mut self, _cx: &mut Context<'_>) -> Option<(Came<'_>, Goes<'_>)> {
        let Some(length) = self.fetch() else {
            // All is read: from here on the next frame wakes. One that came since the last look still stands in INT_STS.
            INT_STS.set(RX_LEVEL);
            INT_EN.set(RX_LEVEL | PHY);
            if RX_FIFO_INF.get() >> 16 & 0xff != 0 {
                idle::wake();
            }
            return None;
        };
        Some((Came(&mut bytes(&mut self.came)[..length]), Goes(&mut self.goes)))
    }

    fn transmit(&mut self, _cx: &mut Context<'_>) -> Option<Goes<'_>> {
        // Room for the longest frame and its two commands, else it is asked again soon: frames go out at once.
        if TX_FIFO_INF.get() & 0xffff < FRAME_BYTES_MAX as u32 + 16 {
            idle::wake();
            return None;
        }
        Some(Goes(&mut self.goes))
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        phy_get(phy::INTERRUPT_SOURCE);
        INT_STS.set(PHY);
        if phy_get(phy::STATUS) & phy::LINK != 0 { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}
