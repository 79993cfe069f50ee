//! MJPEG: pictures as parts of one answer without end (`multipart/x-mixed-replace`).
//!
//! Enters: bytes in pieces of any size. Leaves: parts, whole.
//! Invariant: what waits is at most one part and what came with it; the caller bounds a part by `max`.

use crate::head::Head;
use crate::limits::HEAD_BYTES_MAX;
use crate::unread::Unread;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Longer than allowed.
    TooLarge,
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before a boundary; what stands before the first is not for us.
    Boundary,
    Head,
    /// A body of this length, or up to the next boundary.
    Body(Option<usize>),
}

/// A reader of parts.
pub(crate) struct Parts {
    /// With `--` before it.
    boundary: Vec<u8>,
    buffer: Unread,
    /// How much of `buffer` was searched already.
    searched: usize,
    stage: Stage,
    max: usize,
}

/// The boundary in a `Content-Type`; `None`: this is no MJPEG. Quoted or not, and with or without the dashes that some cameras put
/// there already.
pub(crate) fn boundary(kind: &str) -> Option<&str> {
    let mut fields = kind.split(';').map(str::trim);
    let is_parts = fields.next().is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/"));
    let boundary =
        fields.filter_map(|field| field.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case("boundary"));
    let text = boundary.map(|(_, value)| value.trim().trim_matches('"')).unwrap_or_default();
    let text = text.strip_prefix("--").unwrap_or(text);
    (is_parts && !text.is_empty() && text.len() <= 100).then_some(text)
}

impl Parts {
    /// Parts of at most `max` bytes, with what [`boundary`] found between them.
    pub fn new(boundary: &str, max: usize) -> Self {
        let boundary = [b"--", boundary.as_bytes()].concat();
        Parts { boundary, buffer: Unread::default(), searched: 0, stage: Stage::Boundary, max }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.more().extend_from_slice(piece);
    }

    /// The next part. `None`: more must come.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Bad> {
        loop {
            match self.stage {
                Stage::Boundary => {
                    let Some(at) = self.find() else {
                        // Of what is not for us only a boundary's beginning may be worth keeping.
                        let useless = self.buffer.len().saturating_sub(self.boundary.len());
                        self.take(useless);
                        return Ok(None);
                    };
                    let end = at + self.boundary.len();
                    let Some(line_end) = self.buffer[end..].iter().position(|byte| *byte == b'\n') else {
                        return if self.buffer.len() - end > HEAD_BYTES_MAX { Err(Bad::Malformed) } else { Ok(None) };
                    };
                    self.take(end + line_end + 1);
                    self.stage = Stage::Head;
                }
                Stage::Head => {
                    let Some((head, length)) = Head::part(&self.buffer).map_err(|_| Bad::Malformed)? else {
                        return Ok(None);
                    };
                    let body = head.length().map_err(|_| Bad::Malformed)?;
                    if body.is_some_and(|body| body > self.max) {
                        return Err(Bad::TooLarge);
                    }
                    self.take(length);
                    self.stage = Stage::Body(body);
                }
                Stage::Body(Some(length)) => {
                    if self.buffer.len() < length {
                        return Ok(None);
                    }
                    self.stage = Stage::Boundary;
                    return Ok(Some(self.take(length)));
                }
                Stage::Body(None) => {
                    let Some(at) = self.find() else {
                        return if self.buffer.len() > self.max + self.boundary.len() {
                            Err(Bad::TooLarge)
                        } else {
                            Ok(None)
                        };
                    };
                    let mut part = self.take(at);
                    // The line end before a boundary is the boundary's.
                    for end in [b'\n', b'\r'] {
                        if part.last() == Some(&end) {
                            part.pop();
                        }
                    }
                    self.stage = Stage::Boundary;
                    return if part.len() > self.max { Err(Bad::TooLarge) } else { Ok(Some(part)) };
                }
            }
        }
    }

    /// Where the boundary begins. What was searched in vain is not searched again, save what could be its beginning.
    fn find(&mut self) -> Option<usize> {
        let found =
            self.buffer[self.searched..].windows(self.boundary.len()).position(|window| window == self.boundary);
        let at = found.map(|at| at + self.searched);
        if at.is_none() {
            self.searched = (self.buffer.len() + 1).saturating_sub(self.boundary.len()).max(self.searched);
        }
        at
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.searched = 0;
        self.buffer.take(length)
    }
}
