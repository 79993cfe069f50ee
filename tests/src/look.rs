//! What look-ins by camera are tried with: a camera on Python's HTTP server with ffmpeg's pictures, a lamp on paho, and a search for pictures
//! where none may be.

use std::path::{Path, PathBuf};

use serde_json::Value;
use toml_edit::{ArrayOfTables, DocumentMut, Table, value};

use crate::{Home, Script};

/// A camera, and where its pictures lie.
pub struct Camera {
    /// Says `picture` for each that it gives.
    pub script: Script,
    pub pictures: PathBuf,
}

fn table(text: &str) -> Table {
    text.parse::<DocumentMut>().expect("TOML").as_table().clone()
}

/// Gives the home a camera `cam`, a lamp, and one resident `r1` who has agreed to a look-in of 15 s that is open now, also without the veil.
#[track_caller]
pub fn with_camera(home: &Home) -> Camera {
    home.device("lamp", "feedback");
    let pictures = home.path("pictures-of-the-test");
    std::fs::create_dir(&pictures).expect("a folder");
    let script = Script::start("still_camera.py", &[&pictures.display().to_string()]);
    let port: u16 = script.line().parse().expect("the camera's port");
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Europe/Stockholm").expect("a zone"));
    let at = |minutes: i64| (&now + jiff::Span::new().minutes(minutes)).strftime("%H:%M").to_string();
    home.edit(|config| {
        let one = |table| std::iter::once(table).collect::<ArrayOfTables>();
        let camera = format!(
            "id = \"cam\"\nroom = \"sovrum\"\nlook = \"http://127.0.0.1:{port}/snap.jpg\"\nallowed = [\"127.0.0.0/8\"]\nlight = \"lamp\"\n"
        );
        config["camera"] = one(table(&camera)).into();
        // One line: a table of its own would be put where it stood in its own text.
        let resident = format!(
            "id = \"r1\"\nlook = {{ camera = \"cam\", rounds = [{{ at = \"{}\", latest = \"{}\" }}], look_s = 15, may_see_clearly = true, \
             instead = \"visit\", consent = {{ by = \"Karin\", on = \"2026-01-01\" }} }}\n",
            at(-2),
            at(90)
        );
        config["resident"] = one(table(&resident)).into();
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            device["resident"] = value("r1");
        }
    });
    Camera { script, pictures }
}

/// The lamp: says each command it is told.
#[track_caller]
pub fn lamp(home: &Home) -> Script {
    let port = home.mqtt_port.to_string();
    let folder = home.pem("lamp", "").display().to_string();
    let lamp = Script::start("lamp.py", &[&port, "lamp", &folder]);
    assert_eq!(lamp.line(), "ready");
    lamp
}

/// What the home has recorded of looks and checks.
#[track_caller]
pub fn look_steps(home: &Home) -> Vec<Value> {
    home.records("look").into_iter().map(|line| line["step"].clone()).collect()
}

/// Parts of the pictures' bytes that stand in any file of these folders but the camera's own.
#[track_caller]
pub fn traces(folders: &[&Path], pictures: &Path) -> usize {
    let mut slices: Vec<Vec<u8>> = Vec::new();
    for file in std::fs::read_dir(pictures).expect("the pictures") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("a picture");
        slices.extend((1_000..bytes.len().saturating_sub(32)).step_by(1_500).map(|at| bytes[at..at + 24].to_vec()));
    }
    assert!(slices.len() > 20, "something to search for");
    let mut found = 0;
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && path != pictures {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found += slices.iter().filter(|slice| bytes.windows(24).any(|window| window == &slice[..])).count();
            }
        }
    }
    found
}
