//! The reference says what the code says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use testkit::reference::pages;

#[test]
fn the_committed_pages_are_what_the_sources_make() {
    for page in pages().unwrap() {
        let committed = std::fs::read_to_string(&page.path).unwrap_or_default();
        let first = committed
            .lines()
            .zip(page.text.lines())
            .find(|(committed, made)| committed != made)
            .map_or_else(|| "its end".to_owned(), |(_, made)| made.to_owned());
        let name = page.path.display();
        assert!(committed == page.text, "{name} is old at: {first}\nrun `make reference`");
    }
}

#[test]
fn every_service_and_section_is_there_with_its_words() {
    let pages = pages().unwrap();
    let grpc = &pages[0].text;
    for wanted in [
        "# Service `Channel`",
        "## `Channel.Deliver`",
        "## `DeliverRequest`",
        "A message of a customer.",
    ] {
        assert!(grpc.contains(wanted), "grpc.md has no {wanted}");
    }
    let configuration = &pages[1].text;
    for wanted in [
        "## `[gateway]`",
        "## `[[business.number]]`",
        "| `partitions` | number | `8` |",
        "`\"coexistence\"`",
    ] {
        assert!(configuration.contains(wanted), "configuration.md has no {wanted}");
    }
    assert!(!configuration.contains("[[business.app_secrets]]"), "a secret is no section");
}
