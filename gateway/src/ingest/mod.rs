//! What comes in from devices.

pub mod adapter;
