//! What who asks is told of a request without an outcome.

use super::kit::{HOUR_MS, START_MS, World, accepted, id, key, me, refused, request, unknown};
use crate::number::{
    Lane, NumberAnswer, NumberInput, Occasion, PauseReason, Refused, Retry, SendWait, Wait,
    WaitScope,
};

fn wait(world: &World, customer: u8, n: u64) -> Option<SendWait> {
    let input = NumberInput::Look { requests: vec![id(customer, n)] };
    let occasion = Occasion::Input { key: [0; 16], input: &input };
    let outcome = world.number.decide(me(), occasion, world.now_ms, 0, world.level);
    assert_eq!(outcome.events, [], "a question changes nothing");
    let Some(NumberAnswer::Waits { waits }) = outcome.reply else { panic!() };
    waits.into_iter().next().map(|(request, wait)| {
        assert_eq!(request, id(customer, n));
        wait
    })
}

#[test]
fn a_request_says_what_it_waits_for() {
    let mut world = World::new(20);
    assert_eq!(wait(&world, 1, 1), None, "never heard of");
    world.ask(request(1, 1, Lane::Campaign));
    assert_eq!(wait(&world, 1, 1), Some(SendWait::Calling));
    world.ask(request(1, 2, Lane::Campaign));
    assert_eq!(wait(&world, 1, 2), Some(SendWait::Turn), "behind the first to this customer");
    world.result(key(1, 1, 1), &refused(131_000, Retry::ServiceBackoff));
    let told = Refused { code: 131_000, told: "refused 131000".to_owned() };
    let retry = SendWait::Retry { at_ms: START_MS + 2_000, refused: Some(told) };
    assert_eq!(wait(&world, 1, 1), Some(retry));
    world.pass(2_000);
    world.result(key(1, 1, 2), &unknown());
    let until_ms = world.now_ms + 30_000;
    assert_eq!(wait(&world, 1, 1), Some(SendWait::Status { until_ms }));

    let scope = WaitScope::Lane(Lane::Campaign);
    let spam = Retry::Wait(Wait { scope, first_ms: HOUR_MS, attempts_max: None });
    world.ask(request(2, 1, Lane::Campaign));
    world.result(key(2, 1, 1), &refused(131_048, spam));
    let until_ms = world.now_ms + HOUR_MS;
    assert_eq!(wait(&world, 1, 2), Some(SendWait::Lane { until_ms }));

    world.ask(request(3, 1, Lane::Agent));
    world.result(key(3, 1, 1), &refused(190, Retry::Stop(PauseReason::Token)));
    let Some(SendWait::Number { until_ms, cause: Some(cause) }) = wait(&world, 3, 1) else {
        panic!("{:?}", wait(&world, 3, 1))
    };
    assert_eq!((until_ms, cause.reason), (world.now_ms + 300_000, PauseReason::Token));
    world.pass(300_000);
    world.result(key(3, 1, 2), &accepted(1));
    assert_eq!(wait(&world, 3, 1), None, "it has its outcome");
}
