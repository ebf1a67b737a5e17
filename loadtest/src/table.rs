//! Tables with typed row numbers: a row number is handed out by `push` alone, and rows are never removed.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A typed row number.
pub(crate) trait Key: Copy {
    fn from_row(row: usize) -> Self;
    fn row(self) -> usize;
}

/// Declares a row-number type.
macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(usize);

        impl $crate::table::Key for $name {
            fn from_row(row: usize) -> Self {
                Self(row)
            }
            fn row(self) -> usize {
                self.0
            }
        }
    };
}
pub(crate) use key;

/// Rows of `T`, found by their typed number.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, T> {
    rows: Vec<T>,
    key: PhantomData<K>,
}

impl<K: Key, T> Table<K, T> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), key: PhantomData }
    }

    pub(crate) fn push(&mut self, row: T) -> K {
        self.rows.push(row);
        K::from_row(self.rows.len() - 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        self.rows.iter_mut().enumerate().map(|(row, value)| (K::from_row(row), value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.rows.iter().enumerate().map(|(row, value)| (K::from_row(row), value))
    }
}

impl<K: Key, T> FromIterator<T> for Table<K, T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect(), key: PhantomData }
    }
}

impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;

    #[expect(
        clippy::indexing_slicing,
        reason = "row numbers come from push and rows are never removed"
    )]
    fn index(&self, key: K) -> &T {
        &self.rows[key.row()]
    }
}

impl<K: Key, T> IndexMut<K> for Table<K, T> {
    #[expect(
        clippy::indexing_slicing,
        reason = "row numbers come from push and rows are never removed"
    )]
    fn index_mut(&mut self, key: K) -> &mut T {
        &mut self.rows[key.row()]
    }
}
