//! The process itself, as the kernel tells it, under the names that every exporter uses.

use rustix::process::{Resource, getrlimit};

use super::{Page, families};

/// Adds what can be read; what cannot is left out.
pub fn show(page: &mut Page) {
    if let Some(bytes) = resident_bytes() {
        page.put(&families::PROCESS_MEMORY, &[], bytes as f64);
    }
    if let Ok(folder) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        page.put(&families::PROCESS_FDS, &[], folder.count().saturating_sub(1) as f64);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        page.put(&families::PROCESS_FDS_MAX, &[], most as f64);
    }
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    page.put(&families::PROCESS_CPU, &[], used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
}

fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}
