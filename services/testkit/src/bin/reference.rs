//! Writes the pages of `docs/reference/` (`make reference`).

use testkit::reference::{ReferenceError, write};

fn main() -> Result<(), ReferenceError> {
    write()
}
