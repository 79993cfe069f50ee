//! The way of an event, and the modules in that order.

pub mod cli;
pub mod clock;
pub mod config;
pub mod limits;
pub mod provision;
