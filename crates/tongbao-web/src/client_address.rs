//! Whose address a request comes from, seen through the reverse proxies that the operator trusts.
//!
//! `X-Forwarded-For` is believed only as far as trusted networks wrote it: it is read from its end,
//! and the first address outside those networks is the client's.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

/// The other end of the connection; [`crate::serve()`] puts it into each request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// The client's address; [`crate::request_id::layer`] puts it into each request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The client's address, given the connection's other end and what proxies have written.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.to_canonical();
    let values = headers.get_all("x-forwarded-for").iter().rev();
    for hop in values.flat_map(|value| value.to_str().unwrap_or("").rsplit(',')) {
        if !is_trusted(client) {
            return client;
        }
        let Some(address) = address_of(hop.trim()) else { return client };
        client = address.to_canonical();
    }
    client
}

/// An address, perhaps with a port or in brackets, as proxies write it.
fn address_of(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(with_port)
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    /// Without a connection, as in tests of a router, the address is the unspecified one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let unspecified = ClientAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get::<ClientAddress>().copied().unwrap_or(unspecified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], trusted: &[&str], wanted: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let found = client_address(peer.parse().unwrap(), &headers, &trusted);
        assert_eq!(found.to_string(), wanted, "{peer} {forwarded:?}");
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_trusted_proxies() {
        let proxies = &["10.0.0.0/8", "fd00::/8"];
        check("203.0.113.9", &["1.2.3.4"], &[], "203.0.113.9");
        check("203.0.113.9", &["1.2.3.4"], proxies, "203.0.113.9");
        check("10.0.0.1", &["1.2.3.4"], proxies, "1.2.3.4");
        check("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], proxies, "1.2.3.4");
        check("10.0.0.1", &["6.6.6.6", "1.2.3.4"], proxies, "1.2.3.4");
        check("10.0.0.1", &["10.0.0.3"], proxies, "10.0.0.3");
        check("10.0.0.1", &["unknown"], proxies, "10.0.0.1");
        check("10.0.0.1", &["1.2.3.4:5678"], proxies, "1.2.3.4");
        check("fd00::1", &["[2001:db8::7]:443"], proxies, "2001:db8::7");
        check("::ffff:10.0.0.1", &["1.2.3.4"], proxies, "1.2.3.4");
    }
}
