//! From what a client asks to the input of an entity.

use api::{convert, v1};
use archive::Archive;
use bus::{Cause, Header, Input, Key, Position, Record};
use chassis::{clock::Clock, seal::Sealer};
use domain::{
    AgentId, BusinessId, CommandId, EntityId, EntityKind, Hash16, Sealed, SessionId,
    content::{Content, MediaReference},
    conversation::{CommandAnswer, CommandKind, ConversationCommand, ConversationInput},
    flow::Field,
    naming, persist,
    workspace::{DeskCommand, WorkspaceAnswer, WorkspaceInput},
};
use serde::Serialize;

use crate::{
    ask::{Answered, AskError, Asker, Pending},
    fault::Fault,
    routing,
    tokens::Principal,
};

/// Longest name that a client may give itself, bytes.
const CLIENT_BYTES_MAX: usize = 64;
/// Forwards that a command follows: a customer has a few addresses.
const MOVES_MAX: usize = 8;

/// Makes inputs and asks with them.
pub(crate) struct Commands {
    pub(crate) asker: Asker,
    pub(crate) archive: Archive,
    pub(crate) bus: bus::Bus,
    pub(crate) sealer: Sealer,
    pub(crate) clock: Clock,
}

/// What an agent or a program does to a conversation.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Box<v1::SendMessage>),
    Note(v1::AddNote),
    MarkRead(v1::MarkReadRequest),
    Resolve(v1::Resolve),
    Assign(v1::AssignTo),
    Transfer(v1::Transfer),
    Requeue(v1::Requeue),
    Snooze(v1::Snooze),
    SetVip(v1::SetVip),
}

impl Act {
    fn conversation_id(&self) -> &str {
        match self {
            Self::Send(send) => &send.conversation_id,
            Self::Note(note) => &note.conversation_id,
            Self::MarkRead(mark) => &mark.conversation_id,
            Self::Resolve(resolve) => &resolve.conversation_id,
            Self::Assign(assign) => &assign.conversation_id,
            Self::Transfer(transfer) => &transfer.conversation_id,
            Self::Requeue(requeue) => &requeue.conversation_id,
            Self::Snooze(snooze) => &snooze.conversation_id,
            Self::SetVip(set) => &set.conversation_id,
        }
    }

    /// Label of metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Note(_) => "note",
            Self::MarkRead(_) => "mark_read",
            Self::Resolve(_) => "resolve",
            Self::Assign(_) => "assign",
            Self::Transfer(_) => "transfer",
            Self::Requeue(_) => "requeue",
            Self::Snooze(_) => "snooze",
            Self::SetVip(_) => "set_vip",
        }
    }
}

/// The answer of a conversation, and where it was decided.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) answer: CommandAnswer,
    pub(crate) position: Option<v1::Position>,
}

/// A conversation's command that is in its inbox.
pub(crate) struct ActPending {
    pending: Pending,
    business: BusinessId,
    command: ConversationCommand,
}

impl Commands {
    /// Checks what the principal wants done to a conversation and puts it into its inbox. `trusted` says that the
    /// conversation is known to be the business's.
    pub(crate) async fn act(
        &self,
        principal: &Principal,
        id: Option<&v1::CommandId>,
        act: &Act,
        trusted: impl FnOnce(Hash16) -> bool,
    ) -> Result<ActPending, Fault> {
        let id = self.command_id(principal, id)?;
        let conversation =
            convert::parse_conversation_id(act.conversation_id()).ok_or(Fault::NoConversation)?;
        if !trusted(conversation.hash) {
            self.check_conversation(&principal.business, conversation).await?;
        }
        let kind = self.command_kind(principal, conversation, act).await?;
        let command = ConversationCommand { id, agent: principal.agent.clone(), kind };
        let pending = self.append(&principal.business, conversation, &command).await?;
        Ok(ActPending { pending, business: principal.business.clone(), command })
    }

