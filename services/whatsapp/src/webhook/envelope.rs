//! Walking a POST: entries, changes, values, and the arrays in a value, each on its own.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::field::Field;
use super::message::{self, Side};
use super::people::People;
use super::{
    AsideItem, AsideReason, Item, Kind, Malformed, Part, Reason, Route, account, events, history,
    sample, status, wire_error,
};
use crate::identity::normalise_phone;
use crate::json::{Object, RawJson, elements};

/// Unreadable and untyped parts kept with their JSON, per POST. Beyond it they are counted only: a
/// 3 MB list of a million bad elements must not become a million items.
const KEPT_RAW_MAX: usize = 1000;

/// Parts of a value that are read here or say where it belongs; anything else in a messaging value
/// is kept as [`Kind::Other`].
const KNOWN_KEYS: [&str; 17] = [
    "messaging_product",
    "metadata",
    "contacts",
    "errors",
    "messages",
    "message_echoes",
    "statuses",
    "history",
    "state_sync",
    "calls",
    "user_preferences",
    "user_id_update",
    "user_actions",
    "field",
    "recipient",
    "sender",
    "display_phone_number",
];

/// Where items of the change at hand go.
pub(super) struct Sink {
    route: Arc<Route>,
    is_sample: bool,
    items: Vec<Item>,
    kept_raw: usize,
    left_out: usize,
}

impl Sink {
    fn new() -> Self {
        let route = Route {
            phone_number_id: None,
            display_phone_number: None,
            waba_id: None,
            entry_time_ms: None,
            field: Field::Unknown,
            field_name: None,
        };
        Self {
            route: Arc::new(route),
            is_sample: false,
            items: Vec::new(),
            kept_raw: 0,
            left_out: 0,
        }
    }

    fn enter(&mut self, route: Route) {
        self.is_sample = sample::is_sample_route(&route);
        self.route = Arc::new(route);
    }

    pub(super) fn push(&mut self, kind: Kind) {
        if matches!(kind, Kind::Malformed(_) | Kind::Other { .. }) {
            if self.kept_raw >= KEPT_RAW_MAX {
                self.left_out += 1;
                return;
            }
            self.kept_raw += 1;
        }
        let kind = if self.is_sample || sample::is_sample_item(&kind) {
            Kind::Sample(Box::new(kind))
        } else {
            kind
        };
        self.items.push(Item { route: Arc::clone(&self.route), kind });
    }

    pub(super) fn malformed(&mut self, what: Part, reason: Reason, raw: &RawValue) {
        if self.kept_raw >= KEPT_RAW_MAX {
            self.left_out += 1;
        } else {
            self.push(Kind::Malformed(Malformed { what, reason, raw: Some(RawJson::of(raw)) }));
        }
    }

    fn finish(mut self) -> Vec<Item> {
        if self.left_out > 0 {
            let reason = Reason::TooMany(self.left_out);
            let kind = Kind::Malformed(Malformed { what: Part::Envelope, reason, raw: None });
            self.items.push(Item { route: self.route, kind });
        }
        self.items
    }
}

/// All items of one POST.
pub(super) fn items(text: &str, root: &Object<'_>) -> Vec<Item> {
    let mut sink = Sink::new();
    let whole = || serde_json::from_str::<&RawValue>(text);
    match root.list("entry") {
        Ok(entries) if root.has("entry") => {
            entries.into_iter().for_each(|entry| read_entry(entry, &mut sink))
        }
        Err(_) => {
            if let Ok(raw) = whole() {
                sink.malformed(Part::Envelope, Reason::NotAList, raw);
            }
        }
        // Meta's pages show some samples without their envelope: an entry, a change or a value
        // alone.
        Ok(_) => {
            if let Ok(raw) = whole() {
                read_bare(raw, root, &mut sink);
            }
        }
    }
    sink.finish()
}

fn read_bare(raw: &RawValue, root: &Object<'_>, sink: &mut Sink) {
    if root.has("changes") {
        read_entry(raw, sink);
    } else if root.has("value") {
        read_change(raw, &EntryFacts::default(), sink);
    } else if infer_field(root).is_some() {
        read_value(raw, root, root.string("field"), &EntryFacts::default(), sink);
    } else {
        sink.malformed(Part::Envelope, Reason::NothingInIt, raw);
    }
}

/// What an entry says about all its changes.
#[derive(Debug, Clone, Default)]
struct EntryFacts {
    waba_id: Option<String>,
    time_ms: Option<i64>,
}

