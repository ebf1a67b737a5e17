//! The checker bites: with each rule broken on purpose the simulation finds it within 500 seeds, and over
//! the same seeds the same mix without the break is sound.

use crate::{
    check::Rule,
    mix::{Commands, Mix, Weights},
    outcome::one_seed,
    quiet_panics, shell,
};

const SEEDS_MAX: u64 = 500;

/// Looks for the first seed that shows one of `rules` broken. `test` is the name of the test.
fn finds(test: &str, rules: &[Rule], aim: fn(&mut Mix), break_it: fn(&mut Mix)) {
    quiet_panics();
    let (seeds, verbose) = match one_seed() {
        Some(seed) => (seed..seed + 1, true),
        None => (0..SEEDS_MAX, false),
    };
    for seed in seeds {
        let mut mix = Mix { verbose, ..Mix::everything(seed) };
        aim(&mut mix);
        let sound = shell::run(&mix);
        sound.print_trace();
        sound.assert_sound(test);
        break_it(&mut mix);
        let outcome = shell::run(&mix);
        outcome.print_trace();
        if let Some((rule, text)) = outcome.broken.iter().find(|(rule, _)| rules.contains(rule)) {
            return println!("{test}: seed {seed} shows that {rule:?} is broken: {text}");
        }
    }
    panic!("{test}: the rule is broken and {SEEDS_MAX} seeds do not show it");
}

/// Two or more owners that do not know of each other.
fn rivals(mix: &mut Mix) {
    mix.nodes = mix.nodes.max(2);
    mix.weights = Weights { take: 6, pause: 4, kill: 1, quiet: 1, ..Weights::default() };
}

fn bad_requests(mix: &mut Mix) {
    mix.request_faults = 0.3;
    mix.weights.requests = 12;
}

#[test]
fn a_log_without_its_fence() {
    let rules = [Rule::Chain, Rule::Gate];
    finds("a_log_without_its_fence", &rules, rivals, |mix| {
        mix.bus_breaks.ignore_expected_last = true
    });
}

#[test]
fn an_owner_that_takes_anothers_record_for_its_own() {
    let rules = [Rule::Gate, Rule::Chain];
    finds("an_owner_that_takes_anothers_record_for_its_own", &rules, rivals, |mix| {
        mix.breaks.incarnation = true
    });
}

#[test]
fn a_gate_that_is_open() {
    finds("a_gate_that_is_open", &[Rule::Gate], |_| {}, |mix| mix.breaks.gate = true);
}

#[test]
fn a_channel_without_its_rule() {
    let aim = |mix: &mut Mix| {
        bad_requests(mix);
        mix.commands = Commands { pay: 20, ..mix.commands };
    };
    let rules = [Rule::Channel, Rule::Money];
    finds("a_channel_without_its_rule", &rules, aim, |mix| mix.breaks.channel = true);
}

#[test]
fn steps_staged_as_they_come() {
    finds(
        "steps_staged_as_they_come",
        &[Rule::Order],
        |_| {},
        |mix| mix.breaks.ordered_staging = true,
    );
}

#[test]
fn saves_without_their_condition() {
    let aim = |mix: &mut Mix| {
        bad_requests(mix);
        mix.settings.checkpoint_interval_ms = 300;
    };
    let rules = [Rule::SavedPart, Rule::LiveState];
    finds("saves_without_their_condition", &rules, aim, |mix| {
        mix.bus_breaks.unconditional_save = true
    });
}

#[test]
fn events_applied_to_parts_that_hold_them() {
    let aim = |mix: &mut Mix| (mix.settings.live_max, mix.settings.idle_ms) = (0, 0);
    let rules = [Rule::LiveState];
    finds("events_applied_to_parts_that_hold_them", &rules, aim, |mix| {
        mix.breaks.per_part_apply = true
    });
}

#[test]
fn a_door_that_never_closes() {
    let aim = |mix: &mut Mix| {
        rivals(mix);
        mix.weights.pause = 10;
        mix.commands = Commands { call: 20, ..mix.commands };
    };
    finds("a_door_that_never_closes", &[Rule::Call], aim, |mix| mix.breaks.start_by = true);
}

#[test]
fn a_memory_that_forgets() {
    let aim = |mix: &mut Mix| mix.commands.repeats = 20;
    finds("a_memory_that_forgets", &[Rule::Once], aim, |mix| mix.dedupe_broken = true);
}
