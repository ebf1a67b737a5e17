//! Reading a flow file: everything wrong with it, each with its line and column, or the flow.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use super::{
    calendar,
    check::{self, Reference},
    fold::Phrase,
    model::{Flow, HandOffRules, Node, Rule},
    problem::{Finder, Problems},
    render::{Template, Text},
    words,
};
use crate::{QueueId, content::ContentKind};

mod choices;
mod nodes;
mod table;

pub(super) use table::At;
use table::{Tab, Value, text};

/// Largest flow file, bytes: a thousand questions in five languages.
pub const FILE_BYTES_MAX: usize = 1_048_576;
/// Tries of a question where neither node nor flow says.
const TRIES: u32 = 2;

impl Flow {
    /// Reads and checks a file. `queues`: those of the business, where they are known; a flow that names another is
    /// refused then.
    ///
    /// # Errors
    /// Everything found wrong, in the order of the file.
    pub fn read(text: &str, queues: Option<&BTreeSet<QueueId>>) -> Result<Self, Problems> {
        let mut found = Finder::new(text);
        if text.len() > FILE_BYTES_MAX {
            found.add(0, format!("the file has more than {FILE_BYTES_MAX} bytes; split the flow"));
            return Err(Problems(found.finish()));
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            found.add_span(error.span(), format!("this is not TOML: {}", error.message()));
        }
        if !errors.is_empty() {
            return Err(Problems(found.finish()));
        }
        let mut reader = Reader {
            found,
            queues,
            languages: Vec::new(),
            references: Vec::new(),
            variables: Vec::new(),
            defined: BTreeMap::new(),
            calendars: BTreeMap::new(),
            tries: TRIES,
        };
        let flow = reader.flow(Tab::new(document.get_ref(), 0, "the flow"));
        match (flow, reader.found.finish()) {
            (Some(flow), found) if found.is_empty() => Ok(flow),
            (_, found) => Err(Problems(found)),
        }
    }
}

struct Reader<'t, 'q> {
    found: Finder<'t>,
    queues: Option<&'q BTreeSet<QueueId>>,
    languages: Vec<String>,
    /// Nodes that are named, and where.
    references: Vec<Reference>,
    /// Variables that texts and conditions name, and where.
    variables: Vec<At<String>>,
    /// Variables that a question or a `set` fills, and how many of them.
    defined: BTreeMap<String, usize>,
    calendars: BTreeMap<String, calendar::Calendar>,
    tries: u32,
}

