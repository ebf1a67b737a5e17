//! `[[business]]`: a tenant with its numbers, its people and its bot. Nothing in one business
//! refers to another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Secret;

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Business {
    /// Unique name of the tenant in this installation. Letters, digits, `.`, `_`, `-`; at most 64.
    pub id: String,
    /// Secrets of the Meta app that signs this business's webhooks; two while one is being
    /// replaced.
    pub app_secrets: Vec<Secret>,
    /// What Meta must present in the handshake (`hub.verify_token`).
    pub verify_token: Secret,
    /// What programs of this business present to the gRPC services, at least 16 characters; without it only
    /// agents can sign in.
    #[serde(default)]
    pub api_token: Option<Secret>,
    /// Its phone numbers: `[[business.number]]`.
    #[serde(default, rename = "number")]
    pub numbers: Vec<Number>,
    /// Its accounts on other channels: `[[business.channel]]`.
    #[serde(default, rename = "channel")]
    pub channels: Vec<Channel>,
    /// Its routing domain: `[business.workspace]`.
    pub workspace: Workspace,
    /// Its triage: `[business.bot]`.
    #[serde(default)]
    pub bot: Bot,
}

/// Which sides a number is used from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberMode {
    /// The Cloud API alone.
    Api,
    /// The Cloud API and the WhatsApp Business App at once.
    Coexistence,
}

/// One phone number (channel account).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Meta's id of the number, digits; unique in the installation.
    pub phone_number_id: String,
    /// The number as people know it, for display only.
    pub display_phone_number: String,
    /// Meta's id of the WhatsApp Business Account the number belongs to.
    pub waba_id: String,
    /// Token for Graph API calls of this number.
    pub access_token: Secret,
    /// Which sides it is used from.
    pub mode: NumberMode,
    /// Messages per second, if not the mode's default (coexistence 20, in and out counted; api 80);
    /// 5 to 1000. See [`Number::rate`].
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    /// The agent who carries the phone: what it answers is claimed for that agent.
    #[serde(default)]
    pub phone_owner: Option<String>,
    /// Texts the app sends by itself (greeting, away): their echoes do not take the floor.
    #[serde(default)]
    pub greeting_texts: Vec<String>,
    /// A flow file of this number alone, in place of the business's bot.
    #[serde(default)]
    pub flow: Option<PathBuf>,
    /// A bot of the business's own for this number alone: `[business.number.external]`.
    #[serde(default)]
    pub external: Option<ExternalBot>,
    /// Queue of what triage does not place; see [`Business::default_queue`].
    #[serde(default)]
    pub queue: Option<String>,
}

impl Number {
    /// Messages per second allowed on this number.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate_per_second.unwrap_or(match self.mode {
            NumberMode::Coexistence => 20,
            NumberMode::Api => 80,
        })
    }
}

/// An account on a channel that is not WhatsApp: a platform brings messages in and fetches replies over gRPC
/// (service `Channel`). It has no service window and no templates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Name, unique in the business; part of the identity of its conversations, so do not rename it. Letters, digits,
    /// `.`, `_`, `-`; at most 64.
    pub id: String,
    /// What kind of channel it is, for people and reports: `web_chat`, `email`, `telegram`, …
    pub kind: String,
    /// What the platform presents to the gRPC service `Channel`, at least 16 characters; it opens nothing else.
    pub token: Secret,
    /// Replies handed to the platform per second, 1 to 1000.
    #[serde(default = "default_channel_rate")]
    pub rate_per_second: u32,
    /// A reply that the platform has not confirmed for so long is given up: cancelled if it was never fetched, else
    /// listed as unknown.
    #[serde(default = "default_reply_max_age_ms")]
    pub reply_max_age_ms: u64,
    /// A flow file of this channel alone, in place of the business's bot.
    #[serde(default)]
    pub flow: Option<PathBuf>,
    /// A bot of the business's own for this channel alone: `[business.channel.external]`.
    #[serde(default)]
    pub external: Option<ExternalBot>,
    /// Queue of what triage does not place; the workspace's first if not set.
    #[serde(default)]
    pub queue: Option<String>,
}

fn default_channel_rate() -> u32 {
    50
}

fn default_reply_max_age_ms() -> u64 {
    86_400_000
}

