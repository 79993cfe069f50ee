//! `people.toml`: read, checked, and edited so that what people wrote in it stays.
//!
//! Enters: the file's text. Leaves: every [`Person`], or the line that is wrong and how it would be right.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::people::Person;
use super::roles::{Role, Units};
use crate::gateway::Lang;
use crate::limits::{NAME_CHARS_MAX, PEOPLE_MAX, TOKENS_MAX};

/// Programs' own ids begin with it, so that a trace tells them from people.
pub const PROGRAM: &str = "api-";

/// Where a text is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// From 1.
    pub line: usize,
    pub what: String,
}

/// Everybody, by id; and the programs that show a client certificate, by its subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book(pub BTreeMap<String, Person>, pub BTreeMap<String, Program>);

/// A program that uses `/api` with a client certificate: the same rights as one with a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// `[a-z0-9-]{1,28}`; the log calls it `api-NAME`.
    pub name: String,
    pub role: Role,
    #[serde(default)]
    pub units: Units,
    /// The subject of its certificate, as a person's card: `CN=journal.example.se`.
    pub card: String,
    #[serde(default)]
    pub ended: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    person: Vec<toml::Spanned<Person>>,
    #[serde(default)]
    program: Vec<toml::Spanned<Program>>,
}

impl Book {
    /// # Errors
    /// The first [`Wrong`].
    pub fn read(text: &str) -> Result<Self, Wrong> {
        let line_of = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|e| Wrong {
            line: line_of(e.span().map_or(0, |span| span.start)),
            what: e.message().trim().to_owned(),
        })?;
        if file.person.len() > PEOPLE_MAX {
            return Err(Wrong { line: 1, what: format!("more than {PEOPLE_MAX} people; remove those who have ended") });
        }
        let mut book = Book::default();
        let mut marks = BTreeSet::new();
        for spanned in file.person {
            let line = line_of(spanned.span().start);
            let person = spanned.into_inner();
            check(&person).map_err(|what| Wrong { line, what })?;
            let subjects = [("card", &person.card), ("oidc", &person.oidc)];
            for (key, subject) in subjects.into_iter().filter_map(|(key, subject)| Some((key, subject.as_ref()?))) {
                if !marks.insert((key, subject.clone())) {
                    let what = format!("{key} {subject:?} stands with two people; each needs their own");
                    return Err(Wrong { line, what });
                }
            }
            let id = person.id.clone();
            if book.0.insert(id.clone(), person).is_some() {
                return Err(Wrong { line, what: format!("{id} is there twice; keep one, or give one another id") });
            }
        }
        let mut names = BTreeSet::new();
        for spanned in file.program {
            let line = line_of(spanned.span().start);
            let program = spanned.into_inner();
            check_program(&program).map_err(|what| Wrong { line, what })?;
            if !names.insert(program.name.clone()) {
                let what = format!("program {} is there twice; keep one, or give one another name", program.name);
                return Err(Wrong { line, what });
            }
            if !marks.insert(("card", program.card.clone())) {
                let what = format!("card {:?} stands twice; each person and program needs their own", program.card);
                return Err(Wrong { line, what });
            }
            book.1.insert(program.card.clone(), program);
        }
        if book.1.len() > TOKENS_MAX {
            return Err(Wrong {
                line: 1,
                what: format!("more than {TOKENS_MAX} programs; remove those who have ended"),
            });
        }
        Ok(book)
    }
}

fn check_program(program: &Program) -> Result<(), String> {
    let Program { name, card, units, .. } = program;
    let is_well_made = (1..=28).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_well_made {
        return Err(format!("program {name:?} is not 1 to 28 of a-z, 0-9 and -; e.g. \"journal\""));
    }
    if card.trim().is_empty() || card.chars().count() > NAME_CHARS_MAX {
        return Err(format!(
            "program {name}: card has 1 to {NAME_CHARS_MAX} characters, e.g. \"CN=journal.example.se\""
        ));
    }
    if units.0.iter().any(|unit| unit.trim().is_empty()) {
        return Err(format!("program {name}: an empty group in units; \"*\" is every group, no group is []"));
    }
    Ok(())
}

fn check(person: &Person) -> Result<(), String> {
    let id = &person.id;
    let is_well_made = (1..=32).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_well_made {
        return Err(format!("id {id:?} is not 1 to 32 of a-z, 0-9 and -; e.g. \"natt-07\""));
    }
    if id.starts_with(PROGRAM) {
        return Err(format!("id {id:?} begins with {PROGRAM}, which programs are called by; take another"));
    }
    let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > NAME_CHARS_MAX);
    if long(&person.name) || long(&person.card) || long(&person.oidc) {
        return Err(format!("{id}: name, card and oidc have at most {NAME_CHARS_MAX} characters each"));
    }
    let empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    if empty(&person.card) || empty(&person.oidc) {
        return Err(format!("{id}: card or oidc is empty; leave the line out"));
    }
    if person.units.0.iter().any(|unit| unit.trim().is_empty()) {
        return Err(format!("{id}: an empty group in units; \"*\" is every group, no group is []"));
    }
    Ok(())
}

/// What is changed about people.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    Add(Person),
    /// Another role, other groups, or another language.
    Set {
        id: String,
        role: Role,
        units: Units,
        lang: Option<Lang>,
        name: Option<String>,
    },
    End {
        id: String,
        ended: bool,
    },
}

