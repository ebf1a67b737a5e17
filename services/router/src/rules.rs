//! The configuration as the rules that conversations decide by.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use chassis::{
    config::{BotStyle, Business, Channel, Config, ExternalBot as ExternalConfig, Number},
    seal::Sealer,
    task::{Shutdown, TaskKind},
};
use domain::{
    AgentId, BusinessId, EntityId, QueueId,
    conversation::{ExternalBot, Rules},
    flow::{Flow, MenuOption, OneQuestion},
    naming,
};

use crate::{
    flows::{FlowFile, FlowsError, LOOK_EVERY},
    metrics,
};

/// Stands for "no window" on a channel: a hundred years, ms.
const CHANNEL_WINDOW_MS: u64 = 36_525 * 24 * 3_600_000;

/// From the end of a call to its result at the conversation, with room, ms.
const WAY_BACK_MS: u64 = 1_000;

/// The rules of every number.
#[derive(Debug)]
pub struct RuleBook {
    by_number: BTreeMap<EntityId, Entry>,
    files: Vec<FlowFile>,
    none: Arc<Rules>,
}

#[derive(Debug)]
struct Entry {
    rules: RwLock<Arc<Rules>>,
    /// Which of the files its flow is from.
    file: Option<usize>,
}

impl RuleBook {
    /// Reads the rules of `config`, and its flow files.
    ///
    /// # Errors
    /// [`FlowsError`] with every problem of every flow file.
    pub fn new(config: &Config, sealer: &Sealer) -> Result<Self, FlowsError> {
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let mut bots = Bots::default();
        let mut by_number = BTreeMap::new();
        for business in &config.businesses {
            for number in &business.numbers {
                let (bot, file) = bots.of(business, number.flow.as_deref());
                let bot_of_own =
                    business.external_bot(number.external.as_ref(), number.flow.as_deref());
                let external = external_of(config, bot_of_own);
                let rules = Rules { bot, external, ..rules_of(config, business, number) };
                let id = naming::number_id(&hash, &number.phone_number_id);
                by_number.insert(id, Entry { rules: RwLock::new(Arc::new(rules)), file });
            }
            for channel in &business.channels {
                let (bot, file) = bots.of(business, channel.flow.as_deref());
                let bot_of_own =
                    business.external_bot(channel.external.as_ref(), channel.flow.as_deref());
                let external = external_of(config, bot_of_own);
                let rules = Rules { bot, external, ..channel_rules(config, business, channel) };
                let account =
                    naming::channel_account(&BusinessId(business.id.clone()), &channel.id);
                let rules = RwLock::new(Arc::new(rules));
                by_number.insert(naming::number_id(&hash, &account), Entry { rules, file });
            }
        }
        let files = bots.finish()?;
        Ok(Self { by_number, files, none: Arc::new(Rules::new(QueueId::default())) })
    }

    /// The rules of a number; those of no business where it is not configured (any more).
    #[must_use]
    pub fn of(&self, number: Option<EntityId>) -> Arc<Rules> {
        match number.and_then(|id| self.by_number.get(&id)) {
            Some(entry) => Arc::clone(&entry.rules.read().unwrap_or_else(PoisonError::into_inner)),
            None => Arc::clone(&self.none),
        }
    }

    /// Takes the flow files that changed. A file that cannot be used leaves its flow in force.
    pub fn reload(&self) {
        for (place, file) in self.files.iter().enumerate() {
            match file.read_if_changed() {
                None => {}
                Some(Ok(flow)) => {
                    self.put(place, &flow);
                    metrics::flow_reload("taken");
                    tracing::info!(file = %file.path().display(), version = flow.version(), "flow read again");
                }
                Some(Err(error)) => {
                    metrics::flow_reload("refused");
                    tracing::warn!(%error, "flow not taken, the one in force stays");
                }
            }
        }
    }

    fn put(&self, place: usize, flow: &Arc<Flow>) {
        for entry in self.by_number.values().filter(|entry| entry.file == Some(place)) {
            let mut rules = entry.rules.write().unwrap_or_else(PoisonError::into_inner);
            *rules = Arc::new(Rules { bot: Some(Arc::clone(flow)), ..(**rules).clone() });
        }
    }

