//! The checker bites: with each rule broken on purpose the simulation finds it within 500 seeds, and over
//! the same seeds the same mix without the break is sound.

use crate::{
    check::Rule,
    mix::{Commands, Mix, Weights},
    quiet_panics, shell,
};

const SEEDS_MAX: u64 = 500;

/// Looks for the first seed that shows one of `rules` broken.
fn finds(name: &str, rules: &[Rule], aim: fn(&mut Mix), break_it: fn(&mut Mix)) {
    quiet_panics();
    for seed in 0..SEEDS_MAX {
        let mut mix = Mix::everything(seed);
        aim(&mut mix);
        shell::run(&mix).assert_sound("bites");
        break_it(&mut mix);
        let outcome = shell::run(&mix);
        if let Some((rule, text)) = outcome.broken.iter().find(|(rule, _)| rules.contains(rule)) {
            println!("{name}: {rule:?} at seed {seed}: {text}");
            return;
        }
    }
    panic!("{name} is broken and {SEEDS_MAX} seeds do not show it");
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
    finds("fence", &rules, rivals, |mix| mix.bus_breaks.ignore_expected_last = true);
}

#[test]
fn an_owner_that_takes_anothers_record_for_its_own() {
    let rules = [Rule::Gate, Rule::Chain];
    finds("incarnation", &rules, rivals, |mix| mix.breaks.incarnation = true);
}

#[test]
fn a_gate_that_is_open() {
    finds("gate", &[Rule::Gate], |_| {}, |mix| mix.breaks.gate = true);
}

#[test]
fn a_channel_without_its_rule() {
    let aim = |mix: &mut Mix| {
        bad_requests(mix);
        mix.commands = Commands { pay: 20, ..mix.commands };
    };
    let rules = [Rule::Channel, Rule::Money];
    finds("channel", &rules, aim, |mix| mix.breaks.channel = true);
}

#[test]
fn steps_staged_as_they_come() {
    finds("ordered staging", &[Rule::Order], |_| {}, |mix| mix.breaks.ordered_staging = true);
}

#[test]
fn saves_without_their_condition() {
    let aim = |mix: &mut Mix| {
        bad_requests(mix);
        mix.settings.checkpoint_interval_ms = 300;
    };
    let rules = [Rule::SavedPart, Rule::LiveState];
    finds("conditional save", &rules, aim, |mix| mix.bus_breaks.unconditional_save = true);
}

#[test]
fn events_applied_to_parts_that_hold_them() {
    let aim = |mix: &mut Mix| (mix.settings.live_max, mix.settings.idle_ms) = (0, 0);
    let rules = [Rule::LiveState];
    finds("per-part apply", &rules, aim, |mix| mix.breaks.per_part_apply = true);
}

#[test]
fn a_door_that_never_closes() {
    let aim = |mix: &mut Mix| {
        rivals(mix);
        mix.weights.pause = 10;
        mix.commands = Commands { call: 20, ..mix.commands };
    };
    finds("start_by", &[Rule::Call], aim, |mix| mix.breaks.start_by = true);
}

#[test]
fn a_memory_that_forgets() {
    let aim = |mix: &mut Mix| mix.commands.repeats = 20;
    finds("dedupe", &[Rule::Once], aim, |mix| mix.dedupe_broken = true);
}
