//! What a technician's visit ends with: a page to print, and the same signed by the gateway, for whoever asks in a year.
//!
//! Enters: the finished visit's protocol (JSON, from the journal), the gateway's client key. Leaves: two files; or whether such a
//! file is what this home's gateway signed. Invariant: ids alone, no names of residents; nothing on the page that is not in
//! the signed file.

mod page;
mod signed;
#[cfg(test)]
mod tests;

pub use page::page;
pub use signed::{SignError, Verified, canonical, sign, verify};
