//! Which addresses webhooks may reach.
//!
//! A merchant names the address, so it could be made to point into the operator's own network or
//! at a cloud's metadata service. Everything that is not plainly public is refused unless the
//! configuration allows it; names are checked again at each try, for every address they resolve to.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};
use url::{Host, Url};

/// The rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Loopback may be reached (`tongbao dev`).
    pub allow_loopback: bool,
    /// Networks that the operator allows.
    pub allow: Vec<IpNet>,
}

impl Egress {
    /// Checks an address when it is saved and before each try. The url crate has normalised
    /// literals such as `0x7f.1` already.
    pub fn check_url(&self, url: &Url) -> Result<(), String> {
        if url.scheme() != "http" && url.scheme() != "https" {
            return Err("a webhook address begins with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a webhook address holds no user name or password".to_owned());
        }
        let address = match url.host() {
            None => return Err("a webhook address names a host".to_owned()),
            Some(Host::Domain(name)) => return self.check_name(name),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        if self.permits(address) { Ok(()) } else { Err(forbidden(address)) }
    }

    /// Whether a resolved address may be reached.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.allow.iter().any(|network| network.contains(&address)) {
            return true;
        }
        if address.is_loopback() {
            return self.allow_loopback;
        }
        is_public(address)
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_local = name == "localhost" || name.ends_with(".localhost");
        if is_local && !self.allow_loopback {
            return Err(format!("{name} is this machine itself, which webhooks may not reach"));
        }
        Ok(())
    }
}

fn forbidden(address: IpAddr) -> String {
    format!(
        "{address} lies in a private, link-local or reserved network, which webhooks may not \
         reach; the operator can allow it with [webhooks] allow"
    )
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let protocol = a == 192 && b == 0 && c == 0;
            let benchmark = a == 198 && (b == 18 || b == 19);
            !(v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || shared
                || protocol
                || benchmark)
        }
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let translated = (first, second) == (0x64, 0xff9b);
    let documentation = (first, second) == (0x2001, 0x0db8);
    let teredo = (first, second) == (0x2001, 0);
    let six_to_four = first == 0x2002;
    let global = first & 0xe000 == 0x2000;
    global && !(translated || documentation || teredo || six_to_four)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &Egress, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| rules.check_url(&url).is_ok())
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
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[fc00::1]/",
            "http://[fe80::1]/",
            "http://10.0.0.1/",
            "http://172.16.5.5/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://localhost/",
            "http://a.localhost./",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://user:word@example.com/",
        ];
        for url in inside {
            assert!(!check(&rules, url), "{url}");
        }
        for url in ["https://example.com/hook", "http://93.184.216.34/", "https://[2606:4700::1]/"]
        {
            assert!(check(&rules, url), "{url}");
        }
    }

    #[test]
    fn dev_opens_loopback_alone_and_an_operator_a_network() {
        let dev = Egress { allow_loopback: true, allow: Vec::new() };
        assert!(check(&dev, "http://127.0.0.1:8080/"));
        assert!(check(&dev, "http://localhost:8080/"));
        assert!(!check(&dev, "http://10.0.0.1/"));
        assert!(!check(&dev, "http://169.254.169.254/"));
        let allow = vec!["10.0.0.0/8".parse().unwrap()];
        let operator = Egress { allow_loopback: false, allow };
        assert!(check(&operator, "http://10.1.2.3/"));
        assert!(!check(&operator, "http://192.168.1.1/"));
    }
}
