//! The page's drawings, each of one list of figures.
//!
//! Enters: figures. Leaves: SVG text. Invariant: a drawing adds nothing that the table behind it lacks.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::figures::{BedNights, Days, Doses, Ladder, LookIns, total_ms};
use super::svg::{LEFT, RIGHT, Scale, Svg, WIDTH};
use super::words::{Voice, clock, day_and_clock};
use crate::rules::care::when;

const HOUR_MS: i64 = 3_600_000;

/// A line for each night, from bed to rising, with each time up.
pub fn nights(id: &str, bed: &BedNights, zone: &TimeZone, voice: Voice) -> String {
    // Hours on the wall since noon of the night's own day: a clock that is set does not bend the picture.
    let hour_of = |date: Date, at_ms: i64| {
        let since = when::local(zone, at_ms).duration_since(date.at(12, 0, 0, 0));
        since.as_secs_f64() / 3_600.0
    };
    let up = |night: &super::nights::Night| night.up_at.unwrap_or(night.to_bed_at);
    let first = bed.nights.iter().map(|night| hour_of(night.date, night.to_bed_at)).fold(f64::MAX, f64::min).floor();
    let last = bed.nights.iter().map(|night| hour_of(night.date, up(night))).fold(f64::MIN, f64::max).ceil();
    let scale = Scale::new(first, last);
    let row = if bed.nights.len() > 45 { 8.0 } else { 18.0 };
    let mut svg = Svg::default();
    let top = svg.legend(&[("tech", voice.say("i sängen", "in bed")), ("care", voice.say("uppe", "up"))]) + 20.0;
    let bottom = top + row * bed.nights.len() as f64;
    let step = if last - first > 16.0 { 2 } else { 1 };
    for hour in (first as i64..=last as i64).step_by(step) {
        let x = scale.at(hour as f64);
        svg.line((x, top - 4.0), (x, bottom), "grid");
        svg.text((x, top - 8.0), "middle", &format!("{:02}", (12 + hour).rem_euclid(24)));
    }
    let named = if row > 10.0 { 1 } else { 7 };
    for (index, night) in bed.nights.iter().enumerate() {
        let y = top + row * index as f64;
        if index % named == 0 {
            svg.text((LEFT - 10.0, y + row * 0.75), "end", &night.date.to_string());
        }
        let span = |from: i64, until: i64| {
            let (x, to_x) = (scale.at(hour_of(night.date, from)), scale.at(hour_of(night.date, until)));
            ((x, y + 2.0), (to_x - x, row - 4.0))
        };
        let told = |from: i64, until: i64| format!("{}–{}", clock(zone, from), clock(zone, until));
        let (at, size) = span(night.to_bed_at, up(night));
        svg.told(at, size, "tech", &told(night.to_bed_at, up(night)));
        for (from, until) in &night.absences {
            let (at, size) = span(*from, *until);
            svg.told(at, size, "care", &told(*from, *until));
        }
    }
    let title = voice.say("Nätter", "Nights");
    let about = voice.say(
        "En rad för varje natt, från läggdags till uppstigning, med varje gång personen var uppe.",
        "A row for each night, from going to bed to rising, with each time the person was up.",
    );
    svg.finish(id, bottom + 10.0, title, about)
}

