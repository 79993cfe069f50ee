//! What `vaka demo` is made of.

pub mod centre;
//! Demo.
pub mod replay;
