//! What people see. Server-made HTML that reads without a script; a script keeps it live.

pub mod frame;
pub mod keys;
pub mod login;
pub mod people;
mod qr;
