//! Bots of the business's own: the real product, the simulator's customers, and `clients/python/bot.py`; and a bot of this
//! test that answers nothing until the product was killed.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use api::v1::{
    BotSay, DeskEvent, DeskRequest, Offer, Presence, SignIn, TurnRequest, TurnResponse,
    agent_desk_client::AgentDeskClient,
    bot_say,
    bot_server::{Bot, BotServer},
    desk_event::Event,
    desk_request,
    turn_response::Step,
};
use chassis::task::{self, TaskKind};
use tandem::stage::{Product, Stage};
use testkit::wait_for;
use tokio::{net::TcpListener, process::Command, sync::mpsc};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use toml::{Table, Value};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{
    by_hand::{Talking, loadtest},
    clients::python_program,
    conversations::Conversations,
    play::{Play, assert_no_errors, count, get, programs},
};

const HAND: &str = include_str!("../../../../loadtest/scenarios/hand.toml");
const BOT_TOKEN: &str = "python-bot-token-0001";
const BOUND: Duration = Duration::from_secs(60);
const CUSTOMERS: [&str; 3] = ["15551000000", "15551000001", "15551000002"];

/// An agent who looks at what is offered.
struct Watcher {
    events: Streaming<DeskEvent>,
    _commands: mpsc::Sender<DeskRequest>,
}

impl Watcher {
    async fn sign_in(desk: SocketAddr, token: &str) -> Self {
        let (commands, outgoing) = mpsc::channel(4);
        let presence = Presence::Available.into();
        let sign_in = desk_request::Request::SignIn(SignIn { presence });
        let sign_in = DeskRequest { request: Some(sign_in), ..DeskRequest::default() };
        commands.send(sign_in).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(outgoing));
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let mut client = AgentDeskClient::connect(format!("http://{desk}")).await.unwrap();
        let events = client.session(request).await.unwrap().into_inner();
        Self { events, _commands: commands }
    }

    async fn offer(&mut self) -> Offer {
        let offered = async {
            loop {
                let event = self.events.message().await.unwrap().expect("the session goes on");
                if let Some(Event::Offered(offer)) = event.event {
                    return offer;
                }
            }
        };
        tokio::time::timeout(BOUND, offered).await.expect("an offer in time")
    }
}

/// Puts the bot into the business of the simulator's world. Answers the tokens of its agent and its programs.
fn configure(stage: &Stage, endpoint: &str) -> (String, String) {
    let text = std::fs::read_to_string(stage.config_file()).unwrap();
    let mut config: Table = text.parse().unwrap();
    let business = config["business"][0].as_table_mut().unwrap();
    let external = Table::from_iter([
        ("endpoint".to_owned(), Value::from(format!("http://{endpoint}"))),
        ("token".to_owned(), Value::from("env:PYTHON_BOT_TOKEN")),
        ("deadline_ms".to_owned(), Value::from(5_000)),
    ]);
    let bot = business["bot"].as_table_mut().unwrap();
    bot.insert("external".to_owned(), Value::Table(external));
    let tokens = [&business["workspace"]["agent"][0]["token"], &business["api_token"]];
    let [agent, program] = tokens.map(|token| token.as_str().unwrap().to_owned());
    std::fs::write(stage.config_file(), toml::to_string(&config).unwrap()).unwrap();
    (agent, program)
}

