//! What only the whole graph shows: unknown and unreachable nodes, circles without the customer, too many messages
//! in a row.

use std::collections::{BTreeMap, BTreeSet};

use super::{engine::REPLIES_MAX, model::Node, problem::Finder, read::At};

/// A node that is named somewhere.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// By which node; none: by a rule of the whole flow.
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) at: usize,
}

/// A flow as a graph with the places of its nodes.
pub(super) struct Graph<'a> {
    pub(super) start: &'a At<String>,
    pub(super) nodes: &'a BTreeMap<String, Node>,
    pub(super) places: &'a BTreeMap<String, usize>,
    pub(super) references: &'a [Reference],
    pub(super) greets: bool,
}

pub(super) fn check(graph: &Graph<'_>, found: &mut Finder<'_>) {
    let start = (graph.start.value.as_str(), graph.start.at);
    let named = graph.references.iter().map(|reference| (reference.to.as_str(), reference.at));
    for (to, at) in std::iter::once(start).chain(named) {
        if !graph.places.contains_key(to) {
            found.add(at, format!("there is no node `{to}`; add [nodes.{to}] or correct the name"));
        }
    }
    let reached = reached(graph);
    for (name, at) in graph.places {
        if !reached.contains(name.as_str()) {
            found.add(*at, format!("nothing leads to node `{name}`; lead to it or remove it"));
        }
    }
    let mut walk = Walk { graph, found, known: BTreeMap::new(), path: Vec::new() };
    let greeting = usize::from(graph.greets);
    let longest = walk.messages(&graph.start.value);
    walk.too_many(&graph.start.value, longest.saturating_add(greeting));
    for name in graph.places.keys() {
        let longest = walk.messages(name);
        walk.too_many(name, longest);
    }
}

fn reached<'a>(graph: &'a Graph<'_>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![&graph.start.value];
    open.extend(graph.references.iter().filter(|r| r.from.is_none()).map(|r| r.to.as_str()));
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            let from_here = graph.references.iter().filter(|r| r.from.as_deref() == Some(name));
            open.extend(from_here.map(|reference| reference.to.as_str()));
        }
    }
    reached
}

/// Walks what is passed without the customer.
struct Walk<'a, 'g, 'f, 't> {
    graph: &'a Graph<'g>,
    found: &'f mut Finder<'t>,
    /// Messages said from a node until the customer is waited for.
    known: BTreeMap<String, usize>,
    path: Vec<String>,
}

impl Walk<'_, '_, '_, '_> {
    fn messages(&mut self, name: &str) -> usize {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        if let Some(begin) = self.path.iter().position(|passed| passed == name) {
            let circle = self.path.get(begin..).unwrap_or_default().join(" → ");
            let at = self.graph.places.get(name).copied().unwrap_or(0);
            self.found.add(
                at,
                format!("{circle} → {name} goes round without ever waiting for the customer; put a menu or a question in it"),
            );
            return 0;
        }
        let Some(node) = self.graph.nodes.get(name) else { return 0 };
        self.path.push(name.to_owned());
        let most = match node {
            Node::Message { next, .. } => 1 + self.messages(next),
            Node::Hours { open, closed, .. } => self.messages(open).max(self.messages(closed)),
            Node::Condition { cases, otherwise } => {
                let cases = cases.iter().map(|case| self.messages(&case.next)).max();
                cases.unwrap_or(0).max(self.messages(otherwise))
            }
            _ => 1,
        };
        self.path.pop();
        self.known.insert(name.to_owned(), most);
        most
    }

    fn too_many(&mut self, name: &str, messages: usize) {
        // An answer to a question may stand before what a node says.
        if messages >= REPLIES_MAX {
            let at = self.graph.places.get(name).copied().unwrap_or(0);
            self.found.add(
                at,
                format!("from `{name}` on {messages} messages are sent in a row; at most {} are: join texts", REPLIES_MAX - 1),
            );
        }
    }
}
