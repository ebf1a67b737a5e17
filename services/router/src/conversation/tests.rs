//! The way of an external bot's turn through a hosted conversation: call, result, fence.

use chassis::{config::Config, seal::Sealer};
use domain::{
    Hash16, MessageId, Sealed,
    content::ContentKind,
    conversation::{Inbound, Via},
    effect::BotCall,
    flow::{Outcome, Reply},
    naming,
};
use runtime::bus::{BusinessId, Cause, FormatLevel, Header};

use super::*;
use crate::bridge::Outside;

const CONFIG: &str = r#"
[[business]]
id = "shop"
app_secrets = ["secret"]
verify_token = "verify"
[[business.number]]
phone_number_id = "1065"
display_phone_number = "+1 555"
waba_id = "1"
access_token = "token"
mode = "api"
[business.workspace]
id = "desk"
queue = [{ id = "sales" }]
[business.bot.external]
endpoint = "http://127.0.0.1:1"
token = "bot-token-0123456789"
"#;

const NOW_MS: u64 = 1_800_000_000_000;

struct World {
    hosted: HostedConversation,
    sealer: Arc<Sealer>,
    via: Via,
}

impl World {
    fn new() -> Self {
        let sealer = Arc::new(Sealer::deterministic_from_key([1; 32]));
        let config = Config::from_toml(CONFIG, []).unwrap();
        let rules = Arc::new(RuleBook::new(&config, &sealer).unwrap());
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let shop = domain::BusinessId("shop".to_owned());
        let via = Via {
            number: naming::number_id(&hash, "1065"),
            workspace: naming::workspace_id(&hash, &shop, "desk"),
        };
        let id = EntityId { kind: domain::EntityKind::Conversation, hash: Hash16([3; 16]) };
        let opener = Opener::new(Arc::clone(&sealer));
        let hosted = HostedConversation::load(id, &[], rules, opener).unwrap();
        Self { hosted, sealer, via }
    }

    fn seal<T: serde::Serialize>(&self, value: &T) -> Sealed {
        let sealed = self.sealer.seal(b"shop", &persist::encode(value).unwrap());
        Sealed { key_id: sealed.key_id, bytes: sealed.bytes }
    }

    fn decide(&mut self, key: u8, occasion: RuntimeOccasion) -> Decision {
        let header = Header {
            key: Key([key; 16]),
            business: BusinessId("shop".to_owned()),
            cause: Cause::Command,
            trace: None,
            received_ms: NOW_MS,
        };
        let entity = bridge::to_bus(self.hosted.id);
        let (now_ms, foreign_calls_over_ms) = (NOW_MS, 0);
        let format = FormatLevel::KNOWN;
        let input = DecideInput { header, entity, occasion, now_ms, foreign_calls_over_ms, format };
        let decision = self.hosted.decide(&input).unwrap();
        for event in &decision.events {
            self.hosted.apply(event).unwrap();
        }
        decision
    }

    /// The customer writes; what the bot is asked then, with the call's id.
    fn say(&mut self, n: u8) -> (Key, BotCall) {
        let identity = Identity { phone: Some("1555".to_owned()), ..Identity::default() };
        let content = Content { text: Some("hello".to_owned()), ..Content::default() };
        let inbound = Inbound {
            via: self.via,
            message: MessageId(Hash16([n; 16])),
            at_ms: NOW_MS,
            kind: ContentKind::Text,
            paired: None,
            who: self.seal(&identity),
            content: self.seal(&content),
            target: None,
            referral: false,
        };
        let body = bridge::encode(&ConversationInput::Inbound(inbound)).unwrap();
        let decision = self.decide(n, RuntimeOccasion::Input(body));
        let request = &decision.calls[0];
        match persist::decode(&request.body).unwrap() {
            Outside::Bot(call) => (request.call, *call),
            Outside::Send(call) => panic!("{call:?}"),
        }
    }

    fn answer(&mut self, key: BotKey) -> Decision {
        let replies = vec![Reply::Text("hello".to_owned())];
        let sealed = self.seal(&Answer { replies, outcome: Outcome::Wait });
        let report = BotReport { key, reported: Reported::Answered(sealed) };
        let result = CallResult::Done(bridge::encode(&report).unwrap());
        let call = bridge::bot_call_id(key);
        self.decide(100, RuntimeOccasion::CallResult { call, result })
    }

    /// The runtime answers for the executor.
    fn result(&mut self, call: Key, result: CallResult) -> Decision {
        self.decide(101, RuntimeOccasion::CallResult { call, result })
    }
}

#[test]
fn an_answer_counts_for_the_turn_it_was_asked_for_and_for_no_other() {
    let mut world = World::new();
    let (_, first) = world.say(1);
    let (_, second) = world.say(2);
    assert_eq!((first.key.turn, second.key.turn, second.heard.len()), (1, 2, 2));
    for wrong in [
        first.key,
        BotKey { turn: 3, ..second.key },
        BotKey { conversation: Hash16([9; 16]), ..second.key },
    ] {
        let dropped = world.answer(wrong);
        assert!(dropped.events.is_empty() && dropped.messages.is_empty(), "{wrong:?}");
    }
    let taken = world.answer(second.key);
    assert_eq!(taken.messages.len(), 1, "one send is asked of the number");
    let repeated = world.answer(second.key);
    assert!(repeated.events.is_empty() && repeated.messages.is_empty(), "taken once");
}

#[test]
fn the_next_message_cancels_the_call_of_the_turn_before() {
    let mut world = World::new();
    let (call, _) = world.say(1);
    let cancelled = world.hosted.state.awaited_turn(world.hosted.id).map(bridge::bot_call_id);
    assert_eq!(cancelled, Some(call));
    let (next, _) = world.say(2);
    assert_ne!(next, call);
    let over = world.result(call, CallResult::NotStarted("cancelled".to_owned()));
    assert!(over.events.is_empty(), "nobody's any more");
}

#[test]
fn where_the_runtime_answers_the_awaited_turn_is_asked_again_or_given_up() {
    let mut world = World::new();
    let (call, asked) = world.say(1);
    let again = world.result(call, CallResult::NotStarted("start_by has passed".to_owned()));
    let Outside::Bot(repeat) = persist::decode(&again.calls[0].body).unwrap() else { panic!() };
    assert_eq!(repeat.key, BotKey { attempt: 2, ..asked.key });
    let over = world.result(again.calls[0].call, CallResult::Unknown("10 s".to_owned()));
    assert!(over.calls.is_empty() && !over.messages.is_empty(), "people are asked for");
}
