//! Tandem: one binary. `tandem up` runs everything in one process; the other commands are the operator's.

use std::process::ExitCode;

fn main() -> ExitCode {
    tandem::cli::main()
}
