//! What a device keeps of who it is: its key and certificate, those that come next, whom it trusts and where it goes.
//!
//! Enters: what the gateway granted. Leaves: an identity that is whole. Invariants, over a power cut at any write: a key
//! and its certificate are one value, old or new; who is enrolled has all that it needs, since its certificate is kept
//! last; a key is kept before anybody hears of it, so that an answer lost on the way is given again for the same key; the
//! certificate in use stays until the next one has opened a connection.

use heapless::String;
use vaka_protocol::DeviceId;
use vaka_protocol::enrol::Granted;

use super::certificate::Facts;
use super::key::OwnKey;
use super::offer::Offer;
use crate::keep::{Fault, IDENTITY, Keep, Key, VALUE_BYTES_MAX};

/// Where a technician's code waits to be used: [`Offer`].
const OFFER: Key = IDENTITY.start;
/// The key of the certificate that is asked for.
const NEXT: Key = IDENTITY.start + 1;
/// [`Place`].
const PLACE: Key = IDENTITY.start + 2;
/// The authority that signs gateways, DER.
const AUTHORITY: Key = IDENTITY.start + 3;

/// Longest certificate that is kept, bytes: it shares a value with its key. Ours have 500. Beyond: refused as useless.
pub const CERTIFICATE_BYTES_MAX: usize = VALUE_BYTES_MAX - HEAD_BYTES;

/// Longest name of a gateway, bytes: what a host's name may have on Linux.
pub const NAME_BYTES_MAX: usize = 64;

/// Before a certificate: whose it is, and its key.
const HEAD_BYTES: usize = 4 + 32;

/// Which of its certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that has opened connections.
    Own,
    /// The one that was given since, and has not yet.
    Renewed,
}

impl Which {
    const fn key(self) -> Key {
        match self {
            Self::Own => IDENTITY.start + 4,
            Self::Renewed => IDENTITY.start + 5,
        }
    }
}

/// A kept certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kept<'b> {
    /// Its key's number.
    pub key: &'b [u8; 32],
    /// X.509, DER.
    pub certificate: &'b [u8],
}

/// Where the gateway is, and as whom to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The device's id.
    pub id: DeviceId,
    /// IPv4.
    pub address: [u8; 4],
    /// Where it takes MQTT.
    pub port: u16,
    /// The name that its certificate must bear.
    pub name: String<NAME_BYTES_MAX>,
}

/// Why a grant or a certificate was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// It is not of the key that was asked with.
    #[error("the certificate is not of this device's key")]
    OtherKey,
    /// Longer than what a device keeps, or no certificate at all.
    #[error("the certificate cannot be kept: too long, or none")]
    Useless,
    /// The flash.
    #[error(transparent)]
    Flash(#[from] Fault),
}

/// The certificate and its key. `of`: a mark of what a technician wrote into the device, 0 for nothing; one that was kept
/// beside other writing is somebody else's. `None`: there is none.
///
/// # Errors
/// The flash cannot be read, or what was there is damaged.
pub fn read<'b>(
    keep: &mut dyn Keep,
    of: u32,
    which: Which,
    buffer: &'b mut [u8; VALUE_BYTES_MAX],
) -> Result<Option<Kept<'b>>, Fault> {
    let parts = keep.read(which.key(), buffer)?.and_then(|value| {
        let (mark, rest) = value.split_first_chunk()?;
        let (key, certificate) = rest.split_first_chunk()?;
        (*mark == of.to_le_bytes()).then_some(Kept { key, certificate })
    });
    Ok(parts)
}

fn write(keep: &mut dyn Keep, of: u32, which: Which, key: &OwnKey, certificate: &[u8]) -> Result<(), NotKept> {
    let mut value = heapless::Vec::<u8, VALUE_BYTES_MAX>::new();
    for part in [&of.to_le_bytes()[..], &key.to_bytes(), certificate] {
        value.extend_from_slice(part).map_err(|_| NotKept::Useless)?;
    }
    Ok(keep.write(which.key(), &value)?)
}

/// Where the gateway is; kept by enrolment alone.
pub fn place(keep: &mut dyn Keep) -> Option<Place> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    let ([1, a, b, c, d, low, high, length], rest) = keep.read(PLACE, &mut buffer).ok()??.split_first_chunk()? else {
        return None;
    };
    let text = core::str::from_utf8(rest).ok()?;
    let (id, name) = text.split_at_checked(usize::from(*length))?;
    Some(Place {
        id: DeviceId::try_from(id).ok()?,
        address: [*a, *b, *c, *d],
        port: u16::from_le_bytes([*low, *high]),
        name: String::try_from(name).ok()?,
    })
}

/// The authority that signs gateways, DER; kept by enrolment alone.
pub fn authority<'b>(keep: &mut dyn Keep, buffer: &'b mut [u8; VALUE_BYTES_MAX]) -> Option<&'b [u8]> {
    keep.read(AUTHORITY, buffer).ok()?
}

/// The code that a technician has given and that nobody has settled yet.
pub fn offer(keep: &mut dyn Keep) -> Option<Offer> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    Offer::from_bytes(keep.read(OFFER, &mut buffer).ok()??)
}

/// Keeps a technician's code in the place of the one before.
///
/// # Errors
/// The flash.
pub fn keep_offer(keep: &mut dyn Keep, offer: &Offer) -> Result<(), Fault> {
    keep.write(OFFER, &offer.to_bytes())
}

