//! [[camera]]: where a camera is, how it is reached, and the light that says that somebody looks through it.
//!
//! Enters: the tables, the devices. Leaves: cameras, none of which is opened here. Invariant: one without a light is none: the resident
//! must know.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use vaka_camera::{Net, Secret, Setup, Unfit, Waits};
use vaka_protocol::DeviceId;

use super::super::explain::shown;
use super::super::*;
use super::{Check, Text};
use crate::limits::{CAMERA_VIEWS_MAX, LOOK_WAKE_MS_MAX};

pub(super) fn cameras(
    c: &mut Check<'_>,
    file: &file::File,
    devices: &BTreeMap<DeviceId, Device>,
) -> BTreeMap<DeviceId, Camera> {
    let mut cameras = BTreeMap::new();
    for whole in &file.camera {
        let before = c.wrong.len();
        let camera = camera(c, whole, devices);
        if let Some(camera) = camera.filter(|_| c.wrong.len() == before)
            && cameras.insert(camera.id.clone(), camera).is_some()
        {
            let said = shown(whole.get_ref().id.get_ref());
            c.wrong(&whole.get_ref().id, format!("there is already a camera `{said}`; give each its own id"));
        }
    }
    cameras
}

fn camera(c: &mut Check<'_>, whole: &Spanned<file::Camera>, devices: &BTreeMap<DeviceId, Device>) -> Option<Camera> {
    let t = whole.get_ref();
    let id = c.device_id("id", &t.id)?;
    if devices.contains_key(&id) {
        c.wrong(&t.id, format!("`{id}` is a [[device]] already; give the camera an id of its own"));
    }
    let light = light(c, &t.light, devices);
    let word = |word: &Option<Text>| word.as_ref().map(|word| word.get_ref().clone());
    let pin = t.pin.as_ref().and_then(|word| parsed(c, "pin", word, word.get_ref().strip_prefix("sha256:")));
    let allowed = match &t.allowed {
        Some(words) => words.get_ref().iter().filter_map(|word| parsed(c, "allowed", word, None)).collect(),
        None => Net::private(),
    };
    let references = t.references.iter().filter_map(|word| parsed(c, "references", word, None)).collect();
    if let Some(beyond) = t.references.get(CAMERA_VIEWS_MAX) {
        c.wrong(beyond, format!("`references` has more than {CAMERA_VIEWS_MAX} views; keep those that still hold"));
    }
    let wake_ms = t.wake_s.as_ref().map_or(Some(0), |s| c.number("wake_s", s, 0, LOOK_WAKE_MS_MAX / 1_000))? * 1_000;
    let setup = Setup {
        id: id.to_string(),
        look: t.look.get_ref().clone(),
        snapshot: word(&t.snapshot),
        user: word(&t.user).unwrap_or_default(),
        password: Secret::default(),
        pin,
        wake_ms: u32::try_from(wake_ms).ok()?,
        allowed,
        waits: Waits::default(),
    };
    match vaka_camera::Camera::new(setup.clone()) {
        Err(e @ Unfit::Address { key: "snapshot", .. }) => {
            c.wrong(t.snapshot.as_ref().unwrap_or(&t.look), e.to_string());
        }
        Err(e) => c.wrong(&t.look, e.to_string()),
        Ok(camera) if !camera.can(vaka_camera::View::Veiled) => {
            let text = "this camera has video alone: it can be neither checked nor veiled; add `snapshot`";
            c.warn(&t.look, text.to_owned());
        }
        Ok(_) => {}
    }
    if let (Some(user), None) = (&t.user, &t.password_file) {
        c.wrong(user, "`user` needs `password_file`: the file with the camera's password on one line".to_owned());
    }
    let password_file = t.password_file.as_ref().map(|word| c.path("password_file", word));
    Some(Camera { id, room: word(&t.room), light: light?, setup, password_file, references })
}

/// Must reach us by itself, and answer.
fn light(c: &mut Check<'_>, named: &Text, devices: &BTreeMap<DeviceId, Device>) -> Option<DeviceId> {
    let said = shown(named.get_ref());
    let device = devices.values().find(|device| device.id.as_str() == named.get_ref());
    let Some(device) = device else {
        let hint = nearest(named.get_ref(), devices.keys().map(AsRef::as_ref))
            .map_or_else(|| "add its [[device]] of kind feedback".to_owned(), |near| format!("did you mean `{near}`?"));
        c.wrong(named, format!("`light` names the unknown device `{said}`; {hint}"));
        return None;
    };
    if device.kind != DeviceKind::Feedback || device.via.is_some() {
        let text = format!(
            "`light` names `{said}`, a {}; it must be a feedback device with a connection of its own, which answers that it is lit",
            device.kind
        );
        c.wrong(named, text);
    }
    Some(device.id.clone())
}

/// `text`: of the word what counts; absent: all of it.
fn parsed<T: std::str::FromStr<Err = String>>(
    c: &mut Check<'_>,
    key: &str,
    word: &Text,
    text: Option<&str>,
) -> Option<T> {
    let parsed = text.unwrap_or(word.get_ref()).parse();
    parsed.map_err(|e| c.wrong(word, format!("`{key}`: {e}"))).ok()
}

impl Camera {
    /// With its password, as it stands in its file this moment.
    ///
    /// # Errors
    /// In words: the file cannot be read, or the camera is unfit.
    pub fn open(&self) -> Result<vaka_camera::Camera, String> {
        let mut setup = self.setup.clone();
        if let Some(file) = &self.password_file {
            let read = std::fs::read_to_string(file);
            let password = read.map_err(|e| {
                format!("reading the password of camera {} from {}: {e}; write it there", self.id, file.display())
            })?;
            setup.password = Secret::new(password.trim_end_matches(['\r', '\n']).to_owned());
        }
        vaka_camera::Camera::new(setup).map_err(|e| e.to_string())
    }

    /// How long it may take to wake.
    pub fn wake(&self) -> Duration {
        Duration::from_millis(u64::from(self.setup.wake_ms))
    }
}
