//! The world driven by hand: no sockets, no clock.

use super::*;
use crate::judge::Verdict;
use crate::table::Key;
use serde_json::{Value, json};

const S: u64 = 1_000_000;

fn chat(row: usize) -> ChatId {
    ChatId::from_row(row)
}

struct Lab {
    state: State,
    token: String,
}

impl Lab {
    fn new(sabotage: Option<Sabotage>) -> Self {
        Self::with(sabotage, |_| {})
    }

    fn with(sabotage: Option<Sabotage>, change: impl FnOnce(&mut Scenario)) -> Self {
        let mut scenario = crate::fixture::scenario();
        scenario.traffic.phone_echo_share = 0.0;
        change(&mut scenario);
        let world = Arc::new(World::build(&scenario));
        let token = world.businesses[BusinessId::from_row(0)].token.clone();
        Self { state: State::new(Arc::new(scenario), world, sabotage, 1_795_176_000 * S), token }
    }

    fn wrote(&mut self, chat: ChatId, at_us: u64) {
        self.state.on_choose(chat, at_us);
    }

    fn number(&self, chat: ChatId) -> String {
        self.state.world.numbers[self.state.world.customers[chat].number].phone_number_id.clone()
    }

    fn send_as(
        &mut self,
        token: &str,
        chat: ChatId,
        text: &str,
        opaque: &str,
        at_us: u64,
    ) -> Reply {
        let body = json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": text},
            "recipient": self.state.world.customers[chat].bsuid, "biz_opaque_callback_data": opaque});
        let number = self.number(chat);
        self.state.on_send(&number, Some(token), body.to_string().as_bytes(), at_us)
    }

    fn send(&mut self, chat: ChatId, text: &str, opaque: &str, at_us: u64) -> Reply {
        let token = self.token.clone();
        self.send_as(&token, chat, text, opaque, at_us)
    }

    fn violations(&self) -> u64 {
        self.state.ledger.findings().count(Verdict::Violation)
    }

    /// Lets `until_us` come and takes every webhook that leaves, acknowledged.
    fn webhooks(&mut self, until_us: u64) -> Vec<Value> {
        self.state.target.webhook = Some(Uri::from_static("http://127.0.0.1:1/webhook"));
        self.state.advance(until_us);
        let mut bodies = Vec::new();
        while self.state.outbox.take_newly_ready() > 0 {
            while let Some(post) = self.state.begin_post(until_us) {
                bodies.push(serde_json::from_slice(&post.body).unwrap());
                self.state.end_post(post.delivery, Outcome::Acked { took_us: 10 }, until_us);
            }
        }
        bodies
    }
}

fn code(reply: &Reply) -> u64 {
    match reply {
        Reply::Answer { body, .. } => body["error"]["code"].as_u64().unwrap_or_default(),
        Reply::Close { .. } => 1,
    }
}

