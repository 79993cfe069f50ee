//! `vaka check-config FILE`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::check::{Light, life_route};
use super::{Exit, Failure, print_json, print_line, print_warnings};
use crate::config::{Config, ConfigError, Finding};

#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The file [default: as for every command]
    pub file: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

/// Reads the file; prints what is wrong, or what is in it.
pub fn run(args: CheckConfigArgs, config_file: &Path) -> Result<Exit, Failure> {
    let file = args.file.as_deref().unwrap_or(config_file);
    let found = Config::load(file);
    if args.json {
        let (errors, warnings) = match &found {
            Ok((_, warnings)) => (Vec::new(), warnings.clone()),
            Err(ConfigError::Invalid(findings)) => (findings.clone(), Vec::new()),
            Err(read) => (vec![Finding { file: file.to_path_buf(), line: None, text: read.to_string() }], Vec::new()),
        };
        print_json(&json!({ "ok": found.is_ok(), "errors": errors, "warnings": warnings }))?;
        return Ok(if found.is_ok() { Exit::Ok } else { Exit::Usage });
    }
    let (config, warnings) = found.map_err(|error| Failure::config(&error))?;
    print_warnings(&warnings);
    // A file without a mistake in it can still be of a home that calls nobody.
    let route = life_route(&config);
    let judged = if route.light == Light::Red { route.found } else { "fine".into() };
    print_line(&format!(
        "{}: {judged}; gateway {}, receivers {}, routes {}, devices {}, residents {}, warnings {}",
        file.display(),
        config.gateway.id,
        config.receivers.len(),
        config.routes.len(),
        config.devices.len(),
        config.residents.len(),
        warnings.len()
    ))?;
    Ok(Exit::Ok)
}
