//! What is typed, and in which words the desk's events are told.

use api::v1::{
    Assigned, Author, AuthorKind, CommandResult, Contact, Conversation, DeskEvent, Floor,
    FloorChanged, Message, Offer, Presence, RefusalReason, Refused, Snapshot, ThreadMessage,
    command_result,
    desk_event::Event,
    desk_request::Request as Ask,
    floor::{Holder, Phone},
    send_message,
};

use super::{
    command::Command,
    history::History,
    link::News,
    model::{Done, Model},
};

fn asked<E: std::fmt::Debug>(done: Result<Done, E>) -> Ask {
    match done {
        Ok(Done::Ask(ask)) => *ask,
        other => panic!("no request: {other:?}"),
    }
}

fn event(event: Event) -> News {
    News::Event(Box::new(DeskEvent { event: Some(event), ..DeskEvent::default() }))
}

fn message(id: &str, kind: AuthorKind, text: &str, timestamp_ms: i64) -> Message {
    Message {
        message_id: id.to_owned(),
        author: Some(Author { kind: kind.into(), agent_id: "ana".to_owned() }),
        text: text.to_owned(),
        timestamp_ms,
        ..Message::default()
    }
}

fn offer() -> Offer {
    Offer {
        offer_id: "o1".to_owned(),
        conversation_id: "c1".to_owned(),
        queue_id: "sales".to_owned(),
        waiting_since_ms: 2_000,
        reason: "longest idle".to_owned(),
        ..Offer::default()
    }
}

/// Signed in, with an offer on the screen.
fn offered() -> Model {
    let mut model = Model::new("ana");
    let snapshot =
        Snapshot { presence: Presence::Available.into(), capacity: 100, ..Snapshot::default() };
    let lines = model.take(event(Event::Snapshot(snapshot)));
    assert_eq!(lines, ["signed in as ana, 0 of 100 units in use"]);
    assert!(model.take(event(Event::Offered(offer()))).is_empty(), "told with its history");
    let contact =
        Contact { phone: "4711".to_owned(), name: "Mina".to_owned(), ..Contact::default() };
    let conversation = Conversation {
        conversation_id: "c1".to_owned(),
        contact: Some(contact),
        last_message_ms: 5_000,
        ..Conversation::default()
    };
    let messages = vec![
        message("m1", AuthorKind::Customer, "hello", 1_000),
        message("m2", AuthorKind::Bot, "how can\nwe help?", 2_000),
    ];
    let notes = vec![("bo".to_owned(), "be kind".to_owned())];
    let lines = model.take(News::History(Box::new(History { conversation, messages, notes })));
    let wanted = [
        "offer [1]: Mina (+4711) in sales, waited 3 s, longest idle; `accept 1` or `reject 1`",
        "    customer | hello",
        "    bot | how can / we help?",
        "    note of bo | be kind",
    ];
    assert_eq!(lines, wanted);
    model
}

#[test]
fn an_offer_is_told_with_its_history_and_accepted_by_its_number() {
    let mut model = offered();
    let Ask::AcceptOffer(accept) = asked(model.command(Command::Accept(Some(1)))) else {
        panic!("no request")
    };
    assert_eq!((accept.offer_id.as_str(), model.unanswered), ("o1", 1));
    assert!(model.command(Command::Accept(Some(2))).is_err());
    let assigned = Assigned { conversation_id: "c1".to_owned() };
    assert_eq!(model.take(event(Event::Assigned(assigned))), ["[1] yours; `say TEXT` answers"]);
    let say = Command::Say { text: "hi".to_owned(), take_floor: false };
    let Ask::Send(send) = asked(model.command(say)) else { panic!("no request") };
    assert_eq!(send.conversation_id, "c1");
    assert_eq!(send.content, Some(send_message::Content::Text("hi".to_owned())));
}

#[test]
fn a_message_is_told_once_and_the_thread_keeps_its_order() {
    let mut model = offered();
    let joined = |one: Message| {
        event(Event::Message(ThreadMessage {
            conversation_id: "c1".to_owned(),
            message: Some(one),
        }))
    };
    assert_eq!(
        model.take(joined(message("m3", AuthorKind::Phone, "on it", 4_000))),
        ["[1] phone | on it"]
    );
    assert!(model.take(joined(message("m3", AuthorKind::Phone, "on it", 4_000))).is_empty());
    model.take(joined(message("m0", AuthorKind::Customer, "late", 500)));
    let Ok(Done::Lines(lines)) = model.command(Command::Show(Some(1))) else { panic!("no lines") };
    assert_eq!(
        (lines[1].as_str(), lines.last().unwrap().as_str()),
        ("    customer | late", "    phone | on it")
    );
    let floor = Floor { holder: Some(Holder::Phone(Phone {})) };
    let changed = FloorChanged { conversation_id: "c1".to_owned(), floor: Some(floor) };
    assert_eq!(model.take(event(Event::FloorChanged(changed))), ["[1] floor: phone"]);
}

#[test]
fn a_refusal_says_why_and_counts() {
    let mut model = offered();
    drop(model.command(Command::Accept(None)));
    let refused = Refused { reason: RefusalReason::OfferEnded.into(), text: "it ended".to_owned() };
    let result = CommandResult {
        result: Some(command_result::Result::Refused(refused)),
        ..CommandResult::default()
    };
    assert_eq!(
        model.take(event(Event::CommandResult(result))),
        ["refused: it ended (offer_ended)"]
    );
    assert_eq!((model.unanswered, model.refused), (0, 1));
}

#[test]
fn a_lost_connection_is_told_once_and_nothing_is_forgotten() {
    let mut model = offered();
    assert_eq!(model.take(News::Lost("x".to_owned())).len(), 1);
    assert!(model.take(News::Lost("x".to_owned())).is_empty(), "one line for many attempts");
    assert!(model.command(Command::Accept(Some(1))).is_ok());
    assert_eq!(model.unanswered, 1);
}

#[test]
fn typed_lines_are_commands_or_a_hint() {
    let say = |text: &str, take_floor| Command::Say { text: text.to_owned(), take_floor };
    for (line, wanted) in [
        ("  say  good  day ", Some(say("good  day", false))),
        ("say! now", Some(say("now", true))),
        ("accept", Some(Command::Accept(None))),
        ("accept 2", Some(Command::Accept(Some(2)))),
        ("reject 2 busy now", Some(Command::Reject(Some(2), "busy now".to_owned()))),
        ("reject busy", Some(Command::Reject(None, "busy".to_owned()))),
        ("open 3", Some(Command::Open(3))),
        ("wait offer [1]", Some(Command::Wait("offer [1]".to_owned()))),
        ("", None),
    ] {
        assert_eq!(Command::parse(line), Ok(wanted), "{line}");
    }
    for bad in ["hello there", "say", "open", "open x", "accept all"] {
        assert!(!Command::parse(bad).unwrap_err().is_empty(), "{bad}");
    }
}
