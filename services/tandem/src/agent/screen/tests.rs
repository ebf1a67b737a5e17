//! The screen as the agent sees it, and what keys do.

use api::v1::{
    Assigned, AuthorKind, CollectedField, Contact, Conversation, Delivery, Floor, Message, Offer,
    Presence, Refused, SendMessage, Snapshot, ThreadMessage, Unassigned, WrapUp, command_result,
    desk_event::Event,
    desk_request::Request as Ask,
    floor::{self, Holder},
    send_message, transfer,
};
use crossterm::event::{Event as Pressed, KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, layout::Position};

use super::desk::{Desk, Wish};
use crate::{
    agent::{
        history::History,
        link::News,
        tests::{NOW_MS, event, message, note},
    },
    frames::{assert_frame, text},
};

const MINUTE_MS: i64 = 60_000;

fn frame(desk: &Desk, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| desk.draw(frame)).unwrap();
    text(terminal.backend().buffer())
}

fn check(name: &str, desk: &Desk) {
    assert_frame("agent/screen/tests", name, &frame(desk, 80, 24));
}

fn press(desk: &mut Desk, code: KeyCode) -> Option<Wish> {
    desk.press(&Pressed::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn key(desk: &mut Desk, letter: char) -> Option<Wish> {
    press(desk, KeyCode::Char(letter))
}

fn typed(desk: &mut Desk, text: &str) -> Option<Wish> {
    for letter in text.chars() {
        assert_eq!(key(desk, letter), None);
    }
    press(desk, KeyCode::Enter)
}

fn asked(wish: Option<Wish>) -> Ask {
    match wish {
        Some(Wish::Ask(ask)) => *ask,
        other => panic!("no request: {other:?}"),
    }
}

fn outbound(id: &str, kind: AuthorKind, text: &str, at_ms: i64, delivery: Delivery) -> Message {
    Message { delivery: delivery.into(), ..message(id, kind, text, at_ms) }
}

fn history(id: &str, name: &str, phone: &str, messages: Vec<Message>) -> News {
    let contact = Contact { name: name.to_owned(), phone: phone.to_owned(), ..Contact::default() };
    let desk = Holder::Desk(floor::Desk { agent_id: "ana".to_owned() });
    let conversation = Conversation {
        conversation_id: id.to_owned(),
        contact: Some(contact),
        floor: Some(Floor { holder: Some(desk) }),
        window_until_ms: NOW_MS + 20 * 60 * MINUTE_MS,
        ..Conversation::default()
    };
    let notes = vec![note("bo", "pays by card", NOW_MS - 3 * MINUTE_MS)];
    News::History(Box::new(History { conversation, messages, notes }))
}

fn offer(id: &str, queue: &str, left_ms: i64) -> Offer {
    Offer {
        offer_id: format!("offer-{id}"),
        conversation_id: id.to_owned(),
        queue_id: queue.to_owned(),
        waiting_since_ms: NOW_MS - 70_000,
        deadline_ms: NOW_MS + left_ms,
        reason: "sales 5".to_owned(),
        handoff_why: "requested".to_owned(),
        fields: vec![CollectedField { name: "day".to_owned(), value: "2026-12-24".to_owned() }],
        ..Offer::default()
    }
}

fn signed_in() -> Desk {
    let mut desk = Desk::new("ana");
    desk.now_ms = NOW_MS;
    let snapshot = Snapshot {
        presence: Presence::Available.into(),
        capacity_used: 40,
        capacity: 100,
        ..Snapshot::default()
    };
    desk.take(event(Event::Snapshot(snapshot)));
    desk
}

/// An offer, two conversations (one of them Japanese) and work after a third.
fn busy() -> Desk {
    let mut desk = signed_in();
    for (id, name, phone) in [("c1", "山田 太郎", "819012345678"), ("c2", "Ken", "4712")] {
        desk.take(event(Event::Assigned(Assigned { conversation_id: id.to_owned() })));
        let ago = |minutes: i64| NOW_MS - minutes * MINUTE_MS;
        let failed = Message {
            error_text: "The customer's phone is off. Try again tomorrow.".to_owned(),
            ..outbound("m6", AuthorKind::Agent, "明日お届けします。", ago(1), Delivery::Failed)
        };
        let messages = vec![
            message(
                "m1",
                AuthorKind::Customer,
                "りんごはありますか。十個ほど欲しいのですが、明日までに届けていただけますか。",
                ago(7),
            ),
            outbound("m2", AuthorKind::Bot, "Which department?", ago(6), Delivery::Read),
            outbound("m3", AuthorKind::Phone, "We have apples", ago(5), Delivery::Delivered),
            outbound("m4", AuthorKind::Agent, "はい、あります。", ago(4), Delivery::Read),
            message("m5", AuthorKind::Customer, "two lines\nof \u{1b}[31mtext", ago(2)),
            failed,
        ];
        desk.take(history(id, name, phone, messages));
    }
    let wrap_up = WrapUp {
        conversation_id: "c3".to_owned(),
        until_ms: NOW_MS + 40_000,
        holds_capacity: true,
    };
    desk.take(event(Event::WrapUpBegan(wrap_up)));
    desk.take(history("c3", "Ana Test", "", Vec::new()));
    desk.take(event(Event::Offered(offer("c4", "sales", 8_000))));
    desk.take(history(
        "c4",
        "Mina",
        "4711",
        vec![message("m7", AuthorKind::Customer, "sales", NOW_MS - 70_000)],
    ));
    let unread = message("m8", AuthorKind::Customer, "Are you there?", NOW_MS - 1_000);
    let joined = ThreadMessage { conversation_id: "c2".to_owned(), message: Some(unread) };
    desk.take(event(Event::Message(joined)));
    desk
}

#[test]
fn offers_conversations_and_a_thread_with_its_fates_at_80_by_24() {
    check("busy", &busy());
}

#[test]
fn an_offer_shows_why_and_what_was_said_before() {
    let mut desk = busy();
    press(&mut desk, KeyCode::BackTab);
    check("offer", &desk);
    let Ask::AcceptOffer(accept) = asked(key(&mut desk, 'a')) else { panic!("no request") };
    assert_eq!(accept.offer_id, "offer-c4");
    key(&mut desk, 'r');
    let Ask::RejectOffer(reject) = asked(typed(&mut desk, "busy")) else { panic!("no request") };
    assert_eq!((reject.offer_id.as_str(), reject.reason.as_str()), ("offer-c4", "busy"));
}

#[test]
fn an_answer_is_typed_with_the_cursor_where_it_belongs() {
    let mut desk = busy();
    press(&mut desk, KeyCode::Enter);
    for letter in "はい, ok".chars() {
        key(&mut desk, letter);
    }
    press(&mut desk, KeyCode::Left);
    check("typing", &desk);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| desk.draw(frame)).unwrap();
    // " answer> " and two wide letters, then ", o".
    terminal.backend_mut().assert_cursor_position(Position { x: 9 + 4 + 3, y: 21 });
    let Ask::Send(send) = asked(press(&mut desk, KeyCode::Enter)) else { panic!("no request") };
    assert_eq!(send.conversation_id, "c1");
    assert_eq!(send.content, Some(send_message::Content::Text("はい, ok".to_owned())));
}

#[test]
fn a_refused_answer_is_told_and_said_all_the_same_by_a_key() {
    let mut desk = busy();
    let send = SendMessage {
        conversation_id: "c1".to_owned(),
        content: Some(send_message::Content::Text("Too late".to_owned())),
        ..SendMessage::default()
    };
    let refused = Refused { text: "the phone speaks".to_owned(), ..Refused::default() };
    let answer = Some(command_result::Result::Refused(refused));
    desk.take(News::Answered(Box::new(Ask::Send(send)), answer));
    let shown = frame(&desk, 80, 24);
    assert!(shown.contains("refused: the phone speaks"), "{shown}");
    assert!(shown.contains("not sent: Too late"), "{shown}");
    // A message that ends nothing here takes no word away.
    desk.take(event(Event::Unassigned(Unassigned { conversation_id: "c3".to_owned() })));
    assert!(frame(&desk, 80, 24).contains("refused: the phone speaks"));
    key(&mut desk, '!');
    let Ask::Send(send) = asked(press(&mut desk, KeyCode::Enter)) else { panic!("no request") };
    assert!(send.take_floor);
    assert_eq!(send.content, Some(send_message::Content::Text("Too late".to_owned())));
}

#[test]
fn keys_hand_on_put_aside_finish_and_end() {
    let mut desk = busy();
    press(&mut desk, KeyCode::Tab);
    key(&mut desk, 't');
    assert_eq!(typed(&mut desk, ""), None, "nobody is named: it stays on the line");
    let handed = asked(typed(&mut desk, "billing pays by card"));
    let Ask::Transfer(handed) = handed else { panic!("{handed:?}") };
    assert_eq!(handed.to, Some(transfer::To::QueueId("billing".to_owned())));
    assert_eq!((handed.conversation_id.as_str(), handed.note.as_str()), ("c2", "pays by card"));
    key(&mut desk, 's');
    let Ask::Snooze(aside) = asked(typed(&mut desk, "2h")) else { panic!("no request") };
    assert_eq!(aside.until_ms, NOW_MS + 2 * 60 * MINUTE_MS);
    key(&mut desk, 'n');
    assert!(matches!(asked(typed(&mut desk, "kind")), Ask::Note(note) if note.text == "kind"));
    key(&mut desk, 'E');
    let Ask::Resolve(end) = asked(typed(&mut desk, "sold")) else { panic!("no request") };
    assert_eq!((end.code.as_str(), end.wrap_up), ("sold", true));
    assert!(
        matches!(asked(key(&mut desk, 'w')), Ask::EndWrapUp(end) if end.conversation_id == "c3")
    );
    let presence = asked(key(&mut desk, 'p'));
    assert!(matches!(presence, Ask::SetPresence(set) if set.presence() == Presence::Away));
    key(&mut desk, ':');
    assert!(matches!(asked(typed(&mut desk, "requeue")), Ask::Requeue(_)));
    assert_eq!(key(&mut desk, 'q'), None, "asked once");
    assert_eq!(key(&mut desk, 'q'), Some(Wish::Leave));
    let control =
        |letter| Pressed::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
    assert_eq!(desk.press(&control('c')), Some(Wish::Leave));
    assert_eq!(desk.press(&control('l')), Some(Wish::Redraw));
}

#[test]
fn what_is_typed_goes_to_nobody_else_when_its_conversation_is_gone() {
    let mut desk = busy();
    press(&mut desk, KeyCode::Enter);
    for letter in "secret".chars() {
        key(&mut desk, letter);
    }
    let gone = Unassigned { conversation_id: "c1".to_owned() };
    desk.take(event(Event::Unassigned(gone)));
    assert_eq!(press(&mut desk, KeyCode::Enter), None);
    assert!(frame(&desk, 80, 24).contains("it is no longer yours"));
    press(&mut desk, KeyCode::Esc);
    assert_eq!(desk.focused().map(|(n, _)| n), Some(3), "the offer comes first");
}

#[test]
fn a_lost_connection_the_help_and_a_tiny_terminal_are_told() {
    let mut desk = busy();
    desk.take(News::Lost("the desk fell silent".to_owned()));
    let shown = frame(&desk, 80, 24);
    assert!(shown.contains("NO CONNECTION, trying again: the desk fell"), "{shown}");
    key(&mut desk, '?');
    check("help", &desk);
    key(&mut desk, 'x');
    assert!(frame(&desk, 40, 10).contains("at least 60 x 16"));
    for columns in 60..130 {
        frame(&desk, columns, 16 + columns % 20);
    }
    assert!(frame(&Desk::new("ana"), 80, 24).contains("connecting"));
    assert!(frame(&signed_in(), 80, 24).contains("nothing offered, nothing yours"));
}
