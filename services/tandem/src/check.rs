//! `tandem config check` and `tandem config print`.

use std::{path::Path, process::ExitCode};

use chassis::{config::Config, seal::Sealer};

/// Says that the configuration is usable, or every problem found.
pub(crate) fn check(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    router::rules::RuleBook::new(&config, &Sealer::from_key([0; 32]))?;
    let numbers: usize = config.businesses.iter().map(|business| business.numbers.len()).sum();
    crate::cli::say(&format!(
        "the configuration is usable: businesses {}, numbers {numbers}",
        config.businesses.len()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Prints it with secrets left out.
pub(crate) fn print(path: Option<&Path>) -> anyhow::Result<ExitCode> {
    crate::cli::say(&Config::load(path)?.print_redacted());
    Ok(ExitCode::SUCCESS)
}
