//! Whether this process is alive and ready, told to whoever asks over HTTP.
//!
//! `/healthz` answers 200 while the process serves at all. `/readyz` answers 200 when every named
//! component is ready, else 503 with the names and reasons as JSON. `/metrics` is for Prometheus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod server;
pub use server::AdminServer;

/// The components of a process and their state. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    components: BTreeMap<String, Option<String>>,
    warnings: BTreeMap<String, String>,
}

/// One component's entry in a [`Health`].
#[derive(Clone, Debug)]
pub struct Component {
    health: Health,
    name: String,
}

impl Health {
    /// An empty registry, which is ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component, not ready because it is `starting`. Register every component before the
    /// admin server answers, so that nothing looks ready that has not begun. A name used again is
    /// the same entry, starting again.
    pub fn component(&self, name: impl Into<String>) -> Component {
        let component = Component { health: self.clone(), name: name.into() };
        component.not_ready("starting");
        component
    }

    /// True when every component is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.entries().components.values().all(Option::is_none)
    }

    /// The components that are not ready, with their reasons.
    #[must_use]
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let entries = self.entries();
        let unready =
            entries.components.iter().filter_map(|(name, why)| Some((name.clone(), why.clone()?)));
        unready.collect()
    }

    /// Sets or clears a warning: shown beside the readiness, which it does not change. It is logged when it
    /// changes. No secret, no personal data.
    pub fn warn(&self, name: &str, warning: Option<String>) {
        let mut entries = self.entries();
        let before = match warning.clone() {
            Some(text) => entries.warnings.insert(name.to_owned(), text),
            None => entries.warnings.remove(name),
        };
        drop(entries);
        match (before, warning) {
            (None, Some(warning)) => tracing::warn!(name, warning, "a warning is raised"),
            (Some(_), None) => tracing::info!(name, "the warning is over"),
            _ => {}
        }
    }

    /// The warnings now in force.
    #[must_use]
    pub fn warnings(&self) -> BTreeMap<String, String> {
        self.entries().warnings.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// From now on ready.
    pub fn ready(&self) {
        self.set(None);
    }

    /// From now on not ready. The reason is shown to whoever reaches the admin listener: no secret,
    /// no personal data.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// Takes the component out of the registry: it no longer counts.
    pub fn remove(self) {
        self.health.entries().components.remove(&self.name);
    }

    fn set(&self, state: Option<String>) {
        let before = self.health.entries().components.insert(self.name.clone(), state.clone());
        // Logged on change only, so that a component may repeat its state at no cost.
        if before.as_ref() != Some(&state) {
            match state {
                None => tracing::info!(component = self.name, "ready"),
                Some(reason) => tracing::info!(component = self.name, reason, "not ready"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
