//! What an attempt's result is followed by.

use super::kit::{
    CALL_OVER_MS, HOUR_MS, RECONCILE_MS, START_BY_MS, START_MS, World, accepted, config, id, key,
    not_started, overtaken, refused, request, unknown,
};
use crate::{
    conversation::SendOutcome,
    number::{ASKS_FROM_LEVEL, Lane, NumberInput, Retry, SendRequest},
};

#[test]
fn an_accepted_send_is_told() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &accepted(1));
    assert!(world.is_accepted(id(1, 1), false));
    world.result(key(1, 1, 1), &accepted(1));
    assert_eq!(world.told.len(), 1, "a repeated result changes nothing");
}

#[test]
fn a_final_refusal_is_told_with_its_code() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &refused(131_026, Retry::Never));
    let told = "refused 131026".to_owned();
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Failed { code: 131_026, told }));
}

#[test]
fn throughput_pauses_the_number_and_the_place_is_kept() {
    let mut world = World::new(80);
    for n in 1..=2 {
        world.ask(request(1, n, Lane::Bot));
    }
    world.ask(request(2, 1, Lane::Bot));
    world.result(key(1, 1, 1), &refused(130_429, Retry::NumberBackoff));
    world.ask(request(3, 1, Lane::Agent));
    world.pass(999);
    assert_eq!(world.left(), [id(1, 1), id(2, 1)]);
    world.pass(1);
    assert_eq!(world.left()[2..], [id(3, 1), id(1, 1)], "agents first, then its old place");
}

#[test]
fn a_pair_waits_by_powers_of_four_and_others_go_on() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    for (attempt, wait_ms) in [(1, 1_000), (2, 4_000), (3, 16_000)] {
        world.result(key(1, 1, attempt), &refused(131_056, Retry::PairBackoff));
        world.pass(wait_ms - 1);
        assert_eq!(world.calls.len(), attempt as usize);
        world.pass(1);
        assert_eq!(world.calls.len(), attempt as usize + 1);
    }
    world.result(key(1, 1, 4), &refused(131_056, Retry::PairBackoff));
    let before = world.calls.len();
    world.ask(request(1, 2, Lane::Agent));
    assert_eq!(world.calls.len(), before, "the pause is the customer's");
    world.ask(request(2, 1, Lane::Agent));
    assert_eq!(world.calls.len(), before + 1);
}

#[test]
fn service_trouble_is_waited_out_a_few_times() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Bot));
    for attempt in 1..=4 {
        world.result(key(1, 1, attempt), &refused(131_000, Retry::ServiceBackoff));
        world.pass((2_000 << (attempt - 1)) - 1);
        assert_eq!(world.calls.len(), attempt as usize);
        world.pass(1);
    }
    world.result(key(1, 1, 5), &refused(131_000, Retry::ServiceBackoff));
    assert!(world.is_failed(id(1, 1), 131_000));
}

#[test]
fn a_closed_window_is_doubted_once_if_our_clock_says_it_is_open() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &refused(131_047, Retry::OnceIfWindowOpen));
    world.pass(3_000);
    assert_eq!(world.attempts(), [key(1, 1, 1), key(1, 1, 2)]);
    world.result(key(1, 1, 2), &refused(131_047, Retry::OnceIfWindowOpen));
    assert!(world.is_failed(id(1, 1), 131_047));
    let nearly =
        SendRequest { window_until_ms: world.now_ms + 300_000, ..request(2, 1, Lane::Agent) };
    world.ask(nearly);
    world.result(key(2, 1, 1), &refused(131_047, Retry::OnceIfWindowOpen));
    assert!(world.is_failed(id(2, 1), 131_047), "open for five minutes at most");
}

