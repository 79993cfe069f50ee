//! Who the device is: enrolment by a one-time code, and the renewal of its certificate.
//!
//! Enters: a technician's code, random bytes, what the gateway answers, the time. Leaves: requests, and in the flash a key
//! that nobody else has ever seen, its certificate, whom to trust and where to go. Absent: TLS, which is the board's, and
//! the messages, which are `vaka_protocol::enrol`'s.
//!
//! The way of an enrolment: [`Offer`] is kept; [`next_key`] makes and keeps a key; over the connection [`exported`] ties
//! code, key and gateway together; [`granted`] judges the answer, and [`keep_grant`] keeps it. The way of a renewal:
//! [`Renewing`] says when; [`next_key`] again; [`keep_renewed`] keeps the answer beside the certificate in use, and
//! [`settle`] puts it in its place once it has opened a connection.

mod certificate;
mod der;
mod enrolling;
mod exporter;
mod kept;
mod key;
mod offer;
mod renewing;

pub use certificate::Facts;
pub use enrolling::{Ended, Enrolling, TRIES_MAX, granted, trying};
pub use exporter::exported;
pub use kept::{
    CERTIFICATE_BYTES_MAX, Kept, NAME_BYTES_MAX, NotKept, Place, Which, authority, drop_offer, keep_grant, keep_offer,
    keep_renewed, next_key, offer, place, read, settle, tidy,
};
pub use key::{OwnKey, REQUEST_BYTES_MAX, pkcs8};
pub use offer::{NoOffer, Offer};
pub use renewing::{ASK_AGAIN_MS, Renewing};
