//! Figures as one HTML page: words first, then a picture, then the table behind it.
//!
//! Enters: figures, a language, the time zone. Leaves: text. Invariants: no script, nothing fetched from anywhere; every
//! picture has a title, a description and a table with all that it shows; a part without figures says so in words.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::figures::{Closed, Days, Figures, total_ms};
use super::plots;
use super::svg::escaped;
use super::words::{Voice, clock, day_and_clock};
use crate::config::Language;

/// The page.
pub fn page(figures: &Figures, zone: &TimeZone, language: Language) -> String {
    let voice = Voice { language };
    let mut page = Page { html: String::new(), voice, zone };
    let title = format!("Vaka: {} {} – {}", voice.say("rapport", "report"), figures.from, figures.to);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let _ = write!(
        page.html,
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        voice.say("sv", "en"),
        include_str!("page.css")
    );
    page.head(figures);
    page.html.push_str("<main>\n");
    page.summary(figures);
    page.nights(figures);
    page.look_ins(figures);
    page.doses(figures);
    page.alarms(figures);
    page.spans(figures);
    page.html.push_str("</main>\n");
    page.foot(figures);
    page.html.push_str("</body>\n</html>\n");
    page.html
}

struct Page<'p> {
    html: String,
    voice: Voice,
    zone: &'p TimeZone,
}

