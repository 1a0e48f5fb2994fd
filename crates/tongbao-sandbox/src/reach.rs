//! Where notifications never go. Whoever reaches a sandbox has its keys, may order with any
//! notify_url and reads what was answered there: it must not fetch a cloud machine's secrets for
//! them. All other addresses are open, since a developer's shop is anywhere.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// Where clouds answer their own machines with secrets, apart from the link-local network:
/// Alibaba, Azure, Oracle; Amazon and Google in IPv6.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
];

/// Checks a notify_url whose host is an address already; names are for [`Resolver`].
pub(crate) fn check(url: &str) -> Result<(), String> {
    let address = match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_metadata(address) { Err(words(&address.to_string())) } else { Ok(()) }
}

/// Names to addresses, without those.
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(open(found.collect(), name.as_str())?.into_iter()) as Addrs)
        })
    }
}

fn open(mut found: Vec<SocketAddr>, name: &str) -> io::Result<Vec<SocketAddr>> {
    found.retain(|address| !is_metadata(address.ip()));
    if found.is_empty() { Err(io::Error::other(words(name))) } else { Ok(found) }
}

fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || METADATA_V6.contains(&v6),
    }
}

fn words(place: &str) -> String {
    format!("not sent: {place} is link-local, where clouds keep their machines' secrets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metadata_is_closed() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://[::ffff:169.254.169.254]/",
            "http://169.254.0.23/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://192.0.0.192/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fd20:ce::254]/",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        for url in ["http://127.0.0.1:3000/n", "http://10.0.0.5/", "http://shop/", "https://a.cn/"]
        {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        let socket = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert!(open(vec![socket("169.254.169.254"), socket("fe80::1")], "a.cn").is_err());
        let mixed = open(vec![socket("169.254.0.23"), socket("127.0.0.1")], "a.cn").unwrap();
        assert_eq!(mixed, [socket("127.0.0.1")]);
    }
}
