//! Verdict tables: each sabotage, and the innocent case beside it.

use super::ledger::Arrival;
use super::*;
use crate::scenario::ProductSettings;
use crate::table::Key;
use crate::world::{AgentId, BusinessId, ChatId, NumberId, World};

const S: u64 = 1_000_000;

struct Case {
    world: World,
    ledger: Ledger,
}

fn chat(row: usize) -> ChatId {
    ChatId::from_row(row)
}

impl Case {
    fn new() -> Self {
        Self::with(JudgeRules::default())
    }

    fn with(rules: JudgeRules) -> Self {
        let world = World::build(&crate::fixture::scenario());
        let ledger = Ledger::new(rules, &ProductSettings::default(), &world);
        Self { world, ledger }
    }

    fn arrival(&self, chat: ChatId, wamid: &str, second: u64) -> Arrival {
        let ts_s = i64::try_from(second).unwrap();
        Arrival {
            chat,
            wamid: wamid.to_owned(),
            ts_s,
            at_us: second * S,
            plain: true,
            text: wamid.to_owned(),
        }
    }

    fn inbound(&mut self, chat: ChatId, wamid: &str, second: u64) {
        let id = self.ledger.customer_wrote(self.arrival(chat, wamid, second));
        self.ledger.arrival_acked(id, second * S);
    }

    fn echo(&mut self, chat: ChatId, wamid: &str, second: u64) {
        let id = self.ledger.phone_wrote(self.arrival(chat, wamid, second));
        self.ledger.arrival_acked(id, second * S);
    }

    fn facts(&self, chat: ChatId, wamid: &str, text: &str, opaque: &str, second: u64) -> SendFacts {
        let arrival = Arrival { text: text.to_owned(), ..self.arrival(chat, wamid, second) };
        SendFacts {
            arrival,
            opaque: Some(opaque.to_owned()),
            answer_withheld: false,
            status_held: false,
        }
    }

    fn send(
        &mut self,
        chat: ChatId,
        wamid: &str,
        text: &str,
        opaque: &str,
        second: u64,
    ) -> MessageId {
        let facts = self.facts(chat, wamid, text, opaque, second);
        let business = self.world.business_of(chat);
        self.ledger.send_accepted(business, facts)
    }

    /// The threads an honest product would show.
    fn honest(&self) -> Vec<Thread> {
        let mut threads = Vec::new();
        for (chat, customer) in self.world.customers.iter() {
            let mut truth: Vec<_> =
                self.ledger.messages.iter().filter(|(_, m)| m.chat == chat).collect();
            truth.sort_by_key(|(_, message)| (message.ts_s, message.wamid.clone()));
            let messages: Vec<ThreadMessage> =
                truth.iter().map(|(_, message)| shown(message)).collect();
            if !messages.is_empty() {
                threads.push(Thread {
                    reader: self.world.business_of(chat),
                    conversation: format!("conversation-{}", chat.row()),
                    phone_number_id: self.world.numbers[customer.number].phone_number_id.clone(),
                    identities: vec![customer.bsuid.clone()],
                    messages,
                });
            }
        }
        threads
    }

    fn kinds(&self, threads: &[Thread]) -> Vec<(Verdict, &'static str, u64)> {
        let mut all = self.ledger.findings().clone();
        all.merge(&compare(&self.world, &self.ledger, threads));
        all.kinds()
    }

    fn verdicts(&self, threads: &[Thread]) -> Vec<(Verdict, u64)> {
        self.kinds(threads).into_iter().map(|(verdict, _, count)| (verdict, count)).collect()
    }
}

fn shown(message: &ledger::Message) -> ThreadMessage {
    let (side, opaque) = match &message.origin {
        Origin::Customer => (Side::Customer, String::new()),
        Origin::Phone => (Side::Phone, String::new()),
        Origin::Api { opaque, .. } => (Side::Ours, opaque.clone().unwrap_or_default()),
    };
    ThreadMessage {
        wamid: Some(message.wamid.clone()),
        opaque,
        side,
        ts_s: message.ts_s,
        text: message.text.clone(),
        state: message.progress.map_or(SendState::Accepted, Progress::as_state),
        repeated: false,
    }
}

