//! HTTP/1.1 towards one camera: one request after the other, digest alone, no redirect followed.
//!
//! Enters: a spot of a camera. Leaves: the head of an answer, and its body piece by piece.

use http_auth::DigestClient;

use crate::camera::Spot;
use crate::head::{Head, login};
use crate::limits::HEAD_BYTES_MAX;
use crate::line::{Line, dial};
use crate::unread::Unread;
use crate::{Camera, Fault};

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// After so many bytes.
    Bytes(usize),
    /// After a chunk of length 0; so many bytes of the present chunk are left.
    Chunks(usize),
    /// With the connection.
    Close,
    Nothing,
}

/// A client of one spot of one camera.
pub(crate) struct Http<'a> {
    camera: &'a Camera,
    spot: Spot,
    line: Option<Line>,
    digest: Option<DigestClient>,
    rest: Rest,
    keeps: bool,
}

impl<'a> Http<'a> {
    pub fn new(camera: &'a Camera, spot: Spot) -> Self {
        Http { camera, spot, line: None, digest: None, rest: Rest::Nothing, keeps: false }
    }

    pub async fn get(&mut self) -> Result<Head, Fault> {
        self.ask("GET", "", b"").await
    }

    /// Sends a request, logs in where asked to, and reads the head of an answer with status 200.
    pub async fn ask(&mut self, method: &str, kind: &str, body: &[u8]) -> Result<Head, Fault> {
        let camera = || self.camera.id().to_owned();
        let head = self.exchange(method, kind, body).await?;
        let head = if head.status == 401 {
            // The nonce may only have run out, so an answer given before is given anew once.
            self.digest = Some(login::read(self.camera, &head)?);
            self.skip().await?;
            self.exchange(method, kind, body).await?
        } else {
            head
        };
        match head.status {
            200 => Ok(head),
            300..=399 => Err(Fault::Redirected { camera: camera() }),
            401 | 403 => Err(Fault::Refused { camera: camera() }),
            status => Err(Fault::Answered { camera: camera(), status }),
        }
    }

    async fn exchange(&mut self, method: &str, kind: &str, body: &[u8]) -> Result<Head, Fault> {
        let is_kept = self.keeps && self.rest == Rest::Nothing && self.line.is_some();
        if !is_kept {
            self.line = None;
        }
        match self.exchange_once(method, kind, body).await {
            // A kept connection may have ended while nobody used it.
            Err(Fault::Ended { .. }) if is_kept => {
                self.line = None;
                self.exchange_once(method, kind, body).await
            }
            result => result,
        }
    }

    async fn exchange_once(&mut self, method: &str, kind: &str, body: &[u8]) -> Result<Head, Fault> {
        let path = &self.spot.path;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: vaka\r\n", self.spot.address);
        if !body.is_empty() {
            request.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
        }
        if let Some(client) = &mut self.digest {
            let answer = login::answer(self.camera, client, method, path, body)?;
            request.push_str(&format!("Authorization: {answer}\r\n"));
        }
        request.push_str("\r\n");
        let line = match &mut self.line {
            Some(line) => line,
            None => self.line.insert(dial(self.camera, &self.spot).await?),
        };
        line.send(&[request.as_bytes(), body].concat()).await?;
        let head = loop {
            match Head::http(&line.buffer).map_err(|_| line.malformed("the head of its answer"))? {
                Some((head, length)) => {
                    line.buffer.skip(length);
                    // 1xx only announce another answer.
                    if head.status >= 200 {
                        break head;
                    }
                }
                None if !line.fill_soon().await? => return Err(line.ended()),
                None => (),
            }
        };
        let length = head.length().map_err(|_| line.malformed("the length of its answer"))?;
        self.rest = match length {
            _ if head.has_word("transfer-encoding", "chunked") => Rest::Chunks(0),
            _ if head.status == 204 || head.status == 304 => Rest::Nothing,
            Some(0) => Rest::Nothing,
            Some(length) => Rest::Bytes(length),
            None => Rest::Close,
        };
        self.keeps = self.rest != Rest::Close && !head.has_word("connection", "close");
        Ok(head)
    }

    /// Reads some of the body. `None`: it is over, as its head had said. Gives what is there already before waiting for more.
    pub async fn some(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(line) = &mut self.line else { return Ok(None) };
        loop {
            match self.rest {
                Rest::Nothing => return Ok(None),
                Rest::Close if !line.buffer.is_empty() => return Ok(Some(line.buffer.take(usize::MAX))),
                Rest::Bytes(left) if !line.buffer.is_empty() => {
                    let piece = line.buffer.take(left);
                    self.rest = if piece.len() == left { Rest::Nothing } else { Rest::Bytes(left - piece.len()) };
                    return Ok(Some(piece));
                }
                Rest::Chunks(left) if left > 0 && !line.buffer.is_empty() => {
                    let piece = line.buffer.take(left);
                    self.rest = Rest::Chunks(left - piece.len());
                    return Ok(Some(piece));
                }
                Rest::Chunks(0) => {
                    match httparse::parse_chunk_size(trimmed(&mut line.buffer))
                        .map_err(|_| line.malformed("the length of a piece of its answer"))?
                    {
                        httparse::Status::Complete((at, size)) => {
                            line.buffer.skip(at);
                            self.rest = match usize::try_from(size) {
                                // What may follow the last chunk is not wanted, so neither is the connection.
                                Ok(0) => {
                                    self.keeps = false;
                                    Rest::Nothing
                                }
                                Ok(size) => Rest::Chunks(size),
                                Err(_) => return Err(line.malformed("the length of a piece of its answer")),
                            };
                            continue;
                        }
                        httparse::Status::Partial if line.buffer.len() > HEAD_BYTES_MAX => {
                            return Err(line.malformed("the length of a piece of its answer"));
                        }
                        httparse::Status::Partial => (),
                    }
                }
                _ => (),
            }
            if !line.fill_soon().await? {
                if self.rest == Rest::Close {
                    self.rest = Rest::Nothing;
                    return Ok(None);
                }
                return Err(line.ended());
            }
        }
    }

    /// Reads the whole body, of at most `max` bytes.
    pub async fn whole(&mut self, what: &'static str, max: usize) -> Result<Vec<u8>, Fault> {
        let too_large = || Fault::TooLarge { camera: self.camera.id().to_owned(), what, max };
        let mut body = match self.rest {
            Rest::Bytes(length) if length > max => return Err(too_large()),
            Rest::Bytes(length) => Vec::with_capacity(length),
            _ => Vec::new(),
        };
        while let Some(piece) = self.some().await? {
            if body.len() + piece.len() > max {
                return Err(Fault::TooLarge { camera: self.camera.id().to_owned(), what, max });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Leaves a body that nobody wants: a short one is read, so that the connection can be kept.
    async fn skip(&mut self) -> Result<(), Fault> {
        match self.rest {
            Rest::Bytes(length) if length <= HEAD_BYTES_MAX => {
                self.whole("an answer", HEAD_BYTES_MAX).await.map(drop)?;
            }
            Rest::Nothing => (),
            _ => self.keeps = false,
        }
        Ok(())
    }
}

/// Without the line end that closes the chunk before.
fn trimmed(buffer: &mut Unread) -> &[u8] {
    let ends = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    buffer.skip(ends.min(2));
    buffer
}
