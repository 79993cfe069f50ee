//! Where a camera may stand.
//!
//! Enters: an address as a technician, an ONVIF answer or a discovery gave it. Leaves: yes, or why not.
//! Invariant: link-local addresses (the metadata services of clouds among them), multicast, unspecified and IPv4-mapped ones are
//! never a camera, whatever is allowed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network in the usual notation, `192.168.90.0/24` or `fd00:90::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

/// What is private by standard: RFC 1918 and RFC 4193.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

impl Net {
    /// The networks a camera may stand in where nothing else was agreed: the private ones.
    pub fn private() -> Vec<Net> {
        PRIVATE.iter().filter_map(|net| net.parse().ok()).collect()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                (u64::from(own.to_bits()) >> shift) == (u64::from(other.to_bits()) >> shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let apart = own.to_bits() ^ other.to_bits();
                self.prefix == 0 || apart >> (128 - u32::from(self.prefix)) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no network: write it as 192.168.90.0/24");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most { Err(bad()) } else { Ok(Net { address, prefix }) }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Why no camera may stand at `address`; `None`: one may.
pub(crate) fn refusal(address: IpAddr, allowed: &[Net]) -> Option<&'static str> {
    let never = match address {
        IpAddr::V4(v4) if v4.is_link_local() => Some("it is link-local"),
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() => Some("it is many machines"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("it is an IPv4 address in disguise"),
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80 => Some("it is link-local"),
        IpAddr::V6(v6) if v6.is_multicast() => Some("it is many machines"),
        _ if address.is_unspecified() => Some("it is no machine"),
        _ => None,
    };
    never.or_else(|| {
        (!allowed.iter().any(|net| net.contains(address))).then_some("it is outside the networks for cameras")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_networks_and_never_the_special_ones() {
        let private = Net::private();
        assert_eq!(private.len(), PRIVATE.len());
        for fit in ["10.1.2.3", "172.31.255.1", "192.168.90.4", "fd00:90::4"] {
            assert_eq!(refusal(fit.parse().expect("an address"), &private), None, "{fit}");
        }
        for unfit in ["127.0.0.1", "::1", "8.8.8.8", "172.32.0.1", "100.100.100.200", "2001:db8::1"] {
            assert!(refusal(unfit.parse().expect("an address"), &private).is_some(), "{unfit}");
        }
        let everything: Vec<Net> = ["0.0.0.0/0", "::/0"].iter().map(|net| net.parse().expect("a net")).collect();
        for never in [
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(refusal(never.parse().expect("an address"), &everything).is_some(), "{never}");
        }
        assert_eq!(refusal("127.0.0.1".parse().expect("an address"), &everything), None, "allowed by name, for tests");
    }

    #[test]
    fn networks_are_read_strictly() {
        for bad in ["10.0.0.0", "10.0.0.0/33", "camera/24", "::/129", "10.0.0.0/-1", ""] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }
}
