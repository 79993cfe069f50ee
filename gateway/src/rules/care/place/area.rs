//! The shape of a fence: a circle, or a polygon; and how far from its edge a position lies.
//!
//! Enters: corners or a middle and a radius, in degrees (WGS 84); a position. Leaves: metres to the edge, and on which side
//! something certainly is. Distances are geodesic: a polygon's corners are laid out once in a plane by distance and bearing
//! from its middle, and so is each position near its edge. Invariant: what the cheap bounds decide, the geodesic would too.

use geo::line_measures::metric_spaces::Euclidean;
use geo::{Area as _, Bearing, Contains, Distance, Geodesic, LineString, Point, Polygon, Validation};

use super::fix::Fix;
use crate::limits::{FENCE_REACH_M_MAX, POSITION_ACCURACY_M_ASSUMED};

/// On which side of a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    In,
    Out,
}

/// The ground that a fence is around.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    /// Longitude, latitude in degrees.
    middle: Point<f64>,
    /// Nothing of it is further from its middle, in metres.
    reach_m: f64,
    /// Everything nearer to its middle is inside, in metres.
    core_m: f64,
    /// East and north of its middle in metres. None: a circle.
    outline: Option<Polygon<f64>>,
    /// Cosine of the highest and of the lowest latitude at which somebody can be near it.
    cos_least: f64,
    cos_most: f64,
}

/// What is wrong with the corners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AreaError {
    #[error("its edges cross or touch each other, or corners repeat: name the corners in their order around the area")]
    Crossed,
    #[error("it is smaller than {min_m2} m²: check the corners, latitude first")]
    Small { min_m2: u32 },
    #[error("a corner is further than {max_m} m from its middle: check the corners, latitude first")]
    Large { max_m: u32 },
}

/// Bounds of the length of a degree on WGS 84, in metres: of latitude, and of longitude at the equator.
const DEGREE_M_MIN: f64 = 110_500.0;
const DEGREE_M_MAX: f64 = 111_700.0;
const DEGREE_EAST_M_MIN: f64 = 111_300.0;

/// Latitudes around the middle for which the cosines hold, in degrees: more than the largest fence and what is near it.
const BAND_DEG: f64 = 0.6;

/// A straight way is at least this part of the way along the parallel, up to half around the earth (2/π).
const STRAIGHT_MIN: f64 = 0.63;

/// Smallest area of a polygon, in square metres: less than a circle of the smallest radius, so surely a mistake.
const AREA_M2_MIN: u32 = 1_000;

impl Area {
    /// `lat`, `lon` in degrees, `radius_m` in metres.
    pub fn circle(lat: f64, lon: f64, radius_m: f64) -> Area {
        Area::new(Point::new(lon, lat), radius_m, radius_m, None)
    }

    /// Corners (latitude, longitude) in degrees, in their order, the first not repeated; at least three.
    pub fn polygon(corners: &[(f64, f64)]) -> Result<Area, AreaError> {
        let count = corners.len().max(1) as f64;
        let first_lon = corners.first().map_or(0.0, |corner| corner.1);
        let lat = corners.iter().map(|corner| corner.0).sum::<f64>() / count;
        let lon = first_lon + corners.iter().map(|corner| wrapped(corner.1 - first_lon)).sum::<f64>() / count;
        let middle = Point::new(wrapped(lon), lat);
        let outline: LineString<f64> =
            corners.iter().map(|(lat, lon)| laid_out(middle, Point::new(*lon, *lat)).0).collect();
        let outline = Polygon::new(outline, Vec::new());
        let reach_m = outline.exterior().points().map(|corner| Euclidean.distance(Point::new(0.0, 0.0), corner));
        let reach_m = reach_m.fold(0.0, f64::max);
        if reach_m > f64::from(FENCE_REACH_M_MAX) {
            return Err(AreaError::Large { max_m: FENCE_REACH_M_MAX });
        }
        if corners.len() < 3 || !outline.is_valid() {
            return Err(AreaError::Crossed);
        }
        if outline.unsigned_area() < f64::from(AREA_M2_MIN) {
            return Err(AreaError::Small { min_m2: AREA_M2_MIN });
        }
        let origin = Point::new(0.0, 0.0);
        let core_m = if outline.contains(&origin) { Euclidean.distance(&origin, outline.exterior()) } else { 0.0 };
        Ok(Area::new(middle, reach_m, core_m, Some(outline)))
    }

    fn new(middle: Point<f64>, reach_m: f64, core_m: f64, outline: Option<Polygon<f64>>) -> Area {
        let lat = middle.y().abs();
        let cos_least = (lat + BAND_DEG).min(90.0).to_radians().cos();
        let cos_most = (lat - BAND_DEG).max(0.0).to_radians().cos();
        Area { middle, reach_m, core_m, outline, cos_least, cos_most }
    }

    /// Metres from the edge: above 0 outside, below 0 inside.
    pub fn outside_m(&self, lat: f64, lon: f64) -> f64 {
        let place = Point::new(lon, lat);
        let Some(outline) = &self.outline else {
            return Geodesic.distance(self.middle, place) - self.reach_m;
        };
        let place = laid_out(self.middle, place);
        let edge_m = Euclidean.distance(&place, outline.exterior());
        if outline.contains(&place) { -edge_m } else { edge_m }
    }

    /// The side on which a position is, whatever its error; outside counts from `hysteresis_m` on. None: it may be either.
    pub fn side(&self, fix: &Fix, hysteresis_m: f64) -> Option<Side> {
        let error_m = f64::from(fix.accuracy_m.unwrap_or(POSITION_ACCURACY_M_ASSUMED));
        let (lat, lon) = fix.degrees();
        if let Some(side) = self.plain_side(lat, lon, error_m, hysteresis_m) {
            return Some(side);
        }
        let outside_m = self.outside_m(lat, lon);
        if outside_m + error_m < 0.0 {
            Some(Side::In)
        } else if outside_m - error_m > hysteresis_m {
            Some(Side::Out)
        } else {
            None
        }
    }

    /// As [`Area::side`] where a box around it or a circle within it shows it: a few multiplications instead of a geodesic.
    fn plain_side(&self, lat: f64, lon: f64, error_m: f64, hysteresis_m: f64) -> Option<Side> {
        let north_deg = (lat - self.middle.y()).abs();
        let east_deg = wrapped(lon - self.middle.x()).abs();
        let near_m = self.reach_m + error_m + hysteresis_m;
        if north_deg * DEGREE_M_MIN > near_m {
            return Some(Side::Out);
        }
        if north_deg > BAND_DEG {
            return None;
        }
        if east_deg * (DEGREE_EAST_M_MIN * STRAIGHT_MIN) * self.cos_least > near_m {
            return Some(Side::Out);
        }
        let (north_m, east_m) = (north_deg * DEGREE_M_MAX, east_deg * DEGREE_M_MAX * self.cos_most);
        let room_m = self.core_m - error_m;
        (room_m > 0.0 && north_m * north_m + east_m * east_m < room_m * room_m).then_some(Side::In)
    }
}

/// Where a place lies, in metres east and north of `middle`, at its true distance and bearing.
fn laid_out(middle: Point<f64>, place: Point<f64>) -> Point<f64> {
    let distance_m = Geodesic.distance(middle, place);
    let (east, north) = Geodesic.bearing(middle, place).to_radians().sin_cos();
    Point::new(east * distance_m, north * distance_m)
}

/// A difference of longitudes, the short way around.
fn wrapped(degrees: f64) -> f64 {
    match degrees {
        d if d > 180.0 => d - 360.0,
        d if d < -180.0 => d + 360.0,
        d => d,
    }
}
