//! Commands as an operator runs them: to their end, with what they said.

use std::{path::Path, process::Output, time::Duration};

use tokio::process::Command;

use super::play::programs;

/// Longest that a command takes.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// Runs `tandem` to its end within `bound`, with none of this process's own settings.
pub(crate) async fn run(args: &[&str], bound: Duration) -> Output {
    run_with(args, &[], bound).await
}

/// As [`run`], with more environment.
pub(crate) async fn run_with(
    args: &[&str],
    environment: &[(&str, &str)],
    bound: Duration,
) -> Output {
    let mut command = Command::new(programs().tandem);
    testkit::process::without_settings(command.as_std_mut());
    command.args(args).envs(environment.iter().copied()).kill_on_drop(true);
    let output = tokio::time::timeout(bound, command.output()).await;
    output.unwrap_or_else(|_| panic!("{args:?} did not end within {bound:?}")).unwrap()
}

/// Runs a command that must succeed; what it said.
pub(crate) async fn succeeds(args: &[&str]) -> String {
    let output = run(args, BOUND).await;
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

/// Runs a command that must fail and say why.
pub(crate) async fn fails(args: &[&str], why: &str) {
    let output = run(args, BOUND).await;
    assert!(!output.status.success(), "{args:?}: {}", said(&output));
    assert!(said(&output).contains(why), "{args:?} does not say {why:?}: {}", said(&output));
}

/// What a command said, output and errors.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
