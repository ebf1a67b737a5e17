//! Buckets of saved states on a real server: what the conformance suite cannot see from outside.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use bus::{
    Bus, EntityId, PartName, PartPut, PartitionId, Position, SavedPart,
    jetstream::{self, Options},
};
use bytes::Bytes;
use futures::future::join_all;
use testkit::nats::NatsServer;

const P0: PartitionId = PartitionId(0);

async fn two_nodes() -> (Bus, Bus, NatsServer) {
    let server = NatsServer::start().await.unwrap();
    let options = Options {
        servers: vec![server.url()],
        partitions: 1,
        replicas: 1,
        allow_data_loss: true,
        ..Options::default()
    };
    jetstream::init(options.clone()).await.unwrap();
    let one = jetstream::connect(options.clone()).await.unwrap();
    (one, jetstream::connect(options).await.unwrap(), server)
}

fn put(entity: EntityId, name: &str, seq: u64, bytes: usize) -> PartPut {
    let position = Position { generation: 0, seq, index: 0 };
    let fill = u8::try_from(seq % 251).unwrap();
    let bytes = Some(Bytes::from(vec![fill; bytes]));
    PartPut { entity, part: SavedPart { name: PartName::from(name), position, bytes } }
}

/// Entities that share one bucket.
fn neighbours(number: usize) -> Vec<EntityId> {
    let root = |entity: &EntityId| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[entity.kind]).update(&entity.hash);
        let hash = hasher.finalize();
        u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]) % 4096
    };
    let entities = (0_u64..).map(|n| {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&n.to_le_bytes());
        EntityId { kind: 1, hash }
    });
    entities.filter(|entity| root(entity) == 77).take(number).collect()
}

/// Subjects and messages ever written of the stream of states.
async fn written(server: &NatsServer) -> (u64, u64) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let info = context.get_stream("TANDEM_STATES_0").await.unwrap().cached_info().clone();
    (info.state.subjects_count, info.state.last_sequence)
}

async fn parts(bus: &Bus, entity: EntityId) -> Vec<SavedPart> {
    bus.states.load(P0, entity).await.unwrap()
}

/// Small entities share a subject; the bucket splits as they grow, and nobody loses a part.
#[tokio::test]
async fn a_bucket_is_split_by_entity_as_it_grows() {
    let (bus, other, server) = two_nodes().await;
    let entities = neighbours(40);
    for (round, bytes) in [(1, 1_000), (2, 4_000), (3, 40_000), (4, 10)] {
        let puts: Vec<_> =
            entities.iter().map(|entity| put(*entity, "main", round, bytes)).collect();
        bus.states.put(P0, puts.clone()).await.unwrap();
        let (subjects, _) = written(&server).await;
        if round == 1 {
            assert_eq!(subjects, 1, "40 KB are one bucket");
        } else {
            assert!(subjects > 1, "{subjects} subjects of {bytes} bytes");
        }
        for wanted in puts {
            assert_eq!(parts(&other, wanted.entity).await, [wanted.part]);
        }
    }
}

/// One entity of many and of large parts, far more than a message holds.
#[tokio::test]
async fn an_entity_may_outgrow_any_message() {
    let (bus, other, _server) = two_nodes().await;
    let entities = neighbours(2);
    let (large, small) = (entities[0], entities[1]);
    let mut puts: Vec<_> =
        (0..200).map(|n| put(large, &format!("part {n:03}"), 1, 20_000)).collect();
    puts.push(put(large, "whole", 1, bus::VALUE_BYTES_MAX));
    puts.push(put(small, "main", 1, 100));
    bus.states.put(P0, puts.clone()).await.unwrap();
    let found = parts(&other, large).await;
    let wanted: Vec<_> = puts[..201].iter().map(|put| put.part.clone()).collect();
    assert!(found == wanted, "{} of 201 parts", found.len());
    assert_eq!(parts(&other, small).await, [puts[201].part.clone()]);
    let newer = put(large, "part 100", 2, 5);
    other.states.put(P0, vec![newer.clone(), put(large, "part 101", 0, 5)]).await.unwrap();
    let found = parts(&bus, large).await;
    assert_eq!(found.len(), 201);
    assert!(found.contains(&newer.part) && found.contains(&wanted[101]));
}

/// Two nodes save and split the same bucket at once; of every part the highest position stays.
#[tokio::test]
async fn two_writers_of_one_bucket_lose_nothing() {
    let (one, two, _server) = two_nodes().await;
    let entities = neighbours(12);
    let save = async |bus: &Bus, offset: u64| {
        for round in 0..12 {
            let seq = round * 2 + offset;
            let bytes = usize::try_from(seq).unwrap() * 600;
            let puts: Vec<_> =
                entities.iter().map(|entity| put(*entity, "main", seq, bytes)).collect();
            while bus.states.put(P0, puts.clone()).await.is_err() {
                // Another writer was faster too often, or one of the same subject was under way: asking again is right.
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(save(&one, 1), save(&two, 2));
    for entity in entities {
        assert_eq!(parts(&one, entity).await, [put(entity, "main", 24, 24 * 600).part]);
    }
}

/// Puts that meet at a bucket under way become one write.
#[tokio::test]
async fn overlapping_puts_are_written_together() {
    let (bus, _other, server) = two_nodes().await;
    let entities = neighbours(8);
    let puts = (0..100_u64).map(|n| {
        let entity = entities[usize::try_from(n % 8).unwrap()];
        bus.states.put(P0, vec![put(entity, &format!("part {n}"), 1, 50)])
    });
    for saved in join_all(puts).await {
        saved.unwrap();
    }
    let mut found = 0;
    for entity in entities {
        found += parts(&bus, entity).await.len();
    }
    assert_eq!(found, 100);
    let (subjects, writes) = written(&server).await;
    assert_eq!(subjects, 1);
    assert!(writes <= 10, "{writes} writes of 100 puts");
}