/// One routing domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Name, unique in the installation. Letters, digits, `.`, `_`, `-`; at most 64.
    pub id: String,
    /// Its queues: `[[business.workspace.queue]]`.
    #[serde(default, rename = "queue")]
    pub queues: Vec<Queue>,
    /// Its agents: `[[business.workspace.agent]]`.
    #[serde(default, rename = "agent")]
    pub agents: Vec<Agent>,
    /// Directory with one file per agent, named as the agent's id, holding the token it signs in
    /// with.
    #[serde(default, alias = "token_dir")]
    pub agent_tokens: Option<PathBuf>,
    /// Missed offers within ten minutes after which an agent is offered nothing until it does
    /// something; 0 for never.
    #[serde(default = "default_misses_max")]
    pub misses_max: u32,
    /// How long the conversations of a lost connection wait for their agent; then those whose
    /// customers wait are queued again.
    #[serde(default = "default_lost_connection_hold_ms")]
    pub lost_connection_hold_ms: u64,
    /// How long the other ones stay with the agent after that; 0 queues them again with the first.
    #[serde(default = "default_stranded_keep_ms")]
    pub stranded_keep_ms: u64,
    /// A returning customer is first offered to the last agent within this time; 0 for never.
    #[serde(default = "default_sticky_ttl_ms")]
    pub sticky_ttl_ms: u64,
}

fn default_misses_max() -> u32 {
    2
}

fn default_lost_connection_hold_ms() -> u64 {
    120_000
}

fn default_stranded_keep_ms() -> u64 {
    8 * 3_600_000
}

fn default_sticky_ttl_ms() -> u64 {
    7 * 24 * 3_600_000
}

/// Where work items of one kind wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Name, unique in the workspace.
    pub id: String,
    /// Name shown to people; the id if empty.
    #[serde(default)]
    pub title: String,
    /// 0 to 99; the higher is served first, among equals the older item.
    #[serde(default)]
    pub priority: u8,
    /// What an agent must be able to do.
    #[serde(default, rename = "skills")]
    pub required_skills: Vec<SkillNeed>,
    /// How long an agent has to answer an offer.
    #[serde(default = "default_offer_timeout_ms")]
    pub offer_timeout_ms: u64,
    /// Words by which a customer chooses this queue in triage, without regard to case.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// How soon a customer should have an agent. Nobody waits longer than five times this behind
    /// others.
    #[serde(default = "default_answer_target_ms")]
    pub answer_target_ms: u64,
    /// Work after a conversation.
    #[serde(default)]
    pub wrap_up: WrapUp,
}

fn default_answer_target_ms() -> u64 {
    120_000
}

/// What an agent does after a conversation is resolved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WrapUp {
    /// `none`; `optional`: when the agent asks for it; `timed`: always.
    pub mode: WrapUpMode,
    /// It ends after this by itself; the agent may end it before.
    pub for_ms: u64,
    /// Whether it uses the capacity that the conversation used.
    pub holds_capacity: bool,
}

impl Default for WrapUp {
    fn default() -> Self {
        Self { mode: WrapUpMode::None, for_ms: 60_000, holds_capacity: false }
    }
}

/// Whether there is work after a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WrapUpMode {
    /// None.
    None,
    /// When the agent asks for it.
    Optional,
    /// Always.
    Timed,
}

fn default_offer_timeout_ms() -> u64 {
    30_000
}

/// A requirement of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkillNeed {
    /// The skill.
    pub name: String,
    /// The lowest sufficient level, 1 to 10.
    #[serde(default = "default_level")]
    pub level: u8,
}

fn default_level() -> u8 {
    1
}

/// A person who answers customers at the desk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Name, unique in the business.
    pub id: String,
    /// Skills with their levels, 1 to 10.
    #[serde(default)]
    pub skills: BTreeMap<String, u8>,
    /// Budget of weighted capacity units, 1 to 10,000.
    #[serde(default = "default_capacity_units")]
    pub capacity_units: u32,
    /// Queues the agent serves; none named means every queue of the workspace.
    #[serde(default)]
    pub queues: BTreeSet<String>,
    /// What the agent signs in with, if not from `agent_tokens`. Always set in a loaded
    /// [`super::Config`].
    #[serde(default)]
    pub token: Option<Secret>,
    /// `agent`, or `supervisor`: may assign to others, move what others have, and set VIPs.
    #[serde(default)]
    pub role: Role,
}

