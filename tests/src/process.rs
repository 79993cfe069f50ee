//! A child process with its output in a file, ended by its own id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::eventually;

/// A running child; killed when dropped.
pub struct Process {
    child: Child,
    output: PathBuf,
    name: String,
}

impl Process {
    /// Starts `command`, both outputs appended to `output`.
    pub fn start(command: &Command, output: &Path) -> Process {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut command = ended_with_us(command);
        let file = File::options()
            .create(true)
            .append(true)
            .open(output)
            .unwrap_or_else(|e| panic!("opening {}: {e}", output.display()));
        let error = file.try_clone().expect("a second handle to the same file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(error)
            .spawn()
            .unwrap_or_else(|e| panic!("starting {name}: {e}; `tests/run` installs what the tests need"));
        Process { child, output: output.to_owned(), name }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed, over all its starts on this file.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Its last lines, for a failing test's message.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        format!("last lines of {}:\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    /// Sends a signal by name (`TERM`, `HUP`, …).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()
            .expect("kill is on every machine");
        assert!(status.success(), "sending {name} to {}", self.name);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("waiting for an own child")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let output = self.output.clone();
        let context = || String::from_utf8_lossy(&std::fs::read(&output).unwrap_or_default()).into_owned();
        let child = &mut self.child;
        eventually(&format!("the end of {}", self.name), context, || {
            child.try_wait().expect("waiting for an own child")
        })
    }
}

/// The same command, ended by the kernel when the thread that starts it is gone: also where a whole test run is killed.
/// TERM, not KILL: Kamailio's main process has children to end.
fn ended_with_us(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
    for (key, setting) in command.get_envs() {
        match setting {
            Some(setting) => wrapped.env(key, setting),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
