//! What events do to rows.

use bus::{DeadLetter, Input, RecordBody, Steps};
use domain::{
    BusinessId, CommandId,
    conversation::{
        Author, CommandAnswer, ConversationEvent, Floor, FloorCause, ResolvedBy, RoutingAct,
        SendOutcome, StatusKind,
    },
};

use super::{
    support::*,
    tables::{Kind, on_both},
};
use crate::{Applied, Delivery, model::ConversationFilter};

on_both!(
    a_conversation_shows_floor_window_item_episodes_and_notes,
    every_end_of_a_send_is_shown,
    an_answer_its_statuses_and_its_echo_come_to_the_same_end_in_any_order,
    a_late_answer_does_not_move_a_message_in_its_thread,
    a_batch_applied_twice_counts_once,
    two_businesses_with_one_conversation_id_are_kept_apart,
    a_dead_letter_is_kept_with_its_input,
    lists_are_filtered_and_paged_newest_first,
    a_vip_and_a_snooze_are_shown_and_listed_by,
    what_a_program_submitted_is_found_by_its_key,
    times_at_the_end_of_time_stop_nothing,
);

async fn a_conversation_shows_floor_window_item_episodes_and_notes(kind: Kind) {
    let (model, mut log) = (Model::new(kind).await, Log::new(0));
    let floor = Floor::Desk { agent: "ana".into() };
    log.step(
        1,
        &[
            identity(Some("5511"), None),
            ConversationEvent::EpisodeOpened { n: 1, at_ms: 10 },
            ConversationEvent::WindowMoved { until_ms: 500 },
            ConversationEvent::ItemWanted {
                item: item(1, 1),
                version: 1,
                queue: "sales".into(),
                since_ms: 10,
            },
        ],
    );
    model.apply_log(&log).await;
    let business = BusinessId::from(SHOP);
    let read = model.archive.conversation(&business, hash(1), None).await.unwrap().value.unwrap();
    assert_eq!(read.row.waiting, Some(("sales".into(), 10)));
    assert_eq!((read.row.number, read.row.window_until_ms), (Some(hash(200)), 500));
    assert_eq!(read.contact.phone.as_deref(), Some("5511"));
    assert_eq!(read.episodes.len(), 1);

    let done = log.records.len();
    log.step(
        1,
        &[
            ConversationEvent::ItemAssigned { item: item(1, 1), agent: "ana".into(), at_ms: 20 },
            ConversationEvent::FloorChanged {
                floor: floor.clone(),
                cause: FloorCause::Assigned,
                at_ms: 20,
            },
            ConversationEvent::NoteAdded {
                n: 1,
                agent: Some("ana".into()),
                content: content(0, "vip"),
                at_ms: 21,
            },
        ],
    );
    log.step(
        1,
        &[
            ConversationEvent::EpisodeResolved {
                n: 1,
                by: ResolvedBy::Agent("ana".into()),
                at_ms: 30,
            },
            // The end of an item that is no longer the open one says nothing.
            ConversationEvent::ItemEnded { item: item(1, 7), at_ms: 30 },
        ],
    );
    assert_eq!(model.apply(log.partition, &log.records[done..]).await, Applied::Done);
    let read = model.archive.conversation(&business, hash(1), None).await.unwrap().value.unwrap();
    assert_eq!((read.row.assigned, read.row.waiting), (Some("ana".into()), None));
    assert_eq!(read.row.floor, floor);
    assert_eq!(read.notes[0].1, "vip");
    assert_eq!(
        (read.episodes[0].resolved_ms, &read.episodes[0].resolved_by),
        (30, &Some("ana".into()))
    );

    log.records.clear();
    log.step(1, &[ConversationEvent::ItemEnded { item: item(1, 1), at_ms: 31 }]);
    model.apply_log(&log).await;
    let read = model.archive.conversation(&business, hash(1), None).await.unwrap().value.unwrap();
    assert_eq!(read.row.assigned, None);
    let assignments = &model.dump().await["assignments"];
    assert!(assignments[0].contains("assigned_ms=20 ended_ms=31"), "{assignments:?}");
}

