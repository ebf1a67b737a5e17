use super::*;

const SHOP: &str = r#"
[[business]]
id = "shop"
app_secrets = ["app-secret-one", "app-secret-two"]
verify_token = "verify-me"

[[business.number]]
phone_number_id = "1065"
display_phone_number = "+49 151 1"
waba_id = "900"
access_token = "graph-token"
mode = "coexistence"
phone_owner = "ana"
greeting_texts = ["Welcome!"]

[[business.number]]
phone_number_id = "1066"
display_phone_number = "+49 151 2"
waba_id = "900"
access_token = "graph-token"
mode = "api"
queue = "returns"

[business.workspace]
id = "shop-desk"

[[business.workspace.queue]]
id = "sales"
priority = 5
skills = [{ name = "german", level = 3 }, { name = "sales" }]
keywords = ["Buy", "Order"]

[[business.workspace.queue]]
id = "returns"
keywords = ["return"]

[[business.workspace.agent]]
id = "ana"
skills = { german = 5, sales = 2 }
token = "ana-token-0123456789"

[business.bot]
enabled = true
option = [{ keywords = ["refund"], queue = "returns" }]
"#;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_toml(text, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

/// The one problem of a configuration, as `key: advice`.
fn problem(text: &str, environment: &[(&str, &str)]) -> String {
    let error = load(text, environment).expect_err(text);
    let problems = error.problems();
    assert_eq!(problems.len(), 1, "{error}");
    problems[0].to_string()
}

#[test]
fn the_defaults_are_complete_and_valid() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("./tandem-data"));
    assert_eq!((config.node.as_str(), config.partitions), ("node-1", 8));
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.desk.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8082");
    assert_eq!(config.gateway.body_limit_bytes, 4_194_304);
    assert_eq!(config.graph.base_url, "https://graph.facebook.com");
    assert_eq!(config.graph.version, "v26.0");
    assert_eq!((config.limits.call_hard_limit_ms, config.limits.start_by_ms), (10_000, 2_000));
    assert!(config.businesses.is_empty());
}

