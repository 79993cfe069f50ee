//! The certificates of a `certs-only` answer: a CMS SignedData that nobody has signed, used as an envelope.
//!
//! Enters: bytes of an authority, DER or BER (some write lengths that are not told beforehand). Leaves: the certificates as they stand
//! there, in their order. Invariants: never reads beyond the bytes, never deeper than [`DEPTH_MAX`]; what is inside a certificate is not
//! looked at. Absent: signatures, revocation lists, and everything else that CMS can carry. Form: as `openssl crl2pkcs7 -nocrl` writes it.

use rustls_pki_types::CertificateDer;

use crate::limits::EST_CERTIFICATES_MAX;

/// OBJECT IDENTIFIER 1.2.840.113549.1.7.2, signedData.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed: what is in a ContentInfo, and the certificates of a SignedData.
const FIRST: u8 = 0xa0;
/// How deep elements of untold length may lie in each other; a chain of certificates needs six.
const DEPTH_MAX: u32 = 16;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it is no PKCS #7 (it is cut off, or something else)")]
    Form,
    #[error("it is PKCS #7, but no SignedData")]
    OtherContent,
    #[error("there is no certificate in it")]
    Empty,
    #[error("there are more than {EST_CERTIFICATES_MAX} certificates in it")]
    TooMany,
}

/// The certificates of a `certs-only` SignedData.
///
/// # Errors
/// [`Malformed`] where it is something else, or holds none.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Malformed> {
    let form = || Malformed::Form;
    let mut whole = Elements(bytes);
    let mut info = whole.next_is(SEQUENCE).map(Elements).ok_or_else(form)?;
    if info.next_is(OID).ok_or_else(form)? != SIGNED_DATA {
        return Err(Malformed::OtherContent);
    }
    let mut content = info.next_is(FIRST).map(Elements).ok_or_else(form)?;
    let mut signed = content.next_is(SEQUENCE).map(Elements).ok_or_else(form)?;
    signed.next_is(0x02).ok_or_else(form)?;
    signed.next_is(SET).ok_or_else(form)?;
    signed.next_is(SEQUENCE).ok_or_else(form)?;
    let Some(mut bag) = signed.next_is(FIRST).map(Elements) else { return Err(Malformed::Empty) };
    let mut found = Vec::new();
    while !bag.0.is_empty() {
        let one = bag.next().filter(|one| one.tag == SEQUENCE).ok_or_else(form)?;
        if found.len() == EST_CERTIFICATES_MAX {
            return Err(Malformed::TooMany);
        }
        found.push(CertificateDer::from(one.whole.to_vec()));
    }
    if found.is_empty() { Err(Malformed::Empty) } else { Ok(found) }
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// What is left of the elements that stand one after the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, rest) = split(self.0, 0)?;
        self.0 = rest;
        Some(element)
    }

    /// The content of the next one, if it has this tag; else it stays.
    fn next_is(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (element, rest) = split(self.0, 0).filter(|(element, _)| element.tag == tag)?;
        self.0 = rest;
        Some(element.content)
    }
}

/// The first element, and what follows it.
fn split(bytes: &[u8], depth: u32) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    // Tags of more than a byte stand nowhere in it.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (content, after) = match length {
        0x80 => untold(rest, depth.checked_add(1).filter(|depth| *depth <= DEPTH_MAX)?)?,
        0..0x80 => rest.split_at_checked(usize::from(length))?,
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f)).filter(|(d, _)| d.len() <= 4)?;
            let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            rest.split_at_checked(length)?
        }
    };
    let whole = &bytes[..bytes.len() - after.len()];
    Some((Element { tag, content, whole }, after))
}

/// Elements up to the two zeros that end them, and what follows those.
fn untold(bytes: &[u8], depth: u32) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    while !rest.starts_with(&[0, 0]) {
        rest = split(rest, depth)?.1;
    }
    Some((&bytes[..bytes.len() - rest.len()], &rest[2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let head =
            if length < 0x80 { vec![tag, length as u8] } else { vec![tag, 0x82, (length >> 8) as u8, length as u8] };
        [head, content.to_vec()].concat()
    }

    fn of_untold(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x80], content, &[0, 0]].concat()
    }

    /// A SignedData around `bag`, each envelope written by `wrap`.
    fn envelope(wrap: fn(u8, &[u8]) -> Vec<u8>, bag: &[u8]) -> Vec<u8> {
        let data = told(OID, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]);
        let signed = [vec![2, 1, 1], told(SET, &[]), wrap(SEQUENCE, &data), wrap(FIRST, bag), told(SET, &[])].concat();
        wrap(SEQUENCE, &[told(OID, SIGNED_DATA), wrap(FIRST, &wrap(SEQUENCE, &signed))].concat())
    }

    #[test]
    fn certificates_come_out_as_they_stand_there_whatever_the_lengths() {
        let (one, two) = (told(SEQUENCE, &[1; 200]), told(SEQUENCE, &[2; 3]));
        let bag = [one.clone(), two.clone()].concat();
        for wrap in [told, of_untold] {
            let found = certificates(&envelope(wrap, &bag)).unwrap();
            assert_eq!(found.iter().map(|one| one.to_vec()).collect::<Vec<_>>(), [one.clone(), two.clone()]);
        }
    }

    #[test]
    fn what_openssl_writes_is_read() {
        let corpus =
            |name: &str| std::fs::read(format!("{}/../tests/fuzz/corpus/pkcs7/{name}", env!("CARGO_MANIFEST_DIR")));
        let count = |name: &str| certificates(&corpus(name).unwrap()).map(|found| found.len());
        assert_eq!((count("one.der"), count("two.der"), count("signed-untold.ber")), (Ok(1), Ok(2), Ok(1)));
        assert_eq!((count("empty.der"), count("data.der")), (Err(Malformed::Empty), Err(Malformed::OtherContent)));
        for one in certificates(&corpus("signed-untold.ber").unwrap()).unwrap() {
            assert!(x509_parser::parse_x509_certificate(&one).is_ok());
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused_and_never_read_beyond() {
        let bag = told(SEQUENCE, &[1; 200]);
        for wrap in [told, of_untold] {
            let whole = envelope(wrap, &bag);
            for end in 0..whole.len() {
                assert!(certificates(&whole[..end]).is_err(), "cut off at {end}");
            }
            for at in 0..whole.len() {
                for flip in [0x80, 0x01, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= flip;
                    let _ = certificates(&damaged);
                }
            }
        }
        assert_eq!(certificates(&envelope(told, &[])), Err(Malformed::Empty));
        let mut other = envelope(told, &bag);
        let at = other.windows(SIGNED_DATA.len()).position(|part| part == SIGNED_DATA).unwrap();
        other[at + 8] = 3;
        assert_eq!(certificates(&other), Err(Malformed::OtherContent));
        let many = told(SEQUENCE, &[]).repeat(EST_CERTIFICATES_MAX + 1);
        assert_eq!(certificates(&envelope(told, &many)), Err(Malformed::TooMany));
        // Envelopes without end.
        assert_eq!(certificates(&[SEQUENCE, 0x80].repeat(100_000)), Err(Malformed::Form));
        assert_eq!(certificates(b"<html>"), Err(Malformed::Form));
    }
}
