//! Compiles `proto/` with protox, so that no system `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 9] = [
    "tandem/v1/admin.proto",
    "tandem/v1/types.proto",
    "tandem/v1/message.proto",
    "tandem/v1/desk.proto",
    "tandem/v1/channel.proto",
    "tandem/v1/bot.proto",
    "tandem/v1/conversations.proto",
    "tandem/v1/events.proto",
    "tandem/v1/outbound.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("tandem_descriptor.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
