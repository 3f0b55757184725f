// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many measurements of one thing.

use serde::Serialize;

/// Median and range. One number alone would hide how much the machine's other work has to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the middle two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these; none if there are none.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        let (&min, &max) = (samples.first()?, samples.last()?);
        let upper = samples.len() / 2;
        let lower = (samples.len() - 1) / 2;
        Some(Self {
            median: f64::midpoint(*samples.get(lower)?, *samples.get(upper)?),
            min,
            max,
        })
    }

    /// How many times `other` fits into this, by their medians.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        self.median / other.median
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the numbers are chosen to be exact")]

    use super::Spread;

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn one_is_its_own_range() {
        let spread = Spread::of([4.5]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (4.5, 4.5, 4.5));
    }

    #[test]
    fn the_order_of_the_samples_does_not_matter() {
        let spread = Spread::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 9.0));
    }

    #[test]
    fn an_even_number_has_two_in_its_middle() {
        assert_eq!(Spread::of([1.0, 4.0, 2.0, 100.0]).unwrap().median, 3.0);
    }

    #[test]
    fn ratios_are_of_medians() {
        let boot = Spread::of([3000.0, 4000.0, 9000.0]).unwrap();
        let clone = Spread::of([100.0, 200.0, 900.0]).unwrap();
        assert_eq!(boot.ratio_to(&clone), 20.0);
    }
}
