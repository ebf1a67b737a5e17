//! Which business a webhook belongs to: by the secret that signed it and the number it names.

use std::{collections::BTreeMap, sync::Arc};

use chassis::{config::Config, seal::Sealer};
use domain::{BusinessId, EntityId, conversation::Via, naming};
use subtle::ConstantTimeEq as _;
use whatsapp::signature::{SecretError, SignatureError, Verifier};

/// A configuration the edge cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A secret is unusable.
    #[error("business {business}: app_secrets: {source}")]
    Secret {
        /// The business.
        business: String,
        /// Why.
        source: SecretError,
    },
}

/// A number as the edge needs it.
#[derive(Clone, Debug)]
pub struct NumberEntry {
    /// Its business.
    pub business: BusinessId,
    /// Meta's id of it.
    pub phone_number_id: String,
    /// Number and workspace.
    pub via: Via,
    /// Normalised texts of the phone app's greeting and away messages.
    pub automatic_texts: Vec<String>,
}

#[derive(Debug)]
struct Tenant {
    id: BusinessId,
    verifier: Verifier,
    verify_token: String,
    workspace: EntityId,
}

/// Everything the edge knows of the configuration.
#[derive(Debug)]
pub struct Directory {
    tenants: Vec<Tenant>,
    numbers: BTreeMap<String, Arc<NumberEntry>>,
    wabas: BTreeMap<String, Vec<String>>,
}

impl Directory {
    /// Reads the businesses of `config`.
    ///
    /// # Errors
    /// [`DirectoryError`] when a secret cannot be used.
    pub fn new(config: &Config, sealer: &Sealer) -> Result<Self, DirectoryError> {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let mut directory =
            Self { tenants: Vec::new(), numbers: BTreeMap::new(), wabas: BTreeMap::new() };
        for business in &config.businesses {
            let id = BusinessId(business.id.clone());
            let secrets: Vec<&str> = business.app_secrets.iter().map(|s| s.expose()).collect();
            let verifier = Verifier::new(&secrets).map_err(|source| DirectoryError::Secret {
                business: business.id.clone(),
                source,
            })?;
            let workspace = naming::workspace_id(&hash, &id, &business.workspace.id);
            for number in &business.numbers {
                let via =
                    Via { number: naming::number_id(&hash, &number.phone_number_id), workspace };
                let entry = NumberEntry {
                    business: id.clone(),
                    phone_number_id: number.phone_number_id.clone(),
                    via,
                    automatic_texts: number.greeting_texts.iter().map(|t| normalise(t)).collect(),
                };
                let waba = directory.wabas.entry(number.waba_id.clone()).or_default();
                waba.push(number.phone_number_id.clone());
                directory.numbers.insert(number.phone_number_id.clone(), Arc::new(entry));
            }
            let verify_token = business.verify_token.expose().to_owned();
            directory.tenants.push(Tenant { id, verifier, verify_token, workspace });
        }
        Ok(directory)
    }

    /// Whether any business (or the one named) uses this verify token. Every token is compared.
    #[must_use]
    pub fn knows_verify_token(&self, business: Option<&str>, token: &str) -> bool {
        self.tenants.iter().fold(false, |known, tenant| {
            let equal: bool = tenant.verify_token.as_bytes().ct_eq(token.as_bytes()).into();
            known | (equal & business.is_none_or(|b| b == tenant.id.0))
        })
    }

    /// The businesses whose secret signed `body`. Every secret is tried whatever the path, so that an unknown
    /// business costs and answers the same as a bad signature.
    ///
    /// # Errors
    /// The signature error to report when no business matches.
    pub fn signers(
        &self,
        business: Option<&str>,
        header: Option<&[u8]>,
        body: &[u8],
    ) -> Result<Vec<BusinessId>, SignatureError> {
        let mut signers = Vec::new();
        let mut refused = SignatureError::Mismatch;
        for tenant in &self.tenants {
            match tenant.verifier.verify(header, body) {
                Ok(_) if business.is_none_or(|b| b == tenant.id.0) => {
                    signers.push(tenant.id.clone());
                }
                Ok(_) => {}
                Err(error) => refused = error,
            }
        }
        if signers.is_empty() { Err(refused) } else { Ok(signers) }
    }

    /// The number with this Meta id, if it belongs to one of `signers` (invariant 10).
    #[must_use]
    pub fn number(
        &self,
        signers: &[BusinessId],
        phone_number_id: &str,
    ) -> Option<Arc<NumberEntry>> {
        let entry = self.numbers.get(phone_number_id)?;
        signers.contains(&entry.business).then(|| Arc::clone(entry))
    }

    /// A number of this WhatsApp Business Account, for items that name no number.
    #[must_use]
    pub fn number_of_waba(&self, signers: &[BusinessId], waba: &str) -> Option<Arc<NumberEntry>> {
        self.wabas.get(waba)?.iter().find_map(|id| self.number(signers, id))
    }

    /// The number of a signer that has no other, for items that name nothing at all.
    #[must_use]
    pub fn only_number(&self, signers: &[BusinessId]) -> Option<Arc<NumberEntry>> {
        let mut theirs = self.numbers.values().filter(|entry| signers.contains(&entry.business));
        let first = theirs.next()?;
        theirs.next().is_none().then(|| Arc::clone(first))
    }

    /// Workspaces of all businesses.
    pub fn workspaces(&self) -> impl Iterator<Item = (&BusinessId, EntityId)> {
        self.tenants.iter().map(|tenant| (&tenant.id, tenant.workspace))
    }
}

/// The form in which texts of echoes are compared: trimmed, spaces collapsed, lower case.
#[must_use]
pub(crate) fn normalise(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
