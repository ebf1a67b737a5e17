//! Who a token is. Tokens come from files (one per agent, `business.token` for the business's programs) or from
//! the configuration; files are looked at every few seconds, so that a token is changed without a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use chassis::{
    config::{Config, Role},
    seal::Sealer,
};
use domain::{AgentId, BusinessId};
use subtle::ConstantTimeEq as _;
use tonic::{Status, metadata::MetadataMap};

use crate::{fault::Fault, metrics};

/// Shortest token that is taken: a shorter one can be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// Name of the file with the token of a business's programs.
const BUSINESS_FILE: &str = "business.token";

/// Where the tokens of one business come from.
#[derive(Clone, Default)]
pub struct TokenSource {
    /// The business.
    pub business: BusinessId,
    /// Its agents; files of anybody else are not read.
    pub agents: BTreeSet<AgentId>,
    /// Those of them who may also move the work of others.
    pub supervisors: BTreeSet<AgentId>,
    /// Directory with `<agent id>` or `<agent id>.token` per agent, and `business.token`.
    pub dir: Option<PathBuf>,
    /// Tokens of agents given in the configuration; a file of the same agent counts instead.
    pub agent_tokens: BTreeMap<AgentId, String>,
    /// Token of its programs given in the configuration; `business.token` counts instead.
    pub business_token: Option<String>,
    /// Tokens of its channels' platforms, by channel.
    pub channel_tokens: BTreeMap<String, String>,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("business", &self.business).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// The sources of every business of `config`.
    #[must_use]
    pub fn from_config(config: &Config) -> Vec<Self> {
        let sources = config.businesses.iter().map(|business| {
            let agents = &business.workspace.agents;
            let given = agents.iter().filter_map(|agent| {
                let token = agent.token.as_ref()?.expose().to_owned();
                Some((AgentId(agent.id.clone()), token))
            });
            Self {
                business: BusinessId(business.id.clone()),
                agents: agents.iter().map(|agent| AgentId(agent.id.clone())).collect(),
                supervisors: agents
                    .iter()
                    .filter(|agent| agent.role == Role::Supervisor)
                    .map(|agent| AgentId(agent.id.clone()))
                    .collect(),
                dir: business.workspace.agent_tokens.clone(),
                agent_tokens: given.collect(),
                business_token: business.api_token.as_ref().map(|token| token.expose().to_owned()),
                channel_tokens: business
                    .channels
                    .iter()
                    .map(|channel| (channel.id.clone(), channel.token.expose().to_owned()))
                    .collect(),
            }
        });
        sources.collect()
    }

    /// Files of this source that exist, each with whom it names.
    fn files(&self) -> Vec<(Option<AgentId>, PathBuf)> {
        let Some(dir) = &self.dir else { return Vec::new() };
        let named = |agent: &AgentId| {
            [dir.join(format!("{}.token", agent.0)), dir.join(&agent.0)]
                .into_iter()
                .find(|path| path.is_file() && path.parent() == Some(dir))
        };
        let business = dir.join(BUSINESS_FILE);
        let business = business.is_file().then_some((None, business));
        let agents = self.agents.iter().filter_map(|agent| {
            // An agent called "business" keeps to a file without the ending.
            let path = named(agent).filter(|path| !path.ends_with(BUSINESS_FILE))?;
            Some((Some(agent.clone()), path))
        });
        business.into_iter().chain(agents).collect()
    }

    fn tokens(&self) -> Vec<(Who, String)> {
        let mut tokens: BTreeMap<Option<AgentId>, String> = self
            .agent_tokens
            .iter()
            .map(|(agent, token)| (Some(agent.clone()), token.clone()))
            .collect();
        tokens.extend(self.business_token.clone().map(|token| (None, token)));
        for (who, path) in self.files() {
            match read(&path) {
                Ok(token) => {
                    tokens.insert(who, token);
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a token file cannot be read; its token is refused");
                    tokens.remove(&who);
                }
            }
        }
        let people = tokens.into_iter().map(|(agent, token)| (Who::of(agent), token));
        let channels = self.channel_tokens.iter();
        let channels = channels.map(|(id, token)| (Who::Channel(id.clone()), token.clone()));
        people.chain(channels).collect()
    }
}

/// Whose token it is, within a business.
enum Who {
    Programs,
    Agent(AgentId),
    Channel(String),
}

