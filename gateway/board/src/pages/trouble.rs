//! What went wrong, as a plain page: what, and what to do now.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::frame;
use super::view::View;
use crate::gateway::Refused;

/// A page that says no.
#[derive(Debug)]
pub struct Trouble(Box<Parts>);

#[derive(Debug)]
struct Parts {
    view: View,
    status: StatusCode,
    /// In English, for whoever mends it.
    exact: String,
    /// In place of the status' own words, and what can be done about it.
    own: Option<(String, Markup)>,
}

impl Trouble {
    pub fn of(view: View, status: StatusCode) -> Trouble {
        Trouble(Box::new(Parts { view, status, exact: String::new(), own: None }))
    }

    pub fn refused(view: View, refused: &Refused) -> Trouble {
        let status = match refused {
            Refused::NotFound(_) => StatusCode::NOT_FOUND,
            Refused::Conflict(_) => StatusCode::CONFLICT,
            Refused::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Forbidden(_) => StatusCode::FORBIDDEN,
            Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refused::OnItsWay(_) => StatusCode::ACCEPTED,
        };
        // What somebody may not see is not told of.
        let exact = if status == StatusCode::NOT_FOUND { String::new() } else { refused.to_string() };
        Trouble(Box::new(Parts { view, status, exact, own: None }))
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn saying(mut self, heading: String, body: Markup) -> Trouble {
        self.0.own = Some((heading, body));
        self
    }
}

fn words(view: &View, status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::FORBIDDEN => (
            view.t("Du får inte se det här", "You may not see this"),
            view.t(
                "Din roll har inte den rätten. Behöver du den: tala med din administratör.",
                "Your role does not have that right. If you need it: talk to your administrator.",
            ),
        ),
        StatusCode::NOT_FOUND => (
            view.t("Det finns inget här", "There is nothing here"),
            view.t(
                "Sidan eller raden finns inte, eller hör till en annan enhet än din.",
                "The page or the row does not exist, or belongs to another unit than yours.",
            ),
        ),
        StatusCode::CONFLICT => (
            view.t("Någon annan hann före", "Somebody else was first"),
            view.t("Det ser annorlunda ut nu. Läs om sidan.", "It stands otherwise now. Read the page again."),
        ),
        StatusCode::UNPROCESSABLE_ENTITY => (
            view.t("Det gick inte att spara", "It could not be saved"),
            view.t(
                "Något i formuläret är inte rätt. Inget är ändrat. Gå tillbaka och rätta det.",
                "Something in the form is not right. Nothing has changed. Go back and put it right.",
            ),
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            view.t("Vaka svarar inte just nu", "Vaka does not answer just now"),
            view.t(
                "Nya larm syns inte här. Larmen går ändå till larmcentralen. Ring jouren om du väntar på något.",
                "New alarms are not seen here. They still go to the alarm centre. Ring the duty desk if you wait for something.",
            ),
        ),
        _ => (
            view.t("Något gick fel", "Something went wrong"),
            view.t(
                "Felet är skrivet i loggen. Larmen påverkas inte. Försök igen, eller ring jouren.",
                "The fault is in the log. Alarms are not affected. Try again, or ring the duty desk.",
            ),
        ),
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Parts { view, status, exact, own } = *self.0;
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), why = %exact, "a page could not be made");
        }
        let (heading, text) = words(&view, status);
        let heading = own.as_ref().map_or(heading, |(heading, _)| heading);
        let body = html! {
            div.narrow {
                h1 { (heading) }
                @match &own {
                    Some((_, body)) => (body),
                    None => p { (text) },
                }
                @if !exact.is_empty() {
                    details { summary { (view.t("Tekniskt", "Technical")) } p.soft lang="en" { (exact) } }
                }
                p { a.button href=(frame::start(&view)) { (view.t("Till första sidan", "To the first page")) } }
            }
        };
        (status, frame::Frame::new(&view, heading).page(body)).into_response()
    }
}