/// That code is settled.
///
/// # Errors
/// The flash.
pub fn drop_offer(keep: &mut dyn Keep) -> Result<(), Fault> {
    keep.remove(OFFER)
}

/// The key to ask with: the one that was asked with before, if no certificate of it is kept; else a new one, which is
/// kept before this returns. `random` fills its bytes.
///
/// # Errors
/// The flash does not keep it, or `random` gives no key: nobody may hear of it then.
pub fn next_key(keep: &mut dyn Keep, random: &mut dyn FnMut(&mut [u8; 32])) -> Result<OwnKey, Fault> {
    if let Some(key) = asked_with(keep)? {
        let mut is_used = false;
        for which in [Which::Own, Which::Renewed] {
            is_used |= key_of(keep, which).is_some_and(|used| used == key.to_bytes());
        }
        if !is_used {
            return Ok(key);
        }
    }
    let key = OwnKey::make(random).ok_or(Fault::Damaged)?;
    keep.write(NEXT, &key.to_bytes())?;
    Ok(key)
}

fn asked_with(keep: &mut dyn Keep) -> Result<Option<OwnKey>, Fault> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    match keep.read(NEXT, &mut buffer) {
        // A damaged one is as good as none: nobody has a certificate of it.
        Err(Fault::Damaged) => Ok(None),
        read => Ok(read?.and_then(OwnKey::from_bytes)),
    }
}

/// Whatever it belongs to.
fn key_of(keep: &mut dyn Keep, which: Which) -> Option<[u8; 32]> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    let value = keep.read(which.key(), &mut buffer).ok()??;
    value.get(4..HEAD_BYTES)?.try_into().ok()
}

/// Keeps what a gateway has granted that has proved to know the code, found at that address and bearing that name. When
/// this returns the device is enrolled; cut before, it is not, and the same code and key bring the same grant.
///
/// # Errors
/// [`NotKept`]: it is not enrolled.
pub fn keep_grant(keep: &mut dyn Keep, granted: &Granted<'_>, address: [u8; 4], name: &str) -> Result<(), NotKept> {
    let key = asked_with(keep)?.ok_or(NotKept::OtherKey)?;
    judge(granted.certificate, &key)?;
    let id = DeviceId::try_from(granted.id).map_err(|_| NotKept::Useless)?;
    if granted.ca.len() > VALUE_BYTES_MAX || name.len() > NAME_BYTES_MAX {
        return Err(NotKept::Useless);
    }
    let mut place = heapless::Vec::<u8, 128>::new();
    let [low, high] = granted.port.to_le_bytes();
    let [a, b, c, d] = address;
    // At most 32 bytes.
    let length = id.as_str().len() as u8;
    for part in [&[1, a, b, c, d, low, high, length][..], id.as_str().as_bytes(), name.as_bytes()] {
        // 104 bytes at the most.
        let _ = place.extend_from_slice(part);
    }
    keep.write(AUTHORITY, granted.ca)?;
    keep.write(PLACE, &place)?;
    write(keep, 0, Which::Own, &key, granted.certificate)?;
    // What is left over by a cut from here on, the next boot takes away.
    tidy(keep);
    Ok(())
}

/// Takes away what an enrolment that has succeeded leaves over. To be called at boot.
pub fn tidy(keep: &mut dyn Keep) {
    let mut buffer = [0; VALUE_BYTES_MAX];
    if let Ok(Some(_)) = read(keep, 0, Which::Own, &mut buffer) {
        // Not gone: the next boot tries again, and what is left opens nothing any more.
        let _ = drop_offer(keep);
        if asked_with(keep).ok().flatten().map(|key| key.to_bytes()) == key_of(keep, Which::Own) {
            let _ = keep.remove(NEXT);
        }
    }
}

/// Keeps a certificate that came over the device's own connection, beside the one in use. Returns false if it is the one
/// that is kept beside it already.
///
/// # Errors
/// [`NotKept`]: all is as before.
pub fn keep_renewed(keep: &mut dyn Keep, of: u32, certificate: &[u8]) -> Result<bool, NotKept> {
    let facts = Facts::read(certificate).ok_or(NotKept::Useless)?;
    match asked_with(keep)? {
        Some(key) if key.public() == facts.public => {
            write(keep, of, Which::Renewed, &key, certificate)?;
            // Left over by a cut: its certificate is kept, so nobody asks with it again.
            let _ = keep.remove(NEXT);
            Ok(true)
        }
        _ => {
            let kept = key_of(keep, Which::Renewed).and_then(|key| OwnKey::from_bytes(&key));
            if kept.is_some_and(|key| key.public() == facts.public) { Ok(false) } else { Err(NotKept::OtherKey) }
        }
    }
}

/// The renewed certificate has opened a connection: it is the device's own from here on.
///
/// # Errors
/// The flash: it stays beside the old one, and the next connection says so again.
pub fn settle(keep: &mut dyn Keep) -> Result<(), Fault> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    if let Some(value) = keep.read(Which::Renewed.key(), &mut buffer)? {
        keep.write(Which::Own.key(), value)?;
        keep.remove(Which::Renewed.key())?;
    }
    Ok(())
}

fn judge(certificate: &[u8], key: &OwnKey) -> Result<(), NotKept> {
    if certificate.len() > CERTIFICATE_BYTES_MAX {
        return Err(NotKept::Useless);
    }
    let facts = Facts::read(certificate).ok_or(NotKept::Useless)?;
    if facts.public == key.public() { Ok(()) } else { Err(NotKept::OtherKey) }
}
