//! Counts by size. Bounds are the family's: kept once, not in each histogram.

/// So many observations up to each bound, and their sum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// As many as there are bounds, once something was observed; what is beyond the last is in `count` alone.
    within: Vec<u64>,
    pub count: u64,
    pub sum: f64,
}

impl Histogram {
    pub fn observe(&mut self, bounds: &[f64], value: f64) {
        self.within.resize(bounds.len(), 0);
        if let Some(place) = bounds.iter().position(|bound| value <= *bound) {
            self.within[place] += 1;
        }
        self.count += 1;
        self.sum += value;
    }

    /// For each bound, how many were not above it.
    pub fn cumulative(&self, bounds: &[f64]) -> Vec<u64> {
        let mut sum = 0;
        let mut up_to = |place: usize| {
            sum += self.within.get(place).copied().unwrap_or_default();
            sum
        };
        (0..bounds.len()).map(&mut up_to).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_takes_what_is_not_above_it_and_the_count_takes_all() {
        let bounds = [0.1, 1.0];
        let mut seen = Histogram::default();
        assert_eq!(seen.cumulative(&bounds), [0, 0], "nothing yet is not no answer");
        for value in [0.1, 0.100_001, 1.0, 7.0] {
            seen.observe(&bounds, value);
        }
        assert_eq!((seen.cumulative(&bounds), seen.count), (vec![1, 3], 4));
        assert!((seen.sum - 8.200_001).abs() < 1e-9);
    }
}
