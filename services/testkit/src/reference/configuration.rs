//! `configuration.md`: every key with its type, default and meaning, from the structs the configuration is read into.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use quote::ToTokens as _;
use syn::{
    Attribute, Expr, ExprLit, Field, Fields, FnArg, ImplItem, Item, ItemEnum, ItemFn, ItemStruct,
    Lit, Meta, Stmt, Type,
};

use super::{ReferenceError, cell, read};
use crate::repository_root;

const HEAD: &str = "# Configuration reference

Made from `services/chassis/src/config` by `make reference`; do not edit. One TOML file; in the environment a key is
`TANDEM_` and its path joined by two underscores (`TANDEM_GATEWAY__LISTEN`). Unknown keys are errors. Durations end in
`_ms`, sizes in `_bytes`. A secret is written as it is, as `file:/path`, or as `env:NAME`. `tandem config check`
says what is wrong, with the key.
";

/// Everything of the sources that a page can be made of, by name.
#[derive(Default)]
struct Sources {
    structs: BTreeMap<String, ItemStruct>,
    enums: BTreeMap<String, ItemEnum>,
    functions: BTreeMap<String, ItemFn>,
    /// Fields of `impl Default`, by type.
    defaults: BTreeMap<String, BTreeMap<String, Expr>>,
}

/// The page.
pub(super) fn page() -> Result<String, ReferenceError> {
    let sources = sources()?;
    let root = sources.structs.get("Config").ok_or(ReferenceError::NoConfig)?;
    let mut page = HEAD.to_owned();
    write_section(&mut page, &sources, root, "");
    Ok(page)
}

fn sources() -> Result<Sources, ReferenceError> {
    let folder = repository_root().join("services/chassis/src");
    let mut paths = vec![folder.join("config.rs")];
    let mut folders = vec![folder.join("config")];
    while let Some(folder) = folders.pop() {
        let failed = |source| ReferenceError::File { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let mut sources = Sources::default();
    for path in paths {
        sources.add(path)?;
    }
    Ok(sources)
}

impl Sources {
    fn add(&mut self, path: PathBuf) -> Result<(), ReferenceError> {
        let text = read(&path)?;
        let file =
            syn::parse_file(&text).map_err(|source| ReferenceError::Rust { path, source })?;
        for item in file.items {
            match item {
                Item::Struct(it) => drop(self.structs.insert(it.ident.to_string(), it)),
                Item::Enum(it) => drop(self.enums.insert(it.ident.to_string(), it)),
                Item::Fn(it) => drop(self.functions.insert(it.sig.ident.to_string(), it)),
                Item::Impl(it) => {
                    let of = it.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
                    if of.is_some_and(|of| of.ident == "Default") {
                        let defaults = defaults_of(&it.items);
                        self.defaults.insert(name_of(&it.self_ty), defaults);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The struct that a type holds, and whether it is a list of them.
    fn section(&self, kind: &Type) -> Option<(&ItemStruct, bool)> {
        let name = name_of(kind);
        match inner(kind) {
            Some(inner) => Some((self.section(inner)?.0, name == "Vec")),
            None => Some((self.structs.get(&name).filter(|_| name != "Secret")?, false)),
        }
    }

    fn default_of(&self, owner: &ItemStruct, field: &Field) -> String {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        let of_owner = self.defaults.get(&owner.ident.to_string());
        let container = owner.attrs.iter().any(|attr| serde_value(attr, "default").is_some());
        if let Some(given) = of_owner.and_then(|of| of.get(&name)).filter(|_| container) {
            return shown(given);
        }
        let own = field.attrs.iter().find_map(|attr| serde_value(attr, "default"));
        match own {
            Some(Some(function)) => match self.functions.get(&function).and_then(body) {
                Some(given) => shown(given),
                None => format!("`{function}()`"),
            },
            Some(None) => empty(&field.ty),
            None if container => empty(&field.ty),
            None => "required".to_owned(),
        }
    }
}

/// A default as it would be written in TOML, where it can be told.
fn shown(given: &Expr) -> String {
    match given {
        Expr::Lit(ExprLit { lit, .. }) => literal(lit),
        Expr::MethodCall(call) => shown(&call.receiver),
        Expr::Reference(it) => shown(&it.expr),
        Expr::Call(call) => {
            let function = call.func.to_token_stream().to_string().replace(' ', "");
            match (function.as_str(), call.args.first()) {
                ("loopback", Some(Expr::Lit(ExprLit { lit: Lit::Int(port), .. }))) => {
                    format!("`\"127.0.0.1:{}\"`", port.base10_digits())
                }
                ("PathBuf::from" | "String::from" | "Some", Some(inner)) => shown(inner),
                ("Vec::new", None) => "`[]`".to_owned(),
                ("String::new", None) => "`\"\"`".to_owned(),
                ("BTreeMap::new" | "BTreeSet::new", None) => "empty".to_owned(),
                (other, _) => match other.strip_suffix("::default") {
                    Some(_) => "see below".to_owned(),
                    None => format!("`{other}(…)`"),
                },
            }
        }
        Expr::Path(path) => match path.path.segments.last() {
            Some(last) if last.ident == "None" => "not set".to_owned(),
            Some(last) => format!("`\"{}\"`", snake(&last.ident.to_string())),
            None => String::new(),
        },
        other => {
            let text = other.to_token_stream().to_string();
            format!("`{}`", text.replace('_', "").replace(" * ", " × "))
        }
    }
}

fn write_section(page: &mut String, sources: &Sources, of: &ItemStruct, path: &str) {
    let mut sections = Vec::new();
    page.push_str("\n| key | type | default | |\n|---|---|---|---|\n");
    let fields = match &of.fields {
        Fields::Named(named) => named.named.iter().collect(),
        _ => Vec::new(),
    };
    for field in fields {
        let key = key_of(field);
        if field.attrs.iter().any(|attr| serde_value(attr, "skip").is_some()) {
            continue;
        }
        if let Some((section, list)) = sources.section(&field.ty) {
            sections.push((field, section, list, key));
            continue;
        }
        let _ = writeln!(
            page,
            "| `{key}` | {} | {} | {} |",
            cell(&type_of(sources, &field.ty)),
            cell(&sources.default_of(of, field)),
            cell(&docs(&field.attrs)),
        );
    }
    for (field, section, list, key) in sections {
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        let title = if list { format!("[[{path}]]") } else { format!("[{path}]") };
        let _ = write!(page, "\n## `{title}`\n\n{}\n", docs(&section.attrs));
        let told = docs(&field.attrs);
        if !told.is_empty() {
            let _ = write!(page, "\n{told}\n");
        }
        write_section(page, sources, section, &path);
    }
}

fn type_of(sources: &Sources, kind: &Type) -> String {
    let name = name_of(kind);
    if let Some(inner) = inner(kind) {
        let inner_type = type_of(sources, inner);
        return match name.as_str() {
            "Vec" | "BTreeSet" => format!("list of {inner_type}"),
            "BTreeMap" => "table".to_owned(),
            _ => inner_type,
        };
    }
    if let Some(it) = sources.enums.get(&name) {
        let values = it.variants.iter().map(|v| format!("`\"{}\"`", snake(&v.ident.to_string())));
        return values.collect::<Vec<_>>().join(", ");
    }
    match name.as_str() {
        "String" | "PathBuf" => "text",
        "SocketAddr" => "address:port",
        "Secret" => "secret",
        "bool" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "number",
        other => return format!("`{other}`"),
    }
    .to_owned()
}

/// Variants are written in lower case, words joined by an underscore.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

fn key_of(field: &Field) -> String {
    let renamed = field.attrs.iter().find_map(|attr| serde_value(attr, "rename").flatten());
    let own = || field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    renamed.unwrap_or_else(own)
}

fn name_of(kind: &Type) -> String {
    match kind {
        Type::Path(path) => {
            path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
        }
        other => other.to_token_stream().to_string(),
    }
}

/// The last type argument of a generic type.
fn inner(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let syn::PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments
    else {
        return None;
    };
    arguments.args.iter().rev().find_map(|argument| match argument {
        syn::GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })
}

fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attr| attr.path().is_ident("doc")).filter_map(|attr| {
        let Meta::NameValue(pair) = &attr.meta else { return None };
        match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        }
    });
    plain_links(&lines.collect::<Vec<_>>().join(" "))
}

/// Links of rustdoc lead nowhere on a page: ``[`X`](y)`` and ``[`X`]`` become `X`.
fn plain_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("`]") else {
            out.push_str("[`");
            rest = after;
            continue;
        };
        let _ = write!(out, "`{name}`");
        rest = match tail.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after_target)) => after_target,
            None => tail,
        };
    }
    out.push_str(rest);
    out
}

