//! What is typed, and in which words the desk's events are told.

use api::v1::{
    AcceptOffer, Assigned, Author, AuthorKind, Contact, Conversation, Delivery, DeliveryChanged,
    DeskEvent, EpisodeResolved, Floor, FloorChanged, Message, MissedTooMany, Note, Offer, Presence,
    RefusalReason, Refused, SendMessage, Snapshot, ThreadMessage, WrapUp, WrapUpEnded,
    command_result,
    desk_event::Event,
    desk_request::Request as Ask,
    floor::{Holder, Phone},
    send_message, transfer,
};

use super::{
    command::{Command, Target},
    history::History,
    link::News,
    model::{Done, Model},
};

pub(super) const NOW_MS: i64 = 1_000_000;

fn asked<E: std::fmt::Debug>(done: Result<Done, E>) -> Ask {
    match done {
        Ok(Done::Ask(ask)) => *ask,
        other => panic!("no request: {other:?}"),
    }
}

pub(super) fn event(event: Event) -> News {
    News::Event(Box::new(DeskEvent { event: Some(event), ..DeskEvent::default() }))
}

pub(super) fn message(id: &str, kind: AuthorKind, text: &str, timestamp_ms: i64) -> Message {
    Message {
        message_id: id.to_owned(),
        author: Some(Author { kind: kind.into(), agent_id: "ana".to_owned() }),
        text: text.to_owned(),
        timestamp_ms,
        ..Message::default()
    }
}

pub(super) fn note(agent: &str, text: &str, timestamp_ms: i64) -> Note {
    let (agent_id, text) = (agent.to_owned(), text.to_owned());
    Note { agent_id, text, timestamp_ms, ..Note::default() }
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
    let notes = vec![note("bo", "be kind", 3_000)];
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
    let Ask::AcceptOffer(accept) = asked(model.command(&Command::Accept(Some(1)), NOW_MS)) else {
        panic!("no request")
    };
    assert_eq!((accept.offer_id.as_str(), model.unanswered), ("o1", 1));
    assert!(model.command(&Command::Accept(Some(2)), NOW_MS).is_err());
    let assigned = Assigned { conversation_id: "c1".to_owned() };
    assert_eq!(model.take(event(Event::Assigned(assigned))), ["[1] yours; `say TEXT` answers"]);
    let say = Command::Say { text: "hi".to_owned(), take_floor: false };
    let Ask::Send(send) = asked(model.command(&say, NOW_MS)) else { panic!("no request") };
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
    let lines = lines(&mut model, &Command::Show(Some(1)));
    assert_eq!(
        (lines[1].as_str(), lines[lines.len() - 2].as_str()),
        ("    customer | late", "    phone | on it")
    );
    let floor = Floor { holder: Some(Holder::Phone(Phone {})) };
    let changed = FloorChanged { conversation_id: "c1".to_owned(), floor: Some(floor) };
    assert_eq!(model.take(event(Event::FloorChanged(changed))), ["[1] floor: phone"]);
}

#[test]
fn a_refusal_says_why_and_counts() {
    let mut model = offered();
    drop(model.command(&Command::Accept(None), NOW_MS));
    let refused = Refused { reason: RefusalReason::OfferEnded.into(), text: "it ended".to_owned() };
    let accept = Ask::AcceptOffer(AcceptOffer::default());
    let answer = News::Answered(Box::new(accept), Some(command_result::Result::Refused(refused)));
    assert_eq!(model.take(answer), ["refused: it ended (offer_ended)"]);
    assert_eq!((model.unanswered, model.refused), (0, 1));
}

