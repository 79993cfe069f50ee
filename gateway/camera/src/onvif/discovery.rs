//! WS-Discovery: which cameras answer on the technician's own network.
//!
//! Enters: datagrams from anybody. Leaves: addresses that stand in an allowed network and are their sender's own.
//! Absent: IPv6, and anything that is sent to what answers: a person chooses first.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::xml::Node;
use super::{address, path};
use crate::limits::{DISCOVERED_MAX, DISCOVERY_MS_MAX};
use crate::{Net, net};

/// Where cameras listen. Source: WS-Discovery's own group and port.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);

/// A camera that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub address: IpAddr,
    /// Its service address, for [`super::profiles`].
    pub door: String,
}

/// What a discovery brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// By address.
    pub cameras: Vec<Found>,
    /// Answers left out: not understood, not allowed, not for us, or beyond [`DISCOVERED_MAX`].
    pub left_out: usize,
}

/// Asks on the network that `from`, an address of this machine, is in, and listens for `wait_ms` (at most [`DISCOVERY_MS_MAX`]).
pub async fn discover(from: Ipv4Addr, wait_ms: u64, allowed: &[Net]) -> io::Result<Discovered> {
    let until = Instant::now() + Duration::from_millis(wait_ms.min(DISCOVERY_MS_MAX));
    let socket = UdpSocket::bind((from, 0)).await?;
    SockRef::from(&socket).set_multicast_if_v4(&from)?;
    // Cameras on this network alone.
    socket.set_multicast_ttl_v4(1)?;
    let id = message_id()?;
    socket.send_to(probe(&id).as_bytes(), GROUP).await?;
    let (mut found, mut left_out) = (BTreeMap::new(), 0);
    let mut datagram = vec![0; 64 * 1024];
    while let Ok(received) = timeout_at(until, socket.recv_from(&mut datagram)).await {
        // An ICMP answer to the question is an error here, and not the end.
        let Ok((length, sender)) = received else { continue };
        match read(&datagram[..length], &id, sender.ip(), allowed) {
            Some(camera) if found.len() < DISCOVERED_MAX || found.contains_key(&sender.ip()) => {
                found.insert(sender.ip(), camera);
            }
            _ => left_out += 1,
        }
    }
    Ok(Discovered { cameras: found.into_values().collect(), left_out })
}

/// What an answer tells: `None` if it is not to our question, or names another machine than its sender.
fn read(datagram: &[u8], id: &str, sender: IpAddr, allowed: &[Net]) -> Option<Found> {
    let answer = Node::read(datagram).ok()?;
    if answer.text("RelatesTo") != Some(id) || net::refusal(sender, allowed).is_some() {
        return None;
    }
    let addresses = answer.first("ProbeMatch")?.text("XAddrs")?;
    let url = addresses.split_whitespace().find_map(|text| address(sender, text, &["http", "https"]))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(Found { address: sender, door: format!("{}://{sender}{port}{}", url.scheme(), path(&url)) })
}

fn message_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("urn:uuid:{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]))
}

fn probe(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header><w:MessageID>{id}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_senders_own_address_in_an_allowed_network_is_taken() {
        let answer = |id: &str, addresses: &str| {
            format!(
                "<s:E xmlns:s=\"a\" xmlns:x=\"b\"><s:Header><x:RelatesTo>{id}</x:RelatesTo></s:Header><s:Body><ProbeMatches>\
                 <ProbeMatch><XAddrs>{addresses}</XAddrs></ProbeMatch></ProbeMatches></s:Body></s:E>"
            )
        };
        let sender: IpAddr = "192.168.90.4".parse().expect("an address");
        let allowed = Net::private();
        let taken = |text: &str| read(text.as_bytes(), "id-1", sender, &allowed).map(|found| found.door);
        let door = "http://192.168.90.4:8000/onvif/device_service";
        let both = format!("http://169.254.1.1/onvif {door}");
        assert_eq!(taken(&answer("id-1", &both)), Some(door.to_owned()), "of several, its own");
        assert_eq!(
            taken(&answer("id-1", "http://user:pw@192.168.90.4/x?y=1")),
            Some("http://192.168.90.4/x?y=1".to_owned())
        );
        for (id, addresses) in [
            ("id-2", door),
            ("id-1", "http://192.168.90.5/onvif"),
            ("id-1", "http://camera/"),
            ("id-1", "file:///etc/passwd"),
            ("id-1", ""),
        ] {
            assert_eq!(taken(&answer(id, addresses)), None, "{id} {addresses}");
        }
        let outside: IpAddr = "8.8.8.8".parse().expect("an address");
        assert_eq!(read(answer("id-1", "http://8.8.8.8/").as_bytes(), "id-1", outside, &allowed), None);
        assert_eq!(taken("<!DOCTYPE a [<!ENTITY b \"c\">]><a/>"), None);
    }
}