    /// The answer; a command that met an address that forwards follows it.
    pub(crate) async fn decided(&self, act: ActPending) -> Result<Decided, Fault> {
        let ActPending { mut pending, business, command } = act;
        for _ in 0..MOVES_MAX {
            let answered = pending.answer().await?;
            let position = position(&answered);
            match decode(&answered)? {
                CommandAnswer::Moved { to } => {
                    pending = self.append(&business, to, &command).await?;
                }
                answer => return Ok(Decided { answer, position }),
            }
        }
        Err(Fault::Ask(AskError::NoAnswer))
    }

    /// Asks the conversation of an address, whether or not it exists; answers where it was decided.
    pub(crate) async fn outbound(
        &self,
        business: &BusinessId,
        mut conversation: EntityId,
        command: ConversationCommand,
    ) -> Result<(EntityId, Decided), Fault> {
        for _ in 0..MOVES_MAX {
            let answered = self.append(business, conversation, &command).await?.answer().await?;
            let position = position(&answered);
            match decode(&answered)? {
                CommandAnswer::Moved { to } => conversation = to,
                answer => return Ok((conversation, Decided { answer, position })),
            }
        }
        Err(Fault::Ask(AskError::NoAnswer))
    }

    async fn append(
        &self,
        business: &BusinessId,
        conversation: EntityId,
        command: &ConversationCommand,
    ) -> Result<Pending, Fault> {
        let input = ConversationInput::Command(command.clone());
        let input =
            self.input(business, conversation, self.command_key(command.id, conversation), &input)?;
        Ok(self.asker.ask(input).await?)
    }

    /// Puts a command of an agent's session into the workspace's inbox.
    pub(crate) async fn desk(
        &self,
        session: &SessionKey,
        command: DeskCommand,
        key: Key,
    ) -> Result<Pending, Fault> {
        Ok(self.asker.ask(self.desk_input(session, command, key)?).await?)
    }

    /// As [`Commands::desk`], where nobody waits for an answer.
    pub(crate) async fn tell_desk(
        &self,
        session: &SessionKey,
        command: DeskCommand,
        key: Key,
    ) -> Result<(), Fault> {
        Ok(self.asker.tell(self.desk_input(session, command, key)?).await?)
    }

    fn desk_input(
        &self,
        session: &SessionKey,
        command: DeskCommand,
        key: Key,
    ) -> Result<Input, Fault> {
        let input =
            WorkspaceInput::Desk { agent: session.agent.clone(), session: session.id, command };
        self.input(&session.business, session.workspace, key, &input)
    }

    /// Asks a workspace something that changes nothing.
    pub(crate) async fn ask_workspace(
        &self,
        business: &BusinessId,
        workspace: EntityId,
        key: Key,
        question: &WorkspaceInput,
    ) -> Result<WorkspaceAnswer, Fault> {
        let input = self.input(business, workspace, key, question)?;
        decode_workspace(&self.asker.ask(input).await?.answer().await?)
    }

    /// Puts an input into its target's inbox; done when that is durable.
    pub(crate) async fn tell<T: Serialize>(
        &self,
        business: &BusinessId,
        target: EntityId,
        key: Key,
        body: &T,
    ) -> Result<(), Fault> {
        Ok(self.asker.tell(self.input(business, target, key, body)?).await?)
    }

    /// As [`Commands::tell`], and waits for the answer.
    pub(crate) async fn ask<T: Serialize>(
        &self,
        business: &BusinessId,
        target: EntityId,
        key: Key,
        body: &T,
    ) -> Result<Answered, Fault> {
        let pending = self.asker.ask(self.input(business, target, key, body)?).await?;
        Ok(pending.answer().await?)
    }

    pub(crate) fn input<T: Serialize>(
        &self,
        business: &BusinessId,
        target: EntityId,
        key: Key,
        body: &T,
    ) -> Result<Input, Fault> {
        let body = persist::encode(body).map_err(|_| Fault::Ask(AskError::TooLarge))?;
        Ok(Input {
            header: Header {
                key,
                business: bus::BusinessId(business.0.clone()),
                cause: Cause::Command,
                trace: None,
                received_ms: self.clock.wall_ms(),
            },
            target: bus_id(target),
            body: body.into(),
            reply_to: None,
        })
    }

