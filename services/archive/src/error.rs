//! Why the read model could not answer.

/// A request the read model could not serve. Asking again is right unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error("the read model's store failed")]
    Store(#[from] rusqlite::Error),
    /// The database does not answer. It will be asked again: the projection goes on by itself.
    #[error("the read model's database cannot be reached ({0})")]
    Unreachable(String),
    /// The database answered, and not with what was asked for.
    #[error("the read model's database refused ({0})")]
    Refused(String),
    /// The database belongs to another installation, or a newer build, or cannot be one of ours.
    #[error(
        "{database} is not a read model this build can use ({why}): name another database, or drop its tables, \
         and the read model will be built anew"
    )]
    ForeignDatabase {
        /// Host, port and name.
        database: String,
        /// What is wrong with it.
        why: String,
    },
    /// The settings of the database cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The file belongs to another program, another installation or a newer build.
    #[error(
        "{path} is not a read model this build can use ({why}): move the file away and start again, it \
         will be rebuilt from the log"
    )]
    Foreign {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A stored value has no meaning to this build.
    #[error(
        "a row of the read model cannot be read ({0}): rebuild it with `tandem archive rebuild`"
    )]
    Row(String),
    /// The thread that served the request ended.
    #[error("the read model is shutting down")]
    Closed,
}

/// The error with what caused it.
pub(crate) fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
