//! Who gets in, by what, and where to: the board's doors, without a window.

mod support;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, on};
use serde_json::{Value, json};
use support::key::Key;
use support::{Browser, Got, House, NIGHT};
use vaka_board::Board;
use vaka_board::auth::invite::{self, invite};
use vaka_board::auth::people::Person;
use vaka_board::auth::secret::Hash;
use vaka_board::auth::{Right, Role, Session, Units, router, tokens};
use vaka_board::routes::ROUTES;
use vaka_board::settings::Oidc;

const PEOPLE: &str = "[[person]]\nid = \"anna-1\"\nrole = \"admin\"\nunits = [\"*\"]\n\n[[person]]\nid = \"natt-07\"\nrole = \"night\"\nunits = [\"hagalund\"]\n";

fn house() -> House {
    House::new(PEOPLE, whole, |_| {})
}

/// The doors, and the first page.
fn whole() -> Router<Arc<Board>> {
    let first = |session: Session| async move { format!("hello {}", session.person.id) };
    router().route("/", axum::routing::get(first))
}

fn code(house: &House, person: &str) -> String {
    let now_ms = house.board.gateway.now_ms();
    let link = invite::link(&house.board.people, &house.board.settings, person, "test", now_ms).expect("a link");
    link.url.rsplit_once('#').expect("a code").1.to_owned()
}

async fn enter(browser: &mut Browser<'_>, code: &str) -> (Key, Got) {
    let asked = browser.post("/enter/ask", &json!({ "code": code })).await;
    assert_eq!(asked.status, StatusCode::OK, "{asked:?}");
    let (key, answer) = Key::create(&asked.json());
    let got = browser.post("/enter/passkey", &json!({ "credential": answer, "label": "min telefon" })).await;
    (key, got)
}

/// Somebody with a key, logged in.
async fn inside<'a>(house: &'a House, person: &str) -> (Browser<'a>, Key) {
    let mut browser = house.browser();
    let (key, got) = enter(&mut browser, &code(house, person)).await;
    assert_eq!(got.status, StatusCode::OK, "{got:?}");
    (browser, key)
}

async fn asked(browser: &mut Browser<'_>) -> Value {
    browser.post("/login/passkey/ask", &json!({})).await.json()
}

async fn log_in(browser: &mut Browser<'_>, key: &mut Key, to: &str) -> Got {
    let asked = asked(browser).await;
    browser.post("/login/passkey", &json!({ "credential": key.assertion(&asked), "to": to })).await
}

#[tokio::test]
async fn the_first_administrator_comes_in_by_a_link_that_works_once() {
    let house = House::new("", whole, |_| {});
    let wish = Person {
        id: "anna-1".into(),
        name: None,
        role: Role::Admin,
        units: Units(["*".to_owned()].into()),
        lang: None,
        card: None,
        oidc: None,
        ended: false,
    };
    let made = invite(&house.board.settings, &wish, "command line", NIGHT).expect("invited");
    assert!(made.url.starts_with("https://localhost:8443/enter#"), "{}", made.url);
    let code = made.url.rsplit_once('#').expect("a code").1;
    let kept = std::fs::read_to_string(house.dir.path().join("credentials.jsonl")).expect("there");
    assert!(!kept.contains(code), "{kept}");

    let mut browser = house.browser();
    assert_eq!(browser.get("/enter").await.status, StatusCode::OK);
    let (_, got) = enter(&mut browser, &code.to_uppercase()).await;
    assert_eq!((got.status, got.json()["to"].as_str()), (StatusCode::OK, Some("/")), "{got:?}");
    assert_eq!(browser.get("/").await.text, "hello anna-1");
    let mut second = house.browser();
    let again = second.post("/enter/ask", &json!({ "code": code })).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(again.json()["said"].as_str().expect("said").contains("Länken"), "{again:?}");
    let traces = house.told.traces();
    assert!(traces[0].starts_with("anna-1 add-key passkey "), "{traces:?}");
    assert!(traces[1..2] == ["anna-1 log-in board: passkey"], "{traces:?}");
    assert!(traces[2].starts_with(" log-in-failed link: "), "{traces:?}");
}

