//! The dashboard's "send test" posts are signed and look real (fact sheet 1.4, P30): they must open
//! no conversation.

use super::{AsideItem, Kind, Route};
use crate::identity::Customer;

/// Phone-number id of the samples.
const SAMPLE_PHONE_NUMBER_ID: &str = "123456123";
/// Account id of the samples.
const SAMPLE_WABA_ID: &str = "0";
/// Business numbers of the samples.
const SAMPLE_DISPLAY_NUMBER: &str = "16505551111";
/// Customer number of the samples.
const SAMPLE_CUSTOMER: &str = "16315551181";

/// Is the whole change a sample?
pub(super) fn is_sample_route(route: &Route) -> bool {
    let is = |value: &Option<String>, sample: &str| value.as_deref() == Some(sample);
    is(&route.phone_number_id, SAMPLE_PHONE_NUMBER_ID)
        || is(&route.waba_id, SAMPLE_WABA_ID)
        || is(&route.display_phone_number, SAMPLE_DISPLAY_NUMBER)
}

/// Is it about the samples' customer?
pub(super) fn is_sample_item(kind: &Kind) -> bool {
    customer_of(kind).is_some_and(|customer| customer.phone.as_deref() == Some(SAMPLE_CUSTOMER))
}

fn customer_of(kind: &Kind) -> Option<&Customer> {
    match kind {
        Kind::Inbound(message) | Kind::Echo(message) | Kind::HistoryMedia(message) => {
            Some(&message.customer)
        }
        Kind::Status(status) => Some(&status.recipient),
        Kind::History(item) => Some(&item.message.customer),
        Kind::StateSync(item) => Some(&item.customer),
        Kind::Preference(item) => Some(&item.customer),
        Kind::Call(item) => Some(&item.customer),
        Kind::CallStatus(item) => Some(&item.customer),
        Kind::Aside { what: AsideItem::Inbound(message) | AsideItem::Echo(message), .. } => {
            Some(&message.customer)
        }
        _ => None,
    }
}
