//! Checks of `[[business]]`: complete in itself, and apart from every other.

use std::collections::BTreeSet;

use super::{Findings, Seen, is_name};
use crate::config::{Agent, BotStyle, Business, Number, Workspace};

/// Shorter tokens can be guessed by whoever reaches the listener.
pub(super) const TOKEN_CHARS_MIN: usize = 16;
const LEVELS: std::ops::RangeInclusive<u64> = 1..=10;

/// What must be unique in the whole installation.
#[derive(Default)]
struct Installation {
    businesses: Seen,
    workspaces: Seen,
    numbers: Seen,
    tokens: Seen,
}

pub(super) fn check(findings: &mut Findings, businesses: &[Business]) {
    let mut all = Installation::default();
    for (i, business) in businesses.iter().enumerate() {
        let key = format!("business[{i}]");
        findings.name(format!("{key}.id"), &business.id);
        if let Some(first) = all.businesses.before(&business.id, &key) {
            findings.add(format!("{key}.id"), format!("is also the id of {first}; rename one"));
        }
        if !(1..=2).contains(&business.app_secrets.len()) {
            findings.add(
                format!("{key}.app_secrets"),
                "give one app secret, or two while one is being replaced",
            );
        }
        if let Some(token) = business.api_token.as_ref().map(crate::config::Secret::expose)
            && !token.is_empty()
        {
            let token_key = format!("{key}.api_token");
            check_token_text(findings, &mut all.tokens, &key, &token_key, token);
        }
        workspace(findings, &mut all, &key, &business.workspace);
        bot(findings, &key, business);
        for (n, number) in business.numbers.iter().enumerate() {
            let key = format!("{key}.number[{n}]");
            check_number(findings, &mut all, &key, number, business);
        }
        check_channels(findings, &mut all.tokens, &key, business);
    }
}

fn check_number(
    findings: &mut Findings,
    all: &mut Installation,
    key: &str,
    number: &Number,
    business: &Business,
) {
    let id_key = format!("{key}.phone_number_id");
    if !is_digits(&number.phone_number_id) {
        findings.add(&id_key, "write Meta's id of the number: digits only, in quotes");
    }
    if let Some(first) = all.numbers.before(&number.phone_number_id, key) {
        findings.add(
            &id_key,
            format!("is also the number of {first}; a number belongs to one business, once"),
        );
    }
    if !is_digits(&number.waba_id) {
        findings.add(
            format!("{key}.waba_id"),
            "write Meta's id of the WhatsApp Business Account: digits only, in quotes",
        );
    }
    if number.display_phone_number.trim().is_empty() {
        findings.add(format!("{key}.display_phone_number"), "write the number as people know it");
    }
    findings.range(format!("{key}.rate_per_second"), number.rate().into(), 5..=1_000);
    if let Some(owner) = &number.phone_owner
        && !business.workspace.agents.iter().any(|a| a.id == *owner)
    {
        findings.add(format!("{key}.phone_owner"), no_such("agent", owner));
    }
    if business.default_queue(number).is_none() {
        match &number.queue {
            Some(queue) => findings.add(format!("{key}.queue"), no_such("queue", queue)),
            None => {
                findings.add(key, "its workspace has no queue; add [[business.workspace.queue]]")
            }
        }
    }
}

