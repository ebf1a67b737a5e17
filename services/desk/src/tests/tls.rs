//! gRPC over TLS, with real clients.

use api::v1::{GetConversationRequest, conversations_client::ConversationsClient};
use chassis::{
    config::Tls,
    listener::{Acceptor, HTTP2},
};
use testkit::certificates::{Authority, Pair};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

use super::world::*;

/// A desk for `localhost` with a certificate of `authority`, which judges clients by `clients` where that is given.
async fn serving(authority: &Authority, clients: Option<&Authority>) -> World {
    let dir = testkit::temp_dir().unwrap();
    let pair = authority.issue(dir.path(), "server", &["localhost"]).unwrap();
    let client_ca_file = clients.map(|clients| clients.write(dir.path(), "clients").unwrap());
    let tls = Tls { cert_file: pair.cert_file, key_file: pair.key_file, client_ca_file };
    let tls = Some(Acceptor::open(&tls, HTTP2).unwrap());
    World::open(Setup { tls, ..Setup::default() }).await
}

fn tls(trusted: &Authority, shown: Option<&Pair>) -> ClientTlsConfig {
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(trusted.pem()));
    match shown {
        None => tls,
        Some(pair) => {
            let (certificate, key) = pair.read().unwrap();
            tls.identity(Identity::from_pem(certificate, key))
        }
    }
}

fn channel(world: &World, tls: ClientTlsConfig) -> Channel {
    let endpoint = Channel::from_shared(format!("https://{}", world.address)).unwrap();
    endpoint.tls_config(tls).unwrap().connect_lazy()
}

/// Asks for a conversation that nobody has. Whoever comes in is told so.
async fn asked(channel: Channel) -> Code {
    let request =
        GetConversationRequest { conversation_id: id(1), at_least: None, read_mask: None };
    let answer = bounded(ConversationsClient::new(channel).get(as_("shop", request))).await;
    answer.unwrap_err().code()
}

#[tokio::test]
async fn agents_and_programs_come_in_over_tls_and_in_no_other_way() {
    let authority = Authority::new("ours").unwrap();
    let world = serving(&authority, None).await;
    let trusting = channel(&world, tls(&authority, None));
    assert_eq!(asked(trusting.clone()).await, Code::NotFound);
    let session = world.stream("ana", trusting);
    let mut session = session.await.unwrap();
    session.ask(api::v1::desk_request::Request::SignIn(api::v1::SignIn { presence: 0 })).await;
    assert_eq!(session.snapshot().await.capacity, 100);
    let wary = channel(&world, tls(&Authority::new("another").unwrap(), None));
    assert_ne!(asked(wary).await, Code::NotFound);
    assert_ne!(asked(world.channel()).await, Code::NotFound, "served in plain text");
}

#[tokio::test]
async fn with_mutual_tls_a_token_alone_is_not_enough() {
    let (authority, clients) = (Authority::new("ours").unwrap(), Authority::new("them").unwrap());
    let world = serving(&authority, Some(&clients)).await;
    let dir = testkit::temp_dir().unwrap();
    let known = clients.issue(dir.path(), "known", &["program"]).unwrap();
    let stranger = authority.issue(dir.path(), "stranger", &["program"]).unwrap();
    for shown in [None, Some(&stranger)] {
        let refused = asked(channel(&world, tls(&authority, shown))).await;
        assert_ne!(refused, Code::NotFound, "{shown:?}");
    }
    assert_eq!(asked(channel(&world, tls(&authority, Some(&known)))).await, Code::NotFound);
}
