//! Writes the manual pages and the shells' completions of `vaka` into a folder, as its package has them, and the documents of `deploy` as
//! pages to read in a browser and to print.
//!
//! cargo run -p vaka-tests --bin manual -- FOLDER

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use pulldown_cmark::{Options, Parser, html};
use vaka::cli::Cli;

/// Where a document is divided by a line, paper is too. No script, nothing from elsewhere.
const STYLE: &str = "@page { size: A4; margin: 18mm } body { max-width: 48em; margin: auto; font: 11pt/1.4 sans-serif; color: #111; background: #fff } \
    hr { break-after: page; border: 0; border-top: 1px solid #999 } h1, h2, h3 { line-height: 1.2; break-after: avoid } \
    li, pre, tr { break-inside: avoid } code { font-size: 0.92em; overflow-wrap: anywhere } pre { padding: .6em; background: #f2f2f2; white-space: pre-wrap } \
    table { border-collapse: collapse } td, th { padding: .2em .5em; border: 1px solid #999; text-align: left; vertical-align: top } \
    @media print { hr { visibility: hidden } }";

fn main() -> io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: manual FOLDER"));
    std::fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(Cli::command(), &folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "vaka", &folder)?;
    }
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for document in std::fs::read_dir(documents)? {
        let document = document?.path();
        if document.extension().is_some_and(|end| end == "md") {
            let name = document.file_stem().expect("a name").to_string_lossy();
            std::fs::write(folder.join(format!("{name}.html")), page(&name, &std::fs::read_to_string(&document)?))?;
        }
    }
    Ok(())
}

fn page(name: &str, text: &str) -> String {
    let mut body = String::new();
    html::push_html(&mut body, Parser::new_ext(text, Options::ENABLE_TABLES));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Vaka: {name}</title>\n<style>{STYLE}</style>\n{body}</html>\n"
    )
}
