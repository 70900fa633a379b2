//! The generator's own source of chance: small, seeded, the same on every machine.
//!
//! What: `SplitMix64` streams, one for each purpose and index, and weighted choice over integer weights. Why own: the bytes
//! of a generated population must not change with a library's version, and integers alone keep them the same on every
//! platform. Not here: anything that needs unpredictable numbers.

/// A deterministic stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Rng {
    state: u64,
}

/// What a stream is for: streams of different purposes never share numbers, so that a change in one leaves the others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Household = 1,
    Duplicate,
    Sample,
    Query,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of `SplitMix64` (Steele, Lea, Flood 2014).
const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

impl Rng {
    pub(super) const fn stream(seed: u64, purpose: Purpose, index: u64) -> Self {
        let seeded = mix(seed.wrapping_add(STEP));
        let for_purpose = mix(seeded ^ (purpose as u64).wrapping_mul(STEP));
        Self { state: mix(for_purpose.wrapping_add(index.wrapping_mul(STEP))) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// A number of `0..bound`; 0 when the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: unbiased enough for bounds far below 2^64, without a division.
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// An index of a list of this length; 0 when it is empty.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// A number of `low..=high`; `low` when the range is empty.
    pub(super) fn between(&mut self, low: i32, high: i32) -> i32 {
        let width = u64::from(high.saturating_sub(low).max(0).unsigned_abs()) + 1;
        low.saturating_add(i32::try_from(self.below(width)).unwrap_or_default())
    }

    /// True in this many of a thousand cases.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// An index that favours the front of a list: the smaller of two draws.
    pub(super) fn index_skewed(&mut self, length: usize) -> usize {
        let first = self.index(length);
        first.min(self.index(length))
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T], fallback: &'a T) -> &'a T {
        let index = self.index(list.len());
        list.get(index).copied().unwrap_or(fallback)
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.index(last + 1);
            list.swap(last, other);
        }
    }
}

/// Values with integer weights, never empty.
#[derive(Debug, Clone)]
pub(super) struct Weighted<T> {
    values: Vec<T>,
    ends: Vec<u64>,
    total: u64,
}

impl<T> Weighted<T> {
    /// Nothing when no value has a weight above 0.
    pub(super) fn new(items: impl IntoIterator<Item = (T, u64)>) -> Option<Self> {
        let mut table = Self { values: Vec::new(), ends: Vec::new(), total: 0 };
        for (value, weight) in items.into_iter().filter(|(_, weight)| *weight > 0) {
            table.total = table.total.checked_add(weight)?;
            table.values.push(value);
            table.ends.push(table.total);
        }
        (table.total > 0).then_some(table)
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> &T {
        let point = rng.below(self.total);
        &self.values[self.ends.partition_point(|end| *end <= point)]
    }
}

/// One of a short list of weighted values.
pub(super) fn draw<T: Copy>(rng: &mut Rng, items: &[(T, u32)], fallback: T) -> T {
    let total = items.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut point = rng.below(total);
    for (value, weight) in items {
        match point.checked_sub(u64::from(*weight)) {
            Some(rest) => point = rest,
            None => return *value,
        }
    }
    fallback
}

/// Keeps a uniform sample of what it is offered, without knowing how much will come (reservoir sampling).
#[derive(Debug)]
pub(super) struct Reservoir<T> {
    kept: Vec<T>,
    capacity: usize,
    offered: u64,
}

impl<T> Reservoir<T> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { kept: Vec::new(), capacity, offered: 0 }
    }

    pub(super) fn offer(&mut self, rng: &mut Rng, item: T) {
        self.offered += 1;
        if self.kept.len() < self.capacity {
            self.kept.push(item);
        } else if let Some(place) = usize::try_from(rng.below(self.offered)).ok().and_then(|at| self.kept.get_mut(at)) {
            *place = item;
        }
    }

    pub(super) fn into_kept(self) -> Vec<T> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_stream_are_fixed() {
        let mut rng = Rng::stream(1, Purpose::Household, 0);
        let first: Vec<u64> = (0..4).map(|_| rng.below(1000)).collect();
        let mut again = Rng::stream(1, Purpose::Household, 0);
        assert_eq!(first, (0..4).map(|_| again.below(1000)).collect::<Vec<_>>());
        for other in [
            Rng::stream(2, Purpose::Household, 0),
            Rng::stream(1, Purpose::Query, 0),
            Rng::stream(1, Purpose::Household, 1),
        ] {
            let mut other = other;
            assert_ne!(first, (0..4).map(|_| other.below(1000)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn bounds_are_kept() {
        let mut rng = Rng::stream(7, Purpose::Query, 3);
        for _ in 0..1000 {
            assert!((-3..=4).contains(&rng.between(-3, 4)));
            assert!(rng.index(3) < 3);
        }
        assert_eq!(rng.between(5, 5), 5);
        assert_eq!(rng.between(5, 1), 5);
        assert_eq!(rng.index(0), 0);
    }

    #[test]
    fn weights_decide_how_often_a_value_is_drawn() {
        let mut rng = Rng::stream(7, Purpose::Query, 3);
        let table = Weighted::new([("a", 1), ("never", 0), ("b", 9)]).unwrap();
        let drawn: Vec<&str> = (0..10_000).map(|_| *table.draw(&mut rng)).collect();
        let often = drawn.iter().filter(|value| **value == "b").count();
        assert!((8_800..=9_200).contains(&often), "{often}");
        assert!(!drawn.contains(&"never"));
        assert!(Weighted::new([("a", 0)]).is_none());
        let short = (0..10_000).filter(|_| draw(&mut rng, &[(1, 1), (2, 3)], 0) == 2).count();
        assert!((7_300..=7_700).contains(&short), "{short}");
    }

    #[test]
    fn a_reservoir_keeps_each_item_equally_often() {
        let mut kept_first = 0;
        for index in 0..5_000 {
            let mut rng = Rng::stream(3, Purpose::Sample, index);
            let mut reservoir = Reservoir::new(2);
            (0..8).for_each(|item| reservoir.offer(&mut rng, item));
            let kept = reservoir.into_kept();
            assert_eq!(kept.len(), 2);
            kept_first += usize::from(kept.contains(&0));
        }
        assert!((1_100..=1_400).contains(&kept_first), "{kept_first}");
    }
}
