//! SOAP towards one camera: a message, an answer, and the login that ONVIF cameras ask for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::xml::{self, Node};
use crate::camera::Spot;
use crate::http::Http;
use crate::limits::TEXT_BYTES_MAX;
use crate::{Camera, Fault};

const KIND: &str = "application/soap+xml; charset=utf-8";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";

/// A camera's service, and what time it is there.
pub(super) struct Door<'a> {
    camera: &'a Camera,
    clock: DateTime,
    read_at: Instant,
}

impl<'a> Door<'a> {
    /// Asks a camera for its time, which it tells without a login; logins are stamped by it. `now_ms` stands in for a camera that does not.
    pub async fn open(camera: &'a Camera, now_ms: i64) -> Result<Door<'a>, Fault> {
        let ours = Timestamp::from_millisecond(now_ms)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime();
        let mut door = Door { camera, clock: ours, read_at: Instant::now() };
        let asked = "<GetSystemDateAndTime xmlns=\"http://www.onvif.org/ver10/device/wsdl\"/>";
        match door.exchange(&camera.look, asked, "").await {
            Ok(answer) => door.clock = theirs(&answer).unwrap_or(ours),
            Err(Fault::Answered { .. } | Fault::Refused { .. } | Fault::Malformed { .. }) => (),
            Err(fault) => return Err(fault),
        }
        door.read_at = Instant::now();
        Ok(door)
    }

    /// Sends `message`, logged in if there is a user, and reads the answer.
    pub async fn ask(&mut self, spot: &Spot, message: &str) -> Result<Node, Fault> {
        let login = if self.camera.user.is_empty() { String::new() } else { self.login()? };
        self.exchange(spot, message, &login).await
    }

    async fn exchange(&self, spot: &Spot, message: &str, login: &str) -> Result<Node, Fault> {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">\
             <s:Header>{login}</s:Header><s:Body>{message}</s:Body></s:Envelope>"
        );
        let mut http = Http::new(self.camera, spot.clone());
        let answered = http.ask("POST", KIND, text.as_bytes()).await;
        let malformed = |_| Fault::Malformed { camera: self.camera.id().to_owned(), what: "its ONVIF answer" };
        match answered {
            Ok(_) => {
                let body = http.whole("its ONVIF answer", TEXT_BYTES_MAX).await?;
                Node::read(&body).map_err(malformed)
            }
            // SOAP's own faults come with status 400 or 500, a wrong password among them.
            Err(Fault::Answered { camera, status }) => {
                let body = http.whole("its ONVIF answer", TEXT_BYTES_MAX).await.unwrap_or_default();
                let is_login = body.windows(13).any(|window| window == b"NotAuthorized");
                Err(if is_login { Fault::Refused { camera } } else { Fault::Answered { camera, status } })
            }
            Err(fault) => Err(fault),
        }
    }

    /// WS-UsernameToken: Base64(SHA-1(nonce + created + password)). SHA-1 is what the form asks for.
    fn login(&self) -> Result<String, Fault> {
        let mut nonce = [0; 16];
        let failed = |_| Fault::Refused { camera: self.camera.id().to_owned() };
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let since = SignedDuration::try_from(self.read_at.elapsed()).unwrap_or_default();
        let created = self.clock.checked_add(since).unwrap_or(self.clock).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let password = token(&nonce, &created, self.camera.password.reveal());
        let (user, nonce) = (xml::escaped(&self.camera.user), STANDARD.encode(nonce));
        Ok(format!(
            "<w:Security xmlns:w=\"{SECURITY}\" xmlns:u=\"{UTILITY}\" s:mustUnderstand=\"1\"><w:UsernameToken>\
             <w:Username>{user}</w:Username><w:Password Type=\"{DIGEST}\">{password}</w:Password>\
             <w:Nonce>{nonce}</w:Nonce><u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
        ))
    }
}

fn token(nonce: &[u8], created: &str, password: &str) -> String {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    [nonce, created.as_bytes(), password.as_bytes()].iter().for_each(|part| digest.update(part));
    STANDARD.encode(digest.finish())
}

/// The camera's own time, UTC where it says so.
fn theirs(answer: &Node) -> Option<DateTime> {
    let node = answer.first("UTCDateTime").or_else(|| answer.first("LocalDateTime"))?;
    let field = |name| node.text(name)?.parse::<i16>().ok();
    let small = |name| i8::try_from(field(name)?).ok();
    let second = small("Second")?.min(59);
    DateTime::new(field("Year")?, small("Month")?, small("Day")?, small("Hour")?, small("Minute")?, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that ONVIF's application programmer's guide is quoted with everywhere.
    #[test]
    fn a_token_is_as_others_make_it() {
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").expect("base64");
        assert_eq!(token(&nonce, "2010-09-16T07:50:45Z", "userpassword"), "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }
}