/// What the token of a person allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its own work.
    #[default]
    Agent,
    /// Also the work of others.
    Supervisor,
}

fn default_capacity_units() -> u32 {
    100
}

/// The one-question triage.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bot {
    /// Whether a new episode begins with the question; without it every item goes to the number's
    /// queue.
    pub enabled: bool,
    /// The question.
    pub question: String,
    /// Said when the conversation is handed to the desk.
    pub handoff: String,
    /// Said when the answer names no queue; the item then goes to the number's queue.
    pub fallback: String,
    /// How the options are shown: `text` (numbered in the question) or `buttons` (reply buttons, from four
    /// options on a list).
    pub style: BotStyle,
    /// With a list: what opens it, at most 20 characters.
    pub opener: String,
    /// A flow file in place of the question (docs/flows.md); it is watched and read again when it changes.
    pub flow: Option<PathBuf>,
    /// A bot of the business's own, asked over gRPC for every turn (docs/flows.md): `[business.bot.external]`. Where
    /// it fails, the flow or the question takes over, else people.
    pub external: Option<ExternalBot>,
    /// Further keywords: `[[business.bot.option]]`. They come before those of the queues.
    #[serde(rename = "option")]
    pub options: Vec<BotOption>,
}

/// How the question's options are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BotStyle {
    /// Numbered in the text.
    #[default]
    Text,
    /// To tap.
    Buttons,
}

impl Default for Bot {
    fn default() -> Self {
        Self {
            enabled: false,
            question: "How can we help you? Please answer with one word.".to_owned(),
            handoff: "Thank you, we will be with you shortly.".to_owned(),
            fallback: "Thank you, a colleague will help you shortly.".to_owned(),
            style: BotStyle::Text,
            opener: "Choose".to_owned(),
            flow: None,
            external: None,
            options: Vec::new(),
        }
    }
}

/// A program that implements the gRPC service `Bot`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalBot {
    /// Where it listens: `https://host:port`, or `http://` on the loopback address.
    pub endpoint: String,
    /// What it is shown, at least 16 characters: metadata `authorization: Bearer <token>`.
    pub token: Secret,
    /// How long a turn may take, at most `limits.call_hard_limit_ms`.
    #[serde(default = "default_bot_deadline_ms")]
    pub deadline_ms: u64,
}

fn default_bot_deadline_ms() -> u64 {
    5_000
}

/// Keywords that lead to a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BotOption {
    /// Words a customer may answer with, without regard to case.
    pub keywords: Vec<String>,
    /// The queue they lead to.
    pub queue: String,
}

impl Business {
    /// The external bot of a number or channel with these settings of its own. A flow of its own stands in place of
    /// the business's bot, also of an external one.
    #[must_use]
    pub fn external_bot<'a>(
        &'a self,
        own: Option<&'a ExternalBot>,
        flow: Option<&Path>,
    ) -> Option<&'a ExternalBot> {
        own.or_else(|| self.bot.external.as_ref().filter(|_| flow.is_none()))
    }

    /// The queue of what triage does not place on `number`: its `queue`, else the workspace's
    /// first.
    #[must_use]
    pub fn default_queue(&self, number: &Number) -> Option<&Queue> {
        self.queue_or_first(number.queue.as_deref())
    }

    /// The queue of that id, or the workspace's first where none is named.
    #[must_use]
    pub fn queue_or_first(&self, id: Option<&str>) -> Option<&Queue> {
        match id {
            Some(id) => self.workspace.queues.iter().find(|q| q.id == id),
            None => self.workspace.queues.first(),
        }
    }

    /// The triage menu: (keyword in lower case, queue id). A keyword leads to one queue only.
    #[must_use]
    pub fn triage_menu(&self) -> BTreeMap<String, String> {
        self.menu_entries().map(|(keyword, queue)| (keyword, queue.to_owned())).collect()
    }

    pub(super) fn menu_entries(&self) -> impl Iterator<Item = (String, &str)> {
        let options = self.bot.options.iter().map(|o| (&o.keywords, o.queue.as_str()));
        let queues = self.workspace.queues.iter().map(|q| (&q.keywords, q.id.as_str()));
        options
            .chain(queues)
            .flat_map(|(words, queue)| words.iter().map(move |w| (w.trim().to_lowercase(), queue)))
    }
}
