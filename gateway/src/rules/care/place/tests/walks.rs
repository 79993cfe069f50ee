//! Recorded walks through fences, with the errors that positions have: leaving and coming back is counted as it was.
//!
//! What was is told by the recorded track alone, each second and by other arithmetic than the rule's. It is counted twice: as it
//! can least and most be told by a device with these errors; where both are the same the rule must say just that.

use std::path::{Path, PathBuf};

use quick_xml::Reader;
use quick_xml::events::Event as Xml;

use super::*;

const STEP_S: usize = 30;
const WALK_M_S: f64 = 1.4;
const ACCURACY_M: f64 = 12.0;

/// Numbers from a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 up to, not including, 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }
}

/// Latitude and longitude.
type Place = (f64, f64);

/// Metres east and north of `middle`, by the ellipsoid's radii there.
fn plane(middle: Place, place: Place) -> (f64, f64) {
    const A: f64 = 6_378_137.0;
    const E2: f64 = 0.006_694_379_990_14;
    let sin = middle.0.to_radians().sin();
    let w2 = 1.0 - E2 * sin * sin;
    let (meridian, normal) = (A * (1.0 - E2) / w2.powf(1.5), A / w2.sqrt());
    let east = (place.1 - middle.1).to_radians() * normal * middle.0.to_radians().cos();
    (east, (place.0 - middle.0).to_radians() * meridian)
}

/// So many metres east and north of it.
fn beside(place: Place, east_m: f64, north_m: f64) -> Place {
    let (east, north) = plane(place, (place.0 + 1e-3, place.1 + 1e-3));
    (place.0 + north_m / north * 1e-3, place.1 + east_m / east * 1e-3)
}

/// The tracks of a file, each without its gaps: a segment of at least two points.
fn segments(path: &Path) -> Vec<Vec<Place>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut reader = Reader::from_str(&text);
    let mut segments: Vec<Vec<Place>> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Xml::Eof => break,
            Xml::Start(tag) if tag.name().as_ref() == b"trkseg" => segments.push(Vec::new()),
            Xml::Start(tag) | Xml::Empty(tag) if tag.name().as_ref() == b"trkpt" => {
                let degrees = |name: &str| {
                    let value = tag.try_get_attribute(name).unwrap().unwrap().value;
                    std::str::from_utf8(&value).unwrap().parse::<f64>().unwrap()
                };
                let point = (degrees("lat"), degrees("lon"));
                if let Some(segment) = segments.last_mut() {
                    segment.push(point);
                }
            }
            _ => {}
        }
    }
    segments.retain(|segment| segment.len() >= 2);
    segments
}

/// Where somebody is each second who walks that way.
fn walked(track: &[Place]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut ahead_m = 0.0;
    for two in track.windows(2) {
        let (east, north) = plane(two[0], two[1]);
        let length_m = east.hypot(north);
        while ahead_m < length_m {
            let part = ahead_m / length_m;
            places.push((two[0].0 + (two[1].0 - two[0].0) * part, two[0].1 + (two[1].1 - two[0].1) * part));
            ahead_m += WALK_M_S;
        }
        ahead_m -= length_m;
    }
    places
}

/// An area, and metres outside it by this file's own arithmetic.
enum Ground {
    Circle(Place, f64),
    Polygon(Vec<Place>),
}

impl Ground {
    fn area(&self) -> Area {
        match self {
            Ground::Circle(middle, radius_m) => Area::circle(middle.0, middle.1, *radius_m),
            Ground::Polygon(corners) => Area::polygon(corners).unwrap(),
        }
    }

    fn outside_m(&self, place: Place) -> f64 {
        match self {
            Ground::Circle(middle, radius_m) => {
                let (east, north) = plane(*middle, place);
                east.hypot(north) - radius_m
            }
            Ground::Polygon(corners) => {
                let flat: Vec<(f64, f64)> = corners.iter().map(|corner| plane(place, *corner)).collect();
                let mut inside = false;
                let mut edge_m = f64::INFINITY;
                for (index, from) in flat.iter().enumerate() {
                    let to = flat[(index + 1) % flat.len()];
                    let (x, y) = (to.0 - from.0, to.1 - from.1);
                    let along = (-(from.0 * x + from.1 * y) / (x * x + y * y)).clamp(0.0, 1.0);
                    edge_m = edge_m.min((from.0 + x * along).hypot(from.1 + y * along));
                    let crosses = (from.1 > 0.0) != (to.1 > 0.0) && from.0 - from.1 * x / y > 0.0;
                    inside ^= crosses;
                }
                if inside { -edge_m } else { edge_m }
            }
        }
    }
}

/// How often somebody left and came, where being on a side counts from `margin_m` beyond its edge and after so many seconds.
fn turns(outside_m: &[f64], margin_m: f64, lasting_s: usize) -> (usize, usize) {
    let mut known: Option<bool> = None;
    let mut run: Option<(bool, usize)> = None;
    let mut counts = (0, 0);
    for (second, outside_m) in outside_m.iter().enumerate() {
        let out = match *outside_m {
            m if m > 30.0 + margin_m => true,
            m if m < -margin_m => false,
            // In between it lasts neither way.
            _ => {
                run = run.filter(|_| margin_m <= 0.0);
                continue;
            }
        };
        if run.is_none_or(|run| run.0 != out) {
            run = Some((out, second));
        }
        if let Some((out, since)) = run
            && second - since >= lasting_s
            && known != Some(out)
        {
            if known.is_some() {
                if out { counts.0 += 1 } else { counts.1 += 1 }
            }
            known = Some(out);
        }
    }
    counts
}

