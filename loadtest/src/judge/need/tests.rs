//! Who may be left waiting, and who is forgotten.

use super::super::ledger::Arrival;
use super::*;
use crate::judge::JudgeRules;
use crate::scenario::ProductSettings;
use crate::table::Key;

const S: u64 = 1_000_000;
/// The phone may leave a customer without an answer for 10 s, and both sides may be silent for 100 s.
const PRODUCT: (u64, u64) = (10_000, 100_000);
/// Timers fire at most so late.
const LATE_MS: u64 = 2_000;

struct Case {
    world: World,
    ledger: Ledger,
}

fn chat() -> ChatId {
    ChatId::from_row(0)
}

fn agent(row: usize) -> AgentId {
    AgentId::from_row(row)
}

impl Case {
    fn new() -> Self {
        let world = World::build(&crate::fixture::scenario());
        let rules = JudgeRules { timers_late_ms: LATE_MS, ..JudgeRules::default() };
        let product = ProductSettings {
            phone_answer_timeout_ms: PRODUCT.0,
            phone_floor_timeout_ms: PRODUCT.1,
            ..ProductSettings::default()
        };
        let ledger = Ledger::new(rules, &product, &world);
        Self { world, ledger }
    }

    fn arrival(wamid: &str, second: u64) -> Arrival {
        Arrival {
            chat: chat(),
            wamid: wamid.to_owned(),
            ts_s: i64::try_from(second).unwrap(),
            at_us: second * S,
            plain: true,
            text: "sales".to_owned(),
        }
    }

    fn writes(&mut self, second: u64) {
        let id = self.ledger.customer_wrote(Self::arrival(&format!("in-{second}"), second));
        self.ledger.arrival_acked(id, second * S);
    }

    fn chooses(&mut self, second: u64) {
        let id = self.ledger.customer_wrote(Self::arrival(&format!("in-{second}"), second));
        self.ledger.chose(chat(), id);
        self.ledger.arrival_acked(id, second * S);
    }

    fn phone(&mut self, second: u64) {
        let id = self.ledger.phone_wrote(Self::arrival(&format!("phone-{second}"), second));
        self.ledger.arrival_acked(id, second * S);
    }

    fn wanting(&self, second: u64) -> bool {
        !self.ledger.wishes(second * S).is_empty()
    }

    /// What is held against a product whose list of who waits has the chat with this reason, or has it not.
    fn neglected(&self, reason: Option<WaitReason>, has_room: bool) -> Vec<&'static str> {
        self.unmet(reason, has_room).neglected.into_iter().map(|neglect| neglect.kind).collect()
    }

    fn unmet(&self, reason: Option<WaitReason>, has_room: bool) -> Unmet {
        let customer = &self.world.customers[chat()];
        let (reader, conversation) = (BusinessId::from_row(0), "conversation-0".to_owned());
        let thread = Thread {
            reader,
            conversation: conversation.clone(),
            phone_number_id: self.world.numbers[customer.number].phone_number_id.clone(),
            identities: vec![customer.bsuid.clone()],
            messages: Vec::new(),
        };
        let another =
            Waiting { reader, conversation: "conversation-1".to_owned(), reason: WaitReason::Away };
        let mut waiting = vec![another];
        waiting.extend(reason.map(|reason| Waiting { reader, conversation, reason }));
        let wishes = self.ledger.wishes(1_000 * S);
        self.ledger.unmet(&self.world, &wishes, (&[thread], &waiting), |_| has_room)
    }
}

