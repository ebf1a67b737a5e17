//! The example flows, played as tables: what the customer says, what the bot must say, how it ends.

use crate::flow::*;
use crate::persist;

/// Monday 2027-01-18, 10:00 in Madrid and 18:00 in Tokyo.
const MORNING_MS: u64 = 1_800_262_800_000;
const HOUR_MS: u64 = 3_600_000;

pub(super) struct Player {
    pub(super) flow: Flow,
    pub(super) state: State,
    pub(super) facts: Facts,
    /// Buttons and rows of the last menu: title and id.
    pub(super) buttons: Vec<(String, String)>,
}

impl Player {
    pub(super) fn new(flow: Flow, phone: &str, now_ms: u64) -> Self {
        let facts = Facts { now_ms, name: Some("Ana".into()), phone: Some(phone.into()) };
        Self { flow, state: State::default(), facts, buttons: Vec::new() }
    }

    pub(super) fn hear(&mut self, heard: Option<&Heard>) -> (Vec<String>, Turn) {
        let turn = self.flow.turn(&self.state, heard, &self.facts);
        assert_eq!(turn, self.flow.turn(&self.state, heard, &self.facts), "a turn is pure");
        self.state = turn.state.clone();
        let bytes = persist::encode(&self.state).unwrap().len();
        assert!(bytes <= 2_048, "the state has {bytes} bytes");
        let mut said = Vec::new();
        for reply in &turn.answer.replies {
            match reply {
                Reply::Text(text) => said.push(text.clone()),
                Reply::Media { .. } => panic!("flows send no media"),
                Reply::Menu(menu) => {
                    let ids = menu.choices.iter().map(|c| (c.title.clone(), c.id.clone()));
                    self.buttons = ids.collect();
                    let titles: Vec<&str> = menu.choices.iter().map(|c| c.title.as_str()).collect();
                    said.push(format!("{} [{}]", menu.body, titles.join("|")));
                }
            }
        }
        (said, turn)
    }

    /// `[Title]` taps a button of the last menu, `<image>` sends one, anything else is typed.
    pub(super) fn say(&mut self, words: &str) -> (Vec<String>, Turn) {
        let heard = if let Some(title) = words.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
            let (_, id) = self.buttons.iter().find(|(shown, _)| shown == title).expect(title);
            Heard { text: Some(title.to_owned()), ..Heard::choice(id) }
        } else if words == "<image>" {
            Heard { kind: Some(crate::content::ContentKind::Image), ..Heard::default() }
        } else {
            Heard::text(words)
        };
        self.hear(Some(&heard))
    }
}

pub(super) fn example(name: &str) -> Flow {
    let file = format!("{}/../../flows/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap();
    Flow::read(&text, None).unwrap_or_else(|problems| panic!("{}", problems.told(&file)))
}

/// How a dialogue ends, in short.
fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Wait => "wait".into(),
        Outcome::End => "end".into(),
        Outcome::HandOff(told) => {
            let fields: Vec<String> =
                told.fields.iter().map(|f| format!("{}={}", f.name, f.value)).collect();
            let queue = told.queue.as_ref().map_or("-", |queue| queue.0.as_str());
            format!(
                "{} {} {queue} {} {}",
                told.why.code(),
                told.reason,
                told.priority,
                fields.join(",")
            )
        }
    }
}

/// (what is said, a part of every answer in order, the ending)
type Line<'a> = (&'a str, &'a [&'a str], &'a str);

