//! Alarm centres to measure against: SIPp, and a lean one in a process of its own. SIP MESSAGE over TCP comes in; a 200,
//! then a MESSAGE with `mrs` and `snu=0`, goes out.
//!
//! The lean one answers in the moment it has read, so that the figure is the gateway's; SIPp is the judge nobody here wrote.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Process, Role, free_port};

/// Who plays the alarm centre.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// The bench's own, in a process of its own; answers at once.
    Own,
    /// SIPp from Debian.
    Sipp,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Own, Kind::Sipp];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Own => "bench centre",
            Kind::Sipp => "SIPp",
        }
    }

    /// Starts one; None where it is not installed. Anew for every measurement: SIPp may die of a connection that is reset,
    /// and a gateway that is killed resets its connections.
    pub fn start(self, dir: &Path) -> Result<Option<Centre>> {
        match self {
            Kind::Own => {
                let mut role = Role::spawn("centre", None)?;
                let port = role.line()?.parse()?;
                Ok(Some(Centre { port, _process: role.process }))
            }
            Kind::Sipp => sipp(dir),
        }
    }
}

/// A running alarm centre; it ends with this.
pub struct Centre {
    pub port: u16,
    _process: Process,
}

fn sipp(dir: &Path) -> Result<Option<Centre>> {
    let scenario = dir.join("sipp-centre.xml");
    fs::write(&scenario, include_str!("sipp-centre.xml"))?;
    let port = free_port()?;
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(&scenario).args(["-i", "127.0.0.1", "-p", &port.to_string(), "-t", "t1", "-nostdin"]);
    command.args(["-watchdog_interval", "0", "-timer_resol", "1"]).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut process) = Process::spawn("sipp", &mut command) else { return Ok(None) };
    process.wait_listening(port, Duration::from_secs(5))?;
    Ok(Some(Centre { port, _process: process }))
}

/// The `centre` role: prints its port, serves until it is killed.
pub fn role() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept()?;
        std::thread::spawn(move || {
            if let Err(e) = serve(stream) {
                eprintln!("bench centre: a connection ended: {e:#}");
            }
        });
    }
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    let mut bytes = Vec::new();
    let mut number = 0u64;
    loop {
        while let Some((head, body, size)) = message(&bytes)? {
            if head.starts_with("MESSAGE ") {
                number += 1;
                let answers = answers(head, body, port, number).context("a MESSAGE that cannot be answered")?;
                stream.write_all(answers.as_bytes())?;
            }
            bytes.drain(..size);
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend(&chunk[..count]);
    }
}

/// Head, body and size of the first whole message. Line ends before it are keep-alives (RFC 5626) and skipped.
fn message(bytes: &[u8]) -> Result<Option<(&str, &str, usize)>> {
    let skipped = bytes.iter().take_while(|b| b"\r\n".contains(b)).count();
    let text = std::str::from_utf8(&bytes[skipped..])?;
    let Some(end) = text.find("\r\n\r\n") else {
        return Ok(None);
    };
    let head = &text[..end];
    let length = match header(head, "Content-Length").or_else(|| header(head, "l")) {
        Some(value) => value.trim().parse::<usize>()?,
        None => 0,
    };
    let whole = end + 4 + length;
    Ok(text.get(end + 4..whole).map(|body| (head, body, skipped + whole)))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The 200, and for an `mrq` the `mrs` as a MESSAGE of its own.
fn answers(head: &str, body: &str, port: u16, number: u64) -> Option<String> {
    let mut out = String::from("SIP/2.0 200 OK\r\n");
    for line in head.split("\r\n").skip(1).filter(|line| line.to_ascii_lowercase().starts_with("via:")) {
        out += &format!("{line}\r\n");
    }
    let from = header(head, "From")?;
    let to = header(head, "To")?;
    let call = header(head, "Call-ID")?;
    out += &format!("From: {from}\r\nTo: {to};tag=centre\r\nCall-ID: {call}\r\nCSeq: {}\r\n", header(head, "CSeq")?);
    out += "Content-Length: 0\r\n\r\n";
    let reference = between(body, "<ref>", "</ref>");
    if let (true, Some(reference)) = (body.contains("<mrq"), reference) {
        let mrs = format!("<mrs><ref>{reference}</ref><snu>0</snu></mrs>");
        let caller = between(from, "<", ">").unwrap_or("sip:gateway@127.0.0.1");
        out += &format!(
            "MESSAGE {caller} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:{port};branch=z9hG4bK-centre-{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:centre@127.0.0.1:{port}>;tag=mrs{number}\r\nTo: <{caller}>\r\n\
             Call-ID: mrs-{number}@centre\r\nCSeq: 1 MESSAGE\r\nContent-Type: application/scaip+xml\r\n\
             Content-Length: {}\r\n\r\n{mrs}",
            mrs.len()
        );
    }
    Some(out)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let end = text[start..].find(after)?;
    Some(&text[start..start + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "MESSAGE sip:centre@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK1\r\n\
        From: <sip:10149471@127.0.0.1:1>;tag=a\r\nTo: <sip:centre@127.0.0.1>\r\nCall-ID: c1\r\nCSeq: 1 MESSAGE\r\n\
        Content-Length:    34\r\n\r\n<mrq><ref>abc</ref><cid>1</cid></mrq>";

    #[test]
    fn an_alarm_is_taken_once_it_is_whole() {
        let bytes = ASKED.replace("   34", "   37");
        assert!(message(&bytes.as_bytes()[..bytes.len() - 1]).unwrap().is_none());
        let (head, body, size) = message(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(size, bytes.len());
        let out = answers(head, body, 5060, 1).unwrap();
        assert!(out.starts_with("SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK1\r\n"));
        assert!(out.contains("MESSAGE sip:10149471@127.0.0.1:1 SIP/2.0\r\n"));
        assert!(out.ends_with("<mrs><ref>abc</ref><snu>0</snu></mrs>"));
    }
}
