//! Against a real gRPC server that implements `Bot`.

use std::{collections::VecDeque, pin::Pin, sync::Mutex};

use api::v1::{
    BotHandOff, BotMenu, BotSay, TurnResponse, bot_say,
    bot_server::{Bot, BotServer},
};
use chassis::task::{self, TaskKind};
use domain::{
    Hash16, MessageId, content::ContentKind, conversation::HeardMessage as Heard, flow::Reply,
};
use runtime::host::TooLate;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{Request, Response};

use super::*;

const TOKEN: &str = "bot-token-0123456789";
/// Long for a machine that does other things, too.
const DEADLINE_MS: u64 = 20_000;
/// What the tests that wait for the deadline have.
const SHORT_MS: u64 = 300;

/// What the server does with one call.
#[derive(Clone, Debug)]
enum Act {
    Say(Vec<Step>),
    /// Says this and then keeps the stream open for ever.
    Hang(Vec<Step>),
    Refuse(Code),
}

/// Answers turn by turn as told, the last for good, and shows what it was asked.
struct Scripted {
    acts: Mutex<VecDeque<Act>>,
    asked: mpsc::Sender<(Option<String>, TurnRequest)>,
}

impl Scripted {
    fn next(&self) -> Act {
        let mut acts = self.acts.lock().unwrap();
        if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() }.unwrap()
    }
}

#[tonic::async_trait]
impl Bot for Scripted {
    type TurnStream = Pin<Box<dyn Stream<Item = Result<TurnResponse, Status>> + Send>>;

    async fn turn(
        &self,
        request: Request<TurnRequest>,
    ) -> Result<Response<Self::TurnStream>, Status> {
        let bearer = request.metadata().get("authorization");
        let bearer = bearer.and_then(|it| it.to_str().ok()).map(str::to_owned);
        self.asked.send((bearer, request.into_inner())).await.unwrap();
        let stream = |steps: Vec<Step>| {
            let steps = steps.into_iter().map(|step| Ok(TurnResponse { step: Some(step) }));
            tokio_stream::iter(steps)
        };
        Ok(Response::new(match self.next() {
            Act::Say(steps) => Box::pin(stream(steps)),
            Act::Hang(steps) => Box::pin(stream(steps).chain(tokio_stream::pending())),
            Act::Refuse(code) => return Err(Status::new(code, "the customer Ana said 42")),
        }))
    }
}

/// A business with a bot at `endpoint`, on a channel and on a number.
fn config(endpoint: &str, deadline_ms: u64) -> Config {
    let text = format!(
        r#"
        [[business]]
        id = "shop"
        app_secrets = ["shop-secret-0123456789abcdef0000"]
        verify_token = "shop-verify"
        [[business.channel]]
        id = "web"
        kind = "web_chat"
        token = "web-channel-token-0001"
        [business.workspace]
        id = "shop-desk"
        [[business.workspace.queue]]
        id = "sales"
        [business.bot.external]
        endpoint = "{endpoint}"
        token = "{TOKEN}"
        deadline_ms = {deadline_ms}
        [limits]
        call_hard_limit_ms = 30000
        "#
    );
    Config::from_toml(&text, []).unwrap()
}

struct World {
    executor: BotExecutor,
    asked: mpsc::Receiver<(Option<String>, TurnRequest)>,
    call: BotCall,
}

async fn free_endpoint() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

impl World {
    async fn new(acts: impl Into<VecDeque<Act>>) -> Self {
        Self::with_deadline(acts, DEADLINE_MS).await
    }

    async fn with_deadline(acts: impl Into<VecDeque<Act>>, deadline_ms: u64) -> Self {
        let (listener, endpoint) = free_endpoint().await;
        let (sender, asked) = mpsc::channel(64);
        let server = BotServer::new(Scripted { acts: Mutex::new(acts.into()), asked: sender });
        let serving = async move {
            let incoming = TcpListenerStream::new(listener);
            let server = tonic::transport::Server::builder().add_service(server);
            server.serve_with_incoming(incoming).await.unwrap();
        };
        task::spawn(TaskKind::Listener, "bot", serving).detach();
        Self::at(&endpoint, asked, deadline_ms)
    }

