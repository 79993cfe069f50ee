//! What `vaka demo` is made of.

pub mod centre;
pub mod replay;
