//! Who is there, and what they may: log-in, sessions, roles.
//!
//! Enters: requests. Leaves: a [`Session`] for a person who has proven who they are by something they have, or a refusal.
//! Invariants: no password exists; a session is never stored by its cookie but by the cookie's hash; a person without
//! a role for a route is refused before its handler runs.

pub mod book;
pub mod credentials;
pub mod people;
pub mod roles;
pub mod secret;
pub mod sessions;

pub use roles::{Right, Role, Units};
pub use sessions::{Session, Sessions};
