//! A device that really runs: its image in QEMU, its flash in a file, its hands and eyes on a serial line.
//!
//! Enters: lines (`press 120`), the cable (`set_link`), a power cut (`kill`). Leaves: the lines that the device says;
//! `firmware/board-mps2/src/lib.rs` and `inputs.rs` list both.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Flash, eventually_within};

/// Longest wait for a line. A handshake takes QEMU 0.2 s on an idle core; a run of many tests shares two.
const PATIENCE: Duration = Duration::from_secs(60);

/// The board; its power is cut when it is dropped.
pub struct Board {
    image: PathBuf,
    flash: Flash,
    more: Vec<String>,
    dir: TempDir,
    running: Option<Running>,
    /// Everything said since the first start.
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    /// Lines that were waited for, or came before those.
    seen: usize,
}

struct Running {
    child: Child,
    input: ChildStdin,
    reader: std::thread::JoinHandle<()>,
}

impl Board {
    /// Switches it on.
    #[track_caller]
    pub fn start(image: &Path, flash: &Flash) -> Board {
        Board::start_with(image, flash, &[])
    }

    /// The same with more of QEMU's own options (`-icount shift=0`).
    #[track_caller]
    pub fn start_with(image: &Path, flash: &Flash, more: &[&str]) -> Board {
        let mut board = Board {
            image: image.to_owned(),
            flash: flash.clone(),
            more: more.iter().map(|option| (*option).to_owned()).collect(),
            dir: TempDir::with_prefix("vaka-board-").expect("a temporary directory"),
            running: None,
            lines: Arc::default(),
            seen: 0,
        };
        board.power_on();
        board
    }

    /// Switches it on after [`Board::kill`].
    #[track_caller]
    pub fn power_on(&mut self) {
        assert!(self.running.is_none(), "it is on");
        let _ = std::fs::remove_file(self.qmp_path());
        let memory = format!("memory-backend-file,id=psram,size=16M,share=on,mem-path={}", self.flash.path().display());
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-arm"])
            .args(["-machine", "mps2-an386,memory-backend=psram", "-object", &memory])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-nic", "user,id=n0,model=lan9118", "-semihosting-config", "enable=on,target=native"])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", self.qmp_path().display())])
            .args(&self.more)
            .arg("-kernel")
            .arg(&self.image)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting qemu-system-arm: {e}; `tests/run` installs it"));
        let input = child.stdin.take().expect("its input is a pipe");
        let output = child.stdout.take().expect("its output is a pipe");
        let lines = self.lines.clone();
        let reader = std::thread::spawn(move || {
            // Half a line at a power cut is still what it said.
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = (Instant::now(), String::from_utf8_lossy(&line).trim_end().to_owned());
                lines.lock().expect("one reader").push(line);
            }
        });
        self.running = Some(Running { child, input, reader });
    }

    /// A power cut: SIGKILL. Everything it said until then is in [`Board::lines`].
    pub fn kill(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let _ = running.child.kill();
        let _ = running.child.wait();
        drop(running.input);
        let _ = running.reader.join();
    }

    /// A power cut and the boot after it.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.seen = self.lines().len();
        self.power_on();
    }

    /// The test's hand: one line of `firmware/board-mps2/src/inputs.rs`.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let running = self.running.as_mut().expect("it is on");
        writeln!(running.input, "{line}").and_then(|()| running.input.flush()).expect("writing to QEMU");
    }

    /// Everything it has said, over all its starts.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("one reader").iter().map(|(_, line)| line.clone()).collect()
    }

    /// Everything it has said, for a failing test's message.
    pub fn tail(&self) -> String {
        let lines = self.lines();
        format!("the device's last lines:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }

    /// Waits for a line that begins so, after the ones that were waited for before.
    #[track_caller]
    pub fn wait(&mut self, start: &str) -> String {
        self.wait_for(start, |line| line.starts_with(start))
    }

    /// Waits for a line that is as wished, after the ones that were waited for before.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is_wished: impl FnMut(&str) -> bool) -> String {
        self.wait_when(what, is_wished).1
    }

    /// The same, and when the line came.
    #[track_caller]
    pub fn wait_when(&mut self, what: &str, mut is_wished: impl FnMut(&str) -> bool) -> (Instant, String) {
        let seen = self.seen;
        let (place, line) = eventually_within(
            PATIENCE,
            &format!("`{what}` from the device"),
            || self.tail(),
            || {
                let lines = self.lines.lock().expect("one reader");
                let found = lines.iter().enumerate().skip(seen).find(|(_, (_, line))| is_wished(line));
                found.map(|(place, line)| (place, line.clone()))
            },
        );
        self.seen = place + 1;
        line
    }

    /// Plugs the cable in or pulls it.
    #[track_caller]
    pub fn set_link(&self, is_up: bool) {
        self.qmp(&format!(r#"{{"execute":"set_link","arguments":{{"name":"n0","up":{is_up}}}}}"#));
    }

    /// What the cable carries is lost on its way, both ways, though the link stands.
    #[track_caller]
    pub fn drop_packets(&self, drops: bool) {
        // Held for longer than any test, and gone with the filter.
        let add = r#"{"execute":"object-add","arguments":{"qom-type":"filter-buffer","id":"lost","netdev":"n0","interval":4000000000}}"#;
        let remove = r#"{"execute":"object-del","arguments":{"id":"lost"}}"#;
        self.qmp(if drops { add } else { remove });
    }

    /// One command over QEMU's machine protocol.
    #[track_caller]
    pub fn qmp(&self, command: &str) {
        let stream = UnixStream::connect(self.qmp_path()).expect("QEMU's socket");
        let mut answers = BufReader::new(stream.try_clone().expect("a second handle")).lines().map_while(Result::ok);
        answers.next().expect("QEMU greets");
        for command in [r#"{"execute":"qmp_capabilities"}"#, command] {
            writeln!(&stream, "{command}").expect("writing to QEMU");
            let answer = answers.find(|line| line.contains(r#""return""#) || line.contains(r#""error""#));
            let answer = answer.expect("QEMU answers");
            assert!(answer.contains(r#""return""#), "{command}: {answer}");
        }
    }

    fn qmp_path(&self) -> PathBuf {
        self.dir.path().join("qmp")
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.kill();
    }
}