#[test]
fn a_stopped_number_goes_on_when_it_is_configured_again() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &refused(190, Retry::StopNumber));
    world.ask(request(2, 1, Lane::Agent));
    world.ask(SendRequest { not_after_ms: START_MS + 10, ..request(3, 1, Lane::Agent) });
    world.pass(600_000);
    assert_eq!(world.calls.len(), 1);
    assert_eq!(world.outcome(id(3, 1)), Some(&SendOutcome::Cancelled));
    world.input(&NumberInput::Configure(config(20)));
    assert_eq!(world.left(), [id(1, 1), id(1, 1), id(2, 1)]);
    world.input(&NumberInput::Configure(config(20)));
    assert_eq!(world.calls.len(), 3);
}

#[test]
fn what_did_not_start_is_repeated_at_once_without_a_flag() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.result(key(1, 1, 1), &not_started());
    assert_eq!(world.attempts(), [key(1, 1, 1), key(1, 1, 2)]);
    world.result(key(1, 1, 2), &accepted(1));
    assert!(world.is_accepted(id(1, 1), false));
}

#[test]
fn what_never_starts_is_not_tried_in_a_tight_loop() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    for _ in 0..2_000 {
        match world.calls.last().map(|call| call.key) {
            Some(call) if world.number.n_in_flight() > 0 => world.result(call, &not_started()),
            _ => world.pass(10),
        }
    }
    let rate = world.calls.len() as u64 * 1_000 / (world.now_ms - START_MS);
    assert!(rate <= 1, "{} attempts in {} ms", world.calls.len(), world.now_ms - START_MS);
}

#[test]
fn an_unknown_outcome_is_reconciled_by_a_status() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.ask(request(2, 1, Lane::Agent));
    world.result(key(1, 1, 1), &unknown());
    world.result(key(2, 1, 1), &unknown());
    world.pass(RECONCILE_MS - 1);
    world.status(id(1, 1), None);
    world.status(id(2, 1), Some(131_026));
    assert!(world.is_accepted(id(1, 1), false));
    assert!(world.is_failed(id(2, 1), 131_026));
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn an_agents_message_is_repeated_once_and_flagged() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.ask(request(1, 2, Lane::Agent));
    world.result(key(1, 1, 1), &unknown());
    world.pass(RECONCILE_MS - 1);
    assert_eq!(world.calls.len(), 1, "the next waits, the order is kept");
    world.pass(1);
    assert_eq!(world.attempts(), [key(1, 1, 1), key(1, 1, 2)]);
    world.result(key(1, 1, 2), &accepted(1));
    assert!(world.is_accepted(id(1, 1), true));
}

#[test]
fn the_conversation_is_asked_until_it_answers_before_anything_is_repeated() {
    let mut world = World::new(20);
    world.up_to_date = false;
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &unknown());
    world.pass(3 * RECONCILE_MS);
    assert_eq!(world.calls.len(), 1, "nobody has answered");
    assert_eq!(world.questions, [key(1, 1, 1); 3]);
    world.reload();
    world.heard(key(1, 1, 1), true);
    world.pass(RECONCILE_MS);
    assert_eq!((world.calls.len(), world.questions.len()), (1, 4), "what it heard is on its way");
    world.heard(key(1, 1, 1), false);
    assert_eq!(world.attempts(), [key(1, 1, 1), key(1, 1, 2)]);
    // The answers to the other questions.
    world.heard(key(1, 1, 1), false);
    world.result(key(1, 1, 2), &unknown());
    world.heard(key(1, 1, 1), false);
    assert_eq!(world.calls.len(), 2);
    world.pass(RECONCILE_MS);
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
}

#[test]
fn nothing_is_repeated_that_was_taken_back_or_is_too_late_when_the_conversation_answers() {
    let mut world = World::new(20);
    world.up_to_date = false;
    world.ask(request(1, 1, Lane::Agent));
    world.ask(SendRequest {
        not_after_ms: START_MS + RECONCILE_MS + 10,
        ..request(2, 1, Lane::Bot)
    });
    world.result(key(1, 1, 1), &unknown());
    world.result(key(2, 1, 1), &unknown());
    world.pass(RECONCILE_MS);
    assert_eq!(world.questions.len(), 2);
    world.cancel(id(1, 1));
    world.pass(20);
    world.heard(key(1, 1, 1), false);
    world.heard(key(2, 1, 1), false);
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
    assert_eq!(world.outcome(id(2, 1)), Some(&SendOutcome::Unknown));
    assert_eq!(world.calls.len(), 2);
}

