//! `[update]`: where new versions of this program come from, and whose they are.

use toml::Spanned;
use vaka_update::fetch::Address;
use vaka_update::policy::Window;
use vaka_update::sign::PublicKey;

use super::super::*;
use super::Check;
use crate::config::explain::shown;

/// Keys that count at once. More than two are no change of keys any more, but a forgotten one.
const KEYS_MAX: usize = 2;

pub(super) fn update(c: &mut Check<'_>, table: &file::Update) -> Option<Update> {
    let address = Address::parse(table.url.get_ref());
    if let Err(why) = &address {
        c.wrong(&table.url, format!("`url`: {why}"));
    }
    let given = table.keys.get_ref();
    if given.is_empty() || given.len() > KEYS_MAX {
        let fix = "name the publisher's public key, and the next one while they change (`vaka release key`)";
        c.wrong(&table.keys, format!("`keys`: {} keys, 1 to {KEYS_MAX} can be; {fix}", given.len()));
    }
    let read = |c: &mut Check<'_>, word: &Spanned<String>| {
        let key = PublicKey::parse(word.get_ref());
        if let Err(why) = &key {
            c.wrong(word, format!("`keys`: {why}"));
        }
        key.ok()
    };
    let keys: Vec<PublicKey> = given.iter().filter_map(|word| read(c, word)).collect();
    let ca = c.home.join(table.ca.get_ref());
    if !ca.is_file() {
        let fix = "name the PEM file of the authority of the publisher's server";
        c.warn(&table.ca, format!("`ca`: there is no file {}; no release comes without it; {fix}", ca.display()));
    }
    let window = |c: &mut Check<'_>, word: &Spanned<String>| {
        let window = Window::parse(word.get_ref());
        if window.is_none() {
            let said = shown(word.get_ref());
            c.wrong(
                word,
                format!("`quiet`: `{said}` is no window; write \"HH:MM-HH:MM\", local time, such as \"21:00-07:00\""),
            );
        }
        window
    };
    let quiet: Vec<Window> = table.quiet.iter().filter_map(|word| window(c, word)).collect();
    Some(Update { address: address.ok()?, keys, ca, quiet })
}
