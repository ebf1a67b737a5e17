//! Meta's limits, written a second time from `whatsapp.md`: pure, so that each has its table of cases.

pub(crate) mod pair;
pub(crate) mod rate;
pub(crate) mod window;
