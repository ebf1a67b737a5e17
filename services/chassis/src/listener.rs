//! Sockets that accept connections: the rule about who may reach them in plain text, and their TLS.
//!
//! TLS is rustls with ring, nothing else: one implementation to patch, and no C build beyond it.

mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

pub use tls::{Acceptor, HTTP1, HTTP2};

/// An address refused because it would serve plain text to other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines in plain text: listen on 127.0.0.1, set TLS, or allow it \
     with insecure_listen = true"
)]
pub struct Exposed(pub SocketAddr);

/// Why a listener did not come up. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// See [`check_exposure`].
    #[error("the {listener} listener: {exposed}")]
    Exposed {
        /// Which listener.
        listener: &'static str,
        /// The address.
        exposed: Exposed,
    },
    /// Another process holds the address.
    #[error(
        "the {listener} listener: {address} is in use; stop the process that holds it or set \
         {listener}.listen to another port"
    )]
    InUse {
        /// Which listener.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refused the address.
    #[error("the {listener} listener cannot use {address} ({source}); set {listener}.listen")]
    Bind {
        /// Which listener.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Certificate or key file missing, unreadable or not PEM.
    #[error("cannot use {} as {what} ({source}); give a PEM file this process can read", path.display())]
    Pem {
        /// "certificate chain" or "private key".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate file has none.
    #[error("{} holds no certificate; give the chain, the server's own first", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The certificates by which clients are judged cannot be used.
    #[error("{} cannot be used to judge clients' certificates: {why}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Certificate and key are not a usable pair.
    #[error("{} and its key are not usable together: {source}", path.display())]
    Pair {
        /// The certificate file.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
}

/// The rule: loopback, unless TLS or `insecure_listen`.
///
/// # Errors
/// [`Exposed`], naming the address.
pub fn check_exposure(address: SocketAddr, tls: bool, insecure: bool) -> Result<(), Exposed> {
    // An IPv4 loopback written in IPv6 is as local as the other.
    if tls || insecure || address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(Exposed(address))
    }
}

/// Binds `address` for the listener named `listener` (its configuration section), under the rule of
/// [`check_exposure`].
///
/// # Errors
/// If the rule forbids the address or the operating system refuses it.
pub async fn bind(
    listener: &'static str,
    address: SocketAddr,
    tls: bool,
    insecure: bool,
) -> Result<TcpListener, ListenError> {
    check_exposure(address, tls, insecure)
        .map_err(|exposed| ListenError::Exposed { listener, exposed })?;
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::InUse { listener, address },
        _ => ListenError::Bind { listener, address, source },
    })
}

/// Makes ring the provider of every TLS client and server of the process that names none. Call it
/// once, first; a repetition changes nothing.
pub fn install_crypto_provider() {
    // An error means that a provider is already there: ours, since no other is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests;
