//! The event tail.

use api::v1::{
    Position, TailRequest, TailResponse, conversation_event::Event as Shown, tail_response::Event,
};
use bus::{
    Event as LogEvent, Incarnation, PartName, PartitionId, Record, RecordBody, RecordHead, Step,
    Steps,
};
use domain::{
    EntityKind, Sealed,
    conversation::{Brief, ConversationEvent, Floor, FloorCause, RoutingAct},
    flow::{Field, Why},
    number::{NumberEvent, PauseCause, PauseReason},
    persist,
};
use tonic::{Code, Status, Streaming};

use super::world::*;

async fn tail(world: &World, request: TailRequest) -> Result<Streaming<TailResponse>, Status> {
    Ok(bounded(world.events().tail(as_("shop", request))).await?.into_inner())
}

/// Everything after `from`, to the end of what exists.
async fn read(world: &World, from: &[Position]) -> Result<Vec<TailResponse>, Status> {
    let request = TailRequest { from_position: from.to_vec(), stop_at_end: true };
    let mut stream = tail(world, request).await?;
    let mut all = Vec::new();
    while let Some(event) = bounded(stream.message()).await? {
        all.push(event);
    }
    Ok(all)
}

fn in_order(mut events: Vec<TailResponse>) -> Vec<TailResponse> {
    events.sort_by_key(|event| {
        let at = event.position.unwrap();
        (at.partition, at.generation, at.sequence, at.index)
    });
    events
}

async fn busy(world: &World) {
    let floor = ConversationEvent::FloorChanged {
        floor: Floor::Phone,
        cause: FloorCause::PhoneEcho,
        at_ms: 5,
    };
    for n in 1..=12u8 {
        let business = if n % 3 == 0 { "bank" } else { "shop" };
        let own =
            [inbound(business, n, 10, "one"), floor.clone(), inbound(business, n + 100, 11, "two")];
        let steps = vec![step(business, n, &own), step(business, n + 50, &own[..1])];
        // Both conversations live in the partition of their number's lowest bit.
        world.append(partition_of(n), steps).await;
    }
}

#[tokio::test]
async fn a_reader_resumes_anywhere_and_misses_nothing_and_sees_nothing_twice() {
    let world = World::new().await;
    busy(&world).await;
    let all = in_order(read(&world, &[]).await.unwrap());
    assert_eq!(all.len(), 8 * 4);
    let of_bank = all.iter().filter(|event| match &event.event {
        Some(Event::Conversation(event)) => event.conversation_id == id(3),
        _ => true,
    });
    assert_eq!(of_bank.count(), 0);
    for stopped in 0..all.len() {
        // The last position of each partition among the events that were stored.
        let mut from = std::collections::BTreeMap::new();
        for event in &all[..stopped] {
            let at = event.position.unwrap();
            from.insert(at.partition, at);
        }
        let from: Vec<Position> = from.into_values().collect();
        let rest = in_order(read(&world, &from).await.unwrap());
        assert_eq!(rest, all[stopped..], "after {stopped}");
    }
}

#[tokio::test]
async fn a_tail_goes_on_live_and_opens_what_it_shows() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "before")]).await;
    let mut stream = tail(&world, TailRequest::default()).await.unwrap();
    let text = |response: TailResponse| match response.event {
        Some(Event::Conversation(event)) => match event.event {
            Some(Shown::Message(message)) => (event.conversation_id, message.text),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let first = bounded(stream.message()).await.unwrap().unwrap();
    assert_eq!(text(first), (id(3), "before".to_owned()));
    world.decide("bank", 4, &[inbound("bank", 2, 20, "of another business")]).await;
    world.decide("shop", 5, &[inbound("shop", 3, 30, "after")]).await;
    let second = bounded(stream.message()).await.unwrap().unwrap();
    assert_eq!(text(second), (id(5), "after".to_owned()));
}

#[tokio::test]
async fn who_may_tail_and_from_where() {
    let world = World::new().await;
    busy(&world).await;
    let agent = world.events().tail(as_("ana", TailRequest::default())).await.unwrap_err();
    assert_eq!(agent.code(), Code::PermissionDenied);
    let place = |partition, sequence| Position { partition, generation: 1, sequence, index: 0 };
    let nowhere = read(&world, &[place(7, 1)]).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::InvalidArgument);
    let twice = read(&world, &[place(1, 1), place(1, 2)]).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument);
    let future = read(&world, &[place(1, 999)]).await.unwrap_err();
    assert_eq!(future.code(), Code::InvalidArgument);
    let beginning = read(&world, &[place(0, 0), place(1, 0)]).await.unwrap();
    assert_eq!(beginning.len(), 8 * 4);
}

