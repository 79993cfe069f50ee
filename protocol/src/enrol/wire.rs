//! The two messages: CBOR maps with text keys, each behind its length in two bytes (big-endian).

use minicbor::decode::{Decoder, Error};
use minicbor::encode::Encoder;
use minicbor::encode::write::Cursor;

use super::{ANSWER_BYTES_MAX, EXPORTER_BYTES, LOCATOR_BYTES, Locator, Proof, REQUEST_BYTES_MAX, Secret};

/// Version of both messages.
const V: u8 = 1;

/// What a device asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// What the device is, as in vaka.toml (`pendant`); absent where it does not know, such as a script.
    pub kind: Option<&'a str>,
    /// Which invitation.
    pub locator: Locator,
    /// PKCS #10, DER, signed with the device's new P-256 key.
    pub csr: &'a [u8],
    /// [`Secret::device_proof`].
    pub proof: Proof,
}

/// What a device is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted<'a> {
    /// The device's certificate, DER.
    pub certificate: &'a [u8],
    /// The authority that the device judges servers by from now on, DER.
    pub ca: &'a [u8],
    /// The device's id, also its MQTT client id.
    pub id: &'a str,
    /// Where the gateway takes MQTT, on the same host.
    pub port: u16,
    /// The gateway's time, UTC milliseconds.
    pub at: i64,
}

/// What the gateway answers.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A certificate, with [`Secret::gateway_proof`].
    Granted(Granted<'a>, Proof),
    /// Nothing.
    Refused(Refused),
}

/// Why there is no certificate. The gateway's own log and `vaka device invites` say more; a stranger learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such invitation, expired, used, for another kind, or a wrong proof: all the same from here.
    #[error(
        "the gateway refuses this code; on the gateway, `vaka device invites` says why, and `vaka device invite` makes a new one"
    )]
    Refused,
    /// Too many tries just now, whoever made them. The code is as good as before.
    #[error("the gateway has too many enrolments under way; try again in a minute, the code is still good")]
    Busy,
    /// The answer is none of a gateway that knows the code.
    #[error(
        "whoever answered does not know the code: this is not the gateway it was made on, or somebody stands between; go by cable, or ask for a new code"
    )]
    Impostor,
}

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading an enrolment message: {0}")]
pub struct Malformed(&'static str);

/// Length of the message behind these two bytes.
///
/// # Errors
/// [`Malformed`] where it is longer than `most` or nothing.
pub fn length(prefix: [u8; 2], most: usize) -> Result<usize, Malformed> {
    let length = usize::from(u16::from_be_bytes(prefix));
    if (1..=most).contains(&length) { Ok(length) } else { Err(Malformed("its length is not possible")) }
}

impl<'a> Request<'a> {
    /// A request with its proof.
    pub fn new(secret: &Secret, exporter: &[u8; EXPORTER_BYTES], kind: Option<&'a str>, csr: &'a [u8]) -> Request<'a> {
        Request { kind, locator: secret.locator, csr, proof: secret.device_proof(exporter, kind, csr) }
    }

    /// True if whoever sent it over this connection knows the code.
    pub fn is_proven(&self, secret: &Secret, exporter: &[u8; EXPORTER_BYTES]) -> bool {
        self.locator == secret.locator && secret.is_device(exporter, self.kind, self.csr, &self.proof)
    }

    /// Writes it with its length; returns how many bytes it took.
    ///
    /// # Errors
    /// [`Malformed`] where `buffer` is too small, or the request too long.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, Malformed> {
        framed(buffer, REQUEST_BYTES_MAX, |e| {
            e.map(if self.kind.is_some() { 5 } else { 4 })?.str("v")?.u8(V)?;
            if let Some(kind) = self.kind {
                e.str("kind")?.str(kind)?;
            }
            e.str("locator")?.bytes(&self.locator)?.str("csr")?.bytes(self.csr)?.str("proof")?.bytes(&self.proof)?;
            Ok(())
        })
    }

    /// Reads what stands behind the length. Keys that it does not know are passed over.
    ///
    /// # Errors
    /// [`Malformed`], which names the field.
    pub fn read(bytes: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (mut v, mut kind, mut locator, mut csr, mut proof) = (None, None, None, None, None);
        fields(bytes, |d, key| {
            match key {
                "v" => v = Some(d.u8()?),
                "kind" => kind = Some(d.str()?),
                "locator" => locator = Some(d.bytes()?),
                "csr" => csr = Some(d.bytes()?),
                "proof" => proof = Some(d.bytes()?),
                _ => d.skip()?,
            }
            Ok(())
        })?;
        version(v)?;
        Ok(Request {
            kind,
            locator: exact::<LOCATOR_BYTES>(locator, "no locator of 8 bytes")?,
            csr: csr.ok_or(Malformed("no csr"))?,
            proof: exact::<32>(proof, "no proof of 32 bytes")?,
        })
    }
}

