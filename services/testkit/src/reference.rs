//! The reference pages of `docs/reference/`, made from what the code says: gRPC from the comments of `proto/`,
//! configuration from the documentation and defaults of `services/chassis/src/config`.
//!
//! Method: the sources are read as text, so that nothing here has to be kept equal to them.

mod configuration;
mod grpc;

use std::{fs, io, path::PathBuf};

use crate::repository_root;

/// Why a page cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `proto/` does not compile.
    #[error("proto: {0}")]
    Proto(#[from] Box<protox::Error>),
    /// A source file is no Rust.
    #[error("{path}: {source}")]
    Rust {
        /// The file.
        path: PathBuf,
        /// Why.
        source: syn::Error,
    },
    /// The configuration's root is not where it was.
    #[error("services/chassis/src/config.rs has no struct `Config`")]
    NoConfig,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its file.
    pub path: PathBuf,
    /// What belongs into it.
    pub text: String,
}

/// Makes all pages.
///
/// # Errors
/// [`ReferenceError`].
pub fn pages() -> Result<Vec<Page>, ReferenceError> {
    let folder = repository_root().join("docs/reference");
    Ok(vec![
        Page { path: folder.join("grpc.md"), text: grpc::page()? },
        Page { path: folder.join("configuration.md"), text: configuration::page()? },
    ])
}

/// Writes all pages.
///
/// # Errors
/// [`ReferenceError`].
pub fn write() -> Result<(), ReferenceError> {
    for page in pages()? {
        let failed = |source| ReferenceError::File { path: page.path.clone(), source };
        if let Some(folder) = page.path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&page.path, &page.text).map_err(failed)?;
    }
    Ok(())
}

fn read(path: &std::path::Path) -> Result<String, ReferenceError> {
    let failed = |source| ReferenceError::File { path: path.to_owned(), source };
    fs::read_to_string(path).map_err(failed)
}

/// Text for a table's cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
