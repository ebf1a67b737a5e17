//! The bot's turns: what is heard is played through the flow, and what a bot answers, of whichever kind it is, is
//! carried out here.

use serde::{Deserialize, Serialize};

use super::{
    Author, ConversationEvent, Floor, FloorCause, Inbound, Opened, ResolvedBy, RoutingAct,
    decide::Step, floor::ToSend, on_routing,
};
use crate::{
    Millis, Sealed,
    content::Identity,
    flow::{Answer, Facts, HandOff, Heard, Outcome, Reply, State, Why},
    number::Lane,
    persist,
};

/// Where the customer is in the bot's flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotPlace {
    /// The flow.
    pub flow: String,
    /// Its version.
    pub version: String,
    /// The node that waits; none once the flow has ended.
    pub node: Option<String>,
    /// [`State`]: what was collected stands in it.
    pub state: Sealed,
}

/// What people are told about a hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// Why.
    pub why: Why,
    /// The flow's own code for it; may be empty.
    pub reason: String,
    /// What was collected: a list of [`Field`](crate::flow::Field), sealed; none where nothing was.
    pub fields: Option<Sealed>,
    /// Added to the queue's priority.
    pub priority: i32,
}

/// What a customer's message says to a bot.
pub(super) fn heard(inbound: &Inbound, opened: &Opened) -> Heard {
    let kind = inbound.kind.beyond_words();
    Heard { text: opened.text.clone(), choice: opened.choice.clone(), kind, early: false }
}

