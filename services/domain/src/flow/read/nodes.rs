//! The nodes and calendars of a flow file.

use std::collections::BTreeMap;

use regex::RegexBuilder;

use super::{
    NAME_ADVICE, Nodes, Reader, is_name,
    table::{At, Tab, text},
};
use crate::flow::{
    VIP_PRIORITY,
    calendar::{self, Calendar, Span},
    fields::{Days, Kind, Order, VALUE_CHARS_MAX},
    model::{Ask, Case, Faq, FaqAnswer, HandOffNode, Menu, Node, Retry, Test},
};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Memory of one compiled pattern, bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1_024;
const TYPES: &str = "message, menu, faq, ask, hours, condition, handoff, end";

impl Reader<'_, '_> {
    pub(super) fn nodes(&mut self, tab: &mut Tab<'_>) -> Nodes {
        let (mut nodes, mut places) = (BTreeMap::new(), BTreeMap::new());
        let Some(value) = tab.need("nodes", &mut self.found) else { return (nodes, places) };
        let Some(tab) = Tab::of(value, "[nodes]", &mut self.found) else { return (nodes, places) };
        for (name, at, value) in tab.entries() {
            if !is_name(name) {
                self.found.add(at, NAME_ADVICE);
            }
            places.insert(name.to_owned(), at);
            let Some(mut tab) = Tab::of(value, &format!("node `{name}`"), &mut self.found) else {
                continue;
            };
            tab.at = at;
            let known = self.node(name, &mut tab);
            if let Some(node) = known {
                tab.finish(&mut self.found);
                nodes.extend(node.map(|node| (name.to_owned(), node)));
            }
        }
        (nodes, places)
    }

    /// `None`: the type is not known, and so are its keys; inside: something needed is missing.
    fn node(&mut self, name: &str, tab: &mut Tab<'_>) -> Option<Option<Node>> {
        let kind = tab.need_text("type", &mut self.found)?;
        Some(match kind.value.as_str() {
            "message" => {
                let (text, set) = (self.need_words(tab, "text", 4_096), self.set(tab));
                let next = self.next(tab, "next", Some(name));
                text.zip(next).map(|(text, next)| Node::Message { text, set, next })
            }
            "menu" => self.menu(name, tab),
            "faq" => self.faq(name, tab),
            "ask" => self.ask(name, tab),
            "hours" => {
                let calendar = tab.need_text("calendar", &mut self.found);
                let (open, closed) =
                    (self.next(tab, "open", Some(name)), self.next(tab, "closed", Some(name)));
                if let Some(calendar) = &calendar
                    && !self.calendars.contains_key(&calendar.value)
                {
                    let advice = format!("there is no [calendars.{}]; add it", calendar.value);
                    self.found.add(calendar.at, advice);
                }
                let ways = open.zip(closed);
                ways.zip(calendar).map(|((open, closed), calendar)| Node::Hours {
                    calendar: calendar.value,
                    open,
                    closed,
                })
            }
            "condition" => self.condition(name, tab),
            "handoff" => Some(self.hand_off_node(tab)),
            "end" => Some(Node::End { text: self.optional_text(tab, "text", 4_096) }),
            other => {
                self.found
                    .add(kind.at, format!("`{other}` is no type of node; choose one of {TYPES}"));
                return None;
            }
        })
    }

    fn hand_off_node(&mut self, tab: &mut Tab<'_>) -> Node {
        let reason = tab.text("reason", &mut self.found);
        if let Some(reason) = reason.as_ref().filter(|reason| !is_name(&reason.value)) {
            self.found.add(reason.at, format!("a reason is a code for reports: {NAME_ADVICE}"));
        }
        let vip = tab.flag("vip", &mut self.found).unwrap_or(false);
        let priority = tab.whole("priority", -100..=100, &mut self.found);
        let priority = priority.and_then(|priority| i32::try_from(priority).ok());
        Node::HandOff(HandOffNode {
            queue: self.queue(tab),
            reason: reason.map(|reason| reason.value).unwrap_or_default(),
            priority: priority.unwrap_or(if vip { VIP_PRIORITY } else { 0 }),
            vip,
            text: self.optional_text(tab, "text", 4_096),
        })
    }

    fn menu(&mut self, name: &str, tab: &mut Tab<'_>) -> Option<Node> {
        let offer = self.choices(tab, Some(name));
        let text = self.need_words(tab, "text", offer.body_max());
        let faq = tab.text("faq", &mut self.found);
        let faq = faq.map(|faq| self.refer(faq, Some(name)));
        let retry = self.retry(name, tab, offer.body_max());
        Some(Node::Menu(Menu { text: text?, offer, faq, retry }))
    }

    fn retry(&mut self, name: &str, tab: &mut Tab<'_>, text_max: usize) -> Retry {
        Retry {
            text: self.optional_text(tab, "retry", text_max),
            tries: self.tries(tab),
            otherwise: self.optional_next(tab, "otherwise", name),
        }
    }

