//! What an error of Meta's means (fact sheet 4.3), as data: code, subcode and HTTP status to a
//! class and a sentence for the agent.
//!
//! A class says what the fact is; whether and when anything is sent again is decided by whoever
//! owns the message. Codes arrive in the answer to a call, in a `failed` status, or both:
//! [`classify`] serves all.

mod table;

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The token is bad or expired: nothing on this channel works until there is a new one.
    StopChannel,
    /// Blocked for policy or locked: the channel pauses until a person acts.
    AccountLocked,
    /// The number is not registered, incompletely, or gone: a person acts.
    NumberNotRegistered,
    /// A permission or capability is missing: not repeated.
    NoPermission,
    /// Nothing more is delivered until the payment is in order.
    PaymentNeeded,
    /// The business may not write to that country, ever.
    CountryBlocked,
    /// The number's throughput was exceeded: it pauses for a second at least and goes slower for a while.
    Throttled,
    /// Wait and try again.
    Backoff(Backoff),
    /// Too many to this one customer: wait for them alone, see [`pair_backoff_ms`].
    PairBackoff,
    /// Quality limit of the number: campaigns stop; hours to days.
    SpamLimited,
    /// Utility templates were used for marketing: lifts by itself when the enforcement ends.
    MisclassificationCap,
    /// The customer gets no more marketing for now: not before 24 h, then growing.
    MarketingHeld,
    /// The customer opted out of marketing: never, until they opt in.
    MarketingOptedOut,
    /// Outside the service window: a template is needed. Meta has been seen to be wrong, so where
    /// our clock holds the window open by more than [`WINDOW_DOUBT_MS`], one more try after
    /// [`WINDOW_RETRY_MS`].
    RetryOnceInWindow,
    /// It cannot reach this customer; Meta does not say why. No automatic retry.
    Undeliverable,
    /// This message cannot go to a BSUID: use the phone number.
    NeedsPhone,
    /// Marketing has to go, or may only go, through the marketing API.
    WrongApi,
    /// The template is paused: after it is unpaused.
    TemplatePaused,
    /// The template is disabled for good.
    TemplateDisabled,
    /// The template does not exist, is not approved, or does not fit its parameters.
    TemplateWrong,
    /// The customer's security code changed: check who it is first.
    IdentityChanged,
    /// What was asked for was done before: success.
    AlreadyDone,
    /// About a message of the customer, not about one of ours.
    InboundNotice,
    /// Wrong as it is: sending it again gives the same answer.
    NoRetry,
    /// It may have been sent: look for its status before anything else.
    Reconcile,
}

/// How to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second try; doubles, with jitter.
    pub first_ms: u64,
    /// Tries in all; `None`: as long as the message is wanted.
    pub attempts_max: Option<u8>,
    /// What waits.
    pub scope: Scope,
}

/// What has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// This message only.
    Message,
    /// All of this phone number.
    Number,
    /// All of this account (WABA).
    Account,
    /// All of the app.
    App,
}

/// The judgement of one error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What it asks for.
    pub class: ErrorClass,
    /// What the agent is told: one short sentence, no personal data.
    pub for_agent: &'static str,
}

/// What is known of an error. All of it may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// Meta's number; judge by it.
    pub code: Option<i64>,
    /// Narrows a few codes.
    pub subcode: Option<i64>,
    /// The answer's status; 0 or `None` in webhooks.
    pub http: Option<u16>,
    /// Meta says it passes.
    pub is_transient: bool,
}

/// Faults of the way to Meta, where there is no answer to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportFault {
    /// Nothing of the message left: it can go later.
    NotSent,
    /// It left, or part of it did, and nobody knows.
    Unknown,
}

/// A wrong 131047 is worth a second try only while the window stays open longer than this.
pub const WINDOW_DOUBT_MS: u64 = 5 * 60 * 1000;
/// Before that second try.
pub const WINDOW_RETRY_MS: u64 = 4_000;
/// Powers of four stop here: 4^8 s is 18 h, the window is nearly gone.
const PAIR_EXPONENT_MAX: u32 = 8;

/// Wait before trying this customer again after [`ErrorClass::PairBackoff`]: 4^n seconds, n = 0 for
/// the first time.
pub fn pair_backoff_ms(times_before: u32) -> u64 {
    1000 * 4_u64.pow(times_before.min(PAIR_EXPONENT_MAX))
}

/// Judges an error of Meta's. Known codes first; of unknown ones the HTTP status and Meta's own
/// hint decide.
pub fn classify(facts: ErrorFacts) -> Verdict {
    // 100 with subcode 33 is an object that is not there or not ours; 33 alone is a deleted number.
    if facts.code == Some(100) && facts.subcode == Some(33) {
        return Verdict {
            class: ErrorClass::NoPermission,
            for_agent: "The channel cannot reach this object.",
        };
    }
    facts.code.and_then(table::of_code).unwrap_or_else(|| of_unknown_code(facts))
}

/// Judges a fault of the way.
pub fn classify_transport(fault: TransportFault) -> Verdict {
    match fault {
        TransportFault::NotSent => Verdict {
            class: ErrorClass::Backoff(Backoff {
                first_ms: 500,
                attempts_max: None,
                scope: Scope::Number,
            }),
            for_agent: "WhatsApp cannot be reached. The message waits.",
        },
        TransportFault::Unknown => Verdict {
            class: ErrorClass::Reconcile,
            for_agent: "WhatsApp did not answer. Whether the message was sent is being checked.",
        },
    }
}

fn of_unknown_code(facts: ErrorFacts) -> Verdict {
    let wait = |first_ms, attempts_max, scope| {
        ErrorClass::Backoff(Backoff { first_ms, attempts_max, scope })
    };
    let (class, for_agent) = match facts.http {
        Some(401) => (ErrorClass::StopChannel, "WhatsApp does not accept the channel's access."),
        // Something on the way may have said it, and of this message only: no reason to pause a channel.
        Some(403) => (ErrorClass::NoRetry, "WhatsApp does not permit this. Ask an administrator."),
        Some(429) => {
            (ErrorClass::Throttled, "WhatsApp is limiting this number. The message waits.")
        }
        _ if facts.is_transient => {
            (wait(1000, Some(3), Scope::Message), "WhatsApp has a passing problem. Trying again.")
        }
        Some(500..) => {
            (wait(1000, Some(3), Scope::Message), "WhatsApp has a problem. Trying again.")
        }
        _ => (ErrorClass::NoRetry, "WhatsApp did not accept the message."),
    };
    Verdict { class, for_agent }
}

#[cfg(test)]
mod tests;
