//! The public gRPC contract: code generated from `proto/`, and conversions to and from the domain.
//!
//! Owns: the wire form of what clients see. Must never know: storage, the runtime, Meta.

pub mod convert;

/// Generated from `proto/tandem/v1`.
#[expect(missing_docs, reason = "the documentation is in proto/, and prost copies what it can")]
#[expect(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("tandem.v1");
}

/// Encoded file descriptors, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/tandem_descriptor.bin"));