#[test]
fn who_chose_is_cared_for_or_wants_a_person() {
    type Tale = fn(&mut Case);
    let tales: [(&str, bool, Tale); 15] = [
        ("nothing happened since", true, |case| case.chooses(20)),
        ("it was no choice", false, |case| case.writes(20)),
        ("not acknowledged", false, |case| {
            let id = case.ledger.customer_wrote(Case::arrival("in", 20));
            case.ledger.chose(chat(), id);
        }),
        ("an offer alone is not enough", true, |case| {
            case.chooses(20);
            case.ledger.offered(Some(chat()), "conversation-0", 21 * S);
        }),
        ("an agent was given it", false, |case| {
            case.chooses(20);
            case.ledger.given(agent(0), Some(chat()), "conversation-0", 22 * S);
        }),
        ("and is done with it", false, |case| {
            case.chooses(20);
            case.ledger.given(agent(0), Some(chat()), "conversation-0", 22 * S);
            case.ledger.let_go(agent(0), chat());
        }),
        ("its acceptance was confirmed", false, |case| {
            case.chooses(20);
            case.ledger.offer_accepted(chat(), 21 * S, 22 * S);
        }),
        ("an agent had it before, and has it", false, |case| {
            case.ledger.given(agent(0), Some(chat()), "conversation-0", 10 * S);
            case.chooses(20);
            case.ledger.let_go(agent(1), chat());
        }),
        ("an agent had it before", true, |case| {
            case.ledger.given(agent(0), Some(chat()), "conversation-0", 10 * S);
            case.ledger.let_go(agent(0), chat());
            case.chooses(20);
        }),
        ("taken from the agent who had it", true, |case| {
            case.ledger.given(agent(0), Some(chat()), "conversation-0", 10 * S);
            case.chooses(20);
            case.ledger.let_go(agent(0), chat());
        }),
        ("resolved after it", false, |case| {
            case.ledger.given(agent(0), Some(chat()), "conversation-0", 10 * S);
            case.chooses(20);
            case.ledger.let_go(agent(0), chat());
            case.ledger.resolved(chat(), 21 * S);
        }),
        ("resolved before it", true, |case| {
            case.ledger.resolved(chat(), 19 * S);
            case.chooses(20);
        }),
        ("answered on the phone", false, |case| {
            case.chooses(20);
            case.phone(25);
        }),
        ("chosen anew after the phone's time", true, |case| {
            case.chooses(20);
            case.phone(25);
            case.chooses(200);
        }),
        ("an echo that nobody took", true, |case| {
            case.chooses(20);
            case.ledger.phone_wrote(Case::arrival("phone", 25));
        }),
    ];
    for (what, wanting, tale) in tales {
        let mut case = Case::new();
        tale(&mut case);
        assert_eq!(case.wanting(1_000), wanting, "{what}");
    }
}

#[test]
fn the_phone_has_its_time_to_answer_and_no_more() {
    // The phone spoke, the customer wrote, the customer chose; until when the phone is waited for.
    for (spoke, wrote, chose, until) in [
        (Some(10), None, 20, 32),
        (Some(10), Some(15), 20, 27),
        (Some(20), None, 20, 32),
        (Some(10), Some(5), 20, 32),
        (Some(10), None, 112, 112),
        (None, None, 20, 20),
    ] {
        let mut case = Case::new();
        let mut acts: Vec<(u64, u8)> = vec![(chose, 2)];
        acts.extend(wrote.map(|second| (second, 1)));
        acts.extend(spoke.map(|second| (second, 0)));
        acts.sort_unstable();
        for (second, act) in acts {
            match act {
                0 => case.phone(second),
                1 => case.writes(second),
                _ => case.chooses(second),
            }
        }
        let first = (chose..1_000).find(|second| case.wanting(*second));
        assert_eq!(first, Some(until), "{spoke:?} {wrote:?} {chose}");
    }
}

#[test]
fn who_is_not_listed_as_waiting_for_a_reason_that_is_so_is_neglected() {
    let mut case = Case::new();
    case.chooses(20);
    assert_eq!(case.neglected(None, false), ["an item nobody was offered"]);
    for (reason, has_room, kinds) in [
        (WaitReason::Untold, false, &["an item that waits without a reason"][..]),
        (WaitReason::Nobody, false, &[]),
        (WaitReason::Nobody, true, &["an item that waits though an agent has room"]),
        (WaitReason::Away, true, &[]),
        (WaitReason::Passing, true, &[]),
    ] {
        let unmet = case.unmet(Some(reason), has_room);
        let found: Vec<&str> = unmet.neglected.iter().map(|neglect| neglect.kind).collect();
        assert_eq!(found, kinds, "{reason:?} {has_room}");
        assert_eq!(unmet.passing, usize::from(reason == WaitReason::Passing), "{reason:?}");
    }
    case.ledger.offered(Some(chat()), "conversation-0", 21 * S);
    let kind = "an offered item that nobody took and that does not wait";
    assert_eq!(case.neglected(None, false), [kind]);
    let example = &case.unmet(None, false).neglected[0].example;
    assert!(example.contains("in-20") && example.contains("20000 ms"), "{example}");
}

#[test]
fn what_an_agent_saw_of_a_chat_that_could_not_be_found_out_counts() {
    for (conversation, second, neglected) in
        [("conversation-0", 21, 0), ("conversation-0", 19, 1), ("conversation-1", 21, 1)]
    {
        let mut case = Case::new();
        case.chooses(20);
        case.ledger.given(agent(0), None, conversation, second * S);
        let found = case.neglected(None, false).len();
        assert_eq!(found, neglected, "{conversation} {second}");
    }
}
