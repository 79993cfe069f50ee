//! What the resident sees and hears: on the board's pins, and as lines on the UART for a test to see: `light steady`,
//! `sound chime`, `text Larmet är mottaget`, `volume 40`.

use vaka_device::{Now, Panel};
use vaka_protocol::{Light, Sound};

use crate::say;

/// A panel whose orders are also written down.
#[derive(Debug)]
pub struct Written<P>(pub P);

impl<P: Panel> Panel for Written<P> {
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, now: Now) {
        self.0.show(light, sound, text, now);
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

    fn pass(&mut self, now: Now) -> Option<u64> {
        self.0.pass(now)
    }

    fn volume(&mut self, percent: u8) {
        self.0.volume(percent);
        say!("volume {percent}");
    }
}
