//! The pages, asked for as a browser asks, on the house in memory: who sees what, what is traced, and what an open page is told.

#[path = "../examples/house/mod.rs"]
mod house;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use house::gateway::House;
use house::{board, board_of, rows, session};
use hyper::body::Body as _;
use serde_json::Value;
use tower::ServiceExt;
use vaka_board::Board;
use vaka_board::auth::secret::Hash;
use vaka_board::auth::{Right, Role, Session};
use vaka_board::gateway::Gateway;
use vaka_board::pages;
use vaka_board::routes::ROUTES;
use vaka_protocol::Lane;

struct Seat {
    house: Arc<House>,
    board: Arc<Board>,
    role: Role,
    units: Vec<&'static str>,
    lang: &'static str,
    /// Where being logged in still is asked for again. Else: somebody of the role.
    logged_in: Option<Session>,
}

fn seat(role: Role, units: &[&'static str]) -> Seat {
    let house = Arc::new(House::new());
    Seat {
        board: board(Arc::clone(&house)).expect("a board"),
        house,
        role,
        units: units.to_vec(),
        lang: "sv",
        logged_in: None,
    }
}

impl Seat {
    fn other(&self, role: Role, units: &[&'static str]) -> Seat {
        let (house, board) = (Arc::clone(&self.house), Arc::clone(&self.board));
        Seat { house, board, role, units: units.to_vec(), lang: self.lang, logged_in: None }
    }

    async fn ask(&self, method: Method, path: &str, form: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT_LANGUAGE, self.lang);
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let who = self.logged_in.clone().unwrap_or_else(|| session(self.role, &self.units, &self.house));
        request = request.extension(who);
        let request = request.body(Body::from(form.to_owned())).expect("a request");
        pages::router().with_state(Arc::clone(&self.board)).oneshot(request).await.expect("an answer")
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.ask(Method::GET, path, "").await;
        (answer.status(), text(answer).await)
    }

    async fn post(&self, path: &str, form: &str) -> StatusCode {
        self.ask(Method::POST, path, form).await.status()
    }

    /// What was traced: act, object, resident.
    fn traced(&self) -> Vec<(String, String, Option<String>)> {
        let state = self.house.state();
        let of = |traced: &vaka_board::gateway::Traced| {
            let trace = &traced.trace;
            (trace.act.clone(), trace.object.clone(), trace.resident.clone())
        };
        // Three were there before anybody looked.
        state.traces.iter().skip(3).map(of).collect()
    }
}

async fn text(answer: Response) -> String {
    let bytes = to_bytes(answer.into_body(), 4 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The next event of a stream: its name and its data.
async fn next(stream: &mut Body) -> Option<(String, Value)> {
    let frame = poll_fn(|cx| Pin::new(&mut *stream).poll_frame(cx)).await?.ok()?;
    let bytes = frame.into_data().ok()?;
    let event = String::from_utf8(bytes.to_vec()).ok()?;
    let line = |key: &str| event.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
    Some((line("event: "), serde_json::from_str(&line("data: ")).ok()?))
}

/// The next event that is no beat.
async fn next_now(stream: &mut Body) -> Value {
    loop {
        match next(stream).await {
            Some((name, told)) if name == "now" => return told,
            Some(_) => {}
            None => panic!("the stream ended"),
        }
    }
}

fn ids(told: &Value, part: &str) -> Vec<String> {
    told["parts"][part].as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_page_of_the_table_is_made_for_each_role_that_may_see_it_in_both_languages() {
    let paths = [
        "/",
        "/alarms",
        "/alarms/01jd-press",
        "/check",
        "/devices",
        "/devices/new",
        "/log",
        "/log/export",
        "/night",
        "/night/handover",
        "/residents",
        "/residents/r32",
        "/residents/r32/extract",
        "/visit",
    ];
    let mut made = 0;
    for role in Role::ALL {
        for lang in ["sv", "en"] {
            let mut seat = seat(role, &["*"]);
            seat.lang = lang;
            for path in paths {
                let pattern = path.replace("01jd-press", "{id}").replace("r32", "{id}");
                let row = ROUTES.iter().find(|route| route.method == "GET" && route.path == pattern);
                let row = row.unwrap_or_else(|| panic!("{pattern} stands in the table"));
                if !role.may(row.right) {
                    continue;
                }
                let (status, page) = seat.get(path).await;
                assert_eq!(status, StatusCode::OK, "{path} for {role:?}");
                let is_page = page.contains(&format!("<html lang=\"{lang}\""));
                assert!(is_page || path == "/log/export", "{path} in {lang}");
                assert!(!page.contains("Exempelsson"), "{path} shows a name to {role:?}");
                assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick"), "{path}");
                made += 1;
            }
        }
    }
    assert!(made >= 60, "{made} pages");
}

#[tokio::test]
async fn a_route_of_the_table_that_is_ours_is_served() {
    let seat = seat(Role::Admin, &["*"]);
    let others = ["/healthz", "/login", "/logout"];
    let ours = [
        "/",
        "/alarms",
        "/check",
        "/devices",
        "/log",
        "/look",
        "/night",
        "/residents",
        "/theme",
        "/visit",
        "/events",
        "/sw.js",
        "/manifest.webmanifest",
    ];
    let is_ours = |path: &str| {
        !others.contains(&path)
            && ours.iter().any(|own| path == *own || (*own != "/" && path.starts_with(&format!("{own}/"))))
    };
    let rows: Vec<_> = ROUTES.iter().filter(|route| is_ours(route.path)).collect();
    assert!(rows.len() >= 30, "{}", rows.len());
    for route in rows {
        let path = route.path.replace("{id}", "none").replace("{slot}", "none");
        let status = seat.ask(route.method.parse().expect("a method"), &path, "").await.status();
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn a_person_sees_only_rows_of_their_units_and_every_alarm_without_one() {
    let seat = seat(Role::Staff, &["parken"]);
    let all = ["r8", "r17", "r32", "r40"];
    for path in ["/", "/alarms", "/night", "/night/handover", "/residents", "/devices"] {
        let (_, page) = seat.get(path).await;
        let seen: BTreeSet<&str> = all
            .into_iter()
            .filter(|id| page.contains(&format!(" {id}")) || page.contains(&format!("\"d-{id}")))
            .collect();
        assert!(!seen.contains("r8") && !seen.contains("r17"), "{path} shows {seen:?}");
        assert!(seen.contains("r32"), "{path} shows {seen:?}");
    }
    for path in ["/", "/alarms"] {
        assert!(seat.get(path).await.1.contains("01jd-power"), "{path}: an alarm without a unit");
    }
    let nowhere = seat.other(Role::Staff, &[]);
    assert!(nowhere.get("/").await.1.contains("01jd-power"));
    assert!(!nowhere.get("/devices").await.1.contains("r32-bed"));
    let auditor = seat.other(Role::Auditor, &["hagalund"]);
    assert!(!auditor.get("/log/export").await.1.contains("\"resident\":\"r32\""), "a trace of another unit's resident");
    assert!(seat.other(Role::Auditor, &["parken"]).get("/log/export").await.1.contains("\"resident\":\"r32\""));
}

#[tokio::test]
async fn an_act_on_a_row_of_another_unit_finds_nothing_and_changes_nothing() {
    let seat = seat(Role::Night, &["parken"]);
    let acts = [
        ("/alarms/01jd-press/claim", ""),
        ("/alarms/01jd-press/close", "outcome=helped"),
        ("/alarms/01jd-press/escalate", ""),
        ("/alarms/01jd-press/hand-over", "to="),
        ("/alarms/01jd-press/note", "note=x"),
        ("/devices/r17-knapp/revoke", ""),
        ("/devices/new", "id=p9&kind=pendant&resident=r17"),
        ("/night/sign", "resident=r17&planned_at=1&what=visit"),
        ("/residents/r17/doses/natt/release", "note=x"),
        ("/residents/r17/name", "purpose=visit"),
        ("/residents/r17/name/set", "name=x"),
        ("/residents/r17/settings", "table=night"),
        ("/residents/r17/withdraw", "table=night"),
        ("/visit", "step=arm&device=r17-knapp"),
    ];
    for (path, form) in acts {
        assert_eq!(seat.post(path, form).await, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/alarms/01jd-press", "/residents/r17", "/residents/r17/extract"] {
        assert_eq!(seat.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(seat.traced(), []);
    assert!(seat.house.state().alarms.iter().all(|alarm| alarm.id != "01jd-press" || alarm.claimed_by.is_none()));
}

#[tokio::test]
async fn what_is_read_of_a_person_is_traced_once_a_view_and_a_name_each_time_with_why() {
    let seat = seat(Role::Night, &["*"]);
    seat.get("/residents/r32").await;
    let name = text(seat.ask(Method::POST, "/residents/r32/name", "purpose=alarm+01jd-bed").await).await;
    assert!(name.contains("Exempelsson") && name.contains("Exempelgatan") && name.contains("Nyckelskåp"), "{name}");
    let resident = || Some("r32".to_owned());
    let traced = seat.traced();
    assert_eq!(traced[0], ("read-resident".to_owned(), "resident r32".to_owned(), resident()));
    assert_eq!(traced[1], ("read-name".to_owned(), "resident r32".to_owned(), resident()));
    assert_eq!(traced.len(), 2);
    assert_eq!(seat.post("/residents/r32/name", "").await, StatusCode::UNPROCESSABLE_ENTITY, "without a purpose");
    seat.get("/night").await;
    let (act, object, _) = seat.traced().pop().expect("a trace");
    assert_eq!((act.as_str(), object.as_str()), ("read-night", "night 2026-11-21 of r17 r32 r40 r8"));
}

#[tokio::test]
async fn a_full_disk_stops_no_help_and_everything_else_that_could_not_be_recorded() {
    let staff = seat(Role::Night, &["*"]);
    staff.house.full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(staff.get("/").await.0, StatusCode::OK);
    assert_eq!(staff.get("/alarms/01jd-press").await.0, StatusCode::OK);
    assert_eq!(staff.post("/alarms/01jd-press/claim", "").await, StatusCode::SEE_OTHER);
    assert_eq!(
        staff.post("/residents/r17/name", "purpose=larm").await,
        StatusCode::OK,
        "where to go, and how to get in"
    );
    assert_eq!(staff.get("/residents/r32").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let admin = staff.other(Role::Admin, &["*"]);
    assert_eq!(admin.post("/residents/r32/withdraw", "table=night").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn two_people_cannot_both_have_an_alarm_without_seeing_it() {
    let first = seat(Role::Night, &["*"]);
    let second = first.other(Role::Staff, &["*"]);
    assert_eq!(first.post("/alarms/01jd-press/claim", "act=claim").await, StatusCode::SEE_OTHER);
    assert_eq!(first.post("/alarms/01jd-press/claim", "act=claim").await, StatusCode::SEE_OTHER, "a second tap");
    let answer = second.ask(Method::POST, "/alarms/01jd-press/claim", "act=claim").await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let page = text(answer).await;
    assert!(page.contains("natt-07 tog det 03:1") && page.contains("Ta över från natt-07"), "{page}");
    assert_eq!(second.post("/alarms/01jd-press/claim", "from=natt-07").await, StatusCode::SEE_OTHER);
    assert!(second.get("/").await.1.contains("Tagen av <strong>staff-1</strong>"));
    assert_eq!(second.post("/alarms/01jd-press/close", "note=x").await, StatusCode::UNPROCESSABLE_ENTITY, "no outcome");
    assert_eq!(second.post("/alarms/01jd-press/close", "outcome=helped&note=hj%C3%A4lpt").await, StatusCode::SEE_OTHER);
    assert!(!second.get("/").await.1.contains("01jd-press"));
}

#[tokio::test(start_paused = true)]
async fn an_open_page_is_told_everything_first_and_then_only_what_changed() {
    let seat = seat(Role::Night, &["*"]);
    let mut stream = seat.ask(Method::GET, "/events?on=alarms", "").await.into_body();
    let told = next_now(&mut stream).await;
    assert_eq!(ids(&told, "waiting"), ["01jd-press", "01jd-bed"]);
    assert_eq!(told["html"].as_object().map(|html| html.len()), Some(5));
    assert_eq!(told["heading"], "2 larm väntar på en människa, varav 1 nödlarm");

    let at = seat.house.now_ms();
    seat.house.put(rows::alarm("01jd-new", Lane::Life, at, "r8", Some("hagalund")));
    let told = next_now(&mut stream).await;
    assert_eq!(ids(&told, "waiting"), ["01jd-new", "01jd-press", "01jd-bed"], "the newest life first");
    assert_eq!(
        told["html"].as_object().map(|html| html.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["01jd-new".into()])
    );
    assert_eq!(told["life"].as_array().map(Vec::len), Some(2));

    assert_eq!(seat.post("/alarms/01jd-new/claim", "").await, StatusCode::SEE_OTHER);
    let told = next_now(&mut stream).await;
    assert_eq!(ids(&told, "waiting"), ["01jd-press", "01jd-bed"]);
    assert!(ids(&told, "taken").contains(&"01jd-new".to_owned()));
    assert_eq!(told["life"].as_array().map(Vec::len), Some(1), "it rings for the other alone");
}

#[tokio::test(start_paused = true)]
async fn an_open_page_is_told_of_its_units_alone() {
    let seat = seat(Role::Staff, &["parken"]);
    let mut stream = seat.ask(Method::GET, "/events?on=alarms", "").await.into_body();
    assert_eq!(ids(&next_now(&mut stream).await, "waiting"), ["01jd-bed"]);
    let at = seat.house.now_ms();
    seat.house.put(rows::alarm("01jd-theirs", Lane::Life, at, "r8", Some("hagalund")));
    let told = next_now(&mut stream).await;
    assert_eq!(ids(&told, "waiting"), ["01jd-bed"]);
    assert!(!told.to_string().contains("01jd-theirs"));
}

#[tokio::test(start_paused = true)]
async fn a_beat_comes_every_other_second_and_only_from_a_gateway_that_answers() {
    let seat = seat(Role::Night, &["*"]);
    let mut stream = seat.ask(Method::GET, "/events?on=count", "").await.into_body();
    let (first, _) = next(&mut stream).await.expect("the counters");
    assert_eq!(first, "now");
    let (second, told) = next(&mut stream).await.expect("a beat");
    assert_eq!(second, "beat");
    let before = told["at"].as_i64().expect("a time");
    let (_, told) = next(&mut stream).await.expect("a beat");
    assert_eq!(told["at"].as_i64().map(|at| at - before), Some(2_000));

    seat.house.dead.store(true, Ordering::SeqCst);
    let silence = tokio::time::timeout(std::time::Duration::from_secs(20), next(&mut stream)).await;
    assert!(silence.is_err(), "a beat of a gateway that does not answer: {silence:?}");
    let (status, page) = seat.get("/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains("Nya larm syns inte här") && !page.contains("Inga öppna larm"), "{page}");

    seat.house.dead.store(false, Ordering::SeqCst);
    assert_eq!(next(&mut stream).await.map(|(name, _)| name).as_deref(), Some("now"), "everything anew");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_within_a_minute_so_that_whoever_lost_their_session_is_refused() {
    let seat = seat(Role::Night, &["*"]);
    let mut stream = seat.ask(Method::GET, "/events?on=count", "").await.into_body();
    let mut events = 0;
    while next(&mut stream).await.is_some() {
        events += 1;
    }
    assert!((28..=32).contains(&events), "{events} events in a minute");
}

#[tokio::test]
async fn the_first_page_stays_within_100_kib_with_500_open_alarms_and_says_how_many_more_there_are() {
    let seat = seat(Role::Night, &["*"]);
    let at = seat.house.now_ms();
    for n in 0..500 {
        let lane = if n % 5 == 0 { Lane::Life } else { Lane::Care };
        seat.house.put(rows::alarm(&format!("01jd-{n:04}"), lane, at - n, "r32", Some("parken")));
    }
    let (_, page) = seat.get("/").await;
    let mut bytes = page.len();
    for name in ["board.css", "live.js", "icon.svg"] {
        bytes += seat.get(&pages::assets::path(name)).await.1.len();
    }
    let mut stream = seat.ask(Method::GET, "/events?on=alarms", "").await.into_body();
    let told = next_now(&mut stream).await;
    bytes += told.to_string().len();
    println!("first page with 502 open alarms: {bytes} bytes, of them the page {}", page.len());
    assert!(bytes <= 100 * 1024, "{bytes} bytes");
    assert!(page.contains("502 larm väntar på en människa, varav 101 nödlarm"));
    assert!(page.contains("482 till visas när dessa är tagna"));
}

#[tokio::test]
async fn a_role_without_a_right_finds_no_button_for_it() {
    let auditor = seat(Role::Auditor, &["*"]);
    assert!(!auditor.get("/log").await.1.contains("href=\"/night\""));
    let technician = auditor.other(Role::Technician, &["*"]);
    let (_, story) = technician.get("/alarms/01jd-press").await;
    assert!(!Role::Technician.may(Right::SeeNames) && !story.contains("/residents/r17/name"), "{story}");
    let staff = auditor.other(Role::Staff, &["*"]);
    assert!(!staff.get("/residents/r32").await.1.contains("/withdraw"));
    assert!(auditor.other(Role::Admin, &["*"]).get("/residents/r32").await.1.contains("/withdraw"));
}

#[tokio::test]
async fn a_withdrawal_acts_at_once_and_a_wrong_setting_changes_nothing() {
    let seat = seat(Role::Admin, &["*"]);
    let wrong = "table=night&set.absence_care_min=snart&consent_by=r32&consent_on=2026-11-22";
    assert_eq!(seat.post("/residents/r32/settings", wrong).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(seat.post("/residents/r32/settings", &wrong.replace("snart", "45")).await, StatusCode::SEE_OTHER);
    assert!(seat.get("/residents/r32").await.1.contains("45"));
    assert_eq!(seat.post("/residents/r32/withdraw", "table=night").await, StatusCode::SEE_OTHER);
    let (_, page) = seat.get("/residents/r32").await;
    assert!(page.contains("Avslutad 03:1") && page.contains("Ny överenskommelse"), "{page}");
}

/// Parts of a look's stream, as the script reads them, until one of this kind has come.
async fn parts_until(stream: &mut Body, kind: u8) -> Vec<(u8, Vec<u8>)> {
    let (mut bytes, mut parts) = (Vec::new(), Vec::new());
    while !parts.iter().any(|(known, _)| *known == kind) {
        let frame = poll_fn(|cx| Pin::new(&mut *stream).poll_frame(cx)).await.expect("a frame").expect("no error");
        bytes.extend_from_slice(&frame.into_data().expect("bytes"));
        while bytes.len() >= 5 {
            let length = u32::from_be_bytes(bytes[1..5].try_into().expect("four")) as usize;
            if bytes.len() < 5 + length {
                break;
            }
            let rest = bytes.split_off(5 + length);
            let part = std::mem::replace(&mut bytes, rest);
            parts.push((part[0], part[5..].to_vec()));
        }
    }
    parts
}

#[tokio::test]
async fn a_look_has_a_purpose_opens_once_and_ends_with_one_tap() {
    let dir = tempfile::tempdir().expect("a folder");
    let people = dir.path().join("people.toml");
    std::fs::write(&people, "[[person]]\nid = \"natt-07\"\nrole = \"night\"\nunits = [\"*\"]\n").expect("written");
    let mut night = seat(Role::Night, &["*"]);
    night.board = board_of(Arc::clone(&night.house), people).expect("a board");
    let (sessions, people, now) = (&night.board.sessions, &night.board.people, night.house.now_ms());
    let person = people.get("natt-07").expect("in the file");
    let cookie = sessions.begin(&person, "passkey", Hash::of(b"phone"), now).expect("randomness");
    night.logged_in = sessions.find(&cookie, Some("phone"), people, now, true).ok();
    let name = night.house.state().night.round.iter().find_map(|item| item.look.clone()).expect("a look-in by camera");
    let path = format!("/look/{name}");
    let (_, round) = night.get("/night").await;
    assert!(round.contains(&format!("href=\"{path}\"")), "the round leads there");
    let staff = night.other(Role::Staff, &["*"]);
    assert!(!staff.get("/night").await.1.contains("/look/"), "only who may look is shown a way");
    let elsewhere = night.other(Role::Night, &["parken"]);
    assert_eq!(elsewhere.get(&path).await.0, StatusCode::NOT_FOUND, "another group's resident");

    let (status, page) = night.get(&path).await;
    assert!(status == StatusCode::OK && page.contains("Varför tittar du?"), "{page}");
    assert!(!page.contains("canvas"), "nothing is opened by looking at the page");
    let opened = night.ask(Method::POST, &path, "purpose=ronden").await;
    assert_eq!(opened.status(), StatusCode::OK);
    let page = text(opened).await;
    let traced = night.house.state().traces.last().expect("a trace").trace.clone();
    assert_eq!(
        (traced.act.as_str(), traced.purpose.as_str()),
        ("look", "ronden"),
        "in the log before anything is seen"
    );
    assert_eq!(traced.resident.as_deref(), Some("r17"));
    let token = page.split("data-token=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a grant").to_owned();

    let answer = night.ask(Method::POST, "/look/stream", &token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let mut stream = answer.into_body();
    let parts = parts_until(&mut stream, b'P').await;
    assert_eq!(parts.iter().map(|(kind, _)| *kind as char).collect::<String>(), "LBP");
    assert_eq!(parts[1].1, b"30000");
    assert!(parts[2].1.starts_with(&[0xff, 0xd8]), "a JPEG picture");
    for (path, form) in [("/look/stream", token.as_str()), ("/look/stream", "guessed"), (path.as_str(), "purpose=igen")]
    {
        assert_eq!(night.post(path, form).await, StatusCode::CONFLICT, "{path} opens once");
    }
    assert_eq!(night.post("/look/stream", &"a".repeat(200)).await, StatusCode::UNPROCESSABLE_ENTITY);
    let said = night.ask(Method::POST, "/look/said", "look=1&outcome=calm&back=https%3A%2F%2Fevil.example").await;
    assert_eq!(
        (said.status(), &said.headers()[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/".parse().expect("a path"))
    );
    let (_, round) = night.get("/night").await;
    assert!(!round.contains("/look/r17"), "it is made");
}

/// The stream of somebody of this role who is called otherwise.
async fn follow(seat: &Seat, person: &str, seen: Option<&str>) -> Body {
    let mut who = session(seat.role, &seat.units, &seat.house);
    who.person.id = person.to_owned();
    let mut request = Request::builder().uri("/events?on=alarms").header(header::ACCEPT_LANGUAGE, seat.lang);
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen);
    }
    let request = request.extension(who).body(Body::empty()).expect("a request");
    pages::router().with_state(Arc::clone(&seat.board)).oneshot(request).await.expect("an answer").into_body()
}

#[tokio::test(start_paused = true)]
async fn what_many_are_told_is_the_same_and_whoever_has_taken_an_alarm_reads_their_own() {
    let seat = seat(Role::Night, &["*"]);
    let mut streams = Vec::new();
    for person in ["natt-08", "natt-07", "natt-09"] {
        let mut stream = follow(&seat, person, None).await;
        next_now(&mut stream).await;
        streams.push(stream);
    }
    let mut english = seat.other(Role::Night, &["*"]);
    english.lang = "en";
    let mut abroad = follow(&english, "natt-10", None).await;
    next_now(&mut abroad).await;
    let mut alarm = rows::alarm("01jd-new", Lane::Life, seat.house.now_ms(), "r8", Some("hagalund"));
    seat.house.put(alarm.clone());
    let mut told = Vec::new();
    for stream in &mut streams {
        told.push(next_now(stream).await);
    }
    assert!(told[0] == told[1] && told[1] == told[2]);
    assert!(told[0]["html"]["01jd-new"].as_str().is_some_and(|html| html.contains("Jag tar det")), "{}", told[0]);
    assert!(next_now(&mut abroad).await["html"]["01jd-new"].as_str().is_some_and(|html| html.contains("I take it")));

    alarm.claimed_by = Some("natt-07".to_owned());
    seat.house.put(alarm);
    let mut articles = Vec::new();
    for stream in &mut streams {
        articles.push(next_now(stream).await["html"]["01jd-new"].as_str().unwrap_or_default().to_owned());
    }
    assert!(articles[1].contains("/alarms/01jd-new/close"), "{}", articles[1]);
    assert!(articles[0] == articles[2] && !articles[0].contains("/alarms/01jd-new/close"), "{}", articles[0]);
}

#[tokio::test(start_paused = true)]
async fn a_row_is_shown_before_the_gateway_is_asked_how_it_is() {
    let seat = seat(Role::Night, &["*"]);
    let mut stream = seat.ask(Method::GET, "/events?on=alarms", "").await.into_body();
    next_now(&mut stream).await;
    // It answers nothing from here on; what it has told stands.
    seat.house.dead.store(true, Ordering::SeqCst);
    let at = seat.house.now_ms();
    seat.house.put(rows::alarm("01jd-new", Lane::Life, at, "r8", Some("hagalund")));
    let told = next_now(&mut stream).await;
    assert_eq!(ids(&told, "waiting"), ["01jd-new", "01jd-press", "01jd-bed"]);
}

#[tokio::test(start_paused = true)]
async fn a_made_up_event_id_reads_nothing_untraced_and_a_page_that_goes_on_is_traced_once() {
    let seat = seat(Role::Night, &["*"]);
    let follows = |seat: &Seat| seat.traced().iter().filter(|(act, ..)| act == "follow-alarms").count();
    let mut stream = follow(&seat, "natt-07", None).await;
    let told = poll_fn(|cx| Pin::new(&mut stream).poll_frame(cx)).await.expect("an event").expect("whole");
    let told = String::from_utf8(told.into_data().expect("data").to_vec()).expect("text");
    let id = told.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    assert_eq!(follows(&seat), 1);
    drop(follow(&seat, "natt-07", Some(&id)).await);
    assert_eq!(follows(&seat), 1, "it goes on");
    drop(follow(&seat, "natt-08", Some(&id)).await);
    assert_eq!(follows(&seat), 2, "another's id is nobody's reading");
    drop(stream);
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    drop(follow(&seat, "natt-07", Some(&id)).await);
    assert_eq!(follows(&seat), 3, "a page that was away reads anew");
}

#[tokio::test]
async fn a_technician_of_one_group_invites_and_visits_for_no_other() {
    let seat = seat(Role::Technician, &["parken"]);
    let answers = [
        ("/devices/new", "id=p9&kind=pendant&resident=r32", StatusCode::OK),
        ("/devices/new", "id=p9&kind=pendant&resident=r17", StatusCode::NOT_FOUND),
        ("/devices/new", "id=p9&kind=pendant", StatusCode::FORBIDDEN),
        ("/devices/new", "id=r17-knapp&kind=pendant&resident=r32", StatusCode::FORBIDDEN),
        ("/visit", "step=start", StatusCode::FORBIDDEN),
        ("/visit", "step=finish", StatusCode::FORBIDDEN),
        ("/visit", "step=hand-over&line=r40-bed/heard&reason=x&to=y", StatusCode::SEE_OTHER),
        ("/visit", "step=hand-over&line=gateway/mains&reason=x&to=y", StatusCode::SEE_OTHER),
    ];
    let all = seat.other(Role::Technician, &["*"]);
    assert_eq!(all.post("/visit", "step=start").await, StatusCode::SEE_OTHER);
    for (path, form, expected) in answers {
        assert_eq!(seat.post(path, form).await, expected, "{path} {form}");
    }
    let other = seat.other(Role::Technician, &["hagalund"]);
    assert!(seat.get("/visit").await.1.contains("r40-knapp"));
    assert!(!other.get("/visit").await.1.contains("r40-knapp"), "another group's device");
    let line = "step=hand-over&line=r40-knapp/press&reason=x&to=y";
    assert_eq!(other.post("/visit", line).await, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/visit/protocol/page").await.0, StatusCode::FORBIDDEN);
    assert_eq!(all.get("/visit/protocol/page").await.0, StatusCode::OK);
}
