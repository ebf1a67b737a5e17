//! An embedded installation moves into a cluster with another number of partitions, and by a backup from there into another one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use api::v1::{CommandId, Message, SendMessage, SendRequest, send_message};
use tandem::stage::Product;
use testkit::{
    nats::{NatsServer, RoleKeys, Setup},
    wait_for,
};

use super::{
    command::{BOUND, fails, run, run_with, said, succeeds, text},
    conversations::Conversations,
    play::{assert_no_errors, programs},
    shop::{Shop, TOKEN, payload_of_today},
};

/// An installation on the server, with everything in a directory of its own.
struct Cluster {
    dir: PathBuf,
    config: PathBuf,
}

impl Cluster {
    /// As the shop is configured, on NATS, signing in as a router; nothing is there but the configuration.
    fn configured(shop: &Path, name: &str, server: &NatsServer, keys: &RoleKeys) -> Self {
        let mut table: toml::Table = std::fs::read_to_string(shop).unwrap().parse().unwrap();
        let dir = shop.parent().unwrap().join(name);
        let more = format!(
            "data_dir = {:?}\nkey_dir = {:?}\npartitions = 16\n[bus.nats]\nservers = [{:?}]\n\
             replicas = 1\nallow_data_loss = true\nnkey_seed_file = {:?}\ntrimmer_nkey_seed_file = {:?}\n",
            dir.join("data").display().to_string(),
            dir.join("keys").display().to_string(),
            server.url(),
            keys.seed_file("router").display().to_string(),
            keys.seed_file("trimmer").display().to_string(),
        );
        table.extend(more.parse::<toml::Table>().unwrap());
        std::fs::create_dir_all(&dir).unwrap();
        let config = dir.join("tandem.toml");
        std::fs::write(&config, toml::to_string(&table).unwrap()).unwrap();
        Self { dir, config }
    }

    /// Creates it, as the only role that may.
    async fn init(&self, keys: &RoleKeys) {
        let said = self.command_as(keys, "operator", &["init"]).await;
        assert!(said.is_ok(), "{said:?}");
    }

    /// A command by the key of another role; what it said, done or not.
    async fn command_as(
        &self,
        keys: &RoleKeys,
        role: &str,
        args: &[&str],
    ) -> Result<String, String> {
        let seed = keys.seed_file(role);
        let environment = [("TANDEM_BUS__NATS__NKEY_SEED_FILE", text(&seed))];
        let args = [&["cluster"], args, &["--config", text(&self.config)]].concat();
        let done = run_with(&args, &environment, BOUND).await;
        if done.status.success() { Ok(said(&done)) } else { Err(said(&done)) }
    }

    async fn command(&self, args: &[&str]) -> String {
        succeeds(&[&["cluster"], args, &["--config", text(&self.config)]].concat()).await
    }

    async fn refuses(&self, args: &[&str], why: &str) {
        fails(&[&["cluster"], args, &["--config", text(&self.config)]].concat(), why).await;
    }

    /// Gives it this key in place of its own.
    fn take_key(&self, key: &Path) {
        let own = self.dir.join("keys/installation.key");
        std::fs::copy(key, own).unwrap();
    }

    async fn started(&self) -> Product {
        Product::start(&programs().tandem, &self.dir, &[], Duration::from_secs(60)).await.unwrap()
    }
}

/// A server that lets each role do what it must and no more.
async fn started(keys: &RoleKeys) -> NatsServer {
    let users = keys.known_to(Setup::deployed(&["users.conf"]));
    NatsServer::start_with(users).await.unwrap()
}

type Thread = BTreeSet<(String, String, String)>;

fn told(messages: &[Message]) -> Thread {
    let told = |m: &Message| (m.message_id.clone(), m.direction.to_string(), m.text.clone());
    messages.iter().map(told).collect()
}

/// The shop's only thread, once it is this one.
async fn assert_thread(product: &Product, expected: &Thread) {
    let mut last = Vec::new();
    let found = wait_for(Duration::from_secs(30), "the thread", async || {
        last = Conversations::connect(product.addresses.desk, TOKEN).await.everything().await;
        (last.len() == 1 && told(&last[0].1) == *expected).then_some(())
    });
    found.await.unwrap_or_else(|error| panic!("{error}: {last:#?}"));
}

