//! The protocol as one page of HTML. Enters: the protocol, a language, the time zone. Leaves: text. Invariants: no script,
//! nothing fetched from anywhere; every colour stands beside a word.

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::signed::digest;
use crate::config::Language;
use crate::notice::say;
use crate::report::{Voice, day_and_clock, escaped};

/// The page of a finished visit's protocol.
pub fn page(protocol: &Value, zone: &TimeZone, language: Language) -> String {
    let mut page = Page { html: String::new(), protocol, zone, language };
    let title = page.say("Besöksprotokoll", "Protocol of a visit");
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let lang = page.say("sv", "en");
    let name = escaped(text(&protocol["gateway"]));
    let _ = write!(
        page.html,
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{title} {name}</title>\n<style>\n{}{}</style>\n</head>\n<body>\n",
        include_str!("../report/page.css"),
        include_str!("page.css")
    );
    page.head(&title, &name);
    page.html.push_str("<main>\n");
    page.devices();
    page.gateway();
    page.handed_over();
    page.html.push_str("</main>\n");
    page.foot();
    page.html.push_str("</body>\n</html>\n");
    page.html
}

struct Page<'p> {
    html: String,
    protocol: &'p Value,
    zone: &'p TimeZone,
    language: Language,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Page<'_> {
    fn say(&self, sv: &str, en: &str) -> String {
        say(self.language, sv, en)
    }

    fn at(&self, value: &Value) -> String {
        value.as_i64().map_or_else(|| "–".to_owned(), |at| day_and_clock(self.zone, at))
    }

    fn clock(&self, value: &Value) -> String {
        let at = value.as_i64().map(|at| crate::rules::care::when::local(self.zone, at));
        at.map_or_else(|| "–".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
    }

    /// What a line says in this language.
    fn words<'v>(&self, line: &'v Value) -> &'v str {
        text(&line[if self.language == Language::Sv { "sv" } else { "en" }])
    }

    fn lines(&self) -> impl Iterator<Item = &Value> {
        items(&self.protocol["lines"])
    }

    /// The mark of a line and a word, or what was measured: never a colour alone.
    fn mark(&self, line: &Value, measured: Option<&str>) -> String {
        let (class, mark, word) = match (text(&line["light"]), line["handed_over"].is_object()) {
            ("red", _) => ("handed", "✗", self.say("överlämnat", "handed over")),
            ("yellow", _) => ("yellow", "–", self.say("att veta", "to know")),
            _ => ("green", "✓", self.say("klart", "in order")),
        };
        let measured = measured.filter(|_| class != "handed").map_or(word, str::to_owned);
        format!("<span class=\"mark {class}\">{mark} {}</span>", escaped(&measured))
    }

    fn line(&self, name: &str) -> Option<&Value> {
        self.lines().find(|line| line["line"] == name)
    }

    fn head(&mut self, title: &str, gateway: &str) {
        let p = self.protocol;
        // On another day than it began: with its day.
        let (from, until) = (self.at(&p["started_at"]), self.at(&p["finished_at"]));
        let same_day = from.get(..10) == until.get(..10);
        let until = until.get(if same_day { 11.. } else { 0.. }).unwrap_or_default().to_owned();
        let (by, until_by) = (text(&p["started_by"]), text(&p["finished_by"]));
        let who = if by == until_by { by.to_owned() } else { format!("{by}, {until_by}") };
        let said = self.say("Besök av", "Visit by");
        let only_ids = self.say("Bara id:n, inga namn på boende.", "Ids alone, no residents' names.");
        let _ = writeln!(
            self.html,
            "<header>\n<h1>{title} {gateway}</h1>\n<p class=\"soft\">{said} {}, {from} – {until}. {only_ids}</p>",
            escaped(&who),
        );
        let tried = |device: &&Value| device["press"]["accepted_at"].is_i64() || device["told"]["did_at"].is_i64();
        let pressed = items(&p["devices"]).filter(tried).count();
        let asked = |line: &&Value| matches!(text(&line["what"]), "press" | "tried");
        let count = self.lines().filter(asked).count();
        let mut red: Vec<&str> = Vec::new();
        for line in self.lines().filter(|line| text(&line["light"]) == "red") {
            let of = line["line"].as_str().and_then(|name| name.split('/').next()).unwrap_or_default();
            if !red.contains(&of) {
                red.push(of);
            }
        }
        let handed = red.join(", ");
        let (class, said) = match (red.len(), self.language) {
            (0, Language::Sv) => ("", format!("Allt är i ordning. {pressed} av {count} enheter provade ända fram.")),
            (0, Language::En) => ("", format!("All is in order. {pressed} of {count} devices tried all the way.")),
            (_, Language::Sv) => (
                " handed",
                format!("Inte klart: {handed}. Överlämnat, se nedan. {pressed} av {count} enheter provade ända fram."),
            ),
            (_, Language::En) => (
                " handed",
                format!(
                    "Not in order: {handed}. Handed over, see below. {pressed} of {count} devices tried all the way."
                ),
            ),
        };
        let _ = writeln!(self.html, "<p class=\"result{class}\">{}</p>\n</header>", escaped(&said));
    }

    fn table(&mut self, id: &str, title: &str, columns: &[String], rows: &[Vec<String>]) {
        let _ = write!(
            self.html,
            "<section aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>",
            escaped(title)
        );
        for column in columns {
            let _ = write!(self.html, "<th scope=\"col\">{}</th>", escaped(column));
        }
        self.html.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.html.push_str("<tr>");
            for (at, cell) in row.iter().enumerate() {
                let class = if at == 0 { " class=\"id\"" } else { "" };
                let _ = write!(self.html, "<td{class}>{cell}</td>");
            }
            self.html.push_str("</tr>\n");
        }
        self.html.push_str("</tbody></table></div>\n</section>\n");
    }

    /// A cell: the mark, what was measured, and when. `None`: not asked of this kind.
    fn cell(&self, name: &str, measured: Option<String>, small: String) -> String {
        let Some(line) = self.line(name) else {
            return format!("<span class=\"soft\">{}</span>", self.say("gäller inte", "not asked"));
        };
        let is_red = text(&line["light"]) == "red";
        let small = if is_red { String::new() } else { format!("<small>{}</small>", escaped(&small)) };
        format!("{}{small}", self.mark(line, measured.as_deref()))
    }

    fn devices(&mut self) {
        let rows: Vec<Vec<String>> = items(&self.protocol["devices"]).map(|device| self.device(device)).collect();
        let columns = [
            self.say("Enhet", "Device"),
            self.say("Signal", "Signal"),
            self.say("Batteri", "Battery"),
            self.say("Provad ända fram", "Tried all the way"),
            self.say("Svar vid enheten", "Answer at the device"),
        ];
        let title = self.say("Enheter", "Devices");
        self.table("devices", &title, &columns, &rows);
    }

    fn device(&self, device: &Value) -> Vec<String> {
        let id = text(&device["device"]);
        let kind = self.kind(text(&device["kind"]));
        let words = [kind.as_str(), text(&device["room"]), text(&device["resident"])];
        let place: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let name = format!("{}<small>{}</small>", escaped(id), escaped(&place.join(", ")));
        let line = |what: &str| format!("{id}/{what}");

        let signal = &device["signal"];
        let (dbm, small) = match signal["worst_dbm"].as_i64() {
            Some(dbm) => {
                let least = signal["least_dbm"].as_i64().unwrap_or_default();
                let how = match signal["by_hand"] == true {
                    true => self.say("uppmätt", "measured"),
                    false => format!("{} {}", signal["probes"], self.say("prov", "probes")),
                };
                let (worst, at_least) = (self.say("sämst", "worst"), self.say("minst", "at least"));
                (Some(format!("{dbm} dBm")), format!("{worst}, {how}, {at_least} {least}"))
            }
            None => (None, self.say("med kabel", "wired")),
        };
        let signal = self.cell(&line("signal"), dbm, small);

        let battery = &device["battery"];
        let battery = match (battery["percent"].as_i64(), battery.is_object()) {
            (Some(percent), _) => {
                let by_hand = if battery["by_hand"] == true {
                    self.say("avläst", "read")
                } else {
                    self.say("enheten", "the device")
                };
                self.cell(
                    &line("battery"),
                    Some(format!("{percent} %")),
                    format!("{by_hand}, {}", self.at(&battery["at"])),
                )
            }
            (None, true) => self.cell(&line("battery"), None, self.say("enheten: bra", "the device: good")),
            (None, false) => self.cell(&line("battery"), None, self.say("inget batteri", "no battery")),
        };

        let press = &device["press"];
        let tried = match (press.is_object(), device["told"].is_object()) {
            (true, _) => {
                let took_ms =
                    press["accepted_at"].as_i64().zip(press["at"].as_i64()).map(|(to, from)| (to - from).max(0));
                let voice = Voice { language: self.language };
                let took = took_ms.map_or_else(String::new, |ms| {
                    format!(", {} {}", voice.say("fram efter", "through in"), voice.lasting(ms))
                });
                let receiver = text(&press["receiver"]).to_owned();
                let taken = match text(&press["claimed_by"]) {
                    "" => String::new(),
                    by => format!(", {} {by}", self.say("tagen av", "taken by")),
                };
                self.cell(
                    &line("press"),
                    Some(format!("→ {receiver}")),
                    format!("{}{took}{taken}", self.clock(&press["at"])),
                )
            }
            (false, true) => {
                let at = self.clock(&device["told"]["did_at"]);
                self.cell(&line("tried"), None, format!("{} {at}", self.say("lyste och lät", "lit and sounded")))
            }
            _ if self.line(&line("tried")).is_some() => self.cell(&line("tried"), None, String::new()),
            _ => self.cell(&line("press"), None, String::new()),
        };
        let seen = &device["seen"];
        let seen = self.cell(&line("seen"), None, format!("{} {}", text(&seen["by"]), self.clock(&seen["at"])));
        vec![name, signal, battery, tried, seen]
    }

    fn gateway(&mut self) {
        let name = |what: &str| {
            let word = self.about(what);
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        };
        let of_gateway = self.lines().filter(|line| line["device"].is_null());
        let rows: Vec<Vec<String>> = of_gateway
            .map(|line| vec![escaped(&name(text(&line["what"]))), self.mark(line, None), escaped(self.words(line))])
            .collect();
        let columns =
            [self.say("Gateway", "Gateway"), self.say("Läge", "State"), self.say("Vad som fanns", "What was found")];
        let title = self.say("Gatewayen själv", "The gateway itself");
        self.table("gateway", &title, &columns, &rows);
    }

    /// What a line is about, in a word or two.
    fn about(&self, what: &str) -> String {
        let (sv, en) = match what {
            "route" => ("provens väg", "way of the tests"),
            "paths" => ("förbindelser", "paths"),
            "mains" => ("ström bruten", "mains cut"),
            "clock" => ("klocka", "clock"),
            "disk" => ("disk", "disk"),
            "heard" => ("hörd", "heard"),
            "signal" => ("signal", "signal"),
            "battery" => ("batteri", "battery"),
            "press" => ("provad ända fram", "tried all the way"),
            "tried" => ("provad", "tried"),
            "seen" => ("svar vid enheten", "answer at the device"),
            other => (other, other),
        };
        self.say(sv, en)
    }

    /// A kind, as people call it.
    fn kind(&self, kind: &str) -> String {
        let sv = match kind {
            "pendant" => "larmknapp",
            "fixed-trigger" => "fast larmknapp",
            "fall-detector" => "falldetektor",
            "bed-sensor" => "sängsensor",
            "chair-sensor" => "stolsensor",
            "mat-sensor" => "mattsensor",
            "door-sensor" => "dörrsensor",
            "motion-sensor" => "rörelsesensor",
            "smoke-detector" => "brandvarnare",
            "gas-detector" => "gasvarnare",
            "co-detector" => "kolmonoxidvarnare",
            "heat-detector" => "värmevarnare",
            "flood-sensor" => "vattensensor",
            "enuresis-sensor" => "enuressensor",
            "seizure-sensor" => "krampsensor",
            "gps-alarm" => "gps-larm",
            "dispenser" => "läkemedelsautomat",
            "cabinet" => "skåp",
            "lock" => "lås",
            "thermometer" => "termometer",
            "vital-monitor" => "mätare",
            "feedback" => "lampa eller siren",
            "bridge" => "brygga",
            "gateway" => "gateway",
            _ => "annan",
        };
        self.say(sv, &kind.replace('-', " "))
    }

    /// Lines given to the same person for the same reason stand together.
    fn handed_over(&mut self) {
        let mut groups: Vec<(String, &Value, Vec<String>)> = Vec::new();
        for line in items(&self.protocol["lines"]).filter(|line| line["handed_over"].is_object()) {
            let given = &line["handed_over"];
            let of = text(&line["line"]).split('/').next().unwrap_or_default().to_owned();
            let since = match text(&line["light"]) {
                "red" => String::new(),
                _ => self.say(" (klart sedan dess)", " (in order since)"),
            };
            let what = format!("{}{since}", self.about(text(&line["what"])));
            let same = |group: &&mut (String, &Value, Vec<String>)| {
                group.0 == of && ["reason", "to", "by"].iter().all(|key| group.1[key] == given[key])
            };
            match groups.iter_mut().find(same) {
                Some((_, _, about)) => about.push(what),
                None => groups.push((of, given, vec![what])),
            }
        }
        if groups.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = groups
            .iter()
            .map(|(of, given, about)| {
                vec![
                    escaped(of),
                    escaped(&about.join(", ")),
                    escaped(text(&given["reason"])),
                    escaped(text(&given["to"])),
                    format!(
                        "<span class=\"at\">{}</span><small>{}</small>",
                        self.at(&given["at"]),
                        escaped(text(&given["by"]))
                    ),
                ]
            })
            .collect();
        let columns = [
            self.say("Enhet", "Device"),
            self.say("Inte klart", "Not in order"),
            self.say("Skäl", "Reason"),
            self.say("Ansvarig", "To be seen to by"),
            self.say("När", "When"),
        ];
        let title = self.say(
            "Överlämnat: larm som står kvar tills någon avslutar dem",
            "Handed over: alarms that stay until a person closes them",
        );
        self.table("handed", &title, &columns, &rows);
    }

    fn foot(&mut self) {
        let said = self.say(
            "Samma uppgifter ligger signerade av gatewayen i filen bredvid. Kontrollera den med vaka visit verify. Kontrollsumma (SHA-256):",
            "The same is signed by the gateway in the file beside this one. Check it with vaka visit verify. SHA-256:",
        );
        let zone = text(&self.protocol["time_zone"]);
        let times = self.say("Tider är", "Times are");
        let _ = writeln!(
            self.html,
            "<footer><p>{said}<br><code>{}</code><br>{times} {}.</p></footer>",
            digest(self.protocol),
            escaped(zone)
        );
    }
}