    fn faq(&mut self, name: &str, tab: &mut Tab<'_>) -> Option<Node> {
        let text = self.need_words(tab, "text", 4_096);
        let mut answers = Vec::new();
        for mut tab in tab.tables("answers", &mut self.found) {
            let phrases = self.phrases(&mut tab, "phrases");
            if phrases.is_empty() {
                self.found.add(tab.at, "the answer is never given; add `phrases`");
            }
            let text = self.need_words(&mut tab, "answer", 4_096);
            let next = self.optional_next(&mut tab, "next", name);
            tab.finish(&mut self.found);
            let phrases = phrases.into_iter().map(|(_, phrase)| phrase).collect();
            answers.extend(text.map(|text| FaqAnswer { phrases, text, next }));
        }
        if answers.is_empty() {
            self.found
                .add(tab.at, format!("node `{name}` has no answers; add [[nodes.{name}.answers]]"));
        }
        let retry = self.retry(name, tab, 4_096);
        Some(Node::Faq(Faq { text: text?, answers, retry }))
    }

    fn ask(&mut self, name: &str, tab: &mut Tab<'_>) -> Option<Node> {
        let field = tab.need_text("field", &mut self.found);
        if let Some(field) = &field {
            self.variable_name(&field.value, field.at);
            *self.defined.entry(field.value.clone()).or_default() += 1;
        }
        let kind = self.kind_of_field(tab);
        let body_max = match &kind {
            Some(Kind::Choice(choices)) => choices.body_max(),
            _ => 4_096,
        };
        let text = self.need_words(tab, "text", body_max);
        let next = self.next(tab, "next", Some(name));
        let retry = self.retry(name, tab, body_max);
        Some(Node::Ask(Ask { text: text?, field: field?.value, kind: kind?, next: next?, retry }))
    }

    fn kind_of_field(&mut self, tab: &mut Tab<'_>) -> Option<Kind> {
        let kind = tab.need_text("kind", &mut self.found)?;
        Some(match kind.value.as_str() {
            "text" => {
                let max = i64::try_from(VALUE_CHARS_MAX).unwrap_or(i64::MAX);
                let chars_min = tab.whole("min", 1..=max, &mut self.found).unwrap_or(1);
                let chars_max = tab.whole("max", chars_min..=max, &mut self.found).unwrap_or(200);
                Kind::Text {
                    chars_min: usize::try_from(chars_min).unwrap_or(1),
                    chars_max: usize::try_from(chars_max.max(chars_min)).unwrap_or(VALUE_CHARS_MAX),
                }
            }
            "name" => Kind::Name,
            "email" => Kind::Email,
            "phone" => Kind::Phone,
            "number" => {
                let (min, max) =
                    (tab.decimal("min", &mut self.found), tab.decimal("max", &mut self.found));
                if min.zip(max).is_some_and(|(min, max)| min > max) {
                    self.found.add(kind.at, "`min` is above `max`: no number fits");
                }
                let whole = tab.flag("whole", &mut self.found).unwrap_or(false);
                Kind::Number { min, max, whole }
            }
            "date" => self.date(tab),
            "choice" => Kind::Choice(self.choices(tab, None)),
            "regex" => Kind::Pattern(self.pattern(tab, "pattern")?),
            other => {
                let known = "text, name, email, phone, number, date, choice, regex";
                self.found
                    .add(kind.at, format!("`{other}` is no kind of field; choose one of {known}"));
                return None;
            }
        })
    }

    fn date(&mut self, tab: &mut Tab<'_>) -> Kind {
        let order = tab.text("order", &mut self.found);
        let days = tab.text("days", &mut self.found);
        let zone = tab.text("zone", &mut self.found);
        let order = match order.as_ref().map(|order| (order.at, order.value.as_str())) {
            None | Some((_, "day-first")) => Order::DayFirst,
            Some((_, "month-first")) => Order::MonthFirst,
            Some((at, _)) => {
                self.found.add(at, "`order` is day-first or month-first");
                Order::DayFirst
            }
        };
        let days = match days.as_ref().map(|days| (days.at, days.value.as_str())) {
            None | Some((_, "any")) => Days::Any,
            Some((_, "future")) => Days::Future,
            Some((_, "past")) => Days::Past,
            Some((at, _)) => {
                self.found.add(at, "`days` is any, future or past");
                Days::Any
            }
        };
        let zone = zone.and_then(|zone| self.zone(&zone)).unwrap_or(jiff::tz::TimeZone::UTC);
        Kind::Date { order, days, zone }
    }

    fn zone(&mut self, name: &At<String>) -> Option<jiff::tz::TimeZone> {
        let zone = calendar::zone(&name.value);
        if zone.is_none() {
            self.found.add(
                name.at,
                format!("`{}` is no time zone; write one such as Asia/Tokyo", name.value),
            );
        }
        zone
    }

