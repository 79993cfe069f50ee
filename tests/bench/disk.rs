//! What the disk itself takes: the floor under every durable acknowledgement.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stats::p50_p99;

/// One event with its header, in bytes: what a journal appends for one event that is alone.
const APPEND_BYTES: usize = 400;

/// p50 and p99 of append 400 B + fdatasync, in microseconds. The file grows, as a journal does.
pub fn append_and_sync(dir: &Path, time: Duration) -> Result<(f64, f64)> {
    let path = dir.join("raw");
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let samples = timed(time, || {
        file.write_all(&[b'r'; APPEND_BYTES])?;
        Ok(file.sync_data()?)
    })?;
    fs::remove_file(&path)?;
    Ok(p50_p99(samples))
}

/// The same into a file that has its size already: no metadata to sync. What preallocated segments could gain.
pub fn overwrite_and_sync(dir: &Path, time: Duration) -> Result<(f64, f64)> {
    let path = dir.join("raw");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; 8 << 20])?;
    file.sync_all()?;
    let mut file = OpenOptions::new().write(true).open(&path)?;
    let samples = timed(time, || {
        file.write_all(&[b'r'; APPEND_BYTES])?;
        Ok(file.sync_data()?)
    })?;
    fs::remove_file(&path)?;
    Ok(p50_p99(samples))
}

fn timed(time: Duration, mut step: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let before = Instant::now();
        step()?;
        samples.push(before.elapsed().as_secs_f64() * 1e6);
    }
    Ok(samples)
}

/// Bytes of all files below a folder: their lengths.
pub fn folder_bytes(dir: &Path) -> f64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0.0;
    };
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => folder_bytes(&entry.path()),
        Ok(about) => about.len() as f64,
        Err(_) => 0.0,
    };
    entries.flatten().map(bytes).sum()
}