/// The text with the edit made; all else stays as it was written.
///
/// # Errors
/// What is wrong with the text, or that nobody is called so.
pub fn edited(text: &str, edit: &Edit) -> Result<String, Wrong> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| Wrong { line: 1, what: e.message().trim().to_owned() })?;
    let people = document.entry("person").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let people = people.as_array_of_tables_mut().ok_or_else(|| Wrong {
        line: 1,
        what: "person is written in one line; write each as a [[person]] of its own".into(),
    })?;
    let (id, make): (&str, &dyn Fn(&mut Table)) = match edit {
        Edit::Add(person) => {
            let mut table = Table::new();
            if !people.is_empty() || !text.trim().is_empty() {
                table.decor_mut().set_prefix("\n");
            }
            write(&mut table, person);
            people.push(table);
            return Ok(document.to_string());
        }
        Edit::Set { id, role, units, lang, name } => (id, &|table: &mut Table| {
            put(table, "role", Some(value(role.as_str())));
            put(table, "units", Some(array(units)));
            put(table, "lang", lang.map(|lang| value(code(lang))));
            put(table, "name", name.as_ref().map(value));
        }),
        Edit::End { id, ended } => (id, &|table: &mut Table| put(table, "ended", ended.then(|| value(true)))),
    };
    let table = people.iter_mut().find(|table| table.get("id").and_then(Item::as_str) == Some(id));
    make(table.ok_or_else(|| Wrong { line: 1, what: format!("nobody is called {id}") })?);
    Ok(document.to_string())
}

fn write(table: &mut Table, person: &Person) {
    put(table, "id", Some(value(&person.id)));
    put(table, "name", person.name.as_ref().map(value));
    put(table, "role", Some(value(person.role.as_str())));
    put(table, "units", Some(array(&person.units)));
    put(table, "lang", person.lang.map(|lang| value(code(lang))));
    put(table, "card", person.card.as_ref().map(value));
    put(table, "oidc", person.oidc.as_ref().map(value));
    put(table, "ended", person.ended.then(|| value(true)));
}

/// Sets it, keeping what is written behind it; without an item it goes.
fn put(table: &mut Table, key: &str, item: Option<Item>) {
    let Some(mut item) = item else {
        table.remove(key);
        return;
    };
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, item);
}

fn array(units: &Units) -> Item {
    value(units.0.iter().collect::<Array>())
}

fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::Sv => "sv",
        Lang::En => "en",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Who may log in.\n\n[[person]]\nid = \"anna-1\"   # the manager\nrole = \"admin\"\nunits = [\"*\"]  # all\n";

    fn wrong(text: &str) -> Wrong {
        Book::read(text).expect_err("wrong")
    }

    #[test]
    fn a_wrong_file_names_the_line_and_the_fix() {
        let twice = format!("{TEXT}\n[[person]]\nid = \"anna-1\"\nrole = \"staff\"\n");
        assert_eq!(wrong(&twice).line, 8);
        assert!(wrong(&twice).what.contains("keep one"));
        let unknown = wrong(&TEXT.replace("units", "unit"));
        assert_eq!(unknown.line, 6, "{unknown:?}");
        assert!(unknown.what.contains("`units`"), "{unknown:?}");
        assert!(wrong(&TEXT.replace("admin", "boss")).what.contains("`technician`"));
        for id in ["Anna", "", "anna 1", "api-1"] {
            let found = wrong(&TEXT.replace("anna-1", id));
            assert_eq!(found.line, 3, "{found:?}");
        }
        let card = "card = \"SERIALNUMBER=1\"\n";
        let two = format!("{TEXT}{card}[[person]]\nid = \"b\"\nrole = \"staff\"\n{card}");
        assert!(wrong(&two).what.contains("two people"));
        assert!(wrong("[[person]]\nid = \"a\"\nrole = \"staff\"\nunits = [\"\"]\n").what.contains("empty group"));
        assert_eq!(wrong("[[person]]\nid = \"a\"\nrole = \n").line, 3);
    }

    #[test]
    fn what_people_wrote_stays_when_the_board_writes() {
        let units = Units(["hagalund".to_owned()].into());
        let set = Edit::Set {
            id: "anna-1".into(),
            role: Role::Staff,
            units: units.clone(),
            lang: Some(Lang::En),
            name: None,
        };
        let text = edited(TEXT, &set).expect("edited");
        assert!(text.starts_with("# Who may log in.\n\n[[person]]\nid = \"anna-1\"   # the manager\n"), "{text}");
        assert!(text.contains("units = [\"hagalund\"]  # all\n"), "{text}");
        let person = Book::read(&text).expect("right").0.remove("anna-1").expect("there");
        assert_eq!((person.role, person.units, person.lang), (Role::Staff, units, Some(Lang::En)));

        let ended = edited(TEXT, &Edit::End { id: "anna-1".into(), ended: true }).expect("edited");
        assert!(Book::read(&ended).expect("right").0["anna-1"].ended);
        let again = edited(&ended, &Edit::End { id: "anna-1".into(), ended: false }).expect("edited");
        assert_eq!(again, TEXT);
        assert!(edited(TEXT, &Edit::End { id: "nobody".into(), ended: true }).is_err());
    }

    #[test]
    fn people_are_added_to_an_empty_file_and_to_a_written_one() {
        let person = Person {
            id: "natt-07".into(),
            name: Some("N \"x\"\n".into()),
            role: Role::Night,
            units: Units(["*".to_owned()].into()),
            lang: None,
            card: Some("SERIALNUMBER=1".into()),
            oidc: None,
            ended: false,
        };
        for text in ["", TEXT] {
            let text = edited(text, &Edit::Add(person.clone())).expect("edited");
            assert_eq!(Book::read(&text).expect("right").0["natt-07"], person);
        }
    }
}