async fn every_end_of_a_send_is_shown(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    let of = |n| request(1, n);
    let failed = SendOutcome::Failed { code: 131_047, told: "window closed".to_owned() };
    let repeated =
        SendOutcome::Accepted { message: message(6), wamid: wamid(6), at_ms: 70, repeated: true };
    log.step(
        1,
        &[
            asked(of(1), 10, "pending"),
            asked(of(2), 20, "unknown"),
            ended(of(2), SendOutcome::Unknown),
            asked(of(3), 30, "failed"),
            ended(of(3), failed),
            asked(of(4), 40, "cancelled"),
            ConversationEvent::SendCancelled { request: of(4) },
            ended(of(4), SendOutcome::Cancelled),
            asked(of(5), 50, "cancelled too late"),
            ConversationEvent::SendCancelled { request: of(5) },
            accepted(of(5), 5, 50),
            asked(of(6), 60, "repeated"),
            ended(of(6), repeated),
            asked(of(7), 80, "unknown at first"),
            ended(of(7), SendOutcome::Unknown),
            status(7, Some(of(7)), StatusKind::Delivered, 90),
        ],
    );
    model.apply_log(&log).await;
    let shown: Vec<_> = model
        .thread(1)
        .await
        .into_iter()
        .map(|view| (view.content.text.unwrap(), view.row.delivery.delivery(), view.content.wamid))
        .collect();
    let wamid = |n: u8| Some(format!("wamid.{n}"));
    let expected = [
        ("pending", Delivery::Pending, None),
        ("unknown", Delivery::Unknown, None),
        ("failed", Delivery::Failed, None),
        ("cancelled", Delivery::Cancelled, None),
        ("cancelled too late", Delivery::Accepted, wamid(5)),
        ("repeated", Delivery::Accepted, wamid(6)),
        ("unknown at first", Delivery::Delivered, wamid(7)),
    ];
    assert_eq!(shown, expected.map(|(text, delivery, wamid)| (text.to_owned(), delivery, wamid)));
    let thread = model.thread(1).await;
    assert_eq!((thread[2].row.error_code, thread[2].row.told.as_str()), (131_047, "window closed"));
    assert!(thread[5].row.repeated && !thread[4].row.repeated);
}

async fn an_answer_its_statuses_and_its_echo_come_to_the_same_end_in_any_order(kind: Kind) {
    let model = Model::new(kind).await;
    let sent = request(1, 1);
    let facts = [
        accepted(sent, 5, 100),
        status(5, Some(sent), StatusKind::Sent, 110),
        status(5, None, StatusKind::Delivered, 120),
        status(5, None, StatusKind::Failed, 130),
        echo(5, 99, "hello"),
    ];
    let mut first = None;
    for order in permutations(&facts) {
        model.empty().await;
        let mut log = Log::new(0);
        log.step(1, &[asked(sent, 90, "hello")]);
        let repeated = [order.as_slice(), &order[..2]].concat();
        log.step(1, &repeated);
        model.apply_log(&log).await;
        let thread = model.thread(1).await;
        assert_eq!(thread.len(), 1, "{order:?}");
        let view = &thread[0];
        assert_eq!(view.row.delivery.delivery(), Delivery::Delivered);
        assert_eq!((view.row.delivery.times.failed_ms, view.row.error_code), (130, 131_026));
        assert_eq!((view.row.at_ms, &view.row.author), (99, &Author::Agent("ana".into())));
        let dump = model.dump().await;
        assert_same(first.get_or_insert_with(|| dump.clone()), &dump, &order);
    }
}

/// The process stood still between the call and its answer; meanwhile the customer wrote again.
async fn a_late_answer_does_not_move_a_message_in_its_thread(kind: Kind) {
    let model = Model::new(kind).await;
    let (sent, unknown) = (request(1, 1), request(1, 2));
    let facts = [
        accepted(sent, 5, 24_300),
        status(5, Some(sent), StatusKind::Sent, 4_000),
        status(5, None, StatusKind::Delivered, 5_000),
        inbound(6, 9_000, "still there?"),
        status(7, Some(unknown), StatusKind::Sent, 12_000),
        ended(unknown, SendOutcome::Unknown),
    ];
    for order in permutations(&facts) {
        model.empty().await;
        let mut log = Log::new(0);
        log.step(1, &[inbound(1, 4_000, "hi"), asked(sent, 4_200, "hello")]);
        log.step(1, &[asked(unknown, 4_300, "yes")]);
        log.step(1, &order);
        model.apply_log(&log).await;
        let texts = model.thread(1).await.into_iter().map(|view| view.content.text.unwrap());
        assert_eq!(texts.collect::<Vec<_>>(), ["hi", "hello", "still there?", "yes"], "{order:?}");
    }
}

