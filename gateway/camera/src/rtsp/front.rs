//! What stands between the RTSP library and a camera: a way over loopback that logs in and does TLS by itself.
//!
//! Enters: the library's requests, without any password. Leaves: the same to the camera, with digest answers; and back, its answers and
//! its video, bounded.
//! Why: the library answers Basic with the password in clear where only that is offered, knows no TLS, and keeps the password in types
//! that print it. Here it never has one.
//!
//! - Invariant: the camera's own address stands in every request, whatever its answers name; nothing else is ever connected to.
//! - Invariant: only who knows the secret path gets through: another program on this machine that finds the port sees nothing.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use url::Url;

use super::flow::Flow;
use crate::head::{Head, login};
use crate::limits::{CONNECT_MS_MAX, HEAD_BYTES_MAX, TEXT_BYTES_MAX};
use crate::line::{Line, dial};
use crate::{Camera, Fault};

pub(super) struct Front {
    listener: TcpListener,
    url: Url,
}

/// A request on its way: kept to be sent again with an answer to a demand for a password.
struct Request {
    method: String,
    uri: String,
    /// Header lines, without the request line and without the empty one.
    lines: String,
    is_answered: bool,
}

impl Front {
    pub async fn open(camera: &Camera) -> Result<Front, Fault> {
        let failed =
            || Fault::PathDown { camera: camera.id().to_owned(), reason: "no way inside this machine".to_owned() };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|_| failed())?;
        let port = listener.local_addr().map_err(|_| failed())?.port();
        let mut secret = [0; 16];
        SystemRandom::new().fill(&mut secret).map_err(|_| failed())?;
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let url = Url::parse(&format!("rtsp://127.0.0.1:{port}/{secret}")).map_err(|_| failed())?;
        Ok(Front { listener, url })
    }

    /// Where the library finds the camera.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Serves until something is wrong.
    pub async fn serve(self, camera: &Camera, flow: &Flow) -> Fault {
        match self.carry(camera, flow).await {
            Err(fault) => fault,
            // The library has gone: its own error says why.
            Ok(()) => std::future::pending().await,
        }
    }

    async fn carry(self, camera: &Camera, flow: &Flow) -> Result<(), Fault> {
        let Some((mut inner, mut waiting)) = self.accepted().await else { return Ok(()) };
        // From here on nobody else can connect.
        let Front { listener, url } = self;
        drop(listener);
        let mut passage = Passage {
            camera,
            own: url.as_str().to_owned(),
            line: dial(camera, &camera.look).await?,
            digest: None,
            request: None,
            flow,
        };
        let mut piece = [0; 4_096];
        loop {
            while let Some(request) = request(&mut waiting, camera)? {
                passage.send(request).await?;
            }
            while !flow.is_full()
                && let Some(length) = passage.next().await?
            {
                // The library has gone, or reads no more: what is left is not for anybody.
                if inner.write_all(&passage.line.buffer[..length]).await.is_err() {
                    return Ok(());
                }
                passage.line.buffer.skip(length);
            }
            tokio::select! {
                read = inner.read(&mut piece) => match read {
                    Ok(length) if length > 0 => waiting.extend_from_slice(&piece[..length]),
                    _ => return Ok(()),
                },
                () = flow.room(), if flow.is_full() => (),
                more = passage.line.fill_soon(), if !flow.is_full() => if !more? {
                    return Err(passage.line.ended());
                },
            }
        }
    }

    /// The library's connection, and its first request: known by the secret path. Others are closed.
    async fn accepted(&self) -> Option<(TcpStream, Vec<u8>)> {
        let first = format!("DESCRIBE {} RTSP/1.0\r\n", self.url);
        loop {
            let (mut stream, _) = self.listener.accept().await.ok()?;
            let mut read = vec![0; first.len()];
            // Another program that connects and says nothing only holds up this look.
            let said = timeout(Duration::from_millis(CONNECT_MS_MAX), stream.read_exact(&mut read)).await;
            if matches!(said, Ok(Ok(_))) && read == first.as_bytes() {
                return Some((stream, read));
            }
        }
    }
}

struct Passage<'a> {
    camera: &'a Camera,
    own: String,
    line: Line,
    digest: Option<http_auth::DigestClient>,
    request: Option<Request>,
    flow: &'a Flow,
}

