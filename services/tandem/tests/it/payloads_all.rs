//! Every recorded webhook goes in over HTTP, signed and escaped as Meta does, into one product, and does what INDEX.md
//! says of it, as seen through the public API. Each file has a customer of its own; what must move nothing is followed by
//! an old message of that customer, so that whatever wrongly came before it would be seen.

use std::collections::{BTreeMap, BTreeSet};

use api::v1::{AuthorKind, Conversation, Delivery, Direction, Message, message_detail::Content};
use serde_json::{Value, json};

use super::shop::{RECORDED_S, SECRET, Shop, as_meta_writes, payload, posts};

const RECORDED_MS: i64 = RECORDED_S as i64 * 1_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// The message that follows each file is that old.
const OLD_S: u64 = RECORDED_S - 10 * 24 * 3_600;
const OLD_WINDOW_MS: i64 = OLD_S as i64 * 1_000 + DAY_MS;

/// How the following message names the customer.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Both,
    PhoneOnly,
    IdOnly,
    /// The album's customer.
    Brazilian,
}

/// One file and what must be seen after it.
struct File {
    name: &'static str,
    /// Files of one number share a customer and come in this order.
    customer: u32,
    named: Named,
    /// Messages that must be there before: an echo with the id that the file's statuses are about.
    seeded: bool,
    check: fn(&Seen),
}

/// A customer's conversation without the following message.
struct Seen {
    name: &'static str,
    conversation: Conversation,
    thread: Vec<Message>,
}

impl Seen {
    fn opened_window(&self) -> bool {
        match self.conversation.window_until_ms {
            OLD_WINDOW_MS => false,
            until_ms
                if (RECORDED_MS + DAY_MS..RECORDED_MS + DAY_MS + 60_000).contains(&until_ms) =>
            {
                true
            }
            other => panic!("{}: the window ends at {other}", self.name),
        }
    }

    fn kinds(&self) -> Vec<&str> {
        self.thread.iter().map(|message| message.kind.as_str()).collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.thread.iter().map(|message| message.text.as_str()).collect()
    }

    fn content(&self, place: usize) -> &Content {
        let detail = self.thread[place].detail.as_ref();
        detail.and_then(|detail| detail.content.as_ref()).expect(self.name)
    }

    /// The one message that is neither seeded nor following.
    fn only(&self) -> &Message {
        assert_eq!(self.thread.len(), 1, "{}: {:#?}", self.name, self.thread);
        &self.thread[0]
    }

