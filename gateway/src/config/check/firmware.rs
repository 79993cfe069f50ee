//! `[firmware]`: where the devices fetch their firmware, and on which board each is.

use toml::Spanned;
use vaka_protocol::limits::URL_BYTES_MAX;

use super::super::*;
use super::Check;
use crate::config::explain::shown;

/// A slash, and the part that nobody guesses.
const PATH_BYTES: usize = 33;
/// Longest name of a board in an image's header, in bytes.
const BOARD_BYTES: usize = 16;

pub(super) fn firmware(
    c: &mut Check<'_>,
    table: &Spanned<file::Firmware>,
    file: &file::File,
    devices: &BTreeMap<DeviceId, Device>,
) -> Option<Firmware> {
    let given = table.get_ref();
    if file.update.is_none() {
        let fix = "add [update] with url, ca and keys: the list of images stands beside the releases";
        c.wrong(&given.url, format!("`[firmware]` without [update]: nobody says where images come from; {fix}"));
    }
    let listen = c.listen(&given.listen);
    let url = given.url.get_ref().trim_end_matches('/');
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let is_plain = url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@'));
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':')) || !is_plain {
        let said = shown(url);
        let fix = "write http://HOST:PORT, as the devices reach `listen`; an image is signed, so plain HTTP does";
        c.wrong(&given.url, format!("`url`: `{said}` is no address for devices; {fix}"));
    }
    if url.len() + PATH_BYTES > URL_BYTES_MAX {
        let most = URL_BYTES_MAX - PATH_BYTES;
        c.wrong(&given.url, format!("`url`: {} bytes; a device takes {most}", url.len()));
    }
    let mut boards = BTreeMap::new();
    for (device, board) in &given.boards {
        let id = DeviceId::try_from(device.as_str()).ok().filter(|id| devices.contains_key(id));
        let Some(id) = id else {
            let near = nearest(device, devices.keys().map(AsRef::as_ref));
            let fix =
                near.map_or_else(|| "see `vaka device list`".to_owned(), |near| format!("did you mean `{near}`?"));
            c.wrong(board, format!("`boards`: there is no device `{}`; {fix}", shown(device)));
            continue;
        };
        let word = board.get_ref();
        let is_plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if word.is_empty() || word.len() > BOARD_BYTES || !is_plain {
            let said = shown(word);
            c.wrong(board, format!("`boards`: `{said}` is no board; write 1 to {BOARD_BYTES} letters, digits and `-`, as its maker says"));
        }
        boards.insert(id, word.clone());
    }
    Some(Firmware { listen: listen?, url: url.to_owned(), boards })
}