#[test]
fn below_the_format_level_of_the_question_nobody_is_asked() {
    let mut world = World::new(20);
    world.level = ASKS_FROM_LEVEL - 1;
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &unknown());
    world.pass(RECONCILE_MS);
    assert_eq!((world.calls.len(), world.questions.len()), (2, 0));
}

#[test]
fn what_the_phone_overtook_leaves_when_the_conversation_lets_it() {
    let mut world = World::new(20);
    world.up_to_date = false;
    world.ask(request(1, 1, Lane::Bot));
    world.ask(request(1, 2, Lane::Bot));
    world.pass(7);
    world.result(key(1, 1, 1), &overtaken());
    let asked_ms = world.now_ms;
    assert_eq!(world.questions, [key(1, 1, 1)]);
    world.pass(RECONCILE_MS);
    assert_eq!(world.questions, [key(1, 1, 1); 2], "asked again without an answer");
    world.heard(key(1, 1, 2), false);
    assert_eq!(world.calls.len(), 1, "that is another attempt's answer");
    world.reload();
    world.heard(key(1, 1, 1), false);
    assert_eq!(world.attempts(), [key(1, 1, 1), key(1, 1, 2)]);
    assert_eq!((world.calls[0].asked_ms, world.calls[1].asked_ms), (0, asked_ms));
    world.result(key(1, 1, 2), &accepted(1));
    assert!(world.is_accepted(id(1, 1), false), "it left once");
    assert_eq!(world.left()[2..], [id(1, 2)], "the next in its turn");
    assert_eq!(world.calls[2].asked_ms, 0, "each is asked about by itself");
}

#[test]
fn what_the_phone_overtook_ends_when_it_is_taken_back_or_too_late() {
    let mut world = World::new(20);
    world.up_to_date = false;
    world.ask(request(1, 1, Lane::Bot));
    let not_after_ms = START_MS + RECONCILE_MS - 1;
    world.ask(SendRequest { not_after_ms, ..request(2, 1, Lane::Bot) });
    world.ask(request(3, 1, Lane::Bot));
    world.cancel(id(3, 1));
    for customer in 1..=3 {
        world.result(key(customer, 1, 1), &overtaken());
    }
    assert_eq!(world.outcome(id(3, 1)), Some(&SendOutcome::Cancelled), "taken back before");
    world.cancel(id(1, 1));
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Cancelled));
    world.heard(key(1, 1, 1), false);
    world.pass(RECONCILE_MS);
    assert_eq!(world.outcome(id(2, 1)), Some(&SendOutcome::Cancelled));
    assert_eq!((world.calls.len(), world.questions.len()), (3, 2));
}

#[test]
fn below_the_format_level_of_the_question_what_the_phone_overtook_goes_at_once() {
    let mut world = World::new(20);
    world.level = ASKS_FROM_LEVEL - 1;
    world.ask(request(1, 1, Lane::Bot));
    world.result(key(1, 1, 1), &overtaken());
    assert_eq!((world.calls.len(), world.questions.len()), (2, 0));
    assert_eq!(world.calls[1].asked_ms, world.now_ms, "the door lets it pass");
}

#[test]
fn a_second_unknown_outcome_is_listed() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Bot));
    world.result(key(1, 1, 1), &unknown());
    world.pass(RECONCILE_MS);
    world.result(key(1, 1, 2), &unknown());
    world.pass(RECONCILE_MS - 1);
    assert_eq!(world.outcome(id(1, 1)), None);
    world.pass(1);
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
}

