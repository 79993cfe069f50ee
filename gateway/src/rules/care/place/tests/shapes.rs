//! Areas: distances against the geodesic itself, the cheap bounds against the dear ones, and what no area is.

use geo::{Destination, Distance, Geodesic, InterpolatePoint, Point};
use proptest::prelude::*;

use super::*;

fn fix(lat: f64, lon: f64, accuracy_m: u32) -> Fix {
    let at = crate::rules::care::moment::At { wall_ms: 0, mono_ms: 0, boot: 1, record: 1 };
    let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
    Fix { at, lat_e7: e7(lat), lon_e7: e7(lon), accuracy_m: Some(accuracy_m), poor: false }
}

/// Corners at these bearings and this distance from a middle.
fn corners(middle: Point<f64>, bearings: &[f64], reach_m: f64) -> Vec<(f64, f64)> {
    let corner = |bearing: &f64| Geodesic.destination(middle, *bearing, reach_m);
    bearings.iter().map(corner).map(|corner| (corner.y(), corner.x())).collect()
}

/// The nearest of many points on the geodesics between the corners.
fn nearest_m(corners: &[(f64, f64)], place: Point<f64>) -> f64 {
    let point = |(lat, lon): (f64, f64)| Point::new(lon, lat);
    let edges = corners.iter().zip(corners.iter().cycle().skip(1));
    edges
        .flat_map(|(from, to)| (0..=1_000).map(move |part| (point(*from), point(*to), f64::from(part) / 1_000.0)))
        .map(|(from, to, part)| Geodesic.distance(place, Geodesic.point_at_ratio_between(from, to, part)))
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn the_edge_of_a_polygon_is_as_far_as_the_geodesic_says() {
    for (lat, lon) in [(59.3293, 18.0686), (68.4, 20.2), (-33.9, 151.2), (0.0, 179.999)] {
        let middle = Point::new(lon, lat);
        for reach_m in [300.0, 5_000.0, 40_000.0] {
            let corners = corners(middle, &[10.0, 80.0, 190.0, 290.0], reach_m);
            let area = Area::polygon(&corners).unwrap();
            for step in 0..12 {
                let part = 0.2 + f64::from(step) * 0.12;
                let place = Geodesic.destination(middle, f64::from(step) * 47.0, reach_m * part);
                let off_m = area.outside_m(place.y(), place.x()).abs() - nearest_m(&corners, place);
                assert!(off_m.abs() < 1.0 + reach_m * 1e-5, "{lat} {reach_m} {part}: {off_m} m");
            }
            assert!(area.outside_m(middle.y(), middle.x()) < 0.0);
        }
    }
}

#[test]
fn what_is_no_area_is_refused_with_the_reason() {
    let crossed = [(59.0, 18.0), (59.01, 18.01), (59.0, 18.01), (59.01, 18.0)];
    assert_eq!(Area::polygon(&crossed), Err(AreaError::Crossed));
    let repeated = [(59.0, 18.0), (59.01, 18.01), (59.0, 18.0), (59.01, 18.0)];
    assert_eq!(Area::polygon(&repeated), Err(AreaError::Crossed));
    assert_eq!(Area::polygon(&crossed[..2]), Err(AreaError::Crossed));
    let small = [(59.0, 18.0), (59.0001, 18.0001), (59.0, 18.0001)];
    assert!(matches!(Area::polygon(&small), Err(AreaError::Small { .. })));
    let large = [(59.0, 18.0), (60.0, 18.0), (59.5, 19.5)];
    assert!(matches!(Area::polygon(&large), Err(AreaError::Large { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_a_box_decides_the_geodesic_would_too(
        lat in -89.0..89.0_f64,
        lon in -180.0..180.0_f64,
        reach_m in 25.0..40_000.0_f64,
        bearing in 0.0..360.0_f64,
        part in prop_oneof![0.0..3.0_f64, Just(1.0), 3.0..400.0_f64],
        accuracy_m in 0..3_000_u32,
        is_circle in any::<bool>(),
    ) {
        // The middle of corners around a pole is none.
        let lat = if is_circle { lat } else { lat * 0.84 };
        let middle = Point::new(lon, lat);
        let area = match is_circle {
            true => Area::circle(lat, lon, reach_m),
            false => Area::polygon(&corners(middle, &[5.0, 100.0, 200.0, 300.0], reach_m.max(60.0) * 0.99)).unwrap(),
        };
        let place = Geodesic.destination(middle, bearing, (reach_m * part).min(1.9e7));
        let fix = fix(place.y(), place.x(), accuracy_m);
        let (lat, lon) = fix.degrees();
        let (outside_m, error_m) = (area.outside_m(lat, lon), f64::from(accuracy_m));
        let expected = match outside_m {
            outside_m if outside_m + error_m < 0.0 => Some(Side::In),
            outside_m if outside_m - error_m > 30.0 => Some(Side::Out),
            _ => None,
        };
        prop_assert_eq!(area.side(&fix, 30.0), expected, "{} m outside", outside_m);
    }
}
