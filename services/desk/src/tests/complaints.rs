//! Complaints of users of other products at the edge, and beside each the rule that caused it.

use api::v1::{SendMessage, command_result, desk_request::Request, send_message};
use domain::{
    CommandId,
    conversation::{CommandKind, ConversationInput},
};

use super::{entities::*, world::*};

fn text() -> Request {
    Request::Send(SendMessage {
        conversation_id: id(3),
        content: Some(send_message::Content::Text("your code is 4711".to_owned())),
        ..SendMessage::default()
    })
}

/// The sends that arrived, by command.
fn arrived(world: &World) -> Vec<CommandId> {
    let met = world.entities.met().into_iter().filter_map(|met| match met {
        Met::Act(_, ConversationInput::Command(command)) => {
            matches!(command.kind, CommandKind::Send { .. }).then_some(command.id)
        }
        _ => None,
    });
    met.collect()
}

/// "Weak connection sends the agent's message twice": the answer is lost with the connection, and the agent's client sends again on
/// the next one.
#[tokio::test]
async fn complaint_34_a_lost_connection_does_not_send_twice() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let mut first = world.session("ana").await;
    first.snapshot().await;
    first.ask_with(command(1), text()).await;
    world.entities.until(|met| matches!(met, Met::Act(..))).await;
    // Gone before the answer is read.
    drop(first);

    let mut opaque_ids = Vec::new();
    for _ in 0..2 {
        let mut session = world.session("ana").await;
        session.snapshot().await;
        session.ask_with(command(1), text()).await;
        let (_, result) = session.answer().await;
        let command_result::Result::SendTaken(taken) = result else { panic!("{result:?}") };
        opaque_ids.push(taken.opaque_id);
    }
    let arrived = arrived(&world);
    // An edge that makes a message of everything that arrives would have sent this often.
    assert!(arrived.len() >= 3, "the complaint");
    let commands: std::collections::BTreeSet<_> = arrived.into_iter().collect();
    assert_eq!(commands.len(), 1, "it is one command, whichever connection it came by");
    assert_eq!(opaque_ids[0], opaque_ids[1], "and one message");
}
