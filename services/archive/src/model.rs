//! Rows as they are stored (content sealed) and views as they are read (content opened).

use std::cmp::Ordering;

use bus::{PartitionId, Position};
use domain::{
    AgentId, BusinessId, Hash16, MessageId, Millis, QueueId, RequestId, Sealed,
    content::{Content, ContentKind, Identity},
    conversation::{Author, Direction, Floor, Pricing},
};

use crate::{delivery::DeliveryFacts, marks::Marks};

/// A conversation without its thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    /// Hash of the conversation that holds the thread.
    pub id: Hash16,
    /// Hash of the number; `None` until it is known.
    pub number: Option<Hash16>,
    /// Who the customer is, as each of its addresses saw it; the conversation's own first.
    pub contacts: Vec<Sealed>,
    /// Who may speak.
    pub floor: Floor,
    /// The customer service window is open until then; 0 when it never was.
    pub window_until_ms: Millis,
    /// Agent it is assigned to.
    pub assigned: Option<AgentId>,
    /// Queue it waits in and since when the customer waits.
    pub waiting: Option<(QueueId, Millis)>,
    /// Time of the newest message.
    pub last_message_ms: Millis,
    /// Billing windows by category, the latest first.
    pub billing_windows: Vec<BillingWindowRow>,
    /// End of the free entry point that our answer to a referral opened; 0 when there was none.
    pub free_entry_until_ms: Millis,
    /// Whether the customer wants marketing, and since when; `None` where nothing was said.
    pub marketing: Option<(bool, Millis)>,
    /// The customer is a VIP.
    pub vip: bool,
    /// An agent has put it aside until then; 0 when none has.
    pub snoozed_until_ms: Millis,
    /// Partition and position of the newest decision contained.
    pub position: Option<(PartitionId, Position)>,
}

/// A conversation with what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConversation {
    /// The row.
    pub row: ConversationRow,
    /// Episodes of all its addresses, as recorded.
    pub episodes: Vec<EpisodeRow>,
    /// Notes by time.
    pub notes: Vec<NoteRow>,
}

/// An episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpisodeRow {
    /// Address that recorded it.
    pub conversation: Hash16,
    /// Its number within that address.
    pub n: u32,
    /// When it began; 0 when that is recorded elsewhere.
    pub opened_ms: Millis,
    /// When it ended; 0 while it is open.
    pub resolved_ms: Millis,
    /// Agent who ended it.
    pub resolved_by: Option<AgentId>,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteRow {
    /// Its number within the conversation.
    pub n: u64,
    /// Who wrote it; `None` is an API client.
    pub agent: Option<AgentId>,
    /// Its text.
    pub content: Sealed,
    /// When.
    pub at_ms: Millis,
}

/// A message of a thread, or a send that has not become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// The message; `None` while the send is pending.
    pub message: Option<MessageId>,
    /// The request, for what we were asked to send.
    pub request: Option<RequestId>,
    /// Way.
    pub direction: Direction,
    /// Author.
    pub author: Author,
    /// Kind of content.
    pub kind: ContentKind,
    /// Place in the thread.
    pub at_ms: Millis,
    /// Content.
    pub content: Sealed,
    /// Where the wamid is, when it is not in the content.
    pub wamid: Option<Sealed>,
    /// Message that this edits, deletes, reacts to or answers.
    pub target: Option<MessageId>,
    /// Episode, 0 for none.
    pub episode: u32,
    /// What is known of its delivery.
    pub delivery: DeliveryFacts,
    /// Meta's error code of a failure, 0 for none.
    pub error_code: u32,
    /// What the agent is told about a failure.
    pub told: String,
    /// It was sent a second time because the first outcome stayed unknown.
    pub repeated: bool,
    /// What Meta says it costs.
    pub pricing: Option<Pricing>,
}

/// A billing window that Meta reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingWindowRow {
    /// Its category.
    pub category: String,
    /// It is or was open until then.
    pub until_ms: Millis,
}

/// Part of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadRows {
    /// By time; those of one millisecond in no particular order.
    pub rows: Vec<MessageRow>,
    /// There are later ones.
    pub more: bool,
}

/// Which conversations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Only those of this number.
    pub number: Option<Hash16>,
    /// Only those assigned to this agent.
    pub assigned: Option<AgentId>,
    /// Only those of VIPs, or of others.
    pub vip: Option<bool>,
    /// Only those that are put aside, or are not.
    pub snoozed: Option<bool>,
}

/// Place in the list of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationCursor {
    /// Newest message of the last one listed.
    pub last_message_ms: Millis,
    /// The last one listed.
    pub id: Hash16,
}

/// Place in a thread: its order. A send that is pending stands last in its millisecond: it may answer what came in the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadCursor {
    /// Meta timestamp.
    pub at_ms: Millis,
    /// wamid; empty while a send is pending.
    pub wamid: String,
    /// Tells apart pending sends of one millisecond.
    pub request: Option<RequestId>,
}

impl ThreadCursor {
    fn place(&self) -> (Millis, bool, &str, Option<RequestId>) {
        (self.at_ms, self.wamid.is_empty(), &self.wamid, self.request)
    }
}

impl Ord for ThreadCursor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for ThreadCursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A conversation as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationView {
    /// The row.
    pub row: ConversationRow,
    /// Who the customer is.
    pub contact: Identity,
    /// Episodes by time.
    pub episodes: Vec<EpisodeRow>,
    /// Notes by time, with their text. Empty in lists.
    pub notes: Vec<(NoteRow, String)>,
}

/// A message as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// The row.
    pub row: MessageRow,
    /// Its content; empty when its key was destroyed.
    pub content: Content,
    /// Place in the thread.
    pub cursor: ThreadCursor,
    /// What later messages did to it. Not read for single messages.
    pub marks: Marks,
}

/// Which dead letter: the step that set it aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterId {
    /// Its partition.
    pub partition: PartitionId,
    /// Its position there.
    pub position: Position,
}

impl std::fmt::Display for LetterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Position { generation, seq, index } = self.position;
        write!(f, "{}.{generation}.{seq}.{index}", self.partition)
    }
}

impl std::str::FromStr for LetterId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Vec<u64> =
            text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| ())?;
        let [partition, generation, seq, index] = numbers.try_into().map_err(|_| ())?;
        let partition = PartitionId(partition.try_into().map_err(|_| ())?);
        let (generation, index) =
            (generation.try_into().map_err(|_| ())?, index.try_into().map_err(|_| ())?);
        Ok(Self { partition, position: Position { generation, seq, index } })
    }
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// Which.
    pub id: LetterId,
    /// Its tenant.
    pub business: BusinessId,
    /// Why it could not be decided; no personal data.
    pub error: String,
    /// When it was set aside.
    pub at_ms: Millis,
    /// When it was decided once more on an operator's word; 0 when never.
    pub replayed_ms: Millis,
    /// The input as it came.
    pub input: bus::Input,
}

/// A send whose outcome is open, or unknown for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsettledSend {
    /// Its tenant.
    pub business: BusinessId,
    /// Which.
    pub request: RequestId,
    /// Who wrote it.
    pub author: Author,
    /// What kind of content.
    pub kind: ContentKind,
    /// When it was asked for.
    pub at_ms: Millis,
    /// It ended, and nobody knows how; else it may still leave.
    pub unknown: bool,
}
