//! Power cuts: a shim that keeps a shadow of a directory with its fsynced bytes only (`shim/powercut.c`).
//!
//! Method: run the product with the shim preloaded, kill it at any moment, put the shadow in the place of its data
//! directory, start it again. What it acknowledged must be there.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Variable with the number of fsyncs that are honest; after them the disk keeps nothing and says it had.
pub const LIES_AFTER: &str = "POWERCUT_LIES_AFTER";

/// The compiled shim.
#[derive(Clone, Debug)]
pub struct PowerCut {
    library: PathBuf,
}

impl PowerCut {
    /// Compiles the shim with the system's C compiler into `dir`.
    ///
    /// # Errors
    /// What the compiler said.
    pub fn build(dir: &Path) -> Result<Self, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/powercut.c");
        let library = dir.join("powercut.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .arg(&library)
            .arg(&source)
            .args(["-ldl", "-lpthread"])
            .output()
            .map_err(|error| format!("cannot run cc: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(Self { library })
    }

    /// Environment of a process whose files below `root` are shadowed in `shadow` (an existing directory that mirrors
    /// what is durable in `root` at the start).
    #[must_use]
    pub fn environment(&self, root: &Path, shadow: &Path) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into_os_string()),
            ("POWERCUT_ROOT", root.as_os_str().to_owned()),
            ("POWERCUT_SHADOW", shadow.as_os_str().to_owned()),
        ]
    }

    /// After the kill: replaces `root` by what a power cut leaves of it, and makes a new shadow of the same.
    ///
    /// # Errors
    /// When files cannot be moved or copied.
    pub fn cut(root: &Path, shadow: &Path) -> std::io::Result<()> {
        std::fs::remove_dir_all(root)?;
        std::fs::rename(shadow, root)?;
        copy_all(root, shadow)
    }
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
