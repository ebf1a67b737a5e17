//! Threads: their order, their pages, and threads that became one.

use domain::{BusinessId, conversation::ConversationEvent};

use super::{
    support::*,
    tables::{Kind, on_both},
};
use crate::{Applied, model::ThreadCursor};

on_both!(
    thread_order_is_meta_time_then_wamid_whatever_the_page_size,
    threads_that_became_one_are_one_whichever_log_is_read_first,
    a_phone_that_points_elsewhere_later_leaves_the_thread_where_it_is,
);

async fn thread_order_is_meta_time_then_wamid_whatever_the_page_size(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    // Twelve messages in three seconds, recorded in an order that is neither time nor wamid.
    let order = [31, 12, 33, 21, 14, 24, 11, 34, 22, 13, 32, 23];
    for n in order {
        log.step(1, &[inbound(n, u64::from(n / 10) * 1_000, &n.to_string())]);
    }
    log.step(1, &[asked(request(1, 1), 2_000, "pending")]);
    model.apply_log(&log).await;
    let mut expected: Vec<String> = order.iter().map(u8::to_string).collect();
    expected.sort();
    // What is not sent yet may answer what came in the same millisecond.
    expected.insert(8, "pending".to_owned());
    assert_eq!(model.texts(1).await, expected);
    for page_size in 1..=13 {
        let mut cursor: Option<ThreadCursor> = None;
        let mut seen = Vec::new();
        loop {
            let business = BusinessId::from(SHOP);
            let read = model.archive.messages(&business, hash(1), cursor.as_ref(), page_size, None);
            let (page, more) = read.await.unwrap().value.unwrap();
            assert!(page.len() <= page_size);
            seen.extend(page.iter().map(|view| view.content.text.clone().unwrap()));
            cursor = page.last().map(|view| view.cursor.clone());
            if !more {
                break;
            }
        }
        assert_eq!(seen, expected, "pages of {page_size}");
    }
}

/// A phone's address (2) becomes part of a BSUID's conversation (9), which lives in another partition, and that
/// of a higher one (10) in a third.
async fn threads_that_became_one_are_one_whichever_log_is_read_first(kind: Kind) {
    let model = Model::new(kind).await;
    let (mut lower, mut higher) = (Log::new(0), Log::new(1));
    let sent = request(2, 1);
    lower.step(
        2,
        &[identity(Some("5511"), None), inbound(1, 10, "by phone"), asked(sent, 15, "answer")],
    );
    lower.step(2, &[ConversationEvent::EpisodeOpened { n: 1, at_ms: 10 }, forwarding(9)]);
    lower.step(2, &[accepted(sent, 7, 16)]);
    // The same message, seen by both addresses.
    lower.step(2, &[inbound(3, 30, "twice")]);
    higher
        .step(9, &[identity(None, Some("BR.1")), inbound(2, 20, "by id"), inbound(3, 30, "twice")]);
    higher.step(9, &[status(7, Some(sent), domain::conversation::StatusKind::Read, 40)]);
    higher.step(9, &[forwarding(10)]);
    higher.step(10, &[inbound(4, 40, "at the top")]);
    let mut first = None;
    for order in interleavings(lower.records.len(), higher.records.len()) {
        model.empty().await;
        let (mut low, mut high) = (lower.records.iter(), higher.records.iter());
        for takes_lower in &order {
            let (partition, record) = match takes_lower {
                true => (lower.partition, low.next().unwrap()),
                false => (higher.partition, high.next().unwrap()),
            };
            assert_eq!(model.apply(partition, std::slice::from_ref(record)).await, Applied::Done);
        }
        let dump = model.dump().await;
        assert_same(first.get_or_insert_with(|| dump.clone()), &dump, &order);
    }
    let expected = ["by phone", "answer", "by id", "twice", "at the top"];
    for id in [2, 9, 10] {
        assert_eq!(model.texts(id).await, expected);
        let read = model.archive.conversation(&SHOP.into(), hash(id), None).await.unwrap();
        let view = read.value.unwrap();
        assert_eq!((view.row.id, view.row.last_message_ms), (hash(10), 40));
        assert_eq!(view.contact.phone.as_deref(), Some("5511"));
        assert_eq!(view.contact.bsuid.as_deref(), Some("BR.1"));
        assert_eq!(view.episodes.len(), 1);
    }
    let listed =
        model.archive.conversations(&SHOP.into(), &Default::default(), None, 9).await.unwrap();
    assert_eq!(listed.len(), 1);
}

/// Numbers are recycled: a phone that points to someone else later takes nothing along.
async fn a_phone_that_points_elsewhere_later_leaves_the_thread_where_it_is(kind: Kind) {
    let model = Model::new(kind).await;
    let mut log = Log::new(0);
    log.step(2, &[inbound(1, 10, "first owner"), forwarding(8)]);
    log.step(8, &[inbound(2, 20, "first owner again")]);
    log.step(2, &[forwarding(9)]);
    log.step(9, &[inbound(3, 30, "second owner")]);
    model.apply_log(&log).await;
    assert_eq!(model.texts(8).await, ["first owner", "first owner again"]);
    assert_eq!(model.texts(9).await, ["second owner"]);
    assert_eq!(model.texts(2).await, ["second owner"]);
}
