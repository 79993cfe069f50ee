//! Drivers of real parts, generic over `embedded-hal`.

pub mod lis2dh12;
pub mod rtc;
