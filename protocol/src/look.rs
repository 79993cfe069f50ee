//! The line of one look: a home sends a picture to one viewer at its hub.
//!
//! A TLS connection of its own to the hub's devices' port, opened by the home with its own certificate and the ALPN name [`ALPN`]. Each
//! message is a letter, a length (4 bytes, big-endian) and so many bytes. The home begins with [`CALL`]; the hub answers [`HERE`] once,
//! and nothing after it. Either side ends the look by closing.

/// The name by which the hub knows such a connection.
pub const ALPN: &[u8] = b"vaka-look/1";
/// Home to hub, first: the `call` of the order `look`.
pub const CALL: u8 = b'C';
/// Hub to home: the viewer is there. No bytes.
pub const HERE: u8 = b'H';
/// The resident's light is on. No bytes.
pub const LIT: u8 = b'L';
/// Pictures follow. Bytes: the milliseconds that are left, as decimal digits.
pub const BEGUN: u8 = b'B';
/// One JPEG picture.
pub const PICTURE: u8 = b'P';
/// It is over. Bytes: JSON `{"why":"time","sv":"…","en":"…"}`.
pub const ENDED: u8 = b'E';
/// Longest message that is not a picture, in bytes. Beyond: the line is closed.
pub const WORD_BYTES_MAX: usize = 1_024;
