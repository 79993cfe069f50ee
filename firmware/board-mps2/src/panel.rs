//! Light, sound and words as lines on the UART: `light steady`, `sound chime`, `text Larmet är mottaget`, `volume 40`.

use vaka_device::{Now, Panel};
use vaka_protocol::{Light, Sound};

use crate::say;

/// The lines.
#[derive(Debug)]
pub struct Lines;

impl Panel for Lines {
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, _now: Now) {
        if let Some(light) = light {
            say!("light {light}");
        }
        if let Some(sound) = sound {
            say!("sound {sound}");
        }
        if let Some(text) = text {
            say!("text {text}");
        }
    }

    fn pass(&mut self, _now: Now) -> Option<u64> {
        None
    }

    fn volume(&mut self, percent: u8) {
        say!("volume {percent}");
    }
}
