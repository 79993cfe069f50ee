//! Looks through one camera for seconds, and checks one without a picture leaving.
//!
//! Enters: a [`Camera`], as a technician set it up, and a moment at which everything ends. Leaves: [`Frame`]s, one at a time, or what a
//! check found, or a [`Fault`] with its plain words. Who may look, when and why is decided elsewhere: this crate knows nobody.
//!
//! # The way of a picture
//! ```text
//! camera ── HTTP(S), digest ──> http, mjpeg ──> still (decoded, size first) ──> veil ──> Frame::Jpeg ──> FrameSink ──> Frames
//!        └─ RTSP(S), digest ──> rtsp (front, retina) ──> fmp4 ──> Frame::Mp4Init, Frame::Mp4Part ──────────┘
//!                                                  still ──> reference, check: a state, never a picture
//! ```
//!
//! - Invariant: nothing is read from a camera unless a function of this crate is running; dropping their future ends it.
//! - Invariant: every wait has an end: the caller's moment, or one of [`Waits`].
//! - Invariant: at most one frame waits for a viewer. A slow viewer loses frames and never piles them up.
//! - Invariant: a password is answered with by digest alone, only to the camera's own address and, where there is TLS, its own key.
//! - Invariant: nothing is written to disk or log. What leaves with a picture in it shows its length alone, and is zeroed when dropped.
//!   What is read, and what libraries copy, is zeroed only where the program sets [`Wiping`] as its allocator: this invariant needs it.
//! - Absent: names to look up, redirects to follow, a C decoder.

mod camera;
mod check;
mod fault;
mod fmp4;
mod frame;
mod head;
mod http;
pub mod limits;
mod line;
mod look;
mod mjpeg;
mod net;
pub mod onvif;
mod pictures;
mod pin;
#[cfg(test)]
mod properties;
mod reference;
mod rtsp;
mod still;
mod unread;
mod veil;
mod wiping;

pub use camera::{Camera, Secret, Setup, Unfit, Waits};
pub use check::{Checked, State, check};
pub use fault::{Fault, sentences};
pub use frame::{Frame, FrameSink, Frames, Wiped, frames};
pub use line::pin_of;
pub use look::{Ended, View, Why, look};
pub use net::Net;
pub use pin::Pin;
pub use reference::Reference;
pub use wiping::{Wiping, wipe_from_now_on};
