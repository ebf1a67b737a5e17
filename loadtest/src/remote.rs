//! Steering a simulator that runs in another process: the commands for a second terminal.

use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::Error;
use crate::hand::{Line, Say, Who};
use crate::output;

const ANSWER_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// After the first answer, others of the same breath are waited for.
const LINGER: Duration = Duration::from_millis(700);

/// Where the simulator is steered.
#[derive(Clone, Debug, Args)]
pub(crate) struct At {
    /// Control endpoint of the running simulator, as `tandem demo --by-hand` prints it.
    #[arg(long, env = "LOADTEST_CONTROL")]
    control: String,
}

/// The customer's side.
#[derive(Debug, Subcommand)]
pub(crate) enum CustomerCommand {
    /// Write a message and print what comes back.
    Say(CustomerSay),
    /// Print the chat as it grows; every line typed is written as the customer.
    Chat(CustomerChat),
}

/// The side of the business's phone.
#[derive(Debug, Subcommand)]
pub(crate) enum PhoneCommand {
    /// Write to a customer from the WhatsApp Business App.
    Say(PhoneSay),
    /// The phone lies in a drawer: nobody answers on it.
    Forget(At),
    /// Somebody looks at it again.
    Find(At),
}

#[derive(Debug, Args)]
pub(crate) struct CustomerSay {
    #[command(flatten)]
    at: At,
    /// The customer's phone number.
    #[arg(long)]
    from: String,
    /// The business's number, if the customer has chats with several.
    #[arg(long)]
    to: Option<String>,
    /// How many seconds to wait for an answer.
    #[arg(long, default_value_t = 5)]
    wait: u64,
    /// What to write.
    #[arg(required = true, num_args = 1..)]
    text: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CustomerChat {
    #[command(flatten)]
    at: At,
    /// The customer's phone number.
    #[arg(long)]
    from: String,
    /// The business's number, if the customer has chats with several.
    #[arg(long)]
    to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PhoneSay {
    #[command(flatten)]
    at: At,
    /// The customer's phone number.
    #[arg(long)]
    to: String,
    /// The business's number, if the customer has chats with several.
    #[arg(long)]
    from: Option<String>,
    /// What to write.
    #[arg(required = true, num_args = 1..)]
    text: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Storm {
    #[command(flatten)]
    at: At,
    /// How many times the usual traffic.
    #[arg(long, default_value_t = 10.0)]
    factor: f64,
    /// For how long.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Runs `customer …`.
pub(crate) async fn customer(command: CustomerCommand) -> Result<(), Error> {
    match command {
        CustomerCommand::Say(said) => {
            let text = said.text.join(" ");
            let say = Say { who: Who::Customer, customer: said.from, number: said.to, text };
            let place = write(&said.at, &say).await?;
            print_answers(&said.at, &say, place, Duration::from_secs(said.wait)).await
        }
        CustomerCommand::Chat(chat) => follow(&chat).await,
    }
}

/// Runs `phone …`.
pub(crate) async fn phone(command: PhoneCommand) -> Result<(), Error> {
    match command {
        PhoneCommand::Say(said) => {
            let text = said.text.join(" ");
            let say = Say { who: Who::Phone, customer: said.to, number: said.from, text };
            write(&said.at, &say).await.map(drop)
        }
        PhoneCommand::Forget(at) => steer(&at, "/phones", &json!({"silent": true})).await,
        PhoneCommand::Find(at) => steer(&at, "/phones", &json!({"silent": false})).await,
    }
}

/// Runs `storm`.
pub(crate) async fn storm(storm: &Storm) -> Result<(), Error> {
    let body = json!({"factor": storm.factor, "seconds": storm.seconds});
    steer(&storm.at, "/storm", &body).await
}

/// Runs `pause` and `resume`.
pub(crate) async fn talk(at: &At, talking: bool) -> Result<(), Error> {
    steer(at, if talking { "/resume" } else { "/pause" }, &json!({})).await
}

async fn steer(at: &At, path: &str, body: &Value) -> Result<(), Error> {
    call(at, Method::POST, path, body).await.map(drop)
}

async fn write(at: &At, say: &Say) -> Result<usize, Error> {
    let answer = call(at, Method::POST, "/say", &json!(say)).await?;
    let place = answer.get("place").and_then(Value::as_u64).unwrap_or(0);
    Ok(usize::try_from(place).unwrap_or(usize::MAX))
}

async fn print_answers(at: &At, say: &Say, place: usize, wait: Duration) -> Result<(), Error> {
    let mut seen = Some(place);
    let (mut waited, mut bound) = (Duration::ZERO, wait);
    while waited < bound {
        tokio::time::sleep(POLL).await;
        waited += POLL;
        let lines = read(at, &say.customer, say.number.as_deref(), seen).await?;
        for line in lines {
            seen = Some(line.n);
            show(&line);
            bound = bound.min(waited + LINGER);
        }
    }
    if seen == Some(place) {
        output::text("(nothing came back yet)");
    }
    Ok(())
}

async fn follow(chat: &CustomerChat) -> Result<(), Error> {
    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    let mut seen = None;
    loop {
        for line in read(&chat.at, &chat.from, chat.to.as_deref(), seen).await? {
            seen = Some(line.n);
            show(&line);
        }
        match tokio::time::timeout(POLL, typed.next_line()).await {
            Err(_) => {}
            Ok(Ok(Some(text))) if text.trim().is_empty() => {}
            Ok(Ok(Some(text))) => {
                let (customer, number) = (chat.from.clone(), chat.to.clone());
                write(&chat.at, &Say { who: Who::Customer, customer, number, text }).await?;
            }
            Ok(_) => return Ok(()),
        }
    }
}

fn show(line: &Line) {
    let who = match line.who.as_str() {
        "customer" => "you  ",
        "phone" => "phone",
        _ => "shop ",
    };
    output::text(&format!("{who} | {}", line.text));
}

async fn read(
    at: &At,
    customer: &str,
    number: Option<&str>,
    after: Option<usize>,
) -> Result<Vec<Line>, Error> {
    let body = json!({"customer": customer, "number": number, "after": after});
    let answer = call(at, Method::POST, "/chat", &body).await?;
    let lines = answer.get("lines").cloned().unwrap_or_default();
    serde_json::from_value(lines).map_err(|error| Error::Control(error.to_string()))
}

async fn call(at: &At, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
    let url = format!("{}{path}", at.control.trim_end_matches('/'));
    let refused = |why: String| Error::Control(format!("{url}: {why}"));
    let body = Full::new(Bytes::from(body.to_string()));
    let request = Request::builder().method(method).uri(&url).body(body);
    let request = request.map_err(|error| refused(error.to_string()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(ANSWER_MAX, client.request(request)).await;
    let answer = answer
        .map_err(|_| refused("no answer within 10 s".to_owned()))?
        .map_err(|error| refused(format!("{error}; is the simulator running?")))?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await.map_err(|error| refused(error.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let why = value.get("error").and_then(Value::as_str).unwrap_or("refused without a reason");
    Err(Error::Control(why.to_owned()))
}