    fn charged(&self) -> (&str, &str, Option<bool>) {
        let pricing = self.only().pricing.as_ref().expect(self.name);
        (&pricing.r#type, &pricing.category, pricing.charged)
    }
}

/// Kept and counted, but no message, no window, no price.
fn moves_nothing(seen: &Seen) {
    assert!(seen.thread.is_empty(), "{}: {:#?}", seen.name, seen.thread);
    assert!(!seen.opened_window(), "{} opened the window", seen.name);
    assert!(seen.conversation.billing_windows.is_empty(), "{}", seen.name);
    assert_eq!(seen.conversation.marketing_consent, None, "{}", seen.name);
}

fn file(name: &'static str, customer: u32, check: fn(&Seen)) -> File {
    File { name, customer, named: Named::Both, seeded: false, check }
}

fn status(name: &'static str, customer: u32, check: fn(&Seen)) -> File {
    File { seeded: true, ..file(name, customer, check) }
}

fn texts_and_media() -> Vec<File> {
    vec![
        file("in_text", 1, |seen| {
            assert_eq!(seen.texts(), ["Hello, is my order 4711 ready? \u{f1} \u{1f600}"]);
            assert!(seen.opened_window());
        }),
        file("in_text_reply_and_forward", 2, |seen| {
            let [reply, forwarded, product] = &seen.thread[..] else {
                panic!("{:#?}", seen.thread)
            };
            assert!(!reply.target_message_id.is_empty() && !reply.forwarded);
            assert!(forwarded.forwarded && forwarded.target_message_id.is_empty());
            assert!(product.raw_json.contains("referred_product"));
        }),
        file("in_image_with_url", 3, |seen| {
            let Content::Media(media) = seen.content(0) else { panic!() };
            assert!(media.url.starts_with("https://lookaside") && media.mime_type == "image/jpeg");
            assert_eq!(
                (media.id.as_str(), seen.only().text.as_str()),
                ("900000000000001", "Broken screen")
            );
            assert!(!media.sha256.is_empty());
        }),
        file("in_voice_note", 4, |seen| {
            let Content::Media(media) = seen.content(0) else { panic!() };
            assert!(media.is_voice && media.mime_type == "audio/ogg; codecs=opus");
            assert_eq!(
                (seen.only().kind.as_str(), seen.only().text.as_str()),
                ("audio", "Voice note")
            );
        }),
        file("in_document_location_contacts", 5, |seen| {
            assert_eq!(seen.thread.len(), 4, "{:?}", seen.kinds());
            let kinds: BTreeSet<&str> = seen.kinds().into_iter().collect();
            assert!(kinds.is_superset(&["document", "location", "contacts"].into()));
            let answers = seen.thread.iter().any(|message| {
                match message.detail.as_ref().and_then(|d| d.content.as_ref()) {
                    Some(Content::Contacts(shared)) => {
                        shared.cards.iter().any(|card| card.origin == "contact_request")
                    }
                    _ => false,
                }
            });
            assert!(answers, "the answer to our asking for the number is known as such");
        }),
    ]
}

fn answers() -> Vec<File> {
    vec![
        file("in_interactive_button_reply", 6, |seen| {
            let Content::Choice(choice) = seen.content(0) else { panic!() };
            assert_eq!((choice.id.as_str(), choice.title.as_str()), ("confirm-4711", "Confirm"));
            assert_eq!(seen.only().text, "Confirm");
        }),
        file("in_interactive_list_reply", 7, |seen| {
            let Content::Choice(choice) = seen.content(0) else { panic!() };
            assert_eq!(
                (choice.id.as_str(), choice.description.as_str()),
                ("slot-10", "Tuesday 10:00")
            );
        }),
        file("in_flow_nfm_reply", 8, |seen| {
            let responses: Vec<&str> = (0..seen.thread.len())
                .map(|place| match seen.content(place) {
                    Content::FlowReply(reply) => reply.response_json.as_str(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(responses.iter().any(|text| text.contains("\"rating\"")), "{responses:?}");
            let not_an_object =
                |text: &&str| serde_json::from_str::<Value>(text).is_ok_and(|v| !v.is_object());
            assert!(responses.iter().any(not_an_object), "{responses:?}");
        }),
        file("in_reaction_add_then_remove", 9, |seen| {
            assert_eq!(seen.kinds(), ["reaction"; 3]);
            assert_eq!(
                seen.texts(),
                ["Reaction: \u{1f44d}", "Reaction taken back", "Reaction taken back"]
            );
            assert!(!seen.opened_window(), "reactions do not, unless configured");
        }),
        file("in_order", 10, |seen| {
            let Content::Order(order) = seen.content(0) else { panic!() };
            assert_eq!(
                (order.items[0].product_retailer_id.as_str(), order.items[0].quantity),
                ("sku-0001", 2)
            );
            assert_eq!(
                (order.items[0].price.as_str(), seen.only().text.as_str()),
                ("19.9", "Please deliver today")
            );
        }),
        file("in_referral_click_to_whatsapp", 11, |seen| {
            let referral = seen.only().referral.as_ref().unwrap();
            assert_eq!(
                (referral.source_type.as_str(), referral.headline.as_str()),
                ("ad", "Chat with us")
            );
            assert_eq!(referral.ctwa_clid, "SYNTHETIC-CLICK-ID");
            assert_eq!(seen.conversation.free_entry_until_ms, 0, "nothing was answered");
        }),
    ]
}

fn notices_and_the_unreadable() -> Vec<File> {
    vec![
        File {
            named: Named::PhoneOnly,
            ..file("in_system_user_changed_number", 12, |seen| {
                let Content::System(notice) = seen.content(0) else { panic!() };
                assert_eq!(notice.about, "user_changed_number");
                let contact = seen.conversation.contact.as_ref().unwrap();
                assert_eq!(contact.phone, phone(12, 1), "answers go to the new number");
                assert!(!seen.opened_window());
            })
        },
        file("in_system_identity_changed", 13, |seen| {
            let Content::System(notice) = seen.content(0) else { panic!() };
            assert_eq!(
                (notice.about.as_str(), seen.opened_window()),
                ("customer_identity_changed", false)
            );
        }),
        file("in_unsupported_131051", 14, |seen| {
            let Content::Unsupported(what) = seen.content(0) else { panic!() };
            assert_eq!((what.codes[0], what.original_type.as_str()), (131_051, "poll"));
            assert_eq!(seen.only().text, "Message that cannot be shown: poll");
        }),
        file("in_unsupported_131051_edit_fallback", 15, |seen| {
            assert_eq!(seen.only().text, "Message that cannot be shown: edit");
        }),
        file("in_unsupported_131060_coexistence", 16, |seen| {
            assert_eq!(seen.only().kind, "unsupported");
            assert!(seen.only().text.contains("look at the phone"));
            assert!(seen.opened_window() && seen.conversation.episode.is_some());
        }),
        file("in_request_welcome_legacy", 17, |seen| {
            assert_eq!(
                (seen.only().kind.as_str(), seen.opened_window()),
                ("request_welcome", false)
            );
        }),
    ]
}

fn customers_and_repeats() -> Vec<File> {
    vec![
        File {
            named: Named::IdOnly,
            ..file("in_bsuid_only_no_phone", 18, |seen| {
                let contact = seen.conversation.contact.as_ref().unwrap();
                assert_eq!((contact.phone.as_str(), contact.user_id.clone()), ("", user_id(18)));
            })
        },
        File {
            named: Named::IdOnly,
            ..file("in_bsuid_empty_string_phone", 19, |seen| {
                let contact = seen.conversation.contact.as_ref().unwrap();
                assert_eq!((contact.phone.as_str(), seen.thread.len()), ("", 1));
            })
        },
        file("in_group_message", 20, moves_nothing),
        file("in_user_action_link_click", 21, moves_nothing),
        File {
            named: Named::Brazilian,
            ..file("seq_album_parallel_new_contact", 22, |seen| {
                assert_eq!(seen.kinds(), ["image"; 5]);
                assert!(seen.opened_window());
            })
        },
        file("seq_duplicate_inbound_redelivery", 23, |seen| {
            let wamids: BTreeSet<&str> = seen.thread.iter().map(|m| m.wamid.as_str()).collect();
            assert_eq!((seen.thread.len(), wamids.len()), (2, 2));
        }),
    ]
}

fn status_files() -> Vec<File> {
    vec![
        status("status_sent_v24_no_conversation_no_pricing", 31, |seen| {
            assert_eq!((seen.only().delivery(), &seen.only().pricing), (Delivery::Sent, &None));
        }),
        status("status_delivered_service_in_free_tier", 32, |seen| {
            assert_eq!(seen.charged(), ("free_customer_service", "service", Some(false)));
            assert_eq!(seen.only().delivery(), Delivery::Delivered);
        }),
        status("status_delivered_service_after_free_tier", 33, |seen| {
            assert_eq!(seen.charged(), ("regular", "service", Some(true)));
        }),
        status("status_delivered_utility_inside_window_charged", 34, |seen| {
            assert_eq!(seen.charged(), ("regular", "utility", Some(true)));
        }),
        status("status_sent_free_entry_point", 35, |seen| {
            assert_eq!(seen.charged(), ("free_entry_point", "referral_conversion", Some(false)));
            let window = &seen.conversation.billing_windows[0];
            assert_eq!(window.category, "referral_conversion");
            assert_eq!(window.until_ms, RECORDED_MS + 3 * DAY_MS);
        }),
        status("status_sent_cbp_legacy_conversation", 36, |seen| {
            assert_eq!(seen.charged(), ("", "utility", Some(true)));
            let window = &seen.conversation.billing_windows[0];
            assert_eq!((window.category.as_str(), window.until_ms), ("utility", 1_748_822_400_000));
            assert!(!seen.opened_window());
        }),
        status("status_read_without_delivered", 37, |seen| {
            let times = seen.only().delivery_times.as_ref().unwrap();
            assert_eq!((seen.only().delivery(), times.delivered_ms), (Delivery::Read, 0));
            assert_eq!(seen.charged(), ("regular", "service", Some(true)));
        }),
        status("status_played_voice", 38, |seen| {
            assert_eq!(seen.only().delivery(), Delivery::Played)
        }),
        status("status_failed_131047_reengagement", 39, |seen| {
            assert_eq!(
                (seen.only().delivery(), seen.only().error_code),
                (Delivery::Failed, 131_047)
            );
        }),
        status("status_failed_131026_undeliverable", 40, |seen| {
            assert_eq!(
                (seen.only().delivery(), seen.only().error_code),
                (Delivery::Failed, 131_026)
            );
        }),
        status("status_bsuid_recipient_only", 41, |seen| {
            assert_eq!(seen.only().delivery(), Delivery::Delivered);
        }),
        status("seq_status_out_of_order_and_duplicates", 42, |seen| {
            let times = seen.only().delivery_times.as_ref().unwrap();
            assert_eq!(seen.only().delivery(), Delivery::Read);
            assert_eq!(times.delivered_ms, RECORDED_MS + 2_000);
            assert_eq!(seen.charged(), ("regular", "service", Some(true)));
        }),
        // Of a send of ours the echo is swallowed: see `payloads`. Of one that is not, it is the message.
        file("seq_api_send_status_then_echo_same_wamid", 43, |seen| {
            assert_eq!(
                (seen.only().direction(), seen.only().delivery()),
                (Direction::Outbound, Delivery::Sent)
            );
        }),
    ]
}

fn phone_files() -> Vec<File> {
    let mut files = vec![
        file("echo_text", 51, edited_and_deleted),
        file("echo_edit", 51, edited_and_deleted),
        file("echo_revoke", 51, edited_and_deleted),
        file("echo_image_with_contacts", 52, |seen| {
            assert_eq!(seen.only().author.as_ref().unwrap().kind(), AuthorKind::Phone);
            assert_eq!((seen.only().text.as_str(), seen.opened_window()), ("Our menu", false));
            let Content::Media(media) = seen.content(0) else { panic!() };
            assert_eq!(media.id, "900000000000301");
        }),
        file("user_preferences_stop", 53, |seen| {
            let consent = seen.conversation.marketing_consent.expect("the wish is known");
            assert_eq!((consent.allowed, consent.timestamp_ms), (false, RECORDED_MS));
            assert!(seen.thread.is_empty() && !seen.opened_window());
        }),
    ];
    files.extend(QUIET.into_iter().zip(60..).map(|(name, n)| file(name, n, moves_nothing)));
    files
}

fn files() -> Vec<File> {
    let lists = [
        texts_and_media(),
        answers(),
        notices_and_the_unreadable(),
        customers_and_repeats(),
        status_files(),
        phone_files(),
    ];
    lists.into_iter().flatten().collect()
}

/// What later parts of the product read: kept, counted by its kind, and nothing else.
const QUIET: [&str; 26] = [
    "history_phase0_chunk1_with_media_placeholder",
    "history_media_followup_messages",
    "history_media_followup_message_echoes",
    "history_declined_2593109_enveloped",
    "state_sync_add_and_edit",
    "state_sync_add_bsuid_only",
    "account_update_partner_added",
    "account_update_partner_removed_primary_inactivity",
    "account_update_partner_removed_legacy",
    "account_update_restriction",
    "account_update_disabled",
    "seq_account_update_volume_tier_duplicate",
    "business_capability_update",
    "phone_number_quality_update_throughput",
    "template_status_approved",
    "template_status_rejected",
    "template_status_paused",
    "template_quality_update",
    "seq_template_category_notice_then_change",
    "account_alerts_nested",
    "business_username_updates",
    "security_pin_changed",
    "phone_number_name_update",
    "call_connect_user_initiated",
    "call_terminate",
    "call_status_ringing",
];

/// Kinds of the gateway's counter that the files must have raised.
const COUNTED: [&str; 23] = [
    "inbound",
    "echo",
    "status",
    "group",
    "user_action",
    "history",
    "history_media",
    "history_progress",
    "history_refused",
    "state_sync",
    "account_update",
    "business_capability_update",
    "phone_number_quality_update",
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "account_alerts",
    "business_username_updates",
    "security",
    "phone_number_name_update",
    "call",
    "call_status",
    "user_preferences",
];

fn edited_and_deleted(seen: &Seen) {
    assert_eq!(seen.kinds(), ["text", "edit", "revoke"]);
    let text = &seen.thread[0];
    assert_eq!(text.text, "We will call you in 10 minutes");
    let before: Vec<&str> =
        text.earlier_texts.iter().map(|earlier| earlier.text.as_str()).collect();
    assert_eq!(before, ["We will call you in 5 minutes"]);
    assert_eq!((text.edited_ms, text.revoked_ms), (RECORDED_MS + 40_000, RECORDED_MS + 50_000));
    assert_eq!(seen.thread[1].target_message_id, text.message_id);
    assert!(!seen.opened_window(), "an echo opens no window");
}

fn phone(customer: u32, nth: u32) -> String {
    format!("121255{:05}", 60_000 + customer * 10 + nth)
}

fn user_id(customer: u32) -> String {
    format!("US.70431159204863{customer:05}")
}

/// The file's posts with its customer's names and ids of its own.
fn as_of(file: &File) -> Vec<Value> {
    let text = payload(file.name)
        .to_string()
        .replace("12125550123", &phone(file.customer, 0))
        .replace("12125550124", &phone(file.customer, 1))
        .replace("US.7043115920486377215", &user_id(file.customer))
        .replace("wamid.", &format!("wamid.c{}.", file.customer));
    posts(&serde_json::from_str(&text).unwrap())
}

fn post(field: &str, value: Value) -> Value {
    let mut value = value;
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] =
        json!({"display_phone_number": "12125550100", "phone_number_id": "200000000000202"});
    let change = json!({"field": field, "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "100000000000101", "changes": [change]}]})
}

fn following(file: &File) -> Value {
    let (from, id) = match file.named {
        Named::Both => (json!(phone(file.customer, 0)), json!(user_id(file.customer))),
        Named::PhoneOnly => (json!(phone(file.customer, 0)), Value::Null),
        Named::IdOnly => (Value::Null, json!(user_id(file.customer))),
        Named::Brazilian => (json!("5511900000123"), json!("BR.5520917734410936287")),
    };
    let message = json!({"from": from, "from_user_id": id, "id": follower(file.customer), "type": "text",
        "timestamp": OLD_S.to_string(), "text": {"body": "long ago"}});
    post("messages", json!({"messages": [message]}))
}

fn follower(customer: u32) -> String {
    format!("wamid.follows-{customer}")
}

/// An echo with the id that the file's first status is about.
fn seed(file: &File) -> Value {
    let posts = as_of(file);
    let wamid = &posts[0]["entry"][0]["changes"][0]["value"]["statuses"][0]["id"];
    let echo = json!({"from": "12125550100", "to": phone(file.customer, 0), "to_user_id": user_id(file.customer),
        "id": wamid, "timestamp": OLD_S.to_string(), "type": "text", "text": {"body": "ours"}});
    post("smb_message_echoes", json!({"message_echoes": [echo]}))
}

async fn deliver(shop: &Shop, file: &File) {
    if file.seeded {
        shop.deliver(&seed(file)).await;
    }
    let posts = as_of(file);
    match file.named {
        Named::Brazilian => {
            let all = posts.iter().map(|post| shop.post(Some(SECRET), as_meta_writes(post)));
            assert_eq!(futures::future::join_all(all).await, vec![200; 5]);
        }
        _ => shop.deliver(&Value::Array(posts)).await,
    }
}

#[tokio::test]
async fn every_recorded_webhook_does_what_its_index_says() {
    let shop = Shop::open("every payload").await;
    let files = files();
    assert_eq!(names_in_folder(), files.iter().map(|file| file.name.to_owned()).collect());
    for file in &files {
        deliver(&shop, file).await;
    }
    let customers: BTreeMap<u32, &File> = files.iter().map(|file| (file.customer, file)).collect();
    for file in customers.values() {
        shop.deliver(&following(file)).await;
    }
    let followers: BTreeSet<String> =
        customers.keys().map(|customer| follower(*customer)).collect();
    let all_there = |all: &[(Conversation, Vec<Message>)]| {
        let there = all.iter().flat_map(|(_, thread)| thread).map(|message| &message.wamid);
        there.filter(|wamid| followers.contains(*wamid)).count() == followers.len()
    };
    let all = shop.until("every following message", all_there).await;
    for file in &files {
        let follower = follower(file.customer);
        let of = |thread: &[Message]| thread.iter().any(|message| message.wamid == follower);
        let (conversation, thread) = all.iter().find(|(_, thread)| of(thread)).unwrap();
        let thread = thread.iter().filter(|message| message.wamid != follower).cloned().collect();
        (file.check)(&Seen { name: file.name, conversation: conversation.clone(), thread });
    }
    assert_eq!(all.len(), customers.len(), "a file opened a conversation of nobody");
    assert_eq!(shop.graph.calls(), [] as [Value; 0], "something made the product speak");
    let counted = shop.metrics().await;
    for kind in COUNTED {
        let line = format!("tandem_gateway_items_total{{kind=\"{kind}\"}}");
        assert!(counted.contains(&line), "{kind} is not counted");
    }
    shop.close().await;
}

/// Every webhook of the folder; the others are answers of the Graph API and of the sign-up.
fn names_in_folder() -> BTreeSet<String> {
    let folder = format!("{}/../whatsapp/tests/payloads", env!("CARGO_MANIFEST_DIR"));
    let names = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".json")?.to_owned();
        (!name.starts_with("api_") && !name.starts_with("es_")).then_some(name)
    });
    names.collect()
}
