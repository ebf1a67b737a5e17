//! The names a change's `field` can have (fact sheet 1.2).

macro_rules! fields {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What a change is about. Closed, so that it can be a metric label; see [`Field::label`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
            /// Any other name; it stands in [`super::Route::field_name`].
            Unknown,
        }

        impl Field {
            /// All known fields, for subscribing and for describing metrics.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// Reads the exact name.
            pub fn from_name(name: &str) -> Self {
                match name { $($name => Self::$variant,)+ _ => Self::Unknown }
            }

            /// The name, or `unknown`.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ Self::Unknown => "unknown" }
            }
        }
    };
}

fields! {
    Messages = "messages",
    History = "history",
    SmbAppStateSync = "smb_app_state_sync",
    SmbMessageEchoes = "smb_message_echoes",
    AccountUpdate = "account_update",
    AccountAlerts = "account_alerts",
    AccountReviewUpdate = "account_review_update",
    AccountSettingsUpdate = "account_settings_update",
    BusinessCapabilityUpdate = "business_capability_update",
    BusinessUsernameUpdates = "business_username_updates",
    Calls = "calls",
    CallRecordingAvailable = "call_recording_available",
    Flows = "flows",
    AutomaticEvents = "automatic_events",
    GroupLifecycleUpdate = "group_lifecycle_update",
    GroupParticipantsUpdate = "group_participants_update",
    GroupSettingsUpdate = "group_settings_update",
    GroupStatusUpdate = "group_status_update",
    MessageTemplateStatusUpdate = "message_template_status_update",
    MessageTemplateQualityUpdate = "message_template_quality_update",
    MessageTemplateComponentsUpdate = "message_template_components_update",
    TemplateCategoryUpdate = "template_category_update",
    TemplateCorrectCategoryDetection = "template_correct_category_detection",
    MessagingHandovers = "messaging_handovers",
    Standby = "standby",
    PartnerSolutions = "partner_solutions",
    PaymentConfigurationUpdate = "payment_configuration_update",
    PhoneNumberNameUpdate = "phone_number_name_update",
    PhoneNumberQualityUpdate = "phone_number_quality_update",
    Security = "security",
    UserIdUpdate = "user_id_update",
    UserPreferences = "user_preferences",
}

impl Field {
    /// Fields whose value holds the arrays of conversations (`messages`, `statuses`,
    /// `message_echoes`, …).
    pub(crate) fn is_messaging(self) -> bool {
        matches!(
            self,
            Self::Messages
                | Self::History
                | Self::SmbAppStateSync
                | Self::SmbMessageEchoes
                | Self::Calls
                | Self::UserIdUpdate
                | Self::UserPreferences
        )
    }
}
