//! Field `account_update`: the life of the link between the business, its app account and us (fact
//! sheet 3.7).

use serde_json::value::RawValue;

use crate::identity::normalise_phone;
use crate::json::{Object, RawJson};
use crate::wire_enum::wire_enum;

wire_enum! {
    /// What happened to the account.
    AccountEvent {
        /// Account shared with the partner.
        PartnerAdded = "PARTNER_ADDED",
        /// App permission given.
        PartnerAppInstalled = "PARTNER_APP_INSTALLED",
        /// App permission taken.
        PartnerAppUninstalled = "PARTNER_APP_UNINSTALLED",
        /// Link gone: stop sending.
        PartnerRemoved = "PARTNER_REMOVED",
        /// Phone re-registered or changed device: sends fail, pause the queue.
        AccountOffboarded = "ACCOUNT_OFFBOARDED",
        /// Back again; no new history.
        AccountReconnected = "ACCOUNT_RECONNECTED",
        /// Account deleted.
        AccountDeleted = "ACCOUNT_DELETED",
        /// Ban scheduled, in force or lifted; see `ban_state`.
        DisabledUpdate = "DISABLED_UPDATE",
        /// Part of the account's abilities taken; see `restrictions`.
        AccountRestriction = "ACCOUNT_RESTRICTION",
        /// Policy violation; see `violation_type`.
        AccountViolation = "ACCOUNT_VIOLATION",
        /// Another volume tier for pricing.
        VolumeTierUpdate = "VOLUME_BASED_PRICING_TIER_UPDATE",
        /// Informative.
        AdAccountLinked = "AD_ACCOUNT_LINKED",
        /// Informative.
        MmLiteTermsSigned = "MM_LITE_TERMS_SIGNED",
        /// Informative.
        AuthIntlPriceEligibilityUpdate = "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE",
        /// Informative.
        PrimaryLocationCountryUpdate = "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE",
        /// Informative.
        PartnerClientCertificationStatusUpdate = "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE",
        /// Informative.
        VerifiedAccount = "VERIFIED_ACCOUNT",
    }
}

wire_enum! {
    /// Why the link to the phone is gone.
    DisconnectReason {
        /// The phone app was not opened for about 14 days.
        PrimaryInactivity = "PRIMARY_INACTIVITY",
        /// No companion was used for about 30 days.
        CompanionInactivity = "COMPANION_INACTIVITY",
        /// Moved to the consumer app.
        BusinessDowngrade = "BUSINESS_DOWNGRADE",
        /// Disconnected by hand.
        AccountDisconnected = "ACCOUNT_DISCONNECTED",
        /// The number was changed.
        ChangeNumber = "CHANGE_NUMBER",
        /// The number was registered anew.
        UserReRegistered = "USER_RE_REGISTERED",
    }
}

/// One account event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUpdate {
    /// What happened.
    pub event: AccountEvent,
    /// The client's account: `waba_info.waba_id`, else the entry's id (which can be the partner's
    /// own).
    pub client_waba_id: Option<String>,
    /// The number concerned, digits, where named (older coexistence form).
    pub phone_number: Option<String>,
    /// Why the link is gone.
    pub disconnect_reason: Option<DisconnectReason>,
    /// `USER` or `SYSTEM`.
    pub disconnect_initiated_by: Option<String>,
    /// `SCHEDULE_FOR_DISABLE`, `DISABLE`, `REINSTATE`.
    pub ban_state: Option<String>,
    /// An English date.
    pub ban_date: Option<String>,
    /// What is restricted.
    pub restrictions: Vec<Restriction>,
    /// The policy violated.
    pub violation_type: Option<String>,
    /// The volume tier, whole; of equal switches the one with the smallest `tier_update_time` is
    /// official.
    pub volume_tier: Option<RawJson>,
    /// The whole value.
    pub raw: RawJson,
}

/// One restriction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// `RESTRICTED_BIZ_INITIATED_MESSAGING`, …
    pub kind: String,
    /// Until when, epoch milliseconds.
    pub expires_ms: Option<i64>,
    /// What to do about it.
    pub remediation: Option<String>,
}

/// `None` without an event.
pub(super) fn read(
    raw: &RawValue,
    value: &Object<'_>,
    entry_waba_id: Option<&str>,
) -> Option<AccountUpdate> {
    let event = value.string("event")?;
    let info = value.object("waba_info");
    let disconnection = value.object("disconnection_info");
    let ban = value.object("ban_info");
    Some(AccountUpdate {
        event: AccountEvent::from_wire(&event),
        client_waba_id: info
            .and_then(|info| info.string("waba_id"))
            .or_else(|| entry_waba_id.map(str::to_owned)),
        phone_number: value.text("phone_number").as_deref().and_then(normalise_phone),
        disconnect_reason: disconnection
            .as_ref()
            .and_then(|info| info.string("reason"))
            .map(|word| DisconnectReason::from_wire(&word)),
        disconnect_initiated_by: disconnection.and_then(|info| info.string("initiated_by")),
        ban_state: ban.as_ref().and_then(|info| info.string("waba_ban_state")),
        ban_date: ban.and_then(|info| info.string("waba_ban_date")),
        restrictions: value
            .list("restriction_info")
            .unwrap_or_default()
            .into_iter()
            .filter_map(restriction)
            .collect(),
        violation_type: value
            .object("violation_info")
            .and_then(|info| info.string("violation_type")),
        volume_tier: value.kept("volume_tier_info"),
        raw: RawJson::of(raw),
    })
}

fn restriction(raw: &RawValue) -> Option<Restriction> {
    let info = Object::parse(raw)?;
    Some(Restriction {
        kind: info.string("restriction_type")?,
        expires_ms: info.timestamp_ms("expiration"),
        remediation: info.string("remediation"),
    })
}