/// `#[serde(name)]` → `Some(None)`, `#[serde(name = "value")]` → `Some(Some(value))`.
fn serde_value(attribute: &Attribute, name: &str) -> Option<Option<String>> {
    if !attribute.path().is_ident("serde") {
        return None;
    }
    let mut found = None;
    let parsed = attribute.parse_nested_meta(|meta| {
        let value = match meta.value() {
            Ok(value) => Some(value.parse::<syn::LitStr>()?.value()),
            Err(_) => None,
        };
        if meta.path.is_ident(name) {
            found = Some(value);
        }
        Ok(())
    });
    parsed.ok().and(found)
}

/// What a function without arguments answers, where it only says a value.
fn body(function: &ItemFn) -> Option<&Expr> {
    let no_arguments = !function.sig.inputs.iter().any(|it| matches!(it, FnArg::Typed(_)));
    match function.block.stmts.as_slice() {
        [Stmt::Expr(given, None)] if no_arguments => Some(given),
        _ => None,
    }
}

fn defaults_of(items: &[ImplItem]) -> BTreeMap<String, Expr> {
    let given = items.iter().find_map(|item| match item {
        ImplItem::Fn(function) => match function.block.stmts.last() {
            Some(Stmt::Expr(Expr::Struct(given), _)) => Some(given),
            _ => None,
        },
        _ => None,
    });
    let fields = given.map(|given| given.fields.iter());
    fields
        .into_iter()
        .flatten()
        .map(|field| (field.member.to_token_stream().to_string(), field.expr.clone()))
        .collect()
}

fn literal(lit: &Lit) -> String {
    match lit {
        Lit::Str(text) => format!("`{:?}`", text.value()),
        Lit::Int(number) => format!("`{}`", number.base10_digits()),
        Lit::Bool(it) => format!("`{}`", it.value),
        other => format!("`{}`", other.to_token_stream()),
    }
}

/// What a key has that may be left out and says no more.
fn empty(kind: &Type) -> String {
    match name_of(kind).as_str() {
        "Option" => "not set",
        "Vec" | "BTreeSet" => "`[]`",
        "BTreeMap" => "empty",
        "String" => "`\"\"`",
        "bool" => "`false`",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "`0`",
        _ => "see its values",
    }
    .to_owned()
}
