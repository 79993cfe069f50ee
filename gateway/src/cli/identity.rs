//! `vaka identity est|show`: where the gateway's certificate towards receivers and hubs comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Exit, Failure, duration, local_time, print_json, print_line};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::est::{self, Anchor, Enrolled, EstError, Login, Outcome};
use crate::provision::{ProvisionError, tell_gateway};

#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Have the certificate issued by an authority that speaks EST, such as the municipality's
    #[command(
        after_help = "The key stays where it is; the gateway renews the certificate there by itself at two thirds of its life.\nBack to the home's own: remove pki/est.json and reload.\nExamples:\n  vaka identity est https://ca.kommun.example --anchor kommun-root.pem --user gw-0001 --password-file otp\n  vaka identity est https://ca.kommun.example/.well-known/est/gateways --fingerprint 4F:2A:... --user gw-0001 --password-file -\n  vaka identity est https://ca.kommun.example --anchor root.pem --cert factory.pem --key factory.key"
    )]
    Est(EstArgs),
    /// Whose certificate the gateway shows to receivers and hubs, and until when
    Show {
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct EstArgs {
    /// https://HOST[:PORT], or with /.well-known/est/LABEL behind it
    pub url: String,
    /// The authority's certificate, PEM: whom to trust
    #[arg(long, value_name = "FILE", required_unless_present = "fingerprint", conflicts_with = "fingerprint")]
    pub anchor: Option<PathBuf>,
    /// Or its SHA-256
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// User of the one-time password; many authorities want none
    #[arg(long, default_value = "", requires = "password_file")]
    pub user: String,
    /// File that holds the one-time password; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A certificate that the authority knows already, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Wait so long for an authority where a person decides first, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    #[arg(long)]
    pub json: bool,
}

pub fn run(command: IdentityCommand, config_file: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config_file).map_err(|error| Failure::config(&error))?;
    match command {
        IdentityCommand::Est(args) => enrol(args, &config),
        IdentityCommand::Show { json } => show(&config, json),
    }
}

fn failed(error: EstError) -> Failure {
    let exit = match &error {
        EstError::Url(_) | EstError::Fingerprint(_) | EstError::Pem { .. } => Exit::Usage,
        EstError::Files(ProvisionError::File { .. }) => Exit::Disk,
        EstError::Request(_) => Exit::Internal,
        _ => Exit::FoundWrong,
    };
    Failure::new(exit, "enrol the gateway at the authority", error, "")
}

fn enrol(args: EstArgs, config: &Config) -> Result<Exit, Failure> {
    let attempt = "enrol the gateway at the authority";
    let anchor = match (args.anchor, args.fingerprint) {
        (Some(file), _) => Anchor::File(file),
        (None, Some(fingerprint)) => Anchor::Fingerprint(fingerprint),
        (None, None) => {
            return Err(Failure::new(Exit::Usage, attempt, "whom to trust was not said", "add --anchor FILE"));
        }
    };
    let password = args.password_file.as_deref().map(password).transpose()?;
    let login = Login { password: password.map(|password| (args.user, password)), identity: args.cert.zip(args.key) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Internal, attempt, error, ""))?;
    let mut left = args.wait.unwrap_or_default();
    let (clock, pki) = (SystemClock::new(), config.pki());
    let came = loop {
        let now_ms = clock.now().wall_ms;
        let asking = est::enrol(&pki, config.gateway.id.as_str(), &args.url, &anchor, &login, now_ms);
        match runtime.block_on(asking).map_err(failed)? {
            Outcome::Enrolled(came) => break came,
            Outcome::Later(after) if after <= left => {
                left -= after;
                runtime.block_on(tokio::time::sleep(after));
            }
            Outcome::Later(after) => {
                let cause =
                    format!("the authority wants time: somebody there decides, ask again in {} s", after.as_secs());
                return Err(Failure::new(
                    Exit::FoundWrong,
                    attempt,
                    cause,
                    "do the same again then, or add --wait 10m",
                ));
            }
        }
    };
    let told = tell_gateway(&config.journal.dir.join("lock"));
    if args.json {
        print_json(&json!({"certificate": came, "url": args.url, "told": told}))?;
    } else {
        say(&came, config)?;
        print_line(&told.to_string())?;
    }
    Ok(Exit::Ok)
}

/// Never from the command line, where every user of the machine could read it.
fn password(file: &Path) -> Result<String, Failure> {
    let read =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = read.map_err(|error| {
        Failure::new(Exit::Usage, "read the one-time password", format!("{}: {error}", file.display()), "")
    })?;
    let password = text.lines().next().unwrap_or_default().trim().to_owned();
    if password.is_empty() {
        let cause = format!("{} is empty", file.display());
        return Err(Failure::new(Exit::Usage, "read the one-time password", cause, "write it on the first line"));
    }
    Ok(password)
}

fn say(certificate: &Enrolled, config: &Config) -> Result<(), Failure> {
    let at = |ms| local_time(ms, &config.gateway.time_zone);
    print_line(&format!("{} by {}", certificate.subject, certificate.issuer))?;
    print_line(&format!("good until {}, renewed from {}", at(certificate.not_after), at(certificate.renews_at)))
}

fn show(config: &Config, as_json: bool) -> Result<Exit, Failure> {
    let failed = |error: EstError| Failure::new(Exit::FoundWrong, "show the gateway's certificate", error, "");
    let (present, kept) = (est::present(&config.pki()).map_err(failed)?, est::kept(&config.pki()).map_err(failed)?);
    let url = kept.map(|kept| kept.url);
    if as_json {
        print_json(&json!({"certificate": present, "url": url}))?;
        return Ok(Exit::Ok);
    }
    say(&present, config)?;
    print_line(&match url {
        Some(url) => format!("from {url}"),
        None => "from the home's own authority".to_owned(),
    })?;
    Ok(Exit::Ok)
}
