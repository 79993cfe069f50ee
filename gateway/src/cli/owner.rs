//! Whose a home is. What root writes into another user's home is root's, and the gateway could not read it when it starts next: so root goes
//! on as the home's owner, before anything is opened.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use super::backup::BackupArgs;
use super::{Command, Exit, Failure};
use crate::config::{Config, INSTALLED};

/// The folder in which `command` writes as the home's owner would. None: it has to do with no home, or, as `erase`, is to reach further
/// than its owner can.
fn home(command: &Command, config: &Path) -> Option<PathBuf> {
    match command {
        Command::Demo(_) | Command::Release(_) | Command::Erase(_) => None,
        // Keys and backups that lie elsewhere.
        Command::Backup(BackupArgs { command: Some(_), .. }) => None,
        Command::Init(args) => Some(args.dir.clone()),
        Command::Restore(args) => Some(args.to.clone()),
        _ => config.parent().map(Path::to_path_buf),
    }
}

/// The owner of `folder`, or of what it is to be made in.
fn owner(folder: &Path) -> Option<(u32, u32)> {
    let whole = std::path::absolute(folder).ok()?;
    let found = whole.ancestors().find_map(|folder| std::fs::metadata(folder).ok())?;
    Some((found.uid(), found.gid()))
}

/// What the machine calls a user, else the number.
fn name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let said = |line: &str| {
        let mut words = line.split(':');
        let (name, number) = (words.next()?, words.nth(1)?);
        (number == uid.to_string()).then(|| name.to_owned())
    };
    users.lines().find_map(said).unwrap_or_else(|| format!("user {uid}"))
}

/// As root in another's home the program begins again as its owner, with the same words. Returns where nothing is to be changed.
///
/// # Errors
/// Where this machine does not let it: nothing has been done.
pub fn step_down(command: &Command, config: &Path) -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some((uid, gid)) = home(command, config).and_then(|folder| owner(&folder)).filter(|(uid, _)| *uid != 0) else {
        return Ok(());
    };
    let name = name(uid);
    eprintln!("vaka: going on as {name}, who owns the home");
    let attempt = format!("go on as {name}");
    let fix = format!("sudo -u {name} vaka …: what root writes there the gateway could not read");
    let failed = |error: std::io::Error| Failure::new(Exit::Usage, &*attempt, error, &*fix);
    let program = std::env::current_exe().map_err(failed)?;
    // The owner's own group alone: none of root's comes along.
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).gid(gid).uid(uid);
    Err(failed(again.exec()))
}

/// How the gateway of `config` is started: by the machine where it was installed, else by hand, by `word` of the command line.
pub fn start_it(config: &Config, word: &str) -> String {
    match config.file == Path::new(INSTALLED) {
        true => "start it: sudo systemctl start vaka".into(),
        false => format!("start it: vaka {word} --config {}", config.file.display()),
    }
}
