//! Reads Prometheus's text format, as far as our own endpoint writes it.

use std::collections::BTreeMap;

/// Values of one scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scrape {
    series: BTreeMap<String, Vec<Series>>,
}

/// One value and its labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Series {
    /// A label, empty where it is absent.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Scrape {
    /// Reads a whole answer; lines it does not understand are left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, series)) = parse_line(line) {
                scrape.series.entry(name).or_default().push(series);
            }
        }
        scrape
    }

    /// Every value of a metric.
    pub(super) fn all(&self, name: &str) -> &[Series] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }
}

fn parse_line(line: &str) -> Option<(String, Series)> {
    let (name, rest) = match line.split_once('{') {
        Some((name, rest)) => (name, rest),
        None => {
            let (name, value) = line.split_once(' ')?;
            let value = value.trim().parse().ok()?;
            return Some((name.to_owned(), Series { labels: BTreeMap::new(), value }));
        }
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(label.trim_start_matches(',').to_owned(), value);
        rest = after;
    }
    let value = rest.trim_start_matches('}').trim().parse().ok()?;
    Some((name.to_owned(), Series { labels, value }))
}

/// What stands before the closing quote, unescaped, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_label() {
        let scrape = Scrape::parse(
            "# HELP a b\n# TYPE a gauge\na 3\nitems{queue=\"sa\\\"l}es\",place=\"waiting\"} 2.5\nitems{} 1\nbad{x 1\n",
        );
        assert_eq!(scrape.all("a")[0].value, 3.0);
        let items = scrape.all("items");
        assert_eq!((items[0].label("queue"), items[0].value), ("sa\"l}es", 2.5));
        assert_eq!((items[0].label("place"), items[0].label("none")), ("waiting", ""));
        assert_eq!(items.len(), 2);
        assert!(scrape.all("bad").is_empty());
    }
}
