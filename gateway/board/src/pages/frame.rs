//! The frame around every page: head, tabs, the live line, the stale band.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::view::{Theme, View};
use super::words;
use crate::auth::{Right, Role};
use crate::gateway::Lang;

/// How often a page without a script is read anew, in seconds. Our choice: a press is seen within a quarter of a minute, and a
/// reader is not cut off in the middle of every sentence.
const REFRESH_S: u32 = 15;

/// Each tab: its path, what it needs, Swedish, English.
const TABS: [(&str, Right, &str, &str); 8] = [
    ("/", Right::SeeAlarms, "Larm", "Alarms"),
    ("/night", Right::SeeRound, "Nattrond", "Night round"),
    ("/residents", Right::SeeResidents, "Boende", "Residents"),
    ("/devices", Right::SeeDevices, "Enheter", "Devices"),
    ("/visit", Right::ChangeDevices, "Besök", "Visit"),
    ("/check", Right::ChangeDevices, "Kontroll", "Check"),
    ("/log", Right::SeeLog, "Logg", "Log"),
    ("/people", Right::SeePeople, "Personal", "People"),
];

/// The first page of whoever asks.
pub fn start(view: &View) -> &'static str {
    view.session.as_ref().map_or("/login", |session| start_of(session.person.role))
}

/// The first page of a role: the first tab it may see.
pub fn start_of(role: Role) -> &'static str {
    TABS.iter().find(|(_, right, ..)| role.may(*right)).map_or("/login", |(path, ..)| path)
}

/// A page that is about to be made.
pub struct Frame<'v> {
    view: &'v View,
    title: String,
    tab: &'static str,
    /// Read anew where no script runs.
    refresh: bool,
    /// The script keeps the list of alarms.
    list: bool,
    /// Alarms that wait for a person, for the tab and the title.
    waiting: Option<usize>,
}

impl<'v> Frame<'v> {
    pub fn new(view: &'v View, title: impl Into<String>) -> Self {
        Frame { view, title: title.into(), tab: "", refresh: false, list: false, waiting: None }
    }

    pub fn tab(mut self, tab: &'static str) -> Self {
        self.tab = tab;
        self
    }

    pub fn refreshing(mut self) -> Self {
        self.refresh = true;
        self
    }

    pub fn listing(mut self, waiting: usize) -> Self {
        self.list = true;
        self.waiting = Some(waiting);
        self
    }

    pub fn page(self, body: Markup) -> Markup {
        let view = self.view;
        // At night dark, unless the person or their machine says otherwise by day.
        let theme = match view.theme {
            Theme::Auto if view.times.is_night() => Theme::Night,
            theme => theme,
        };
        let lang = match view.lang {
            Lang::Sv => "sv",
            Lang::En => "en",
        };
        let follows = view.may(Right::SeeAlarms);
        let count = self.waiting.filter(|n| *n > 0).map_or_else(String::new, |n| format!("({n}) "));
        html! {
            (DOCTYPE)
            html lang=(lang) data-theme=(theme.as_str()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                    meta name="color-scheme" content="light dark";
                    meta name="theme-color" content=(if theme == Theme::Day { "#f3f5f2" } else { "#0f1419" });
                    title { (count) (self.title) " – Vaka" }
                    link rel="stylesheet" href=(assets::path("board.css"));
                    link rel="icon" type="image/svg+xml" href=(assets::path("icon.svg"));
                    link rel="apple-touch-icon" href=(assets::path("icon-192.png"));
                    link rel="manifest" href="/manifest.webmanifest";
                    @if self.refresh { noscript { meta http-equiv="refresh" content=(REFRESH_S); } }
                    @if follows { script src=(assets::path("live.js")) defer {} }
                }
                body {
                    a.skip href="#main" { (view.t("Till innehållet", "To the content")) }
                    (head(view, self.tab))
                    @if follows { (stale(view)) }
                    @if view.session.is_some() { (line(view, follows, self.list)) }
                    main #main tabindex="-1" { (body) }
                    @if view.session.is_some() { (foot(view)) }
                }
            }
        }
    }
}