/// Customer, bot, customer, phone, agent: all well.
fn a_good_day() -> Case {
    let mut case = Case::new();
    case.inbound(chat(0), "in-1", 10);
    let asked = case.send(chat(0), "out-1", "sales or billing?", "o-1", 11);
    case.ledger.status_acked(asked, Progress::Delivered, 12 * S);
    case.inbound(chat(0), "in-2", 13);
    let key = (Asker::Agent(AgentId::from_row(0)), 1);
    case.ledger.offer_accepted(chat(0), 13 * S, 14 * S);
    case.ledger.reply_asked(key, chat(0), "Ref 1".to_owned());
    case.ledger.reply_answered(key, CommandFate::Done);
    case.send(chat(0), "out-2", "Ref 1", "o-2", 15);
    case.echo(chat(0), "phone-1", 16);
    case.inbound(chat(7), "other-1", 12);
    case
}

#[test]
fn an_honest_product_is_found_clean() {
    let case = a_good_day();
    assert_eq!(case.kinds(&case.honest()), []);
    assert_eq!(compare::decided(&case.ledger, &case.honest()), 3);
    assert_eq!(case.ledger.delivered(), 1);
}

#[test]
fn dropped_what_was_acknowledged() {
    let case = a_good_day();
    for (wamid, kind) in [
        ("in-2", "an acknowledged message"),
        ("phone-1", "an acknowledged echo"),
        ("out-2", "a message in the customer's chat is not in our thread"),
    ] {
        let mut threads = case.honest();
        threads[0].messages.retain(|message| message.wamid.as_deref() != Some(wamid));
        assert_eq!(case.kinds(&threads), [(Verdict::Lost, kind, 1)], "{wamid}");
    }
}

#[test]
fn what_was_not_acknowledged_may_be_missing() {
    let mut case = a_good_day();
    case.ledger.customer_wrote(case.arrival(chat(0), "in-3", 20));
    let mut threads = case.honest();
    threads[0].messages.retain(|message| message.wamid.as_deref() != Some("in-3"));
    assert_eq!(case.kinds(&threads), []);
}

#[test]
fn an_acknowledged_status_must_be_reached() {
    let case = a_good_day();
    let mut threads = case.honest();
    threads[0].messages[1].state = SendState::Sent;
    assert_eq!(case.kinds(&threads), [(Verdict::Lost, "an acknowledged status", 1)]);
}

#[test]
fn a_reply_said_yes_to_is_delivered_or_listed() {
    let mut case = a_good_day();
    let key = (Asker::Agent(AgentId::from_row(0)), 2);
    case.ledger.reply_asked(key, chat(0), "Ref 2".to_owned());
    case.ledger.reply_answered(key, CommandFate::Done);
    let mut threads = case.honest();
    assert_eq!(case.kinds(&threads), [(Verdict::Lost, "an agent's acknowledged reply", 1)]);
    for (state, clean) in [
        (SendState::Unknown, true),
        (SendState::Failed, true),
        (SendState::Pending, false),
        (SendState::Sent, false),
    ] {
        threads[0].messages.truncate(5);
        threads[0].messages.push(ThreadMessage {
            wamid: None,
            opaque: "o-3".to_owned(),
            side: Side::Ours,
            ts_s: 17,
            text: "Ref 2".to_owned(),
            state,
            repeated: false,
        });
        assert_eq!(case.kinds(&threads).is_empty(), clean, "{state:?}");
    }
}

#[test]
fn what_a_program_asked_for_arrives_once_and_takes_no_floor() {
    let mut case = a_good_day();
    let key = (Asker::Program(BusinessId::from_row(0)), 1);
    case.ledger.reply_asked(key, chat(0), "News 1".to_owned());
    case.ledger.reply_answered(key, CommandFate::Done);
    let lost = (Verdict::Lost, "a program's acknowledged message", 1);
    assert_eq!(case.kinds(&case.honest()), [lost]);
    // Long after the phone took the floor, when the bot must be silent.
    case.send(chat(0), "out-3", "News 1", "o-3", 40);
    assert_eq!(case.kinds(&case.honest()), []);
    case.send(chat(0), "out-4", "News 1", "o-4", 41);
    assert_eq!(case.verdicts(&case.honest()), [(Verdict::Duplicated, 1)]);
}

#[test]
fn a_refused_reply_must_not_arrive() {
    let mut case = a_good_day();
    let key = (Asker::Agent(AgentId::from_row(0)), 2);
    case.ledger.reply_asked(key, chat(0), "Ref 2".to_owned());
    case.ledger.reply_answered(key, CommandFate::Refused);
    assert_eq!(case.kinds(&case.honest()), []);
    case.send(chat(0), "out-3", "Ref 2", "o-3", 17);
    assert_eq!(case.verdicts(&case.honest()), [(Verdict::Violation, 1)]);
}

