//! Demo.
pub mod replay;
