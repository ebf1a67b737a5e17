//! The crate from outside: the webhook reader against the payload files, hostile input and random
//! input, and the client against real sockets.

#[cfg(test)]
mod describe;
#[cfg(test)]
mod graph_client;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod signing;
