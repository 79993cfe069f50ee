//! The way of an event, and the modules in that order.

pub mod clock;
pub mod demo;
pub mod ingest;
pub mod limits;