impl Page<'_> {
    fn say(&self, sv: &'static str, en: &'static str) -> &'static str {
        self.voice.say(sv, en)
    }

    fn p(&mut self, words: &str) {
        let _ = writeln!(self.html, "<p>{}</p>", escaped(words));
    }

    fn section(&mut self, id: &str, title: &str) {
        let _ = writeln!(self.html, "<section aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{}</h2>", escaped(title));
    }

    fn end(&mut self) {
        self.html.push_str("</section>\n");
    }

    /// A picture; whoever cannot use a pointer can scroll it with the keyboard.
    fn figure(&mut self, name: &str, svg: &str) {
        let _ = writeln!(
            self.html,
            "<figure tabindex=\"0\" role=\"group\" aria-label=\"{}\">\n{svg}</figure>",
            escaped(name)
        );
    }

    /// The table behind a picture. Columns whose name begins with `#` hold numbers.
    fn table(&mut self, caption: &str, columns: &[&str], rows: &[Vec<String>]) {
        let summary = self.say("Tabell", "Table");
        let _ = writeln!(
            self.html,
            "<details><summary>{summary}: {}</summary>\n<div class=\"scroll\"><table>\n<caption>{0}</caption>\n<thead><tr>",
            escaped(caption)
        );
        for column in columns {
            let (class, name) = column.strip_prefix('#').map_or(("", *column), |name| (" class=\"n\"", name));
            let _ = write!(self.html, "<th scope=\"col\"{class}>{}</th>", escaped(name));
        }
        self.html.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.html.push_str("<tr>");
            for (column, cell) in columns.iter().zip(row) {
                let class = if column.starts_with('#') { " class=\"n\"" } else { "" };
                let _ = write!(self.html, "<td{class}>{}</td>", escaped(cell));
            }
            self.html.push_str("</tr>\n");
        }
        self.html.push_str("</tbody></table></div></details>\n");
    }

    fn whose(&self, resident: Option<&String>, device: &impl ToString) -> String {
        resident.map_or_else(|| device.to_string(), |resident| format!("{resident}, {}", device.to_string()))
    }

    fn head(&mut self, figures: &Figures) {
        let title = self.say("Rapport", "Report");
        let _ = writeln!(self.html, "<header>\n<h1>{title} {} – {}</h1>", figures.from, figures.to);
        let gateway =
            format!("Gateway {}. {}", figures.gateway, self.say("Bara id:n, inga namn.", "Ids alone, no names."));
        let _ = writeln!(self.html, "<p class=\"soft\">{}</p>", escaped(&gateway));
        let starts_late = figures
            .journal
            .map(|(from, _)| from)
            .filter(|from| crate::rules::care::when::local(self.zone, *from).date() > figures.from);
        if let Some(from) = starts_late {
            let said = self.say("Journalen börjar först", "The journal begins only at");
            self.p(&format!("{said} {}.", day_and_clock(self.zone, from)));
        }
        if figures.damaged > 0 {
            let said = self.say(
                "ställen i journalen gick inte att läsa; deras händelser saknas här.",
                "places in the journal could not be read; what they held is missing here.",
            );
            self.p(&format!("{} {said}", figures.damaged));
        }
        if figures.gone > 0 {
            let said = self.say(
                "poster från de dagarna kan ingen läsa längre: den avtalade lagringstiden är slut, eller personens uppgifter är raderade. De saknas här.",
                "records of those days nobody can read any more: their agreed days are over, or whose they were is erased. They are missing here.",
            );
            self.p(&format!("{} {said}", figures.gone));
        }
        self.html.push_str("</header>\n");
    }

    fn summary(&mut self, figures: &Figures) {
        let voice = self.voice;
        let raised: u64 = figures.causes.iter().map(|cause| cause.count).sum();
        let life = figures.ladder.iter().find(|lane| lane.lane == vaka_protocol::Lane::Life);
        let nights: usize = figures.beds.iter().map(|bed| bed.nights.len()).sum();
        let made: u64 = figures.look_ins.iter().map(|night| night.made).sum();
        let silent_ms: i64 = figures.silences.iter().map(|silence| total_ms(&silence.spans)).sum();
        let lost_ms: i64 = figures.outages.iter().map(|outage| total_ms(&outage.spans)).sum();
        let doses = |only: Option<&str>| -> u64 {
            let outcomes = figures.doses.iter().flat_map(|doses| &doses.outcomes);
            outcomes.filter(|(outcome, _)| only.is_none_or(|only| only == **outcome)).map(|(_, count)| count).sum()
        };
        let tiles = [
            (self.say("larm, utom prov", "alarms, tests apart"), raised.to_string()),
            (
                self.say("livlarm mottaget, det mellersta", "life alarm accepted, the middle one"),
                voice.maybe_lasting(life.and_then(|life| life.accepted.median_ms)),
            ),
            (
                self.say("livlarm mottaget, det långsammaste", "life alarm accepted, the slowest"),
                voice.maybe_lasting(life.and_then(|life| life.accepted.slowest_ms)),
            ),
            (self.say("nätter med sängsensor", "nights with a bed sensor"), nights.to_string()),
            (
                self.say("tillsyn av sensor i stället för besök", "look-ins by sensor in place of a visit"),
                made.to_string(),
            ),
            (
                self.say("doser tagna, av alla", "doses taken, of all"),
                format!("{} / {}", doses(Some("taken")), doses(None)),
            ),
            (self.say("tysta enheter, tillsammans", "silent devices, together"), voice.lasting(silent_ms)),
            (self.say("avbrott på vägar, tillsammans", "outages of paths, together"), voice.lasting(lost_ms)),
        ];
        self.html.push_str("<dl>\n");
        for (what, figure) in tiles {
            let _ = writeln!(self.html, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(what), escaped(&figure));
        }
        self.html.push_str("</dl>\n");
    }

    fn nights(&mut self, figures: &Figures) {
        self.section("nights", self.say("Nätter", "Nights"));
        if figures.beds.is_empty() {
            self.p(self.say("Ingen sängsensor har sett en natt.", "No bed sensor has seen a night."));
        }
        let voice = self.voice;
        for (index, bed) in figures.beds.iter().enumerate() {
            let name = self.whose(bed.resident.as_ref(), &bed.device);
            let _ = writeln!(self.html, "<h3>{}</h3>", escaped(&name));
            let up: usize = bed.nights.iter().map(|night| night.absences.len()).sum();
            let longest = bed.nights.iter().map(super::nights::Night::longest_absence_ms).max().unwrap_or(0);
            self.p(&match voice.language {
                Language::Sv => {
                    format!("{} nätter, uppe {up} gånger, längst {}.", bed.nights.len(), voice.lasting(longest))
                }
                Language::En => {
                    format!("{} nights, up {up} times, the longest {}.", bed.nights.len(), voice.lasting(longest))
                }
            });
            let svg = plots::nights(&format!("nights-{index}"), bed, self.zone, voice);
            self.figure(&name, &svg);
            let rows: Vec<Vec<String>> = bed
                .nights
                .iter()
                .map(|night| {
                    vec![
                        night.date.to_string(),
                        clock(self.zone, night.to_bed_at),
                        night.up_at.map_or_else(|| "–".to_owned(), |at| clock(self.zone, at)),
                        night.absences.len().to_string(),
                        voice.lasting(night.longest_absence_ms()),
                    ]
                })
                .collect();
            let columns = match voice.language {
                Language::Sv => ["natt", "i säng", "uppe", "#gånger uppe", "#längsta gången"],
                Language::En => ["night", "to bed", "up", "#times up", "#the longest"],
            };
            self.table(&name, &columns, &rows);
        }
        self.end();
    }

    fn look_ins(&mut self, figures: &Figures) {
        self.section("look-ins", self.say("Planerad tillsyn", "Planned look-ins"));
        if figures.look_ins.is_empty() {
            self.p(self.say("Ingen tillsyn var planerad.", "No look-in was planned."));
            return self.end();
        }
        let made: u64 = figures.look_ins.iter().map(|night| night.made).sum();
        let visits: u64 = figures.look_ins.iter().map(|night| night.visits).sum();
        self.p(&match self.voice.language {
            Language::Sv => format!("{made} tillsyner gjordes av en sensor: så många besök behövdes inte. {visits} gick inte att visa, och ett besök begärdes i stället."),
            Language::En => format!("{made} look-ins were made by a sensor: so many visits were not needed. {visits} could not be shown, and a visit was asked for instead."),
        });
        let svg = plots::look_ins("look-ins", &figures.look_ins, self.voice);
        let title = self.say("Planerad tillsyn, natt för natt", "Planned look-ins, night by night");
        self.figure(title, &svg);
        let rows: Vec<Vec<String>> = figures
            .look_ins
            .iter()
            .map(|n| vec![n.date.to_string(), n.made.to_string(), n.visits.to_string()])
            .collect();
        let columns = match self.voice.language {
            Language::Sv => ["natt", "#av sensor", "#besök"],
            Language::En => ["night", "#by sensor", "#visits"],
        };
        self.table(title, &columns, &rows);
        self.end();
    }

    fn doses(&mut self, figures: &Figures) {
        self.section("doses", self.say("Läkemedelsdoser", "Medicine doses"));
        if figures.doses.is_empty() {
            self.p(self
                .say("Ingen läkemedelsautomat har sagt något om en dos.", "No dispenser has said anything of a dose."));
            return self.end();
        }
        self.p(self.say(
            "Vad automaterna sist sade om varje dos. Okänd betyder att ingen vet, inte att den missades.",
            "What the dispensers said last of each dose. Unknown means that nobody knows, not that it was missed.",
        ));
        let svg = plots::doses("doses", &figures.doses, self.voice);
        let title = self.say("Doser efter utfall", "Doses by outcome");
        self.figure(title, &svg);
        let mut rows = Vec::new();
        for doses in &figures.doses {
            for (outcome, count) in &doses.outcomes {
                rows.push(vec![
                    self.whose(doses.resident.as_ref(), &doses.device),
                    self.voice.outcome(outcome),
                    count.to_string(),
                ]);
            }
        }
        let columns = match self.voice.language {
            Language::Sv => ["automat", "utfall", "#doser"],
            Language::En => ["dispenser", "outcome", "#doses"],
        };
        self.table(title, &columns, &rows);
        self.end();
    }

    fn alarms(&mut self, figures: &Figures) {
        let voice = self.voice;
        self.section("alarms", self.say("Larm", "Alarms"));
        self.p(&match voice.language {
            Language::Sv => {
                format!("Provlarm räknas för sig: {}. Återtagna av den boende: {}.", figures.tests, figures.taken_back)
            }
            Language::En => format!(
                "Test alarms are counted apart: {}. Taken back by the resident: {}.",
                figures.tests, figures.taken_back
            ),
        });
        if figures.ladder.is_empty() {
            self.p(self.say("Inga larm.", "No alarms."));
            self.closed(figures);
            return self.end();
        }
        let svg = plots::ladder("ladder", &figures.ladder, voice);
        let title = self.say("Hur snabbt larmen kom fram", "How fast the alarms got through");
        self.figure(title, &svg);
        let rows: Vec<Vec<String>> = figures
            .ladder
            .iter()
            .map(|lane| {
                vec![
                    voice.lane(lane.lane).to_owned(),
                    lane.raised.to_string(),
                    lane.accepted.count.to_string(),
                    voice.maybe_lasting(lane.accepted.median_ms),
                    voice.maybe_lasting(lane.accepted.slowest_ms),
                    lane.claimed.count.to_string(),
                    voice.maybe_lasting(lane.claimed.median_ms),
                    voice.maybe_lasting(lane.claimed.slowest_ms),
                ]
            })
            .collect();
        let columns = match voice.language {
            Language::Sv => {
                ["slag", "#larm", "#mottagna", "#mellersta", "#långsammast", "#tagna", "#mellersta", "#långsammast"]
            }
            Language::En => ["lane", "#alarms", "#accepted", "#median", "#slowest", "#claimed", "#median", "#slowest"],
        };
        self.table(title, &columns, &rows);
        let rows: Vec<Vec<String>> = figures
            .causes
            .iter()
            .map(|cause| {
                vec![
                    voice.lane(cause.lane).to_owned(),
                    cause.rule.clone(),
                    cause.cause.clone(),
                    cause.count.to_string(),
                ]
            })
            .collect();
        let columns = match voice.language {
            Language::Sv => ["slag", "regel", "orsak", "#larm"],
            Language::En => ["lane", "rule", "cause", "#alarms"],
        };
        self.table(self.say("Larm efter orsak", "Alarms by cause"), &columns, &rows);
        self.closed(figures);
        self.end();
    }

    fn closed(&mut self, figures: &Figures) {
        if figures.closed.is_empty() {
            return;
        }
        let voice = self.voice;
        let row = |closed: &Closed| vec![voice.closed(closed.outcome).to_owned(), closed.count.to_string()];
        let rows: Vec<Vec<String>> = figures.closed.iter().map(row).collect();
        let columns = [self.say("utfall", "outcome"), self.say("#larm", "#alarms")];
        self.table(self.say("Vad avslutade larm blev", "What closed alarms came to"), &columns, &rows);
    }

    fn spans(&mut self, figures: &Figures) {
        let days = Days { from: figures.from, to: figures.to };
        let silences: Vec<(String, &[(i64, i64)])> =
            figures.silences.iter().map(|s| (self.whose(s.resident.as_ref(), &s.device), s.spans.as_slice())).collect();
        let title = self.say("Tysta enheter", "Silent devices");
        self.section("silent", title);
        if silences.is_empty() {
            self.p(
                self.say("Alla enheter har hörts så ofta som avtalat.", "Every device was heard as often as agreed.")
            );
        } else {
            self.p(self.say(
                "Från det sista som hördes till nästa gång, där tystnaden blev längre än avtalat.",
                "From the last word until the next, where the silence became longer than agreed.",
            ));
            self.along("silent-plot", title, &silences, days, "life", ("enhet", "device"));
        }
        self.end();
        let outages: Vec<(String, &[(i64, i64)])> =
            figures.outages.iter().map(|o| (outage_name(o), o.spans.as_slice())).collect();
        let title = self.say("Avbrott på vägar till mottagare", "Outages of paths to receivers");
        self.section("outages", title);
        if outages.is_empty() {
            self.p(self.say("Ingen väg var borta.", "No path was lost."));
        } else {
            self.along("outages-plot", title, &outages, days, "care", ("väg", "path"));
        }
        self.end();
    }

    fn along(
        &mut self,
        id: &str,
        title: &str,
        rows: &[(String, &[(i64, i64)])],
        days: Days,
        what: &str,
        (sv, en): (&'static str, &'static str),
    ) {
        let svg = plots::spans(id, rows, days, self.zone, what, title, self.voice);
        self.figure(title, &svg);
        let mut lines = Vec::new();
        for (name, spans) in rows {
            for (from, until) in *spans {
                lines.push(vec![
                    name.clone(),
                    day_and_clock(self.zone, *from),
                    day_and_clock(self.zone, *until),
                    self.voice.lasting(until - from),
                ]);
            }
        }
        let columns = [
            self.voice.say(sv, en),
            self.say("från", "from"),
            self.say("till", "until"),
            self.say("#hur länge", "#how long"),
        ];
        self.table(title, &columns, &lines);
    }

    fn foot(&mut self, figures: &Figures) {
        let said = match self.voice.language {
            Language::Sv => format!(
                "Räknat ur {} poster i journalen; gatewayen startade {} gånger. Tider är {}.",
                figures.records,
                figures.starts,
                self.zone.iana_name().unwrap_or("UTC")
            ),
            Language::En => format!(
                "Counted from {} records of the journal; the gateway started {} times. Times are {}.",
                figures.records,
                figures.starts,
                self.zone.iana_name().unwrap_or("UTC")
            ),
        };
        let _ = writeln!(self.html, "<footer><p>{}</p></footer>", escaped(&said));
    }
}

/// The receiver and which way to it.
fn outage_name(outage: &super::figures::Outage) -> String {
    let way = crate::rules::path_name(&outage.path).unwrap_or(&outage.path);
    format!("{} {way}", outage.receiver)
}