    /// Looks at the flow files until the process stops.
    pub(crate) fn watch(self: &Arc<Self>, shutdown: &Shutdown) {
        if self.files.is_empty() {
            return;
        }
        let (book, stop) = (Arc::clone(self), shutdown.clone());
        let watching = async move {
            loop {
                tokio::select! {
                    () = stop.begun() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let book = Arc::clone(&book);
                if tokio::task::spawn_blocking(move || book.reload()).await.is_err() {
                    tracing::error!("looking at the flow files failed");
                }
            }
        };
        shutdown.spawn(TaskKind::Maintenance, "flow files", watching).detach();
    }
}

/// The bots of the businesses as they are read: each file once per business.
#[derive(Default)]
struct Bots {
    files: Vec<(FlowFile, Arc<Flow>)>,
    problems: Vec<String>,
}

impl Bots {
    fn of(
        &mut self,
        business: &Business,
        own: Option<&Path>,
    ) -> (Option<Arc<Flow>>, Option<usize>) {
        let Some(path) = own.or(business.bot.flow.as_deref()) else {
            let question = business.bot.enabled.then(|| Arc::new(question_of(business)));
            return (question, None);
        };
        let queues = queues_of(business);
        let known = self.files.iter().position(|(file, _)| file.is(path, &queues));
        if let Some((place, (_, flow))) =
            known.and_then(|place| Some((place, self.files.get(place)?)))
        {
            return (Some(Arc::clone(flow)), Some(place));
        }
        match FlowFile::open(path, queues) {
            Ok((file, flow)) => {
                self.files.push((file, Arc::clone(&flow)));
                (Some(flow), Some(self.files.len() - 1))
            }
            Err(FlowsError(told)) => {
                if !self.problems.contains(&told) {
                    self.problems.push(told);
                }
                (None, None)
            }
        }
    }

    fn finish(self) -> Result<Vec<FlowFile>, FlowsError> {
        if self.problems.is_empty() {
            return Ok(self.files.into_iter().map(|(file, _)| file).collect());
        }
        Err(FlowsError(self.problems.join("\n")))
    }
}

/// The queues of a business, which its flows may name.
#[must_use]
pub fn queues_of(business: &Business) -> BTreeSet<QueueId> {
    business.workspace.queues.iter().map(|queue| QueueId(queue.id.clone())).collect()
}

/// A channel has no window: free-form messages may always be sent to who ever wrote.
fn channel_rules(config: &Config, business: &Business, channel: &Channel) -> Rules {
    let queue = business.queue_or_first(channel.queue.as_deref());
    let queue = queue.map_or_else(QueueId::default, |queue| QueueId(queue.id.clone()));
    Rules {
        window_ms: CHANNEL_WINDOW_MS,
        send_not_after_ms: channel.reply_max_age_ms,
        phone_answer_timeout_ms: config.limits.phone_answer_timeout_ms,
        phone_floor_timeout_ms: config.limits.phone_floor_timeout_ms,
        ..Rules::new(queue)
    }
}

fn rules_of(config: &Config, business: &Business, number: &Number) -> Rules {
    let queue =
        business.default_queue(number).map_or_else(QueueId::default, |q| QueueId(q.id.clone()));
    Rules {
        phone_owner: number.phone_owner.clone().map(AgentId),
        phone_answer_timeout_ms: config.limits.phone_answer_timeout_ms,
        phone_floor_timeout_ms: config.limits.phone_floor_timeout_ms,
        reaction_opens_window: config.limits.reaction_opens_window,
        edit_opens_window: config.limits.edit_opens_window,
        ..Rules::new(queue)
    }
}

/// A call is over after `start_by` and its own limit.
fn external_of(config: &Config, external: Option<&ExternalConfig>) -> Option<ExternalBot> {
    let over_ms = config.limits.start_by_ms + external?.deadline_ms + WAY_BACK_MS;
    Some(ExternalBot { over_ms })
}

/// The configured question as a flow.
fn question_of(business: &Business) -> Flow {
    let bot = &business.bot;
    Flow::one_question(&OneQuestion {
        question: bot.question.clone(),
        options: menu(business),
        hand_off: bot.handoff.trim().to_owned(),
        fallback: bot.fallback.clone(),
        buttons: bot.style == BotStyle::Buttons,
        opener: bot.opener.clone(),
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

#[cfg(test)]
mod tests;
