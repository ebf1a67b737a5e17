//! Playing a customer or a phone by hand: a message of one's own, and what a chat looks like on the customer's screen.

use serde::{Deserialize, Serialize};

use crate::judge::{Origin, Progress};
use crate::scenario::Mode;
use crate::sim::Sim;
use crate::table::Key;
use crate::webhook::Content;
use crate::world::{ChatId, World};

/// Customers named in an error, so that a mistyped number is easily mended.
const EXAMPLES: usize = 3;
const TEXT_MAX: usize = 4_096;

/// Who is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// The customer writes to the business.
    Customer,
    /// The owner of the business's phone writes to the customer.
    Phone,
}

/// A message to be written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Say {
    pub(crate) who: Who,
    /// Digits of the customer.
    pub(crate) customer: String,
    /// Digits or Meta id of the business's number; the customer's first chat where it is absent.
    #[serde(default)]
    pub(crate) number: Option<String>,
    pub(crate) text: String,
}

/// One line of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Line {
    /// Place in the world's order of events; ask for what comes after it.
    pub(crate) n: usize,
    /// customer, phone or api.
    pub(crate) who: String,
    pub(crate) text: String,
    /// For `api`: what the product was told of it.
    pub(crate) state: Option<String>,
}

/// Writes it. Gives the place after which answers will come.
///
/// # Errors
/// When there is no such chat, or the number is not on the phone app, or the text is empty or too long.
pub(crate) fn say(sim: &Sim, say: &Say) -> Result<usize, String> {
    if say.text.is_empty() || say.text.chars().count() > TEXT_MAX {
        return Err(format!("a text has 1 to {TEXT_MAX} characters"));
    }
    let chat = find(&sim.world, &say.customer, say.number.as_deref())?;
    let number = &sim.world.numbers[sim.world.customers[chat].number];
    if say.who == Who::Phone && number.mode != Mode::Coexistence {
        return Err(format!("{} is not on the phone app: it is API only", number.display));
    }
    sim.with(|state, now_us| {
        let content = Content::Text(say.text.clone());
        match say.who {
            Who::Customer => drop(state.customer_writes(chat, content, now_us)),
            Who::Phone => state.phone_writes(chat, content, now_us),
        }
        Ok(state.ledger.messages().map(|(id, _)| id.row()).last().unwrap_or_default())
    })
}

/// The chat of a customer, after a place.
///
/// # Errors
/// When there is no such chat.
pub(crate) fn chat(
    sim: &Sim,
    customer: &str,
    number: Option<&str>,
    after: Option<usize>,
) -> Result<Vec<Line>, String> {
    let chat = find(&sim.world, customer, number)?;
    Ok(sim.with(|state, _| {
        let messages = state.ledger.messages();
        let own = messages.filter(|(id, message)| {
            message.chat == chat && after.is_none_or(|after| id.row() > after)
        });
        own.map(|(id, message)| {
            let (who, state) = match &message.origin {
                Origin::Customer => ("customer", None),
                Origin::Phone => ("phone", None),
                Origin::Api { .. } => ("api", message.progress.map(told)),
            };
            Line { n: id.row(), who: who.to_owned(), text: message.text.clone(), state }
        })
        .collect()
    }))
}

fn told(progress: Progress) -> String {
    match progress {
        Progress::Sent => "sent",
        Progress::Delivered => "delivered",
        Progress::Read => "read",
        Progress::Failed => "failed",
    }
    .to_owned()
}

fn find(world: &World, customer: &str, number: Option<&str>) -> Result<ChatId, String> {
    let digits: String = customer.chars().filter(char::is_ascii_digit).collect();
    let found = world.customers.iter().find(|(_, one)| {
        let own = &world.numbers[one.number];
        let meant = number.is_none_or(|meant| own.display == meant || own.phone_number_id == meant);
        one.phone == digits && meant
    });
    found.map(|(chat, _)| chat).ok_or_else(|| {
        let known = world.customers.iter().take(EXAMPLES).map(|(_, one)| {
            format!("{} (writes to {})", one.phone, world.numbers[one.number].display)
        });
        let known: Vec<String> = known.collect();
        format!("no customer {customer} here; there are for example {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(who: Who, customer: &str, text: &str) -> Say {
        Say { who, customer: customer.to_owned(), number: None, text: text.to_owned() }
    }

    #[test]
    fn what_is_said_is_in_the_chat_and_after_its_place_comes_what_follows() {
        let sim = Sim::new(crate::fixture::scenario(), None);
        let phone = sim.world.customers[ChatId::from_row(0)].phone.clone();
        let place = say(&sim, &ask(Who::Customer, &format!("+{phone}"), "hello")).unwrap();
        say(&sim, &ask(Who::Phone, &phone, "hi")).unwrap();
        let all = chat(&sim, &phone, None, None).unwrap();
        let said: Vec<_> = all.iter().map(|line| (line.who.as_str(), line.text.as_str())).collect();
        assert_eq!(said, [("customer", "hello"), ("phone", "hi")]);
        assert_eq!(chat(&sim, &phone, None, Some(place)).unwrap(), all[1..]);
        assert_eq!(sim.with(|state, _| (state.stats.inbound, state.stats.phone_echoes)), (1, 1));
    }

    #[test]
    fn what_cannot_be_said_is_refused_and_changes_nothing() {
        let sim = Sim::new(crate::fixture::scenario(), None);
        let on_api =
            sim.world.numbers.iter().find(|(_, number)| number.mode == Mode::Api).unwrap().1;
        let unphoned = sim.world.customers[on_api.chats[0]].phone.clone();
        let somebody = sim.world.customers[ChatId::from_row(0)].phone.clone();
        for (who, customer, text, why) in [
            (Who::Customer, "4711", "hello", "no customer 4711"),
            (Who::Phone, unphoned.as_str(), "hello", "not on the phone app"),
            (Who::Customer, somebody.as_str(), "", "1 to 4096"),
        ] {
            let error = say(&sim, &ask(who, customer, text)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(chat(&sim, "4711", None, None).is_err());
        assert_eq!(sim.with(|state, _| state.ledger.messages().count()), 0);
    }
}
