//! The way of an event, and the modules in that order.

pub mod clock;
pub mod journal;
pub mod limits;
