//! What a technician gives a new device: where the enrolment door is, and a code. Enters: the text of the QR code, or
//! what was typed. Leaves: its parts, or what is wrong with it before anything is sent.

use vaka_protocol::enrol::{Code, CodeError};

/// The parts. Says nothing of its code in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// IPv4: a device asks nobody for the address of a name.
    pub address: [u8; 4],
    /// The door's.
    pub port: u16,
    /// The code.
    pub code: Code,
    /// SHA-256 of the server authority's certificate, where the QR code told it.
    pub authority: Option<[u8; 32]>,
}

/// Why it is no offer. Nothing was kept or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoOffer {
    /// Neither `vaka://A.B.C.D:PORT/?code=…&ca=…` nor `A.B.C.D:PORT CODE`.
    #[error("reading the offer: no address of the form A.B.C.D:PORT; give the gateway's number, not its name")]
    Address,
    /// There is no code in it, or it is none.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The authority's fingerprint is not 64 hex digits.
    #[error("reading the offer: the fingerprint of the authority is not whole; scan the code again")]
    Authority,
}

const BYTES: usize = 1 + 4 + 2 + 16 + 1 + 32;

impl Offer {
    /// Reads it.
    ///
    /// # Errors
    /// [`NoOffer`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, NoOffer> {
        let (place, code, authority) = match text.strip_prefix("vaka://") {
            Some(rest) => {
                let (place, query) = rest.split_once("/?").ok_or(NoOffer::Address)?;
                let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                (place, field("code").unwrap_or_default(), field("ca"))
            }
            None => {
                let (place, code) = text.split_once(' ').ok_or(NoOffer::Address)?;
                (place, code, None)
            }
        };
        let (address, port) = place.split_once(':').ok_or(NoOffer::Address)?;
        let address: core::net::Ipv4Addr = address.parse().map_err(|_| NoOffer::Address)?;
        let port = port.parse().map_err(|_| NoOffer::Address)?;
        let authority = match authority {
            Some(hex) => Some(unhex(hex).ok_or(NoOffer::Authority)?),
            None => None,
        };
        Ok(Self { address: address.octets(), port, code: Code::parse(code)?, authority })
    }

    /// Layout: version 1; address; port, little-endian; the code's text; whether the fingerprint follows; the fingerprint.
    pub(super) fn to_bytes(&self) -> heapless::Vec<u8, BYTES> {
        let mut bytes = heapless::Vec::new();
        let known = [u8::from(self.authority.is_some())];
        let (code, authority) = (self.code.text(), self.authority.unwrap_or_default());
        for part in [&[1][..], &self.address, &self.port.to_le_bytes(), code.as_bytes(), &known, &authority] {
            // As long as they are together.
            let _ = bytes.extend_from_slice(part);
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ([1, a, b, c, d, low, high], rest) = bytes.split_first_chunk()? else { return None };
        let (code, rest) = rest.split_at_checked(16)?;
        let (is_known, authority) = rest.split_first()?;
        let authority: [u8; 32] = authority.try_into().ok()?;
        Some(Self {
            address: [*a, *b, *c, *d],
            port: u16::from_le_bytes([*low, *high]),
            code: Code::parse(core::str::from_utf8(code).ok()?).ok()?,
            authority: (*is_known == 1).then_some(authority),
        })
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
