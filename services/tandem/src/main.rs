//! Tandem: one binary. `tandem up` runs everything in one process; the other commands are the operator's.

use std::process::ExitCode;

/// Values are made by one thread and freed by another all the time (edge, shard, storage): glibc's arenas take locks for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tandem::cli::main()
}
