//! Writes the manual pages and the shells' completions of `vaka` into a folder, as its package has them.
//!
//! cargo run -p vaka-tests --bin manual -- FOLDER

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use vaka::cli::Cli;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: manual FOLDER"));
    std::fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(Cli::command(), &folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "vaka", &folder)?;
    }
    Ok(())
}
