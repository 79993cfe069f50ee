//! Where an agreement stands in vaka.toml, and what it is called: `night`, `dose morning 08:00`, `unlock front`.
//!
//! Enters: the file, a resident, an agreement's name. Leaves: its table. Invariant: a resident's own stands before the home's; what could
//! be either of two is neither.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike};
use vaka_board::gateway::Refused;

/// Tables of which a resident has one of their own, within `[[resident]]`.
const OWN: [&str; 3] = ["night", "presence", "look"];
/// Tables of which there may be several, and the keys by which one is known.
const SEVERAL: [(&str, &[&str]); 4] =
    [("fence", &["name"]), ("dose", &["slot", "at"]), ("reminder", &["device", "at"]), ("threshold", &["kind"])];
/// What a `[[device]]` has beside it: who may open it.
const UNLOCK: &str = "unlock";

/// Where it stands.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// In `[[resident]]`, with the home's behind it.
    Own,
    /// The table of this kind and number.
    Several(&'static str, usize),
    /// `unlock` of the device with this number.
    Unlock(usize),
}

/// What one of several tables is called: `dose morning 08:00`.
pub fn name_of(kind: &str, words: &[&str]) -> String {
    format!("{kind} {}", words.join(" "))
}

/// Whether a resident has one such table alone.
pub fn is_own(table: &str) -> bool {
    OWN.contains(&table)
}

/// Whether it is about who opens a door.
pub fn is_door(table: &str) -> bool {
    table.split(' ').next() == Some(UNLOCK)
}

pub fn text_of<'t>(table: &'t dyn TableLike, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Item::as_str)
}

fn several<'d>(document: &'d DocumentMut, kind: &str) -> Option<&'d ArrayOfTables> {
    document.get(kind).and_then(Item::as_array_of_tables)
}

fn unknown(resident: &str, table: &str) -> Refused {
    Refused::NotFound(format!(
        "nothing called `{table}` is agreed with `{resident}`; it may have been changed meanwhile"
    ))
}

/// A resident's own table of this name.
pub fn own<'d>(document: &'d DocumentMut, resident: &str, table: &str) -> Option<&'d dyn TableLike> {
    let theirs = several(document, "resident")?.iter().find(|known| text_of(*known, "id") == Some(resident))?;
    theirs.get(table).and_then(Item::as_table_like)
}

/// Finds it. `only`: the resident is the home's only one, and what names nobody is theirs.
///
/// # Errors
/// [`Refused::NotFound`], or [`Refused::Conflict`] where two are called so.
pub fn find(document: &DocumentMut, only: bool, resident: &str, table: &str) -> Result<Place, Refused> {
    if is_own(table) {
        return Ok(Place::Own);
    }
    let is_theirs = |found: &Table| text_of(found, "resident").map_or(only, |of| of == resident);
    let (kind, rest) = table.split_once(' ').unwrap_or((table, ""));
    if kind == UNLOCK {
        let fits = |found: &Table| text_of(found, "id") == Some(rest) && is_theirs(found) && found.contains_key(UNLOCK);
        let index = several(document, "device").and_then(|devices| devices.iter().position(fits));
        return index.map(Place::Unlock).ok_or_else(|| unknown(resident, table));
    }
    let (kind, keys) = SEVERAL.into_iter().find(|(known, _)| *known == kind).ok_or_else(|| unknown(resident, table))?;
    let fits = |found: &Table| is_theirs(found) && called(kind, keys, found) == table;
    let mut found = several(document, kind).into_iter().flatten().enumerate().filter(|(_, found)| fits(found));
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(Place::Several(kind, index)),
        (Some(_), Some(_)) => Err(Refused::Conflict(format!("`{table}` stands twice in vaka.toml; change it there"))),
        (None, _) => Err(unknown(resident, table)),
    }
}

fn called(kind: &str, keys: &[&str], table: &Table) -> String {
    let words: Vec<&str> = keys.iter().filter_map(|key| text_of(table, key)).collect();
    name_of(kind, &words)
}