async fn turns(product: &Product, outcome: &str) -> bool {
    let metrics = get(&format!("http://{}/metrics", product.addresses.admin)).await;
    let name = format!("tandem_router_external_bot_turns_total{{outcome=\"{outcome}\"}}");
    metrics.lines().any(|line| line.starts_with(&name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_bot_answers_hands_over_and_is_replaced_when_it_dies() {
    let play = Play::begin("own-bot").await;
    let mut command: Command = python_program("bot.py");
    command.args(["--listen=127.0.0.1:0", &format!("--token={BOT_TOKEN}")]);
    let mut bot = Talking::start(command);
    let endpoint = bot.hear("127.0.0.1:").await;
    let stage = Stage::open(programs(), play.dir(), HAND).await.unwrap();
    let (agent_token, program_token) = configure(&stage, &endpoint);
    let mut product = stage.start_product(&[("PYTHON_BOT_TOKEN", BOT_TOKEN)]).await.unwrap();
    let control = &stage.simulator.control;
    control.product(&product.addresses).await.unwrap();
    let say = async |from: &str, words: &str| {
        let args = ["customer", "say", "--from", from, "--wait", "30", words];
        loadtest(control.url(), &args).await
    };

    // It answers, and hands over with its reason and what it has collected.
    let asked = say(CUSTOMERS[0], "hello").await;
    assert!(asked.contains("what can we do for you?"), "{asked}");
    let chosen = say(CUSTOMERS[0], "sales please").await;
    assert!(chosen.contains("Buy something: a colleague is with you"), "{chosen}");
    let mut agent = Watcher::sign_in(product.addresses.desk, &agent_token).await;
    let offer = agent.offer().await;
    assert_eq!((offer.queue_id.as_str(), offer.handoff_why.as_str()), ("sales", "rule"));
    assert_eq!(offer.handoff_reason, "chosen_from_menu");
    let fields: Vec<_> =
        offer.fields.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
    assert_eq!(fields, [("wish", "Buy something")]);

    // Nobody is needed for the second customer.
    let thanked = say(CUSTOMERS[1], "thank you").await;
    assert!(thanked.contains("You are welcome."), "{thanked}");
    let mut reader = Conversations::connect(product.addresses.desk, &program_token).await;
    // The read model follows within moments.
    let resolved = wait_for(BOUND, "only the first episode stays open", async || {
        let open = reader.list().await.into_iter().filter(|it| it.episode.is_some());
        let open: Vec<_> = open.map(|it| it.conversation_id).collect();
        (open == [offer.conversation_id.clone()]).then_some(())
    });
    resolved.await.unwrap();

    // It dies: the question of the configuration takes over, and leads to people.
    bot.kill().await;
    let fallback = say(CUSTOMERS[2], "hello").await;
    assert!(fallback.contains("How can we help you?"), "{fallback}");
    let lost = say(CUSTOMERS[2], "billing").await;
    assert!(lost.contains("shop  | "), "{lost}");
    for outcome in ["answered", "handed_off", "resolved", "unreachable"] {
        assert!(turns(&product, outcome).await, "no turn was counted as {outcome}");
    }
    let report = control.report().await.unwrap();
    assert_eq!(count(&report, "violations"), 0, "{:#}", report["findings"]);
    assert!(product.stop(Duration::from_secs(30)).await.unwrap().success());
    assert_no_errors(&stage.product_log(), &[]);
}

/// Tells of every turn it is asked for. The first answer never ends, later ones do.
struct Slow {
    asks: mpsc::Sender<(String, u64)>,
    asked_before: AtomicBool,
}

#[tonic::async_trait]
impl Bot for Slow {
    type TurnStream = Pin<Box<dyn Stream<Item = Result<TurnResponse, Status>> + Send>>;

    async fn turn(
        &self,
        request: Request<TurnRequest>,
    ) -> Result<Response<Self::TurnStream>, Status> {
        let TurnRequest { conversation_id, turn, heard, .. } = request.into_inner();
        assert_eq!(heard[0].text, "hello");
        self.asks.try_send((conversation_id, turn)).unwrap();
        if !self.asked_before.swap(true, Ordering::SeqCst) {
            return Ok(Response::new(Box::pin(tokio_stream::pending())));
        }
        let say = BotSay { content: Some(bot_say::Content::Text("Here again.".to_owned())) };
        let said = TurnResponse { step: Some(Step::Say(say)) };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(said)))))
    }
}

/// The call dies with the process; the conversation's own timer asks for the same turn again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_was_under_way_when_the_product_was_killed_is_asked_for_again() {
    let play = Play::begin("own-bot-kill").await;
    let (asks, mut asked) = mpsc::channel(8);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let serving = async move {
        let incoming = TcpListenerStream::new(listener);
        let bot = Slow { asks, asked_before: AtomicBool::new(false) };
        let server = Server::builder().add_service(BotServer::new(bot));
        server.serve_with_incoming(incoming).await.unwrap();
    };
    task::spawn(TaskKind::Listener, "bot", serving).detach();
    let stage = Stage::open(programs(), play.dir(), HAND).await.unwrap();
    configure(&stage, &endpoint);
    let environment = [("PYTHON_BOT_TOKEN", BOT_TOKEN)];
    let control = &stage.simulator.control;
    let mut product = stage.start_product(&environment).await.unwrap();
    control.product(&product.addresses).await.unwrap();
    let args = ["customer", "say", "--from", CUSTOMERS[0], "--wait", "0", "hello"];
    loadtest(control.url(), &args).await;
    let once = tokio::time::timeout(BOUND, asked.recv()).await.expect("the bot was asked");
    product.kill().await.unwrap();
    let mut product = stage.start_product(&environment).await.unwrap();
    control.product(&product.addresses).await.unwrap();
    let mut chat = Command::new(programs().loadtest);
    chat.args(["customer", "chat", "--from", CUSTOMERS[0]]).env("LOADTEST_CONTROL", control.url());
    let mut chat = Talking::start(chat);
    chat.hear("Here again.").await;
    assert_eq!(once, asked.recv().await, "the same turn of the same conversation");
    assert!(asked.try_recv().is_err(), "and no more often");
    assert!(product.stop(Duration::from_secs(30)).await.unwrap().success());
    assert_no_errors(&stage.product_log(), &[]);
}