#[tokio::test]
async fn a_link_ends_after_a_day_and_with_its_person_and_two_browsers_cannot_share_it() {
    let house = house();
    let late = code(&house, "natt-07");
    house.told.pass(24 * 3_600_000);
    assert_eq!(house.browser().post("/enter/ask", &json!({ "code": late })).await.status, StatusCode::FORBIDDEN);

    let shared = code(&house, "natt-07");
    let (mut first, mut second) = (house.browser(), house.browser());
    let asked_first = first.post("/enter/ask", &json!({ "code": shared })).await.json();
    let asked_second = second.post("/enter/ask", &json!({ "code": shared })).await.json();
    let stolen = Key::create(&asked_first).1;
    let got = second.post("/enter/passkey", &json!({ "credential": stolen })).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN, "begun in another browser: {got:?}");
    let got = second.post("/enter/passkey", &json!({ "credential": Key::create(&asked_second).1 })).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(first.post("/enter/ask", &json!({ "code": shared })).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_key_logs_in_without_a_name_and_its_answer_counts_once() {
    let house = house();
    let (mut browser, mut key) = inside(&house, "natt-07").await;
    let first = browser.cookies["__Host-sid"].clone();
    house.told.traces();
    let asked = asked(&mut browser).await;
    assert_eq!((asked["userVerification"].as_str(), asked["rpId"].as_str()), (Some("required"), Some("localhost")));
    let answer = json!({ "credential": key.assertion(&asked), "to": "/night?x=1" });
    let got = browser.post("/login/passkey", &answer).await;
    assert_eq!((got.status, got.json()["to"].as_str()), (StatusCode::OK, Some("/night?x=1")), "{got:?}");
    assert_ne!(browser.cookies["__Host-sid"], first, "a new session at each log-in");
    assert_eq!(house.board.sessions.of("natt-07", NIGHT).len(), 1, "and the old one is over");
    assert_eq!(browser.post("/login/passkey", &answer).await.status, StatusCode::FORBIDDEN, "a replay");
    let traces = house.told.traces();
    assert_eq!(traces[0], "natt-07 log-in board: passkey");
    assert!(traces[1].starts_with(" log-in-failed passkey: no log-in waits"), "{traces:?}");
}

#[tokio::test]
async fn a_key_is_refused_that_did_not_verify_that_was_cloned_or_that_another_site_asked() {
    let house = house();
    let (mut browser, mut key) = inside(&house, "natt-07").await;
    let kept = || std::fs::read_to_string(house.dir.path().join("credentials.jsonl")).expect("there");

    key.verifies = false;
    assert_eq!(log_in(&mut browser, &mut key, "/").await.status, StatusCode::FORBIDDEN, "without PIN or finger");
    key.verifies = true;
    key.origin = "https://localhost:8444".into();
    assert_eq!(log_in(&mut browser, &mut key, "/").await.status, StatusCode::FORBIDDEN, "another origin");
    key.origin = support::key::ORIGIN.into();
    key.counter = 100;
    assert_eq!(log_in(&mut browser, &mut key, "/").await.status, StatusCode::OK);
    let before = kept();
    key.counter = 50;
    assert_eq!(log_in(&mut browser, &mut key, "/").await.status, StatusCode::FORBIDDEN, "a cloned key");
    assert_eq!(kept(), before, "a counter that ran backwards is not kept");

    let mut elsewhere = house.browser();
    let asked = asked(&mut elsewhere).await;
    let answer = json!({ "credential": key.assertion(&asked) });
    assert_eq!(browser.post("/login/passkey", &answer).await.status, StatusCode::FORBIDDEN, "asked in another browser");

    let text = PEOPLE.replace("[\"hagalund\"]\n", "[\"hagalund\"]\nended = true\n");
    std::fs::write(house.dir.path().join("people.toml"), text).expect("written");
    key.counter = 200;
    assert_eq!(log_in(&mut browser, &mut key, "/").await.status, StatusCode::FORBIDDEN, "who has ended");
}

#[tokio::test]
async fn a_log_in_leads_nowhere_else() {
    let house = house();
    let (mut browser, mut key) = inside(&house, "natt-07").await;
    for to in ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a b"] {
        assert_eq!(log_in(&mut browser, &mut key, to).await.json()["to"], "/", "{to}");
    }
}

