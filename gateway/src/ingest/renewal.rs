//! What a session asks of whoever can sign certificates. Answers come as any other of the pipeline's, after the disk has them.

use super::Replies;
use super::roster::Peer;

/// Something that a device's certificate is about.
#[derive(Debug)]
pub enum Wish {
    /// A certificate request: answered like a publish, under this number, and with the certificate before that.
    Renew { request: Vec<u8>, number: u64 },
    /// It listens for what it has been given and may have lost on the way.
    Listening,
    /// It has come with the one that it was given: those before it have to go.
    Used,
}

/// Signs, beside the sessions.
pub trait Renewals: Send + Sync + 'static {
    /// False: too much waits already; the device asks again. Never blocks.
    fn ask(&self, peer: &Peer, wish: Wish, reply: &Replies) -> bool;
}

/// Where nobody signs: a rehearsal.
#[derive(Debug, Default)]
pub struct NoRenewals;

impl Renewals for NoRenewals {
    fn ask(&self, _: &Peer, _: Wish, _: &Replies) -> bool {
        false
    }
}