    /// The command id of a client, bound to its business and to who acts.
    pub(crate) fn command_id(
        &self,
        principal: &Principal,
        id: Option<&v1::CommandId>,
    ) -> Result<CommandId, Fault> {
        let id = id.ok_or_else(|| Fault::invalid("command_id: set it"))?;
        if id.client.is_empty() || id.client.len() > CLIENT_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "command_id.client: use 1 to {CLIENT_BYTES_MAX} bytes, chosen at random once"
            )));
        }
        if id.number == 0 {
            return Err(Fault::invalid("command_id.number: count from 1"));
        }
        let actor = principal.agent.as_ref().map_or("", |agent| agent.0.as_str());
        let hash = |purpose: &str, parts: &[&[u8]]| self.sealer.hash16(purpose, parts);
        let client = naming::command_client(&hash, &principal.business, actor, &id.client);
        Ok(CommandId { client, n: id.number })
    }

    /// Key of a command's input. The target is part of it: two entities may see one id.
    pub(crate) fn command_key(&self, id: CommandId, target: EntityId) -> Key {
        self.key("command", &[&id.client.0, &id.n.to_be_bytes(), &target.hash.0])
    }

    pub(crate) fn key(&self, kind: &str, parts: &[&[u8]]) -> Key {
        let hash = |purpose: &str, parts: &[&[u8]]| self.sealer.hash16(purpose, parts);
        Key(naming::input_key(&hash, kind, parts))
    }

    /// Refuses a conversation that the business does not have. The read model may be behind a conversation that was
    /// born a moment ago, so it may first catch up with the log.
    pub(crate) async fn check_conversation(
        &self,
        business: &BusinessId,
        conversation: EntityId,
    ) -> Result<(), Fault> {
        if self.archive.knows(business, conversation.hash).await? {
            return Ok(());
        }
        let partition = bus_id(conversation).partition(self.asker.partitions());
        let last = self.bus.log.last(partition).await.map_err(|_| Fault::Store)?;
        if let Some((seq, bytes)) = last {
            let head = Record::decode(&bytes).map_err(|_| Fault::Store)?.head;
            let position = Position { generation: head.generation, seq, index: 0 };
            if !self.archive.reach(partition, position).await {
                return Err(Fault::Store);
            }
        }
        match self.archive.knows(business, conversation.hash).await? {
            true => Ok(()),
            false => Err(Fault::NoConversation),
        }
    }

    async fn command_kind(
        &self,
        principal: &Principal,
        conversation: EntityId,
        act: &Act,
    ) -> Result<CommandKind, Fault> {
        let business = &principal.business;
        Ok(match act {
            Act::Send(send) => {
                let checked = convert::check_send(send).map_err(|wrong| Fault::Invalid(wrong.0))?;
                let mut content = checked.content;
                content.raw_json = raw_json(&content, &convert::kind(&checked.kind));
                content.target_wamid =
                    self.target(business, conversation, convert::target_of(send)).await?;
                CommandKind::Send {
                    kind: checked.kind,
                    content: self.seal(business, &content)?,
                    take_floor: send.take_floor,
                    marketing: checked.marketing,
                }
            }
            Act::Note(note) => {
                convert::check_note(&note.text).map_err(|wrong| Fault::Invalid(wrong.0))?;
                let content = Content { text: Some(note.text.clone()), ..Content::default() };
                CommandKind::Note { content: self.seal(business, &content)? }
            }
            Act::MarkRead(mark) => {
                let target_wamid = self.target(business, conversation, &mark.message_id).await?;
                if target_wamid.is_none() {
                    return Err(Fault::invalid("message_id: set a message of the customer"));
                }
                let content = Content { target_wamid, ..Content::default() };
                CommandKind::MarkRead {
                    message: self.seal(business, &content)?,
                    typing: mark.show_typing,
                }
            }
            act => routing::command_kind(principal, act, |text| {
                self.seal(business, &Content { text: Some(text.to_owned()), ..Content::default() })
            })?,
        })
    }

    /// wamid of the message that is answered.
    async fn target(
        &self,
        business: &BusinessId,
        conversation: EntityId,
        message_id: &str,
    ) -> Result<Option<String>, Fault> {
        if message_id.is_empty() {
            return Ok(None);
        }
        let unknown = || {
            Fault::invalid(
                "reply_to_message_id (of a reaction, message_id): no message of this conversation",
            )
        };
        let message = convert::parse_message_id(message_id).ok_or_else(unknown)?;
        let found = self.archive.message(business, conversation.hash, message).await?;
        found.and_then(|found| found.content.wamid).map(Some).ok_or_else(unknown)
    }

    /// What a bot collected; nothing where it cannot be read any more.
    pub(crate) fn collected(&self, business: &BusinessId, sealed: &Sealed) -> Vec<Field> {
        let plain = self.sealer.open(business.0.as_bytes(), sealed.key_id, &sealed.bytes);
        plain.ok().and_then(|plain| persist::decode(&plain).ok()).unwrap_or_default()
    }

    pub(crate) fn seal<T: Serialize>(
        &self,
        business: &BusinessId,
        content: &T,
    ) -> Result<Sealed, Fault> {
        let plain = persist::encode(content).map_err(|_| Fault::Ask(AskError::TooLarge))?;
        let sealed = self.sealer.seal(business.0.as_bytes(), &plain);
        Ok(Sealed { key_id: sealed.key_id, bytes: sealed.bytes })
    }
}

