//! Sessions: opaque to the browser, kept in memory alone, ended by idleness, by a person, or by a restart.
//!
//! Enters: two cookies. Leaves: a [`Session`] with the person as `people.toml` says this moment.
//! Invariants: a session is found only with the cookie of the browser it was made in; role and groups are never remembered
//! here; a changed role ends it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::people::{People, Person};
use super::roles::Role;
use super::secret::{Hash, NoRandom, opaque};
use crate::limits::{FRESH_MS, SESSION_H_MAX, SESSIONS_MAX};

/// A request of somebody who has logged in. Handlers take it as an extractor.
#[derive(Debug, Clone)]
pub struct Session {
    pub person: Person,
    /// First 8 hexadecimal digits of the cookie's hash: what traces call the session.
    pub name: String,
    /// When they last proved who they are, UTC milliseconds.
    pub strong_at: i64,
    /// `passkey`, `card`, `oidc`, `totp`, `token`.
    pub way: &'static str,
    /// When it ends if nothing is done, UTC milliseconds.
    pub idle_at: i64,
}

impl Session {
    /// Whether its person has proven who they are just now, as sensitive acts need it.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        (0..=FRESH_MS).contains(&now_ms.saturating_sub(self.strong_at))
    }
}

/// Why a cookie is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSession {
    /// None was shown, or one that is over.
    Over,
    /// It was shown by another browser than the one it was made in: it has been copied, and is ended.
    Copied { person: String, name: String },
}

/// A session as its person and an administrator see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    pub way: &'static str,
    /// UTC milliseconds.
    pub began_at: i64,
    pub seen_at: i64,
}

#[derive(Debug)]
struct Open {
    person: String,
    role: Role,
    way: &'static str,
    device: Hash,
    began_at: i64,
    seen_at: i64,
    strong_at: i64,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    idle_ms: i64,
    open: Mutex<BTreeMap<Hash, Open>>,
}

impl Sessions {
    pub fn new(idle_min: u32) -> Self {
        Sessions { idle_ms: i64::from(idle_min) * 60_000, open: Mutex::default() }
    }

