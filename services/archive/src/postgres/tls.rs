//! Encryption of the connection, with the server's certificate checked.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::ArchiveError;

/// A connector that trusts `ca_file`, or what the system trusts.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, ArchiveError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ArchiveError::Setting(error.to_string()))?;
    let roots = ca_file.map_or_else(system_roots, roots_of)?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots_of(ca_file: &Path) -> Result<RootCertStore, ArchiveError> {
    let unusable = |why: String| {
        let file = ca_file.display();
        ArchiveError::Setting(format!("{file} is no PEM file of certificates ({why})"))
    };
    let certificates = CertificateDer::pem_file_iter(ca_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("there is none in it".to_owned()));
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, ArchiveError> {
    let mut roots = RootCertStore::empty();
    // Some systems carry certificates that nothing reads; the others count.
    let found = rustls_native_certs::load_native_certs().certs;
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        let why = "the system trusts no certificate: set archive.postgres.ca_file";
        return Err(ArchiveError::Setting(why.to_owned()));
    }
    Ok(roots)
}
