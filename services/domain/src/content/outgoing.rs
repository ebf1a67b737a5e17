//! What a message to send says besides its text and media. Limits are checked at the edge that takes the message.

use serde::{Deserialize, Serialize};

use super::MediaReference;

/// The part of a message to send that its kind needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outgoing {
    /// A text shows a preview of its first link.
    PreviewUrl,
    /// A place.
    Location(Place),
    /// Contact cards.
    Contacts(Vec<ContactCard>),
    /// A reaction to the target; `None` takes an earlier one back.
    Reaction {
        /// The emoji.
        emoji: Option<String>,
    },
    /// Buttons, a list, a link, a form, a request.
    Interactive(Interactive),
    /// An approved template.
    Template(Template),
}

/// A place on earth, in ten-millionths of a degree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// North.
    pub latitude_e7: i32,
    /// East.
    pub longitude_e7: i32,
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
}

/// A contact card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// Name; the formatted one and at least one more part.
    pub name: PersonName,
    /// Phones.
    pub phones: Vec<Phone>,
    /// E-mail addresses.
    pub emails: Vec<Email>,
    /// Web addresses.
    pub urls: Vec<Url>,
    /// Postal addresses.
    pub addresses: Vec<Address>,
    /// Where the person works.
    pub organisation: Option<Organisation>,
    /// `YYYY-MM-DD`.
    pub birthday: Option<String>,
}

/// A person's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    /// As it is shown.
    pub formatted: String,
    /// First name.
    pub first: Option<String>,
    /// Last name.
    pub last: Option<String>,
    /// Middle name.
    pub middle: Option<String>,
    /// Before the name.
    pub prefix: Option<String>,
    /// After the name.
    pub suffix: Option<String>,
}

/// A phone of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// As it is shown.
    pub phone: String,
    /// `WORK`, `HOME`, …
    pub kind: Option<String>,
    /// Its WhatsApp id, digits.
    pub wa_id: Option<String>,
}

/// An e-mail address of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    pub email: String,
    /// `WORK`, `HOME`, …
    pub kind: Option<String>,
}

/// A web address of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    /// The address.
    pub url: String,
    /// `WORK`, `HOME`, …
    pub kind: Option<String>,
}

/// A postal address of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and house.
    pub street: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// ISO code of the country.
    pub country_code: Option<String>,
    /// `WORK`, `HOME`, …
    pub kind: Option<String>,
}

/// Where a person of a card works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Company.
    pub company: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Title.
    pub title: Option<String>,
}

/// An interactive message; its body is the content's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interactive {
    /// Above the body.
    pub header: Option<Header>,
    /// Below the body, small.
    pub footer: Option<String>,
    /// What the customer can do.
    pub action: Action,
}

/// What stands above the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// Text.
    Text(String),
    /// A file.
    File(HeaderFile),
}

/// A file in a header, of an interactive message or of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderFile {
    /// Image.
    Image(MediaReference),
    /// Video.
    Video(MediaReference),
    /// Document.
    Document(MediaReference),
}

/// What a customer can do with an interactive message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// One to three reply buttons.
    Buttons(Vec<Button>),
    /// A list to choose from.
    List {
        /// What opens the list.
        button: String,
        /// Its parts.
        sections: Vec<Section>,
    },
    /// A button with a link.
    CtaUrl {
        /// Title of the button.
        display_text: String,
        /// The link.
        url: String,
    },
    /// A form (WhatsApp Flow).
    Flow(Flow),
    /// Asks for the customer's location.
    LocationRequest,
    /// Asks a customer with a hidden number for the phone.
    ContactRequest,
}

/// A reply button.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Comes back with the answer.
    pub id: String,
    /// As the customer reads it.
    pub title: String,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Title; needed where there is more than one section.
    pub title: Option<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Comes back with the answer.
    pub id: String,
    /// As the customer reads it.
    pub title: String,
    /// Small, below.
    pub description: Option<String>,
}

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Meta's id; or
    pub id: Option<String>,
    /// its name.
    pub name: Option<String>,
    /// Title of the button.
    pub cta: String,
    /// Comes back with the answer.
    pub token: Option<String>,
    /// `draft` to try a form that is not published.
    pub mode: Option<String>,
    /// `navigate` or `data_exchange`.
    pub action: Option<String>,
    /// First screen and data (JSON object).
    pub action_payload_json: Option<String>,
}

/// A template with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// `en_US`, …
    pub language: String,
    /// Parameter of the header.
    pub header: Option<HeaderParameter>,
    /// Parameters of the body, in order.
    pub body: Vec<Parameter>,
    /// Parameters of the buttons.
    pub buttons: Vec<ButtonParameter>,
}

/// A parameter, by position or by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, in templates with names.
    pub name: Option<String>,
    /// Its value.
    pub value: ParameterValue,
}

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterValue {
    /// Text.
    Text(String),
    /// An amount of money.
    Currency {
        /// ISO 4217.
        code: String,
        /// Thousandths.
        amount_1000: i64,
        /// Shown where it cannot be localised.
        fallback: String,
    },
    /// A date; WhatsApp shows the text.
    DateTime(String),
}

/// What a header takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderParameter {
    /// A text.
    Text(Parameter),
    /// A file.
    File(HeaderFile),
    /// A place.
    Location(Place),
}

/// What a button takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ButtonParameter {
    /// From 0.
    pub index: u8,
    /// Its value.
    pub value: ButtonValue,
}

/// What a button takes, by its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ButtonValue {
    /// Quick reply: comes back when it is pressed.
    QuickReply(String),
    /// Link: the end of the address; of authentication templates, the code.
    UrlSuffix(String),
    /// Coupon: the code to copy.
    CouponCode(String),
    /// Form: its token.
    FlowToken(String),
}
