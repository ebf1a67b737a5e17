//! The server itself: health, reflection, limits.

use std::time::Duration;

use api::v1::{GetConversationRequest, SendMessage, SendRequest, send_message};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::world::*;
use crate::Options;

#[tokio::test]
async fn health_and_reflection_answer_without_a_token() {
    let world = World::new().await;
    for service in [
        "",
        "tandem.v1.AgentDesk",
        "tandem.v1.Conversations",
        "tandem.v1.Events",
        "tandem.v1.Channel",
    ] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let health = HealthClient::new(world.channel()).check(request).await.unwrap();
        assert_eq!(health.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(world.channel());
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
    let answer = bounded(answers.into_inner().message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"tandem.v1.AgentDesk".to_owned()), "{names:?}");
}

#[tokio::test]
async fn requests_and_headers_beyond_the_limits_are_refused() {
    let world = World::new().await;
    let message = SendMessage {
        conversation_id: id(1),
        content: Some(send_message::Content::Text("x".repeat(300_000))),
        ..SendMessage::default()
    };
    let request = SendRequest { command_id: command(1), message: Some(message) };
    let large = bounded(world.conversations().send(as_("shop", request))).await.unwrap_err();
    assert_eq!(large.code(), Code::OutOfRange, "{large:?}");

    let mut request = as_(
        "shop",
        GetConversationRequest { conversation_id: id(1), at_least: None, read_mask: None },
    );
    let header = "x".repeat(40_000).parse().unwrap();
    request.metadata_mut().insert("padding", header);
    assert!(bounded(world.conversations().get(request)).await.is_err());
    // Neither took the connection down.
    let request = as_(
        "shop",
        GetConversationRequest { conversation_id: id(1), at_least: None, read_mask: None },
    );
    let after = bounded(world.conversations().get(request)).await.unwrap_err();
    assert_eq!(after.code(), Code::NotFound);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let options = Options { connections_max: 1, ..Options::default() };
    let world = World::with(options).await;
    let endpoint = Channel::from_shared(format!("http://{}", world.address)).unwrap();
    let request = || {
        as_(
            "shop",
            GetConversationRequest { conversation_id: id(1), at_least: None, read_mask: None },
        )
    };
    let channel = endpoint.connect_lazy();
    let mut client = api::v1::conversations_client::ConversationsClient::new(channel);
    let waiting = tokio::time::timeout(Duration::from_millis(200), client.get(request())).await;
    assert!(waiting.is_err(), "served beyond the limit: {waiting:?}");
    // The world's own connection is the one that is served.
    let served = bounded(world.conversations().get(request())).await.unwrap_err();
    assert_eq!(served.code(), Code::NotFound);
}