impl Reader<'_, '_> {
    fn flow<'v>(&mut self, mut tab: Tab<'v>) -> Option<Flow> {
        let name = self.name(&mut tab, "name");
        let version = self.version(&mut tab);
        self.languages(&mut tab);
        let phone_languages = self.phone_languages(&mut tab);
        let greeting = self.optional_text(&mut tab, "greeting", 4_096);
        let restart = self.optional_text(&mut tab, "restart", 4_096);
        let hears_first = tab.flag("hears_first", &mut self.found).unwrap_or(true);
        let variables = self.fixed_variables(&mut tab);
        self.read_calendars(&mut tab);
        let hand_off = self.hand_off(&mut tab);
        let start = tab.need_text("start", &mut self.found);
        let (nodes, places) = self.nodes(&mut tab);
        let rules = self.rules(&mut tab);
        tab.finish(&mut self.found);
        for variable in &self.variables {
            let name = variable.value.as_str();
            let known = matches!(name, "customer.name" | "customer.phone" | "customer.language")
                || variables.contains_key(name)
                || self.defined.contains_key(name);
            if !known {
                self.found.add(
                    variable.at,
                    format!(
                        "nothing fills the variable `{name}`; ask for it, `set` it, name it in [variables], or use \
                         customer.name, customer.phone or customer.language"
                    ),
                );
            }
        }
        let start = start?;
        let graph = check::Graph {
            start: &start,
            nodes: &nodes,
            places: &places,
            references: &self.references,
            greets: greeting.is_some(),
        };
        check::check(&graph, &mut self.found);
        Some(Flow {
            name: name?,
            version: version?,
            languages: self.languages.clone(),
            phone_languages,
            greeting,
            restart,
            start: start.value,
            hears_first,
            variables,
            calendars: std::mem::take(&mut self.calendars),
            nodes,
            rules,
            hand_off,
        })
    }

    fn name(&mut self, tab: &mut Tab<'_>, key: &'static str) -> Option<String> {
        let name = tab.need_text(key, &mut self.found)?;
        if !is_name(&name.value) {
            self.found.add(name.at, NAME_ADVICE);
        }
        Some(name.value)
    }

    fn version(&mut self, tab: &mut Tab<'_>) -> Option<String> {
        let value = tab.need("version", &mut self.found)?;
        let version = match (value.get_ref().as_str(), value.get_ref().as_integer()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(number)) => number.as_str().to_owned(),
            _ => String::new(),
        };
        if version.is_empty() || version.len() > 32 {
            self.found
                .add(value.span().start, "`version` must be a number or a text of 1 to 32 bytes");
        }
        Some(version)
    }

    fn languages(&mut self, tab: &mut Tab<'_>) {
        let languages = tab.texts("languages", &mut self.found);
        if languages.is_empty() {
            self.found.add(
                tab.at,
                "the flow has no `languages`; write languages = [\"en\"], the default first",
            );
        }
        for language in languages {
            let plain = language.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !plain || !(2..=16).contains(&language.value.len()) {
                self.found.add(language.at, "write a language as its code: en, ja, pt-BR");
            } else if self.languages.contains(&language.value) {
                self.found.add(language.at, format!("`{}` is named twice", language.value));
            } else {
                self.languages.push(language.value);
            }
        }
    }

    fn phone_languages(&mut self, tab: &mut Tab<'_>) -> BTreeMap<String, String> {
        let mut codes = BTreeMap::new();
        let Some(value) = tab.take("phone_languages") else { return codes };
        let Some(tab) = Tab::of(value, "[phone_languages]", &mut self.found) else { return codes };
        for (code, at, value) in tab.entries() {
            if code.is_empty() || code.len() > 7 || !code.chars().all(|c| c.is_ascii_digit()) {
                self.found.add(at, "a calling code is digits without +, such as \"81\"");
            }
            if let Some(language) = text(value, code, &mut self.found) {
                self.known_language(&language);
                codes.insert(code.to_owned(), language.value);
            }
        }
        codes
    }

    fn known_language(&mut self, language: &At<String>) {
        if !self.languages.contains(&language.value) {
            let advice =
                format!("the flow does not speak `{}`; add it to languages", language.value);
            self.found.add(language.at, advice);
        }
    }

    fn fixed_variables(&mut self, tab: &mut Tab<'_>) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for (name, value) in self.values(tab, "variables") {
            variables.insert(name, value);
        }
        variables
    }

    /// `key = { name = "text", … }`.
    fn values(&mut self, tab: &mut Tab<'_>, key: &'static str) -> Vec<(String, String)> {
        let Some(value) = tab.take(key) else { return Vec::new() };
        let Some(tab) = Tab::of(value, key, &mut self.found) else { return Vec::new() };
        let mut values = Vec::new();
        for (name, at, value) in tab.entries() {
            self.variable_name(name, at);
            if let Some(value) = text(value, name, &mut self.found) {
                if value.value.chars().count() > super::fields::VALUE_CHARS_MAX {
                    self.found.add(value.at, "the value is longer than 254 characters");
                }
                values.push((name.to_owned(), value.value));
            }
        }
        values
    }

    /// `set = { … }` of a node or choice.
    fn set(&mut self, tab: &mut Tab<'_>) -> Vec<(String, String)> {
        let values = self.values(tab, "set");
        for (name, _) in &values {
            *self.defined.entry(name.clone()).or_default() += 1;
        }
        values
    }

    fn variable_name(&mut self, name: &str, at: usize) {
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if name.is_empty() || name.len() > 64 || !plain {
            self.found
                .add(at, "a variable's name is 1 to 64 bytes of letters, digits, `_` and `-`");
        }
    }

    fn hand_off(&mut self, tab: &mut Tab<'_>) -> HandOffRules {
        let mut phrases: Vec<Phrase> =
            words::HUMAN.iter().filter_map(|word| Phrase::new(word)).collect();
        let mut rules = HandOffRules { tries: TRIES, ..HandOffRules::default() };
        if let Some(value) = tab.take("handoff")
            && let Some(mut tab) = Tab::of(value, "[handoff]", &mut self.found)
        {
            if tab.flag("common_words", &mut self.found) == Some(false) {
                phrases.clear();
            }
            phrases.extend(self.phrases(&mut tab, "words").into_iter().map(|(_, phrase)| phrase));
            rules.queue = self.queue(&mut tab);
            rules.text = self.optional_text(&mut tab, "text", 4_096);
            rules.tries = self.tries(&mut tab);
            tab.finish(&mut self.found);
        }
        self.tries = rules.tries;
        HandOffRules { phrases, ..rules }
    }

    fn tries(&mut self, tab: &mut Tab<'_>) -> u32 {
        let tries = tab.whole("tries", 1..=10, &mut self.found);
        tries.and_then(|tries| u32::try_from(tries).ok()).unwrap_or(self.tries)
    }

    fn queue(&mut self, tab: &mut Tab<'_>) -> Option<QueueId> {
        let named = tab.text("queue", &mut self.found)?;
        let queue = QueueId(named.value);
        if let Some(queues) = self.queues
            && !queues.contains(&queue)
        {
            let known: Vec<&str> = queues.iter().map(|queue| queue.0.as_str()).collect();
            self.found.add(
                named.at,
                format!(
                    "there is no queue `{queue}` in this business; its queues: {}",
                    known.join(", ")
                ),
            );
        }
        Some(queue)
    }

    fn rules(&mut self, tab: &mut Tab<'_>) -> Vec<Rule> {
        let mut rules = Vec::new();
        for mut tab in tab.tables("rules", &mut self.found) {
            let phrases = self.phrases(&mut tab, "words");
            let kinds = tab.texts("kinds", &mut self.found);
            let kinds: Vec<ContentKind> = kinds.iter().filter_map(|kind| self.kind(kind)).collect();
            if phrases.is_empty() && kinds.is_empty() {
                self.found.add(tab.at, "the rule never applies; give it `words` or `kinds`");
            }
            let next = self.next(&mut tab, "next", None);
            tab.finish(&mut self.found);
            let phrases = phrases.into_iter().map(|(_, phrase)| phrase).collect();
            rules.extend(next.map(|next| Rule { phrases, kinds, next }));
        }
        rules
    }

    fn kind(&mut self, kind: &At<String>) -> Option<ContentKind> {
        Some(match kind.value.as_str() {
            "image" => ContentKind::Image,
            "video" => ContentKind::Video,
            "audio" => ContentKind::Audio,
            "document" => ContentKind::Document,
            "sticker" => ContentKind::Sticker,
            "location" => ContentKind::Location,
            "contacts" => ContentKind::Contacts,
            "order" => ContentKind::Order,
            _ => {
                let known = "image, video, audio, document, sticker, location, contacts, order";
                self.found.add(kind.at, format!("choose one of {known}"));
                return None;
            }
        })
    }

    /// Words to look for, with their places.
    fn phrases(&mut self, tab: &mut Tab<'_>, key: &'static str) -> Vec<(usize, Phrase)> {
        let mut phrases = Vec::new();
        for word in tab.texts(key, &mut self.found) {
            match Phrase::new(&word.value) {
                Some(phrase) => phrases.push((word.at, phrase)),
                None => self.found.add(word.at, "there is nothing to look for here; write words"),
            }
        }
        phrases
    }

    /// The node that `key` names; `from` is the node that says so.
    fn next(&mut self, tab: &mut Tab<'_>, key: &'static str, from: Option<&str>) -> Option<String> {
        let next = tab.need_text(key, &mut self.found)?;
        Some(self.refer(next, from))
    }

    fn optional_next(
        &mut self,
        tab: &mut Tab<'_>,
        key: &'static str,
        from: &str,
    ) -> Option<String> {
        let next = tab.text(key, &mut self.found)?;
        Some(self.refer(next, Some(from)))
    }

    fn refer(&mut self, to: At<String>, from: Option<&str>) -> String {
        self.references.push(Reference {
            from: from.map(str::to_owned),
            to: to.value.clone(),
            at: to.at,
        });
        to.value
    }

    fn need_words(&mut self, tab: &mut Tab<'_>, key: &'static str, max: usize) -> Option<Text> {
        let value = tab.need(key, &mut self.found)?;
        self.words(value, key, max, true)
    }

    fn optional_text(&mut self, tab: &mut Tab<'_>, key: &'static str, max: usize) -> Option<Text> {
        let value = tab.take(key)?;
        self.words(value, key, max, true)
    }

    /// A text in every language: `{ en = "…", ja = "…" }`, `{ any = "…" }`, or, in a flow of one language, `"…"`.
    fn words(&mut self, value: &Value<'_>, key: &str, max: usize, variables: bool) -> Option<Text> {
        let mut texts = BTreeMap::new();
        if value.get_ref().as_str().is_some() {
            if self.languages.len() > 1 {
                let example = self.languages.join(" = \"…\", ");
                self.found.add(
                    value.span().start,
                    format!("write `{key}` in every language: {{ {example} = \"…\" }}, or {{ any = \"…\" }} where it is the same"),
                );
            }
            let template = self.template(value, key, max, variables);
            for language in &self.languages {
                texts.insert(language.clone(), template.clone());
            }
            return Some(Text(texts));
        }
        let tab = Tab::of(value, &format!("`{key}`"), &mut self.found)?;
        let mut any = None;
        for (language, at, value) in tab.entries() {
            let template = self.template(value, language, max, variables);
            if language == "any" {
                any = Some(template);
            } else if self.languages.iter().any(|known| known == language) {
                texts.insert(language.to_owned(), template);
            } else {
                self.known_language(&At { at, value: language.to_owned() });
            }
        }
        for language in self.languages.clone() {
            match (texts.contains_key(&language), &any) {
                (false, Some(any)) => drop(texts.insert(language, any.clone())),
                (false, None) => {
                    self.found.add(tab.at, format!("`{key}` is missing in `{language}`; add it"))
                }
                (true, _) => {}
            }
        }
        Some(Text(texts))
    }

    fn template(&mut self, value: &Value<'_>, key: &str, max: usize, variables: bool) -> Template {
        let Some(written) = text(value, key, &mut self.found) else { return Template::default() };
        let template = match Template::read(&written.value) {
            Ok(template) => template,
            Err((_, why)) => {
                self.found.add(written.at, why);
                return Template::default();
            }
        };
        let length = template.chars();
        if length > max {
            self.found.add(
                written.at,
                format!("has {length} characters; WhatsApp takes {max}: shorten it"),
            );
        }
        if written.value.trim().is_empty() {
            self.found.add(written.at, "is empty; write a text");
        }
        for variable in template.variables() {
            if variables {
                self.variables.push(At { at: written.at, value: variable.to_owned() });
            } else {
                self.found.add(
                    written.at,
                    "variables cannot stand in titles: what is typed is compared with them",
                );
            }
        }
        template
    }
}

const NAME_ADVICE: &str = "use 1 to 64 letters, digits, `.`, `_` or `-`";

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

type Places = BTreeMap<String, usize>;
type Nodes = (BTreeMap<String, Node>, Places);
