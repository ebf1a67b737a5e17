//! Reactions, edits and deletions act on their message, and prices and windows are kept, in whatever order they come.

use domain::{
    BusinessId,
    content::{Content, ContentKind, detail::Detail},
    conversation::{Author, ConversationEvent, Direction, MessageRecord, Pricing},
};

use super::{
    support::*,
    tables::{Kind, on_both},
};
use crate::{Marks, Reaction, Version};

on_both!(
    marks_come_to_the_same_end_in_any_order,
    a_deletion_and_reactions_of_both_sides,
    the_other_side_cannot_edit_or_delete,
    marks_of_another_thread_do_not_act,
    a_price_is_one_fact_whichever_log_tells_it_first,
    windows_free_entry_and_wishes_are_shown,
);

const TARGET: u8 = 1;

fn mark(n: u8, at_ms: u64, direction: Direction, detail: Option<Detail>) -> ConversationEvent {
    let kind = match &detail {
        Some(Detail::Edit { .. }) => ContentKind::Edit,
        Some(_) => ContentKind::Reaction,
        None => ContentKind::Revoke,
    };
    let wamid = Some(format!("wamid.{n}"));
    let author = match direction {
        Direction::In => Author::Customer,
        Direction::Out => Author::Phone { automatic: false },
    };
    ConversationEvent::MessageRecorded(MessageRecord {
        message: message(n),
        direction,
        author,
        kind,
        at_ms,
        content: seal(&Content { wamid, detail, ..Content::default() }),
        target: Some(message(TARGET)),
        episode: None,
    })
}

fn edit(n: u8, at_ms: u64, direction: Direction, text: &str) -> ConversationEvent {
    mark(n, at_ms, direction, Some(Detail::Edit { text: Some(text.to_owned()) }))
}

fn reaction(n: u8, at_ms: u64, direction: Direction, emoji: Option<&str>) -> ConversationEvent {
    mark(n, at_ms, direction, Some(Detail::Reaction { emoji: emoji.map(str::to_owned) }))
}

/// A log with one step per event.
fn log_of(events: &[ConversationEvent]) -> Log {
    let mut log = Log::new(0);
    for event in events {
        log.step(1, std::slice::from_ref(event));
    }
    log
}

async fn marks_of(model: &Model, events: &[ConversationEvent]) -> Marks {
    model.repository.clear().await.unwrap();
    model.apply_log(&log_of(events)).await;
    let thread = model.thread(1).await;
    let target = thread.iter().find(|view| view.row.message == Some(message(TARGET)));
    target.unwrap().marks.clone()
}

async fn marks_come_to_the_same_end_in_any_order(kind: Kind) {
    let model = Model::new(kind).await;
    let events = [
        inbound(TARGET, 1_000, "first"),
        edit(2, 2_000, Direction::In, "second"),
        edit(3, 3_000, Direction::In, "third"),
        reaction(4, 2_000, Direction::Out, Some("a")),
        reaction(5, 3_000, Direction::Out, Some("b")),
    ];
    let version = |text: &str, at_ms| Version { text: text.to_owned(), at_ms };
    let expected = Marks {
        reactions: vec![Reaction {
            direction: Direction::Out,
            emoji: "b".to_owned(),
            at_ms: 3_000,
        }],
        edits: vec![version("second", 2_000), version("third", 3_000)],
        revoked_ms: 0,
    };
    for order in permutations(&events) {
        assert_eq!(marks_of(&model, &order).await, expected, "{order:?}");
    }
}

async fn a_deletion_and_reactions_of_both_sides(kind: Kind) {
    let model = Model::new(kind).await;
    let marks = marks_of(
        &model,
        &[
            mark(9, 9_000, Direction::In, None),
            reaction(2, 2_000, Direction::In, Some("x")),
            reaction(3, 3_000, Direction::In, None),
            reaction(4, 2_500, Direction::Out, Some("y")),
            inbound(TARGET, 1_000, "gone"),
        ],
    )
    .await;
    assert_eq!(marks.revoked_ms, 9_000);
    let left: Vec<_> = marks.reactions.iter().map(|reaction| reaction.emoji.as_str()).collect();
    assert_eq!(left, ["y"], "the customer's was taken back");
}

