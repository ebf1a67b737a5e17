//! Automatic echoes.

use super::kit::{START_MS, World, conversation, message};
use crate::number::NumberInput;

fn echo(world: &mut World, customer: u8, n: u8, text_hash: u64) {
    world.input(&NumberInput::EchoSeen {
        conversation: conversation(customer),
        message: message(n),
        text_hash,
        at_ms: START_MS,
    });
}

#[test]
fn the_same_text_to_three_customers_is_automatic() {
    let mut world = World::new(20);
    echo(&mut world, 1, 1, 7);
    echo(&mut world, 2, 2, 7);
    echo(&mut world, 2, 3, 7);
    echo(&mut world, 3, 4, 8);
    assert_eq!(world.automatic, [], "two customers only");
    world.reload();
    echo(&mut world, 4, 5, 7);
    let all = [(1, 1), (2, 2), (2, 3), (4, 5)];
    assert_eq!(world.automatic, all.map(|(to, n)| (conversation(to), message(n))));
    echo(&mut world, 5, 6, 7);
    assert_eq!(world.automatic.last(), Some(&(conversation(5), message(6))));
    assert_eq!(world.automatic.len(), 5, "each is told once");
    echo(&mut world, 4, 5, 7);
    assert_eq!(world.automatic.len(), 5, "a repeated echo is not another");
}

#[test]
fn a_chat_with_one_customer_is_not_automatic() {
    let mut world = World::new(20);
    for n in 0..40 {
        echo(&mut world, 1, n, 7);
    }
    assert_eq!(world.automatic, []);
    echo(&mut world, 2, 50, 7);
    echo(&mut world, 3, 51, 7);
    assert!(world.automatic.contains(&(conversation(3), message(51))));
}

#[test]
fn the_memory_is_bounded() {
    let mut world = World::new(20);
    for text in 0..1_000 {
        echo(&mut world, 1, 1, text);
    }
    let size = crate::persist::encode(&world.number.part("number").unwrap()).unwrap().len();
    assert!(size < 64 * 1024, "{size} bytes");
}
