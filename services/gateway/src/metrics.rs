//! Metrics of the webhook edge.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Answered POSTs, by result.
pub const POSTS_TOTAL: &str = "tandem_gateway_posts_total";
/// Items found in accepted POSTs, by kind.
pub const ITEMS_TOTAL: &str = "tandem_gateway_items_total";
/// Time from the whole body to the answer, seconds.
pub const ANSWER_SECONDS: &str = "tandem_gateway_answer_seconds";
/// TLS handshakes that failed or took too long.
pub const TLS_REFUSED_TOTAL: &str = "tandem_gateway_tls_refused_total";

/// POSTs that waited because their business had more under way than its part.
pub const HELD_TOTAL: &str = "tandem_gateway_held_total";
/// POSTs that wait for their business' turn now.
pub const WAITING: &str = "tandem_gateway_waiting";
/// Inputs that may be under way, from append to decision, while businesses compete.
pub const UNDER_WAY_LIMIT: &str = "tandem_gateway_under_way_limit";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(POSTS_TOTAL, "webhook POSTs answered, by result");
    describe_counter!(ITEMS_TOTAL, "items in webhook POSTs, by kind");
    describe_histogram!(ANSWER_SECONDS, "seconds from the whole body to the answer");
    describe_counter!(
        HELD_TOTAL,
        "POSTs that waited because their business had more under way than its part"
    );
    describe_gauge!(WAITING, "POSTs that wait for their business' turn");
    describe_gauge!(UNDER_WAY_LIMIT, "inputs that may be undecided while businesses compete");
    describe_counter!(TLS_REFUSED_TOTAL, "TLS handshakes that failed or took too long");
}

pub(crate) fn post(result: &'static str) {
    counter!(POSTS_TOTAL, "result" => result).increment(1);
}

pub(crate) fn item(kind: &'static str) {
    counter!(ITEMS_TOTAL, "kind" => kind).increment(1);
}

pub(crate) fn answered(seconds: f64) {
    histogram!(ANSWER_SECONDS).record(seconds);
}

pub(crate) fn held() {
    counter!(HELD_TOTAL).increment(1);
}

pub(crate) fn turns(waiting: usize, limit: usize) {
    let exact = |value: usize| u32::try_from(value).map_or(f64::MAX, f64::from);
    gauge!(WAITING).set(exact(waiting));
    gauge!(UNDER_WAY_LIMIT).set(exact(limit));
}

pub(crate) fn tls_refused() {
    counter!(TLS_REFUSED_TOTAL).increment(1);
}
