//! Makes the entities of the product for the runtime.

use std::{collections::BTreeMap, sync::Arc};

use chassis::{config::Config, seal::Sealer, task::Shutdown};
use domain::{EntityKind, naming};
use runtime::{
    bus::{EntityId, SavedPart},
    host::{EntityError, Host, LiveEntity},
};

use crate::{
    bridge::{self, Opener},
    conversation::HostedConversation,
    flows::FlowsError,
    number::HostedNumber,
    rules::RuleBook,
    workspace::HostedWorkspace,
};

/// The entities of one installation.
#[derive(Debug)]
pub struct RouterHost {
    rules: Arc<RuleBook>,
    opener: Opener,
    /// Meta's ids of the numbers.
    numbers: BTreeMap<domain::EntityId, String>,
}

impl RouterHost {
    /// A host with the rules of `config`.
    ///
    /// # Errors
    /// [`FlowsError`] when a flow file cannot be used.
    pub fn new(config: &Config, sealer: Arc<Sealer>) -> Result<Self, FlowsError> {
        let rules = Arc::new(RuleBook::new(config, &sealer)?);
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let numbers = config.businesses.iter().flat_map(|business| &business.numbers);
        let numbers = numbers.map(|number| {
            let id = naming::number_id(&hash, &number.phone_number_id);
            (id, number.phone_number_id.clone())
        });
        let numbers = numbers.collect();
        Ok(Self { rules, opener: Opener::new(sealer), numbers })
    }

    /// Reads flow files again when they change, until the process stops.
    pub fn watch_flows(&self, shutdown: &Shutdown) {
        self.rules.watch(shutdown);
    }
}

impl Host for RouterHost {
    fn load(&self, id: EntityId, parts: &[SavedPart]) -> Result<Box<dyn LiveEntity>, EntityError> {
        let Some(own) = bridge::to_domain(id) else {
            return Err(EntityError::Unreadable(format!("entity kind {} is not known", id.kind)));
        };
        Ok(match own.kind {
            EntityKind::Conversation => Box::new(HostedConversation::load(
                own,
                parts,
                Arc::clone(&self.rules),
                self.opener.clone(),
            )?),
            EntityKind::Workspace => Box::new(HostedWorkspace::load(own, parts)?),
            EntityKind::Number => {
                let phone_number_id = self.numbers.get(&own).cloned();
                Box::new(HostedNumber::load(own, parts, phone_number_id)?)
            }
        })
    }
}
