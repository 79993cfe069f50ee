//! What a test needs beside the program itself.

use crate::{has_program, program, python};

/// Says that the running test did not run, and why. `tests/run` fails on a name that `tests/skips.txt` does not have.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    println!("SKIP {}: {reason}", thread.name().unwrap_or("an unnamed test"));
}

/// What could be made here; else the running test is [`skip`]ped with why not.
pub fn or_skip<T>(made: Result<T, String>) -> Option<T> {
    made.inspect_err(|why| skip(why)).ok()
}

/// True, after saying so, if a peer is missing and the run was asked to go on without. Otherwise a missing peer fails the test.
pub fn lacks(peers: &[&str]) -> bool {
    let present = |peer: &&str| match *peer {
        "paho" => python().is_file(),
        "playwright" => crate::browser::is_there(),
        name => has_program(name) || program(name).is_absolute(),
    };
    let Some(missing) = peers.iter().find(|peer| !present(peer)) else { return false };
    assert!(
        is_waived("VAKA_WITHOUT_PEERS"),
        "{missing} is not installed: `tests/run` installs it, or leaves it out with VAKA_WITHOUT_PEERS=1"
    );
    skip(&format!("no peer: {missing}"));
    true
}

/// The run was asked, by that name in the environment, to go on without.
pub(crate) fn is_waived(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|v| !v.is_empty())
}