#[tokio::test]
async fn strangers_at_an_address_slow_each_other_and_no_browser_that_is_known() {
    let house = house();
    let (mut known, mut key) = inside(&house, "natt-07").await;
    let link = code(&house, "anna-1");
    let mut stranger = house.browser();
    for _ in 0..10 {
        assert_eq!(stranger.post("/login/passkey", &json!({})).await.status, StatusCode::FORBIDDEN);
    }
    let got = stranger.post("/login/passkey", &json!({})).await;
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(got.headers.contains_key("retry-after"));
    assert_eq!(log_in(&mut known, &mut key, "/").await.status, StatusCode::OK, "known, at the same address");
    assert_eq!(enter(&mut house.browser(), &link).await.1.status, StatusCode::OK, "a link that works");
    let mut elsewhere = house.browser_at("192.0.2.2");
    assert_eq!(log_in(&mut elsewhere, &mut key, "/").await.status, StatusCode::OK, "the same person elsewhere");
    house.told.pass(5 * 60_000);
    assert_eq!(log_in(&mut stranger, &mut key, "/").await.status, StatusCode::OK, "after the wait");
}

#[tokio::test]
async fn staff_get_in_when_the_log_cannot_be_written_and_change_nothing() {
    let house = house();
    let (mut browser, mut key) = inside(&house, "anna-1").await;
    house.told.disk_is_full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(log_in(&mut browser, &mut key, "/").await.status, StatusCode::OK);
    let got = browser.submit("/people/add", "id=x&role=staff&units=").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(house.board.people.get("x").is_none());
}

#[tokio::test]
async fn own_keys_are_added_and_removed_freshly_and_the_last_one_stays() {
    let house = house();
    let (mut browser, mut key) = inside(&house, "natt-07").await;
    let asked = browser.post("/keys/ask", &json!({})).await.json();
    assert_eq!(asked["excludeCredentials"].as_array().map(Vec::len), Some(1), "{asked}");
    let (_, answer) = Key::create(&asked);
    house.told.traces();
    let got = browser.post("/keys/add", &json!({ "credential": answer, "label": "YubiKey" })).await;
    assert_eq!(got.status, StatusCode::OK, "{got:?}");
    let page = browser.get("/keys").await.text;
    assert!(page.contains("YubiKey") && page.contains("min telefon"), "{page}");

    let ids: Vec<String> = house.board.people.keys().passkeys_of("natt-07").iter().map(|key| key.id.clone()).collect();
    house.told.pass(120_001);
    assert_eq!(browser.post("/keys/ask", &json!({})).await.status, StatusCode::UNAUTHORIZED, "no longer fresh");
    let got = browser.submit("/keys/remove", &format!("id={}", ids[1])).await;
    assert_eq!(got.to(), "/login?again&to=/keys");
    assert_eq!(log_in(&mut browser, &mut key, "/keys").await.status, StatusCode::OK);
    assert_eq!(browser.submit("/keys/remove", &format!("id={}", ids[1])).await.to(), "/keys");
    assert_eq!(browser.submit("/keys/remove", &format!("id={}", ids[0])).await.status, StatusCode::CONFLICT);
    let traces = house.told.traces();
    assert!(traces[0].starts_with("natt-07 add-key passkey "), "{traces:?}");
    assert!(traces.iter().any(|trace| trace.starts_with("natt-07 remove-key passkey ")), "{traces:?}");
}

