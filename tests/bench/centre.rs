//! Alarm centres to measure against: SIPp, and a lean one in a process of its own. SIP MESSAGE over TCP comes in; a 200,
//! then a MESSAGE with `mrs` and `snu=0`, goes out.
//!
//! The lean one answers in the moment it has read, so that the figure is the gateway's; SIPp is the judge nobody here wrote.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::outage::Arrival;
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
                let mut role = Role::spawn("centre", &[])?;
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

/// The bench's own centre, down until it is started on the port that is its own.
pub struct Returning {
    pub port: u16,
    centre: Option<Role>,
}

impl Returning {
    pub fn new() -> Result<Returning> {
        Ok(Returning { port: free_port()?, centre: None })
    }

    /// Starts it and waits for the first press.
    pub fn start(&mut self, patience: Duration) -> Result<Arrival> {
        let port = self.port.to_string();
        let seconds = patience.as_secs().to_string();
        let words = ["--port", &port, "--press-within-s", &seconds].map(OsStr::new);
        let centre = self.centre.insert(Role::spawn("centre", &words)?);
        centre.line()?;
        let seen: Seen = serde_json::from_str(&centre.line()?)?;
        Ok(Arrival { alarm_ms: seen.press_ms, before: seen.before })
    }
}

/// What the `centre` role tells of a press.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    /// From listening to the press; None: it did not come in time.
    press_ms: Option<f64>,
    /// Other reports that came before it, heartbeats not counted.
    before: u64,
}

/// The `centre` role: prints its port, serves until it is killed. With `press_within`, a line of JSON as well: `Seen`.
pub fn role(port: u16, press_within: Option<Duration>) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let listening = Instant::now();
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    let (reports, reported) = mpsc::channel();
    if let Some(patience) = press_within {
        std::thread::spawn(move || {
            let seen = wait_for_press(&reported, listening, patience);
            println!("{}", serde_json::to_string(&seen).unwrap_or_default());
        });
    }
    loop {
        let (stream, _) = listener.accept()?;
        let reports = reports.clone();
        std::thread::spawn(move || {
            if let Err(e) = serve(stream, &reports) {
                eprintln!("bench centre: a connection ended: {e:#}");
            }
        });
    }
}

/// A report that has come in.
struct Report {
    at: Instant,
    is_press: bool,
}

impl Report {
    /// None: a heartbeat, or an answer.
    fn read(body: &str) -> Option<Report> {
        let asks = body.contains("<mrq") && between(body, "<mty>", "</mty>") != Some("PI");
        // A pendant, or a button on the wall; 0010 is the alarm itself.
        let pressed = matches!(between(body, "<dty>", "</dty>"), Some("0003" | "0004"))
            && between(body, "<stc>", "</stc>") == Some("0010");
        asks.then(|| Report { at: Instant::now(), is_press: pressed })
    }
}

fn wait_for_press(reported: &mpsc::Receiver<Report>, listening: Instant, patience: Duration) -> Seen {
    let mut seen = Seen::default();
    while let Ok(report) = reported.recv_timeout(patience.saturating_sub(listening.elapsed())) {
        if report.is_press {
            seen.press_ms = Some((report.at - listening).as_secs_f64() * 1e3);
            break;
        }
        seen.before += 1;
    }
    seen
}

fn serve(mut stream: TcpStream, reports: &mpsc::Sender<Report>) -> Result<()> {
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    let mut bytes = Vec::new();
    let mut number = 0u64;
    loop {
        while let Some((head, body, size)) = message(&bytes)? {
            if head.starts_with("MESSAGE ") {
                number += 1;
                if let Some(report) = Report::read(body) {
                    // Nobody waits for a press: an error, and none here.
                    let _ = reports.send(report);
                }
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
    fn a_press_is_told_from_heartbeats_and_from_what_else_comes() {
        let report = |text| Report::read(text).map(|report| report.is_press);
        assert_eq!(report("<mrq><ref>a</ref><mty>PI</mty><dty>0002</dty></mrq>"), None);
        assert_eq!(report("<mrs><ref>a</ref><snu>0</snu></mrs>"), None);
        assert_eq!(report("<mrq><mty>ME</mty><dty>0003</dty><stc>0010</stc></mrq>"), Some(true));
        assert_eq!(report("<mrq><mty>ME</mty><dty>0003</dty><stc>0016</stc></mrq>"), Some(false));
    }

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
