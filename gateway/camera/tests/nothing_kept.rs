//! After a look nothing of its pictures is left in this process's memory. With the allocator that zeroes nothing, something is found, so
//! the search can find.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use support::*;
use vaka_camera::{Camera, Frame, View, Wiping};

/// [`Wiping`], or the system's allocator as it is.
struct Switched;

static WIPES: AtomicBool = AtomicBool::new(true);

// SAFETY: both take their blocks from the system's allocator, so either may give back what the other took.
unsafe impl GlobalAlloc for Switched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe {
            if WIPES.load(Ordering::Relaxed) { Wiping.dealloc(start, layout) } else { System.dealloc(start, layout) }
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe {
            if WIPES.load(Ordering::Relaxed) {
                Wiping.realloc(start, layout, size)
            } else {
                System.realloc(start, layout, size)
            }
        }
    }
}

#[global_allocator]
static ALLOCATOR: Switched = Switched;

const SLICE: usize = 8;

/// Pieces of pictures are kept like this, so that the search does not find its own list.
fn veiled(piece: &[u8]) -> u64 {
    !u64::from_le_bytes(piece.try_into().expect("8 bytes"))
}

/// How many of `pieces` are somewhere in what this process may write to.
fn found(pieces: &BTreeSet<u64>) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let mut memory = File::open("/proc/self/mem").expect("memory");
    let mut hits = BTreeSet::new();
    // Most places are told to be none by their first two bytes.
    let mut beginnings = vec![false; 1 << 16];
    pieces.iter().for_each(|piece| beginnings[(!piece & 0xffff) as usize] = true);
    let mut page = vec![0; 4_096 + SLICE];
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let (from, to) = [from, to].map(|hex| u64::from_str_radix(hex, 16).expect("an address")).into();
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).expect("a length").min(page.len());
            if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(&mut page[..length]).is_err() {
                break;
            }
            for at in 0..length.saturating_sub(SLICE - 1) {
                if beginnings[usize::from(page[at]) | usize::from(page[at + 1]) << 8] {
                    let piece = veiled(&page[at..at + SLICE]);
                    if pieces.contains(&piece) {
                        hits.insert(piece);
                    }
                }
            }
            at += 4_096;
        }
    }
    page.fill(0);
    hits.len()
}

/// Pieces from all over a picture's scan, where it is as good as random.
fn pieces(frame: &Frame) -> impl Iterator<Item = u64> + '_ {
    let Frame::Jpeg(jpeg) = frame else { panic!("not a picture: {frame:?}") };
    jpeg[1_000..].chunks_exact(SLICE).step_by(40).map(veiled)
}

/// Looks at a camera in another process, and how many pieces of what was seen are left.
async fn left(view: View) -> (usize, usize) {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let child = Command::new("ffmpeg")
        .args(["-v", "quiet", "-re", "-f", "lavfi", "-i", "nullsrc=size=320x240:rate=20,geq=random(1)*255:128:128"])
        .args([
            "-c:v",
            "mjpeg",
            "-huffman",
            "0",
            "-f",
            "mpjpeg",
            "-content_type",
            "multipart/x-mixed-replace;boundary=ffmpeg",
        ])
        .args(["-listen", "1"])
        .arg(format!("http://127.0.0.1:{port}/"))
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg");
    let _peer = Peer { child, stdin: None, port };
    let camera = Camera::new(patient(format!("http://127.0.0.1:{port}/"))).expect("a camera");
    let (frames, result) = some_frames(&camera, view, 8).await;
    result.expect("a look");
    let seen: BTreeSet<u64> = frames.iter().flat_map(pieces).collect();
    drop((frames, camera));
    (seen.len(), found(&seen))
}

#[tokio::test]
async fn after_a_look_nothing_of_it_is_left_in_memory() {
    if !Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return println!("SKIP after_a_look_nothing_of_it_is_left_in_memory: no peer: ffmpeg");
    }
    let (seen, kept) = left(View::Clear).await;
    assert!(seen > 100, "{seen} pieces are too few to search for");
    assert_eq!(kept, 0, "of {seen} pieces");
    WIPES.store(false, Ordering::Relaxed);
    let (seen, kept) = left(View::Clear).await;
    println!("without zeroing, {kept} of {seen} pieces were left");
    assert!(kept > 0, "the search finds nothing at all");
}