#[tokio::test]
async fn an_administrator_adds_changes_ends_and_the_board_obeys_at_once() {
    let house = house();
    let (mut admin, mut admins_key) = inside(&house, "anna-1").await;
    let got = admin.submit("/people/add", "id=bo-2&name=Bo&role=staff&units=hagalund%2C+solbacken").await;
    assert_eq!(got.status, StatusCode::OK, "{got:?}");
    assert!(got.text.contains("<svg"), "a square to scan");
    let at = got.text.find("/enter#").expect("a link") + "/enter#".len();
    let (mut bo, _) = (house.browser(), ());
    let code: String = got.text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    assert_eq!(enter(&mut bo, &code).await.1.status, StatusCode::OK);
    assert_eq!(bo.get("/").await.text, "hello bo-2");
    let person = house.board.people.get("bo-2").expect("there");
    assert_eq!(person.units, Units(["hagalund".to_owned(), "solbacken".to_owned()].into()));
    assert!(
        admin.submit("/people/add", "id=Bo&role=staff&units=").await.text.contains("a-z"),
        "says how it would be right"
    );

    assert_eq!(admin.submit("/people/of/bo-2/sessions", "").await.to(), "/people/of/bo-2");
    assert_eq!(bo.get("/").await.to(), "/login?to=/");
    assert_eq!(admin.submit("/people/of/bo-2/set", "role=admin&units=*&name=").await.to(), "/people/of/bo-2");
    assert_eq!(house.board.people.get("bo-2").expect("there").role, Role::Admin);
    // bo-2 can log in and is an administrator: anna-1 may go. Then bo-2 is the last.
    assert_eq!(admin.submit("/people/of/bo-2/reset", "").await.to(), "/people/of/bo-2");
    let got = admin.submit("/people/of/anna-1/end", "ended=true").await;
    assert_eq!(got.status, StatusCode::CONFLICT, "the last who can log in");
    assert!(got.text.contains("sista administratören"), "{}", got.text);

    house.told.pass(120_001);
    assert_eq!(admin.get("/people").await.status, StatusCode::OK);
    assert_eq!(admin.get("/people/of/bo-2").await.to(), "/login?again&to=/people/of/bo-2");
    assert_eq!(admin.submit("/people/of/bo-2/end", "ended=true").await.to(), "/login?again&to=/people/of/bo-2");
    assert_eq!(log_in(&mut admin, &mut admins_key, "/people").await.status, StatusCode::OK);
    assert_eq!(admin.submit("/people/of/bo-2/end", "ended=true").await.to(), "/people/of/bo-2");
    assert!(house.board.people.in_force("bo-2").is_none());
}