#[test]
fn a_whole_business_is_read() {
    let config = load(SHOP, &[]).unwrap();
    let (business, number) = config.number("1065").unwrap();
    assert_eq!((business.id.as_str(), number.rate()), ("shop", 20));
    assert_eq!(business.app_secrets[1].expose(), "app-secret-two");
    assert_eq!(business.default_queue(number).unwrap().id, "sales");
    let (_, other) = config.number("1066").unwrap();
    assert_eq!((other.rate(), business.default_queue(other).unwrap().id.as_str()), (80, "returns"));
    let sales = &business.workspace.queues[0];
    assert_eq!(sales.required_skills[1], SkillNeed { name: "sales".into(), level: 1 });
    assert_eq!(sales.offer_timeout_ms, 30_000);
    let menu: Vec<_> = business.triage_menu().into_iter().collect();
    let expected =
        [("buy", "sales"), ("order", "sales"), ("refund", "returns"), ("return", "returns")];
    assert_eq!(menu, expected.map(|(k, q)| (k.to_owned(), q.to_owned())));
    let tokens: Vec<_> =
        config.agent_tokens().map(|(b, a, t)| (&*b.id, &*a.id, t.expose())).collect();
    assert_eq!(tokens, [("shop", "ana", "ana-token-0123456789")]);
    assert!(config.number("1067").is_none());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
    let file = "partitions = 16\nnode = \"a\"\n[gateway]\nbody_timeout_ms = 7000\n";
    let config = load(
        file,
        &[
            ("TANDEM_NODE", "b"),
            ("TANDEM_GATEWAY__LISTEN", "127.0.0.1:9090"),
            ("TANDEM_GATEWAY__INSECURE_LISTEN", "true"),
            ("TANDEM_LOG__FORMAT", "text"),
            ("TANDEM_CONFIG", "/etc/tandem.toml"),
            ("TANDEM_AGENT_TOKEN", "of the terminal desk"),
            ("TANDEM_FAILPOINT", "append|200:3"),
            ("UNRELATED", "x"),
        ],
    )
    .unwrap();
    assert_eq!((config.node.as_str(), config.partitions), ("b", 16));
    assert_eq!(config.gateway.body_timeout_ms, 7_000);
    assert_eq!(config.gateway.listen.port(), 9_090);
    assert!(config.gateway.insecure_listen);
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn a_list_can_be_given_whole_in_the_environment() {
    let business =
        r#"[{id = "b", app_secrets = ["s"], verify_token = "env:VERIFY", workspace = {id = "w"}}]"#;
    let config = load("", &[("TANDEM_BUSINESS", business), ("VERIFY", "from-env")]).unwrap();
    assert_eq!(config.businesses[0].verify_token.expose(), "from-env");
}

#[test]
fn variables_of_kubernetes_services_are_no_settings() {
    let links = [
        ("TANDEM_PORT", "tcp://10.0.0.1:8080"),
        ("TANDEM_SERVICE_HOST", "10.0.0.1"),
        ("TANDEM_SERVICE_PORT_HTTP", "8080"),
        ("TANDEM_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("TANDEM_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("TANDEM_DESK_PORT", "tcp://10.0.0.1:8081"),
        ("TANDEM_DESK_SERVICE_HOST", "10.0.0.1"),
        ("TANDEM_DESK_SERVICE_PORT", "8081"),
        ("TANDEM_DESK_PORT_8081_TCP_PROTO", "tcp"),
    ];
    assert!(load("", &links).is_ok());
}

#[test]
fn what_cannot_be_read_is_named_with_its_key() {
    type Environment = &'static [(&'static str, &'static str)];
    let cases: [(&str, Environment, &str); 10] = [
        (
            "[gateway]\nlisen = \"x\"",
            &[],
            "gateway.lisen: unknown key; known here: listen, insecure",
        ),
        ("pratitions = 8", &[], "pratitions: unknown key; known here: data_dir, key_dir, node"),
        ("partitions = \"many\"", &[], "partitions: is a text, but must be u16"),
        ("[gateway]\nlisten = \"here\"", &[], "gateway.listen: invalid socket address syntax"),
        (
            "[log]\nformat = \"xml\"",
            &[],
            "log.format: `xml` is not possible; choose one of json, text",
        ),
        ("[gateway.tls]\ncert_file = \"c\"", &[], "gateway.tls.key_file: is missing; set it"),
        (
            "[[business]]\nid = 7",
            &[],
            "business[0].id: is a whole number (write \"…\" for a text), but",
        ),
        (
            "[[business]]\nid = \"a\"\nvreify = 1",
            &[],
            "business[0].vreify: unknown key; known here: id, app_secrets",
        ),
        (
            "",
            &[("TANDEM_GATEWAY__LISEN", "x")],
            "gateway.lisen: unknown key; known here: listen, insecure_listen, tls, body_limit_bytes, \
             header_timeout_ms, body_timeout_ms, connections_max, append_timeout_ms (environment \
             variable TANDEM_GATEWAY__LISEN)",
        ),
        ("", &[("TANDEM_PARTITIONS", "x")], "(environment variable TANDEM_PARTITIONS)"),
    ];
    for (text, environment, expected) in cases {
        let found = problem(text, environment);
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated_in_the_error() {
    for text in [
        SHOP.replace("[\"app-secret-one\", \"app-secret-two\"]", "\"app-secret-one\""),
        SHOP.replace("\"app-secret-two\"]", "\"app-secret-two"),
        SHOP.replace("\"graph-token\"", "{ graph-token = 1 }"),
    ] {
        let shown = load(&text, &[]).unwrap_err().to_string();
        assert!(!shown.contains("app-secret") && !shown.contains("graph-token"), "{shown}");
    }
    let shown = problem("node = \"a\"\n[gateway]\nlisten = 127.0.0.1:80\n", &[]);
    assert!(shown.starts_with("line 3, column "), "{shown}");
}

#[test]
fn plain_text_stays_on_this_machine_unless_allowed() {
    let open =
        |section: &str, more: &str| format!("[{section}]\nlisten = \"0.0.0.0:9000\"\n{more}");
    assert_eq!(
        problem(&open("gateway", ""), &[]),
        "gateway.listen: 0.0.0.0:9000 can be reached from other machines in plain text; set \
         gateway.tls, or listen on 127.0.0.1, or set gateway.insecure_listen = true if the network in \
         front protects it"
    );
    assert!(
        problem(&open("desk", ""), &[]).starts_with("desk.listen: 0.0.0.0:9000 can be reached")
    );
    let admin = problem(&open("admin", ""), &[]);
    assert!(admin.contains("plain text; listen on 127.0.0.1, or set admin.insecure"), "{admin}");
    for section in ["gateway", "desk", "admin"] {
        assert!(load(&open(section, "insecure_listen = true"), &[]).is_ok());
    }
    for section in ["gateway", "desk"] {
        let tls = open(section, "tls = { cert_file = \"c\", key_file = \"k\" }");
        assert!(load(&tls, &[]).is_ok());
    }
    assert!(load("[gateway]\nlisten = \"[::1]:9000\"", &[]).is_ok());
    assert!(
        problem("[desk]\nlisten = \"127.0.0.1:8080\"", &[])
            .contains("127.0.0.1:8080 is also gateway.listen; choose another port")
    );
    let any = "[gateway]\nlisten = \"127.0.0.1:0\"\n[desk]\nlisten = \"127.0.0.1:0\"";
    assert!(load(any, &[]).is_ok());
}

#[test]
fn values_out_of_reason_are_refused() {
    let cases = [
        ("partitions = 0", "partitions: is 0; choose from 1 to 1024"),
        ("node = \"a b\"", "node: use 1 to 64 letters"),
        (
            "[gateway]\nbody_limit_bytes = 1000",
            "gateway.body_limit_bytes: is 1000; choose from 3145728",
        ),
        ("[limits]\nstart_by_ms = 20000", "limits.start_by_ms: is 20000; choose from 100 to 10000"),
        ("[graph]\nversion = \"26\"", "graph.version: write it as v26.0"),
        ("[graph]\nbase_url = \"ftp://x\"", "graph.base_url: begin it with https://"),
        ("[graph]\nbase_url = \"https://x/\"", "graph.base_url: write scheme and host without"),
        (
            "[graph]\nbase_url = \"http://example.org\"",
            "graph.base_url: access tokens would travel",
        ),
        ("[graph]\nbase_url = \"http://127.0.0.1.example.org\"", "graph.base_url: access tokens"),
        ("[log]\nfilter = \"info,=x=\"", "log.filter: write directives"),
        ("[desk.client]\ncert_file = \"c\"", "desk.client.key_file: cert_file and key_file belong"),
        ("[desk.client]\nkey_file = \"k\"", "desk.client.cert_file: cert_file and key_file belong"),
    ];
    for (text, expected) in cases {
        let found = problem(text, &[]);
        assert!(found.contains(expected), "{text}: {found}");
    }
    for host in ["http://127.0.0.1:7001", "http://localhost:7001", "http://[::1]:7001"] {
        assert!(load(&format!("[graph]\nbase_url = \"{host}\""), &[]).is_ok(), "{host}");
    }
}

/// Both signings-in, the process's own and the trimmer's, are by a user with a password or by an nkey.
#[test]
fn a_process_signs_in_in_one_way() {
    let cases = [
        ("user = \"a\"", "bus.nats.password: user and password belong together"),
        ("trimmer_password = \"a\"", "bus.nats.trimmer_user: trimmer_user and trimmer_password"),
        (
            "user = \"a\"\npassword = \"b\"\nnkey_seed_file = \"c\"",
            "bus.nats.nkey_seed_file: sign in with a user or with an nkey",
        ),
        (
            "trimmer_user = \"a\"\ntrimmer_password = \"b\"\ntrimmer_nkey_seed_file = \"c\"",
            "bus.nats.trimmer_nkey_seed_file: sign in with a user or with an nkey",
        ),
    ];
    for (text, expected) in cases {
        let found = problem(&format!("key_dir = \"/keys\"\n[bus.nats]\n{text}"), &[]);
        assert!(found.contains(expected), "{text}: {found}");
    }
    let mixed = "user = \"a\"\npassword = \"b\"\ntrimmer_nkey_seed_file = \"c\"";
    assert!(load(&format!("key_dir = \"/keys\"\n[bus.nats]\n{mixed}"), &[]).is_ok());
}

#[test]
fn servers_of_the_bus_on_other_machines_are_encrypted_unless_allowed() {
    let of = |text: &str| format!("key_dir = \"/keys\"\n[bus.nats]\n{text}");
    for refused in [
        "servers = [\"nats://10.0.0.5:4222\"]",
        "servers = [\"nats://127.0.0.1:4222\", \"nats://nats-1\"]\nuser = \"a\"\npassword = \"b\"",
    ] {
        let found = problem(&of(refused), &[]);
        assert!(found.contains("readable; use tls://"), "{refused}: {found}");
    }
    for taken in [
        "servers = [\"nats://127.0.0.1:4222\", \"nats://localhost:4223\", \"nats://[::1]:4222\"]",
        "servers = [\"tls://nats-1:4222\", \"tls://nats-2:4222\"]",
        "servers = [\"nats://nats-1:4222\"]\nrequire_tls = true",
        "servers = [\"nats://nats-1:4222\"]\ninsecure_servers = true",
    ] {
        load(&of(taken), &[]).unwrap();
    }
    let nats = load(&of("servers = [\"tls://nats-1:4222\"]"), &[]).unwrap().bus.nats.unwrap();
    assert!(nats.requires_tls() && !nats.require_tls);
    for wrong in ["10.0.0.5:8222", "http://nats-1:8222/varz", "http://"] {
        let found = problem(&of(&format!("monitor = [\"{wrong}\"]")), &[]);
        assert!(found.starts_with("bus.nats.monitor[0]: write scheme"), "{wrong}: {found}");
    }
    let found = problem(&of("streams = 33"), &[]);
    assert!(found.contains("bus.nats.streams: is 33; choose from 0 to 32"), "{found}");
}

#[test]
fn a_business_must_be_whole_in_itself() {
    let cases = [
        (
            "\"app-secret-two\"]",
            "\"two\", \"three\"]",
            "business[0].app_secrets: give one app secret",
        ),
        (
            "phone_owner = \"ana\"",
            "phone_owner = \"bo\"",
            "number[0].phone_owner: there is no agent `bo`",
        ),
        (
            "queue = \"returns\"\n\n[business.w",
            "queue = \"x\"\n\n[business.w",
            "number[1].queue: there is no queue `x`",
        ),
        (
            "mode = \"api\"",
            "mode = \"api\"\nrate_per_second = 4",
            "number[1].rate_per_second: is 4; choose from 5",
        ),
        (
            "level = 3",
            "level = 11",
            "workspace.queue[0].skills[0].level: is 11; choose from 1 to 10",
        ),
        ("german = 5", "german = 0", "workspace.agent[0].skills.german: is 0"),
        (
            "id = \"returns\"",
            "id = \"sales\"",
            "queue[1].id: is also the id of business[0].workspace.queue[0]",
        ),
        (
            "keywords = [\"refund\"]",
            "keywords = [\"ORDER\"]",
            "bot: `order` leads to returns and to sales",
        ),
        (
            "queue = \"returns\" }",
            "queue = \"none\" }",
            "bot.option[0].queue: there is no queue `none`",
        ),
        (
            "id = \"ana\"\n",
            "id = \"ana\"\nqueues = [\"none\"]\n",
            "agent[0].queues: there is no queue `none`",
        ),
    ];
    refused(&cases);
}

#[test]
fn a_business_must_be_safe_in_itself() {
    let cases = [
        (
            "token = \"ana-token-0123456789\"",
            "",
            "agent[0].token: is missing; set business.workspace.agent_tokens",
        ),
        ("ana-token-0123456789", "short", "agent[0].token: is shorter than 16 characters"),
        (
            "\"1066\"",
            "\"1065\"",
            "number[1].phone_number_id: is also the number of business[0].number[0]",
        ),
        (
            "\"verify-me\"",
            "\"\"",
            "business[0].verify_token: give a value, or file:/path, or env:NAME",
        ),
        (
            "\"verify-me\"",
            "\"env:NO\"",
            "business[0].verify_token: set the environment variable NO",
        ),
    ];
    refused(&cases);
}

/// Each case replaces a text in [`SHOP`] and names what must be said about it.
fn refused(cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        assert!(SHOP.contains(*from), "{from}");
        let error = load(&SHOP.replacen(from, to, 1), &[]).expect_err(expected);
        let shown = error.to_string();
        assert!(shown.contains(*expected), "{expected}: {shown}");
    }
}

const EXTERNAL: &str = "\n[business.bot.external]\nendpoint = \"https://bot.example.org:9090\"\n\
                        token = \"env:BOT_TOKEN\"\n";

#[test]
fn an_external_bot_is_read_with_its_token_from_the_environment_and_not_printed() {
    let environment = [("BOT_TOKEN", "hidden-bot-token-01")];
    let config = load(&format!("{SHOP}{EXTERNAL}"), &environment).unwrap();
    let business = &config.businesses[0];
    let bot = business.external_bot(None, None).unwrap();
    assert_eq!((bot.token.expose(), bot.deadline_ms), ("hidden-bot-token-01", 5_000));
    // A flow of a number's own stands in its place, a bot of its own in both.
    assert!(business.external_bot(None, Some(Path::new("flow.toml"))).is_none());
    assert!(business.external_bot(Some(bot), Some(Path::new("flow.toml"))).is_some());
    let literal = EXTERNAL.replace("env:BOT_TOKEN", "hidden-bot-token-02");
    for (text, told) in [(EXTERNAL, "env:BOT_TOKEN"), (literal.as_str(), "[redacted]")] {
        let config = load(&format!("{SHOP}{text}"), &environment).unwrap();
        let printed = config.print_redacted();
        assert!(printed.contains(&format!("token = \"{told}\"")), "{printed}");
        assert!(!printed.contains("hidden-bot") && !format!("{config:?}").contains("hidden-bot"));
    }
}

#[test]
fn an_external_bot_must_be_safe_to_talk_to() {
    let token = [("BOT_TOKEN", "hidden-bot-token-01")];
    let key = "business[0].bot.external";
    let cases = [
        ("https://bot.example.org:9090", "http://bot.example.org", "endpoint: what customers say"),
        ("https://bot.example.org:9090", "bot.example.org:9090", "endpoint: write it as https://"),
        ("https://bot.example.org:9090", "https://", "endpoint: write scheme, host and port"),
        ("https://bot.example.org:9090", "https://x/path", "endpoint: write scheme, host and port"),
        ("env:BOT_TOKEN", "short", "token: is shorter than 16 characters"),
        ("env:BOT_TOKEN", "a token with spaces in it", "token: use printable ASCII"),
        ("env:BOT_TOKEN", "env:NO_TOKEN", "token: set the environment variable NO_TOKEN"),
        (
            "token =",
            "deadline_ms = 10001\ntoken =",
            "deadline_ms: is 10001; choose from 100 to 10000",
        ),
    ];
    for (from, to, expected) in cases {
        let found = problem(&format!("{SHOP}{}", EXTERNAL.replace(from, to)), &token);
        assert!(found.starts_with(&format!("{key}.{expected}")), "{found}");
    }
    for host in ["http://127.0.0.1:9090", "http://localhost:9090", "http://[::1]:9090"] {
        let text = EXTERNAL.replace("https://bot.example.org:9090", host);
        assert!(load(&format!("{SHOP}{text}"), &token).is_ok(), "{host}");
    }
}

#[test]
fn two_businesses_share_no_number_token_or_id() {
    let error = load(&format!("{SHOP}{SHOP}"), &[]).unwrap_err();
    let found: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "business[1].id: is also the id of business[0]; rename one",
            "business[1].workspace.id: is also the id of business[0].workspace; rename one",
            "business[1].workspace.agent[0].token: is also the token of \
             business[0].workspace.agent[0]; give every agent a token of its own",
            "business[1].number[0].phone_number_id: is also the number of business[0].number[0]; a \
             number belongs to one business, once",
            "business[1].number[1].phone_number_id: is also the number of business[0].number[1]; a \
             number belongs to one business, once",
        ]
    );
}

#[test]
fn agent_tokens_come_from_a_directory() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let text = SHOP.replace("token = \"ana-token-0123456789\"", "").replace(
        "id = \"shop-desk\"",
        &format!("id = \"d\"\nagent_tokens = \"{}\"", dir.display()),
    );
    let missing = problem(&text, &[]);
    let file = dir.join("ana");
    assert!(missing.contains(&format!("cannot read the file {}", file.display())), "{missing}");
    std::fs::write(&file, "\n").unwrap();
    assert!(problem(&text, &[]).contains("is empty; write the secret into it"));
    std::fs::write(&file, "ana-0123456789abcdef\n").unwrap();
    let config = load(&text, &[]).unwrap();
    let tokens: Vec<_> = config.agent_tokens().map(|(_, _, t)| t.expose()).collect();
    assert_eq!(tokens, ["ana-0123456789abcdef"]);
    let outside = problem(
        &text.replace("id = \"ana\"", "id = \"../ana\"").replace("phone_owner = \"ana\"", ""),
        &[("X", "")],
    );
    assert!(outside.contains("agent[0].id: use 1 to 64"), "{outside}");
}

