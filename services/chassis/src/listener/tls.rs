//! TLS of a listener: certificate, key and trusted clients from PEM files, read again when they change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, Weak},
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{Accept, TlsAcceptor};

use super::ListenError;
use crate::{
    config::Tls,
    task::{TaskKind, spawn},
};

/// Protocols offered in the TLS handshake (ALPN), in order of preference.
pub const HTTP1: &[&[u8]] = &[b"http/1.1"];
/// As [`HTTP1`], for gRPC.
pub const HTTP2: &[&[u8]] = &[b"h2"];

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Accepts TLS connections with what its files hold. New files count from the next handshake on; files that cannot be used
/// are told once and change nothing.
#[derive(Clone)]
pub struct Acceptor(Arc<Reloading>);

struct Reloading {
    tls: Tls,
    protocols: Vec<Vec<u8>>,
    current: RwLock<Arc<ServerConfig>>,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("tls", &self.0.tls).finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Reads the files and offers `protocols` ([`HTTP1`], [`HTTP2`]). Within a tokio runtime the files are looked at
    /// again until the last clone is dropped.
    ///
    /// # Errors
    /// If a file cannot be used; the text names it.
    pub fn open(tls: &Tls, protocols: &[&[u8]]) -> Result<Self, ListenError> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|p| p.to_vec()).collect();
        let files = Files { used: stamps(tls), refused: None };
        let current = RwLock::new(Arc::new(read(tls, &protocols)?));
        let reloading = Arc::new(Reloading { tls: tls.clone(), protocols, current });
        if tokio::runtime::Handle::try_current().is_ok() {
            let watch = watch(Arc::downgrade(&reloading), files);
            spawn(TaskKind::Maintenance, "certificates", watch).detach();
        }
        Ok(Self(reloading))
    }

    /// The handshake with one client.
    pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Accept<S> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current)).accept(stream)
    }
}

type Stamps = Vec<Option<(SystemTime, u64)>>;

/// Time and size of every file, `None` where there is none.
fn stamps(tls: &Tls) -> Stamps {
    let files = [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()];
    let stamp = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.into_iter().flatten().map(stamp).collect()
}

async fn watch(reloading: Weak<Reloading>, mut files: Files) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(reloading) = reloading.upgrade() else { return };
        if files.renew(&reloading) {
            tracing::info!(file = %reloading.tls.cert_file.display(), "certificate read again");
        }
    }
}

/// What the files were like.
struct Files {
    /// When they were read into what is in use.
    used: Stamps,
    /// When they could not be used; told once.
    refused: Option<Stamps>,
}

impl Files {
    /// Reads files that are not those in use; says whether they are now. What cannot be used is tried again at the next look,
    /// whether or not it changed: it may have been half written, or a read may have failed.
    fn renew(&mut self, reloading: &Reloading) -> bool {
        let now = stamps(&reloading.tls);
        if now == self.used {
            return false;
        }
        match read(&reloading.tls, &reloading.protocols) {
            Ok(config) => {
                let mut current = reloading.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(config);
                *self = Self { used: now, refused: None };
                true
            }
            Err(error) => {
                if self.refused.as_ref() != Some(&now) {
                    tracing::error!(%error, "the new certificate is not used; the old one stays");
                    self.refused = Some(now);
                }
                false
            }
        }
    }
}

fn read(tls: &Tls, protocols: &[Vec<u8>]) -> Result<ServerConfig, ListenError> {
    let chain = read_chain(&tls.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file).map_err(|source| ListenError::Pem {
        what: "private key",
        path: tls.key_file.clone(),
        source,
    })?;
    let pair = |source| ListenError::Pair { path: tls.cert_file.clone(), source };
    // The provider is named rather than taken from the process, so that no order of start matters.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &tls.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let unusable = |why: String| ListenError::ClientCa { path: path.clone(), why };
            let mut roots = RootCertStore::empty();
            for certificate in read_chain(path)? {
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|source| {
            ListenError::Pem { what: "certificate chain", path: path.to_path_buf(), source }
        })?;
    if chain.is_empty() {
        return Err(ListenError::NoCertificate { path: path.to_path_buf() });
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use testkit::certificates::{Authority, Pair};

    use super::*;

    fn write(path: &Path, text: &str, at: SystemTime) {
        std::fs::write(path, text).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn what_could_not_be_read_is_read_again_although_it_did_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("ours").unwrap();
        let issue = |file: &str| authority.issue(dir.path(), file, &["localhost"]).unwrap();
        let Pair { cert_file, key_file } = issue("first");
        let tls = Tls { cert_file, key_file, client_ca_file: None };
        let (certificate, key) = issue("second").read().unwrap();
        let used = stamps(&tls);
        // Outside a runtime nobody else looks.
        let reloading = Acceptor::open(&tls, HTTP1).unwrap().0;
        let in_use = || Arc::clone(&reloading.current.read().unwrap());
        let mut files = Files { used, refused: None };
        let before = in_use();
        assert!(!files.renew(&reloading), "nothing changed");

        // As after a read that failed: the same files, of which nothing could be made.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        std::fs::write(&tls.cert_file, certificate).unwrap();
        write(&tls.key_file, &"x".repeat(key.len()), at);
        assert!(!files.renew(&reloading) && Arc::ptr_eq(&before, &in_use()), "the old pair stays");
        let refused = stamps(&tls);
        write(&tls.key_file, &key, at);
        assert_eq!(stamps(&tls), refused, "the test is about files that look unchanged");
        assert!(files.renew(&reloading) && !Arc::ptr_eq(&before, &in_use()));
        assert!(!files.renew(&reloading), "once is enough");
    }
}