#[tokio::test]
async fn one_time_codes_open_only_the_browser_they_were_set_up_in_and_cannot_be_used_to_lock_out() {
    let house = house();
    let link = code(&house, "natt-07");
    let mut browser = house.browser();
    let page = browser.submit("/enter/code", &format!("link={link}")).await.text;
    let value = |mark: &str| {
        let at = page.find(mark).unwrap_or_else(|| panic!("{mark}: {page}")) + mark.len();
        page[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    let (key, secret) = (value("name=\"key\" value=\""), value("<code>"));
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let code_now = |house: &House| {
        use vaka_board::auth::totp::{code_at, step_of};
        code_at(&secret, step_of(house.board.gateway.now_ms()))
    };
    let got = browser.submit("/enter/code/proof", &format!("key={key}&code={}", code_now(&house))).await;
    assert_eq!((got.status, got.to()), (StatusCode::SEE_OTHER, "/"), "{got:?}");
    let form = |code: &str| format!("person=natt-07&code={code}&to=%2Fnight");
    let spent = browser.submit("/login/code", &form(&code_now(&house))).await;
    assert_eq!(spent.status, StatusCode::FORBIDDEN, "used when it was set up");

    house.told.pass(30_000);
    let mut stranger = house.browser_at("198.51.100.7");
    for _ in 0..40 {
        assert_ne!(stranger.submit("/login/code", &form(&code_now(&house))).await.status, StatusCode::SEE_OTHER);
    }
    let got = browser.submit("/login/code", &form(&code_now(&house))).await;
    assert_eq!((got.status, got.to()), (StatusCode::SEE_OTHER, "/night"), "{got:?}");

    for _ in 0..20 {
        house.told.pass(5 * 60_000);
        browser.submit("/login/code", &form("000000")).await;
    }
    assert!(house.board.people.keys().totp.is_empty(), "guessed at in its own browser: a new link is needed");
}

#[tokio::test]
async fn a_program_uses_the_api_by_its_token_until_it_ends_and_does_nothing_sensitive() {
    let house = House::new(PEOPLE, every_route, |_| {});
    let wish = tokens::Wish { name: "report".into(), role: Role::Admin, units: Units::default(), days: 1 };
    let token = tokens::make(&house.board.people, &wish, "anna-1", NIGHT).expect("made");
    let kept = std::fs::read_to_string(house.dir.path().join("credentials.jsonl")).expect("there");
    assert!(!kept.contains(&token));
    let found = |house: &House, token: &str| {
        let bearer = axum::http::HeaderValue::try_from(format!("Bearer {token}")).expect("text");
        let headers = axum::http::HeaderMap::from_iter([(axum::http::header::AUTHORIZATION, bearer)]);
        tokens::session(&house.board, &headers)
    };
    let session = found(&house, &token).expect("a session");
    assert_eq!((session.person.id.as_str(), session.way), ("api-report", "token"));
    assert!(house.board.gateway.now_ms() - session.strong_at > 120_000, "never fresh");
    assert!(found(&house, &token[1..]).is_none());
    let again = tokens::make(&house.board.people, &wish, "anna-1", NIGHT).expect("made");
    assert!(found(&house, &token).is_none(), "another takes its place");
    house.told.pass(86_400_000);
    assert!(found(&house, &again).is_none(), "expired");
    // Outside /api a token is nobody's.
    let mut browser = house.browser();
    let headers = [("authorization", "Bearer x"), ("sec-fetch-dest", "document")];
    assert_eq!(browser.send(Method::GET, "/keys", &headers, String::new()).await.status, StatusCode::SEE_OTHER);
    // A program with a token that has ended asks again and again: nobody at its address has to wait for that.
    for _ in 0..20 {
        let got = browser.send(Method::GET, "/api/v1/alarms", &[("authorization", "Bearer x")], String::new()).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    }
    let got = house.browser().post("/login/passkey", &json!({})).await;
    assert_ne!(got.status, StatusCode::TOO_MANY_REQUESTS);
}

/// Every row of the table with a handler that says yes.
fn every_route() -> Router<Arc<Board>> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let filter = if route.method == "GET" { MethodFilter::GET } else { MethodFilter::POST };
        router.route(route.path, on(filter, || async { "yes" }))
    })
}

/// Who may, as the field would say it: not read from the code that is tested.
fn may(right: Right) -> &'static [Role] {
    use Role::*;
    match right {
        Right::Open | Right::Any | Right::OwnKeys => &Role::ALL,
        Right::SeeAlarms | Right::ActOnAlarms | Right::SeeDevices => &[Staff, Night, Technician, Admin],
        Right::SeeRound | Right::SignRound | Right::SeeNames | Right::Say | Right::Unlock => &[Staff, Night],
        Right::SeeResidents => &[Staff, Night, Admin],
        Right::ChangeDevices | Right::RevokeDevices => &[Technician, Admin],
        Right::ChangeAgreements | Right::Withdraw | Right::SeePeople | Right::ChangePeople => &[Admin],
        Right::SeeLog => &[Admin, Auditor],
        Right::LookIn | Right::SayLook => &[Night],
    }
}

