//! A key for each role of `deploy/nats/users.conf`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Setup;

/// Roles that the servers know.
pub const ROLES: [&str; 6] = ["gateway", "router", "desk", "archive", "trimmer", "operator"];

/// An nkey per role, as it is handed out for an installation: the server knows the public half, a file has the seed.
#[derive(Debug)]
pub struct RoleKeys {
    folder: PathBuf,
    public: Vec<(&'static str, String)>,
}

impl RoleKeys {
    /// Makes them; the seeds go into files in `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let mut keys = Self { folder: folder.to_owned(), public: Vec::new() };
        for role in ROLES {
            let key = nkeys::KeyPair::new_user();
            let seed = key.seed().map_err(io::Error::other)?;
            fs::write(keys.seed_file(role), seed + "\n")?;
            keys.public.push((role, key.public_key()));
        }
        Ok(keys)
    }

    /// File with the seed of a role.
    #[must_use]
    pub fn seed_file(&self, role: &str) -> PathBuf {
        self.folder.join(format!("{role}.seed"))
    }

    /// Tells a server the public keys.
    #[must_use]
    pub fn known_to(&self, setup: Setup) -> Setup {
        self.public.iter().fold(setup, |setup, (role, key)| {
            setup.with(&format!("NATS_NKEY_{}", role.to_uppercase()), key)
        })
    }
}