impl<'a> Answer<'a> {
    /// As [`Request::write`].
    ///
    /// # Errors
    /// [`Malformed`] where `buffer` is too small, or the answer too long.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, Malformed> {
        framed(buffer, ANSWER_BYTES_MAX, |e| {
            match self {
                Answer::Granted(granted, proof) => {
                    e.map(7)?.str("v")?.u8(V)?.str("certificate")?.bytes(granted.certificate)?;
                    e.str("ca")?.bytes(granted.ca)?.str("id")?.str(granted.id)?.str("port")?.u16(granted.port)?;
                    e.str("at")?.i64(granted.at)?.str("proof")?.bytes(proof)?;
                }
                Answer::Refused(refused) => {
                    let word = if *refused == Refused::Busy { "busy" } else { "refused" };
                    e.map(2)?.str("v")?.u8(V)?.str("refused")?.str(word)?;
                }
            }
            Ok(())
        })
    }

    /// As [`Request::read`]. What is granted is to be believed only after [`Answer::proven`].
    ///
    /// # Errors
    /// [`Malformed`], which names the field.
    pub fn read(bytes: &'a [u8]) -> Result<Answer<'a>, Malformed> {
        let (mut v, mut certificate, mut ca, mut id, mut port, mut at, mut proof) =
            (None, None, None, None, None, None, None);
        let mut refused = None;
        fields(bytes, |d, key| {
            match key {
                "v" => v = Some(d.u8()?),
                "certificate" => certificate = Some(d.bytes()?),
                "ca" => ca = Some(d.bytes()?),
                "id" => id = Some(d.str()?),
                "port" => port = Some(d.u16()?),
                "at" => at = Some(d.i64()?),
                "proof" => proof = Some(d.bytes()?),
                "refused" => refused = Some(if d.str()? == "busy" { Refused::Busy } else { Refused::Refused }),
                _ => d.skip()?,
            }
            Ok(())
        })?;
        version(v)?;
        if let Some(refused) = refused {
            return Ok(Answer::Refused(refused));
        }
        let granted = Granted {
            certificate: certificate.ok_or(Malformed("no certificate"))?,
            ca: ca.ok_or(Malformed("no ca"))?,
            id: id.ok_or(Malformed("no id"))?,
            port: port.ok_or(Malformed("no port"))?,
            at: at.ok_or(Malformed("no at"))?,
        };
        Ok(Answer::Granted(granted, exact::<32>(proof, "no proof of 32 bytes")?))
    }

    /// What is granted, if the gateway knows the code that `secret` was made of and spoke over this connection.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn proven(self, secret: &Secret, exporter: &[u8; EXPORTER_BYTES]) -> Result<Granted<'a>, Refused> {
        match self {
            Answer::Granted(granted, proof) if secret.is_gateway(exporter, &granted, &proof) => Ok(granted),
            Answer::Granted(..) => Err(Refused::Impostor),
            Answer::Refused(refused) => Err(refused),
        }
    }
}

type Writer<'b> = Encoder<Cursor<&'b mut [u8]>>;
type Written = Result<(), minicbor::encode::Error<minicbor::encode::write::EndOfSlice>>;

fn framed(buffer: &mut [u8], most: usize, write: impl FnOnce(&mut Writer<'_>) -> Written) -> Result<usize, Malformed> {
    let small = Malformed("it does not fit into the buffer");
    let (prefix, body) = buffer.split_first_chunk_mut::<2>().ok_or(small)?;
    let mut encoder = Encoder::new(Cursor::new(body));
    write(&mut encoder).map_err(|_| small)?;
    let length = encoder.into_writer().position();
    if length > most {
        return Err(Malformed("it is longer than may be"));
    }
    *prefix = u16::try_from(length).map_err(|_| small)?.to_be_bytes();
    Ok(2 + length)
}

/// Calls `each` with every key of the one map that `bytes` are.
fn fields<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(&mut Decoder<'a>, &'a str) -> Result<(), Error>,
) -> Result<(), Malformed> {
    let broken = |_| Malformed("it is no CBOR map with text keys, or a field has another type");
    let mut decoder = Decoder::new(bytes);
    let count = decoder.map().map_err(broken)?.ok_or(Malformed("its length is open"))?;
    // A claimed length costs nothing: each key needs its bytes.
    for _ in 0..count {
        let key = decoder.str().map_err(broken)?;
        each(&mut decoder, key).map_err(broken)?;
    }
    if decoder.position() == bytes.len() { Ok(()) } else { Err(Malformed("something stands behind it")) }
}