fn read_entry(raw: &RawValue, sink: &mut Sink) {
    let Some(entry) = Object::parse(raw) else {
        return sink.malformed(Part::Entry, Reason::NotAnObject, raw);
    };
    let facts = EntryFacts { waba_id: entry.string("id"), time_ms: entry.timestamp_ms("time") };
    sink.enter(Route {
        phone_number_id: None,
        display_phone_number: None,
        waba_id: facts.waba_id.clone(),
        entry_time_ms: facts.time_ms,
        field: Field::Unknown,
        field_name: None,
    });
    match entry.list("changes") {
        Err(_) => sink.malformed(Part::Entry, Reason::NotAList, raw),
        Ok(changes) if changes.is_empty() => sink.malformed(Part::Entry, Reason::NothingInIt, raw),
        Ok(changes) => changes.into_iter().for_each(|change| read_change(change, &facts, sink)),
    }
}

fn read_change(raw: &RawValue, facts: &EntryFacts, sink: &mut Sink) {
    let Some(change) = Object::parse(raw) else {
        return sink.malformed(Part::Change, Reason::NotAnObject, raw);
    };
    let value = change.raw("value");
    match value.and_then(|raw| Some((raw, Object::parse(raw)?))) {
        Some((raw, value)) => {
            let name = change.string("field").or_else(|| value.string("field"));
            read_value(raw, &value, name, facts, sink);
        }
        None => {
            sink.enter(route(None, change.string("field"), Field::Unknown, facts));
            sink.malformed(Part::Change, Reason::NotAnObject, raw);
        }
    }
}

/// The field a value without a name must be of.
fn infer_field(value: &Object<'_>) -> Option<Field> {
    let telling = [
        ("history", Field::History),
        ("state_sync", Field::SmbAppStateSync),
        ("standby", Field::Standby),
        ("calls", Field::Calls),
        ("user_preferences", Field::UserPreferences),
        ("user_id_update", Field::UserIdUpdate),
        ("messages", Field::Messages),
        ("statuses", Field::Messages),
        ("message_echoes", Field::SmbMessageEchoes),
    ];
    telling.into_iter().find(|(key, _)| value.has(key)).map(|(_, field)| field)
}

fn route(
    value: Option<&Object<'_>>,
    name: Option<String>,
    fallback: Field,
    facts: &EntryFacts,
) -> Route {
    let field = name.as_deref().map_or(fallback, Field::from_name);
    let metadata = value.and_then(|value| {
        let nested = || value.object("standby").and_then(|standby| standby.object("metadata"));
        value.object("metadata").or_else(nested)
    });
    let from_metadata = |key| metadata.as_ref().and_then(|metadata| metadata.string(key));
    let elsewhere = |key| {
        value.and_then(|value| value.object(key)).and_then(|owner| owner.string("phone_number_id"))
    };
    let number = from_metadata("display_phone_number")
        .or_else(|| value.and_then(|value| value.string("display_phone_number")));
    Route {
        phone_number_id: from_metadata("phone_number_id")
            .or_else(|| elsewhere("recipient"))
            .or_else(|| elsewhere("phone_number_settings"))
            .or_else(|| value.and_then(|value| value.string("phone_number_id"))),
        display_phone_number: number.as_deref().and_then(normalise_phone),
        waba_id: facts.waba_id.clone(),
        entry_time_ms: facts.time_ms,
        field,
        field_name: name.filter(|_| field == Field::Unknown),
    }
}

fn read_value(
    raw: &RawValue,
    value: &Object<'_>,
    name: Option<String>,
    facts: &EntryFacts,
    sink: &mut Sink,
) {
    let fallback = infer_field(value).unwrap_or(Field::Unknown);
    sink.enter(route(Some(value), name, fallback, facts));
    let before = sink.items.len() + sink.left_out;
    let field = sink.route.field;
    match field {
        Field::AccountUpdate => match account::read(raw, value, facts.waba_id.as_deref()) {
            Some(update) => sink.push(Kind::Account(Box::new(update))),
            None => sink.malformed(Part::Account, Reason::NothingInIt, raw),
        },
        Field::Standby => read_standby(value, sink),
        _ if field.is_messaging() => Walk::new(value, sink, None).all(),
        _ => {}
    }
    if sink.items.len() + sink.left_out == before {
        sink.push(Kind::Other { key: None, raw: RawJson::of(raw) });
    }
}

/// `value.standby` holds the usual arrays one level deeper; some senders leave that level out.
fn read_standby(value: &Object<'_>, sink: &mut Sink) {
    let nested = value.raw("standby").and_then(|raw| elements(raw).ok()).unwrap_or_default();
    for inner in nested.into_iter().filter_map(Object::parse) {
        Walk::new(&inner, sink, Some(value)).all();
    }
    Walk::new(value, sink, None).all();
}

/// One pass over the arrays of a value.
struct Walk<'v, 'a, 's> {
    value: &'v Object<'a>,
    people: People,
    sink: &'s mut Sink,
}

impl<'v, 'a, 's> Walk<'v, 'a, 's> {
    fn new(value: &'v Object<'a>, sink: &'s mut Sink, outer: Option<&Object<'_>>) -> Self {
        let people = match outer {
            Some(outer) if !value.has("contacts") => People::of(outer),
            _ => People::of(value),
        };
        Self { value, people, sink }
    }