#[test]
fn a_repeated_command_must_get_the_same_answer() {
    let mut case = a_good_day();
    let key = (Asker::Agent(AgentId::from_row(0)), 1);
    case.ledger.reply_answered(key, CommandFate::Done);
    assert_eq!(case.kinds(&case.honest()), []);
    case.ledger.reply_answered(key, CommandFate::Refused);
    assert_eq!(case.verdicts(&case.honest()), [(Verdict::Violation, 1)]);
}

#[test]
fn doubled_in_the_chat_or_in_the_thread() {
    let mut case = a_good_day();
    let mut threads = case.honest();
    let copy = threads[0].messages[0].clone();
    threads[0].messages.insert(1, copy);
    let expected = [(Verdict::Duplicated, "a message stands in the threads more than once", 1)];
    assert_eq!(case.kinds(&threads), expected);

    case.send(chat(0), "out-3", "Ref 1", "o-2", 18);
    assert_eq!(
        case.kinds(&case.honest()),
        [(Verdict::Duplicated, "one opaque id delivered again", 1)]
    );
}

#[test]
fn an_agents_text_sent_again_under_another_id_is_doubled_too() {
    let mut case = a_good_day();
    case.send(chat(0), "out-3", "Ref 1", "o-9", 18);
    assert_eq!(case.verdicts(&case.honest()), [(Verdict::Duplicated, 1)]);
}

#[test]
fn a_second_attempt_is_excused_only_if_answer_and_status_were_kept_back() {
    for (withheld, held, status_seen, excused) in [
        (true, true, false, true),
        (true, false, false, false),
        (false, true, false, false),
        (true, true, true, false),
    ] {
        let mut case = Case::new();
        case.inbound(chat(0), "in-1", 10);
        let first = SendFacts {
            answer_withheld: withheld,
            status_held: held,
            ..case.facts(chat(0), "out-1", "hello", "o-1", 11)
        };
        let business = BusinessId::from_row(0);
        let first = case.ledger.send_accepted(business, first);
        if status_seen {
            case.ledger.status_acked(first, Progress::Sent, 20 * S);
        }
        case.send(chat(0), "out-2", "hello", "o-1", 50);
        let expected = if excused { Verdict::RepeatedUnknown } else { Verdict::Duplicated };
        let mut threads = case.honest();
        threads[0].messages.iter_mut().for_each(|message| message.repeated = true);
        assert_eq!(case.verdicts(&threads), [(expected, 1)], "{withheld} {held} {status_seen}");
        if excused {
            threads[0].messages.remove(1);
            assert_eq!(case.verdicts(&threads), [(expected, 1)], "one of the two ids is enough");
            threads[0].messages[1].repeated = false;
            assert_eq!(
                case.verdicts(&threads),
                [(Verdict::Violation, 1), (expected, 1)],
                "not flagged"
            );
            case.send(chat(0), "out-3", "hello", "o-1", 90);
            let verdicts = case.verdicts(&case.honest());
            assert!(verdicts.contains(&(Verdict::Duplicated, 1)), "a third attempt: {verdicts:?}");
        }
    }
}

#[test]
fn wrong_recipient() {
    let mut case = a_good_day();
    let key = (Asker::Agent(AgentId::from_row(0)), 2);
    case.ledger.reply_asked(key, chat(0), "Ref 2".to_owned());
    case.ledger.reply_answered(key, CommandFate::Done);
    case.inbound(chat(1), "next-1", 16);
    case.send(chat(1), "out-3", "Ref 2", "o-3", 17);
    let kind = "what was asked for one customer reached another";
    assert_eq!(case.kinds(&case.honest()), [(Verdict::Violation, kind, 1)]);

    let mut threads = case.honest();
    let stray = threads[1].messages.remove(1);
    threads[0].messages.push(stray);
    let kinds = case.kinds(&threads);
    assert!(
        kinds.contains(&(Verdict::Violation, "a message is in another customer's thread", 1)),
        "{kinds:?}"
    );
}

