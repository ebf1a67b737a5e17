//! Holds the two READMEs together: what one tells to type, the other tells too, and both have the same parts. Method: read both as
//! text and compare what is not prose.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path};

/// What of a page must be the same in every language.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bones {
    /// Levels of the headings, in order.
    headings: Vec<usize>,
    /// Lines of code blocks without their comments, which are prose.
    code: Vec<String>,
    /// Rows of tables, in order: how many cells.
    rows: Vec<usize>,
    /// Commands, keys and names within the text, and how often.
    spans: BTreeMap<String, usize>,
    /// Where links lead, and how often.
    links: BTreeMap<String, usize>,
}

impl Bones {
    fn of(page: &str) -> Self {
        let mut bones = Self::default();
        let mut in_code = false;
        let mut prose = String::new();
        for line in page.lines() {
            if line.starts_with("```") {
                in_code = !in_code;
                bones.code.push(line.to_owned());
            } else if in_code {
                let command = line.split(" # ").next().unwrap_or_default().trim_end();
                bones.code.push(command.to_owned());
            } else {
                if line.starts_with('#') {
                    bones.headings.push(line.chars().take_while(|c| *c == '#').count());
                }
                if line.starts_with('|') {
                    bones.rows.push(line.split(" | ").count());
                }
                prose.push_str(line);
                prose.push('\n');
            }
        }
        for span in prose.split('`').skip(1).step_by(2) {
            *bones.spans.entry(span.to_owned()).or_default() += 1;
        }
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let other_language = link.starts_with("README");
            let link = if other_language { "the other README" } else { link };
            *bones.links.entry(link.to_owned()).or_default() += 1;
        }
        bones
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

#[test]
fn the_readmes_say_the_same() {
    let (english, japanese) = (read("README.md"), read("README.ja.md"));
    assert!(english.contains("](README.ja.md)") && japanese.contains("](README.md)"));
    let (one, other) = (Bones::of(&english), Bones::of(&japanese));
    assert_eq!(one.headings, other.headings, "headings");
    assert_eq!(one.code, other.code, "code blocks");
    assert_eq!(one.rows, other.rows, "tables");
    assert_eq!(one.links, other.links, "links");
    assert_eq!(one.spans, other.spans, "commands, keys and names");
}

#[test]
fn every_page_that_a_page_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md"), root.join("README.ja.md")];
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        pages.extend(Some(path).filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    assert!(pages.len() > 10, "the search for pages is broken");
    for page in pages {
        let bones = Bones::of(&fs::read_to_string(&page).unwrap());
        let here = bones.links.keys().filter(|link| !link.contains("://"));
        for link in here.filter(|link| *link != "the other README") {
            let file = link.split('#').next().unwrap_or_default();
            let target = page.parent().unwrap().join(file);
            assert!(file.is_empty() || target.exists(), "{} leads to {link}", page.display());
        }
    }
}

#[test]
fn a_forgotten_command_is_found() {
    let page = "# A\n```sh\nmake run     # runs\n```\n`q` quits, see [b](b.md)\n";
    let translated = "# あ\n```sh\nmake run     # 動かす\n```\n`q` で終了。[b](b.md) を参照\n";
    assert_eq!(Bones::of(page), Bones::of(translated));
    assert_ne!(Bones::of(page), Bones::of(&translated.replace("make run", "make rum")));
    assert_ne!(Bones::of(page), Bones::of(&translated.replace("`q`", "q")));
    assert_ne!(Bones::of(page), Bones::of(&translated.replace("# あ", "## あ")));
}