fn version(v: Option<u8>) -> Result<(), Malformed> {
    if v == Some(V) { Ok(()) } else { Err(Malformed("`v` is not 1")) }
}

fn exact<const N: usize>(bytes: Option<&[u8]>, missing: &'static str) -> Result<[u8; N], Malformed> {
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Malformed(missing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: Secret = Secret { key: [7; 32], locator: [1, 2, 3, 4, 5, 6, 7, 8] };
    const HERE: [u8; 32] = [9; 32];

    fn body(buffer: &[u8], length: usize) -> &[u8] {
        let length = length - 2;
        assert_eq!(super::length([buffer[0], buffer[1]], 4_096), Ok(length));
        &buffer[2..2 + length]
    }

    #[test]
    fn both_messages_come_back_as_they_were() {
        let mut buffer = [0; 512];
        for kind in [None, Some("pendant")] {
            let request = Request::new(&SECRET, &HERE, kind, b"csr");
            let length = request.write(&mut buffer).unwrap();
            let read = Request::read(body(&buffer, length)).unwrap();
            assert!(read == request && read.is_proven(&SECRET, &HERE));
            assert!(!read.is_proven(&SECRET, &[8; 32]), "over another connection");
        }
        let granted = Granted { certificate: b"c", ca: b"a", id: "p1", port: 8883, at: -1 };
        let proof = SECRET.gateway_proof(&HERE, &granted);
        let length = Answer::Granted(granted.clone(), proof).write(&mut buffer).unwrap();
        let read = |there: &[u8; 32]| Answer::read(body(&buffer, length)).unwrap().proven(&SECRET, there);
        assert_eq!(read(&HERE), Ok(granted));
        assert_eq!(read(&[8; 32]), Err(Refused::Impostor));
        for refused in [Refused::Refused, Refused::Busy] {
            let mut buffer = [0; 32];
            let length = Answer::Refused(refused).write(&mut buffer).unwrap();
            assert_eq!(Answer::read(body(&buffer, length)).unwrap().proven(&SECRET, &HERE), Err(refused));
        }
    }

    #[test]
    fn a_request_stays_as_version_1_wrote_it() {
        // Golden: devices in the field send it so. Do not change the test.
        let mut buffer = [0; 128];
        let request = Request { kind: Some("mat"), locator: [1; 8], csr: b"CSR", proof: [2; 32] };
        let length = request.write(&mut buffer).unwrap();
        let mut golden = std::vec![0, 0x52, 0xa5, 0x61, b'v', 1, 0x64];
        golden.extend(b"kind\x63mat\x67locator\x48");
        golden.extend([1; 8]);
        golden.extend(b"\x63csr\x43CSR\x65proof\x58\x20");
        golden.extend([2; 32]);
        golden[1] = (golden.len() - 2) as u8;
        assert_eq!(&buffer[..length], golden);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let request = Request::new(&SECRET, &HERE, None, &[0; 4_000]);
        assert!(request.write(&mut [0; 64]).is_err());
        assert!(request.write(&mut [0; 8_000]).is_err(), "longer than a gateway reads");
        assert!(super::length([0, 0], 10).is_err() && super::length([0, 11], 10).is_err());
        assert!(Request::read(b"\xa1\x61v\x02").is_err(), "another version");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::read(&bytes);
            let _ = Answer::read(&bytes);
        }

        #[test]
        fn a_truncated_or_changed_request_proves_nothing(at in 0..400_usize, to in any::<u8>()) {
            let mut buffer = [0; 512];
            let length = Request::new(&SECRET, &HERE, Some("pendant"), &[3; 200]).write(&mut buffer).unwrap();
            let whole = buffer[2..length].to_vec();
            if at < whole.len() {
                prop_assert!(Request::read(&whole[..at]).is_err());
                let mut changed = whole.clone();
                changed[at] = to;
                let proven = Request::read(&changed).is_ok_and(|request| request.is_proven(&SECRET, &HERE));
                prop_assert_eq!(proven, changed == whole);
            }
        }
    }
}
