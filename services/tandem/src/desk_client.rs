//! How commands connect to a desk: what they trust, what they show, and why it did not work.

use std::{error::Error, path::Path};

use anyhow::Context as _;
use chassis::config::{DeskClient, Tls};
use tonic::{
    Status,
    transport::{Certificate, ClientTlsConfig, Identity},
};

/// As `client` says. Where that names no authority, the desk's own certificate is trusted, if this is the configuration of the
/// desk; otherwise what the system trusts.
pub(crate) fn client_tls(
    client: &DeskClient,
    own: Option<&Tls>,
) -> anyhow::Result<ClientTlsConfig> {
    let trusted = client.ca_file.as_ref().or_else(|| own.map(|own| &own.cert_file));
    let mut tls = match trusted {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&client.cert_file, &client.key_file) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    if let Some(name) = &client.server_name {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What a status says, and why the call did not reach the desk, if it did not.
pub(crate) fn said(status: &Status) -> String {
    with(status.message(), status.source())
}

/// An error with what caused it: that of a connection says little by itself.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    with(&error.to_string(), error.source())
}

fn with(text: &str, cause: Option<&(dyn Error + 'static)>) -> String {
    let causes = std::iter::successors(cause, |cause| (*cause).source());
    causes.map(ToString::to_string).fold(text.to_owned(), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}
