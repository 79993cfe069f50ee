//! What an agreement is made of, in words: the tables and keys of vaka.toml that a form may hold.

use maud::{Markup, html};

use super::view::View;
use super::words::t;
use crate::gateway::{Agreement, Lang};

/// A table that can be agreed on: its name, what it is, and its keys.
pub struct Table {
    pub name: &'static str,
    pub sv: &'static str,
    pub en: &'static str,
    /// Key, Swedish, English, how it is written.
    keys: &'static [(&'static str, &'static str, &'static str, &'static str)],
}

/// As deploy's example file has them; what is left empty is as the gateway's own.
pub const TABLES: &[Table] = &[
    Table {
        name: "night",
        sv: "Tillsyn på natten",
        en: "Supervision at night",
        keys: &[
            ("from", "Natten börjar", "The night begins", "22:00"),
            ("until", "Natten slutar", "The night ends", "06:00"),
            (
                "absence_care_min",
                "Ur sängen, omsorgslarm efter (minuter)",
                "Out of bed, care alarm after (minutes)",
                "30",
            ),
            ("absence_life_min", "Ur sängen, nödlarm efter (minuter)", "Out of bed, emergency after (minutes)", "90"),
            ("in_bed_by", "I sängen senast", "In bed by", "23:30"),
            ("up_by", "Livstecken på morgonen senast", "Sign of life in the morning by", "09:00"),
            ("door", "Ytterdörren på natten", "The outer door at night", "alarm"),
            ("visits_up_max", "Uppe på natten, högst antal gånger", "Up at night, at most times", "0"),
            ("declined", "När den boende säger \"inte i natt\"", "When the resident says \"not tonight\"", "visit"),
        ],
    },
    Table { name: "presence", sv: "Aktivitet på dagen", en: "Activity by day", keys: &[] },
];

/// A setting's name, as people say it.
pub fn label<'k>(view: &View, key: &'k str) -> &'k str {
    let keys = TABLES.iter().flat_map(|table| table.keys);
    keys.clone().find(|(name, ..)| *name == key).map_or(key, |(_, sv, en, _)| t(view.lang, sv, en))
}

/// What a setting is, in a word where it is one of the gateway's own.
pub fn value<'v>(view: &View, value: &'v str) -> &'v str {
    match value {
        "alarm" => view.t("larm", "alarm"),
        "visit" => view.t("besök", "visit"),
        "off" => view.t("av", "off"),
        "nothing" => view.t("ingenting", "nothing"),
        other => other,
    }
}

pub fn title(lang: Lang, table: &str) -> &str {
    TABLES.iter().find(|one| one.name == table).map_or(table, |one| t(lang, one.sv, one.en))
}

/// Keys that a form shows, with what they are now: the table's own, then what the agreement has beside them.
fn fields<'a>(table: &str, settings: &'a [(String, String)]) -> Vec<(&'a str, &'a str, &'static str)> {
    let known = TABLES.iter().find(|one| one.name == table).map_or(&[][..], |one| one.keys);
    let value = |key: &str| settings.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str());
    let own = known.iter().map(|(key, _, _, hint)| (*key, value(key), *hint));
    let beside = settings.iter().filter(|(key, _)| !known.iter().any(|(name, ..)| name == key));
    own.chain(beside.map(|(key, value)| (key.as_str(), value.as_str(), ""))).collect()
}

/// The form of an agreement; `None`: of a new one. `stands`: what the table says now, as a hash.
pub fn form(view: &View, resident: &str, table: &str, agreed: Option<&Agreement>, stands: &str) -> Markup {
    let settings = agreed.map_or(&[][..], |agreed| agreed.settings.as_slice());
    let consent_by = agreed.and_then(|agreed| agreed.consent_by.as_deref());
    let consent_on = agreed.and_then(|agreed| agreed.consent_on.as_deref());
    html! {
        form.form method="post" action={ "/residents/" (resident) "/settings" } {
            input type="hidden" name="table" value=(table);
            input type="hidden" name="stands" value=(stands);
            @for (key, value, hint) in fields(table, settings) {
                label { (label(view, key))
                    @if !hint.is_empty() { small { (view.t("till exempel ", "such as ")) (hint) } }
                    input name={ "set." (key) } value=(value) maxlength="200" autocomplete="off";
                }
            }
            label { (view.t("Vem har samtyckt?", "Who has consented?"))
                input name="consent_by" value=[consent_by] required maxlength="200" autocomplete="off"; }
            label { (view.t("När?", "When?")) input type="date" name="consent_on" value=[consent_on] required; }
            button.main { (view.t("Spara", "Save")) }
        }
    }
}
