//! People and their keys, on real files.

use super::super::credentials::Passkey;
use super::*;

pub(crate) const ALL: Ways = Ways { card: true, oidc: true, totp: true };

/// A folder with this `people.toml`, opened.
pub(crate) fn people(text: &str) -> (tempfile::TempDir, People) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("people.toml");
    fs::write(&file, text).expect("written");
    let people = People::open(&file, ALL).expect("opened");
    (dir, people)
}

const ADMIN: &str = "[[person]]\nid = \"anna-1\"\nrole = \"admin\"\nunits = [\"*\"]\n";

fn key(person: &str, id: &str) -> Record {
    Record::Passkey(Passkey {
        id: id.into(),
        person: person.into(),
        label: String::new(),
        stable: String::new(),
        dynamic: String::new(),
        transports: 0,
        added_at: 0,
        used_at: None,
    })
}

fn write(people: &People, records: &[Record]) -> Result<(), PeopleError> {
    people.record(|_| Ok((records.to_vec(), ())))
}

fn end(id: &str) -> Edit {
    Edit::End { id: id.into(), ended: true }
}

#[test]
fn a_wrong_file_leaves_what_was_read_in_force_and_says_which_line() {
    let (dir, people) = people(ADMIN);
    let file = dir.path().join("people.toml");
    fs::write(&file, ADMIN.replace("admin", "boss")).expect("written");
    assert_eq!(people.get("anna-1").expect("still there").role, Role::Admin);
    let problem = people.problem().expect("said");
    assert!(problem.contains("line 3"), "{problem}");
    assert!(matches!(people.change(&end("anna-1")), Err(PeopleError::Wrong { line: 3, .. })));
    fs::write(&file, ADMIN.replace("anna-1", "anna-2")).expect("written");
    assert_eq!(people.problem(), None);
    assert!(people.get("anna-1").is_none() && people.get("anna-2").is_some());
    fs::write(dir.path().join("credentials.jsonl"), "{}\n").expect("written");
    assert!(people.problem().expect("said").contains("credentials.jsonl, line 1"));
    assert!(People::open(&file, ALL).is_err(), "a start with it says so");
}

#[test]
fn the_last_administrator_who_can_log_in_stays() {
    let (_dir, people) = people(&format!("{ADMIN}\n[[person]]\nid = \"bo-2\"\nrole = \"admin\"\n"));
    // Nobody can log in yet: nothing is taken away.
    people.change(&end("bo-2")).expect("ended");
    people.change(&Edit::End { id: "bo-2".into(), ended: false }).expect("back");
    write(&people, &[key("anna-1", "k1"), key("anna-1", "k2")]).expect("written");
    write(&people, &[Record::PasskeyGone { id: "k1".into() }]).expect("one is left");
    let refused = |result: Result<(), PeopleError>| matches!(result, Err(PeopleError::LastAdmin(id)) if id == "anna-1");
    assert!(refused(write(&people, &[Record::PasskeyGone { id: "k2".into() }])));
    assert!(refused(people.change(&end("anna-1"))));
    let (id, units) = ("anna-1".to_owned(), Units::default());
    assert!(refused(people.change(&Edit::Set { id, role: Role::Staff, units, lang: None, name: None })));
    assert_eq!(people.in_force("anna-1").expect("in force").role, Role::Admin);
    assert!(people.keys().passkeys.contains_key("k2"), "nothing was written");
    write(&people, &[key("bo-2", "k3")]).expect("written");
    people.change(&end("anna-1")).expect("bo-2 can");
}

#[test]
fn a_card_or_a_provider_is_a_way_only_where_it_is_set_up() {
    let text = format!("{ADMIN}card = \"SERIALNUMBER=1\"\n");
    let (dir, people) = people(&text);
    assert!(people.can_log_in(&people.get("anna-1").expect("there")));
    let none = Ways { card: false, oidc: false, totp: false };
    let people = People::open(&dir.path().join("people.toml"), none).expect("opened");
    assert!(!people.can_log_in(&people.get("anna-1").expect("there")));
}

#[test]
fn two_writers_do_not_lose_each_others_words() {
    let (dir, board) = people(ADMIN);
    let command_line = People::open(&dir.path().join("people.toml"), ALL).expect("opened");
    write(&board, &[key("anna-1", "k1")]).expect("written");
    write(&command_line, &[key("anna-1", "k2")]).expect("written");
    let person = Person { id: "natt-07".into(), role: Role::Night, ..board.get("anna-1").expect("there") };
    command_line.change(&Edit::Add(person.clone())).expect("added");
    board.change(&Edit::Add(Person { id: "natt-08".into(), ..person })).expect("added");
    assert_eq!(board.keys().passkeys.len(), 2);
    assert_eq!(command_line.book().0.len(), 3);
}

#[test]
fn a_long_file_of_keys_is_written_short_at_the_start_and_says_the_same() {
    let (dir, people) = people(ADMIN);
    write(&people, &[key("anna-1", "k1")]).expect("written");
    let used: Vec<Record> =
        (0..5_000).map(|at| Record::PasskeyUsed { id: "k1".into(), dynamic: format!("d{at}"), at }).collect();
    write(&people, &used).expect("written");
    let before = people.keys();
    let path = dir.path().join("credentials.jsonl");
    assert!(fs::metadata(&path).expect("there").len() > 300_000);
    let people = People::open(&dir.path().join("people.toml"), ALL).expect("opened");
    assert_eq!(people.keys(), before);
    assert!(fs::metadata(&path).expect("there").len() < 1_000);
}
