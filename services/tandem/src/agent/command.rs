//! What an agent types.

/// The commands, as `help` shows them.
pub(super) const HELP: &str = "\
  available | away        take offers, or only keep what you have
  list                    offers and conversations, with their numbers
  show [N]                the thread of a conversation
  accept [N] | reject [N] [REASON]
  open N                  the conversation that the next words are for
  say TEXT                answer the customer
  say! TEXT               answer although the phone or nobody has the floor
  note TEXT               for colleagues only
  transfer QUEUE [NOTE]   hand it on to a queue; to an agent: transfer @AGENT [NOTE]
  requeue [QUEUE]         let it wait again, with its age
  snooze 30m              put it aside (s, m, h, d), until then or until the customer writes
  resolve [CODE]          the customer is served
  wrap-up [CODE]          the same, with work after it where the queue leaves that to you
  done [N]                end the work after a conversation
  wait TEXT               (for scripts) go on once a line with this text came
  quit";

/// A command. Without a number it is for the open conversation, or the only offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Available,
    Away,
    List,
    Show(Option<usize>),
    Accept(Option<usize>),
    Reject(Option<usize>, String),
    Open(usize),
    Say { text: String, take_floor: bool },
    Note(String),
    Transfer { to: Target, note: String },
    Requeue(String),
    Snooze { for_ms: i64 },
    Resolve { code: String, wrap_up: bool },
    Done(Option<usize>),
    Wait(String),
    Help,
    Quit,
}

/// Whom a conversation is handed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Queue(String),
    Agent(String),
}

impl Command {
    /// Reads a line; an empty one is no command.
    ///
    /// # Errors
    /// What is wrong with it and what to type.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        let (word, rest) = first_word(line);
        let command = match word {
            "" => return Ok(None),
            "available" => Self::Available,
            "away" => Self::Away,
            "list" | "ls" => Self::List,
            "show" => Self::Show(number_opt(rest)?),
            "accept" | "a" => Self::Accept(number_opt(rest)?),
            "reject" => {
                let (first, reason) = first_word(rest);
                match first.parse() {
                    Ok(n) => Self::Reject(Some(n), reason.to_owned()),
                    Err(_) => Self::Reject(None, rest.to_owned()),
                }
            }
            "open" => Self::Open(
                number_opt(rest)?.ok_or("open which? type `open 1`; `list` shows the numbers")?,
            ),
            "say" | "say!" => Self::Say { text: some("say", rest)?, take_floor: word == "say!" },
            "note" => Self::Note(some("note", rest)?),
            "transfer" => Self::transfer(rest)?,
            "requeue" => Self::Requeue(rest.to_owned()),
            "snooze" => Self::Snooze { for_ms: span_ms(rest)? },
            "resolve" | "wrap-up" => {
                Self::Resolve { code: rest.to_owned(), wrap_up: word == "wrap-up" }
            }
            "done" => Self::Done(number_opt(rest)?),
            "wait" => Self::Wait(some("wait", rest)?),
            "help" | "?" => Self::Help,
            "quit" | "exit" => Self::Quit,
            _ => {
                return Err(format!(
                    "no command {word}; type `help`, or `say {line}` to answer the customer"
                ));
            }
        };
        Ok(Some(command))
    }

    fn transfer(rest: &str) -> Result<Self, String> {
        let (to, note) = first_word(rest);
        let to = match to.strip_prefix('@') {
            Some("") => return Err("transfer to whom? type `transfer @AGENT`".to_owned()),
            Some(agent) => Target::Agent(agent.to_owned()),
            None if to.is_empty() => {
                return Err("transfer where? type `transfer QUEUE` or `transfer @AGENT`".to_owned());
            }
            None => Target::Queue(to.to_owned()),
        };
        Ok(Self::Transfer { to, note: note.to_owned() })
    }
}

/// A line's first word, and what comes after it.
fn first_word(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim())
}

fn number_opt(text: &str) -> Result<Option<usize>, String> {
    match text {
        "" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|_| format!("{text} is no number; `list` shows them"))
        }
    }
}

/// `45s`, `30m`, `2h`, `1d`; a number alone means minutes.
fn span_ms(text: &str) -> Result<i64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit_ms = match text.strip_prefix(digits) {
        Some("s") => 1_000,
        Some("" | "m") => 60_000,
        Some("h") => 3_600_000,
        Some("d") => 86_400_000,
        _ => 0,
    };
    let span_ms = digits.parse().ok().and_then(|count: i64| count.checked_mul(unit_ms));
    span_ms
        .filter(|ms| *ms > 0)
        .ok_or_else(|| "snooze for how long? type `snooze 30m`, `2h` or `1d`".to_owned())
}

fn some(word: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err(format!("{word} what? type `{word} TEXT`"))
    } else {
        Ok(text.to_owned())
    }
}
