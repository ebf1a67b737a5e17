//! Ports.

use std::{io, net::TcpListener};

/// A loopback port that nobody listened on a moment ago. Prefer letting the server choose (port 0):
/// another process may take this one first.
///
/// # Errors
/// When the system has no free port.
pub fn free_port() -> io::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}
