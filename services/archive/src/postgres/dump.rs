//! Every row as text, for comparing two read models: the same text as the SQLite one's.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use tokio_postgres::{Row, types::Type};

use super::codes::get;
use crate::{ArchiveError, tables::TABLES};

/// Tables by name, rows sorted, without the number of a message's row.
pub(super) async fn dump(
    transaction: &Transaction<'_>,
) -> Result<BTreeMap<String, Vec<String>>, ArchiveError> {
    let mut tables = BTreeMap::new();
    for table in TABLES {
        let rows = transaction.query(&format!("SELECT * FROM {table}"), &[]).await?;
        let mut lines = rows.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        lines.sort();
        tables.insert(table.to_owned(), lines);
    }
    Ok(tables)
}

fn line(row: &Row) -> Result<String, ArchiveError> {
    let mut line = String::new();
    for column in row.columns().iter().filter(|column| column.name() != "ord") {
        let name = column.name();
        let value = match *column.type_() {
            Type::INT2 => get::<Option<i16>>(row, name)?.map(|number| number.to_string()),
            Type::INT4 => get::<Option<i32>>(row, name)?.map(|number| number.to_string()),
            Type::INT8 => get::<Option<i64>>(row, name)?.map(|number| number.to_string()),
            Type::BOOL => get::<Option<bool>>(row, name)?.map(|yes| u8::from(yes).to_string()),
            Type::TEXT => get::<Option<&str>>(row, name)?.map(|text| format!("{text:?}")),
            _ => get::<Option<&[u8]>>(row, name)?
                .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        };
        line.push_str(&format!("{name}={} ", value.unwrap_or_else(|| "-".to_owned())));
    }
    Ok(line)
}