fn head(view: &View, tab: &str) -> Markup {
    let tabs = TABS.iter().filter(|(_, right, ..)| view.may(*right));
    html! {
        header.top-bar {
            div.bar {
                b { "Vaka" }
                @if let Some(session) = &view.session {
                    nav aria-label=(view.t("Sidor", "Pages")) {
                        @for (path, _, sv, en) in tabs {
                            a href=(path) aria-current=[(*path == tab).then_some("page")] {
                                (view.t(sv, en))
                                @if *path == "/" { span #tab-count .count hidden {} }
                            }
                        }
                    }
                    span.who {
                        (session.person.id) ", " (words::role(view.lang, session.person.role)) br;
                        (view.t("loggas ut ", "logged out at ")) (view.times.minute(session.idle_at))
                    }
                }
                @if view.session.is_some() { span.clock #clock { (view.times.minute(view.times.now_ms)) } }
            }
        }
    }
}

/// Shown by the script when nothing is heard any more. Its words wait here.
fn stale(view: &View) -> Markup {
    html! {
        div #stale .stale role="alert" hidden
            data-cut=(view.t("Ingen kontakt med Vaka sedan {0}. Nya larm syns inte här. Ring jouren.",
                "No contact with Vaka since {0}. New alarms are not seen here. Ring the duty desk."))
            data-out=(view.t("Du är utloggad sedan {0}. Nya larm syns inte här.",
                "You are logged out since {0}. New alarms are not seen here."))
            data-in=(view.t("Logga in igen", "Log in again")) {}
    }
}

fn line(view: &View, follows: bool, list: bool) -> Markup {
    let now_ms = view.times.now_ms;
    html! {
        section #line .line aria-label=(view.t("Är sidan levande?", "Is the page alive?")) data-now=(now_ms) data-follow=[follows.then_some("")] data-list=[list.then_some("")]
            data-alive=(view.t("Levande. Vaka svarade för {0} s sedan. Kl. {1}.", "Alive. Vaka answered {0} s ago. It is {1}."))
            data-zone=(view.times.zone.iana_name().unwrap_or("UTC"))
            data-sound-on=(view.t("Ljud på: nya nödlarm hörs", "Sound on: new emergencies are heard"))
            data-new=(view.t("Nytt nödlarm: {0}", "New emergency: {0}")) {
            span.dot #dot aria-hidden="true" {}
            span #line-words {
                (view.t("Sidan gjordes ", "This page was made at ")) (view.times.clock(now_ms)) ", "
                (view.times.day_or_night(now_ms)) "."
            }
            @if follows {
                button #sound .small type="button" hidden { (view.t("Slå på ljud för nya nödlarm", "Turn on sound for new emergencies")) }
            }
        }
        p #said .sr role="alert" {}
    }
}

fn foot(view: &View) -> Markup {
    let themes = [
        (Theme::Auto, view.t("Följ klockan", "By the clock")),
        (Theme::Day, view.t("Ljust", "Light")),
        (Theme::Night, view.t("Mörkt", "Dark")),
    ];
    html! {
        footer.foot {
            form method="post" action="/theme" aria-label=(view.t("Ljust eller mörkt", "Light or dark")) {
                input type="hidden" name="back" value=(view.at);
                @for (theme, name) in themes {
                    button.small name="theme" value=(theme.as_str()) aria-pressed=(view.theme == theme) { (name) }
                }
            }
            @if let Some(session) = &view.session {
                a href="/keys" { (view.t("Mina nycklar", "My keys")) }
                form method="post" action="/logout" {
                    span { (session.person.id) ", " (words::role(view.lang, session.person.role)) }
                    button.small { (view.t("Logga ut", "Log out")) }
                }
            }
        }
    }
}
