//! The binary: reads the command line, calls the module that does the work, turns its answer into an exit code.

use std::process::ExitCode;

use clap::Parser;
use vaka::cli::{self, Cli, Command, Exit, Failure};
use vaka::config::Config;

/// Zeroes what is given back: libraries copy pictures into buffers that no type of ours can zero.
#[global_allocator]
static ALLOCATOR: vaka_camera::Wiping = vaka_camera::Wiping;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors. A closed stdout is nobody's loss here.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            cli::print_failure(&failure);
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let config = Config::path_from(cli.config.as_deref());
    cli::owner::step_down(&cli.command, &config)?;
    match cli.command {
        Command::Init(args) => cli::init::run(args),
        Command::Device(command) => cli::device::run(command, &config),
        Command::Camera(command) => cli::camera::run(command, &config),
        Command::Identity(command) => cli::identity::run(command, &config),
        Command::CheckConfig(args) => cli::check_config::run(args, &config),
        Command::Run(_) => cli::run::run(&config, vaka::update::Running::from_environment()),
        Command::Launch(_) => cli::launch::run(&config),
        Command::Update(command) => cli::update::run(command, &config),
        Command::Release(command) => cli::release::run(command),
        Command::Alarm(command) => cli::alarm::run(command, &config),
        Command::Order(command) => cli::order::run(command, &config),
        Command::Dose(command) => cli::dose::run(command, &config),
        Command::People(command) => cli::people::run(command, &config),
        Command::Round(args) => cli::round::run(args, &config),
        Command::Resident(command) => cli::resident::run(command, &config),
        Command::Journal(command) => cli::journal::run(command, &config),
        Command::Rehearse(args) => cli::rehearse::run(args, &config),
        Command::Report(args) => cli::report::run(args, &config),
        Command::Visit(command) => cli::visit::run(command, &config),
        Command::Check(args) => cli::check::run(&config, &args),
        Command::Backup(args) => cli::backup::run(args, &config),
        Command::Restore(args) => cli::backup::restored(&args),
        Command::Export(args) => cli::takeout::export(&args, &config),
        Command::Incident(args) => cli::incident::run(&args, &config),
        Command::Retention(args) => cli::takeout::retention(&args, &config),
        Command::Erase(args) => cli::erase::run(&args, &config),
        Command::Demo(args) => vaka::demo::run(args),
    }
}
