//! The alarm centre: SIPp plays a file of `tests/scenarios` over TCP and writes down what it got and said.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::doorman::Doorman;
use crate::{Process, eventually, free_port, is_listening, program, root};

/// One `mrq` as the centre got it: tag to text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mrq {
    pub fields: BTreeMap<String, String>,
}

impl Mrq {
    /// A field's text, empty if it is absent.
    pub fn get(&self, tag: &str) -> &str {
        self.fields.get(tag).map_or("", String::as_str)
    }

    /// A code compared as a number: centres pad `3`, `03`, `0003` at will.
    pub fn code(&self, tag: &str) -> Option<u32> {
        self.get(tag).trim().parse().ok()
    }

    fn parse(body: &str) -> Mrq {
        let mut fields = BTreeMap::new();
        let mut rest = body.trim().strip_prefix("<mrq>").unwrap_or(body);
        while let Some(start) = rest.find('<') {
            let Some(end) = rest[start..].find('>') else { break };
            let tag = &rest[start + 1..start + end];
            let after = &rest[start + end + 1..];
            let close = format!("</{tag}>");
            let Some(length) = after.find(&close) else { break };
            fields.insert(tag.to_owned(), after[..length].to_owned());
            rest = &after[length + close.len()..];
        }
        Mrq { fields }
    }
}

/// A running stand-in; stopped when dropped.
pub struct Centre {
    pub port: u16,
    doorman: Option<Doorman>,
    process: Process,
    log: PathBuf,
    _dir: TempDir,
}

impl Centre {
    /// Starts the scenario on a free port.
    #[track_caller]
    pub fn start(scenario: &str) -> Centre {
        Centre::start_on(scenario, free_port())
    }

    /// Starts the scenario on a port of the caller's: a centre that comes back where another was.
    #[track_caller]
    pub fn start_on(scenario: &str, port: u16) -> Centre {
        let mut centre = Centre::start_plain(scenario);
        centre.doorman = Some(Doorman::start(port, centre.port));
        centre.port = port;
        centre
    }

    /// SIPp itself, nothing between: it does not survive a gateway that is killed in the middle of a call.
    #[track_caller]
    pub fn start_plain(scenario: &str) -> Centre {
        let port = free_port();
        let dir = TempDir::with_prefix("vaka-centre-").expect("a temporary directory");
        let file = root().join("tests/scenarios").join(format!("{scenario}.xml"));
        assert!(file.is_file(), "no scenario {}", file.display());
        let log = dir.path().join("centre.log");
        let mut command = Command::new(program("sipp"));
        command
            .arg("-sf")
            .arg(&file)
            .args([
                "-i",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-t",
                "t1",
                "-nostdin",
                "-watchdog_interval",
                "0",
                "-trace_logs",
                "-log_file",
            ])
            .arg(&log)
            .args(["-trace_err", "-error_file"])
            .arg(dir.path().join("errors.log"))
            .current_dir(dir.path())
            .env("TERM", "dumb");
        let process = Process::start(&command, &dir.path().join("screen.log"));
        let mut centre = Centre { port, doorman: None, process, log, _dir: dir };
        eventually(
            "SIPp to listen",
            || "see its screen above".into(),
            || {
                if let Some(status) = centre.process.exited() {
                    panic!("SIPp ended with {status}\n{}", centre.process.tail());
                }
                is_listening(port).then_some(())
            },
        );
        centre
    }

    /// What it wrote down, line by line.
    pub fn log(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// Every message it got, heartbeats too, in order.
    pub fn messages(&self) -> Vec<Mrq> {
        self.log().iter().filter_map(|line| line.strip_prefix("MRQ ").map(Mrq::parse)).collect()
    }

    /// The alarms among them: no heartbeats.
    pub fn alarms(&self) -> Vec<Mrq> {
        self.messages().into_iter().filter(|mrq| mrq.get("mty") != "PI").collect()
    }

    /// References of alarms whose `mrs` with snu 0 the gateway has taken (answered with 200), in order.
    pub fn accepted(&self) -> Vec<String> {
        let log = self.log();
        let alarms: Vec<String> = self.alarms().iter().map(|mrq| mrq.get("ref").to_owned()).collect();
        let said_ok = |reference: &str| log.iter().any(|line| line == &format!("MRS 0 {reference}"));
        log.iter()
            .filter_map(|line| line.strip_prefix("TAKEN "))
            .filter(|reference| alarms.iter().any(|a| a == reference) && said_ok(reference))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until it has got `count` alarms.
    #[track_caller]
    pub fn wait_alarms(&self, count: usize) -> Vec<Mrq> {
        let context = || format!("the centre's log:\n{}", self.log().join("\n"));
        eventually(&format!("{count} alarms at the centre"), context, || {
            let alarms = self.alarms();
            (alarms.len() >= count).then_some(alarms)
        })
    }

    /// True while SIPp runs: it must survive whatever the gateway sends.
    pub fn is_running(&mut self) -> bool {
        self.process.exited().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mrq_is_read_tag_by_tag() {
        let mrq = Mrq::parse("<mrq><ref>a1</ref><dty>0003</dty><lte>rum 2</lte></mrq>");
        assert_eq!(mrq.get("ref"), "a1");
        assert_eq!(mrq.code("dty"), Some(3));
        assert_eq!(mrq.get("lte"), "rum 2");
        assert_eq!(mrq.get("stc"), "");
    }
}