#[test]
fn nothing_secret_is_printed() {
    let text = SHOP.replace("\"verify-me\"", "\"env:VERIFY\"");
    let config = load(&text, &[("VERIFY", "hidden-verify")]).unwrap();
    let printed = config.print_redacted();
    let debugged = format!("{config:?}");
    for secret in ["app-secret", "graph-token", "ana-token", "hidden-verify"] {
        assert!(!printed.contains(secret) && !debugged.contains(secret), "{secret}");
    }
    assert!(printed.contains("verify_token = \"env:VERIFY\""), "{printed}");
    assert!(printed.contains("access_token = \"[redacted]\""), "{printed}");
    // What is printed is a configuration again, section for section.
    let again = load(&printed, &[("VERIFY", "x")]).unwrap_err();
    assert!(again.to_string().contains("agent[0].token: is shorter"), "{again}");
}

#[test]
fn a_missing_file_is_an_error_not_an_empty_configuration() {
    let error = Config::load(Some(Path::new("/nonexistent/tandem.toml"))).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot read the configuration file /nonexistent/tandem.toml: "),
        "{text}"
    );
}

#[test]
fn a_read_model_in_postgres() {
    let url = ("DB", "postgres://u:hunter2@db.internal/tandem");
    let section = |more: &str| format!("{SHOP}\n[archive.postgres]\nurl = \"env:DB\"\n{more}");
    let config = load(&section(""), &[url]).unwrap();
    let postgres = config.archive.postgres.as_ref().unwrap();
    assert_eq!((postgres.pool_size, postgres.timeout_ms), (8, 10_000));
    assert_eq!(postgres.tls, PostgresTls::UnlessLocal);
    let printed = config.print_redacted();
    assert!(printed.contains("env:DB") && !printed.contains("hunter2"), "{printed}");
    assert!(load(SHOP, &[]).unwrap().archive.postgres.is_none());

    for (more, url, says) in [
        ("pool_size = 1", url.1, "archive.postgres.pool_size: is 1; choose from 2 to 200"),
        ("timeout_ms = 1", url.1, "archive.postgres.timeout_ms"),
        ("tls = \"off\"\nca_file = \"ca.pem\"", url.1, "archive.postgres.ca_file"),
        ("", "mysql://u:hunter2@db/x", "archive.postgres.url: write postgres://"),
        (
            "",
            "postgres://u:hunter2@db/x?sslmode=require",
            "archive.postgres.url: leave sslmode out",
        ),
        ("", "", "archive.postgres.url: the environment variable DB is empty"),
    ] {
        let found = problem(&section(more), &[("DB", url)]);
        assert!(found.starts_with(says) && !found.contains("hunter2"), "{found}");
    }
}

