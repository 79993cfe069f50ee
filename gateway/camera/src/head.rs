//! Heads of HTTP and RTSP answers and of MJPEG's parts: text from outside, read strictly.

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// The head of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// 0 for a part of MJPEG, which has none.
    pub status: u16,
    /// Names in small letters, values without blanks around.
    pub headers: Vec<(String, String)>,
}

/// No head, whatever follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad;

impl Head {
    /// Reads an HTTP answer's head from the beginning of `bytes`, and how long it is. `None`: more must come.
    pub fn http(bytes: &[u8]) -> Result<Option<(Head, usize)>, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
            Ok(httparse::Status::Complete(length)) => {
                let status = answer.code.ok_or(Bad)?;
                Ok(Some((Head { status, headers: owned(answer.headers)? }, length)))
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
            _ => Err(Bad),
        }
    }

    /// As [`Head::http`], for `RTSP/1.0`, whose head differs in its first word alone.
    pub fn rtsp(bytes: &[u8]) -> Result<Option<(Head, usize)>, Bad> {
        const OWN: &[u8] = b"RTSP/1.0";
        const HTTP: &[u8] = b"HTTP/1.0";
        let shared = bytes.len().min(OWN.len());
        if bytes[..shared] != OWN[..shared] {
            return Err(Bad);
        }
        let mut answer = bytes[..bytes.len().min(HEAD_BYTES_MAX)].to_vec();
        answer[..shared].copy_from_slice(&HTTP[..shared]);
        match Head::http(&answer)? {
            None if bytes.len() >= HEAD_BYTES_MAX => Err(Bad),
            read => Ok(read),
        }
    }

    /// As [`Head::http`], for the head of a part, which has no first line.
    pub fn part(bytes: &[u8]) -> Result<Option<(Head, usize)>, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match httparse::parse_headers(&bytes[..bytes.len().min(HEAD_BYTES_MAX)], &mut headers) {
            Ok(httparse::Status::Complete((length, headers))) => {
                Ok(Some((Head { status: 0, headers: owned(headers)? }, length)))
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
            _ => Err(Bad),
        }
    }

    /// The first header of this name, written in small letters.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The stated length. Two that differ are no length: who reads one and who reads the other see different answers.
    pub fn length(&self) -> Result<Option<usize>, Bad> {
        let mut length = None;
        for value in self.all("content-length") {
            if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Bad);
            }
            // More digits than a `usize` holds are more bytes than anybody takes.
            let value = value.parse().unwrap_or(usize::MAX);
            if length.is_some_and(|earlier| earlier != value) {
                return Err(Bad);
            }
            length = Some(value);
        }
        Ok(length)
    }

    /// Whether the list in `name` has `word`.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|own| own.trim().eq_ignore_ascii_case(word))
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Result<Vec<(String, String)>, Bad> {
    headers
        .iter()
        .map(|header| {
            let value = std::str::from_utf8(header.value).map_err(|_| Bad)?;
            Ok((header.name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect()
}

/// Answers to `401`: by digest alone.
pub(crate) mod login {
    use http_auth::{DigestClient, PasswordParams, parse_challenges};

    use super::Head;
    use crate::{Camera, Fault};

    /// What to answer with from here on.
    pub fn read(camera: &Camera, head: &Head) -> Result<DigestClient, Fault> {
        let id = || camera.id().to_owned();
        if camera.user.is_empty() {
            return Err(Fault::Refused { camera: id() });
        }
        let mut clients: Vec<(bool, DigestClient)> = Vec::new();
        let mut wants_clear = false;
        for value in head.all("www-authenticate") {
            let Ok(challenges) = parse_challenges(value) else { continue };
            for challenge in challenges {
                wants_clear |= challenge.scheme.eq_ignore_ascii_case("basic");
                let is_strong = challenge.params.iter().any(|(name, value)| {
                    name.eq_ignore_ascii_case("algorithm")
                        && value.as_escaped().to_ascii_uppercase().starts_with("SHA-256")
                });
                clients.extend(DigestClient::try_from(&challenge).ok().map(|client| (is_strong, client)));
            }
        }
        // The stronger first, whatever order the camera names them in.
        clients.sort_by_key(|(is_strong, _)| !is_strong);
        match clients.into_iter().next() {
            Some((_, client)) => Ok(client),
            None if wants_clear => Err(Fault::PasswordInClear { camera: id() }),
            // No way to log in is offered at all: an ONVIF service that does not take the token in its message.
            None if head.get("www-authenticate").is_none() => Err(Fault::Refused { camera: id() }),
            None => Err(Fault::Malformed { camera: id(), what: "its demand for a password" }),
        }
    }

    /// An `Authorization` value for one request.
    pub fn answer(
        camera: &Camera,
        client: &mut DigestClient,
        method: &str,
        uri: &str,
        body: &[u8],
    ) -> Result<String, Fault> {
        let params = PasswordParams {
            username: &camera.user,
            password: camera.password.reveal(),
            uri,
            method,
            body: Some(body),
        };
        client
            .respond(&params)
            .map_err(|_| Fault::Malformed { camera: camera.id().to_owned(), what: "its demand for a password" })
    }
}
