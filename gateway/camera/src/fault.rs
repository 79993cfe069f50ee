//! What can go wrong between a camera and us: a word for programs, a sentence for people.
//!
//! Each is a reason to send somebody: a look or a check that ends with one has seen nothing.

/// Why a camera could not be looked through or checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(
        "reaching camera {camera}: {reason}; check its power and cable, and that only the gateway's network is allowed"
    )]
    PathDown { camera: String, reason: String },
    #[error("logging in to camera {camera}: it refused user and password; set them anew")]
    Refused { camera: String },
    #[error(
        "logging in to camera {camera}: it asks for the password in clear; switch on digest authentication in the camera"
    )]
    PasswordInClear { camera: String },
    #[error("asking camera {camera} for a picture: it sends us elsewhere, which is never followed; set the right path")]
    Redirected { camera: String },
    #[error(
        "asking camera {camera} for a picture: it answered {status}; check the path, and that the camera is not busy"
    )]
    Answered { camera: String, status: u16 },
    #[error(
        "proving who camera {camera} is: its certificate is not the one that was accepted; find out why, then accept the new one"
    )]
    ChangedCertificate { camera: String },
    #[error("proving who camera {camera} is: {reason}; it needs TLS 1.2 or newer and a certificate of today's form")]
    Tls { camera: String, reason: String },
    #[error("reading a picture of camera {camera}: {what} is larger than {max}; set a smaller picture in the camera")]
    TooLarge { camera: String, what: &'static str, max: usize },
    #[error("reading camera {camera}: {what} is damaged or of an unknown form")]
    Malformed { camera: String, what: &'static str },
    #[error("waiting for camera {camera}: nothing came for {silent_ms} ms; check its power and network")]
    Silent { camera: String, silent_ms: u64 },
    #[error("looking through camera {camera}: it ended the connection before the look was over")]
    Ended { camera: String },
    #[error("looking through camera {camera}: it offers no H.264; set its stream to H.264")]
    NoVideo { camera: String },
    #[error(
        "looking through camera {camera} in this way: it has no still pictures, and its video cannot be veiled; set its snapshot address"
    )]
    NoPictures { camera: String },
}

impl Fault {
    /// A stable word for records, metrics and programs.
    pub fn word(&self) -> &'static str {
        match self {
            Fault::PathDown { .. } => "path_down",
            Fault::Refused { .. } => "refused",
            Fault::PasswordInClear { .. } => "password_in_clear",
            Fault::Redirected { .. } => "redirected",
            Fault::Answered { .. } => "answered",
            Fault::ChangedCertificate { .. } => "changed_certificate",
            Fault::Tls { .. } => "tls",
            Fault::TooLarge { .. } => "too_large",
            Fault::Malformed { .. } => "malformed",
            Fault::Silent { .. } => "silent",
            Fault::Ended { .. } => "ended",
            Fault::NoVideo { .. } => "no_video",
            Fault::NoPictures { .. } => "no_pictures",
        }
    }

    /// For staff, in Swedish: what is wrong with the camera, in one sentence.
    pub fn sv(&self) -> &'static str {
        sentences(self.word()).0
    }

    /// For staff, in English.
    pub fn en(&self) -> &'static str {
        sentences(self.word()).1
    }
}

/// Swedish and English for a [`Fault::word`], as it stands in a record; an unknown word is a camera that does not work.
pub fn sentences(word: &str) -> (&'static str, &'static str) {
    match word {
        "path_down" => ("Kameran går inte att nå.", "The camera cannot be reached."),
        "refused" => ("Kameran godtar inte gatewayens inloggning.", "The camera does not accept the gateway's login."),
        "password_in_clear" => (
            "Kameran vill ha lösenordet oskyddat, och får det inte.",
            "The camera wants the password unprotected, and does not get it.",
        ),
        "redirected" => ("Kameran hänvisar någon annanstans.", "The camera sends us elsewhere."),
        "answered" => ("Kameran svarar, men lämnar ingen bild.", "The camera answers, but gives no picture."),
        "changed_certificate" => (
            "Kameran har ett annat certifikat än det godkända.",
            "The camera has another certificate than the accepted one.",
        ),
        "tls" => {
            ("Kamerans skydd av förbindelsen duger inte.", "The camera's protection of the connection will not do.")
        }
        "too_large" => ("Kamerans bild är för stor.", "The camera's picture is too large."),
        "malformed" => ("Kamerans bild går inte att läsa.", "The camera's picture cannot be read."),
        "silent" => ("Kameran svarar inte.", "The camera does not answer."),
        "ended" => ("Kameran avbröt bilden.", "The camera broke off the picture."),
        "no_video" => ("Kameran lämnar ingen video som går att visa.", "The camera gives no video that can be shown."),
        "no_pictures" => (
            "Kameran lämnar inga stillbilder, så bilden kan inte döljas.",
            "The camera gives no stills, so the picture cannot be veiled.",
        ),
        _ => ("Kameran fungerar inte.", "The camera does not work."),
    }
}