    fn at(
        endpoint: &str,
        asked: mpsc::Receiver<(Option<String>, TurnRequest)>,
        deadline_ms: u64,
    ) -> Self {
        let sealer = Arc::new(Sealer::from_key([7; 32]));
        let config = config(endpoint, deadline_ms);
        let executor = BotExecutor::new(&config, Arc::clone(&sealer), Clock::system()).unwrap();
        let seal = |plain: Vec<u8>| {
            let sealed = sealer.seal(b"shop", &plain);
            Sealed { key_id: sealed.key_id, bytes: sealed.bytes }
        };
        let who = Identity { visitor: Some("v1".to_owned()), ..Identity::default() };
        let content = Content { text: Some("hello".to_owned()), ..Content::default() };
        let hash = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
        let account = naming::channel_account(&"shop".into(), "web");
        let call = BotCall {
            key: BotKey { conversation: Hash16([1; 16]), turn: 4, attempt: 1 },
            number: naming::number_id(&hash, &account),
            who: seal(persist::encode(&who).unwrap()),
            heard: vec![Heard {
                message: MessageId(Hash16([2; 16])),
                kind: ContentKind::Text,
                content: seal(persist::encode(&content).unwrap()),
                at_ms: 9,
                shortened: true,
            }],
        };
        Self { executor, asked, call }
    }

