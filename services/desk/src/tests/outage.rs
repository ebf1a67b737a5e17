//! While the read model's database is down: who reads is told to repeat, and who works goes on.

use std::{sync::Arc, time::Duration};

use api::v1::{
    GetConversationRequest, ListConversationsRequest, ListMessagesRequest, OutboundMessage,
    SendMessage, SendRequest, SubmitRequest, command_result, desk_request, outbound_message,
    send_message, submit_result,
};
use archive::{PostgresOptions, PostgresRepository, PostgresTls};
use domain::RequestId;
use testkit::{postgres::PostgresServer, wait_for};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::world::*;

const WITHIN: Duration = Duration::from_secs(40);

async fn on(server: &PostgresServer) -> World {
    let options = PostgresOptions {
        url: server.url("postgres"),
        pool_size: 3,
        tls: PostgresTls::UnlessLocal,
        timeout: Duration::from_secs(10),
    };
    let repository = PostgresRepository::new(&options, sealer().fingerprint()).unwrap();
    World::open(Setup { repository: Some(Arc::new(repository)), ..Setup::default() }).await
}

async fn get(world: &World) -> Result<(), Status> {
    let request =
        GetConversationRequest { conversation_id: id(3), at_least: None, read_mask: None };
    bounded(world.conversations().get(as_("shop", request))).await.map(drop)
}

/// What every reader is told.
async fn reads(world: &World) -> Vec<Status> {
    let list = as_("shop", ListConversationsRequest::default());
    let messages = ListMessagesRequest { conversation_id: id(3), ..Default::default() };
    vec![
        get(world).await.unwrap_err(),
        bounded(world.conversations().list(list)).await.unwrap_err(),
        bounded(world.conversations().list_messages(as_("shop", messages))).await.unwrap_err(),
    ]
}

fn message() -> SendMessage {
    SendMessage {
        conversation_id: id(3),
        content: Some(send_message::Content::Text("how can I help?".to_owned())),
        ..SendMessage::default()
    }
}

#[tokio::test]
async fn queries_are_refused_and_agents_and_programs_go_on() {
    let mut server = PostgresServer::start().await.unwrap();
    let world = on(&server).await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    world.entities.assign(&"ana".into(), hash(3)).await;
    session.event().await;
    get(&world).await.unwrap();

    server.kill().unwrap();
    for status in reads(&world).await {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(status.message(), "the read model cannot be read now; repeat later");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "STORE");
        assert!(details.retry_info().unwrap().retry_delay.is_some(), "when to repeat");
    }
    // Of what is theirs agents need no read model, and programs none for those they write to first.
    session.ask_with(command(1), desk_request::Request::Send(message())).await;
    let taken = session.answer().await.1;
    let opaque_id = RequestId { conversation: hash(3), n: 1 }.to_opaque();
    assert_eq!(taken, command_result::Result::SendTaken(api::v1::SendTaken { opaque_id }));
    let submitted = OutboundMessage {
        key: "order-1".to_owned(),
        to: Some(outbound_message::To::Phone("+12125550100".to_owned())),
        content: Some(outbound_message::Content::Text("it is ready".to_owned())),
        ..OutboundMessage::default()
    };
    let request = SubmitRequest { phone_number_id: "1055".to_owned(), messages: vec![submitted] };
    let results = bounded(world.outbound().submit(as_("shop", request))).await.unwrap();
    let result = results.into_inner().results.remove(0).result;
    assert!(matches!(result, Some(submit_result::Result::Accepted(_))), "{result:?}");
    // Whether it is theirs, only the read model knows: refused before anything is done.
    let before = world.entities.met().len();
    let send = SendRequest { command_id: command(1), message: Some(message()) };
    let status = bounded(world.conversations().send(as_("shop", send))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(world.entities.met().len(), before);

    server.restart().await.unwrap();
    let read = async || get(&world).await.ok();
    wait_for(WITHIN, "an answer of the read model", read).await.unwrap();
}