    fn pattern(&mut self, tab: &mut Tab<'_>, key: &'static str) -> Option<regex::Regex> {
        let pattern = tab.need_text(key, &mut self.found)?;
        let built = RegexBuilder::new(&pattern.value).size_limit(PATTERN_BYTES_MAX).build();
        match built {
            Ok(regex) => Some(regex),
            Err(error) => {
                let told = error.to_string();
                let why = told.lines().last().unwrap_or_default().trim();
                self.found.add(pattern.at, format!("this is no regular expression: {why}"));
                None
            }
        }
    }

    fn condition(&mut self, name: &str, tab: &mut Tab<'_>) -> Option<Node> {
        let mut cases = Vec::new();
        for mut tab in tab.tables("when", &mut self.found) {
            let variable = tab.need_text("variable", &mut self.found);
            if let Some(variable) = &variable {
                self.variables.push(variable.clone());
            }
            let test = self.test(&mut tab);
            let next = self.next(&mut tab, "next", Some(name));
            tab.finish(&mut self.found);
            let case = variable.zip(test).zip(next);
            cases.extend(case.map(|((variable, test), next)| Case {
                variable: variable.value,
                test,
                next,
            }));
        }
        let otherwise = self.next(tab, "else", Some(name));
        otherwise.map(|otherwise| Node::Condition { cases, otherwise })
    }

    fn test(&mut self, tab: &mut Tab<'_>) -> Option<Test> {
        let equals = tab.text("equals", &mut self.found).map(|text| Test::Equals(vec![text.value]));
        let among = tab.texts("among", &mut self.found);
        let among = (!among.is_empty())
            .then(|| Test::Equals(among.into_iter().map(|text| text.value).collect()));
        let least = tab.decimal("at_least", &mut self.found).map(Test::AtLeast);
        let most = tab.decimal("at_most", &mut self.found).map(Test::AtMost);
        let set = tab.flag("is_set", &mut self.found).map(Test::IsSet);
        let matches = tab.take("matches").is_some();
        let matches = if matches { self.pattern(tab, "matches").map(Test::Matches) } else { None };
        let mut tests: Vec<Test> =
            [equals, among, least, most, set, matches].into_iter().flatten().collect();
        if tests.len() != 1 {
            self.found.add(
                tab.at,
                "give exactly one of equals, among, at_least, at_most, is_set, matches",
            );
        }
        tests.pop()
    }

    pub(super) fn read_calendars(&mut self, tab: &mut Tab<'_>) {
        let Some(value) = tab.take("calendars") else { return };
        let Some(tab) = Tab::of(value, "[calendars]", &mut self.found) else { return };
        for (name, at, value) in tab.entries() {
            let what = format!("calendar `{name}`");
            let Some(mut tab) = Tab::of(value, &what, &mut self.found) else { continue };
            tab.at = at;
            let calendar = self.calendar(&mut tab);
            tab.finish(&mut self.found);
            // A node may name it also where something in it is wrong.
            self.calendars.insert(name.to_owned(), calendar);
        }
    }

    fn calendar(&mut self, tab: &mut Tab<'_>) -> Calendar {
        let zone = tab.need_text("zone", &mut self.found);
        let zone = zone.and_then(|zone| self.zone(&zone)).unwrap_or(jiff::tz::TimeZone::UTC);
        let week = DAYS.map(|day| {
            let texts = tab.texts(day, &mut self.found);
            self.spans(texts)
        });
        let mut holidays = Vec::new();
        for day in tab.texts("holidays", &mut self.found) {
            match calendar::holiday(&day.value) {
                Some(holiday) => holidays.push(holiday),
                None => self
                    .found
                    .add(day.at, "write a day as \"2026-12-31\", or \"12-31\" for every year"),
            }
        }
        let mut special = BTreeMap::new();
        if let Some(value) = tab.take("special")
            && let Some(tab) = Tab::of(value, "`special`", &mut self.found)
        {
            for (day, at, value) in tab.entries() {
                let spans = value.get_ref().as_array().map(|array| {
                    array.iter().filter_map(|span| text(span, day, &mut self.found)).collect()
                });
                match (calendar::date(day), spans) {
                    (Some(date), Some(spans)) => drop(special.insert(date, self.spans(spans))),
                    _ => self
                        .found
                        .add(at, "write a special day as \"2026-12-30\" = [\"10:00-14:00\"]"),
                }
            }
        }
        Calendar { zone, week, holidays, special }
    }

    fn spans(&mut self, texts: Vec<At<String>>) -> Vec<Span> {
        let mut spans = Vec::new();
        for text in texts {
            match calendar::span(&text.value) {
                Some(span) => spans.push(span),
                None => self.found.add(text.at, "write hours as \"09:00-18:00\""),
            }
        }
        spans
    }
}