    async fn report(&self, door: &Door) -> Reported {
        match self.executor.carry_out("shop", &self.call, door).await {
            CallResult::Done(report) => {
                let report: BotReport = persist::decode(&report).unwrap();
                assert_eq!(report.key, self.call.key);
                report.reported
            }
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self) -> Result<Answer, BotFault> {
        match self.report(&Door::new(|| Ok(()))).await {
            Reported::Answered(sealed) => Ok(self.executor.open("shop", &sealed).unwrap()),
            Reported::Failed(why) => Err(why),
            Reported::NotStarted => panic!("it was not asked"),
        }
    }

    /// How often it was asked so far.
    fn times(&mut self) -> usize {
        std::iter::from_fn(|| self.asked.try_recv().ok()).count()
    }
}

fn text(text: &str) -> Step {
    Step::Say(BotSay { content: Some(bot_say::Content::Text(text.to_owned())) })
}

fn hand_off(queue: &str) -> Step {
    let (queue_id, reason) = (queue.to_owned(), "refund".to_owned());
    Step::HandOff(BotHandOff { queue_id, reason, ..BotHandOff::default() })
}

#[tokio::test]
async fn the_bot_is_told_what_was_said_and_its_words_come_back_sealed() {
    let steps = vec![text("One moment."), hand_off("sales"), text("never read")];
    let mut world = World::new([Act::Hang(steps)]).await;
    let Reported::Answered(sealed) = world.report(&Door::new(|| Ok(()))).await else { panic!() };
    assert!(!sealed.bytes.windows(6).any(|bytes| bytes == b"moment"), "it may pass an inbox");
    let answer: Answer = world.executor.open("shop", &sealed).unwrap();
    let (bearer, asked) = world.asked.recv().await.unwrap();
    assert_eq!(bearer, Some(format!("Bearer {TOKEN}")));
    assert_eq!(
        (asked.turn, asked.channel_id.as_str(), asked.phone_number_id.as_str()),
        (4, "web", "")
    );
    let heard = &asked.heard[0];
    assert_eq!(
        (heard.text.as_str(), heard.kind.as_str(), heard.shortened),
        ("hello", "text", true)
    );
    assert_eq!(asked.contact.unwrap().visitor_id, "v1");
    let left_ms = u64::try_from(asked.deadline_ms).unwrap() - Clock::system().wall_ms();
    assert!((1..=DEADLINE_MS).contains(&left_ms), "{left_ms}");
    assert_eq!(answer.replies, [Reply::Text("One moment.".to_owned())]);
    let Outcome::HandOff(told) = answer.outcome else { panic!("{:?}", answer.outcome) };
    assert_eq!((told.queue, told.reason.as_str()), (Some("sales".into()), "refund"));
}

#[tokio::test]
async fn a_stream_that_ends_waits_and_an_unknown_queue_is_the_numbers_own() {
    let world = World::new([Act::Say(vec![text("hi")])]).await;
    assert_eq!(world.ask().await.unwrap().outcome, Outcome::Wait);
    let world = World::new([Act::Say(vec![hand_off("nowhere")])]).await;
    let Outcome::HandOff(told) = world.ask().await.unwrap().outcome else { panic!() };
    assert_eq!(told.queue, None);
}

#[tokio::test]
async fn what_a_bot_does_wrong_fails_its_turn_as_a_whole() {
    let menu = BotMenu { text: "Which?".to_owned(), ..BotMenu::default() };
    let menu = Step::Say(BotSay { content: Some(bot_say::Content::Menu(menu)) });
    let wrong = [
        vec![],
        vec![text("fine"), text(" ")],
        vec![text(&"x".repeat(4_097))],
        vec![text("x"); 9],
        vec![text("x"); 100],
        vec![menu],
        // Above what is read of one message at all.
        vec![text(&"x".repeat(100 * 1024))],
    ];
    for steps in wrong {
        // Nobody reads on for ever.
        let act = if steps.len() > 9 { Act::Hang(steps) } else { Act::Say(steps) };
        assert_eq!(World::new([act]).await.ask().await, Err(BotFault::Unusable));
    }
}

#[tokio::test]
async fn a_bot_that_is_away_is_asked_again_until_it_is_there() {
    let away = || Act::Refuse(Code::Unavailable);
    let mut world = World::new([away(), away(), Act::Say(vec![text("back")])]).await;
    assert_eq!(world.ask().await.unwrap().replies, [Reply::Text("back".to_owned())]);
    assert_eq!(world.times(), 3);
    let mut world = World::with_deadline([away()], SHORT_MS).await;
    assert_eq!(world.ask().await, Err(BotFault::Unreachable));
    assert!(world.times() > 1, "within the deadline it was asked again");
    let (listener, endpoint) = free_endpoint().await;
    drop(listener);
    let absent = World::at(&endpoint, mpsc::channel(1).1, SHORT_MS);
    assert_eq!(absent.ask().await, Err(BotFault::Unreachable));
}

#[tokio::test]
async fn a_status_fails_the_turn_at_once() {
    for (code, why) in [
        (Code::Internal, BotFault::Refused),
        (Code::Unauthenticated, BotFault::Refused),
        (Code::Unimplemented, BotFault::Refused),
        (Code::DeadlineExceeded, BotFault::Deadline),
    ] {
        let mut world = World::new([Act::Refuse(code)]).await;
        assert_eq!((world.ask().await, world.times()), (Err(why), 1));
    }
}

/// Whatever it has said by then: the answer counts as a whole.
#[tokio::test]
async fn an_answer_that_is_not_complete_in_time_is_none() {
    for said in [vec![], vec![text("One moment.")]] {
        let world = World::with_deadline([Act::Hang(said)], SHORT_MS).await;
        assert_eq!(world.ask().await, Err(BotFault::Deadline));
    }
}

#[tokio::test]
async fn a_call_that_may_not_start_any_more_does_not() {
    let mut world = World::new([Act::Say(vec![text("hi")])]).await;
    let closed = Door::new(|| Err(TooLate::Cancelled));
    assert_eq!(world.report(&closed).await, Reported::NotStarted);
    assert_eq!(world.times(), 0, "it was asked all the same");
    // Nor does its repeat, once the partition has another owner.
    let mut world = World::new([Act::Refuse(Code::Unavailable)]).await;
    let looks = std::sync::atomic::AtomicU32::new(0);
    let closing =
        Door::new(move || match looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err(TooLate::Fenced),
        });
    assert_eq!(world.report(&closing).await, Reported::Failed(BotFault::Unreachable));
    assert_eq!(world.times(), 1);
}

#[tokio::test]
async fn beyond_the_bound_turns_wait_for_room_and_then_fail() {
    let mut world = World::with_deadline([Act::Say(vec![text("hi")])], SHORT_MS).await;
    let client = Arc::clone(&world.executor.accounts[&world.call.number].client);
    let mut held = Vec::new();
    for _ in 0..client::UNDER_WAY_MAX {
        held.push(client.room().await);
    }
    assert!(held.iter().all(Option::is_some));
    assert_eq!(world.ask().await, Err(BotFault::Busy));
    assert_eq!(world.times(), 0);
    held.pop();
    assert!(world.ask().await.is_ok());
}

#[tokio::test]
async fn a_number_without_a_bot_has_none_to_ask() {
    let mut world = World::new([Act::Say(vec![text("hi")])]).await;
    world.call.number = EntityId { hash: Hash16([9; 16]), ..world.call.number };
    assert_eq!(world.ask().await, Err(BotFault::NotConfigured));
}