impl Passage<'_> {
    /// The camera's own address and path, in place of whatever host the library was told.
    fn uri(&self, asked: &str) -> Option<String> {
        let spot = &self.camera.look;
        let scheme = if spot.tls { "rtsps" } else { "rtsp" };
        let path = match asked.strip_prefix(&self.own) {
            Some("") => spot.path.clone(),
            Some(rest) => format!("{}{rest}", spot.path.trim_end_matches('/')),
            None => {
                let url = Url::parse(asked).ok()?;
                let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
                format!("{}{query}", url.path())
            }
        };
        Some(format!("{scheme}://{}{path}", spot.address))
    }

    async fn send(&mut self, request: Request) -> Result<(), Fault> {
        let uri = self.uri(&request.uri).ok_or_else(|| self.line.malformed("an address of its video"))?;
        let mut text = format!("{} {uri} RTSP/1.0\r\n{}", request.method, request.lines);
        if let Some(client) = &mut self.digest {
            let answer = login::answer(self.camera, client, &request.method, &uri, b"")?;
            text.push_str(&format!("Authorization: {answer}\r\n"));
        }
        text.push_str("\r\n");
        self.request = Some(request);
        self.line.send(text.as_bytes()).await
    }

    /// How many bytes at the beginning of the buffer are for the library. `None`: more must come.
    async fn next(&mut self) -> Result<Option<usize>, Fault> {
        loop {
            let buffer = &self.line.buffer;
            match buffer.first() {
                None => return Ok(None),
                Some(b'$') => {
                    let Some(head) = buffer.get(..4) else { return Ok(None) };
                    let (channel, length) = (head[1], 4 + usize::from(u16::from_be_bytes([head[2], head[3]])));
                    if buffer.len() < length {
                        return Ok(None);
                    }
                    // Channels 0 and 1 are the video's; what was not asked for is left out.
                    if channel <= 1 {
                        self.flow.goes_in(length);
                        return Ok(Some(length));
                    }
                    self.line.buffer.skip(length);
                }
                Some(_) => match self.answer().await? {
                    Answer::Whole(length) => return Ok(Some(length)),
                    Answer::Partial => return Ok(None),
                    Answer::Ours => (),
                },
            }
        }
    }

    async fn answer(&mut self) -> Result<Answer, Fault> {
        let malformed = |line: &Line| line.malformed("its answer about video");
        let Some((head, length)) = Head::rtsp(&self.line.buffer).map_err(|_| malformed(&self.line))? else {
            return Ok(Answer::Partial);
        };
        let body = head.length().map_err(|_| malformed(&self.line))?.unwrap_or(0);
        if body > TEXT_BYTES_MAX {
            return Err(self.line.too_large("its answer about video", TEXT_BYTES_MAX));
        }
        if self.line.buffer.len() < length + body {
            return Ok(Answer::Partial);
        }
        let Some(request) = self.request.take() else { return Err(malformed(&self.line)) };
        let camera = || self.camera.id().to_owned();
        match head.status {
            401 if !request.is_answered => {
                self.digest = Some(login::read(self.camera, &head)?);
                self.line.buffer.skip(length + body);
                self.send(Request { is_answered: true, ..request }).await?;
                return Ok(Answer::Ours);
            }
            // A keep-alive that a camera does not know is not the end of its video.
            400.. if !matches!(request.method.as_str(), "DESCRIBE" | "SETUP" | "PLAY") => (),
            300..=399 => return Err(Fault::Redirected { camera: camera() }),
            401 | 403 => return Err(Fault::Refused { camera: camera() }),
            status @ 400.. => return Err(Fault::Answered { camera: camera(), status }),
            _ => (),
        }
        Ok(Answer::Whole(length + body))
    }
}

enum Answer {
    /// For the library, with this length.
    Whole(usize),
    Partial,
    /// Answered here.
    Ours,
}

/// Takes one whole request of the library from `waiting`. They have no body.
fn request(waiting: &mut Vec<u8>, camera: &Camera) -> Result<Option<Request>, Fault> {
    let malformed = || Fault::Malformed { camera: camera.id().to_owned(), what: "what it makes us ask" };
    // The library answers to RTCP at times; the camera does without.
    while let [b'$', _, high, low, ..] = waiting[..] {
        let length = 4 + usize::from(u16::from_be_bytes([high, low]));
        if waiting.len() < length {
            return Ok(None);
        }
        waiting.drain(..length);
    }
    let Some(end) = waiting.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if waiting.len() > HEAD_BYTES_MAX { Err(malformed()) } else { Ok(None) };
    };
    let text: Vec<u8> = waiting.drain(..end + 4).collect();
    let text = String::from_utf8(text).map_err(|_| malformed())?;
    let (first, lines) = text.split_once("\r\n").ok_or_else(malformed)?;
    let mut words = first.split(' ');
    let (Some(method), Some(uri)) = (words.next(), words.next()) else { return Err(malformed()) };
    let lines = lines.strip_suffix("\r\n").unwrap_or(lines).to_owned();
    Ok(Some(Request { method: method.to_owned(), uri: uri.to_owned(), lines, is_answered: false }))
}
