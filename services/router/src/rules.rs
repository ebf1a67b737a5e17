//! The configuration as the rules that conversations decide by.

use std::{collections::BTreeMap, sync::Arc};

use chassis::{
    config::{Business, Config, Number},
    seal::Sealer,
};
use domain::{
    AgentId, EntityId, QueueId, Sealed,
    content::Content,
    conversation::{BotRules, MenuOption, Rules, SealedText},
    naming,
    persist::{self, PersistError},
};

/// Words by which a customer asks for a person, in the languages customers most often write them.
const HUMAN_KEYWORDS: [&str; 14] = [
    "agent",
    "human",
    "person",
    "operator",
    "representative",
    "agente",
    "humano",
    "persona",
    "mensch",
    "mitarbeiter",
    "humain",
    "conseiller",
    "人",
    "オペレーター",
];
/// How often the fallback is said before people take over.
const MISSES_MAX: u32 = 1;

/// The rules of every number.
#[derive(Clone, Debug)]
pub struct RuleBook {
    by_number: BTreeMap<EntityId, Arc<Rules>>,
    none: Arc<Rules>,
}

impl RuleBook {
    /// Reads the rules of `config`; texts are sealed here, once.
    ///
    /// # Errors
    /// [`PersistError`] when a text has no encoded form.
    pub fn new(config: &Config, sealer: &Sealer) -> Result<Self, PersistError> {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let mut by_number = BTreeMap::new();
        for business in &config.businesses {
            for number in &business.numbers {
                let rules = rules_of(config, business, number, sealer)?;
                let id = naming::number_id(&hash, &number.phone_number_id);
                by_number.insert(id, Arc::new(rules));
            }
        }
        Ok(Self { by_number, none: Arc::new(Rules::new(QueueId::default())) })
    }

    /// The rules of a number; those of no business where it is not configured (any more).
    #[must_use]
    pub fn of(&self, number: Option<EntityId>) -> Arc<Rules> {
        Arc::clone(number.and_then(|id| self.by_number.get(&id)).unwrap_or(&self.none))
    }
}

fn rules_of(
    config: &Config,
    business: &Business,
    number: &Number,
    sealer: &Sealer,
) -> Result<Rules, PersistError> {
    let queue =
        business.default_queue(number).map_or_else(QueueId::default, |q| QueueId(q.id.clone()));
    let bot = business.bot.enabled.then(|| bot_of(business, sealer)).transpose()?;
    Ok(Rules {
        bot,
        phone_owner: number.phone_owner.clone().map(AgentId),
        phone_answer_timeout_ms: config.limits.phone_answer_timeout_ms,
        phone_floor_timeout_ms: config.limits.phone_floor_timeout_ms,
        ..Rules::new(queue)
    })
}

fn bot_of(business: &Business, sealer: &Sealer) -> Result<BotRules, PersistError> {
    let options: Vec<MenuOption> = menu(business);
    let mut listed = String::new();
    for (place, option) in (1..).zip(&options) {
        listed.push_str(&format!("\n{place}. {}", option.title));
    }
    let with_options = |text: &str| format!("{text}{listed}");
    let seal = |text: String| sealed(business, sealer, text);
    let handoff = business.bot.handoff.trim();
    Ok(BotRules {
        question: seal(with_options(&business.bot.question))?,
        options,
        human_keywords: HUMAN_KEYWORDS.map(str::to_owned).into(),
        handoff_text: (!handoff.is_empty()).then(|| seal(handoff.to_owned())).transpose()?,
        fallback_text: seal(with_options(&business.bot.fallback))?,
        misses_max: MISSES_MAX,
    })
}

/// One option per queue that has keywords, in the order of the queues; further keywords join theirs.
fn menu(business: &Business) -> Vec<MenuOption> {
    let menu = business.triage_menu();
    let queues = &business.workspace.queues;
    queues
        .iter()
        .map(|queue| MenuOption {
            title: if queue.title.is_empty() { queue.id.clone() } else { queue.title.clone() },
            keywords: menu
                .iter()
                .filter(|(_, id)| **id == queue.id)
                .map(|(keyword, _)| keyword.clone())
                .collect(),
            queue: QueueId(queue.id.clone()),
        })
        .filter(|option| !option.keywords.is_empty())
        .collect()
}

fn sealed(business: &Business, sealer: &Sealer, text: String) -> Result<SealedText, PersistError> {
    let content = Content { text: Some(text.clone()), ..Content::default() };
    let sealed = sealer.seal(business.id.as_bytes(), &persist::encode(&content)?);
    let sealed = Sealed { key_id: sealed.key_id, bytes: sealed.bytes };
    Ok(SealedText { plain: text, sealed })
}