#[test]
fn stale_bot_turn() {
    let mut case = a_good_day();
    assert_eq!(case.kinds(&case.honest()), []);
    case.send(chat(0), "out-3", "sales or billing?", "o-3", 40);
    let kind = "the bot spoke after desk or phone took the floor";
    assert_eq!(case.kinds(&case.honest()), [(Verdict::Violation, kind, 1)]);
    case.ledger.desk_left(chat(0), 50 * S);
    case.send(chat(0), "out-4", "sales or billing?", "o-4", 60);
    assert_eq!(
        case.kinds(&case.honest()),
        [(Verdict::Violation, kind, 1)],
        "a new episode is the bot's"
    );
}

/// The customer writes at 10; perhaps the bot asks at 11; the phone's echo is taken at 12, and many POSTs fail. Whether a message
/// of the bot at `second` is out of turn.
fn is_late(rules: JudgeRules, asked: bool, failed: &[(usize, u64)], second: u64) -> bool {
    let mut case = Case::with(rules);
    let wrote = case.ledger.customer_wrote(case.arrival(chat(0), "in-1", 10));
    case.ledger.posted(wrote, 10 * S);
    case.ledger.arrival_acked(wrote, 10 * S);
    if asked {
        case.send(chat(0), "out-1", "sales or billing?", "o-1", 11);
    }
    case.echo(chat(0), "phone-1", 12);
    for (row, second) in failed {
        case.ledger.post_failed([chat(*row)], second * S);
    }
    case.send(chat(0), "out-2", "sales or billing?", "o-2", second);
    !case.ledger.findings().lines().is_empty()
}

#[test]
fn only_what_the_bot_owed_is_excused_by_failures_of_its_chat_and_only_so_long() {
    let bounded = || JudgeRules { stale_max_ms: Some(10_000), ..JudgeRules::default() };
    let own = [(0, 13), (0, 16), (0, 19), (0, 22)];
    let others = [(1, 13), (1, 16), (1, 19), (1, 22)];
    // The grace is three seconds, and the floor was taken at 12.
    for (asked, failed, second, late) in [
        (false, &[][..], 14, false),
        (false, &[][..], 15, true),
        (false, &others[..], 15, true),
        (false, &own[..2], 18, false),
        (false, &own[..2], 19, true),
        (false, &own[..], 21, false),
        (false, &own[..], 22, true),
        (true, &own[..], 14, false),
        (true, &own[..], 15, true),
    ] {
        assert_eq!(is_late(bounded(), asked, failed, second), late, "{asked} {failed:?} {second}");
    }
    assert!(!is_late(JudgeRules::default(), false, &own, 24), "one process may be away for long");
    let unseen = || JudgeRules { unseen_failures: true, ..bounded() };
    assert!(
        !is_late(unseen(), false, &[], 21) && is_late(unseen(), false, &[], 22),
        "quiet says nothing"
    );
    assert!(is_late(unseen(), true, &own, 15), "nothing excuses a bot that owes nothing");
}

#[test]
fn a_second_message_of_a_turn_is_in_time_within_the_grace() {
    let mut case = Case::new();
    case.inbound(chat(0), "in-1", 10);
    case.echo(chat(0), "phone-1", 12);
    case.send(chat(0), "out-1", "welcome", "o-1", 13);
    case.send(chat(0), "out-2", "sales or billing?", "o-2", 14);
    assert_eq!(case.kinds(&case.honest()), []);
    case.ledger.post_failed([chat(0)], 40 * S);
    case.send(chat(0), "out-3", "sales or billing?", "o-2", 42);
    let repeated = (Verdict::Duplicated, "one opaque id delivered again", 1);
    assert_eq!(case.kinds(&case.honest()), [repeated]);
    case.send(chat(0), "out-4", "anything else?", "o-4", 42);
    let late = (Verdict::Violation, "the bot spoke after desk or phone took the floor", 1);
    assert!(case.kinds(&case.honest()).contains(&late));
}

#[test]
fn a_new_process_disturbs_every_chat_and_a_taking_binds_from_its_acknowledgement() {
    let mut case = Case::new();
    let wrote = case.ledger.customer_wrote(case.arrival(chat(0), "in-1", 10));
    case.ledger.posted(wrote, 10 * S);
    let echo = case.ledger.phone_wrote(case.arrival(chat(0), "phone-1", 12));
    assert!(!case.ledger.bot_is_late(chat(0), 40 * S), "nobody told the product");
    case.ledger.arrival_acked(echo, 40 * S);
    assert!(!case.ledger.bot_is_late(chat(0), 42 * S) && case.ledger.bot_is_late(chat(0), 43 * S));
    case.ledger.replaced(50 * S);
    assert!(!case.ledger.bot_is_late(chat(0), 52 * S) && case.ledger.bot_is_late(chat(0), 53 * S));
}

