//! The choices of menus and questions, with Meta's limits.

use std::collections::BTreeMap;

use super::{Reader, table::Tab};
use crate::flow::{
    engine::{
        BUTTON_BODY_MAX, BUTTON_TITLE_MAX, DESCRIPTION_MAX, OPENER_MAX, ROW_TITLE_MAX,
        TEXT_CHARS_MAX,
    },
    fold::fold,
    model::{Choice, Choices, Style},
    render::Text,
};

const BUTTONS_MAX: usize = 3;
const ROWS_MAX: usize = 10;
/// Choices of a numbered text: more nobody reads.
const TEXT_CHOICES_MAX: usize = 20;
const TEXT_TITLE_MAX: usize = 60;

impl Choices {
    /// Characters of the text above them.
    pub(super) fn body_max(&self) -> usize {
        match self.style {
            Style::Buttons => BUTTON_BODY_MAX,
            Style::List | Style::Text => TEXT_CHARS_MAX,
        }
    }
}

impl Reader<'_, '_> {
    /// `choices` of a menu, whose choices lead on (`from` is its name), or of a question.
    pub(super) fn choices(&mut self, tab: &mut Tab<'_>, from: Option<&str>) -> Choices {
        let tabs = tab.tables("choices", &mut self.found);
        let count = tabs.len();
        let style = self.style(tab, count);
        let opener = self.optional_text(tab, "opener", OPENER_MAX);
        if style == Style::List && opener.is_none() {
            self.found.add(tab.at, "a list is opened by a button; add `opener`, the button's text of at most 20 characters");
        }
        let title_max = match style {
            Style::Buttons => BUTTON_TITLE_MAX,
            Style::List => ROW_TITLE_MAX,
            Style::Text => TEXT_TITLE_MAX,
        };
        let mut seen = Seen::default();
        let list = tabs.into_iter().filter_map(|tab| self.choice(tab, from, title_max, &mut seen));
        let list: Vec<Choice> = list.collect();
        Choices { style, opener, list }
    }

    fn style(&mut self, tab: &mut Tab<'_>, count: usize) -> Style {
        let style = tab.text("style", &mut self.found);
        let at = style.as_ref().map_or(tab.at, |style| style.at);
        let (style, most) = match style.as_ref().map_or("auto", |style| style.value.as_str()) {
            "auto" if count <= BUTTONS_MAX => (Style::Buttons, BUTTONS_MAX),
            "auto" | "list" => (Style::List, ROWS_MAX),
            "buttons" => (Style::Buttons, BUTTONS_MAX),
            "text" => (Style::Text, TEXT_CHOICES_MAX),
            _ => {
                self.found.add(at, "`style` is auto, buttons, list or text");
                (Style::Text, TEXT_CHOICES_MAX)
            }
        };
        if count == 0 {
            self.found.add(tab.at, "there are no choices; add at least one [[….choices]]");
        } else if count > most {
            self.found.add(
                at,
                format!("{count} choices; this style takes {most}: use a sub-menu, or style = \"text\" up to {TEXT_CHOICES_MAX}"),
            );
        }
        style
    }

    fn choice(
        &mut self,
        mut tab: Tab<'_>,
        from: Option<&str>,
        title_max: usize,
        seen: &mut Seen,
    ) -> Option<Choice> {
        let title_value = tab.need("title", &mut self.found);
        let title_at = title_value.map_or(tab.at, |value| value.span().start);
        let title = title_value.and_then(|value| self.words(value, "title", title_max, false));
        let description = self.optional_text(&mut tab, "description", DESCRIPTION_MAX);
        let phrases = self.phrases(&mut tab, "keywords");
        for (at, phrase) in &phrases {
            if let Some(first) = seen.keywords.insert(phrase.folded().to_owned(), *at) {
                seen.keywords.insert(phrase.folded().to_owned(), first);
                self.found
                    .add(*at, format!("`{}` leads to two choices; keep one", phrase.folded()));
            }
        }
        let language = tab.text("language", &mut self.found);
        if let Some(language) = &language {
            self.known_language(language);
        }
        let (next, set, value) = match from {
            Some(from) => (self.next(&mut tab, "next", Some(from)), self.set(&mut tab), None),
            None => (Some(String::new()), Vec::new(), tab.text("value", &mut self.found)),
        };
        tab.finish(&mut self.found);
        let title = title?;
        self.titles(&title, title_at, seen);
        let shown = title.of(self.languages.first().map_or("", String::as_str));
        let shown = shown.map(|title| title.render(|_| None, TEXT_TITLE_MAX)).unwrap_or_default();
        Some(Choice {
            key: fold(&shown).replace('#', ""),
            title,
            description,
            phrases: phrases.into_iter().map(|(_, phrase)| phrase).collect(),
            next: next?,
            language: language.map(|language| language.value),
            set,
            value: value.map_or(shown, |value| value.value),
        })
    }

    fn titles(&mut self, title: &Text, at: usize, seen: &mut Seen) {
        for (language, template) in &title.0 {
            let shown = fold(&template.render(|_| None, TEXT_CHARS_MAX));
            if seen.titles.insert((language.clone(), shown.clone()), at).is_some() {
                self.found.add(at, format!("two choices are called `{shown}` in `{language}`; WhatsApp refuses that, rename one"));
            }
        }
    }
}

/// What must differ among the choices of one node.
#[derive(Default)]
pub(super) struct Seen {
    titles: BTreeMap<(String, String), usize>,
    keywords: BTreeMap<String, usize>,
}
