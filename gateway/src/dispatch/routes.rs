//! Which receivers a lane's notices go to, in which order, and at which hours.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{DateTime, Time, Weekday};
use vaka_protocol::Lane;

/// Lanes, and the receivers they go to, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub lanes: Vec<Lane>,
    pub to: Vec<String>,
    /// When it holds, in local time. None: always.
    pub hours: Option<Hours>,
}

/// Part of a week in local time. `until` at or before `from`: it ends the day after; the day is that of its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    pub days: Vec<Weekday>,
    pub from: Time,
    pub until: Time,
}

impl Hours {
    pub fn contains(&self, local: DateTime) -> bool {
        let (today, time) = (local.weekday(), local.time());
        if self.from < self.until {
            return self.days.contains(&today) && (self.from..self.until).contains(&time);
        }
        (self.days.contains(&today) && time >= self.from)
            || (self.days.contains(&today.previous()) && time < self.until)
    }
}

/// The order of receivers for each lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    by_lane: BTreeMap<Lane, Arc<[String]>>,
}

impl Routes {
    /// The routes that hold at this local time. A lane named by several gets all their receivers, in the order written, each once.
    pub fn at(routes: &[Route], local: DateTime) -> Self {
        Self::of_each(routes.iter().filter(|route| route.hours.as_ref().is_none_or(|hours| hours.contains(local))))
    }

    /// All routes, whatever the hour.
    pub fn new(routes: &[Route]) -> Self {
        Self::of_each(routes)
    }

    fn of_each<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        let mut by_lane: BTreeMap<Lane, Vec<String>> = BTreeMap::new();
        for route in routes {
            for lane in &route.lanes {
                let order = by_lane.entry(*lane).or_default();
                for name in &route.to {
                    if !order.contains(name) {
                        order.push(name.clone());
                    }
                }
            }
        }
        by_lane.retain(|_, order| !order.is_empty());
        Self { by_lane: by_lane.into_iter().map(|(lane, order)| (lane, order.into())).collect() }
    }

    /// Receivers for a lane, first choice first; empty where nobody is to be told.
    pub fn of(&self, lane: Lane) -> &[String] {
        self.by_lane.get(&lane).map_or(&[], |order| order)
    }
}

/// The first hour of a week at which `lane` has no receiver; `None` where it always has one.
pub fn first_gap(routes: &[Route], lane: Lane) -> Option<(Weekday, Time)> {
    let of_lane = || routes.iter().filter(|route| route.lanes.contains(&lane) && !route.to.is_empty());
    let edges = of_lane().filter_map(|route| route.hours.as_ref()).flat_map(|hours| [hours.from, hours.until]);
    let mut times: Vec<Time> = edges.chain([Time::midnight()]).collect();
    times.sort();
    times.dedup();
    // 2024-01-01 was a Monday; only the day of the week counts.
    let week = jiff::civil::date(2024, 1, 1).series(jiff::Span::new().days(1)).take(7);
    let moments = week.flat_map(|day| times.iter().map(move |time| day.to_datetime(*time)));
    let has_one = |moment: DateTime| of_lane().any(|route| route.hours.as_ref().is_none_or(|h| h.contains(moment)));
    moments.into_iter().find(|moment| !has_one(*moment)).map(|moment| (moment.weekday(), moment.time()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    const WEEKDAYS: [Weekday; 5] =
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

    fn route(lanes: &[Lane], to: &[&str], hours: Option<Hours>) -> Route {
        Route { lanes: lanes.to_vec(), to: to.iter().map(|name| (*name).to_owned()).collect(), hours }
    }

    fn hours(days: &[Weekday], from: i8, until: i8) -> Option<Hours> {
        Some(Hours { days: days.to_vec(), from: time(from, 0, 0, 0), until: time(until, 0, 0, 0) })
    }

    #[test]
    fn routes_of_one_lane_add_up_without_repeats() {
        let routes = Routes::new(&[
            route(&[Lane::Life, Lane::Care], &["a", "b"], None),
            route(&[Lane::Life], &["b", "c"], None),
            route(&[Lane::Test], &[], None),
        ]);
        assert_eq!(routes.of(Lane::Life), ["a", "b", "c"]);
        assert_eq!(routes.of(Lane::Care), ["a", "b"]);
        assert!(routes.of(Lane::Test).is_empty() && routes.of(Lane::Technical).is_empty());
    }

    #[test]
    fn the_night_of_friday_ends_on_saturday_morning() {
        let night = hours(&WEEKDAYS, 22, 7).unwrap();
        let friday = date(2026, 11, 20);
        assert!(night.contains(friday.at(22, 0, 0, 0)) && night.contains(friday.at(6, 59, 0, 0)));
        assert!(!night.contains(friday.at(7, 0, 0, 0)) && !night.contains(friday.at(21, 59, 0, 0)));
        let saturday = date(2026, 11, 21);
        assert!(night.contains(saturday.at(6, 59, 0, 0)) && !night.contains(saturday.at(22, 0, 0, 0)));
        assert!(!night.contains(date(2026, 11, 23).at(3, 0, 0, 0)), "Sunday's night is not a weekday's");
    }

    #[test]
    fn by_day_the_home_care_and_by_night_the_patrol_with_the_centre_always_last() {
        let all: Vec<Weekday> = Weekday::Monday.cycle_forward().take(7).collect();
        let routes = [
            route(&[Lane::Care], &["patrol"], hours(&all, 22, 7)),
            route(&[Lane::Care], &["home-care"], hours(&all, 7, 22)),
            route(&[Lane::Care], &["centre"], None),
        ];
        let day = date(2026, 11, 20);
        assert_eq!(Routes::at(&routes, day.at(3, 0, 0, 0)).of(Lane::Care), ["patrol", "centre"]);
        assert_eq!(Routes::at(&routes, day.at(12, 0, 0, 0)).of(Lane::Care), ["home-care", "centre"]);
    }

    #[test]
    fn an_hour_without_a_receiver_is_found() {
        let always = [route(&[Lane::Life], &["centre"], None)];
        assert_eq!(first_gap(&always, Lane::Life), None);
        assert_eq!(first_gap(&always, Lane::Care), Some((Weekday::Monday, Time::midnight())));
        let office = [route(&[Lane::Life], &["centre"], hours(&WEEKDAYS, 0, 0))];
        assert_eq!(first_gap(&office, Lane::Life), Some((Weekday::Saturday, Time::midnight())));
        let shifts = |until| {
            let all: Vec<Weekday> = Weekday::Monday.cycle_forward().take(7).collect();
            [route(&[Lane::Life], &["a"], hours(&all, 7, until)), route(&[Lane::Life], &["b"], hours(&all, 22, 7))]
        };
        assert_eq!(first_gap(&shifts(22), Lane::Life), None);
        assert_eq!(first_gap(&shifts(21), Lane::Life), Some((Weekday::Monday, time(21, 0, 0, 0))));
    }
}