async fn a_batch_applied_twice_counts_once(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    log.step(
        1,
        &[
            inbound(1, 10, "hi"),
            ConversationEvent::ItemAssigned { item: item(1, 1), agent: "ana".into(), at_ms: 11 },
        ],
    );
    let batch = model.batch(log.partition, &log.records).await;
    assert_eq!(model.repository.apply(batch.clone()).await.unwrap(), Applied::Done);
    let once = model.dump().await;
    let again = model.repository.apply(batch.clone()).await.unwrap();
    assert_eq!(again, Applied::Elsewhere(Some(batch.last)));
    assert_eq!(model.dump().await, once);
}

async fn two_businesses_with_one_conversation_id_are_kept_apart(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    log.step_of(SHOP, 1, &[inbound(1, 10, "to the shop")]);
    log.step_of("bank", 1, &[inbound(1, 10, "to the bank"), inbound(2, 11, "more")]);
    log.step_of("bank", 2, &[inbound(3, 12, "another")]);
    model.apply_log(&log).await;
    let (shop, bank) = (BusinessId::from(SHOP), BusinessId::from("bank"));
    let count = async |business: &BusinessId, who: u8| {
        let read = model.archive.messages(business, hash(who), None, 10, None).await.unwrap();
        read.value.map(|(views, _)| views.len())
    };
    assert_eq!((count(&shop, 1).await, count(&shop, 2).await), (Some(1), None));
    assert_eq!((count(&bank, 1).await, count(&bank, 2).await), (Some(2), Some(1)));
    assert!(model.archive.conversation(&shop, hash(2), None).await.unwrap().value.is_none());
    let other = model.archive.message(&shop, hash(1), message(2)).await.unwrap();
    assert_eq!(other, None);
    let filter = ConversationFilter::default();
    let listed = model.archive.conversations(&shop, &filter, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|view| view.row.id).collect::<Vec<_>>(), [hash(1)]);
    // What was sealed for the bank does not open as the shop's.
    assert!(!model.archive.knows(&shop, hash(2)).await.unwrap());
}

async fn a_dead_letter_is_kept_with_its_input(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(2);
    let mut dead = step(SHOP, 1, &[]);
    let input = Input {
        header: dead.header.clone(),
        target: dead.entity,
        body: b"?".as_slice().into(),
        reply_to: None,
    };
    dead.dead_letter = Some(DeadLetter { error: "it cannot be read".to_owned(), input });
    log.push(RecordBody::Steps(Steps { steps: vec![dead], ..Steps::default() }));
    model.apply_log(&log).await;
    let letters = &model.dump().await["dead_letters"];
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains("business=\"shop\"") && letters[0].contains("it cannot be read"));
    assert!(!model.archive.knows(&SHOP.into(), hash(1)).await.unwrap());
}