fn record(generation: u32, number: u64, previous_seq: u64, n: u8) -> Record {
    let incarnation = Incarnation([8; 16]);
    let head = RecordHead { generation, epoch: 1, incarnation, number, previous_seq };
    let body = match number {
        0 => RecordBody::Epoch { node: "n".to_owned(), now_ms: 1 },
        _ => {
            let steps = vec![step("shop", n, &[inbound("shop", n, 10, "kept")])];
            RecordBody::Steps(Steps { steps, ..Steps::default() })
        }
    };
    Record::new(head, body)
}

#[tokio::test]
async fn a_trimmed_log_is_out_of_range_and_the_gap_is_named() {
    let world = World::new().await;
    // As if the records up to 40 had been trimmed.
    let bytes = record(1, 9, 40, 1).encode().unwrap();
    world.bus.log.append(PartitionId(0), 0, bytes).await.unwrap();
    let gap = read(&world, &[]).await.unwrap_err();
    assert_eq!(gap.code(), Code::OutOfRange);
    assert!(gap.message().contains("between 0 and 1"), "{gap:?}");
}

#[tokio::test]
async fn a_reader_of_an_older_generation_is_rebased() {
    let world = World::new().await;
    let partition = PartitionId(0);
    let mut last = 0;
    for record in [record(2, 0, 0, 1), record(2, 1, 1, 2)] {
        last = world.bus.log.append(partition, last, record.encode().unwrap()).await.unwrap();
    }
    let older = Position { partition: 0, generation: 1, sequence: 77, index: 3 };
    let events = read(&world, &[older]).await.unwrap();
    assert!(matches!(events[0].event, Some(Event::Rebased(_))), "{events:?}");
    assert_eq!(events[0].position.unwrap().generation, 2);
    assert_eq!(events.len(), 2);
    let resumed = read(&world, &[events[0].position.unwrap()]).await.unwrap();
    assert_eq!(resumed, events[1..]);
}

/// A step of a number, as its events are recorded.
fn number_step(business: &str, number: u8, events: &[NumberEvent]) -> Step {
    let events = events.iter().map(|event| LogEvent {
        part: PartName(event.part()),
        body: persist::encode(event).unwrap().into(),
    });
    let entity = bus::EntityId { kind: EntityKind::Number.code(), hash: [number; 16] };
    Step { entity, events: events.collect(), ..step(business, 1, &[]) }
}

#[tokio::test]
async fn a_paused_channel_is_told_until_it_goes_on() {
    let world = World::new().await;
    let cause = PauseCause { reason: PauseReason::Payment, code: 131_042, times: 1 };
    let events = [
        NumberEvent::Slowed { permille: 500, at_ms: 5 },
        NumberEvent::Paused { until_ms: 7, cause: None },
        NumberEvent::Paused { until_ms: 9, cause: Some(cause) },
        NumberEvent::Resumed,
    ];
    let steps = vec![number_step("shop", 200, &events), number_step("bank", 200, &events)];
    world.append(PartitionId(0), steps).await;
    let told = read(&world, &[]).await.unwrap();
    let states: Vec<_> = told
        .into_iter()
        .map(|response| match response.event {
            Some(Event::ChannelState(state)) => state,
            other => panic!("{other:?}"),
        })
        .collect();
    let [paused, goes_on] = &states[..] else { panic!("{states:?}") };
    assert_eq!((paused.phone_number_id.as_str(), paused.reason.as_str()), ("1055", "payment"));
    assert_eq!((paused.paused, paused.error_code, paused.until_ms), (true, 131_042, 9));
    assert_eq!((goes_on.paused, goes_on.reason.as_str()), (false, ""));
}

#[tokio::test]
async fn a_hand_over_is_told_with_what_the_bot_collected() {
    let world = World::new().await;
    let fields = vec![Field { name: "order".to_owned(), value: "AB-1".to_owned() }];
    let sealed = sealer().seal(b"shop", &persist::encode(&fields).unwrap());
    let brief = Brief {
        why: Why::Rule,
        reason: "refund".to_owned(),
        fields: Some(Sealed { key_id: sealed.key_id, bytes: sealed.bytes }),
        priority: 100,
    };
    let vip = ConversationEvent::RoutingActed {
        act: RoutingAct::Vip { vip: true },
        by: None,
        from: None,
        note: None,
        at_ms: 8,
    };
    let events = [ConversationEvent::HandedOver { brief, at_ms: 8 }, vip];
    world.append(partition_of(3), vec![step("shop", 3, &events)]).await;
    let told = read(&world, &[]).await.unwrap();
    let shown = |at: usize| match &told[at].event {
        Some(Event::Conversation(event)) => event.event.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    let Shown::HandedOver(handed_over) = shown(0) else { panic!() };
    assert_eq!((handed_over.why.as_str(), handed_over.reason.as_str()), ("rule", "refund"));
    assert_eq!((handed_over.fields[0].value.as_str(), handed_over.priority), ("AB-1", 100));
    let Shown::RoutingAct(act) = shown(1) else { panic!() };
    assert_eq!(act.act, Some(api::v1::routing_act::Act::Vip(true)));
}