impl Who {
    fn of(agent: Option<AgentId>) -> Self {
        agent.map_or(Self::Programs, Self::Agent)
    }
}

fn read(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

/// Whom a token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) business: BusinessId,
    /// `None`: a program of the business.
    pub(crate) agent: Option<AgentId>,
    /// An agent who may also move the work of others.
    pub(crate) supervisor: bool,
    /// The platform of this channel, which only the service `Channel` serves.
    pub(crate) channel: Option<String>,
    hash: [u8; 16],
}

/// All tokens of the installation, by hash.
pub(crate) struct Tokens {
    sealer: Sealer,
    sources: Vec<TokenSource>,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    principals: Vec<Arc<Principal>>,
    seen: Seen,
}

/// What the files looked like when they were read.
type Seen = Vec<(PathBuf, Option<SystemTime>, u64)>;

impl Principal {
    /// Whether it may act on what other agents have: supervisors and programs.
    pub(crate) fn may_overrule(&self) -> bool {
        self.supervisor || self.agent.is_none()
    }
}

impl Tokens {
    pub(crate) fn load(sources: Vec<TokenSource>, sealer: Sealer) -> Self {
        let tokens = Self { sealer, sources, table: RwLock::default() };
        tokens.reload();
        tokens
    }

    /// Reads the files again if one of them changed. Blocks on the file system.
    pub(crate) fn reload_if_changed(&self) {
        let seen = self.look();
        if seen != self.table.read().unwrap_or_else(PoisonError::into_inner).seen {
            self.reload();
        }
    }

    fn look(&self) -> Seen {
        let files = self.sources.iter().flat_map(TokenSource::files);
        let seen = files.filter_map(|(_, path)| {
            let metadata = fs::metadata(&path).ok()?;
            Some((path, metadata.modified().ok(), metadata.len()))
        });
        seen.collect()
    }

    fn reload(&self) {
        let seen = self.look();
        let mut principals: BTreeMap<[u8; 16], Vec<Principal>> = BTreeMap::new();
        for source in &self.sources {
            for (who, token) in source.tokens() {
                let (agent, channel) = match who {
                    Who::Programs => (None, None),
                    Who::Agent(agent) => (Some(agent), None),
                    Who::Channel(channel) => (None, Some(channel)),
                };
                if token.chars().count() < TOKEN_CHARS_MIN {
                    tracing::error!(business = %source.business, agent = agent.as_ref().map_or("-", |agent| agent.0.as_str()), "a token has fewer than {TOKEN_CHARS_MIN} characters and is refused");
                    continue;
                }
                let hash = self.hash(&token);
                let supervisor = agent.as_ref().is_some_and(|it| source.supervisors.contains(it));
                let business = source.business.clone();
                let principal = Principal { business, agent, supervisor, channel, hash };
                principals.entry(hash).or_default().push(principal);
            }
        }
        let mut table = Table { principals: Vec::new(), seen };
        for same in principals.into_values() {
            match <[Principal; 1]>::try_from(same) {
                Ok([principal]) => table.principals.push(Arc::new(principal)),
                Err(same) => {
                    tracing::error!(
                        count = same.len(),
                        "a token is given more than once and is refused for all; give each its own"
                    );
                }
            }
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    pub(crate) fn hash(&self, token: &str) -> [u8; 16] {
        self.sealer.hash16("access token", &[token.as_bytes()])
    }

    /// Whether the token is still one of ours.
    pub(crate) fn is_current(&self, principal: &Principal) -> bool {
        self.find(&principal.hash).is_some_and(|found| *found == *principal)
    }

    /// Every hash is compared, each in constant time: how long it takes says nothing of any token.
    fn find(&self, hash: &[u8; 16]) -> Option<Arc<Principal>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for principal in &table.principals {
            if bool::from(principal.hash.ct_eq(hash)) {
                found = Some(Arc::clone(principal));
            }
        }
        found
    }

    /// The agent or program that a call's metadata names.
    pub(crate) fn check(&self, metadata: &MetadataMap) -> Result<Arc<Principal>, Status> {
        let principal = self.known(metadata)?;
        if principal.channel.is_some() {
            let text = "this is the token of a channel, which opens the service Channel only: use the token of an \
                        agent or of the business";
            return Err(Fault::Forbidden(text).into());
        }
        Ok(principal)
    }

    /// The platform that a call's metadata names, and its channel.
    pub(crate) fn check_channel(
        &self,
        metadata: &MetadataMap,
    ) -> Result<(BusinessId, String), Status> {
        let principal = self.known(metadata)?;
        let Some(channel) = principal.channel.clone() else {
            let text = "this token is no channel's: use the token of [[business.channel]]";
            return Err(Fault::Forbidden(text).into());
        };
        Ok((principal.business.clone(), channel))
    }

    fn known(&self, metadata: &MetadataMap) -> Result<Arc<Principal>, Status> {
        let found = bearer(metadata).and_then(|token| self.find(&self.hash(token)));
        found.ok_or_else(|| {
            ::metrics::counter!(metrics::UNAUTHENTICATED_TOTAL).increment(1);
            Fault::UnknownToken.into()
        })
    }
}

/// The token of a call's metadata.
pub(crate) fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let (scheme, token) = metadata.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = "token-of-ana-0123456789";
    const SHOP: &str = "token-of-the-shop-0123456789";