async fn lists_are_filtered_and_paged_newest_first(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    for n in 1..=7u8 {
        log.step(n, &[identity(Some("55"), None), inbound(n, 100 + u64::from(n / 2), "hi")]);
    }
    log.step(
        3,
        &[ConversationEvent::ItemAssigned { item: item(3, 1), agent: "ana".into(), at_ms: 5 }],
    );
    model.apply_log(&log).await;
    let status_only = status(90, None, StatusKind::Sent, 500);
    log.records.clear();
    log.step(9, &[status_only]);
    model.apply_log(&log).await;
    let shop = BusinessId::from(SHOP);
    let mut filter = ConversationFilter::default();
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = model.archive.conversations(&shop, &filter, after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(crate::model::ConversationCursor {
            last_message_ms: last.row.last_message_ms,
            id: last.row.id,
        });
        seen.extend(page.iter().map(|view| view.row.id.0[0]));
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    filter.assigned = Some("ana".into());
    filter.number = Some(hash(200));
    let assigned = model.archive.conversations(&shop, &filter, None, 9).await.unwrap();
    assert_eq!(assigned.iter().map(|view| view.row.id).collect::<Vec<_>>(), [hash(3)]);
    filter.number = Some(hash(199));
    assert_eq!(model.archive.conversations(&shop, &filter, None, 9).await.unwrap(), []);
}

async fn a_vip_and_a_snooze_are_shown_and_listed_by(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    let act = |act| ConversationEvent::RoutingActed {
        act,
        by: Some("ana".into()),
        from: None,
        note: None,
        at_ms: 20,
    };
    let snoozed = act(RoutingAct::Snooze { until_ms: 900 });
    let ended = ConversationEvent::EpisodeResolved { n: 1, by: ResolvedBy::Api, at_ms: 40 };
    let vip = |vip| act(RoutingAct::Vip { vip });
    log.step(1, &[identity(Some("1"), None), inbound(1, 10, "hi"), vip(true), snoozed.clone()]);
    log.step(
        2,
        &[inbound(2, 10, "hi"), snoozed.clone(), ConversationEvent::SnoozeEnded { at_ms: 30 }],
    );
    log.step(3, &[inbound(3, 10, "hi"), snoozed, ended, vip(true), vip(false)]);
    model.apply_log(&log).await;
    let business = BusinessId::from(SHOP);
    let list = async |vip, snoozed| {
        let filter = ConversationFilter { vip, snoozed, ..ConversationFilter::default() };
        let listed = model.archive.conversations(&business, &filter, None, 9).await.unwrap();
        let row = |view: &crate::model::ConversationView| {
            (view.row.id, view.row.vip, view.row.snoozed_until_ms)
        };
        listed.iter().map(row).collect::<Vec<_>>()
    };
    let (first, others) = ((hash(1), true, 900), [(hash(3), false, 0), (hash(2), false, 0)]);
    assert_eq!(list(Some(true), None).await, [first]);
    assert_eq!(list(None, Some(true)).await, [first]);
    assert_eq!(list(Some(false), None).await, others);
    assert_eq!(list(Some(false), Some(false)).await, others);
    assert_eq!(list(Some(true), Some(false)).await, []);
}

async fn what_a_program_submitted_is_found_by_its_key(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    let answered = |client: u8, n, request| ConversationEvent::CommandAnswered {
        id: CommandId { client: hash(client), n },
        answer: CommandAnswer::Sent { request },
    };
    let failed = SendOutcome::Failed { code: 131_050, told: "stopped".to_owned() };
    let (one, two) = (request(1, 1), request(2, 1));
    log.step(1, &[asked(one, 10, "offer"), answered(7, 1, one)]);
    log.step(2, &[asked(two, 20, "offer"), answered(7, 1, two)]);
    log.step(
        1,
        &[
            ConversationEvent::SendResolved { request: one, outcome: failed, at_ms: 30 },
            asked(request(1, 2), 40, "offer"),
            answered(8, 2, request(1, 2)),
        ],
    );
    model.apply_log(&log).await;
    let of = async |client: u8| {
        let found = model.archive.submitted(&SHOP.into(), hash(client), 9, None).await.unwrap();
        let row = |view: &crate::model::MessageView| {
            (view.row.request.unwrap(), view.row.delivery.delivery(), view.row.error_code)
        };
        found.value.iter().map(row).collect::<Vec<_>>()
    };
    let both = [(two, Delivery::Pending, 0), (one, Delivery::Failed, 131_050)];
    assert_eq!(of(7).await, both, "one for each customer, the newest first");
    assert_eq!(of(8).await, [], "a later command of a client is no submitted message");
    let foreign = model.archive.submitted(&"bank".into(), hash(7), 9, None).await.unwrap();
    assert_eq!(foreign.value.len(), 0);
}

/// Whoever says when something was may say anything.
async fn times_at_the_end_of_time_stop_nothing(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    let (sent, end) = (request(1, 1), u64::MAX);
    log.step(1, &[asked(sent, 5, "hi"), status(5, Some(sent), StatusKind::Sent, end)]);
    log.step(1, &[accepted(sent, 5, end), ConversationEvent::WindowMoved { until_ms: end }]);
    model.apply_log(&log).await;
    let thread = model.thread(1).await;
    assert_eq!(thread[0].row.delivery.delivery(), Delivery::Sent);
}
