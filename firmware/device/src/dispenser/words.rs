//! What the resident sees, hears and reads. It says what happened; never what anybody should take.

use vaka_protocol::{DoseOutcome, Light, Sound};

use crate::Shown;

pub fn due() -> Shown {
    Shown {
        light: Light::Blink,
        sound: Sound::Chime,
        sv: "Det är tid för en dos. Tryck på knappen",
        en: "It is time for a dose. Press the button",
    }
}

pub fn out() -> Shown {
    Shown { light: Light::Blink, sound: Sound::Chime, sv: "Dosen ligger i luckan", en: "The dose is at the window" }
}

/// How it ended.
pub fn ended(outcome: DoseOutcome) -> Shown {
    let (light, sound, sv, en) = match outcome {
        DoseOutcome::Taken => (Light::Off, Sound::Tick, "Dosen är uttagen", "The dose has been taken out"),
        DoseOutcome::Missed => (Light::Off, Sound::Off, "Tiden för dosen är över", "The time for the dose is over"),
        DoseOutcome::Refused => (Light::Off, Sound::Tick, "Dosen är avböjd", "The dose was refused"),
        DoseOutcome::Jammed => {
            (Light::Flash, Sound::Warn, "Automaten har fastnat. Dosen kommer inte", "The dispenser is stuck. No dose")
        }
        _ => (Light::Flash, Sound::Warn, "Det är oklart om dosen gavs", "It is not known if the dose was given"),
    };
    Shown { light, sound, sv, en }
}
