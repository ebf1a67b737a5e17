//! `grpc.md`: services, messages and enums with their comments.

use std::{collections::BTreeMap, fmt::Write as _};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::{ReferenceError, cell};
use crate::repository_root;

/// Comments by the path of what they are about.
type Comments = BTreeMap<Vec<i32>, String>;

// Numbers of fields of descriptor.proto, of which paths are made.
const FILE_MESSAGES: i32 = 4;
const FILE_ENUMS: i32 = 5;
const FILE_SERVICES: i32 = 6;
const MESSAGE_FIELDS: i32 = 2;
const MESSAGE_MESSAGES: i32 = 3;
const MESSAGE_ENUMS: i32 = 4;
const SERVICE_METHODS: i32 = 2;
const ENUM_VALUES: i32 = 2;

const HEAD: &str = "# gRPC reference

Made from the comments in `proto/tandem/v1` by `make reference`; do not edit. Start with the
[integrator's guide](../guide-integrator.md). Times are Unix milliseconds (UTC), ids are opaque text. Every error carries
`google.rpc.Status` details: `ErrorInfo` (a reason to compare), `BadRequest` (which field), `RetryInfo` (when repeating
helps).
";

/// The page.
pub(super) fn page() -> Result<String, ReferenceError> {
    let files = files()?;
    let mut page = HEAD.to_owned();
    for file in &files {
        let comments = comments_of(file);
        for (place, service) in (0..).zip(&file.service) {
            write_service(&mut page, service, &comments, &[FILE_SERVICES, place]);
        }
    }
    page.push_str("\n# Messages\n");
    for file in &files {
        let comments = comments_of(file);
        for (place, message) in (0..).zip(&file.message_type) {
            let path = [FILE_MESSAGES, place];
            write_message(&mut page, message, message.name(), &comments, &path);
        }
        for (place, it) in (0..).zip(&file.enum_type) {
            write_enum(&mut page, it, it.name(), &comments, &[FILE_ENUMS, place]);
        }
    }
    Ok(page)
}

/// Every file of `proto/tandem/v1`, with its comments.
fn files() -> Result<Vec<FileDescriptorProto>, ReferenceError> {
    let root = repository_root().join("proto");
    let folder = root.join("tandem/v1");
    let failed = |source| ReferenceError::File { path: folder.clone(), source };
    let entries = std::fs::read_dir(&folder).map_err(failed)?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".proto"))
        .map(|name| format!("tandem/v1/{name}"))
        .collect();
    names.sort();
    let mut compiler = protox::Compiler::new([&root]).map_err(Box::new)?;
    compiler.include_source_info(true).include_imports(false);
    compiler.open_files(&names).map_err(Box::new)?;
    let mut files = compiler.file_descriptor_set().file;
    files.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(files)
}

fn comments_of(file: &FileDescriptorProto) -> Comments {
    let info = file.source_code_info.as_ref();
    let places = info.map_or(&[][..], |info| info.location.as_slice());
    places
        .iter()
        .filter_map(|place| {
            let text = place.leading_comments.as_deref().or(place.trailing_comments.as_deref())?;
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            Some((place.path.clone(), lines.join("\n").trim().to_owned()))
        })
        .collect()
}

fn comment<'a>(comments: &'a Comments, path: &[i32]) -> &'a str {
    comments.get(path).map_or("", String::as_str)
}

fn under(path: &[i32], field: i32, place: i32) -> Vec<i32> {
    [path, &[field, place]].concat()
}

fn write_service(
    page: &mut String,
    service: &ServiceDescriptorProto,
    comments: &Comments,
    path: &[i32],
) {
    let _ = write!(page, "\n# Service `{}`\n\n{}\n", service.name(), comment(comments, path));
    for (place, method) in (0..).zip(&service.method) {
        let stream = |streams: bool| if streams { "stream " } else { "" };
        let _ = write!(
            page,
            "\n## `{}.{}`\n\n{}{} → {}{}\n\n{}\n",
            service.name(),
            method.name(),
            stream(method.client_streaming()),
            link(method.input_type()),
            stream(method.server_streaming()),
            link(method.output_type()),
            comment(comments, &under(path, SERVICE_METHODS, place)),
        );
    }
}

fn write_message(
    page: &mut String,
    message: &DescriptorProto,
    name: &str,
    comments: &Comments,
    path: &[i32],
) {
    let _ = write!(page, "\n## `{name}`\n\n");
    let told = comment(comments, path);
    if !told.is_empty() {
        let _ = write!(page, "{told}\n\n");
    }
    let fields: Vec<_> = (0..).zip(&message.field).collect();
    if fields.is_empty() {
        page.push_str("No fields.\n");
    } else {
        page.push_str("| field | type | |\n|---|---|---|\n");
    }
    for (place, field) in fields {
        let told = comment(comments, &under(path, MESSAGE_FIELDS, place));
        let kind = type_of(message, field);
        let _ =
            writeln!(page, "| `{}` = {} | {kind} | {} |", field.name(), field.number(), cell(told));
    }
    for (place, inner) in (0..).zip(&message.nested_type) {
        if inner.options.as_ref().is_some_and(|options| options.map_entry()) {
            continue;
        }
        let name = format!("{name}.{}", inner.name());
        write_message(page, inner, &name, comments, &under(path, MESSAGE_MESSAGES, place));
    }
    for (place, inner) in (0..).zip(&message.enum_type) {
        let name = format!("{name}.{}", inner.name());
        write_enum(page, inner, &name, comments, &under(path, MESSAGE_ENUMS, place));
    }
}

fn write_enum(
    page: &mut String,
    it: &EnumDescriptorProto,
    name: &str,
    comments: &Comments,
    path: &[i32],
) {
    let _ = write!(page, "\n## `{name}`\n\n");
    let told = comment(comments, path);
    if !told.is_empty() {
        let _ = write!(page, "{told}\n\n");
    }
    page.push_str("| value | |\n|---|---|\n");
    for (place, value) in (0..).zip(&it.value) {
        let told = comment(comments, &under(path, ENUM_VALUES, place));
        let _ = writeln!(page, "| `{}` = {} | {} |", value.name(), value.number(), cell(told));
    }
}

fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let one_of = field.oneof_index.and_then(|at| message.oneof_decl.get(usize::try_from(at).ok()?));
    let one_of = one_of.filter(|_| !field.proto3_optional());
    let name = match field.r#type() {
        Type::Message | Type::Enum => {
            let map = message.nested_type.iter().find(|inner| {
                let entry = inner.options.as_ref().is_some_and(|options| options.map_entry());
                entry && field.type_name().ends_with(&format!(".{}", inner.name()))
            });
            match map.map(|entry| entry.field.as_slice()) {
                Some([key, value]) => {
                    return format!(
                        "map of {} to {}",
                        type_of(message, key),
                        type_of(message, value)
                    );
                }
                _ => link(field.type_name()),
            }
        }
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match (field.label(), one_of) {
        (Label::Repeated, _) => format!("repeated {name}"),
        (_, Some(one_of)) => format!("{name}, one of `{}`", one_of.name()),
        _ if field.proto3_optional() => format!("optional {name}"),
        _ => name,
    }
}

/// A link to a message of ours; others by name.
fn link(type_name: &str) -> String {
    match type_name.strip_prefix(".tandem.v1.") {
        Some(name) => {
            let anchor = name.to_lowercase().replace('.', "");
            format!("[{name}](#{anchor})")
        }
        None => format!("`{}`", type_name.trim_start_matches('.')),
    }
}
