//! Writes what `vaka` is made of, as CycloneDX 1.5 JSON: every crate that is built into it or builds it, with licence and checksum.
//!
//! cargo metadata --locked --format-version 1 --filter-platform x86_64-unknown-linux-gnu |
//!   cargo run -p vaka-tests --bin sbom -- Cargo.lock > vaka.cdx.json

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let metadata: Value = serde_json::from_str(&text)?;
    let lock = std::env::args_os().nth(1).ok_or("usage: sbom Cargo.lock < metadata")?;
    let lock: toml::Table = std::fs::read_to_string(lock)?.parse()?;
    println!(
        "{}",
        serde_json::to_string_pretty(&bill(&metadata, &checksums(&lock)).ok_or("that is no metadata of vaka")?)?
    );
    Ok(())
}

/// By name and version.
fn checksums(lock: &toml::Table) -> BTreeMap<(String, String), String> {
    let rows = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let row = |row: &toml::Value| {
        let text = |key: &str| row.get(key)?.as_str().map(str::to_owned);
        Some(((text("name")?, text("version")?), text("checksum")?))
    };
    rows.filter_map(row).collect()
}

fn bill(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Option<Value> {
    let packages = metadata["packages"].as_array()?;
    let by_id: BTreeMap<&str, &Value> = packages.iter().filter_map(|p| Some((p["id"].as_str()?, p))).collect();
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let needs: BTreeMap<&str, Vec<&str>> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, built_with(node)))).collect();
    let root = packages.iter().find(|p| p["name"] == "vaka")?["id"].as_str()?;
    let mut found = BTreeSet::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        if found.insert(id) {
            next.extend(needs.get(id).into_iter().flatten());
        }
    }
    let reference = |id: &str| {
        let package = by_id.get(id)?;
        Some(format!("pkg:cargo/{}@{}", package["name"].as_str()?, package["version"].as_str()?))
    };
    let component = |id: &&str| {
        let package = by_id.get(id)?;
        let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
        let mut row = json!({"type": "library", "bom-ref": reference(id)?, "name": name, "version": version, "purl": reference(id)?});
        if let Some(licence) = package["license"].as_str() {
            // Old crates write a slash where SPDX has OR.
            row["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
        }
        if let Some(sum) = checksums.get(&(name.to_owned(), version.to_owned())) {
            row["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        Some(row)
    };
    let mut main = component(&root)?;
    main["type"] = "application".into();
    let dependency = |id: &&str| {
        let on: Vec<String> = needs.get(id).into_iter().flatten().filter_map(|id| reference(id)).collect();
        Some(json!({"ref": reference(id)?, "dependsOn": on}))
    };
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": main},
        "components": found.iter().filter(|id| **id != root).filter_map(component).collect::<Vec<_>>(),
        "dependencies": found.iter().filter_map(dependency).collect::<Vec<_>>(),
    }))
}

/// What is built into it or builds it; what only tests need is not.
fn built_with(node: &Value) -> Vec<&str> {
    let is_built =
        |dep: &&Value| dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"));
    node["deps"].as_array().into_iter().flatten().filter(is_built).filter_map(|dep| dep["pkg"].as_str()).collect()
}
