//! Models of the parts that a device is built of, by their data sheets: what the device's code talks to in tests, in the
//! demo and in the image that QEMU runs.
//!
//! Enters: what the world does to a part (a pin moves, somebody falls, the power is cut). Leaves: what the part answers on
//! its pins, bus or serial line. Invariants: no `std`, no allocator, no clock: time is told. A model knows nothing of the
//! device that uses it.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod accelerometer;
pub mod carousel;
pub mod door;
pub mod gnss;
pub mod nor;
pub mod pins;
pub mod rtc;
