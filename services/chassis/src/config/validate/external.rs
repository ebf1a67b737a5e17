//! Checks of external bots.

use super::{Findings, business::TOKEN_CHARS_MIN, is_this_machine};
use crate::config::{Config, ExternalBot};

/// A shorter one fails on any network.
const DEADLINE_MS_MIN: u64 = 100;

pub(super) fn check(findings: &mut Findings, config: &Config) {
    let limit_ms = config.limits.call_hard_limit_ms;
    for (b, business) in config.businesses.iter().enumerate() {
        let key = format!("business[{b}]");
        if let Some(bot) = &business.bot.external {
            check_bot(findings, &format!("{key}.bot.external"), bot, limit_ms);
        }
        for (n, number) in business.numbers.iter().enumerate() {
            if let Some(bot) = &number.external {
                check_bot(findings, &format!("{key}.number[{n}].external"), bot, limit_ms);
            }
        }
        for (c, channel) in business.channels.iter().enumerate() {
            if let Some(bot) = &channel.external {
                check_bot(findings, &format!("{key}.channel[{c}].external"), bot, limit_ms);
            }
        }
    }
}

fn check_bot(findings: &mut Findings, key: &str, bot: &ExternalBot, limit_ms: u64) {
    if let Err(advice) = check_endpoint(&bot.endpoint) {
        findings.add(format!("{key}.endpoint"), advice);
    }
    findings.range(format!("{key}.deadline_ms"), bot.deadline_ms, DEADLINE_MS_MIN..=limit_ms);
    // An empty one was reported when it was resolved.
    let token = bot.token.expose();
    if !token.is_empty() && token.chars().count() < TOKEN_CHARS_MIN {
        findings.add(
            format!("{key}.token"),
            format!(
                "is shorter than {TOKEN_CHARS_MIN} characters; make one with `openssl rand -hex 32`"
            ),
        );
    }
    if !token.chars().all(|c| c.is_ascii_graphic()) {
        findings.add(format!("{key}.token"), "use printable ASCII without spaces");
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let secure = endpoint.strip_prefix("https://");
    let (Some(host), plain) =
        (secure.or_else(|| endpoint.strip_prefix("http://")), secure.is_none())
    else {
        return Err("write it as https://host:port");
    };
    let bare = !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic());
    if !bare || host.contains(['/', '@', '?', '#']) {
        return Err("write scheme, host and port only, as https://host:port");
    }
    if plain && !is_this_machine(host) {
        return Err("what customers say and the token would travel readable; use https://");
    }
    Ok(())
}
