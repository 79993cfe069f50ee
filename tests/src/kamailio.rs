//! Kamailio in front of the centre: TLS with a client certificate required. Its CA, server and client certificates are made here.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

use crate::{Process, eventually, free_port, is_listening, program, root};

/// A running proxy; stopped when dropped.
pub struct Kamailio {
    pub tls_port: u16,
    process: Process,
    dir: TempDir,
    server_pin: String,
}

impl Kamailio {
    /// Starts it in front of a centre that listens on `centre_port`.
    #[track_caller]
    pub fn start(centre_port: u16) -> Kamailio {
        Kamailio::start_until(centre_port, 2100)
    }

    /// The same with a server certificate that ended with the year 2020.
    #[track_caller]
    pub fn start_expired(centre_port: u16) -> Kamailio {
        Kamailio::start_until(centre_port, 2020)
    }

    #[track_caller]
    fn start_until(centre_port: u16, year: i32) -> Kamailio {
        let dir = TempDir::with_prefix("vaka-kamailio-").expect("a temporary directory");
        let server_pin = write_certificates(dir.path(), year);
        let tls_port = free_port();
        let tcp_port = free_port();
        let template =
            std::fs::read_to_string(root().join("tests/scenarios/kamailio.cfg")).expect("tests/scenarios/kamailio.cfg");
        let config = template
            .replace("@TLS_PORT@", &tls_port.to_string())
            .replace("@TCP_PORT@", &tcp_port.to_string())
            .replace("@CENTRE_PORT@", &centre_port.to_string())
            .replace("@MODULES@", &modules())
            .replace("@DIR@", &dir.path().display().to_string());
        let file = dir.path().join("kamailio.cfg");
        std::fs::write(&file, config).expect("writing kamailio.cfg");
        let mut command = Command::new(program("kamailio"));
        command
            .arg("-f")
            .arg(&file)
            .args(["-DD", "-E", "-m", "64", "-M", "8", "-Y"])
            .arg(dir.path())
            .current_dir(dir.path());
        let process = Process::start(&command, &dir.path().join("kamailio.log"));
        let mut kamailio = Kamailio { tls_port, process, dir, server_pin };
        let log = kamailio.dir.path().join("kamailio.log");
        let context = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually("Kamailio to listen", context, || {
            if let Some(status) = kamailio.process.exited() {
                panic!("Kamailio ended with {status}\n{}", context());
            }
            is_listening(tls_port).then_some(())
        });
        kamailio
    }

    /// A file beside it: `ca.pem`, `client-cert.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// SHA-256 of the server certificate's public key (SPKI), as lower-case hex.
    pub fn pin(&self) -> &str {
        &self.server_pin
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

impl Drop for Kamailio {
    /// Asked to end first: only its main process ends its children.
    fn drop(&mut self) {
        if self.process.exited().is_none() {
            self.process.signal("TERM");
            self.process.wait();
        }
    }
}

/// Where Debian puts the modules differs by architecture.
fn modules() -> String {
    let found = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("kamailio/modules"))
        .find(|dir| dir.is_dir());
    found.unwrap_or_else(|| PathBuf::from("/usr/lib/kamailio/modules")).display().to_string()
}

/// Writes the CA, server and client certificates, the server's good until the end of `year`; gives the server's pin.
pub(crate) fn write_certificates(dir: &Path, year: i32) -> String {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "stand-in centre CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a CA");
    let leaf = |name: &str, usage: ExtendedKeyUsagePurpose, file: &str, year: i32| {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.not_before = rcgen::date_time_ymd(2015, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &ca).expect("a certificate");
        std::fs::write(dir.join(format!("{file}-cert.pem")), cert.pem()).expect("writing a certificate");
        std::fs::write(dir.join(format!("{file}-key.pem")), key.serialize_pem()).expect("writing a key");
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        ring::digest::digest(&ring::digest::SHA256, &spki)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let pin = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth, "server", year);
    leaf("gw-0001", ExtendedKeyUsagePurpose::ClientAuth, "client", 2100);
    std::fs::write(dir.join("ca.pem"), ca.pem()).expect("writing the CA");
    pin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Centre;

    /// The peers by themselves: a message over TLS reaches SIPp, and SIPp's own comes back over the same connection.
    #[test]
    fn a_message_goes_through_to_the_centre_and_the_mrs_comes_back() {
        if crate::lacks(&["sipp", "kamailio"]) {
            return;
        }
        let centre = Centre::start("ok");
        let kamailio = Kamailio::start(centre.port);
        let mut tls = crate::raw::tls(
            kamailio.tls_port,
            &kamailio.file("ca.pem"),
            &kamailio.file("client-cert.pem"),
            &kamailio.file("client-key.pem"),
        )
        .expect("TLS with a client certificate");
        let body = "<mrq><ref>a1</ref><cid>1</cid><dty>0003</dty></mrq>";
        let port = kamailio.tls_port;
        let message = format!(
            "MESSAGE sip:127.0.0.1:{port};transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKa;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1@127.0.0.1>;tag=a\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: a\r\nCSeq: 1 MESSAGE\r\n\
             Content-Type: application/scaip+xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        use std::io::{Read, Write};
        tls.write_all(message.as_bytes()).expect("sending");
        let mut got = String::new();
        let mut buffer = [0; 4096];
        while !got.contains("<mrs><ref>a1</ref><snu>0</snu></mrs>") {
            let n = tls.read(&mut buffer).unwrap_or_else(|e| panic!("{e}: got {got}\n{}", kamailio.log()));
            assert!(n > 0, "closed early: {got}\n{}", kamailio.log());
            got.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        assert!(got.contains("SIP/2.0 200 OK"), "{got}");
        assert!(kamailio.log().contains("cn=gw-0001"), "{}", kamailio.log());
        assert_eq!(centre.alarms()[0].get("ref"), "a1");
        assert!(
            crate::raw::tls_anonymous(port, &kamailio.file("ca.pem")).is_err(),
            "without a client certificate it must refuse"
        );
    }
}
