//! An ordered set seen through a difference: what a decision in the making adds and removes.

use std::{collections::BTreeSet, ops::RangeBounds};

/// Keys added to and removed from a set that itself stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Difference<K> {
    added: BTreeSet<K>,
    removed: BTreeSet<K>,
}

impl<K> Default for Difference<K> {
    fn default() -> Self {
        Self { added: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<K: Ord> Difference<K> {
    /// The key is in the set from now on.
    pub(crate) fn insert(&mut self, key: K) {
        if !self.removed.remove(&key) {
            self.added.insert(key);
        }
    }

    /// The key is no longer in the set, in which it was.
    pub(crate) fn remove(&mut self, key: K) {
        if !self.added.remove(&key) {
            self.removed.insert(key);
        }
    }

    /// The keys of a range, in order, as they are with the difference.
    pub(crate) fn range<'a, R>(
        &'a self,
        base: &'a BTreeSet<K>,
        range: R,
    ) -> impl Iterator<Item = &'a K>
    where
        R: RangeBounds<K> + Clone,
    {
        let mut below =
            base.range(range.clone()).filter(|key| !self.removed.contains(key)).peekable();
        let mut above = self.added.range(range).peekable();
        std::iter::from_fn(move || match (below.peek(), above.peek()) {
            (Some(left), Some(right)) if right < left => above.next(),
            (Some(_), _) => below.next(),
            (None, _) => above.next(),
        })
    }

    /// Makes the difference part of the set.
    pub(crate) fn merge_into(self, base: &mut BTreeSet<K>) {
        for key in &self.removed {
            base.remove(key);
        }
        base.extend(self.added);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_looks_through_the_difference_and_merging_gives_the_same() {
        let mut base = BTreeSet::from([1, 3, 5, 7]);
        let mut difference = Difference::default();
        difference.remove(3);
        difference.insert(4);
        difference.insert(8);
        difference.remove(8);
        difference.remove(5);
        difference.insert(5);
        let seen: Vec<i32> = difference.range(&base, 2..=7).copied().collect();
        assert_eq!(seen, [4, 5, 7]);
        difference.merge_into(&mut base);
        assert_eq!(base, BTreeSet::from([1, 4, 5, 7]));
    }
}