/// A bar for each outcome, of all dispensers.
pub fn doses(id: &str, doses: &[Doses], voice: Voice) -> String {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (outcome, count) in doses.iter().flat_map(|doses| &doses.outcomes) {
        match sums.iter_mut().find(|(known, _)| known == outcome) {
            Some((_, sum)) => *sum += count,
            None => sums.push((outcome, *count)),
        }
    }
    sums.sort_by_key(|(outcome, count)| (std::cmp::Reverse(*count), *outcome));
    let all: u64 = sums.iter().map(|(_, count)| count).sum();
    let most = sums.first().map_or(1, |(_, count)| *count);
    // Room for what is written behind the longest bar.
    let scale = Scale::new(0.0, most as f64 * 1.25);
    let mut svg = Svg::default();
    for (index, (outcome, count)) in sums.iter().enumerate() {
        let y = 8.0 + 30.0 * index as f64;
        let what = match *outcome {
            "taken" => "calm",
            "missed" | "jammed" => "life",
            _ => "care",
        };
        let x = scale.at(*count as f64);
        svg.text((LEFT - 10.0, y + 16.0), "end", &voice.outcome(outcome));
        svg.rect((LEFT, y), (x - LEFT, 22.0), what);
        svg.text((x + 8.0, y + 16.0), "start", &format!("{count} ({} %)", (count * 100 + all / 2) / all.max(1)));
    }
    let about = voice.say("En stapel för varje utfall.", "A bar for each outcome.");
    svg.finish(id, 12.0 + 30.0 * sums.len() as f64, voice.say("Doser efter utfall", "Doses by outcome"), about)
}

/// From the middle one to the slowest, lane by lane, each decade of time as wide as the next.
pub fn ladder(id: &str, ladder: &[Ladder], voice: Voice) -> String {
    let ticks = [100, 1_000, 10_000, 60_000, 600_000, HOUR_MS, 10 * HOUR_MS];
    let log = |ms: i64| (ms.max(10) as f64).log10();
    let scale = Scale::new(log(10), log(24 * HOUR_MS));
    let mut rows = Vec::new();
    for lane in ladder {
        let name = voice.lane(lane.lane);
        rows.push((format!("{name}: {}", voice.say("mottaget", "accepted")), lane.accepted, "tech"));
        rows.push((format!("{name}: {}", voice.say("någon tog det", "claimed")), lane.claimed, "calm"));
    }
    let mut svg = Svg::default();
    let top = svg.legend(&[
        ("tech", voice.say("från sparat till mottaget", "from stored to accepted")),
        ("calm", voice.say("därifrån tills en människa tog det", "from there until a person took it")),
    ]) + 20.0;
    let bottom = top + 34.0 * rows.len() as f64;
    for ms in ticks {
        let x = scale.at(log(ms));
        svg.line((x, top - 4.0), (x, bottom), "grid");
        svg.text(
            (x, top - 8.0),
            "middle",
            &voice.lasting(ms).replace(" 00 min", "").replace(",0", "").replace(".0", ""),
        );
    }
    for (index, (name, times, what)) in rows.iter().enumerate() {
        let y = top + 34.0 * index as f64 + 12.0;
        svg.text((LEFT - 10.0, y + 5.0), "end", name);
        let (Some(median), Some(slowest)) = (times.median_ms, times.slowest_ms) else {
            svg.text((LEFT + 6.0, y + 5.0), "start", voice.say("inga", "none"));
            continue;
        };
        let (from, to) = (scale.at(log(median)), scale.at(log(slowest)));
        svg.line((from, y), (to, y), "rail");
        svg.dot((from, y), what);
        svg.rect((to - 2.0, y - 7.0), (4.0, 14.0), what);
        let said = match median == slowest {
            true => voice.lasting(median),
            false => format!("{} … {}", voice.lasting(median), voice.lasting(slowest)),
        };
        let (x, anchor) = if to > WIDTH * 0.7 { (from.min(to) - 10.0, "end") } else { (to + 10.0, "start") };
        svg.text((x, y + 5.0), anchor, &said);
    }
    let about = voice.say(
        "Punkten är det mellersta larmet, strecket det långsammaste.",
        "The dot is the alarm in the middle, the stroke the slowest.",
    );
    svg.finish(id, bottom + 8.0, voice.say("Hur snabbt larmen kom fram", "How fast the alarms got through"), about)
}

