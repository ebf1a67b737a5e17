//! Webhooks as Meta posts them, signed, as whole HTTP requests made before the clock runs.

use hmac::{Hmac, Mac};

use super::programs;

/// What a message is and whose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From {
    pub(crate) business: u32,
    pub(crate) number: u32,
    pub(crate) customer: u32,
}

/// The customer's phone number.
pub(crate) fn phone(customer: u32) -> String {
    format!("55119{customer:08}")
}

/// One text in one POST; `id` makes the wamid.
pub(crate) fn text(from: From, id: &str, at_s: u64, text: &str) -> Vec<u8> {
    let customer = phone(from.customer);
    let messages = format!(
        r#""contacts":[{{"profile":{{"name":"Ana Bench"}},"wa_id":"{customer}"}}],"messages":[{{"from":"{customer}","id":"wamid.{id}","timestamp":"{at_s}","type":"text","text":{{"body":"{text}"}}}}]"#
    );
    post(from.business, from.number, &messages)
}

/// One status in one POST.
pub(crate) fn status(
    from: From,
    wamid: &str,
    opaque: &str,
    status: &str,
    at_s: u64,
    customer: &str,
) -> Vec<u8> {
    let statuses = format!(
        r#""statuses":[{{"id":"{wamid}","status":"{status}","timestamp":"{at_s}","recipient_id":"{customer}","biz_opaque_callback_data":"{opaque}","conversation":{{"id":"c1","origin":{{"type":"service"}}}},"pricing":{{"billable":false,"pricing_model":"PMP","category":"service","type":"free_customer_service"}}}}]"#
    );
    post(from.business, from.number, &statuses)
}

fn post(business: u32, number: u32, what: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{}","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"1212555{number:04}","phone_number_id":"{}"}},{what}}}}}]}}]}}"#,
        programs::waba_id(business),
        programs::phone_number_id(business, number)
    );
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(programs::secret(business).as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!(
        "POST /webhook HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         x-hub-signature-256: sha256={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
