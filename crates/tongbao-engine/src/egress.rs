//! Which addresses webhooks and callbacks may reach.
//!
//! A merchant names the address, so it could be made to point into the operator's own network or
//! at a cloud's metadata service. Everything that is not plainly public is refused unless the
//! configuration allows it; names are checked when they are saved and again at each try, for every
//! address they lead to (decision 0021). Who asks for those addresses is the wire.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// The rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Loopback may be reached (`tongbao dev`).
    pub allow_loopback: bool,
    /// Networks that the operator allows.
    pub allow: Vec<IpNet>,
}

/// Port 0 leads nowhere. The others are for mail: a gateway that knocks there with what a merchant
/// wrote is soon on the lists of senders of spam.
const CLOSED_PORTS: [u16; 4] = [0, 25, 465, 587];

impl Egress {
    /// Checks an address when it is saved and before each try, without asking what its name leads
    /// to. The url crate has normalised literals such as `0x7f.1` already.
    ///
    /// An error is the end of a sentence for whoever named the address.
    pub fn check_url(&self, url: &Url) -> Result<(), String> {
        if url.scheme() != "http" && url.scheme() != "https" {
            return Err("a webhook address begins with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a webhook address holds no user name or password".to_owned());
        }
        if let Some(port) = url.port().filter(|port| CLOSED_PORTS.contains(port)) {
            return Err(format!("webhooks do not go to port {port}"));
        }
        let address = match url.host() {
            None => return Err("a webhook address names a host".to_owned()),
            Some(Host::Domain(name)) => return self.check_name(name),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        if self.permits(address) { Ok(()) } else { Err(Egress::lies_inside(address)) }
    }

    /// What to say of a name that leads to nothing but addresses inside. It does not tell them:
    /// whoever asks would learn the operator's network from it.
    pub fn leads_inside(name: &str) -> String {
        format!("{name} leads into {INSIDE}")
    }

    /// What to say of an address that may not be reached.
    pub fn lies_inside(address: IpAddr) -> String {
        format!("{address} lies in {INSIDE}")
    }

    /// What to say of this machine, however it is called.
    pub fn is_here(name: &str) -> String {
        format!(
            "{name} is this machine itself, which webhooks may not reach; the operator can allow \
             it with [webhooks] allow"
        )
    }

    /// Whether a resolved address may be reached.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.is_named(address) || (!address.is_loopback() && is_public(address))
    }

    /// Whether the configuration names the network of an address, rather than that it is public.
    pub fn is_named(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address))
            || (self.allow_loopback && address.is_loopback())
    }

    /// `localhost` is this machine, whatever a resolver says (RFC 6761, 6.3).
    fn check_name(&self, name: &str) -> Result<(), String> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_local = name == "localhost" || name.ends_with(".localhost");
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        if is_local && !here.iter().any(|address| self.is_named(*address)) {
            return Err(Egress::is_here(&name));
        }
        Ok(())
    }
}

const INSIDE: &str = "a private, link-local or reserved network, which webhooks may not reach; the \
                      operator can allow it with [webhooks] allow";

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// Looks like any other address, and is the host that serves an Azure machine with its secrets
/// (Microsoft, «What is IP address 168.63.129.16?»).
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// By IANA's registry of special addresses. Alibaba Cloud's metadata (100.100.100.200) is in the
/// shared network, all other clouds' in the link-local one.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let relay = a == 192 && b == 88 && c == 99;
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || shared
        || protocol
        || relay
        || benchmark
        || address == AZURE_HOST)
}

