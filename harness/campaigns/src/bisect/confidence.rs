// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a good word can be relied on when a defect does not show each time.
//!
//! A failure proves that the defect is there. A pass only makes it unlikely: a defect that shows at a rate r stays unseen
//! in n rounds with a chance of (1-r)^n. The rate is measured where it failed.
//!
//! What a find hangs on is one good word, that of its parent: the commit itself failed, which proves that it is bad, and
//! whatever the words on the way were, between the two the defect came.

/// A good word that is wrong with a greater chance than this is not taken.
pub const DOUBT: f64 = 0.05;

/// More rounds than this are not asked for, however rarely the defect shows.
pub const MOST_ROUNDS: u32 = 20;

/// How often a defect shows, from what was seen of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// After `failures` among `rounds`: Laplace's rule, so that three of three is no certainty.
    pub fn seen(failures: u32, rounds: u32) -> Self {
        Self((f64::from(failures.min(rounds)) + 1.0) / (f64::from(rounds) + 2.0))
    }

    /// The chance that the defect is there and stays unseen in so many rounds.
    pub fn missed_in(self, rounds: u32) -> f64 {
        (0..rounds).fold(1.0, |chance, _| chance * (1.0 - self.0))
    }

    /// The rounds after which a good word is not doubtful any more, as far as [`MOST_ROUNDS`] go.
    pub fn rounds_needed(self) -> u32 {
        (1..MOST_ROUNDS)
            .find(|rounds| self.missed_in(*rounds) <= DOUBT)
            .unwrap_or(MOST_ROUNDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_that_always_shows_needs_few_rounds_and_a_rare_one_many() {
        assert_eq!(Rate::seen(3, 3).rounds_needed(), 2);
        assert_eq!(Rate::seen(3, 6).rounds_needed(), 5);
        assert_eq!(Rate::seen(1, 9).rounds_needed(), 15);
        assert_eq!(Rate::seen(0, 30).rounds_needed(), MOST_ROUNDS);
        for (failures, rounds) in [(3, 3), (3, 6), (1, 9)] {
            let rate = Rate::seen(failures, rounds);
            let needed = rate.rounds_needed();
            assert!(rate.missed_in(needed) <= DOUBT && rate.missed_in(needed - 1) > DOUBT);
        }
    }

    #[test]
    fn more_rounds_are_surer_and_more_failures_too() {
        let rate = Rate::seen(3, 3);
        assert!((rate.missed_in(0) - 1.0).abs() < f64::EPSILON);
        assert!((rate.missed_in(1) - 0.2).abs() < 1e-9);
        assert!(rate.missed_in(4) < rate.missed_in(3));
        assert!(Rate::seen(7, 7).missed_in(2) < rate.missed_in(2));
    }
}
