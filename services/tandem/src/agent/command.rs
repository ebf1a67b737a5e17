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
  resolve                 the customer is served
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
    Resolve,
    Wait(String),
    Help,
    Quit,
}

impl Command {
    /// Reads a line; an empty one is no command.
    ///
    /// # Errors
    /// What is wrong with it and what to type.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let command = match word {
            "" => return Ok(None),
            "available" => Self::Available,
            "away" => Self::Away,
            "list" | "ls" => Self::List,
            "show" => Self::Show(number_opt(rest)?),
            "accept" | "a" => Self::Accept(number_opt(rest)?),
            "reject" => {
                let (first, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                match first.parse() {
                    Ok(n) => Self::Reject(Some(n), reason.trim().to_owned()),
                    Err(_) => Self::Reject(None, rest.to_owned()),
                }
            }
            "open" => Self::Open(
                number_opt(rest)?.ok_or("open which? type `open 1`; `list` shows the numbers")?,
            ),
            "say" | "say!" => Self::Say { text: some("say", rest)?, take_floor: word == "say!" },
            "note" => Self::Note(some("note", rest)?),
            "resolve" => Self::Resolve,
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
}

fn number_opt(text: &str) -> Result<Option<usize>, String> {
    match text {
        "" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|_| format!("{text} is no number; `list` shows them"))
        }
    }
}

fn some(word: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err(format!("{word} what? type `{word} TEXT`"))
    } else {
        Ok(text.to_owned())
    }
}