#[test]
fn a_lost_connection_is_told_once_and_nothing_is_forgotten() {
    let mut model = offered();
    assert_eq!(model.take(News::Lost("x".to_owned())).len(), 1);
    assert!(model.take(News::Lost("x".to_owned())).is_empty(), "one line for many attempts");
    let mut never = Model::new("ana");
    let told = never.take(News::Lost("no connection: x".to_owned()));
    assert_eq!(told, ["no connection: x; tried again until it works"]);
    assert!(never.take(News::Lost("x".to_owned())).is_empty(), "nor without a first connection");
    assert!(model.command(&Command::Accept(Some(1)), NOW_MS).is_ok());
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
        (
            "transfer billing pays by card",
            Some(Command::Transfer {
                to: Target::Queue("billing".to_owned()),
                note: "pays by card".to_owned(),
            }),
        ),
        (
            "transfer @bo",
            Some(Command::Transfer { to: Target::Agent("bo".to_owned()), note: String::new() }),
        ),
        ("requeue", Some(Command::Requeue(String::new()))),
        ("snooze 45s", Some(Command::Snooze { for_ms: 45_000 })),
        ("snooze 30", Some(Command::Snooze { for_ms: 1_800_000 })),
        ("snooze 2h", Some(Command::Snooze { for_ms: 7_200_000 })),
        ("resolve sold", Some(Command::Resolve { code: "sold".to_owned(), wrap_up: false })),
        ("wrap-up", Some(Command::Resolve { code: String::new(), wrap_up: true })),
        ("done 2", Some(Command::Done(Some(2)))),
        ("wait offer [1]", Some(Command::Wait("offer [1]".to_owned()))),
        ("", None),
    ] {
        assert_eq!(Command::parse(line), Ok(wanted), "{line}");
    }
    for bad in [
        "hello there",
        "say",
        "open",
        "open x",
        "accept all",
        "transfer",
        "transfer @",
        "snooze",
        "snooze soon",
        "snooze 0m",
        "snooze 3 weeks",
    ] {
        assert!(!Command::parse(bad).unwrap_err().is_empty(), "{bad}");
    }
}

fn lines(model: &mut Model, command: &Command) -> Vec<String> {
    match model.command(command, NOW_MS) {
        Ok(Done::Lines(lines)) => lines,
        other => panic!("no lines: {other:?}"),
    }
}

/// Signed in, with the conversation of the offer.
fn accepted() -> Model {
    let mut model = offered();
    model.take(event(Event::Assigned(Assigned { conversation_id: "c1".to_owned() })));
    model
}

#[test]
fn a_conversation_is_handed_on_put_aside_and_finished_with_work_after_it() {
    let mut model = accepted();
    let to = Target::Agent("bo".to_owned());
    let handed = Command::Transfer { to, note: "wants pears".to_owned() };
    let Ask::Transfer(handed) = asked(model.command(&handed, NOW_MS)) else { panic!("no request") };
    assert_eq!(handed.to, Some(transfer::To::AgentId("bo".to_owned())));
    assert_eq!((handed.conversation_id.as_str(), handed.note.as_str()), ("c1", "wants pears"));
    let snooze = Command::Snooze { for_ms: 60_000 };
    let Ask::Snooze(aside) = asked(model.command(&snooze, NOW_MS)) else { panic!("no request") };
    assert_eq!(aside.until_ms, NOW_MS + 60_000);
    let resolve = Command::Resolve { code: "sold".to_owned(), wrap_up: true };
    let Ask::Resolve(end) = asked(model.command(&resolve, NOW_MS)) else { panic!("no request") };
    assert_eq!((end.code.as_str(), end.wrap_up), ("sold", true));

    assert!(model.command(&Command::Done(None), NOW_MS).is_err(), "nothing to end yet");
    let resolved = EpisodeResolved { conversation_id: "c1".to_owned() };
    assert_eq!(model.take(event(Event::EpisodeResolved(resolved))), ["[1] resolved"]);
    let wrap_up = WrapUp {
        conversation_id: "c1".to_owned(),
        until_ms: NOW_MS + 60_000,
        holds_capacity: true,
    };
    assert_eq!(model.take(event(Event::WrapUpBegan(wrap_up))), ["[1] wrap-up; `done 1` ends it"]);
    assert_eq!(lines(&mut model, &Command::List), [" [1] Mina (+4711): wrap-up, 60 s left"]);
    let Ask::EndWrapUp(end) = asked(model.command(&Command::Done(None), NOW_MS)) else {
        panic!("no request")
    };
    assert_eq!(end.conversation_id, "c1");
    let ended = WrapUpEnded { conversation_id: "c1".to_owned() };
    assert_eq!(model.take(event(Event::WrapUpEnded(ended))), ["[1] wrap-up ended"]);
    assert_eq!(lines(&mut model, &Command::List), ["nothing offered, nothing yours"]);
}