fn check_channels(findings: &mut Findings, tokens: &mut Seen, key: &str, business: &Business) {
    let mut ids = Seen::default();
    for (c, channel) in business.channels.iter().enumerate() {
        let key = format!("{key}.channel[{c}]");
        findings.name(format!("{key}.id"), &channel.id);
        findings.name(format!("{key}.kind"), &channel.kind);
        if let Some(first) = ids.before(&channel.id, &key) {
            findings.add(format!("{key}.id"), format!("is also the id of {first}; rename one"));
        }
        findings.range(format!("{key}.rate_per_second"), channel.rate_per_second.into(), 1..=1_000);
        let age_key = format!("{key}.reply_max_age_ms");
        findings.range(age_key, channel.reply_max_age_ms, 1_000..=2_592_000_000);
        // An empty one was reported when it was resolved.
        let token = channel.token.expose();
        if !token.is_empty() {
            check_token_text(findings, tokens, &key, &format!("{key}.token"), token);
        }
        if business.queue_or_first(channel.queue.as_deref()).is_none() {
            match &channel.queue {
                Some(queue) => findings.add(format!("{key}.queue"), no_such("queue", queue)),
                None => {
                    findings
                        .add(key, "its workspace has no queue; add [[business.workspace.queue]]");
                }
            }
        }
    }
}

fn workspace(findings: &mut Findings, all: &mut Installation, key: &str, workspace: &Workspace) {
    let key = format!("{key}.workspace");
    findings.name(format!("{key}.id"), &workspace.id);
    if let Some(first) = all.workspaces.before(&workspace.id, &key) {
        findings.add(format!("{key}.id"), format!("is also the id of {first}; rename one"));
    }
    findings.range(format!("{key}.misses_max"), workspace.misses_max.into(), 0..=16);
    for (name, value) in [
        ("lost_connection_hold_ms", workspace.lost_connection_hold_ms),
        ("stranded_keep_ms", workspace.stranded_keep_ms),
        ("sticky_ttl_ms", workspace.sticky_ttl_ms),
    ] {
        findings.range(format!("{key}.{name}"), value, 0..=30 * 86_400_000);
    }
    let mut ids = Seen::default();
    for (q, queue) in workspace.queues.iter().enumerate() {
        let key = format!("{key}.queue[{q}]");
        findings.name(format!("{key}.id"), &queue.id);
        if let Some(first) = ids.before(&queue.id, &key) {
            findings.add(format!("{key}.id"), format!("is also the id of {first}; rename one"));
        }
        findings.range(format!("{key}.priority"), queue.priority.into(), 0..=99);
        findings.range(format!("{key}.offer_timeout_ms"), queue.offer_timeout_ms, 100..=86_400_000);
        let target = format!("{key}.answer_target_ms");
        findings.range(target, queue.answer_target_ms, 1_000..=86_400_000);
        findings.range(format!("{key}.wrap_up.for_ms"), queue.wrap_up.for_ms, 1_000..=3_600_000);
        for (s, need) in queue.required_skills.iter().enumerate() {
            findings.name(format!("{key}.skills[{s}].name"), &need.name);
            findings.range(format!("{key}.skills[{s}].level"), need.level.into(), LEVELS);
        }
    }
    let queues: BTreeSet<&str> = workspace.queues.iter().map(|q| q.id.as_str()).collect();
    let mut ids = Seen::default();
    for (a, agent) in workspace.agents.iter().enumerate() {
        let key = format!("{key}.agent[{a}]");
        if let Some(first) = ids.before(&agent.id, &key) {
            findings.add(format!("{key}.id"), format!("is also the id of {first}; rename one"));
        }
        check_agent(findings, &key, agent, &queues);
        check_token(findings, &mut all.tokens, &key, agent);
    }
}

fn check_agent(findings: &mut Findings, key: &str, agent: &Agent, queues: &BTreeSet<&str>) {
    findings.name(format!("{key}.id"), &agent.id);
    for (skill, level) in &agent.skills {
        if !is_name(skill) {
            findings.name(format!("{key}.skills"), skill);
        }
        findings.range(format!("{key}.skills.{skill}"), (*level).into(), LEVELS);
    }
    findings.range(format!("{key}.capacity_units"), agent.capacity_units.into(), 1..=10_000);
    for queue in agent.queues.iter().filter(|q| !queues.contains(q.as_str())) {
        findings.add(format!("{key}.queues"), no_such("queue", queue));
    }
}