/// Whose session, and of which workspace.
#[derive(Clone, Debug)]
pub(crate) struct SessionKey {
    pub(crate) business: BusinessId,
    pub(crate) agent: AgentId,
    pub(crate) workspace: EntityId,
    pub(crate) id: SessionId,
}

/// What is sent besides the text, for readers of the thread. Text says itself.
pub(crate) fn raw_json(content: &Content, kind: &str) -> Option<String> {
    let object = match (&content.media, &content.outgoing) {
        (Some(media), _) => media_json(media, content.text.as_deref()),
        // It is written with its variant as the only key.
        (None, Some(outgoing)) => match serde_json::to_value(outgoing).ok()? {
            serde_json::Value::Object(fields) => fields.into_iter().next()?.1,
            _ => return None,
        },
        (None, None) => return None,
    };
    let mut message = serde_json::Map::new();
    message.insert("type".to_owned(), kind.into());
    message.insert(kind.to_owned(), object);
    Some(serde_json::Value::from(message).to_string())
}

fn media_json(media: &MediaReference, caption: Option<&str>) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    let fields = [
        ("id", media.id.as_deref()),
        ("link", media.link.as_deref()),
        ("filename", media.filename.as_deref()),
        ("caption", caption),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    }
    object.into()
}

/// An entity as the bus names it.
pub(crate) fn bus_id(entity: EntityId) -> bus::EntityId {
    bus::EntityId { kind: entity.kind.code(), hash: entity.hash.0 }
}

/// A conversation as the domain names it; `None` for entities of other kinds.
pub(crate) fn conversation_of(entity: bus::EntityId) -> Option<Hash16> {
    (entity.kind == EntityKind::Conversation.code()).then_some(Hash16(entity.hash))
}

/// Where an answer was decided.
pub(crate) fn position(answered: &Answered) -> Option<v1::Position> {
    answered.position.map(|position| crate::wire::position(answered.partition, position))
}

fn decode(answered: &Answered) -> Result<CommandAnswer, Fault> {
    persist::decode(&answered.body).map_err(|error| unreadable(&error))
}

/// The answer of a workspace.
pub(crate) fn decode_workspace(answered: &Answered) -> Result<WorkspaceAnswer, Fault> {
    persist::decode(&answered.body).map_err(|error| unreadable(&error))
}

pub(crate) fn unreadable(error: &persist::PersistError) -> Fault {
    tracing::error!(%error, "an answer cannot be read");
    Fault::Ask(AskError::SetAside)
}