/// Only who wrote a message can change or delete it.
async fn the_other_side_cannot_edit_or_delete(kind: Kind) {
    let model = Model::new(kind).await;
    let marks = marks_of(
        &model,
        &[
            inbound(TARGET, 1_000, "mine"),
            edit(2, 2_000, Direction::Out, "forged"),
            mark(3, 3_000, Direction::Out, None),
        ],
    )
    .await;
    assert_eq!(marks, Marks::default());
}

/// What has the same id in another conversation is another message.
async fn marks_of_another_thread_do_not_act(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    log.step(1, &[inbound(TARGET, 1_000, "mine")]);
    log.step(2, &[edit(2, 2_000, Direction::In, "of another customer")]);
    model.apply_log(&log).await;
    assert_eq!(model.thread(1).await[0].marks, Marks::default());
}

fn price(kind: &str) -> Pricing {
    let word = |word: &str| Some(word.to_owned());
    Pricing { model: word("pmp"), kind: word(kind), category: word("service"), ..<_>::default() }
}

fn billed(n: u8, kind: &str) -> ConversationEvent {
    let message = message(n);
    ConversationEvent::BillingRecorded { message, request: None, pricing: price(kind), at_ms: 5 }
}

async fn a_price_is_one_fact_whichever_log_tells_it_first(kind: Kind) {
    let (mut phone, mut bsuid) = (Log::new(0), Log::new(1));
    phone.step(2, &[billed(7, "free_customer_service")]);
    phone.step(2, &[forwarding(9)]);
    bsuid.step(9, &[billed(7, "regular"), inbound(1, 10, "hi"), echo(7, 20, "answer")]);
    let mut first = None;
    let model = Model::new(kind).await;
    for order in interleavings(phone.records.len(), bsuid.records.len()) {
        model.repository.clear().await.unwrap();
        let (mut low, mut high) = (phone.records.iter(), bsuid.records.iter());
        for takes_phone in &order {
            let (partition, record) = match takes_phone {
                true => (phone.partition, low.next().unwrap()),
                false => (bsuid.partition, high.next().unwrap()),
            };
            model.apply(partition, std::slice::from_ref(record)).await;
        }
        let dump = model.dump().await;
        assert_eq!(dump["billing_facts"].len(), 1);
        assert_same(first.get_or_insert_with(|| dump.clone()), &dump, &order);
        let thread = model.thread(9).await;
        assert_eq!(thread[1].row.pricing, Some(price("regular")));
    }
}

async fn windows_free_entry_and_wishes_are_shown(kind: Kind) {
    let model = Model::new(kind).await;
    let moved = |category: &str, until_ms| ConversationEvent::BillingWindowMoved {
        category: category.to_owned(),
        until_ms,
    };
    let events = [
        moved("utility", 50),
        moved("marketing", 70),
        moved("utility", 60),
        ConversationEvent::FreeEntryMoved { until_ms: 90 },
        ConversationEvent::FreeEntryMoved { until_ms: 80 },
        ConversationEvent::MarketingWished { allowed: false, at_ms: 40 },
    ];
    model.apply_log(&log_of(&events)).await;
    let read = model.archive.conversation(&BusinessId::from(SHOP), hash(1), None).await.unwrap();
    let row = read.value.unwrap().row;
    let windows: Vec<_> =
        row.billing_windows.iter().map(|w| (w.category.as_str(), w.until_ms)).collect();
    assert_eq!(windows, [("marketing", 70), ("utility", 60)]);
    assert_eq!((row.free_entry_until_ms, row.marketing), (80, Some((false, 40))));
    // Nothing was said: it is no conversation to list.
    let listed = model.archive.conversations(&SHOP.into(), &Default::default(), None, 9).await;
    assert_eq!(listed.unwrap().len(), 0);
}
