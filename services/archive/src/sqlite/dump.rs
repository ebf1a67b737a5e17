//! Every row as text, for comparing two read models.

use std::collections::BTreeMap;

use rusqlite::{Connection, types::ValueRef};

use crate::{ArchiveError, tables::TABLES};

/// Tables by name, rows sorted. The row number of a message is left out: it tells in which order partitions were
/// read, and nothing else.
pub(super) fn dump(db: &Connection) -> Result<BTreeMap<String, Vec<String>>, ArchiveError> {
    let mut tables = BTreeMap::new();
    for table in TABLES {
        let mut query = db.prepare(&format!("SELECT * FROM {table}"))?;
        let columns: Vec<String> = query.column_names().iter().map(|c| (*c).to_owned()).collect();
        let mut lines = Vec::new();
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let mut line = String::new();
            for (index, column) in columns.iter().enumerate().filter(|(_, c)| *c != "row") {
                let value = text(row.get_ref(index)?);
                line.push_str(&format!("{column}={value} "));
            }
            lines.push(line);
        }
        lines.sort();
        tables.insert(table.to_owned(), lines);
    }
    Ok(tables)
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "-".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
