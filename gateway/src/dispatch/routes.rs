//! Which receivers a lane's notices go to, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use vaka_protocol::Lane;

use super::config::Route;

/// The order of receivers for each lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    by_lane: BTreeMap<Lane, Arc<[String]>>,
}

impl Routes {
    /// A lane named by several routes gets all their receivers, in the order written, each once.
    pub fn new(routes: &[Route]) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_one_lane_add_up_without_repeats() {
        let route = |lanes: &[Lane], to: &[&str]| Route {
            lanes: lanes.to_vec(),
            to: to.iter().map(|name| (*name).to_owned()).collect(),
        };
        let routes = Routes::new(&[
            route(&[Lane::Life, Lane::Care], &["a", "b"]),
            route(&[Lane::Life], &["b", "c"]),
            route(&[Lane::Test], &[]),
        ]);
        assert_eq!(routes.of(Lane::Life), ["a", "b", "c"]);
        assert_eq!(routes.of(Lane::Care), ["a", "b"]);
        assert!(routes.of(Lane::Test).is_empty() && routes.of(Lane::Technical).is_empty());
    }
}