    fn all(&mut self) {
        self.each("messages", Part::Message, Self::message);
        self.each("message_echoes", Part::Echo, |walk, raw, item, alone| {
            walk.echo(raw, item, alone)
        });
        self.each("statuses", Part::Status, |walk, raw, item, alone| {
            let on_calls = walk.sink.route.field == Field::Calls;
            status::read(raw, item, &walk.people, alone, on_calls).map(|kind| walk.set_aside(kind))
        });
        self.each("state_sync", Part::StateSync, |_, raw, item, _| events::state_sync(raw, item));
        self.each("user_preferences", Part::Preference, |walk, raw, item, alone| {
            events::preference(raw, item, &walk.people, alone)
        });
        self.each("user_id_update", Part::UserIdUpdate, |_, raw, item, _| {
            events::user_id_update(raw, item)
        });
        self.each("calls", Part::Call, |walk, raw, item, alone| {
            events::call(raw, item, &walk.people, alone)
        });
        self.each("user_actions", Part::UserAction, |_, raw, item, _| {
            Ok(events::user_action(raw, item))
        });
        self.history();
        let errors = wire_error::list(self.value, "errors");
        if !errors.is_empty() {
            self.sink.push(Kind::Errors(errors));
        }
        self.others();
    }

    fn each<F>(&mut self, key: &str, part: Part, read: F)
    where
        F: Fn(&mut Self, &RawValue, &Object<'_>, bool) -> Result<Kind, Reason>,
    {
        let Some(list) = self.value.raw(key) else { return };
        let Ok(list) = elements(list) else {
            return self.sink.malformed(part, Reason::NotAList, list);
        };
        let alone = list.len() == 1;
        for raw in list {
            let item = Object::parse(raw).ok_or(Reason::NotAnObject);
            match item.and_then(|item| read(self, raw, &item, alone)) {
                Ok(kind) => self.sink.push(kind),
                Err(reason) => self.sink.malformed(part, reason, raw),
            }
        }
    }

    fn message(&mut self, raw: &RawValue, item: &Object<'_>, alone: bool) -> Result<Kind, Reason> {
        // A business never writes to itself: taken as inbound, a bot would answer itself without
        // end.
        if message::is_from_business(item, self.sink.route.display_phone_number.as_deref()) {
            return self.echo(raw, item, alone);
        }
        let message = Box::new(message::read(raw, item, Side::From, &self.people, alone)?);
        if self.sink.route.field == Field::History {
            return Ok(Kind::HistoryMedia(message));
        }
        Ok(self.set_aside(Kind::Inbound(message)))
    }

    fn echo(&mut self, raw: &RawValue, item: &Object<'_>, alone: bool) -> Result<Kind, Reason> {
        let message = Box::new(message::read(raw, item, Side::To, &self.people, alone)?);
        if self.sink.route.field == Field::History {
            return Ok(Kind::HistoryMedia(message));
        }
        Ok(self.set_aside(Kind::Echo(message)))
    }

    /// Groups and threads of others never look like ours.
    fn set_aside(&self, kind: Kind) -> Kind {
        let standby = self.sink.route.field == Field::Standby;
        let is_group = match &kind {
            Kind::Inbound(message) | Kind::Echo(message) => message.group_id.is_some(),
            _ => false,
        };
        let why = match (standby, is_group) {
            (true, _) => AsideReason::Standby,
            (false, true) => AsideReason::Group,
            (false, false) => return kind,
        };
        let what = match kind {
            Kind::Inbound(message) => AsideItem::Inbound(message),
            Kind::Echo(message) => AsideItem::Echo(message),
            Kind::Status(status) => AsideItem::Status(status),
            other => return other,
        };
        Kind::Aside { why, what }
    }

    fn history(&mut self) {
        let Some(list) = self.value.raw("history") else { return };
        let Ok(list) = elements(list) else {
            return self.sink.malformed(Part::History, Reason::NotAList, list);
        };
        let display_phone_number = self.sink.route.display_phone_number.clone();
        for raw in list {
            history::read(raw, display_phone_number.as_deref(), self.sink);
        }
    }

    /// Arrays and objects nobody here knows: kept, never dropped in silence.
    fn others(&mut self) {
        let members = self.value.members();
        let is_standby = self.sink.route.field == Field::Standby;
        let is_walked = |key: &str| is_standby && key == "standby";
        for (key, raw) in members.filter(|(key, _)| !KNOWN_KEYS.contains(key) && !is_walked(key)) {
            let is_something =
                matches!(raw.get().as_bytes().first(), Some(b'[' | b'{')) && raw.get().len() > 2;
            if is_something {
                self.sink.push(Kind::Other { key: Some(key.to_owned()), raw: RawJson::of(raw) });
            }
        }
    }
}
