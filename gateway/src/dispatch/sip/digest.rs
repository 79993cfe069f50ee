//! Digest authentication, the client's side (RFC 7616, RFC 8760; MD5 as in RFC 2617 for older centres).
//!
//! Enters: a 401 or 407. Leaves: the line to send with the next attempt. Algorithms MD5 and SHA-256, qop auth and none;
//! of several challenges the strongest known one is taken, never a weaker reading of an unknown one.

use md5::{Digest as _, Md5};

use super::head::{Message, split_outside_quotes};

/// User and password at a receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.user)
    }
}

/// Weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

/// What the peer wants to see proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    proxy: bool,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm was named: it is then named in the answer too.
    named: bool,
    qop_auth: bool,
    /// Only the nonce was too old: the credentials may be tried again.
    pub stale: bool,
}

/// The strongest challenge of a 401 or 407 that can be answered here.
pub fn challenge(response: &Message) -> Option<Challenge> {
    let headers = [("www-authenticate", false), ("proxy-authenticate", true)];
    let lines = headers.iter().flat_map(|(name, proxy)| response.all(name).map(move |value| (value, *proxy)));
    let mut best: Option<Challenge> = None;
    for (value, proxy) in lines {
        for parameters in challenges(value) {
            let Some(found) = read(&parameters, proxy) else {
                continue;
            };
            if best.as_ref().is_none_or(|b| found.algorithm > b.algorithm) {
                best = Some(found);
            }
        }
    }
    best
}

/// Parameters of each Digest challenge in one header value; several challenges may share a line.
fn challenges(value: &str) -> Vec<Vec<(String, String)>> {
    let mut all: Vec<(bool, Vec<(String, String)>)> = Vec::new();
    for part in split_outside_quotes(value, b',') {
        let part = part.trim();
        let Some((name, text)) = part.split_once('=') else {
            // A scheme alone, or nonsense: what follows is not Digest's.
            all.push((part.eq_ignore_ascii_case("digest"), Vec::new()));
            continue;
        };
        let mut name = name.trim();
        if let Some((scheme, first)) = name.split_once([' ', '\t']) {
            all.push((scheme.eq_ignore_ascii_case("digest"), Vec::new()));
            name = first.trim();
        }
        if let Some((_, parameters)) = all.last_mut() {
            // Escapes inside quotes stay as they are: they are hashed and sent back unchanged.
            let text = text.trim();
            let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
            parameters.push((name.to_ascii_lowercase(), bare.to_owned()));
        }
    }
    all.into_iter().filter(|(digest, _)| *digest).map(|(_, parameters)| parameters).collect()
}

fn read(parameters: &[(String, String)], proxy: bool) -> Option<Challenge> {
    let value = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let algorithm = match value("algorithm") {
        None => Algorithm::Md5,
        Some(a) if a.eq_ignore_ascii_case("md5") => Algorithm::Md5,
        Some(a) if a.eq_ignore_ascii_case("sha-256") => Algorithm::Sha256,
        Some(_) => return None,
    };
    let qop_auth = match value("qop") {
        None => false,
        Some(list) if list.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")) => true,
        Some(_) => return None,
    };
    Some(Challenge {
        proxy,
        realm: value("realm")?.to_owned(),
        nonce: value("nonce")?.to_owned(),
        opaque: value("opaque").map(str::to_owned),
        algorithm,
        named: value("algorithm").is_some(),
        qop_auth,
        stale: value("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
    })
}

impl Challenge {
    /// The whole header line that answers, without its line end.
    ///
    /// `cnonce` is a fresh token; `uri` is the request URI as sent.
    pub fn answer(&self, credentials: &Credentials, method: &str, uri: &str, cnonce: &str) -> String {
        let Credentials { user, password } = credentials;
        let Challenge { realm, nonce, .. } = self;
        let secret = self.hash(&format!("{user}:{realm}:{password}"));
        let asked = self.hash(&format!("{method}:{uri}"));
        let proof = if self.qop_auth {
            self.hash(&format!("{secret}:{nonce}:00000001:{cnonce}:auth:{asked}"))
        } else {
            self.hash(&format!("{secret}:{nonce}:{asked}"))
        };
        let header = if self.proxy { "Proxy-Authorization" } else { "Authorization" };
        let mut line = format!(
            "{header}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{proof}\""
        );
        if self.named {
            line.push_str(match self.algorithm {
                Algorithm::Md5 => ", algorithm=MD5",
                Algorithm::Sha256 => ", algorithm=SHA-256",
            });
        }
        if let Some(opaque) = &self.opaque {
            line.push_str(&format!(", opaque=\"{opaque}\""));
        }
        if self.qop_auth {
            line.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
        }
        line
    }

    fn hash(&self, text: &str) -> String {
        match self.algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()),
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::sip::Start;

    fn asked(values: &[&str]) -> Option<Challenge> {
        challenge(&Message {
            start: Start::Response { status: 401, reason: String::new() },
            headers: values.iter().map(|v| ("www-authenticate".to_owned(), (*v).to_owned())).collect(),
            body: Vec::new(),
        })
    }

    /// The worked example of RFC 7616 §3.9.1, in both algorithms.
    #[test]
    fn the_standards_example_comes_out() {
        let sha = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let md5 = sha.replace("SHA-256", "MD5");
        let login = Credentials { user: "Mufasa".into(), password: "Circle of Life".into() };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let line = |text: &str| asked(&[text]).unwrap().answer(&login, "GET", "/dir/index.html", cnonce);
        assert!(line(sha).contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"));
        assert!(line(&md5).contains("8ca523f5e9506fed4657c9700eebdbec"));
    }

    #[test]
    fn the_strongest_known_challenge_is_taken() {
        let both = asked(&[
            r#"Digest realm="a", nonce="1", algorithm=MD5"#,
            r#"Basic realm="x", Digest realm="b,c", nonce="2", algorithm=SHA-256, stale=TRUE"#,
        ])
        .unwrap();
        assert_eq!((both.realm.as_str(), both.algorithm, both.stale), ("b,c", Algorithm::Sha256, true));
        let unknown_first =
            asked(&[r#"Digest realm="a", nonce="1", algorithm=SHA-512-256, Digest realm="a", nonce="2""#]);
        assert_eq!(unknown_first.map(|c| (c.nonce, c.named)), Some(("2".to_owned(), false)));
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for bad in [
            "Basic realm=\"x\"",
            "Digest",
            "Digest nonce=\"1\"",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
            "",
            "=,=",
            "\"",
        ] {
            assert_eq!(asked(&[bad]), None, "{bad:?}");
        }
    }

    #[test]
    fn without_qop_the_old_form_is_used() {
        let old = asked(&[r#"Digest realm="r", nonce="n""#]).unwrap();
        let login = Credentials { user: "u".into(), password: "p".into() };
        let line = old.answer(&login, "MESSAGE", "sip:a", "c");
        let (secret, asked) = (old.hash("u:r:p"), old.hash("MESSAGE:sip:a"));
        assert!(line.contains(&old.hash(&format!("{secret}:n:{asked}"))));
        assert!(!line.contains("cnonce") && !line.contains("algorithm"));
    }
}
