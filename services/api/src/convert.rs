//! From the domain to the wire and back. What comes from clients is checked here: a wrong value says which field
//! it is and what to do.

mod answer;
mod bot;
mod content;
mod desk;
mod id;
mod number;
mod outbound;
mod rich;
mod send;
mod template;
mod thread;

pub use answer::{command_answer, invalid, refusal, unavailable, workspace_answer};
pub use bot::{SAID_BYTES_MAX, SAYS_MAX, check_turn, contact, heard_message};
pub use content::{detail, pricing, referral};
pub use desk::{
    agent_state, handed_over, offer, offer_end, presence, presence_from_wire, waiting_item,
    workspace_change,
};
pub use id::{
    Place, conversation_id, message_id, offer_id, opaque_id, parse_conversation_id,
    parse_message_id, parse_offer_id, parse_position, position,
};
pub use number::{advice, channel_state, send_wait};
pub use outbound::{Address, Submitted, check_key, check_submit};
pub use send::{
    Invalid, NOTE_CHARS_MAX, Outgoing, TEXT_CHARS_MAX, check_note, check_send, target_of,
};
pub use thread::{
    author, delivery_of_outcome, delivery_of_status, direction, floor, kind, ms, requested_message,
    thread_message, with_content,
};
