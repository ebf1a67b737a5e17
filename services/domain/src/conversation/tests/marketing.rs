//! A customer who stopped marketing gets none, and everything else.

use super::{billing::wish, world::*};
use crate::{
    content::ContentKind,
    conversation::*,
    number::{Lane, NumberInput},
};

fn template(lane: Lane, marketing: bool) -> CommandKind {
    CommandKind::Outbound(Box::new(OutboundSend {
        via: via(),
        who: sealed("who"),
        lane,
        kind: ContentKind::Template,
        content: sealed("offer"),
        not_after_ms: T0 + 3 * H,
        marketing,
    }))
}

/// Requests of which the Number was told a wish, and the wish.
fn told_wishes(world: &World) -> Vec<(usize, bool)> {
    let told = world.number.iter().filter_map(|input| match input {
        NumberInput::MarketingWished { requests, stopped } => Some((requests.len(), *stopped)),
        _ => None,
    });
    told.collect()
}

#[test]
fn marketing_to_who_stopped_it_is_refused_and_everything_else_goes_on() {
    let by_agent = |marketing| CommandKind::Send {
        kind: ContentKind::Template,
        content: sealed("offer"),
        take_floor: false,
        marketing,
    };
    let table = [
        (None, template(Lane::Campaign, false), true),
        (None, template(Lane::Utility, true), true),
        (None, template(Lane::Utility, false), false),
        (Some("ann"), by_agent(true), true),
        (Some("ann"), by_agent(false), false),
        (Some("ann"), send_of(false), false),
    ];
    for (who, command, unwanted) in table {
        let mut world = World::new(plain_rules());
        world.inbound(1, T0);
        world.give(B, wish(false, T0));
        let answer = world.command(who, command.clone());
        let refused = CommandAnswer::Refused(Refusal::MarketingStopped { since_ms: T0 });
        assert_eq!(answer == refused, unwanted, "{command:?}: {answer:?}");
        assert_eq!(world.requests().len(), usize::from(!unwanted), "nothing changed");
        world.at(T0 + H).give(B, wish(true, T0 + H));
        let answer = world.command(who, command.clone());
        assert!(matches!(answer, CommandAnswer::Sent { .. }), "{command:?}: {answer:?}");
    }
}

#[test]
fn the_number_is_told_of_a_wish_while_something_waits_and_only_then() {
    let mut world = World::new(plain_rules());
    world.inbound(1, T0);
    world.give(B, wish(true, T0));
    assert_eq!(told_wishes(&world), []);
    let request = world.sent(Some("ann"), false);
    world.sent(Some("ann"), false);
    world.give(B, wish(false, T0 + S));
    world.give(B, wish(false, T0 + S));
    world.outcome(request, accepted(1, T0));
    world.at(T0 + H).give(B, wish(true, T0 + H));
    assert_eq!(told_wishes(&world), [(2, true), (1, false)]);
}

/// The phone's address asked for a send before it was known to be the customer who wrote STOP elsewhere.
#[test]
fn a_join_tells_the_number_what_the_other_address_wished() {
    for stopped_at in [P, B] {
        let mut world = World::new(plain_rules());
        world.say(P, inbound(1, T0), "hello");
        world.say(B, inbound(2, T0), "hello");
        for asked_at in [P, B] {
            world.command_n(asked_at, None, 1, template(Lane::Campaign, false));
        }
        world.give(stopped_at, wish(false, T0 + S));
        world.at(T0 + H);
        world.say(B, Inbound { paired: Some(address(P)), ..inbound(3, T0 + H) }, "more");
        let last = told_wishes(&world).last().copied();
        assert_eq!(last, Some((2, true)), "stopped at {stopped_at:?}");
    }
}