    fn source(dir: Option<PathBuf>) -> TokenSource {
        TokenSource {
            business: "shop".into(),
            agents: BTreeSet::from(["ana".into(), "bo".into(), "business".into()]),
            dir,
            ..TokenSource::default()
        }
    }

    fn tokens(sources: Vec<TokenSource>) -> Tokens {
        Tokens::load(sources, Sealer::from_key([3; 32]))
    }

    fn who(tokens: &Tokens, header: &str) -> Option<(BusinessId, Option<AgentId>)> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", header.parse().unwrap());
        let principal = tokens.check(&metadata).ok()?;
        Some((principal.business.clone(), principal.agent.clone()))
    }

    #[test]
    fn files_name_agents_and_the_business_and_are_read_again_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("ana.token", &format!("{ANA}\n"));
        write("business.token", SHOP);
        write("mallory.token", "token-of-nobody-0123456789");
        let tokens = tokens(vec![source(Some(dir.path().to_owned()))]);
        let ana = Some(("shop".into(), Some("ana".into())));
        assert_eq!(who(&tokens, &format!("Bearer {ANA}")), ana);
        assert_eq!(who(&tokens, &format!("bearer  {SHOP}")), Some(("shop".into(), None)));
        assert_eq!(who(&tokens, "Bearer token-of-nobody-0123456789"), None);
        for header in [ANA, "Bearer", "Bearer ", "Basic x", &format!("Bearer {ANA}x")] {
            assert_eq!(who(&tokens, header), None, "{header}");
        }
        let before = tokens.find(&tokens.hash(ANA)).unwrap();
        write("ana.token", "another-token-of-ana-0123456789");
        write("bo", "token-of-bo-0123456789");
        tokens.reload_if_changed();
        assert_eq!(who(&tokens, &format!("Bearer {ANA}")), None);
        assert!(!tokens.is_current(&before));
        assert!(who(&tokens, "Bearer another-token-of-ana-0123456789").is_some());
        assert!(who(&tokens, "Bearer token-of-bo-0123456789").is_some());
        assert!(tokens.is_current(&tokens.find(&tokens.hash(SHOP)).unwrap()));
    }

    #[test]
    fn short_tokens_and_tokens_of_two_are_refused() {
        let shared = "shared-by-two-0123456789".to_owned();
        let mut one = source(None);
        one.agent_tokens.insert("ana".into(), shared.clone());
        one.agent_tokens.insert("bo".into(), "short".to_owned());
        one.business_token = Some(SHOP.to_owned());
        let two = TokenSource {
            business: "bank".into(),
            business_token: Some(shared.clone()),
            ..TokenSource::default()
        };
        let tokens = tokens(vec![one, two]);
        assert_eq!(who(&tokens, &format!("Bearer {shared}")), None);
        assert_eq!(who(&tokens, "Bearer short"), None);
        assert!(who(&tokens, &format!("Bearer {SHOP}")).is_some());
    }

    #[test]
    fn a_file_counts_instead_of_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ana"), "token-in-the-file-0123456789").unwrap();
        let mut source = source(Some(dir.path().to_owned()));
        source.agent_tokens.insert("ana".into(), ANA.to_owned());
        let tokens = tokens(vec![source]);
        assert_eq!(who(&tokens, &format!("Bearer {ANA}")), None);
        assert!(who(&tokens, "Bearer token-in-the-file-0123456789").is_some());
    }
}