#[tokio::test]
async fn every_route_is_open_to_exactly_the_roles_that_may() {
    let people: String =
        Role::ALL.iter().map(|role| format!("[[person]]\nid = \"{0}\"\nrole = \"{0}\"\n\n", role.as_str())).collect();
    let house = House::new(&people, every_route, |_| {});
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let method = Method::from_bytes(route.method.as_bytes()).expect("a method");
        let own = [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "document")];
        let is_api = path.starts_with("/api");
        let mut nobody = house.browser();
        let got = nobody.send(method.clone(), &path, &own, String::new()).await.status;
        let wanted = if route.right == Right::Open {
            StatusCode::OK
        } else if is_api {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::SEE_OTHER
        };
        assert_eq!(got, wanted, "nobody: {route:?}");
        for role in Role::ALL {
            let mut browser = house.browser();
            let person = house.board.people.get(role.as_str()).expect("there");
            let now_ms = house.board.gateway.now_ms();
            let sid = house.board.sessions.begin(&person, "passkey", Hash::of(b"device"), now_ms).expect("begun");
            browser.cookies.insert("__Host-sid".into(), sid);
            browser.cookies.insert("__Host-device".into(), "device".into());
            let got = browser.send(method.clone(), &path, &own, String::new()).await;
            let wanted = if may(route.right).contains(&role) { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(got.status, wanted, "{role:?}: {route:?}");
            let refused = house.told.traces();
            let told = refused.iter().any(|trace| trace.starts_with(&format!("{} refused {path}", role.as_str())));
            assert_eq!(told, wanted == StatusCode::FORBIDDEN, "{role:?}: {route:?}: {refused:?}");
            if method == Method::POST {
                let foreign = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")];
                let got = browser.send(method.clone(), &path, &foreign, String::new()).await;
                assert_eq!(got.status, StatusCode::FORBIDDEN, "from another site: {route:?}");
                let got = browser.send(method.clone(), &path, &[], String::new()).await;
                assert_eq!(got.status, StatusCode::FORBIDDEN, "from nowhere: {route:?}");
            }
            if route.right.is_sensitive() && wanted == StatusCode::OK {
                house.told.pass(120_001);
                let got = browser.send(method.clone(), &path, &own, String::new()).await;
                let stale = if is_api { StatusCode::UNAUTHORIZED } else { StatusCode::SEE_OTHER };
                assert_eq!(got.status, stale, "stale: {route:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_answers_nobody_and_every_answer_is_dressed() {
    let house = House::new(PEOPLE, || whole().route("/forgotten", axum::routing::get(|| async { "oh" })), |_| {});
    let (mut browser, _) = inside(&house, "anna-1").await;
    for path in ["/forgotten", "/nowhere"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(browser.submit("/people", "").await.status, StatusCode::NOT_FOUND, "no row for this method");
    for path in ["/login", "/", "/keys", "/people", "/forgotten"] {
        let got = browser.get(path).await;
        let header = |name: &str| got.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("strict-transport-security"), "", "not for localhost");
        assert!(!got.text.contains("style="), "inline style in {path}: {}", got.text);
        assert!(!got.text.contains("<script>") && !got.text.contains("onclick"), "inline script in {path}");
    }
    let house = House::new(PEOPLE, whole, |settings| settings.host = "vaka.example".into());
    let got = house.browser().get("/login").await;
    assert_eq!(got.headers["strict-transport-security"], "max-age=31536000");
}

#[tokio::test]
async fn a_page_leads_to_the_log_in_and_back_and_a_script_hears_401() {
    let house = house();
    let mut browser = house.browser();
    assert_eq!(browser.get("/keys?a=1&b=%C3%A5").await.to(), "/login?to=/keys%3Fa%3D1%26b%3D%25C3%25A5");
    let got = browser.send(Method::GET, "/keys", &[("sec-fetch-dest", "empty")], String::new()).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let page = browser.get("/login?to=/keys").await;
    assert!(page.text.contains("data-to=\"/keys\"") && page.text.contains("Logga in med nyckel"), "{}", page.text);
    let english = [("accept-language", "en-GB,en;q=0.9"), ("sec-fetch-dest", "document")];
    let page = browser.send(Method::GET, "/login", &english, String::new()).await;
    assert!(page.text.contains("Log in with a key") && !page.text.contains("Logga in"), "{}", page.text);
    assert!(page.text.contains("<html lang=\"en\""));
}

#[tokio::test]
async fn logging_out_ends_it_and_a_copied_session_ends_itself_and_is_told() {
    let house = house();
    let (mut browser, _) = inside(&house, "natt-07").await;
    let kept = browser.clone();
    assert_eq!(browser.submit("/logout", "").await.to(), "/login");
    assert!(!browser.cookies.contains_key("__Host-sid"));
    assert_eq!(kept.clone().get("/").await.to(), "/login?to=/", "ended at the board, not only in the browser");

    let (mut browser, _) = inside(&house, "natt-07").await;
    let mut thief = house.browser_at("198.51.100.7");
    thief.cookies.insert("__Host-sid".into(), browser.cookies["__Host-sid"].clone());
    house.told.traces();
    assert_eq!(thief.get("/").await.to(), "/login?to=/");
    assert_eq!(house.told.traces()[0], "natt-07 session-copied session: shown by another browser than its own");
    assert_eq!(browser.get("/").await.to(), "/login?to=/");
}

#[tokio::test]
async fn false_answers_of_a_provider_make_nobody_at_that_address_wait() {
    let house = House::new(PEOPLE, whole, |settings| {
        settings.oidc = Some(Oidc {
            issuer: "https://idp.example".into(),
            client_id: "vaka".into(),
            client_secret_file: None,
            ca: None,
            acr: Vec::new(),
            claim: "sub".into(),
        });
    });
    let mut forger = house.browser();
    for n in 0..30 {
        let got = forger.get(&format!("/login/oidc/return?code=x&state={n}")).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{got:?}");
        forger.cookies.clear();
    }
    assert_eq!(house.browser().post("/login/passkey/ask", &json!({})).await.status, StatusCode::OK);
    assert!(house.told.traces().iter().all(|trace| trace.contains("log-in-failed oidc")));
}

/// By path, not by what the code says of a right: these are done by whoever is there, not by whoever found the phone.
#[tokio::test]
async fn what_cannot_be_undone_needs_a_fresh_log_in() {
    let house = House::new(PEOPLE, || router().merge(every_other_route()), |_| {});
    let (mut browser, _) = inside(&house, "anna-1").await;
    let acts = ["/residents/r1/withdraw", "/devices/p1/revoke", "/people/of/natt-07/end"];
    for path in &acts[..2] {
        assert_eq!(browser.submit(path, "").await.status, StatusCode::OK, "{path} freshly");
    }
    house.told.pass(121_000);
    for path in acts {
        let got = browser.submit(path, "").await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{path}");
        assert!(got.to().starts_with("/login?again"), "{path}: {}", got.to());
    }
    let api = browser.post("/api/v1/devices/p1/revocation", &json!({})).await;
    assert_eq!(api.status, StatusCode::UNAUTHORIZED, "{api:?}");
    assert_eq!(
        browser.submit("/residents/r1/settings", "").await.status,
        StatusCode::OK,
        "and what can be undone does not"
    );
}

/// The routes that are not the doors' own, each with a handler that says yes.
fn every_other_route() -> Router<Arc<Board>> {
    let own = ["/enter", "/keys", "/login", "/logout", "/people"];
    ROUTES.iter().filter(|route| !own.iter().any(|own| route.path.starts_with(own))).fold(
        Router::new(),
        |router, route| {
            let filter = if route.method == "GET" { MethodFilter::GET } else { MethodFilter::POST };
            router.route(route.path, on(filter, || async { "yes" }))
        },
    )
}