fn play(name: &str, phone: &str, now_ms: u64, lines: &[Line<'_>]) {
    let mut player = Player::new(example(name), phone, now_ms);
    for (words, parts, end) in lines {
        let (said, turn) = player.say(words);
        assert_eq!(said.len(), parts.len(), "{name} {words:?}: {said:#?}");
        for (text, part) in said.iter().zip(*parts) {
            assert!(text.contains(part), "{name} {words:?}: {text:?} has no {part:?}");
        }
        assert_eq!(ending(&turn.answer.outcome).trim(), *end, "{name} {words:?}");
    }
}

#[test]
fn the_bank() {
    let us = "15550100";
    play(
        "bank",
        us,
        MORNING_MS,
        &[
            (
                "hello",
                &["Welcome to Example Bank, Ana.", "What is it about? [Cards|Loans|A question]"],
                "wait",
            ),
            ("[Loans]", &["How much"], "wait"),
            ("a lot", &["1,000 to 500,000"], "wait"),
            ("150,000", &["e-mail"], "wait"),
            (
                "it is ana@example.com",
                &["A colleague"],
                "rule mortgage - 10 amount=150000,email=ana@example.com",
            ),
        ],
    );
    // In the words of the customer, in Spanish by the calling code, out of hours.
    play(
        "bank",
        "34600100200",
        MORNING_MS + 12 * HOUR_MS,
        &[
            ("hola", &["Bienvenido", "cerrada", "[Tarjetas|Préstamos|Una pregunta]"], "wait"),
            ("quiero un PRESTAMO", &["Cuánto"], "wait"),
            ("５０００", &["correo"], "wait"),
            ("no tengo", &["no es un correo"], "wait"),
            ("no", &["Un compañero"], "not_understood  - 0 amount=5000"),
        ],
    );
    // A rule from anywhere, and as the first words.
    play(
        "bank",
        us,
        MORNING_MS,
        &[("my card was STOLEN!!", &["Welcome", "right away"], "rule lost_card - 100")],
    );
    play(
        "bank",
        us,
        MORNING_MS,
        &[
            ("hi", &["Welcome", "What is it about?"], "wait"),
            ("[Loans]", &["How much"], "wait"),
            ("oh no, fraud on my account", &["right away"], "rule lost_card - 100"),
        ],
    );
    // A question in the middle of the menu, then a person.
    play(
        "bank",
        us,
        MORNING_MS,
        &[
            ("hi", &["Welcome", "What is it about?"], "wait"),
            ("when are you open?", &["Monday to Friday", "What is it about?"], "wait"),
            ("can I talk to a HUMAN", &["A colleague"], "requested  - 0"),
        ],
    );
}

#[test]
fn the_shop() {
    play(
        "shop",
        "15550100",
        MORNING_MS,
        &[
            ("where is my parcel", &["Hi Ana", "order number"], "wait"),
            ("dunno", &["Two letters"], "wait"),
            ("ab-123456", &["order ab-123456"], "rule order - 0 order=ab-123456"),
        ],
    );
    // A list; typed misses get numbers; a number answers.
    play(
        "shop",
        "49151000000",
        MORNING_MS,
        &[
            (
                "hallo",
                &[
                    "Hallo Ana",
                    "Wie kann ich helfen? [Meine Bestellung|Rückgabe oder Tausch|Beratung|Deutsch|Português]",
                ],
                "wait",
            ),
            (
                "äh",
                &[
                    "1. Meine Bestellung – Wo ist sie, wann kommt sie\n2. Rückgabe oder Tausch\n3. Beratung",
                ],
                "wait",
            ),
            ("2.", &["Was stimmt nicht? [Passt nicht|Beschädigt|Doch nicht]"], "wait"),
            ("die GROSSE passt nicht... Größe", &["Rücksendeetikett"], "end"),
        ],
    );
    play(
        "shop",
        "15550100",
        MORNING_MS,
        &[
            ("hi", &["Hi", "How can I help?"], "wait"),
            ("[Português]", &["Como posso ajudar?"], "wait"),
            ("quanto é o FRETE", &["50 €", "Como posso ajudar?"], "wait"),
            ("[Devolução ou troca]", &["O que aconteceu?"], "wait"),
            ("[Danificado]", &["Vou chamar"], "rule damage - 5 reason=damaged"),
        ],
    );
}

/// At a question with free answers, only a message that is nothing but the words asks for a person.
#[test]
fn the_shop_listens_to_free_text() {
    play(
        "shop",
        "15550100",
        MORNING_MS,
        &[
            ("hi", &["Hi", "How can I help?"], "wait"),
            ("advice please", &["in one sentence"], "wait"),
            (
                "a present for my agent in Rome",
                &["a colleague"],
                "rule advice - 0 wish=a present for my agent in Rome",
            ),
        ],
    );
    play(
        "shop",
        "15550100",
        MORNING_MS,
        &[
            ("hi", &["Hi", "How can I help?"], "wait"),
            ("advice please", &["in one sentence"], "wait"),
            ("Agent!", &["a colleague"], "requested  - 0"),
        ],
    );
    play("shop", "15550100", MORNING_MS, &[("<image>", &["Hi", "a colleague"], "rule damage - 5")]);
}

#[test]
fn the_clinic() {
    let japan = "819012345678";
    let open_ms = MORNING_MS - HOUR_MS;
    play(
        "clinic",
        japan,
        open_ms,
        &[
            ("こんにちは", &["Ana様", "ご用件をお選びください。 [予約|質問|English]"], "wait"),
            ("明日の予約をしたいのですが", &["お名前"], "wait"),
            ("山田 太郎", &["山田 太郎様"], "wait"),
            ("２０２７年１月１日", &["今日以降"], "wait"),
            ("２０２７年１月２０日", &["お電話番号"], "wait"),
            ("０９０−１２３４−５６７８", &["お電話番号"], "wait"),
            (
                "０９０-１２３４-５６７８",
                &["2027-01-20の空き"],
                "rule appointment reception 0 name=山田 太郎,day=2027-01-20,phone=09012345678",
            ),
        ],
    );
    play(
        "clinic",
        japan,
        open_ms + 3 * HOUR_MS,
        &[
            ("はじめまして", &["Ana様", "診療時間外", "[予約|質問|English]"], "wait"),
            ("[English]", &["言語 / Language [日本語|English]"], "wait"),
            ("[English]", &["What can we do"], "wait"),
            ("book", &["Your name"], "wait"),
            ("reception", &["Our reception"], "requested  reception 0 after_hours=yes"),
        ],
    );
    play(
        "clinic",
        "15550100",
        open_ms,
        &[("I have chest pain", &["Hello Ana", "119"], "rule emergency nurse 100")],
    );
    play(
        "clinic",
        japan,
        open_ms,
        &[
            ("質問があります", &["Ana様", "ご質問をどうぞ"], "wait"),
            ("パーキングはありますか", &["3台"], "wait"),
            ("ﾊﾟｰｷﾝｸﾞ", &["3台"], "wait"),
            ("ハーキンク", &["ご質問をどうぞ"], "wait"),
            ("ありがとうございました", &["お大事に"], "end"),
        ],
    );
}

/// The language chosen once is spoken from then on, also in the next episode.
#[test]
fn the_language_of_an_earlier_choice_is_kept() {
    let mut player = Player::new(example("shop"), "15550100", MORNING_MS);
    player.say("hi");
    player.say("[Deutsch]");
    let (_, turn) = player.say("mensch");
    assert!(matches!(turn.answer.outcome, Outcome::HandOff(_)));
    let (said, _) = player.say("hi");
    assert!(said[0].starts_with("Hallo"), "{said:?}");
    // A title typed in another language chooses it, too.
    let mut player = Player::new(example("shop"), "15550100", MORNING_MS);
    player.say("hi");
    let (said, _) = player.say("meine bestellung");
    assert!(said[0].contains("Bestellnummer"), "{said:?}");
}
