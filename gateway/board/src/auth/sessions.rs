//! Sessions: opaque to the browser, kept in memory alone, ended by idleness, by a person, or by a restart.

use super::people::Person;

/// A request of somebody who has logged in. Handlers take it as an extractor.
#[derive(Debug, Clone)]
pub struct Session {
    pub person: Person,
    /// First 8 hexadecimal digits of the cookie's hash: what traces call the session.
    pub name: String,
    /// When they last proved who they are, UTC milliseconds.
    pub strong_at: i64,
    /// `passkey`, `card`, `oidc`, `totp`, `token`.
    pub way: &'static str,
    /// When it ends if nothing is done, UTC milliseconds.
    pub idle_at: i64,
}

/// All sessions.
pub struct Sessions {}