async fn send(product: &Product, number: u64, words: &str) {
    let mut api = Conversations::connect(product.addresses.desk, TOKEN).await;
    let conversation_id = api.list().await.remove(0).conversation_id;
    let message = SendMessage {
        conversation_id,
        content: Some(send_message::Content::Text(words.to_owned())),
        take_floor: true,
        ..SendMessage::default()
    };
    let command_id = Some(CommandId { client: "moving-test".to_owned(), number });
    api.send(SendRequest { command_id, message: Some(message) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_moves_into_a_cluster_and_the_cluster_into_another_one() {
    let mut shop = Shop::open("moving").await;
    shop.deliver(&payload_of_today("in_text")).await;
    let (_, thread) = shop.only(1).await;
    let thread = told(&thread);
    let data = shop.config_file().parent().unwrap().join("data");
    let keys = RoleKeys::create(data.parent().unwrap()).unwrap();
    let server = started(&keys).await;
    let first = Cluster::configured(&shop.config_file(), "first", &server, &keys);
    first.init(&keys).await;
    let import = ["import", text(&data)];
    first.refuses(&import, "in use by process").await;
    shop.stop().await;
    first.refuses(&import, "is not the one that everything is sealed with").await;
    first.take_key(&data.join("installation.key"));
    let imported = first.command(&import).await;
    println!("import: {}", imported.trim());
    assert!(imported.contains("as generation 2") && imported.contains("in 16 partitions"));
    first.refuses(&import, "of the target holds").await;
    fails(&["up", "--config", text(&shop.config_file())], "was imported into a cluster").await;

    let mut product = first.started().await;
    assert_thread(&product, &thread).await;
    send(&product, 1, "We have moved").await;
    let config = text(&first.config);
    let waiting = async || {
        let listed = succeeds(&["sends", "list-unknown", "--config", config]).await;
        (listed.contains("waits") && listed.contains("nothing is sent")).then_some(())
    };
    wait_for(Duration::from_secs(30), "a send that waits", waiting).await.unwrap();
    let early = first.dir.join("early");
    let early = first.command_as(&keys, "archive", &["backup", "--to", text(&early)]).await;
    assert!(early.as_ref().is_err_and(|why| why.contains("lives and owns 16")), "{early:?}");
    let confirmed = succeeds(&["sends", "confirm", "--config", config]).await;
    assert!(confirmed.contains("1 sends ended as unknown"), "{confirmed}");
    assert!(shop.graph.calls().is_empty(), "it was sent while it was held");
    shop.graph.will_answer("wamid.moved");
    send(&product, 2, "We are back").await;
    let sent = async || (shop.graph.calls().len() == 1).then_some(());
    wait_for(Duration::from_secs(30), "a send", sent).await.unwrap();
    let all = async || {
        let mut api = Conversations::connect(product.addresses.desk, TOKEN).await;
        let thread = api.everything().await.remove(0).1;
        let done = thread.iter().filter(|message| !message.message_id.is_empty()).count() == 2;
        (thread.len() == 3 && done).then(|| told(&thread))
    };
    let thread = wait_for(Duration::from_secs(30), "the whole thread", all).await.unwrap();
    product.stop(Duration::from_secs(30)).await.unwrap();
    assert_no_errors(&first.dir.join("product.log"), &[]);

    let backup = first.dir.join("backup");
    let args = ["backup", "--to", text(&backup), "--include-key"];
    println!("backup: {}", first.command_as(&keys, "archive", &args).await.unwrap());
    let server = started(&keys).await;
    let second = Cluster::configured(&shop.config_file(), "second", &server, &keys);
    second.init(&keys).await;
    second.take_key(&backup.join("installation.key"));
    let restored = second.command(&["restore", "--from", text(&backup)]).await;
    println!("restore: {}", restored.trim());
    let mut product = second.started().await;
    assert_thread(&product, &thread).await;
    // It fails until the history of all generations is projected.
    let settled = async || {
        let output = run(&["status", "--config", text(&second.config)], BOUND).await;
        output.status.success().then(|| said(&output))
    };
    let status =
        wait_for(Duration::from_secs(30), "everything to be ready", settled).await.unwrap();
    assert!(status.contains("generation 4"), "{status}");
    product.stop(Duration::from_secs(30)).await.unwrap();
    assert_no_errors(&second.dir.join("product.log"), &[]);
}