impl Step<'_> {
    /// The bot begins a dialogue, or people are asked for where there is none.
    pub(super) fn ask_first(&mut self) {
        if self.is_external() {
            return self.ask_external();
        }
        if self.rules.bot.is_none() {
            return self.want_item(None);
        }
        let state = self.bot_state().afresh();
        let said = self.said.take();
        self.play(&state, said.as_ref());
    }

    /// The bot's question once more.
    pub(super) fn ask_again(&mut self) {
        if self.is_external() {
            return self.ask_external();
        }
        let state = self.bot_state();
        self.play(&state, None);
    }

    /// The customer answered the bot, or went on before reading what it said.
    pub(super) fn hear_answer(&mut self, at_ms: Millis) {
        if self.is_external() {
            return self.ask_external();
        }
        let mut heard = self.said.take().unwrap_or_default();
        heard.early = self.core.asked.is_some_and(|asked| at_ms / 1_000 <= asked.at_ms / 1_000);
        let state = self.bot_state();
        self.play(&state, Some(&heard));
    }

    fn play(&mut self, state: &State, heard: Option<&Heard>) {
        let Some(flow) = self.rules.bot.clone() else { return self.give_up() };
        if !self.window_is_open() || !self.may_request() {
            return self.give_up();
        }
        let turn = flow.turn(state, heard, &self.facts());
        if turn.ignored {
            return;
        }
        let misses = if turn.missed { state.misses.saturating_add(1) } else { 0 };
        self.save_place(&turn.state);
        if turn.answer.outcome == Outcome::Wait {
            self.take_back_bot();
            self.begin_turn(misses);
        }
        self.carry_out(&turn.answer);
    }

    /// Does what a bot answered in the current turn.
    pub(super) fn carry_out(&mut self, answer: &Answer) {
        match &answer.outcome {
            Outcome::Wait => {
                let turn = self.turn_to_speak();
                self.say_all(turn, &answer.replies);
                if self.core.asked.is_none() {
                    self.give_up(); // It waits and has said nothing: the customer would wait for ever.
                }
            }
            Outcome::HandOff(told) => self.hand_off(told, &answer.replies),
            Outcome::End => self.end_by_bot(&answer.replies),
        }
    }

    /// The bot has the floor in a new turn, without saying anything. Older turns are stale.
    pub(super) fn begin_turn(&mut self, misses: u32) -> u64 {
        self.drop_awaited();
        let turn = self.core.turn.saturating_add(1);
        self.emit(ConversationEvent::TurnTaken { turn, misses });
        self.change_floor(Floor::Bot { turn }, FloorCause::Inbound);
        turn
    }

    /// The bot cannot go on: people get what it has.
    pub(super) fn give_up(&mut self) {
        let fields = match self.core.floor {
            Floor::Bot { .. } if !self.is_external() => self.bot_state().fields,
            _ => Vec::new(),
        };
        self.hand_off(&HandOff { why: Why::Failed, fields, ..HandOff::default() }, &[]);
    }

    /// The bot hands over to people.
    pub(super) fn hand_off(&mut self, told: &HandOff, replies: &[Reply]) {
        self.take_back_bot();
        if !replies.is_empty() {
            let turn = self.turn_to_speak();
            self.say_all(turn, replies);
        }
        self.change_floor(Floor::Nobody, FloorCause::HandOff);
        let fields = (!told.fields.is_empty()).then(|| self.seal(&told.fields));
        self.emit(ConversationEvent::HandedOver {
            brief: Brief {
                why: told.why,
                reason: told.reason.clone(),
                fields,
                priority: told.priority,
            },
            at_ms: self.now_ms,
        });
        if told.vip && !self.core.routing.vip {
            on_routing::record(self, None, RoutingAct::Vip { vip: true }, None);
        }
        self.want_item(told.queue.clone());
    }

    /// The customer has what was wanted.
    fn end_by_bot(&mut self, replies: &[Reply]) {
        let Some(n) = self.core.open_episode() else { return };
        self.take_back_bot();
        let turn = self.turn_to_speak();
        self.say_all(turn, replies);
        self.set_waiting(None);
        self.drop_item();
        self.change_floor(Floor::Nobody, FloorCause::BotEnded);
        self.emit(ConversationEvent::EpisodeResolved {
            n,
            by: ResolvedBy::Bot,
            at_ms: self.now_ms,
        });
    }

    fn turn_to_speak(&mut self) -> u64 {
        match self.core.floor {
            Floor::Bot { turn } => turn,
            _ => self.begin_turn(0),
        }
    }

    pub(super) fn take_back_bot(&mut self) {
        for request in self.core.pending_bot() {
            self.cancel(request);
        }
    }

    fn say_all(&mut self, turn: u64, replies: &[Reply]) {
        for reply in replies {
            if !self.window_is_open() || !self.may_request() {
                return;
            }
            let (kind, content) = reply.content();
            let content = self.seal(&content);
            self.request(ToSend {
                author: Author::Bot { turn },
                lane: Lane::Bot,
                kind,
                content,
                marketing: false,
            });
        }
    }

    /// Where the customer is; at the beginning when nothing, or nothing readable, is known.
    fn bot_state(&self) -> State {
        let place = self.core.bot.as_ref();
        let plain = place.and_then(|place| self.sealing.open(&place.state));
        plain.and_then(|plain| persist::decode(&plain).ok()).unwrap_or_default()
    }

    fn save_place(&mut self, state: &State) {
        let place = BotPlace {
            flow: state.flow.clone(),
            version: state.version.clone(),
            node: state.node.clone(),
            state: self.seal(state),
        };
        self.emit(ConversationEvent::BotMoved { place });
    }

    fn facts(&self) -> Facts {
        let who = self.core.contact.as_ref().and_then(|contact| self.sealing.open(&contact.who));
        let who: Identity = who.and_then(|plain| persist::decode(&plain).ok()).unwrap_or_default();
        Facts { now_ms: self.now_ms, name: who.name, phone: who.phone }
    }

    /// Seals a value of this decision.
    pub(super) fn seal<T: Serialize>(&mut self, value: &T) -> Sealed {
        self.sealed_n = self.sealed_n.saturating_add(1);
        // What is sealed here always has an encoded form.
        let plain = persist::encode(value).unwrap_or_default();
        self.sealing.seal(self.sealed_n, &plain)
    }
}