fn check_token(findings: &mut Findings, tokens: &mut Seen, key: &str, agent: &Agent) {
    let token_key = format!("{key}.token");
    match agent.token.as_ref().map(super::super::Secret::expose) {
        // Its file is not looked for while the id is no plain name, which was reported.
        None if !is_name(&agent.id) => {}
        None => findings.add(
            token_key,
            "is missing; set business.workspace.agent_tokens to a directory with one token file \
             per agent, or the token here",
        ),
        // An empty one was reported when it was resolved.
        Some("") => {}
        Some(token) => check_token_text(findings, tokens, key, &token_key, token),
    }
}

fn check_token_text(
    findings: &mut Findings,
    tokens: &mut Seen,
    key: &str,
    token_key: &str,
    token: &str,
) {
    if token.len() < TOKEN_CHARS_MIN {
        findings.add(
            token_key,
            format!(
                "is shorter than {TOKEN_CHARS_MIN} characters; make one with `openssl rand -hex 32`"
            ),
        );
    }
    if let Some(first) = tokens.before(token, key) {
        findings.add(
            token_key,
            format!("is also the token of {first}; give every agent a token of its own"),
        );
    }
}

fn bot(findings: &mut Findings, key: &str, business: &Business) {
    let bot = &business.bot;
    for (name, text) in
        [("question", &bot.question), ("handoff", &bot.handoff), ("fallback", &bot.fallback)]
    {
        if bot.enabled && (text.trim().is_empty() || text.chars().count() > 4_096) {
            findings.add(format!("{key}.bot.{name}"), "write a text of 1 to 4096 characters");
        }
    }
    if bot.enabled && bot.style == BotStyle::Buttons {
        buttons(findings, key, business);
    }
    for (o, option) in bot.options.iter().enumerate() {
        if !business.workspace.queues.iter().any(|q| q.id == option.queue) {
            findings.add(format!("{key}.bot.option[{o}].queue"), no_such("queue", &option.queue));
        }
        if option.keywords.is_empty() {
            findings.add(format!("{key}.bot.option[{o}].keywords"), "give at least one word");
        }
    }
    let mut seen = Seen::default();
    for (keyword, queue) in business.menu_entries() {
        if keyword.is_empty() {
            findings.add(format!("{key}.bot"), format!("the queue {queue} has an empty keyword"));
        }
        if let Some(first) = seen.before(&keyword, queue).filter(|first| first != queue) {
            findings.add(
                format!("{key}.bot"),
                format!("`{keyword}` leads to {first} and to {queue}; keep one"),
            );
        }
    }
}

/// Meta's limits on what is tapped (three buttons of 20 characters, ten rows of 24).
fn buttons(findings: &mut Findings, key: &str, business: &Business) {
    let queues = &business.workspace.queues;
    let keywords = business.triage_menu();
    let shown = queues.iter().enumerate().filter(|(_, q)| keywords.values().any(|id| *id == q.id));
    let shown: Vec<_> = shown.collect();
    let title_max = if shown.len() <= 3 { 20 } else { 24 };
    if shown.len() > 10 {
        findings.add(
            format!("{key}.bot.style"),
            format!("{} options; a list takes 10: use style = \"text\" or a flow", shown.len()),
        );
    }
    if shown.len() > 3 && !(1..=20).contains(&business.bot.opener.chars().count()) {
        findings.add(format!("{key}.bot.opener"), "write a text of 1 to 20 characters");
    }
    for (q, queue) in shown {
        let title = if queue.title.is_empty() { &queue.id } else { &queue.title };
        if title.chars().count() > title_max {
            findings.add(
                format!("{key}.workspace.queue[{q}].title"),
                format!("is longer than the {title_max} characters of a button; shorten it"),
            );
        }
    }
}

fn is_digits(value: &str) -> bool {
    (1..=32).contains(&value.len()) && value.chars().all(|c| c.is_ascii_digit())
}

fn no_such(what: &str, name: &str) -> String {
    format!("there is no {what} `{name}` in this business's workspace; add it or correct the name")
}
