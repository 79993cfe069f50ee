//! A publisher of releases: plain files over real TLS, with byte ranges; it can break off in the middle.
//!
//! Enters: connections on 127.0.0.1. Leaves: files of its folder, and what was asked for. Absent: any knowledge of releases.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;

/// The running server; it ends with the test's process.
pub struct Publisher {
    folder: TempDir,
    port: u16,
    desk: Arc<Desk>,
}

struct Desk {
    files: PathBuf,
    /// The next answers break off after so many bytes of a program.
    break_after: AtomicU64,
    asked: Mutex<Vec<String>>,
    /// Answers that break off stay open, and say nothing.
    holds: Mutex<bool>,
    let_go: Condvar,
}

impl Publisher {
    #[track_caller]
    pub fn start() -> Publisher {
        let folder = TempDir::with_prefix("vaka-publisher-").expect("a temporary directory");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).expect("the authority");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows them")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("its own certificate");
        let files = folder.path().join("stable");
        std::fs::create_dir(&files).expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let desk = Arc::new(Desk {
            files,
            break_after: AtomicU64::new(u64::MAX),
            asked: Mutex::default(),
            holds: Mutex::new(false),
            let_go: Condvar::new(),
        });
        let (config, shared) = (Arc::new(config), desk.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(connection) = ServerConnection::new(config.clone()) else { continue };
                // Whoever goes in the middle of an answer is a test of its own.
                let _ = shared.answer(StreamOwned::new(connection, stream));
            }
        });
        Publisher { folder, port, desk }
    }

    /// Where releases are to be put.
    pub fn files(&self) -> &Path {
        &self.desk.files
    }

    /// Beside the files, where nobody fetches.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/stable/", self.port)
    }

    pub fn ca(&self) -> PathBuf {
        self.beside("ca.pem")
    }

    /// From now on each program ends after so many bytes; `None`: whole again.
    pub fn break_after(&self, bytes: Option<u64>) {
        self.desk.break_after.store(bytes.unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// What breaks off is held open from now on, as by a line that hangs; or let go.
    pub fn hold(&self, holds: bool) {
        *self.desk.holds.lock().expect("no panic holds it") = holds;
        self.desk.let_go.notify_all();
    }

    /// `GET /stable/release.json`, with `bytes=N-` behind it where a part was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.desk.asked.lock().expect("no panic holds it").clone()
    }
}

impl Desk {
    fn answer(&self, mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> std::io::Result<()> {
        let mut reader = BufReader::new(&mut stream);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut from = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                from = range.trim().trim_end_matches('-').parse().unwrap_or(0);
            }
        }
        let what = first.trim().trim_end_matches(" HTTP/1.1");
        let asked = if from > 0 { format!("{what} bytes={from}-") } else { what.to_owned() };
        self.asked.lock().expect("no panic holds it").push(asked);
        let name = what.rsplit('/').next().unwrap_or_default();
        let Ok(bytes) = std::fs::read(self.files.join(name)) else {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            return stream.flush();
        };
        let rest = &bytes[from.min(bytes.len())..];
        let head = match from {
            0 => "200 OK\r\n".to_owned(),
            _ => format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len()),
        };
        write!(stream, "HTTP/1.1 {head}content-length: {}\r\n\r\n", rest.len())?;
        let most = if [".json", ".minisig"].iter().any(|end| name.ends_with(end)) {
            u64::MAX
        } else {
            self.break_after.load(Ordering::SeqCst)
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        stream.write_all(&rest[..rest.len().min(most)])?;
        stream.flush()?;
        if most < rest.len() {
            let held = self.holds.lock().expect("no panic holds it");
            drop(self.let_go.wait_while(held, |holds| *holds));
        }
        stream.conn.send_close_notify();
        stream.flush()
    }
}