#[test]
fn segments_in_a_bucket() {
    let of = |bucket: &str, more: &str| {
        format!("{SHOP}\n[archive.s3]\nbucket = \"{bucket}\"\nregion = \"eu-1\"\n{more}")
    };
    let section = |more: &str| of("b", more);
    let keys = "access_key_id = \"id\"\nsecret_access_key = \"hunter2\"";
    let config = load(&section(keys), &[]).unwrap();
    assert!(!config.print_redacted().contains("hunter2"));
    for more in [
        "endpoint = \"http://127.0.0.1:9000\"",
        "endpoint = \"https://s3.example:9000\"\nprefix = \"shops/one\"",
        "endpoint = \"http://minio:9000\"\ninsecure_endpoint = true",
    ] {
        load(&section(more), &[]).unwrap();
    }
    let environment = [
        ("TANDEM_ARCHIVE__S3__ACCESS_KEY_ID", "id"),
        ("TANDEM_ARCHIVE__S3__SECRET_ACCESS_KEY", "env:KEY"),
        ("KEY", "hunter2"),
    ];
    let given = load(&section(""), &environment).unwrap().archive.s3.unwrap();
    assert_eq!(given.secret_access_key.unwrap().expose(), "hunter2");
    for (more, says) in [
        ("access_key_id = \"id\"", "archive.s3.access_key_id: set both"),
        ("endpoint = \"http://minio:9000\"", "archive.s3.endpoint: use https"),
        ("endpoint = \"minio:9000\"", "archive.s3.endpoint: write https://host"),
        ("endpoint = \"https://minio/\"", "archive.s3.endpoint: write scheme and host"),
        ("endpoint = \"https://\"", "archive.s3.endpoint: write scheme and host"),
        ("prefix = \"shop/\"", "archive.s3.prefix: use names"),
        ("prefix = \"../other\"", "archive.s3.prefix: use names"),
        (
            "secret_access_key = \"env:NONE\"\naccess_key_id = \"id\"",
            "archive.s3.secret_access_key",
        ),
        ("[archive]\nsegments = false", "archive.s3: there are no segments"),
        ("[archive]\nsegment_bytes = 2147483648", "archive.segment_bytes: with archive.s3"),
    ] {
        let found = problem(&section(more), &[]);
        assert!(found.starts_with(says), "{found}");
    }
    let found = problem(&of("", ""), &[]);
    assert!(found.starts_with("archive.s3.bucket: give its name"), "{found}");
}
