//! deny.toml held without cargo-deny and without a network: licences, banned crates, where crates come from.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use toml_edit::DocumentMut;
use vaka_tests::root;

fn deny() -> DocumentMut {
    std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml").parse().expect("deny.toml is TOML")
}

/// Packages that a build for Linux takes part in.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .expect("running cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let list = |value: &Value| value.as_array().cloned().expect("a list");
    let used: BTreeSet<String> =
        list(&metadata["resolve"]["nodes"]).iter().map(|node| node["id"].to_string()).collect();
    list(&metadata["packages"]).into_iter().filter(|package| used.contains(&package["id"].to_string())).collect()
}

/// Whether an SPDX expression can be met with the allowed licences. AND binds tighter than OR; `/` is the old way to write OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    // An exception only gives more rights than the licence it stands behind.
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    allowed.contains(*word)
}

#[test]
fn every_licence_is_on_the_list() {
    let deny = deny();
    let list = deny["licenses"]["allow"].as_array().expect("a list").iter();
    let allowed: BTreeSet<String> = list.map(|word| word.as_str().expect("a word").to_owned()).collect();
    let packages = packages();
    assert!(packages.len() > 50, "cargo metadata gave {} packages", packages.len());
    let outside: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(outside.is_empty(), "not on deny.toml's list: {}", outside.join(", "));
}

#[test]
fn no_banned_crate_and_no_strange_source() {
    let deny = deny();
    let banned = deny["bans"]["deny"].as_array().expect("a list");
    for package in packages() {
        let name = package["name"].as_str().expect("a name").to_owned();
        for ban in banned {
            let ban = ban.as_inline_table().expect("a table");
            let text = |key: &str| ban.get(key).and_then(|v| v.as_str()).unwrap_or_default();
            assert_ne!(name, text("crate"), "{name} is in the tree: {}", text("reason"));
        }
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(|s| s.starts_with("registry+") || s.starts_with("sparse+")),
            "{name} comes from {source:?}"
        );
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed: BTreeSet<String> = ["MIT", "Apache-2.0"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", true),
        ("GPL-3.0-only AND MIT OR Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
        ("", false),
        ("(MIT", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