#[test]
fn cross_business() {
    let mut case = a_good_day();
    let number = &case.world.numbers[NumberId::from_row(2)];
    let stranger = Thread {
        reader: BusinessId::from_row(1),
        conversation: "conversation-z".to_owned(),
        phone_number_id: number.phone_number_id.clone(),
        identities: Vec::new(),
        messages: Vec::new(),
    };
    let mut threads = case.honest();
    let leaked = threads[0].messages.remove(0);
    threads.push(Thread { messages: vec![leaked], ..stranger });
    let kind = "a message of one business is shown to another";
    assert_eq!(case.kinds(&threads), [(Verdict::Violation, kind, 1)]);
    case.ledger.violation("something seen on the wire", String::new);
    assert_eq!(case.kinds(&threads).len(), 2, "live findings are part of the verdict");
}

#[test]
fn threads_stand_in_metas_order() {
    let mut case = Case::new();
    case.inbound(chat(0), "b", 10);
    case.inbound(chat(0), "a", 10);
    case.inbound(chat(0), "c", 11);
    case.send(chat(0), "out", "text", "o", 12);
    let mut threads = case.honest();
    assert_eq!(case.kinds(&threads), []);
    threads[0].messages.swap(2, 3);
    assert_eq!(case.kinds(&threads), [], "our own send may stand two seconds away");
    threads[0].messages.swap(0, 1);
    let kind = "a thread is not in Meta's order";
    assert_eq!(case.kinds(&threads), [(Verdict::Violation, kind, 1)]);
    let mut threads = case.honest();
    case.inbound(chat(0), "d", 60);
    let late = case.honest()[0].messages[4].clone();
    threads[0].messages.insert(0, late);
    assert_eq!(case.kinds(&threads), [(Verdict::Violation, kind, 1)]);
}

#[test]
fn invented_changed_and_misplaced_messages_are_violations() {
    let case = a_good_day();
    type Spoil = fn(&mut ThreadMessage);
    let spoils: [(Spoil, &str); 5] = [
        (|m| m.text = "other".to_owned(), "a message has another text"),
        (|m| m.side = Side::Phone, "a message stands on the wrong side"),
        (|m| m.ts_s += 1, "a message has another time than Meta gave it"),
        (|m| m.wamid = Some("wamid.never".to_owned()), "a thread shows a message that never was"),
        (|m| m.opaque = "o-x".to_owned(), "a send is shown under another opaque id"),
    ];
    for (spoil, kind) in spoils {
        let mut threads = case.honest();
        let row = if kind.contains("opaque") { 1 } else { 0 };
        spoil(&mut threads[0].messages[row]);
        let kinds = case.kinds(&threads);
        assert!(kinds.contains(&(Verdict::Violation, kind, 1)), "{kind}: {kinds:?}");
    }
}

#[test]
fn a_send_without_an_opaque_id_and_a_split_thread() {
    let mut case = a_good_day();
    let facts = SendFacts { opaque: None, ..case.facts(chat(7), "out-9", "hi", "", 13) };
    case.ledger.send_accepted(BusinessId::from_row(0), facts);
    let mut threads = case.honest();
    assert_eq!(case.kinds(&threads), [(Verdict::Violation, "a send without an opaque id", 1)]);
    let moved = threads[0].messages.split_off(3);
    let second =
        Thread { conversation: "second".to_owned(), messages: moved, ..threads[0].clone() };
    threads.push(second);
    let kinds = case.kinds(&threads);
    assert!(
        kinds.contains(&(Verdict::Violation, "one customer's chat in two threads", 1)),
        "{kinds:?}"
    );
}

#[test]
fn a_send_that_failed_later_must_look_failed() {
    let mut case = a_good_day();
    case.ledger.send_undelivered("out-8".to_owned(), chat(0));
    let mut threads = case.honest();
    let mut failed = threads[0].messages[1].clone();
    (failed.wamid, failed.state, failed.opaque) =
        (Some("out-8".to_owned()), SendState::Failed, "o-8".to_owned());
    threads[0].messages.push(failed);
    assert_eq!(case.kinds(&threads), []);
    threads[0].messages.last_mut().unwrap().state = SendState::Delivered;
    assert_eq!(case.kinds(&threads), [(Verdict::Lost, "a failed status", 1)]);
}