/// Spans of time along the days: what was silent, what was lost.
pub fn spans(
    id: &str,
    rows: &[(String, &[(i64, i64)])],
    days: Days,
    zone: &TimeZone,
    what: &str,
    title: &str,
    voice: Voice,
) -> String {
    let midnight = |date: Date| when::instant(zone, date, jiff::civil::Time::midnight());
    let (start, end) = (midnight(days.from), midnight(when::next(days.to)));
    let scale = Scale::new(0.0, (end - start) as f64);
    let x_of = |at_ms: i64| scale.at((at_ms - start) as f64);
    let mut svg = Svg::default();
    let (top, row) = (24.0, 28.0);
    let bottom = top + row * rows.len() as f64;
    let count = days.from.until(days.to).map_or(0, |span| span.get_days()) + 1;
    let step = usize::try_from(count / 10 + 1).unwrap_or(1);
    for date in days.from.series(jiff::Span::new().days(1)).take_while(|date| *date <= days.to).step_by(step) {
        let x = x_of(midnight(date));
        svg.line((x, top - 4.0), (x, bottom), "grid");
        svg.text((x, top - 8.0), "start", &date.strftime("%m-%d").to_string());
    }
    for (index, (name, spans)) in rows.iter().enumerate() {
        let y = top + row * index as f64;
        let short: String = name.chars().take(22).collect();
        svg.text((LEFT - 10.0, y + 18.0), "end", &short);
        svg.line((LEFT, y + 14.0), (WIDTH - RIGHT, y + 14.0), "grid");
        for (from, until) in *spans {
            let told = format!(
                "{} – {}, {}",
                day_and_clock(zone, *from),
                day_and_clock(zone, *until),
                voice.lasting(until - from)
            );
            svg.told((x_of(*from), y + 4.0), (x_of(*until) - x_of(*from), 20.0), what, &told);
        }
    }
    let longest = rows.iter().max_by_key(|(_, spans)| total_ms(spans));
    let about = longest.map_or(String::new(), |(name, spans)| {
        format!("{} {name}, {}.", voice.say("Mest:", "Most:"), voice.lasting(total_ms(spans)))
    });
    svg.finish(id, bottom + 6.0, title, &about)
}

/// A column for each night: look-ins made by a sensor, and on top of them the visits that had to be asked for.
pub fn look_ins(id: &str, look_ins: &[LookIns], voice: Voice) -> String {
    let mut svg = Svg::default();
    let top = svg.legend(&[
        ("calm", voice.say("tillsyn gjord av sensor", "look-in made by a sensor")),
        ("care", voice.say("besök behövdes", "a visit was needed")),
    ]) + 6.0;
    let most = look_ins.iter().map(|night| night.made + night.visits).max().unwrap_or(1).max(1);
    let unit = 150.0 / most as f64;
    let base = top + 150.0;
    let width = ((WIDTH - LEFT - RIGHT) / look_ins.len().max(1) as f64).min(48.0);
    for count in (0..=most).step_by(usize::try_from(most / 4 + 1).unwrap_or(1)) {
        let y = base - unit * count as f64;
        svg.line((LEFT, y), (WIDTH - RIGHT, y), "grid");
        svg.text((LEFT - 8.0, y + 4.0), "end", &count.to_string());
    }
    let named = look_ins.len() / 12 + 1;
    for (index, night) in look_ins.iter().enumerate() {
        let x = LEFT + width * index as f64;
        let (made, visits) = (unit * night.made as f64, unit * night.visits as f64);
        let told = format!("{}: {} + {}", night.date, night.made, night.visits);
        if night.made > 0 {
            svg.told((x + 2.0, base - made), (width - 4.0, made), "calm", &told);
        }
        if night.visits > 0 {
            svg.told((x + 2.0, base - made - visits), (width - 4.0, visits), "care", &told);
        }
        if index % named == 0 {
            svg.text((x + 2.0, base + 18.0), "start", &night.date.strftime("%m-%d").to_string());
        }
    }
    let about = voice.say("En stapel för varje natt.", "A column for each night.");
    svg.finish(id, base + 28.0, voice.say("Planerad tillsyn", "Planned look-ins"), about)
}
