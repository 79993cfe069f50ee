//! How a device behaves, as the command `settings` set it; kept over a power cut.

use vaka_protocol::{Command, Label};

use crate::keep::{Keep, SETTINGS, VALUE_BYTES_MAX};

/// Between two signs of life where nothing else was set, seconds. A door that stands still is heard of every hour; the
/// gateway misses it after a day. Shorter: a coin cell empties. Source: our choice.
pub const ALIVE_INTERVAL_S: u32 = 3_600;

/// Shortest interval between two signs of life that is taken, seconds.
const ALIVE_INTERVAL_S_MIN: u32 = 10;

/// What was set. Absent: the device's own default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Between two signs of life, seconds.
    pub heartbeat_interval_s: Option<u32>,
    /// Between two positions, seconds.
    pub position_interval_s: Option<u32>,
    /// Loudness, 0 to 100.
    pub volume_percent: Option<u8>,
    /// Language of texts.
    pub language: Option<Label>,
}

impl Settings {
    /// What was kept; the defaults where nothing was, or it cannot be read.
    pub fn read(keep: &mut dyn Keep) -> Self {
        let mut buffer = [0; VALUE_BYTES_MAX];
        let kept = keep.read(SETTINGS, &mut buffer).ok().flatten().and_then(Self::from_bytes);
        kept.unwrap_or_default()
    }

    /// Takes the command `settings`; what is absent in it stays. False: it could not be kept and holds until the next boot.
    pub fn set(&mut self, command: &Command, keep: &mut dyn Keep) -> bool {
        let Command::Settings { heartbeat_interval_s, position_interval_s, volume_percent, language } = command else {
            return false;
        };
        self.heartbeat_interval_s = heartbeat_interval_s.or(self.heartbeat_interval_s);
        self.position_interval_s = position_interval_s.or(self.position_interval_s);
        self.volume_percent = volume_percent.or(self.volume_percent);
        if language.is_some() {
            self.language.clone_from(language);
        }
        keep.write(SETTINGS, &self.to_bytes()).is_ok()
    }

    /// Between two signs of life, seconds.
    pub fn alive_interval_s(&self) -> u32 {
        self.heartbeat_interval_s.unwrap_or(ALIVE_INTERVAL_S).max(ALIVE_INTERVAL_S_MIN)
    }

    /// Texts are shown in English; else in Swedish.
    pub fn is_english(&self) -> bool {
        self.language.as_ref().is_some_and(|language| language.as_str() == "en")
    }

    /// Layout: version 1; two intervals in seconds, `u32` little-endian, 0 = not set; volume, 255 = not set; language.
    fn to_bytes(&self) -> heapless::Vec<u8, 64> {
        let mut bytes = heapless::Vec::new();
        let language = self.language.as_ref().map_or("", |language| language.as_str());
        let parts = [
            &[1][..],
            &self.heartbeat_interval_s.unwrap_or(0).to_le_bytes(),
            &self.position_interval_s.unwrap_or(0).to_le_bytes(),
            &[self.volume_percent.unwrap_or(u8::MAX)],
            language.as_bytes(),
        ];
        // 10 bytes and a label of at most 32 fit.
        parts.iter().for_each(|part| drop(bytes.extend_from_slice(part)));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, language) = bytes.split_at_checked(10)?;
        let [1, a, b, c, d, e, f, g, h, volume] = *head else { return None };
        let set = |seconds: u32| Some(seconds).filter(|seconds| *seconds > 0);
        let language = core::str::from_utf8(language).ok()?;
        Some(Self {
            heartbeat_interval_s: set(u32::from_le_bytes([a, b, c, d])),
            position_interval_s: set(u32::from_le_bytes([e, f, g, h])),
            volume_percent: Some(volume).filter(|volume| *volume <= 100),
            language: Some(language).filter(|language| !language.is_empty()).map(Label::from),
        })
    }
}
