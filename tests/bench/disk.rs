//! What the disk itself takes: the floor under every durable acknowledgement.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stats::p50_p99;

/// One event with its header, in bytes: what a journal appends for one event that is alone.
const APPEND_BYTES: usize = 400;

/// Samples in microseconds, taken in slices between the cells that they are compared with: disks have moods.
#[derive(Default)]
pub struct Raw {
    append_us: Vec<f64>,
    overwrite_us: Vec<f64>,
}

impl Raw {
    /// One slice: append 400 B + fdatasync to a file that grows, as a journal does; then, for half the time, into a file
    /// that has its size already: what preallocated segments could gain.
    pub fn slice(&mut self, dir: &Path, time: Duration) -> Result<()> {
        let path = dir.join("raw");
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        file.sync_all()?;
        self.append_us.extend(timed(time, &mut file)?);
        fs::remove_file(&path)?;

        let mut file = File::create(&path)?;
        file.write_all(&vec![0; 8 << 20])?;
        file.sync_all()?;
        let mut file = OpenOptions::new().write(true).open(&path)?;
        self.overwrite_us.extend(timed(time / 2, &mut file)?);
        fs::remove_file(&path)?;
        Ok(())
    }

    /// p50 and p99 of appending, p50 of overwriting, in milliseconds.
    pub fn figures_ms(self) -> [f64; 3] {
        let (p50, p99) = p50_p99(self.append_us);
        [p50, p99, p50_p99(self.overwrite_us).0].map(|us| us / 1e3)
    }
}

fn timed(time: Duration, file: &mut File) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let before = Instant::now();
        file.write_all(&[b'r'; APPEND_BYTES])?;
        file.sync_data()?;
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