    /// Begins one for a person who has just proved who they are, in the browser with this device cookie. Answers the cookie.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn begin(&self, person: &Person, way: &'static str, device: Hash, now_ms: i64) -> Result<String, NoRandom> {
        let cookie = opaque()?;
        let mut open = self.open();
        open.retain(|_, one| now_ms < self.ends_at(one));
        if open.len() >= SESSIONS_MAX
            && let Some(idlest) = open.iter().min_by_key(|(_, one)| one.seen_at).map(|(hash, _)| *hash)
        {
            open.remove(&idlest);
        }
        let (began_at, seen_at, strong_at) = (now_ms, now_ms, now_ms);
        let one = Open { person: person.id.clone(), role: person.role, way, device, began_at, seen_at, strong_at };
        open.insert(Hash::of(cookie.as_bytes()), one);
        Ok(cookie)
    }

    /// The session of a request. `by_hand`: a person did something, as against a page that keeps itself fresh; only that counts
    /// against idleness.
    ///
    /// # Errors
    /// [`NoSession`].
    pub fn find(
        &self,
        cookie: &str,
        device: Option<&str>,
        people: &People,
        now_ms: i64,
        by_hand: bool,
    ) -> Result<Session, NoSession> {
        let hash = Hash::of(cookie.as_bytes());
        let mut open = self.open();
        let one = open.get_mut(&hash).ok_or(NoSession::Over)?;
        let person = people.in_force(&one.person).filter(|person| person.role == one.role);
        let (Some(person), true) = (person, now_ms < self.ends_at(one)) else {
            open.remove(&hash);
            return Err(NoSession::Over);
        };
        if device.map(|device| Hash::of(device.as_bytes())) != Some(one.device) {
            open.remove(&hash);
            return Err(NoSession::Copied { person: person.id, name: hash.name() });
        }
        if by_hand {
            one.seen_at = one.seen_at.max(now_ms);
        }
        let (strong_at, way, idle_at) = (one.strong_at, one.way, self.ends_at(one));
        Ok(Session { person, name: hash.name(), strong_at, way, idle_at })
    }

    /// Whether a session that was found earlier still is one: a stream of events asks before each.
    pub fn lives(&self, session: &Session, people: &People, now_ms: i64) -> bool {
        let in_force = people.in_force(&session.person.id).is_some_and(|person| person.role == session.person.role);
        let open = self.open();
        let found = named(&open, &session.name, &session.person.id);
        in_force && found.and_then(|hash| open.get(&hash)).is_some_and(|one| now_ms < self.ends_at(one))
    }

    pub fn end(&self, cookie: &str) {
        self.open().remove(&Hash::of(cookie.as_bytes()));
    }

    /// Ends one of a person's sessions by its name.
    pub fn end_named(&self, person: &str, name: &str) -> bool {
        let mut open = self.open();
        named(&open, name, person).is_some_and(|hash| open.remove(&hash).is_some())
    }

    /// Ends all sessions of a person. Answers how many.
    pub fn end_all_of(&self, person: &str) -> usize {
        let mut open = self.open();
        let before = open.len();
        open.retain(|_, one| one.person != person);
        before - open.len()
    }

    /// A person's sessions, oldest first.
    pub fn of(&self, person: &str, now_ms: i64) -> Vec<Seen> {
        let open = self.open();
        let theirs = open.iter().filter(|(_, one)| one.person == person && now_ms < self.ends_at(one));
        let mut seen: Vec<Seen> = theirs
            .map(|(hash, one)| Seen { name: hash.name(), way: one.way, began_at: one.began_at, seen_at: one.seen_at })
            .collect();
        seen.sort_by_key(|one| one.began_at);
        seen
    }

    fn ends_at(&self, one: &Open) -> i64 {
        (one.seen_at + self.idle_ms).min(one.began_at + SESSION_H_MAX * 3_600_000)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Hash, Open>> {
        // No code panics while it holds the lock with half a change made.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(open: &BTreeMap<Hash, Open>, name: &str, person: &str) -> Option<Hash> {
    let from = Hash::first_named(name)?;
    let near = open.range(from..).take_while(|(hash, _)| hash.name() == name);
    near.filter(|(_, one)| one.person == person).map(|(hash, _)| *hash).next()
}

#[cfg(test)]
mod tests {
    use super::super::people::tests::people;
    use super::*;

    const NIGHT: &str = "[[person]]\nid = \"natt-07\"\nrole = \"night\"\nunits = [\"hagalund\"]\n";
    const MIN: i64 = 60_000;

    fn begun(text: &str) -> (tempfile::TempDir, People, Sessions, String) {
        let (dir, people) = people(text);
        let sessions = Sessions::new(15);
        let cookie =
            sessions.begin(&people.get("natt-07").expect("there"), "passkey", Hash::of(b"phone"), 0).expect("begun");
        (dir, people, sessions, cookie)
    }

    #[test]
    fn a_session_ends_after_fifteen_idle_minutes_and_what_a_page_does_by_itself_is_idleness() {
        let (_dir, people, sessions, cookie) = begun(NIGHT);
        let find = |now, by_hand| sessions.find(&cookie, Some("phone"), &people, now, by_hand);
        assert_eq!(find(14 * MIN, true).expect("alive").idle_at, 29 * MIN);
        assert_eq!(find(28 * MIN, false).expect("alive").idle_at, 29 * MIN);
        assert_eq!(find(29 * MIN, false).expect_err("idle"), NoSession::Over);
        assert_eq!(find(14 * MIN, true).expect_err("ended for good"), NoSession::Over);
    }

    #[test]
    fn a_session_ends_after_twelve_hours_however_busy() {
        let (_dir, people, sessions, cookie) = begun(NIGHT);
        for minute in (0..12 * 60).step_by(10) {
            assert!(sessions.find(&cookie, Some("phone"), &people, minute * MIN, true).is_ok(), "{minute}");
        }
        assert!(sessions.find(&cookie, Some("phone"), &people, 12 * 60 * MIN, true).is_err());
    }

    #[test]
    fn a_copied_cookie_ends_the_session() {
        for thief in [None, Some("other")] {
            let (_dir, people, sessions, cookie) = begun(NIGHT);
            let found = sessions.find(&cookie, thief, &people, 1, true).expect_err("copied");
            assert!(matches!(found, NoSession::Copied { person, .. } if person == "natt-07"));
            assert!(sessions.find(&cookie, Some("phone"), &people, 2, true).is_err());
        }
    }

    #[test]
    fn role_and_groups_are_those_of_the_file_and_another_role_or_an_end_ends_it() {
        let (dir, people, sessions, cookie) = begun(NIGHT);
        let found = sessions.find(&cookie, Some("phone"), &people, 1, true).expect("alive");
        assert!(sessions.lives(&found, &people, 1));
        let write = |text: &str| std::fs::write(dir.path().join("people.toml"), text).expect("written");
        write(&NIGHT.replace("hagalund", "solbacken"));
        let found = sessions.find(&cookie, Some("phone"), &people, 1, true).expect("alive");
        assert!(found.person.units.cover(Some("solbacken")) && !found.person.units.cover(Some("hagalund")));
        write(&NIGHT.replace("\"night\"", "\"admin\""));
        assert!(!sessions.lives(&found, &people, 1));
        assert!(sessions.find(&cookie, Some("phone"), &people, 1, true).is_err());

        let (dir, people, sessions, cookie) = begun(NIGHT);
        std::fs::write(dir.path().join("people.toml"), format!("{NIGHT}ended = true\n")).expect("written");
        assert!(sessions.find(&cookie, Some("phone"), &people, 1, true).is_err());
    }

    #[test]
    fn sessions_are_ended_by_name_and_by_person_and_every_log_in_has_a_new_one() {
        let (_dir, people, sessions, first) = begun(NIGHT);
        let person = people.get("natt-07").expect("there");
        let second = sessions.begin(&person, "card", Hash::of(b"desk"), MIN).expect("begun");
        assert_ne!(first, second);
        let seen = sessions.of("natt-07", MIN);
        assert_eq!(seen.iter().map(|one| one.way).collect::<Vec<_>>(), ["passkey", "card"]);
        assert!(!sessions.end_named("natt-08", &seen[0].name), "somebody else's");
        assert!(sessions.end_named("natt-07", &seen[0].name));
        assert!(sessions.find(&first, Some("phone"), &people, MIN, true).is_err());
        assert_eq!(sessions.end_all_of("natt-07"), 1);
        assert!(sessions.find(&second, Some("desk"), &people, MIN, true).is_err());
    }

    #[test]
    fn beyond_the_bound_the_idlest_ends_and_no_cookie_is_kept() {
        let (_dir, people, sessions, first) = begun(NIGHT);
        let person = people.get("natt-07").expect("there");
        for _ in 0..SESSIONS_MAX {
            sessions.begin(&person, "passkey", Hash::of(b"phone"), 1).expect("begun");
        }
        assert_eq!(sessions.of("natt-07", 2).len(), SESSIONS_MAX);
        assert!(sessions.find(&first, Some("phone"), &people, 2, true).is_err());
        assert!(!format!("{sessions:?}").contains(&first));
    }
}
