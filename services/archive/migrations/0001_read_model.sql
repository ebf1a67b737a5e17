-- The read model. Every row names its business. Times are Unix ms, 0 where there is none; ids are the 16 bytes of their
-- hash; `*_key` is the key id of the sealed bytes beside it. Columns stand in the order of the SQLite read model, whose dump
-- of the same history is the same text.

-- One row: whose read model this is. Whoever writes locks it first, so that writers of all processes take turns.
CREATE TABLE installation (fingerprint BYTEA NOT NULL);

CREATE TABLE positions (
    partition INTEGER PRIMARY KEY,
    seq BIGINT NOT NULL, generation BIGINT NOT NULL, epoch BIGINT NOT NULL,
    incarnation BYTEA NOT NULL, number BIGINT NOT NULL
);

CREATE TABLE contacts (
    business TEXT COLLATE "C" NOT NULL, conversation BYTEA NOT NULL,
    who_key BIGINT NOT NULL, who BYTEA NOT NULL,
    PRIMARY KEY (business, conversation)
);

-- root: the conversation that holds the thread. joined_to: where its first forward pointed, which took the thread along.
-- forwarded_to: where its newest forward points, which answers for its id.
CREATE TABLE conversations (
    business TEXT COLLATE "C" NOT NULL, id BYTEA NOT NULL,
    root BYTEA NOT NULL, joined_to BYTEA, forwarded_to BYTEA,
    number BYTEA,
    floor SMALLINT NOT NULL, floor_agent TEXT, floor_turn BIGINT NOT NULL,
    window_until_ms BIGINT NOT NULL,
    item_conversation BYTEA, item_n BIGINT NOT NULL,
    assigned_agent TEXT, waiting_queue TEXT, waiting_since_ms BIGINT NOT NULL,
    last_message_ms BIGINT NOT NULL,
    free_entry_until_ms BIGINT NOT NULL,
    marketing SMALLINT NOT NULL, marketing_ms BIGINT NOT NULL,
    vip BOOLEAN NOT NULL, snoozed_until_ms BIGINT NOT NULL,
    partition INTEGER, generation BIGINT, seq BIGINT, step BIGINT,
    PRIMARY KEY (business, id)
);
CREATE INDEX conversations_newest ON conversations (business, last_message_ms, id)
    WHERE forwarded_to IS NULL;
CREATE INDEX conversations_root ON conversations (business, root);

-- conversation: who recorded it. thread: whose thread it is in now. client: of a send that was the first command of its
-- client, that client. ord: in which order rows were written; no dump shows it.
CREATE TABLE messages (
    ord BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business TEXT COLLATE "C" NOT NULL, conversation BYTEA NOT NULL, thread BYTEA NOT NULL,
    message BYTEA, request_conversation BYTEA, request_n BIGINT,
    direction SMALLINT NOT NULL,
    author SMALLINT NOT NULL, author_agent TEXT, author_turn BIGINT NOT NULL,
    kind TEXT NOT NULL, at_ms BIGINT NOT NULL, recorded BOOLEAN NOT NULL,
    content_key BIGINT NOT NULL, content BYTEA NOT NULL,
    wamid_key BIGINT, wamid BYTEA,
    target BYTEA, episode BIGINT NOT NULL,
    outcome SMALLINT NOT NULL, accepted_ms BIGINT NOT NULL,
    error_code BIGINT NOT NULL, told TEXT NOT NULL,
    repeated BOOLEAN NOT NULL, client BYTEA
);
-- Sealed content does not compress.
ALTER TABLE messages ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN wamid SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX messages_id ON messages (business, message) WHERE message IS NOT NULL;
CREATE UNIQUE INDEX messages_request ON messages (business, request_conversation, request_n)
    WHERE request_n IS NOT NULL;
CREATE INDEX messages_client ON messages (business, client) WHERE client IS NOT NULL;
CREATE INDEX messages_thread ON messages (business, thread, at_ms);
-- Reactions, edits and deletions by the message they act on.
CREATE INDEX messages_marks ON messages (business, target)
    WHERE target IS NOT NULL AND kind IN ('reaction', 'edit', 'revoke');
-- Sends without a known end, for the operator.
CREATE INDEX messages_unsettled ON messages (at_ms, ord)
    WHERE request_n IS NOT NULL AND message IS NULL AND outcome IN (0, 2);

-- Statuses wait here for their message where it is not known yet.
CREATE TABLE statuses (
    business TEXT COLLATE "C" NOT NULL, message BYTEA NOT NULL,
    accepted_ms BIGINT NOT NULL, sent_ms BIGINT NOT NULL, delivered_ms BIGINT NOT NULL,
    read_ms BIGINT NOT NULL, played_ms BIGINT NOT NULL, failed_ms BIGINT NOT NULL,
    deleted_ms BIGINT NOT NULL, error_code BIGINT NOT NULL,
    PRIMARY KEY (business, message)
) WITH (fillfactor = 80);

-- What Meta says each message costs: one row per message. It may be known before the message is. conversation: the
-- smallest address that was told.
CREATE TABLE billing_facts (
    business TEXT COLLATE "C" NOT NULL, message BYTEA NOT NULL, conversation BYTEA NOT NULL,
    model TEXT, type TEXT, category TEXT, billable BOOLEAN, subtype TEXT,
    PRIMARY KEY (business, message)
);

CREATE TABLE billing_windows (
    business TEXT COLLATE "C" NOT NULL, conversation BYTEA NOT NULL, category TEXT COLLATE "C" NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (business, conversation, category)
);

CREATE TABLE notes (
    business TEXT COLLATE "C" NOT NULL, conversation BYTEA NOT NULL, n BIGINT NOT NULL,
    agent TEXT, content_key BIGINT NOT NULL, content BYTEA NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (business, conversation, n)
);

CREATE TABLE episodes (
    business TEXT COLLATE "C" NOT NULL, conversation BYTEA NOT NULL, n BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL, resolved_ms BIGINT NOT NULL, resolved_by TEXT,
    PRIMARY KEY (business, conversation, n)
);

CREATE TABLE assignments (
    business TEXT COLLATE "C" NOT NULL, conversation BYTEA NOT NULL,
    item_conversation BYTEA NOT NULL, item_n BIGINT NOT NULL, n BIGINT NOT NULL,
    agent TEXT NOT NULL, assigned_ms BIGINT NOT NULL, ended_ms BIGINT NOT NULL,
    PRIMARY KEY (business, conversation, item_conversation, item_n, n)
);

CREATE TABLE dead_letters (
    business TEXT COLLATE "C" NOT NULL,
    partition INTEGER NOT NULL, generation BIGINT NOT NULL, seq BIGINT NOT NULL, step BIGINT NOT NULL,
    entity_kind BIGINT NOT NULL, entity BYTEA NOT NULL, error TEXT NOT NULL, at_ms BIGINT NOT NULL,
    input BYTEA NOT NULL, replayed_ms BIGINT NOT NULL,
    PRIMARY KEY (business, partition, generation, seq, step)
);
CREATE INDEX dead_letters_place ON dead_letters (partition, generation, seq, step);