/// The walk as a device tells it: some positions missing, late or out of order, some poor or impossible.
fn tell_walk(story: &mut Rehearsal, places: &[Place], chance: &mut Chance) {
    let begun = story.now_ms();
    let mut was_bad = true;
    for (second, place) in places.iter().enumerate().step_by(STEP_S) {
        story.until(begun + second as i64 * 1_000);
        let position = |place: Place, accuracy_m: f64, fix_age_s| {
            let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
            let accuracy_m = Some(accuracy_m as u32);
            Event::Position { lat_e7: e7(place.0), lon_e7: e7(place.1), accuracy_m, speed_cm_s: None, fix_age_s }
        };
        let (turn, part) = (chance.part() * std::f64::consts::TAU, chance.part());
        let off = |metres: f64| beside(*place, turn.cos() * metres, turn.sin() * metres);
        was_bad = !was_bad
            && match chance.next() % 20 {
                0 => {
                    story.event(&gps(), &position(off(4_000.0 * part), 600.0, None));
                    true
                }
                1 => {
                    story.event(&gps(), &position(off(30_000.0), ACCURACY_M, None));
                    true
                }
                _ => false,
            };
        if was_bad || chance.one_in(12) {
            continue;
        }
        let age_s = (chance.next() % 15) as usize;
        let then = places[second.saturating_sub(age_s)];
        let taken = beside(then, turn.cos() * part * (ACCURACY_M - 2.0), turn.sin() * part * (ACCURACY_M - 2.0));
        if chance.one_in(8) {
            // Told later, out of order.
            let at = story.now_ms() - (second - second.saturating_sub(age_s)) as i64 * 1_000;
            story.until(story.now_ms() + 20_000);
            story.late(&gps(), &position(taken, ACCURACY_M, None), Some(at));
        } else {
            let age_s = (second - second.saturating_sub(age_s)) as u32;
            story.event(&gps(), &position(taken, ACCURACY_M, Some(age_s)));
        }
    }
    story.until(story.now_ms() + 10 * MINUTE);
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/walks");
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "gpx"));
    files.sort();
    files
}

/// Fences around places on the way, as many circles as polygons.
fn grounds(places: &[Place], count: usize, chance: &mut Chance) -> Vec<Ground> {
    let ground = |index: usize| {
        let on_way = places[(chance.part() * places.len() as f64) as usize];
        let middle = beside(on_way, (chance.part() - 0.5) * 200.0, (chance.part() - 0.5) * 200.0);
        let radius_m = 120.0 + chance.part() * 600.0;
        if index.is_multiple_of(2) {
            return Ground::Circle(middle, radius_m);
        }
        let corner = |k: usize| {
            let turn = k as f64 / 7.0 * std::f64::consts::TAU;
            let metres = radius_m * (0.6 + 0.4 * chance.part());
            beside(middle, turn.cos() * metres, turn.sin() * metres)
        };
        Ground::Polygon((0..7).map(corner).collect())
    };
    (0..count).map(ground).collect()
}

#[test]
fn recorded_walks_are_counted_right_with_errors_added() {
    let files = files();
    if files.is_empty() {
        let thread = std::thread::current();
        println!("SKIP {}: ../shared/corpus is not beside this repository", thread.name().unwrap_or("walks"));
        return;
    }
    let mut chance = Chance(20_261_122);
    let (mut walks, mut sure, mut all, mut left_in_all) = (0, 0, 0, 0);
    for track in files.iter().flat_map(|file| segments(file)) {
        let places = walked(&track);
        if places.len() < 600 {
            continue;
        }
        walks += 1;
        let grounds = grounds(&places, 24, &mut chance);
        let fence = |(index, ground): (usize, &Ground)| {
            let name = format!("F{index}");
            let watched = vec![Watched::new("r1", &name, &gps())];
            Fence { name, area: ground.area(), watched, ..park() }
        };
        let mut story = story(grounds.iter().enumerate().map(fence).collect());
        tell_walk(&mut story, &places, &mut chance);
        for (index, ground) in grounds.iter().enumerate() {
            let outside_m: Vec<f64> = places.iter().map(|place| ground.outside_m(*place)).collect();
            // At least what lasts through the dwell and the longest gap, clear of every error; at most each crossing.
            let least = turns(&outside_m, 2.0 * ACCURACY_M + 4.0, 60 + 6 * STEP_S);
            let most = turns(&outside_m, -1.0, 0);
            let name = format!(" F{index} ");
            let count = |kind: &str| {
                let told = |decision: &Decision| match decision {
                    Decision::Raise(raise) => raise.cause.starts_with(kind) && raise.cause.contains(&name),
                    Decision::Note(note) => note.what == kind && note.basis.key.contains(&name),
                    _ => false,
                };
                story.log.iter().filter(|(_, decision)| told(decision)).count()
            };
            // Being outside at first is an alarm too, and no leaving.
            let first_out = story.log.iter().find_map(|(_, decision)| match decision {
                Decision::Raise(raise) if raise.cause.contains(&name) => Some(1),
                Decision::Note(note) if note.basis.key.contains(&name) => Some(0),
                _ => None,
            });
            let told = (count("left") - first_out.unwrap_or(0), count("entered"));
            let right = least.0 <= told.0 && told.0 <= most.0 && least.1 <= told.1 && told.1 <= most.1;
            assert!(right, "walk {walks} fence {index}: told {told:?}, was {least:?} to {most:?}");
            all += 1;
            sure += usize::from(least == most);
            left_in_all += told.0;
        }
    }
    println!("{walks} walks, {all} fences, {sure} of them beyond doubt, {left_in_all} times left");
    assert!(walks >= 3 && sure * 3 > all && left_in_all > 40, "{walks} walks, {sure} of {all}, left {left_in_all}");
}
