//! The codes of fact sheet 4.3. Rows are ordered by code; ranges are inclusive and may not overlap
//! (tested).

use super::ErrorClass::{
    AccountLocked, AlreadyDone, CountryBlocked, IdentityChanged, InboundNotice, MarketingHeld,
    MarketingOptedOut, MisclassificationCap, NeedsPhone, NoPermission, NoRetry,
    NumberNotRegistered, PairBackoff, PaymentNeeded, RetryOnceInWindow, SpamLimited, StopChannel,
    TemplateDisabled, TemplatePaused, TemplateWrong, Throttled, Undeliverable, WrongApi,
};
use super::{Backoff, ErrorClass, Scope, Verdict};

pub(super) struct Row {
    pub(super) first: i64,
    pub(super) last: i64,
    verdict: Verdict,
}

const fn codes(first: i64, last: i64, class: ErrorClass, for_agent: &'static str) -> Row {
    Row { first, last, verdict: Verdict { class, for_agent } }
}

const fn code(code: i64, class: ErrorClass, for_agent: &'static str) -> Row {
    codes(code, code, class, for_agent)
}

const fn wait(first_ms: u64, attempts_max: Option<u8>, scope: Scope) -> ErrorClass {
    ErrorClass::Backoff(Backoff { first_ms, attempts_max, scope })
}

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

const TOKEN: &str = "The channel's access to WhatsApp has ended. An administrator must renew it.";
const PERMISSION: &str =
    "The channel lacks a permission at WhatsApp. An administrator must grant it.";
const TROUBLE: &str = "WhatsApp has a problem. It is tried again; if it fails, send again later.";
const BUSY: &str = "WhatsApp is limiting this channel. The message waits.";
const INVALID: &str = "WhatsApp did not accept the message as it is. Change it and send again.";
const REGISTER: &str =
    "The number is not properly registered at WhatsApp. An administrator must act.";
const TEMPLATE: &str = "The template does not fit. Choose another or correct it.";
const PAYMENT: &str =
    "WhatsApp has a payment problem with this account. An administrator must act.";
const GROUPS: &str = "Not possible in this group.";
const CALLING: &str = "The call is not possible.";
const MANAGEMENT: &str = "WhatsApp did not accept the change to the account.";

