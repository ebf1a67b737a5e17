//! Sockets that accept connections, and the rule about who may reach them in plain text.

use std::net::SocketAddr;

/// An address refused because it would serve plain text to other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines in plain text: listen on 127.0.0.1, set TLS, or allow it \
     with insecure_listen = true"
)]
pub struct Exposed(pub SocketAddr);

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
