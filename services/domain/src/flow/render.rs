//! Texts in several languages with variables: `{{customer.name}}`, `{{order|your order}}`.

use std::collections::BTreeMap;

/// One text in every language of its flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) BTreeMap<String, Template>);

impl Text {
    /// The template of a language; of any other where that is missing (checked flows miss none).
    pub(super) fn of(&self, language: &str) -> Option<&Template> {
        self.0.get(language).or_else(|| self.0.values().next())
    }
}

/// A text with its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Variable { name: String, otherwise: String },
}

impl Template {
    /// Reads `{{name}}` and `{{name|what to say without it}}`.
    ///
    /// Errors: what is wrong, with its byte within `text`.
    pub(super) fn read(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let at = text.len() - after.len() - 2;
            let (inside, behind) = after
                .split_once("}}")
                .ok_or((at, "`{{` without `}}`; write a variable as {{name}}"))?;
            let (name, otherwise) = inside.split_once('|').unwrap_or((inside, ""));
            let name = name.trim();
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) {
                return Err((at, "a variable's name is letters, digits, `_`, `-` and `.`"));
            }
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            let otherwise = otherwise.trim().to_owned();
            pieces.push(Piece::Variable { name: name.to_owned(), otherwise });
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    pub(super) fn plain(text: &str) -> Self {
        Self(vec![Piece::Literal(text.to_owned())])
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable { name, .. } => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// Characters that stand in it whatever the variables hold.
    pub(super) fn chars(&self) -> usize {
        let literal = |piece: &Piece| match piece {
            Piece::Literal(text) => text.chars().count(),
            Piece::Variable { .. } => 0,
        };
        self.0.iter().map(literal).sum()
    }

    /// The text with its variables filled in, at most `chars_max` characters.
    pub(super) fn render(
        &self,
        value: impl Fn(&str) -> Option<String>,
        chars_max: usize,
    ) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable { name, otherwise } => {
                    let value = value(name).filter(|value| !value.trim().is_empty());
                    text.push_str(value.as_deref().unwrap_or(otherwise));
                }
            }
        }
        cut(&text, chars_max)
    }
}

/// The text, ended with `…` where it is longer than Meta takes.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_what_they_hold_is_no_template() {
        let template = Template::read("Hello {{ name | friend }}, {{order}}!").unwrap();
        let value = |name: &str| (name == "order").then(|| "{{name}}".to_owned());
        assert_eq!(template.render(value, 100), "Hello friend, {{name}}!");
        assert_eq!(template.render(|_| Some("x".into()), 8), "Hello x…");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["name", "order"]);
        assert_eq!(template.chars(), 9);
    }

    #[test]
    fn a_variable_that_is_not_closed_or_has_no_name_is_told_with_its_place() {
        assert_eq!(Template::read("a {{b").unwrap_err().0, 2);
        assert_eq!(Template::read("{{}}").unwrap_err().0, 0);
        assert_eq!(Template::read("{{a b}}").unwrap_err().0, 0);
    }
}