#[test]
fn sends_are_told_apart_before_whatsapp_has_named_them() {
    let mut model = accepted();
    let pending = |opaque_id: &str, text: &str, at_ms| Message {
        opaque_id: opaque_id.to_owned(),
        delivery: Delivery::Pending.into(),
        ..message("", AuthorKind::Agent, text, at_ms)
    };
    for one in [pending("s1", "one", 6_000), pending("s2", "two", 6_001)] {
        let joined = ThreadMessage { conversation_id: "c1".to_owned(), message: Some(one) };
        assert_eq!(model.take(event(Event::Message(joined))).len(), 1);
    }
    let changed = |message_id: &str, opaque_id: &str, delivery: Delivery| DeliveryChanged {
        conversation_id: "c1".to_owned(),
        message_id: message_id.to_owned(),
        opaque_id: opaque_id.to_owned(),
        delivery: delivery.into(),
        ..DeliveryChanged::default()
    };
    let told = model.take(event(Event::DeliveryChanged(changed("m8", "s1", Delivery::Accepted))));
    assert_eq!(told, ["[1] accepted"]);
    model.take(event(Event::DeliveryChanged(changed("m8", "", Delivery::Read))));
    // What was read before that does not undo it.
    let conversation = Conversation { conversation_id: "c1".to_owned(), ..Conversation::default() };
    let behind = Message { message_id: "m8".to_owned(), ..pending("s1", "one", 6_000) };
    let history = History { conversation, messages: vec![behind], notes: Vec::new() };
    model.take(News::History(Box::new(history)));
    let of = |text: &str| {
        let mut said = model.talks[0].thread.iter().filter(|one| one.text == text);
        let one = said.next().unwrap_or_else(|| panic!("{text} is gone"));
        assert!(said.next().is_none(), "{text} is there twice");
        one.delivery()
    };
    assert_eq!((of("one"), of("two")), (Delivery::Read, Delivery::Pending));
}

#[test]
fn a_refused_answer_is_kept_and_what_a_customer_writes_steers_no_terminal() {
    let mut model = accepted();
    let send = SendMessage {
        conversation_id: "c1".to_owned(),
        content: Some(send_message::Content::Text("Too late".to_owned())),
        ..SendMessage::default()
    };
    let refused = command_result::Result::Refused(Refused::default());
    model.take(News::Answered(Box::new(Ask::Send(send)), Some(refused)));
    assert_eq!(model.talks[0].draft, "Too late");
    let nasty = message("m9", AuthorKind::Customer, "\u{1b}[2J\u{7}gone", 9_000);
    let joined = ThreadMessage { conversation_id: "c1".to_owned(), message: Some(nasty) };
    let told = model.take(event(Event::Message(joined)));
    assert_eq!(told, ["[1] customer | \u{fffd}[2J\u{fffd}gone"]);
}

#[test]
fn too_many_missed_offers_and_what_was_taken_are_told() {
    let mut model = accepted();
    model.take(event(Event::MissedTooMany(MissedTooMany {})));
    assert!(model.missed_too_many);
    model.take(News::Lost("x".to_owned()));
    let taken = Snapshot {
        taken_conversation_ids: vec!["c1".to_owned()],
        capacity: 100,
        ..Snapshot::default()
    };
    let told = model.take(event(Event::Snapshot(taken)));
    assert_eq!(
        told,
        [
            "signed in as ana, 0 of 100 units in use",
            "[1] taken from you while the connection was lost"
        ]
    );
    assert!(!model.missed_too_many && model.open.is_none());
}
