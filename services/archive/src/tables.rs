//! What the tables are called, the same in SQLite and in Postgres.

/// All tables, for clearing and dumping.
pub(crate) const TABLES: [&str; 12] = [
    "positions",
    "contacts",
    "conversations",
    "messages",
    "statuses",
    "billing_facts",
    "billing_windows",
    "notes",
    "episodes",
    "assignments",
    "dead_letters",
    "installation",
];

/// A message and its statuses; where both have a column, the message's has another name here.
pub(crate) const COLUMNS: &str =
    "SELECT m.message, m.request_conversation, m.request_n, m.direction, m.author,
    m.author_agent, m.author_turn, m.kind, m.at_ms, m.content_key, m.content, m.wamid_key, m.wamid,
    m.target, m.episode, m.outcome, m.accepted_ms AS answered_ms, m.error_code AS refused_code,
    m.told, m.repeated, s.message AS reported, s.accepted_ms, s.sent_ms, s.delivered_ms, s.read_ms,
    s.played_ms, s.failed_ms, s.deleted_ms, s.error_code,
    b.message AS priced, b.model AS price_model, b.type AS price_type, b.category AS price_category,
    b.billable AS price_billable, b.subtype AS price_subtype
    FROM messages m LEFT JOIN statuses s ON s.business = m.business AND s.message = m.message
    LEFT JOIN billing_facts b ON b.business = m.business AND b.message = m.message";