/// Global unicast alone, without the parts of it that stand for IPv4 addresses, for tests or for
/// examples. Everything else (unique-local, link-local, site-local, multicast, NAT64, addresses of
/// the form `::a.b.c.d`) lies outside 2000::/3.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, _, _, e, f, ..] = address.segments();
    let global = a & 0xe000 == 0x2000;
    // 2001::/23: Teredo, benchmarks, ORCHID and other protocols' own.
    let protocol = a == 0x2001 && b < 0x0200;
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    let six_to_four = a == 0x2002;
    let six_bone = a == 0x3ffe;
    // ISATAP (RFC 5214, 6.1): the last 32 bits are an IPv4 address, whatever the network.
    let isatap = e & 0xfdff == 0 && f == 0x5efe;
    global && !(protocol || documentation || six_to_four || six_bone || isatap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &Egress, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| rules.check_url(&url).is_ok())
    }

    fn allowing(networks: &[&str]) -> Egress {
        let allow = networks.iter().map(|network| network.parse().unwrap()).collect();
        Egress { allow_loopback: false, allow }
    }

    #[test]
    fn addresses_inside_are_refused_however_they_are_written() {
        let rules = Egress::default();
        let inside = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost/",
            "http://a.localhost./",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://user:word@example.com/",
            "http://user@example.com/",
            "http://example.com:25/",
            "https://example.com:587/",
            "http://example.com:0/",
        ];
        for url in inside {
            assert!(!check(&rules, url), "{url}");
        }
        let outside = [
            "https://example.com/hook",
            "http://93.184.216.34/",
            "https://[2606:4700::1]/",
            "https://example.com:8443/a?b=c#d",
            "https://notlocalhost/",
        ];
        for url in outside {
            assert!(check(&rules, url), "{url}");
        }
    }

    /// The first and the last address of each network that is not public, and their neighbours.
    #[test]
    fn networks_begin_and_end_where_they_should() {
        let rules = Egress::default();
        for (network, before, after) in NETWORKS {
            let network: IpNet = network.parse().unwrap();
            for address in [network.addr(), network.broadcast()] {
                assert!(!rules.permits(address), "{address}");
            }
            for neighbour in [before, after].into_iter().filter(|one| !one.is_empty()) {
                assert!(rules.permits(neighbour.parse().unwrap()), "{neighbour}");
            }
        }
    }

    /// A network, and the public addresses before and after it, if there are any.
    const NETWORKS: [(&str, &str, &str); 32] = [
        ("0.0.0.0/8", "", "1.0.0.0"),
        ("10.0.0.0/8", "9.255.255.255", "11.0.0.0"),
        ("100.64.0.0/10", "100.63.255.255", "100.128.0.0"),
        ("127.0.0.0/8", "126.255.255.255", "128.0.0.0"),
        ("168.63.129.16/32", "168.63.129.15", "168.63.129.17"),
        ("169.254.0.0/16", "169.253.255.255", "169.255.0.0"),
        ("172.16.0.0/12", "172.15.255.255", "172.32.0.0"),
        ("192.0.0.0/24", "191.255.255.255", "192.0.1.0"),
        ("192.0.2.0/24", "192.0.1.255", "192.0.3.0"),
        ("192.88.99.0/24", "192.88.98.255", "192.88.100.0"),
        ("192.168.0.0/16", "192.167.255.255", "192.169.0.0"),
        ("198.18.0.0/15", "198.17.255.255", "198.20.0.0"),
        ("198.51.100.0/24", "198.51.99.255", "198.51.101.0"),
        ("203.0.113.0/24", "203.0.112.255", "203.0.114.0"),
        ("224.0.0.0/4", "223.255.255.255", ""),
        ("240.0.0.0/4", "", ""),
        ("::/128", "", ""),
        ("::1/128", "", ""),
        ("::ffff:10.0.0.0/104", "", ""),
        ("::/96", "", ""),
        ("64:ff9b::/96", "", ""),
        ("64:ff9b:1::/48", "", ""),
        ("100::/64", "", ""),
        ("2001::/23", "", "2001:200::"),
        ("2001:db8::/32", "2001:db7:ffff::", "2001:db9::"),
        ("2002::/16", "2001:ffff::", "2003::"),
        ("3ffe::/16", "3ffd:ffff::", ""),
        ("3fff::/20", "", "3fff:1000::"),
        ("5f00::/16", "", ""),
        ("fc00::/7", "", ""),
        ("fe80::/9", "", ""),
        ("ff00::/8", "", ""),
    ];

    #[test]
    fn an_interface_that_stands_for_an_ipv4_address_is_refused() {
        for (text, public) in [
            ("2606:4700::5efe:a00:1", false),
            ("2606:4700::200:5efe:a00:1", false),
            ("2606:4700::5eff:a00:1", true),
        ] {
            assert_eq!(Egress::default().permits(text.parse().unwrap()), public, "{text}");
        }
    }

    #[test]
    fn dev_opens_loopback_alone_and_an_operator_a_network() {
        let dev = Egress { allow_loopback: true, allow: Vec::new() };
        for url in ["http://127.0.0.1:8080/", "http://localhost:8080/", "http://[::1]/"] {
            assert!(check(&dev, url), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://169.254.169.254/", "http://0.0.0.0/"] {
            assert!(!check(&dev, url), "{url}");
        }
        let operator = allowing(&["10.0.0.0/8", "fd00:1::/32"]);
        for url in ["http://10.1.2.3/", "http://[::ffff:10.1.2.3]/", "http://[fd00:1::5]/"] {
            assert!(check(&operator, url), "{url}");
        }
        for url in ["http://192.168.1.1/", "http://localhost/", "http://[64:ff9b::a01:203]/"] {
            assert!(!check(&operator, url), "{url}");
        }
        assert!(check(&allowing(&["127.0.0.1/32"]), "http://localhost/"));
    }
}