#[test]
fn templates_and_campaigns_are_never_repeated() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.ask(request(2, 1, Lane::Utility));
    world.ask(SendRequest { free_form: false, ..request(3, 1, Lane::Agent) });
    for customer in 1..=3 {
        world.result(key(customer, 1, 1), &unknown());
    }
    world.pass(RECONCILE_MS);
    assert_eq!(world.calls.len(), 3);
    for customer in 1..=3 {
        assert_eq!(world.outcome(id(customer, 1)), Some(&SendOutcome::Unknown));
    }
}

#[test]
fn a_call_without_a_result_is_over_in_time() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.pass(CALL_OVER_MS + RECONCILE_MS - 1);
    assert_eq!(world.outcome(id(1, 1)), None);
    world.pass(1);
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
}

#[test]
fn a_call_of_an_earlier_owner_is_not_judged_before_it_must_be_over() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.reload();
    world.foreign_calls_over_ms = START_MS + 20_000;
    world.pass(20_000 + RECONCILE_MS - 1);
    assert_eq!(world.calls.len(), 1);
    world.pass(1);
    assert_eq!(world.calls.len(), 2);
}

/// A process that died with everything granted that may be ahead of the door: its successor need not wait until all of that
/// must be over, only until none of it can start any more.
#[test]
fn a_number_that_died_with_its_grants_out_goes_on_after_start_by() {
    let mut world = World::new(20);
    for customer in 1..=8 {
        world.ask(request(customer, 1, Lane::Agent));
    }
    assert_eq!(world.calls.len(), 5, "a quarter of a second's rate is ahead of the door");
    world.reload();
    world.foreign_calls_over_ms = START_MS + CALL_OVER_MS;
    world.pass(START_BY_MS - 1);
    world.ask(request(9, 1, Lane::Agent));
    assert_eq!(world.calls.len(), 5, "they may still leave");
    world.pass(1);
    world.ask(request(10, 1, Lane::Agent));
    assert_eq!(world.calls.len(), 10);
    // They are not judged sooner for that, nor granted twice.
    world.pass(CALL_OVER_MS - START_BY_MS - 1);
    assert_eq!(world.outcome(id(1, 1)), None);
    assert_eq!(world.calls.len(), 10);
}

#[test]
fn a_late_result_corrects_what_was_listed_as_unknown() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.result(key(1, 1, 1), &unknown());
    world.pass(RECONCILE_MS);
    world.result(key(1, 1, 1), &accepted(1));
    assert!(world.is_accepted(id(1, 1), false));
    assert_eq!(world.told.len(), 2);
}

#[test]
fn a_late_refusal_clears_the_doubt() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.result(key(1, 1, 1), &unknown());
    world.result(key(1, 1, 1), &not_started());
    assert_eq!(world.attempts(), [key(1, 1, 1), key(1, 1, 2)], "it is known not to have left");
}

#[test]
fn a_status_during_the_second_attempt_takes_that_back() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Agent));
    world.result(key(1, 1, 1), &unknown());
    world.pass(RECONCILE_MS);
    world.status(id(1, 1), None);
    assert_eq!(world.cancels, [key(1, 1, 2)]);
    assert!(world.is_accepted(id(1, 1), true), "the second may have left, too");
}

#[test]
fn the_status_of_a_forgotten_request_still_reaches_its_conversation() {
    let mut world = World::new(20);
    world.ask(request(1, 1, Lane::Campaign));
    world.result(key(1, 1, 1), &unknown());
    world.pass(2 * HOUR_MS);
    world.status(id(1, 1), None);
    assert!(world.is_accepted(id(1, 1), false));
}

#[test]
fn what_may_have_left_is_never_called_unsent() {
    let mut world = World::new(20);
    let request =
        SendRequest { not_after_ms: START_MS + RECONCILE_MS + 500, ..request(1, 1, Lane::Agent) };
    world.ask(request);
    world.result(key(1, 1, 1), &unknown());
    world.pass(RECONCILE_MS);
    world.result(key(1, 1, 2), &refused(130_429, Retry::NumberBackoff));
    assert_eq!(world.outcome(id(1, 1)), Some(&SendOutcome::Unknown));
}
