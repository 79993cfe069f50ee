//! What an update keeps over a power cut beside the boot record: the command, the header that was judged, the progress,
//! and the fault that was told last. Invariant: a header is kept only after it was judged; a progress only after what
//! lies before it was written.

use vaka_protocol::limits::URL_BYTES_MAX;
use vaka_protocol::{Command, Label};

use super::image::HEADER_BYTES;
use super::reason::Reason;
use crate::keep::{Fault, Key, UPDATE, VALUE_BYTES_MAX, keep_number, number};
use crate::role::Cx;

const TASK: Key = UPDATE.start;
const HEADER: Key = UPDATE.start + 1;
const PROGRESS: Key = UPDATE.start + 2;
const TOLD: Key = UPDATE.start + 3;

/// The command that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The command's id.
    pub id: u64,
    /// Bytes of the whole file.
    pub size_bytes: u32,
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
    /// Where it is.
    pub url: heapless::String<URL_BYTES_MAX>,
}

impl Task {
    /// Reads the command `update` and its version. `None`: the hash is none, or it is another command.
    pub fn from_command(id: u64, command: &Command) -> Option<(Self, &Label)> {
        let Command::Update { version, url, size_bytes, sha256 } = command else { return None };
        let mut hash = [0; 32];
        let (pairs, []) = sha256.as_bytes().as_chunks::<2>() else { return None };
        if pairs.len() != hash.len() {
            return None;
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some((Self { id, size_bytes: *size_bytes, sha256: hash, url: url.clone() }, version))
    }

    /// The kept one.
    pub fn read(cx: &mut Cx<'_>) -> Option<Self> {
        let mut buffer = [0; VALUE_BYTES_MAX];
        let bytes = cx.keep.read(TASK, &mut buffer).ok()??;
        let (id, rest) = bytes.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let (sha256, url) = rest.split_first_chunk::<32>()?;
        Some(Self {
            id: u64::from_le_bytes(*id),
            size_bytes: u32::from_le_bytes(*size),
            sha256: *sha256,
            url: core::str::from_utf8(url).ok()?.try_into().ok()?,
        })
    }

    /// Keeps it. Layout: id, size, hash, address.
    pub fn keep(&self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let mut bytes = heapless::Vec::<u8, { 8 + 4 + 32 + URL_BYTES_MAX }>::new();
        let parts = [&self.id.to_le_bytes()[..], &self.size_bytes.to_le_bytes(), &self.sha256, self.url.as_bytes()];
        parts.iter().for_each(|part| drop(bytes.extend_from_slice(part)));
        cx.keep.write(TASK, &bytes)
    }
}

/// Lets go of command, header and progress. The command goes first: what is left of the others is nobody's then.
pub fn forget(cx: &mut Cx<'_>) -> Result<(), Fault> {
    cx.keep.remove(TASK)?;
    cx.keep.remove(PROGRESS)?;
    cx.keep.remove(HEADER)
}

/// Keeps the header that was judged.
pub fn keep_header(cx: &mut Cx<'_>, header: &[u8; HEADER_BYTES]) -> Result<(), Fault> {
    cx.keep.write(HEADER, header)
}

/// The header that was judged.
pub fn header(cx: &mut Cx<'_>) -> Option<[u8; HEADER_BYTES]> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    cx.keep.read(HEADER, &mut buffer).ok()??.try_into().ok()
}

/// Keeps that all bytes before this one are in the slot.
pub fn keep_progress(cx: &mut Cx<'_>, at: u32) -> Result<(), Fault> {
    keep_number(cx.keep, PROGRESS, u64::from(at))
}

/// The bytes before this one are in the slot. `None`: only the header is judged.
pub fn progress(cx: &mut Cx<'_>) -> Option<u32> {
    number(cx.keep, PROGRESS).ok()?.and_then(|at| u32::try_from(at).ok())
}

/// Keeps that the fault of this reason was told.
pub fn keep_told(cx: &mut Cx<'_>, reason: Reason) {
    // Not kept: the fault stays with the gateway until a person closes it, as any alarm does.
    let _ = keep_number(cx.keep, TOLD, u64::from(reason as u8));
}

/// The reason whose fault was told last and is not over.
pub fn told(cx: &mut Cx<'_>) -> Option<Reason> {
    number(cx.keep, TOLD).ok()?.and_then(|reason| Reason::from_u8(u8::try_from(reason).ok()?))
}

/// That fault is over.
pub fn forget_told(cx: &mut Cx<'_>) {
    let _ = cx.keep.remove(TOLD);
}
