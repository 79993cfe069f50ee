//! rumqttd with the configuration file that is its one argument, as its own `main` starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: vaka-bench-rumqttd FILE.toml");
        return ExitCode::from(64);
    };
    let read = config::Config::builder().add_source(config::File::with_name(&file)).build();
    let settings: rumqttd::Config = match read.and_then(|read| read.try_deserialize()) {
        Ok(settings) => settings,
        Err(e) => {
            eprintln!("reading {file}: {e}");
            return ExitCode::from(64);
        }
    };
    match rumqttd::Broker::new(settings).start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rumqttd: {e}");
            ExitCode::from(70)
        }
    }
}
