//! Any bytes as a webhook: no panic, a bounded answer, and whatever is read can be looked at.
//!
//! Good seeds: `cargo +nightly fuzz run webhook_parse fuzz/corpus/webhook_parse services/whatsapp/tests/payloads`

#![no_main]

use libfuzzer_sys::fuzz_target;
use whatsapp::webhook::{Kind, parse};

fuzz_target!(|body: &[u8]| {
    let Ok(items) = parse(body) else { return };
    // The shortest element that is kept has about two bytes; one entry may hold an error besides its elements.
    assert!(items.len() <= body.len() + 1, "{} items of {} bytes", items.len(), body.len());
    for item in &items {
        if let Kind::Inbound(message) = &item.kind {
            assert!(
                message.customer.is_known()
                    && !message.wamid.is_empty()
                    && message.group_id.is_none()
            );
            let _ = message.content.text_for_bot();
        }
        let _ = format!("{item:?}");
    }
});
