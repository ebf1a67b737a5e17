//! What messages hold beyond their text, and what they cost.

use domain::{
    content::detail::{ContactCard, Detail, OrderItem, Referral},
    conversation::Pricing,
};

use super::thread::ms;
use crate::v1::{self, message_detail as wire, message_detail::Content};

/// Typed content.
#[must_use]
pub fn detail(detail: Detail) -> v1::MessageDetail {
    let content = match detail {
        Detail::Media(media) => Content::Media(wire::Media {
            id: media.id.unwrap_or_default(),
            url: media.url.unwrap_or_default(),
            mime_type: media.mime_type.unwrap_or_default(),
            sha256: media.sha256.unwrap_or_default(),
            caption: media.caption.unwrap_or_default(),
            filename: media.filename.unwrap_or_default(),
            is_voice: media.is_voice,
            is_animated: media.is_animated,
        }),
        Detail::Location(place) => Content::Location(wire::Location {
            latitude: place.latitude.parse().unwrap_or_default(),
            longitude: place.longitude.parse().unwrap_or_default(),
            name: place.name.unwrap_or_default(),
            address: place.address.unwrap_or_default(),
            url: place.url.unwrap_or_default(),
        }),
        Detail::Contacts(cards) => {
            Content::Contacts(wire::Contacts { cards: cards.into_iter().map(card).collect() })
        }
        Detail::Choice(choice) => Content::Choice(wire::Choice {
            id: choice.id.unwrap_or_default(),
            title: choice.title.unwrap_or_default(),
            description: choice.description.unwrap_or_default(),
        }),
        Detail::Flow(reply) => Content::FlowReply(wire::FlowReply {
            name: reply.name.unwrap_or_default(),
            body: reply.body.unwrap_or_default(),
            response_json: reply.response_json.unwrap_or_default(),
        }),
        Detail::CallPermission(answer) => Content::CallPermission(wire::CallPermission {
            accepted: answer.accepted,
            until_ms: ms(answer.until_ms),
        }),
        Detail::Reaction { emoji } => {
            Content::Reaction(wire::ReactionPut { emoji: emoji.unwrap_or_default() })
        }
        Detail::Order(order) => Content::Order(wire::Order {
            catalog_id: order.catalog_id.unwrap_or_default(),
            items: order.items.into_iter().map(item).collect(),
        }),
        Detail::System(notice) => Content::System(wire::SystemNotice {
            about: notice.about,
            body: notice.body.unwrap_or_default(),
            new_phone: notice.new_phone.unwrap_or_default(),
            new_user_id: notice.new_bsuid.unwrap_or_default(),
        }),
        Detail::Edit { text } => Content::Edit(wire::EditMade { text: text.unwrap_or_default() }),
        Detail::Unsupported(what) => Content::Unsupported(wire::Unsupported {
            codes: what.codes,
            original_type: what.original_type.unwrap_or_default(),
        }),
    };
    v1::MessageDetail { content: Some(content) }
}

fn card(card: ContactCard) -> wire::contacts::Card {
    let phones = card.phones.into_iter().map(|(number, wa_id)| wire::contacts::Phone {
        number: number.unwrap_or_default(),
        wa_id: wa_id.unwrap_or_default(),
    });
    wire::contacts::Card {
        name: card.name.unwrap_or_default(),
        phones: phones.collect(),
        origin: card.origin.unwrap_or_default(),
    }
}

fn item(item: OrderItem) -> wire::order::Item {
    wire::order::Item {
        product_retailer_id: item.product,
        quantity: item.quantity.unwrap_or(0),
        price: item.price.unwrap_or_default(),
        currency: item.currency.unwrap_or_default(),
    }
}

/// An advertisement.
#[must_use]
pub fn referral(referral: Referral) -> v1::Referral {
    v1::Referral {
        source_type: referral.source_type.unwrap_or_default(),
        source_id: referral.source_id.unwrap_or_default(),
        source_url: referral.source_url.unwrap_or_default(),
        headline: referral.headline.unwrap_or_default(),
        body: referral.body.unwrap_or_default(),
        ctwa_clid: referral.ctwa_clid.unwrap_or_default(),
    }
}

/// A price.
#[must_use]
pub fn pricing(pricing: &Pricing) -> v1::Pricing {
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    v1::Pricing {
        model: word(&pricing.model),
        r#type: word(&pricing.kind),
        category: word(&pricing.category),
        charged: pricing.is_charged(),
        subtype: word(&pricing.subtype),
    }
}