/// What is written of it: the resident's own first, then the home's.
pub fn read<'d>(document: &'d DocumentMut, only: bool, resident: &str, table: &str) -> Vec<&'d dyn TableLike> {
    let at = |kind: &str, index: usize| several(document, kind).and_then(|several| several.get(index));
    match find(document, only, resident, table) {
        Ok(Place::Own) => {
            let home = document.get(table).and_then(Item::as_table_like);
            own(document, resident, table).into_iter().chain(home).collect()
        }
        Ok(Place::Several(kind, index)) => at(kind, index).map(|found| found as &dyn TableLike).into_iter().collect(),
        Ok(Place::Unlock(index)) => {
            at("device", index).and_then(|device| device.get(UNLOCK)?.as_table_like()).into_iter().collect()
        }
        Err(_) => Vec::new(),
    }
}

/// The table to write to. A resident's own is made where there is none; in a file without any [[resident]], the home's is the only one's.
///
/// # Errors
/// As [`find`]; a resident that the file does not have.
pub fn write<'d>(
    document: &'d mut DocumentMut,
    only: bool,
    resident: &str,
    table: &str,
) -> Result<&'d mut dyn TableLike, Refused> {
    let no_table = || Refused::Wrong(format!("`{table}` of `{resident}` is no table"));
    let place = find(document, only, resident, table)?;
    let kind = match place {
        Place::Own => "resident",
        Place::Several(kind, _) => kind,
        Place::Unlock(_) => "device",
    };
    if matches!(place, Place::Own) && only && !document.contains_key("resident") {
        let home = document.entry(table).or_insert_with(|| Item::Table(Table::new()));
        return home.as_table_like_mut().ok_or_else(no_table);
    }
    let several = document.get_mut(kind).and_then(Item::as_array_of_tables_mut);
    match place {
        Place::Own => {
            let mut residents = several.into_iter().flat_map(|residents| residents.iter_mut());
            let theirs = residents.find(|known| text_of(*known, "id") == Some(resident)).ok_or_else(|| {
                Refused::NotFound(format!("vaka.toml has no [[resident]] `{resident}`; add it before its agreements"))
            })?;
            let made = theirs.entry(table).or_insert_with(|| Item::Table(Table::new()));
            made.as_table_like_mut().ok_or_else(no_table)
        }
        Place::Several(_, index) => {
            let found = several.and_then(|several| several.get_mut(index));
            found.map(|found| found as &mut dyn TableLike).ok_or_else(|| unknown(resident, table))
        }
        Place::Unlock(index) => {
            let device = several.and_then(|devices| devices.get_mut(index));
            device.and_then(|device| device.get_mut(UNLOCK)?.as_table_like_mut()).ok_or_else(no_table)
        }
    }
}

/// Whether this is the name of a kind of which there may be several: so a new one is asked for.
pub fn is_new(table: &str) -> bool {
    SEVERAL.iter().any(|(kind, _)| *kind == table)
}

/// A new table of this kind at the file's end, with what it is known by: keys of `values`. `Ok`: what it is called from now on.
///
/// # Errors
/// [`Refused::Wrong`] without a key that it is known by, [`Refused::Conflict`] where there is one of that name.
pub fn add(
    document: &mut DocumentMut,
    only: bool,
    resident: &str,
    kind: &str,
    values: &[(String, String)],
) -> Result<String, Refused> {
    let keys = SEVERAL.into_iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, keys)| keys);
    let mut made = Table::new();
    made.insert("resident", toml_edit::value(resident));
    for key in keys {
        let given = values.iter().find(|(name, word)| name == key && !word.trim().is_empty());
        let (_, word) = given.ok_or_else(|| {
            Refused::Wrong(format!("a new {kind} needs `{}`; `{key}` is empty", keys.join("` and `")))
        })?;
        made.insert(key, toml_edit::value(word.trim()));
    }
    let name = called(kind, keys, &made);
    if !matches!(find(document, only, resident, &name), Err(Refused::NotFound(_))) {
        return Err(Refused::Conflict(format!("`{name}` of `{resident}` is agreed already; change that one")));
    }
    let tables = document.entry(kind).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let tables = tables.as_array_of_tables_mut();
    tables.ok_or_else(|| Refused::Wrong(format!("`{kind}` in vaka.toml is no [[{kind}]]")))?.push(made);
    Ok(name)
}
