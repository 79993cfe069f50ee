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
    /// There may be several, each by its own name behind the kind's: `dose morning 08:00`.
    pub repeats: bool,
    keys: &'static [Key],
}

/// Key, Swedish, English, how it is written.
type Key = (&'static str, &'static str, &'static str, &'static str);

impl Table {
    /// Whether a form begins one: what hangs on a camera or a lock is set up with it, in vaka.toml.
    pub fn may_begin(&self) -> bool {
        !self.keys.is_empty() && self.name != "unlock"
    }
}

/// As deploy's example file has them; what is left empty is as the gateway's own.
pub const TABLES: &[Table] = &[
    Table {
        name: "night",
        sv: "Tillsyn på natten",
        en: "Supervision at night",
        repeats: false,
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
    Table { name: "presence", sv: "Aktivitet på dagen", en: "Activity by day", repeats: false, keys: &[] },
    Table { name: "look", sv: "Tillsyn med kamera", en: "Look-ins by camera", repeats: false, keys: &[] },
    Table {
        name: "dose",
        sv: "Läkemedelsdos",
        en: "Dose of medicine",
        repeats: true,
        keys: &[
            ("slot", "Fack, som läkemedelsgivaren kallar det", "Slot, as the dispenser calls it", "morning"),
            ("at", "Klockan", "At", "08:00"),
            ("device", "Läkemedelsgivare", "Dispenser", "dispenser"),
            ("days", "Dagar, tomt: alla", "Days, empty: all", "[\"monday\", \"friday\"]"),
            ("grace_min", "I tid så många minuter efteråt", "In time for so many minutes after", "60"),
            ("reminder_after_min", "Påminnelse efter (minuter)", "Reminder after (minutes)", "15"),
            ("early", "Före sin tid", "Before its time", "refuse"),
        ],
    },
    Table {
        name: "fence",
        sv: "Område",
        en: "Area",
        repeats: true,
        keys: &[
            ("name", "Vad området kallas", "What the area is called", "Hemmet"),
            ("lat", "Mitten: latitud", "Its middle: latitude", "59.3293"),
            ("lon", "Mitten: longitud", "Its middle: longitude", "18.0686"),
            ("radius_m", "Radie (meter)", "Radius (metres)", "200"),
            ("alarm", "Larm när någon lämnar eller går in", "Alarm when somebody leaves or enters", "leave"),
            ("from", "Från klockan, tomt: alltid", "From, empty: always", "20:00"),
            ("until", "Till klockan", "Until", "07:00"),
            ("back_by", "Hemma senast", "Back by", "20:00"),
        ],
    },
    Table {
        name: "reminder",
        sv: "Påminnelse",
        en: "Reminder",
        repeats: true,
        keys: &[
            ("device", "Enhet som säger det", "Device that says it", "lamp"),
            ("at", "Klockan", "At", "10:00"),
            ("text", "Ord till den boende", "Words to the resident", "Dags för gymmet"),
            ("days", "Dagar, tomt: alla", "Days, empty: all", "[\"tuesday\"]"),
        ],
    },
    Table {
        name: "threshold",
        sv: "Gräns för ett mätvärde",
        en: "Limit of a reading",
        repeats: true,
        keys: &[
            ("kind", "Mätvärde, som enheten kallar det", "Reading, as the device calls it", "heart_rate"),
            ("unit", "I vilken enhet", "In which unit", "1/min"),
            ("below", "Larm under", "Alarm below", "45"),
            ("above", "Larm över", "Alarm above", "120"),
            ("set_by", "Satt av (namn och yrke)", "Set by (name and profession)", "Anna Ek, sjuksköterska"),
            ("set_on", "Satt den", "Set on", "2026-11-01"),
        ],
    },
    Table {
        name: "unlock",
        sv: "Öppna dörren på håll",
        en: "Opening the door from afar",
        repeats: true,
        keys: &[
            ("roles", "Vilka som får öppna", "Who may open it", "[\"night\"]"),
            ("open_s", "Öppet så många sekunder", "Open for so many seconds", "120"),
            ("always", "Också utan larm", "Without an alarm too", "false"),
        ],
    },
];

/// The kind of a table that is one of several: `dose` of `dose morning 08:00`.
fn kind_of(table: &str) -> Option<&'static Table> {
    let kind = table.split(' ').next().unwrap_or_default();
    TABLES.iter().find(|one| one.name == table || (one.repeats && one.name == kind))
}

/// Whether a form changes it: who opens a door is changed in vaka.toml alone, and withdrawn here.
pub fn may_change(table: &str) -> bool {
    kind_of(table).is_none_or(|kind| kind.name != "unlock")
}

/// A setting's name, as people say it, whichever agreement it is of.
pub fn label<'k>(view: &View, key: &'k str) -> &'k str {
    of_key(view, TABLES.iter().flat_map(|table| table.keys), key)
}

/// The same in one agreement: `from` is not the night's everywhere.
pub fn label_in<'k>(view: &View, table: &str, key: &'k str) -> &'k str {
    of_key(view, kind_of(table).into_iter().flat_map(|table| table.keys), key)
}

fn of_key<'k>(view: &View, mut keys: impl Iterator<Item = &'static Key>, key: &'k str) -> &'k str {
    keys.find(|(name, ..)| *name == key).map_or(key, |(_, sv, en, _)| t(view.lang, sv, en))
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

/// What an agreement is called, with the name of one of several behind it.
pub fn title(lang: Lang, table: &str) -> String {
    let Some(kind) = kind_of(table) else { return table.to_owned() };
    let what = t(lang, kind.sv, kind.en);
    table
        .strip_prefix(kind.name)
        .filter(|name| !name.is_empty())
        .map_or(what.to_owned(), |name| format!("{what}{name}"))
}

/// Keys that a form shows, with what they are now: the table's own, then what the agreement has beside them.
fn fields<'a>(table: &str, settings: &'a [(String, String)]) -> Vec<(&'a str, &'a str, &'static str)> {
    let known = kind_of(table).map_or(&[][..], |one| one.keys);
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
    let from = agreed.and_then(|agreed| agreed.from.as_deref());
    let until = agreed.and_then(|agreed| agreed.until.as_deref());
    html! {
        form.form method="post" action={ "/residents/" (resident) "/settings" } {
            input type="hidden" name="table" value=(table);
            input type="hidden" name="stands" value=(stands);
            @for (key, value, hint) in fields(table, settings) {
                label { (label_in(view, table, key))
                    @if !hint.is_empty() { small { (view.t("till exempel ", "such as ")) (hint) } }
                    input name={ "set." (key) } value=(value) maxlength="200" autocomplete="off";
                }
            }
            label { (view.t("Vem har samtyckt?", "Who has consented?"))
                input name="consent_by" value=[consent_by] required maxlength="200" autocomplete="off"; }
            label { (view.t("När?", "When?")) input type="date" name="consent_on" value=[consent_on] required; }
            label { (view.t("Gäller från och med, tomt: genast", "In force from, empty: at once"))
                input type="date" name="consent_from" value=[from]; }
            label { (view.t("Gäller till och med, tomt: tills vidare", "In force until, empty: until further notice"))
                input type="date" name="consent_until" value=[until]; }
            button.main { (view.t("Spara", "Save")) }
        }
    }
}
