//! `vaka init DIR`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use vaka_protocol::DeviceId;

use super::{Exit, Failure, print_line, print_warnings};
use crate::clock::{Clock, SystemClock};
use crate::provision::{self, Given, NewHome, ProvisionError};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  vaka init home\n  vaka init home --device-ca kommun-devices.pem kommun-devices.key --server-ca kommun-servers.pem kommun-servers.key"
)]
pub struct InitArgs {
    /// Folder of the new home
    pub dir: PathBuf,
    /// The gateway's id: a-z, 0-9 and -
    #[arg(long, default_value = "gw-0001")]
    pub id: DeviceId,
    /// SCAIP controller id, digits, given by the alarm centre
    #[arg(long, value_name = "DIGITS", default_value = "10149471")]
    pub controller_id: String,
    /// Where devices connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8883")]
    pub listen: SocketAddr,
    /// The municipality's issuing authority for devices and its key, instead of one made here
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    pub device_ca: Option<Vec<PathBuf>>,
    /// The same for the certificates that devices know the gateway by
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    pub server_ca: Option<Vec<PathBuf>>,
}

/// Makes the home and prints what to do next.
pub fn run(args: InitArgs) -> Result<Exit, Failure> {
    let home = NewHome { gateway: args.id, controller_id: args.controller_id, listen: args.listen };
    let two = |files: Option<Vec<PathBuf>>| match files.as_deref() {
        Some([cert, key]) => Some((cert.clone(), key.clone())),
        _ => None,
    };
    let given = Given { devices: two(args.device_ca), servers: two(args.server_ca) };
    let (file, warnings) = provision::create_under(&args.dir, &home, &given, SystemClock::new().now().wall_ms)
        .map_err(|error| failure("make a home", error))?;
    print_warnings(&warnings);
    let (file, dir) = (file.display(), args.dir.display());
    print_line(&format!("made {dir}: authorities and keys in pki/ (back them up), an empty journal, vaka.toml"))?;
    print_line("next:")?;
    print_line(&format!(
        "  1. in {file}: the alarm centre's url and its pin or ca; without, no alarm leaves the home"
    ))?;
    print_line(&format!("  2. vaka device add p1 --kind pendant --out {dir}/p1 --config {file}"))?;
    print_line(&format!("  3. vaka run --config {file}"))?;
    Ok(Exit::Ok)
}

/// Exit codes of provisioning: the disk's fault, ours, or the wish's.
pub(super) fn failure(attempt: &str, error: ProvisionError) -> Failure {
    let exit = match &error {
        ProvisionError::File { .. } => Exit::Disk,
        ProvisionError::Crypto(_) | ProvisionError::Random => Exit::Internal,
        ProvisionError::Certificate { .. } => Exit::FoundWrong,
        _ => Exit::Usage,
    };
    let fix = match &error {
        ProvisionError::File { .. } => "check that the folder exists, can be written and has space",
        _ => "",
    };
    Failure::new(exit, attempt, error, fix)
}