pub(super) static ROWS: &[Row] = &[
    code(0, StopChannel, TOKEN),
    code(1, wait(1000, Some(3), Scope::Message), TROUBLE),
    // One such answer says nothing of the number: pausing it for each would stop a busy one most of the time.
    code(2, wait(2000, None, Scope::Message), TROUBLE),
    code(3, NoPermission, PERMISSION),
    code(4, wait(MINUTE_MS, None, Scope::App), BUSY),
    code(10, NoPermission, PERMISSION),
    code(
        33,
        NumberNotRegistered,
        "This number no longer exists at WhatsApp. An administrator must act.",
    ),
    code(100, NoRetry, INVALID),
    code(190, StopChannel, TOKEN),
    codes(200, 299, NoPermission, PERMISSION),
    code(
        368,
        AccountLocked,
        "WhatsApp has blocked this account for policy reasons. An administrator must act.",
    ),
    code(
        803,
        NoRetry,
        "The channel refers to something WhatsApp does not know. Ask an administrator.",
    ),
    code(80_007, wait(MINUTE_MS, None, Scope::Account), BUSY),
    code(130_429, Throttled, BUSY),
    code(
        130_472,
        NoRetry,
        "WhatsApp does not deliver marketing to this customer. Do not send it again.",
    ),
    code(
        130_497,
        CountryBlocked,
        "This business may not write to the customer's country. Use another channel.",
    ),
    code(130_501, InboundNotice, "A group message cannot be shown."),
    code(131_000, wait(1000, Some(3), Scope::Message), TROUBLE),
    code(131_005, NoPermission, PERMISSION),
    codes(131_008, 131_009, NoRetry, INVALID),
    code(131_016, wait(2000, None, Scope::Message), TROUBLE),
    code(131_020, NoRetry, GROUPS),
    code(131_021, NoRetry, "The customer's number is the business's own. Check whom you write to."),
    code(
        131_026,
        Undeliverable,
        "Cannot be delivered to this customer on WhatsApp. Use another channel.",
    ),
    code(
        131_030,
        NoRetry,
        "This test number may only write to numbers on its list. Ask an administrator.",
    ),
    code(131_031, AccountLocked, "WhatsApp has locked this account. An administrator must act."),
    code(
        131_037,
        NoRetry,
        "The business's display name is not approved yet. An administrator must see to it.",
    ),
    code(131_041, NoRetry, GROUPS),
    code(131_042, PaymentNeeded, PAYMENT),
    code(131_044, PaymentNeeded, PAYMENT),
    code(131_045, NumberNotRegistered, REGISTER),
    code(
        131_047,
        RetryOnceInWindow,
        "More than 24 hours since the customer's last message. Send a template.",
    ),
    code(
        131_048,
        SpamLimited,
        "Customers blocked or reported this number, so WhatsApp limits it. Send less, later.",
    ),
    code(
        131_049,
        MarketingHeld,
        "WhatsApp delivers no marketing to this customer for now. Wait a day at least.",
    ),
    code(
        131_050,
        MarketingOptedOut,
        "The customer has stopped marketing messages. Do not send any more.",
    ),
    code(131_051, NoRetry, "WhatsApp does not support this kind of message. Send another kind."),
    code(131_052, InboundNotice, "The customer's file cannot be fetched."),
    code(
        131_053,
        wait(5000, Some(3), Scope::Message),
        "WhatsApp could not fetch the file. It is tried again; check its link.",
    ),
    code(131_055, WrongApi, "Only marketing templates can go this way. Choose another template."),
    code(
        131_056,
        PairBackoff,
        "Too many messages to this customer in a short time. The message waits.",
    ),
    code(
        131_057,
        wait(MINUTE_MS, None, Scope::Number),
        "WhatsApp is upgrading this number. The message waits.",
    ),
    code(131_059, NoRetry, INVALID),
    code(131_060, InboundNotice, "The message is only on the phone. Look there."),
    code(131_062, NeedsPhone, "This message needs the customer's phone number. Ask for it first."),
    code(
        131_063,
        WrongApi,
        "Marketing has to go another way for this account. Ask an administrator.",
    ),
    code(
        131_064,
        MisclassificationCap,
        "WhatsApp limits this account's utility templates for a while. Try again later.",
    ),
    code(131_065, NoRetry, "Not available in the customer's country. Send something else."),
    codes(131_201, 131_215, NoRetry, GROUPS),
    code(132_000, TemplateWrong, TEMPLATE),
    code(
        132_001,
        TemplateWrong,
        "The template does not exist in this language or is not approved. Choose another.",
    ),
    code(132_005, TemplateWrong, TEMPLATE),
    codes(132_007, 132_008, TemplateWrong, TEMPLATE),
    code(132_012, TemplateWrong, TEMPLATE),
    code(132_015, TemplatePaused, "WhatsApp has paused this template. Choose another."),
    code(132_016, TemplateDisabled, "WhatsApp has disabled this template. Choose another."),
    code(132_018, TemplateWrong, TEMPLATE),
    code(132_068, NoRetry, "The form is blocked by WhatsApp. Ask an administrator."),
    code(
        132_069,
        wait(HOUR_MS, None, Scope::Message),
        "The form was sent too often. The message waits.",
    ),
    code(133_000, NumberNotRegistered, REGISTER),
    code(133_004, wait(MINUTE_MS, None, Scope::Number), TROUBLE),
    codes(133_005, 133_006, NumberNotRegistered, REGISTER),
    code(133_008, NumberNotRegistered, REGISTER),
    code(133_009, wait(MINUTE_MS, None, Scope::Number), REGISTER),
    code(133_010, NumberNotRegistered, REGISTER),
    code(133_015, wait(5 * MINUTE_MS, None, Scope::Number), REGISTER),
    code(133_016, wait(HOUR_MS, None, Scope::Number), REGISTER),
    code(134_011, PaymentNeeded, "The terms for payments are not accepted yet."),
    codes(134_100, 134_102, TemplateWrong, TEMPLATE),
    code(135_000, NoRetry, INVALID),
    code(137_000, IdentityChanged, "The customer's security code changed. Make sure who it is."),
    codes(138_000, 138_025, NoRetry, CALLING),
    code(138_038, NoRetry, CALLING),
    codes(139_000, 139_004, NoRetry, "The form is blocked by WhatsApp. Ask an administrator."),
    codes(139_100, 139_103, NoRetry, "The customer cannot be blocked or unblocked."),
    code(
        139_200,
        AccountLocked,
        "WhatsApp has blocked sending without templates for this account.",
    ),
    code(141_002, NoRetry, MANAGEMENT),
    codes(147_001, 147_005, NoRetry, MANAGEMENT),
    codes(2_388_000, 2_388_999, NoRetry, MANAGEMENT),
    code(
        2_494_100,
        wait(MINUTE_MS, None, Scope::Number),
        "The number is under maintenance. The message waits.",
    ),
    code(2_593_079, NoRetry, MANAGEMENT),
    code(2_593_085, NoRetry, MANAGEMENT),
    code(2_593_107, AlreadyDone, "The history was asked for before."),
    code(
        2_593_108,
        NoRetry,
        "The 24 hours for sharing the history have passed. Sign the number up again.",
    ),
    code(2_593_109, NoRetry, "The business does not share its history."),
];

pub(super) fn of_code(code: i64) -> Option<Verdict> {
    let found = ROWS.partition_point(|row| row.last < code);
    ROWS.get(found).filter(|row| row.first <= code).map(|row| row.verdict)
}
