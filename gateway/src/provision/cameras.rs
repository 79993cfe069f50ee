//! What a camera saw when a person accepted it, written into vaka.toml.
//!
//! Enters: a view of a check. Leaves: the file with the new view among the camera's `references`; all else stays as it was written.
//! Invariant: what cannot be used is not written.

use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, value};
use vaka_protocol::DeviceId;

use super::{ProvisionError, devices};
use crate::config::{Config, nearest};

/// Writes `reference` as the view of camera `id`: in place of those that were accepted before, or with `also` beside them.
/// Leaves: how many count now.
///
/// # Errors
/// [`ProvisionError`]; then the file is as it was.
pub fn accept_view(file: &Path, id: &DeviceId, reference: &str, also: bool) -> Result<usize, ProvisionError> {
    let _lock = devices::lock_home(Config::load(file)?.0.pki().dir())?;
    let text = std::fs::read_to_string(file).map_err(ProvisionError::file(file))?;
    let new = accepted(&text, file, id, reference, also)?;
    let (config, _) = Config::parse(new.as_bytes(), file)?;
    devices::write_config(file, &new)?;
    Ok(config.cameras.get(id).map_or(0, |camera| camera.references.len()))
}

fn accepted(text: &str, file: &Path, id: &DeviceId, reference: &str, also: bool) -> Result<String, ProvisionError> {
    let damaged = |error: toml_edit::TomlError| ProvisionError::file(file)(std::io::Error::other(error));
    let mut document: DocumentMut = text.parse().map_err(damaged)?;
    let cameras =
        document.get_mut("camera").and_then(Item::as_array_of_tables_mut).ok_or_else(|| no_camera(file, id))?;
    let camera = cameras.iter_mut().find(|camera| camera.get("id").and_then(Item::as_str) == Some(id.as_ref()));
    let camera = camera.ok_or_else(|| no_camera(file, id))?;
    let mut views = match camera.get("references").and_then(Item::as_array).filter(|_| also) {
        Some(views) => views.clone(),
        None => Array::new(),
    };
    if !views.iter().any(|known| known.as_str() == Some(reference)) {
        views.push(reference);
    }
    camera.insert("references", value(views));
    Ok(document.to_string())
}

fn no_camera(file: &Path, id: &DeviceId) -> ProvisionError {
    let cameras = Config::load(file).map(|(config, _)| config.cameras).unwrap_or_default();
    let hint = nearest(id.as_ref(), cameras.keys().map(AsRef::as_ref));
    let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    ProvisionError::NoCamera { id: id.to_string(), file: file.to_path_buf(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[gateway]\nid = \"gw-1\"\n\n[[camera]] # by the bed\nid = \"cam\"\nlight = \"lamp\" # lit\n\n[[camera]]\nid = \"other\"\n";

    fn accept(text: &str, id: &str, reference: &str, also: bool) -> Result<String, ProvisionError> {
        accepted(text, Path::new("vaka.toml"), &DeviceId::try_from(id).unwrap(), reference, also)
    }

    #[test]
    fn a_view_takes_the_place_of_the_others_or_stands_beside_them_and_all_else_stays() {
        let first = accept(FILE, "cam", "aa", false).unwrap();
        let expected = FILE.replace("light = \"lamp\" # lit\n", "light = \"lamp\" # lit\nreferences = [\"aa\"]\n");
        assert_eq!(first, expected);
        let night = accept(&first, "cam", "bb", true).unwrap();
        assert_eq!(night, expected.replace("[\"aa\"]", "[\"aa\", \"bb\"]"));
        assert_eq!(accept(&night, "cam", "bb", true).unwrap(), night, "once");
        assert_eq!(accept(&night, "cam", "cc", false).unwrap(), expected.replace("[\"aa\"]", "[\"cc\"]"));
    }

    #[test]
    fn a_camera_that_is_not_there_is_named() {
        let refused = accept(FILE, "cam-2", "aa", false).unwrap_err().to_string();
        assert!(refused.contains("`cam-2`") && refused.contains("vaka.toml"), "{refused}");
    }
}