fn statuses(bodies: &[Value]) -> Vec<String> {
    let values = bodies.iter().map(|body| &body["entry"][0]["changes"][0]["value"]["statuses"][0]);
    values.filter_map(|status| status["status"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_send_is_taken_answered_and_reported() {
    let mut lab = Lab::with(None, |scenario| scenario.faults.read_share = 1.0);
    lab.wrote(chat(0), S);
    assert_eq!(lab.webhooks(S).len(), 1);
    let reply = lab.send(chat(0), "sales or billing?", "o-1", 2 * S);
    let Reply::Answer { status: 200, body, .. } = &reply else { panic!("{reply:?}") };
    let wamid = body["messages"][0]["id"].as_str().unwrap().to_owned();
    let bodies = lab.webhooks(60 * S);
    assert_eq!(statuses(&bodies), ["sent", "delivered", "read"]);
    let status = &bodies[0]["entry"][0]["changes"][0]["value"]["statuses"][0];
    assert_eq!(
        (&status["id"], &status["biz_opaque_callback_data"]),
        (&json!(wamid), &json!("o-1"))
    );
    assert_eq!((lab.violations(), lab.state.stats.sends, lab.state.ledger.delivered()), (0, 1, 1));
    assert!(lab.state.is_quiet());
}

#[test]
fn refusals_and_what_they_say_of_the_product() {
    let mut lab = Lab::new(None);
    lab.wrote(chat(0), S);
    let zeta = lab.state.world.businesses[BusinessId::from_row(1)].token.clone();
    assert_eq!(
        (code(&lab.send_as("nonsense", chat(0), "x", "o", 2 * S)), lab.violations()),
        (190, 0)
    );
    assert_eq!((code(&lab.send_as(&zeta, chat(0), "x", "o", 2 * S)), lab.violations()), (100, 1));
    assert_eq!((code(&lab.send(chat(0), "", "o", 2 * S)), lab.violations()), (131_008, 2));
    assert_eq!((code(&lab.send(chat(1), "x", "o", 2 * S)), lab.violations()), (131_026, 3));
    assert_eq!(
        (code(&lab.send(chat(0), "x", "o", 86_401 * S)), lab.violations()),
        (131_047, 3),
        "grace"
    );
    assert_eq!((code(&lab.send(chat(0), "x", "o", 86_500 * S)), lab.violations()), (131_047, 4));
    lab.state.faults.window_async = true;
    assert_eq!(code(&lab.send(chat(0), "x", "o", 86_600 * S)), 0);
    let bodies = lab.webhooks(90_000 * S);
    assert!(statuses(&bodies).contains(&"failed".to_owned()), "{bodies:?}");
}

#[test]
fn the_rate_is_held_and_one_more_is_a_violation() {
    let mut lab = Lab::new(None);
    (0..5).for_each(|row| lab.wrote(chat(row), 0));
    let send = |lab: &mut Lab, n: u64| {
        lab.send(chat((n % 5) as usize), "x", &format!("o-{n}"), 10 * S + n)
    };
    assert!((0..20).all(|n| code(&send(&mut lab, n)) == 0));
    assert_eq!(lab.violations(), 0);
    assert_eq!((code(&send(&mut lab, 20)), lab.violations()), (130_429, 1));
}

#[test]
fn one_customer_gets_45_at_once_and_no_more() {
    let mut lab = Lab::new(None);
    lab.wrote(chat(5), 0);
    let codes: Vec<u64> =
        (0..46).map(|n| code(&lab.send(chat(5), "x", &format!("o-{n}"), S + n * 20_000))).collect();
    assert!(codes.iter().take(45).all(|code| *code == 0), "{codes:?}");
    assert_eq!((codes[45], lab.violations()), (131_056, 0));
}

#[test]
fn the_customer_is_asked_answers_and_loses_patience() {
    let mut lab = Lab::new(None);
    lab.state.talk(true, 0);
    lab.state.advance(S);
    lab.state.talk(false, S);
    let waiting = |lab: &Lab| {
        let stages = lab.state.chats.iter().map(|(chat, state)| (chat, state.stage));
        stages
            .filter(|(_, stage)| matches!(stage, customers::Stage::Waiting { .. }))
            .collect::<Vec<_>>()
    };
    let before = waiting(&lab);
    assert!(!before.is_empty());
    lab.state.advance(60 * S);
    assert_eq!(waiting(&lab), [], "everyone chose in the end");
    assert!(lab.state.stats.inbound >= 2 * before.len() as u64);
}

#[test]
fn who_chose_and_is_asked_again_chooses_again_a_few_times() {
    let mut lab = Lab::new(None);
    let inbound = |lab: &Lab| lab.state.stats.inbound;
    lab.wrote(chat(0), S);
    for n in 2..=5 {
        lab.send(chat(0), "sales or billing?", &format!("o-{n}"), n * 10 * S);
        lab.state.advance((n + 1) * 10 * S);
        assert_eq!(inbound(&lab), n.min(3));
    }
    lab.wrote(chat(1), 100 * S);
    lab.state.on_offer(AgentId::from_row(0), Some(chat(1)), "conversation", 101 * S);
    let before = inbound(&lab);
    lab.send(chat(1), "one moment, please", "o-9", 102 * S);
    lab.state.advance(120 * S);
    assert_eq!(inbound(&lab), before, "an agent has seen it");
}

#[test]
fn a_failed_post_excuses_the_bot_in_its_own_chat_alone() {
    let mut lab = Lab::new(None);
    lab.state.target.webhook = Some(Uri::from_static("http://127.0.0.1:1/webhook"));
    (0..2).for_each(|row| lab.wrote(chat(row), S));
    lab.state.advance(S);
    let posts: Vec<Post> = (0..2).map(|_| lab.state.begin_post(S).unwrap()).collect();
    (0..2).for_each(|row| lab.state.on_accepted(Some(chat(row)), S, 2 * S));
    // The first is of chat 0, in the order in which they wrote.
    lab.state.end_post(posts[0].delivery, Outcome::Unreachable, 4 * S);
    lab.state.end_post(posts[1].delivery, Outcome::Acked { took_us: 10 }, 4 * S);
    let late = |row, second| lab.state.ledger.bot_is_late(chat(row), second * S);
    assert_eq!([late(0, 6), late(0, 7)], [false, true], "owed, and disturbed at 4");
    assert_eq!([late(1, 4), late(1, 5)], [false, true], "taken at 2");
}

#[test]
fn who_chose_is_noted_until_an_agent_has_it_and_room_is_known() {
    let mut lab = Lab::new(None);
    let agent = AgentId::from_row(0);
    lab.wrote(chat(0), S);
    lab.webhooks(S);
    let wishes = lab.state.ledger.wishes(60 * S);
    let [wish] = wishes.as_slice() else { panic!("{wishes:?}") };
    assert!(!lab.state.has_room(wish), "nobody is signed in");
    lab.state.on_signed_in(agent, true);
    assert!(lab.state.has_room(wish));
    // The fixture's agents take four.
    lab.state.on_given(agent, 4, Some(chat(1)), "another", 2 * S);
    assert!(!lab.state.has_room(wish));
    lab.state.on_desk_lost(agent, 3, Some(chat(1)), 3 * S);
    assert!(lab.state.has_room(wish));
    lab.state.on_given(agent, 4, Some(chat(0)), "conversation", 4 * S);
    assert_eq!(lab.state.ledger.wishes(60 * S), []);
    let mut alone = Lab::with(None, |scenario| scenario.desk.absent = true);
    alone.wrote(chat(0), S);
    alone.webhooks(S);
    assert_eq!(alone.state.ledger.wishes(60 * S), [], "people sit at the desks: nobody sees them");
}

#[test]
fn sabotage_forgets_whoever_chose() {
    for (sabotage, forgotten) in [(None, 0), (Some(Sabotage::ForgottenItem), 1)] {
        let mut lab = Lab::new(sabotage);
        (0..7).for_each(|row| lab.wrote(chat(row), 0));
        let proxy = &lab.state.proxy;
        assert_eq!((0..7).filter(|row| proxy.forgets(chat(*row))).count(), forgotten);
    }
}

#[test]
fn a_withheld_answer_closes_and_its_status_waits() {
    let mut lab = Lab::with(None, |scenario| {
        scenario.faults.withhold_close = 1.0;
        scenario.faults.withhold_status = 1.0;
    });
    lab.wrote(chat(0), 0);
    // Who is being cared for does not choose again.
    lab.state.on_offer(AgentId::from_row(0), Some(chat(0)), "conversation", 0);
    lab.webhooks(0);
    assert_eq!(lab.send(chat(0), "x", "o", S), Reply::Close { after_us: 0 });
    assert_eq!(lab.webhooks(40 * S), [] as [Value; 0]);
    lab.send(chat(0), "x", "o", 41 * S);
    let findings = lab.state.ledger.findings();
    assert_eq!(
        (findings.count(Verdict::RepeatedUnknown), findings.count(Verdict::Duplicated)),
        (1, 0)
    );
    assert!(statuses(&lab.webhooks(120 * S)).len() >= 2);
}

#[test]
fn unacknowledged_webhooks_come_again_until_they_are_taken() {
    let mut lab = Lab::new(None);
    lab.state.target.webhook = Some(Uri::from_static("http://127.0.0.1:1/webhook"));
    lab.wrote(chat(0), 0);
    lab.state.advance(0);
    let mut now_us = 0;
    for _ in 0..10 {
        let post = lab.state.begin_post(now_us).expect("comes again");
        lab.state.end_post(post.delivery, Outcome::Refused, now_us);
        now_us += 5 * S;
        lab.state.advance(now_us);
    }
    assert!(!lab.state.is_quiet());
    assert_eq!(lab.webhooks(now_us).len(), 1);
    assert_eq!((lab.state.stats.acked, lab.state.outbox.unacked()), (1, 0));
}

#[test]
fn batches_repeats_and_hidden_numbers_by_knob() {
    let mut lab = Lab::with(None, |scenario| {
        scenario.faults.batch = 1.0;
        scenario.faults.webhook_repeat = 1.0;
        scenario.faults.hide_phone = 1.0;
    });
    (0..7).for_each(|row| lab.wrote(chat(row), 0));
    lab.state.advance(0);
    let first = lab.webhooks(S);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["entry"].as_array().unwrap().len(), 2, "two numbers, two entries");
    assert!(!first[0].to_string().contains(&lab.state.world.customers[chat(0)].phone));
    assert_eq!(lab.webhooks(10 * S), first, "the repeat");
    assert_eq!(lab.webhooks(20 * S), [] as [Value; 0]);
    assert_eq!(lab.state.stats.acked, 7);
}

#[test]
fn sabotage_drop_acknowledges_what_the_product_never_saw() {
    for (sabotage, arrived) in [(None, 7), (Some(Sabotage::Drop), 6)] {
        let mut lab = Lab::new(sabotage);
        (0..7).for_each(|row| lab.wrote(chat(row), 0));
        assert_eq!((lab.webhooks(S).len(), lab.state.stats.acked), (arrived, 7));
    }
}

#[test]
fn sabotage_cross_business_delivers_to_a_stranger() {
    for (sabotage, strangers) in [(None, 0), (Some(Sabotage::CrossBusiness), 1)] {
        let mut lab = Lab::new(sabotage);
        (0..7).for_each(|row| lab.wrote(chat(row), 0));
        let number = &lab.state.world.numbers[NumberId::from_row(2)].phone_number_id.clone();
        let count = lab.webhooks(S).iter().filter(|body| body.to_string().contains(number)).count();
        assert_eq!(count, strangers);
    }
}

#[test]
fn sabotage_wrong_recipient_reaches_another_chat() {
    for (sabotage, strays) in [(None, 0), (Some(Sabotage::WrongRecipient), 1)] {
        let mut lab = Lab::new(sabotage);
        (0..2).for_each(|row| lab.wrote(chat(row), 0));
        for n in 1..=7 {
            let key = (crate::judge::Asker::Agent(crate::world::AgentId::from_row(0)), n);
            let text = lab.state.on_reply_asked(key, chat(0));
            assert_eq!(code(&lab.send(chat(0), &text, &format!("o-{n}"), n * S)), 0);
        }
        assert_eq!(lab.violations(), strays);
    }
}

#[test]
fn sabotage_holds_bot_turns_until_they_are_stale_and_gathers_calls_until_they_are_over() {
    let body = |lab: &Lab| {
        let bsuid = &lab.state.world.customers[chat(0)].bsuid;
        json!({"messaging_product": "whatsapp", "recipient": bsuid, "type": "text", "text": {"body": "sales?"}})
            .to_string()
    };
    let mut lab = Lab::new(Some(Sabotage::StaleBotTurn));
    lab.wrote(chat(0), 0);
    let (body_text, number) = (body(&lab), lab.number(chat(0)));
    let mut held =
        (0..7).filter_map(|_| lab.state.hold(&number, body_text.as_bytes(), S)).collect::<Vec<_>>();
    assert_eq!(held.len(), 1);
    lab.state.advance(2 * S);
    assert!(held[0].try_recv().is_err(), "the bot still may speak");
    lab.state.on_accepted(Some(chat(0)), S, 2 * S);
    lab.state.advance(10 * S);
    assert!(held[0].try_recv().is_ok());
    lab.send(chat(0), "sales?", "o-1", 10 * S);
    assert_eq!(lab.violations(), 1);

    let mut lab = Lab::new(Some(Sabotage::OverRate));
    lab.wrote(chat(0), 0);
    assert!(lab.state.hold(&number, body_text.as_bytes(), S).is_none());
    for n in 1..25 {
        lab.send(chat(0), "hello", &format!("o-{n}"), (10 + n) * S);
    }
    let unseen = lab.violations();
    lab.send(chat(0), "hello", "o-25", 40 * S);
    assert!(lab.violations() > unseen, "all at once");
    assert!(Lab::new(None).state.hold(&number, body_text.as_bytes(), S).is_none());
}

#[test]
fn phones_write_unasked_and_everyone_goes_on_after_a_pause() {
    let mut lab = Lab::with(None, |scenario| {
        scenario.traffic.phone_per_s = 10.0;
        scenario.traffic.inbound_per_s = 10.0;
    });
    let mut counts = Vec::new();
    for (talking, until_us) in [(true, 60 * S), (false, 120 * S), (true, 180 * S)] {
        lab.state.talk(talking, until_us - 60 * S);
        lab.state.advance(until_us);
        counts.push((lab.state.stats.inbound, lab.state.stats.phone_echoes));
    }
    assert!(counts[0].0 > 150 && counts[0].1 > 300, "{counts:?}");
    assert!(counts[1].1 == counts[0].1, "silent while paused: {counts:?}");
    assert!(counts[2].0 > counts[1].0 + 150 && counts[2].1 > counts[1].1 + 300, "{counts:?}");
}

#[test]
fn nobody_begins_to_write_while_too_many_webhooks_wait() {
    let run = |unacked_max| {
        let mut lab = Lab::with(None, |scenario| {
            scenario.traffic.inbound_per_s = 10.0;
            scenario.traffic.phone_per_s = 10.0;
            scenario.traffic.unacked_max = unacked_max;
        });
        lab.state.talk(true, 0);
        (0..=300).for_each(|tenth| lab.state.advance(tenth * S / 10));
        let waiting = lab.state.outbox.unacked();
        let taken = lab.webhooks(30 * S).len();
        lab.state.advance(31 * S);
        (waiting, taken, lab.state.stats.held_back, lab.state.outbox.unacked())
    };
    let (waiting, taken, held_back, later) = run(40);
    assert!((40..60).contains(&waiting) && held_back > 100, "{waiting} wait, {held_back}");
    assert!(taken >= waiting && later > 0, "taken {taken}, then {later} wait: it goes on");
    let (waiting, _, held_back, _) = run(0);
    assert!(waiting > 200 && held_back == 0, "{waiting} wait, {held_back}");
}
