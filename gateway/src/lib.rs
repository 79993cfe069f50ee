//! The way of an event, and the rooms in that order: `ingest` takes it in, `journal` makes it durable, `rules` judge it,
//! `dispatch` brings it to a receiver. `pipeline` puts them together; it alone imports every stage.
//!
//! Invariant: a stage imports `clock`, `limits` and what stands before it, never the next.

pub mod backup;
mod base64;
pub mod board;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod dispatch;
pub mod enrol;
pub mod erase;
pub mod est;
pub mod firmware;
pub mod incident;
pub mod ingest;
pub mod journal;
pub mod limits;
pub mod look;
pub mod metrics;
pub mod notice;
pub mod otlp;
pub mod parts;
pub mod pipeline;
pub mod provision;
pub mod rehearse;
pub mod report;
pub mod retention;
pub mod rules;
pub mod service;
pub mod takeout;
pub mod update;
pub mod uplink;
pub mod visit;
