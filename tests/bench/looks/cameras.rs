//! The bench's cameras: ffmpeg's pictures over HTTP as fast as they are asked for, and a GStreamer camera's video passed on.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use vaka_camera::{Frame, Setup, View, Waits};
use vaka_tests::{lacks, root};

use super::{CAMERAS, LOOK_S};
use crate::load::now_ms;
use crate::process::{Role, cpu_us};

/// A camera sleeps when nobody has asked it for so long, and takes so long to wake, in milliseconds.
const SLEEPS_AFTER_MS: u64 = 3_000;
const WAKES_IN_MS: u64 = 1_000;

/// All cameras on one port, told apart by their path; the port.
pub(super) async fn start(dir: &Path) -> Result<u16> {
    ensure!(!lacks(&["ffmpeg"]), "the cameras' pictures are made by ffmpeg: tests/run installs it");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=5"])
        .args(["-vf", "noise=alls=12:allf=t", "-frames:v", "20", "-q:v", "5"])
        .arg(dir.join("%02d.jpg"))
        .status()?;
    ensure!(made.success(), "ffmpeg ended with {made}");
    let pictures = (1..=20).map(|n| std::fs::read(dir.join(format!("{n:02}.jpg"))));
    let pictures: Arc<Vec<Vec<u8>>> = Arc::new(pictures.collect::<Result<_, _>>()?);
    let asked: Arc<Vec<AtomicU64>> = Arc::new((0..CAMERAS).map(|_| AtomicU64::new(0)).collect());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (pictures, asked) = (pictures.clone(), asked.clone());
            // A camera whose viewer has gone: nothing to tell.
            tokio::spawn(async move { give(stream, &pictures, &asked).await.ok() });
        }
    });
    Ok(port)
}

/// Asks these cameras for a picture each, so that they are awake.
pub(super) async fn wake(port: u16, cameras: std::ops::Range<usize>) -> Result<()> {
    let asking = cameras.map(|n| {
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.write_all(format!("GET /{n} HTTP/1.1\r\nhost: c\r\n\r\n").as_bytes()).await?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await?;
            anyhow::Ok(())
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await??;
    }
    Ok(())
}

/// One connection to a camera.
async fn give(stream: TcpStream, pictures: &[Vec<u8>], asked: &[AtomicU64]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let camera = line.split(' ').nth(1).and_then(|path| path.strip_prefix('/')?.parse::<usize>().ok());
        while line.trim_end() != "" {
            line.clear();
            stream.read_line(&mut line).await?;
        }
        let camera = camera.filter(|camera| *camera < asked.len()).context("a camera that is none")?;
        let before = asked[camera].swap(now_ms(), Ordering::Relaxed);
        if now_ms() - before > SLEEPS_AFTER_MS {
            tokio::time::sleep(Duration::from_millis(WAKES_IN_MS)).await;
        }
        let picture = &pictures[now_ms() as usize / 200 % pictures.len()];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncontent-length: {}\r\n\r\n", picture.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(picture).await?;
    }
}

/// An H.264 stream passed on: percent of a core. `None`: there is no GStreamer here.
pub(super) fn video() -> Result<Option<f64>> {
    // Debian's own Python has its bindings.
    let mut script = Command::new("/usr/bin/python3");
    let mut camera =
        Role::of("the GStreamer camera", script.arg(root().join("tests/peers/rtsp_camera.py")).args(["--rate", "25"]))?;
    let Ok(port) = camera.line() else { return Ok(None) };
    let mut role = Role::spawn("video", &[port.as_ref()])?;
    let said: Value = serde_json::from_str(&role.line()?)?;
    println!("H.264 passed on: {said}");
    Ok(said["share"].as_f64())
}

/// `bench video PORT`: passes the video on for some seconds, and says what that took of a core.
pub fn video_role(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let camera = vaka_camera::Camera::new(Setup {
        id: "cam".into(),
        look: format!("rtsp://127.0.0.1:{port}/stream2"),
        snapshot: None,
        user: String::new(),
        password: vaka_camera::Secret::default(),
        pin: None,
        wake_ms: 0,
        allowed: vec!["127.0.0.0/8".parse().map_err(|e| anyhow::anyhow!("{e}"))?],
        waits: Waits::default(),
    })?;
    let lasts = Duration::from_secs(LOOK_S);
    let (parts, bytes) = runtime.block_on(async {
        let (sink, mut frames) = vaka_camera::frames();
        let counting = tokio::spawn(async move {
            let (mut parts, mut bytes) = (0u64, 0);
            while let Some(frame) = frames.next().await {
                if let Frame::Mp4Part { segment, .. } = frame {
                    (parts, bytes) = (parts + 1, bytes + segment.len());
                }
            }
            (parts, bytes)
        });
        vaka_camera::look(&camera, View::Video, tokio::time::Instant::now() + lasts, &sink).await?;
        drop(sink);
        anyhow::Ok(counting.await?)
    })?;
    ensure!(parts > 0, "no part of the video came");
    let share = cpu_us(std::process::id()) / 1e4 / lasts.as_secs_f64();
    println!("{}", serde_json::json!({"share": share, "parts": parts, "bytes": bytes, "seconds": LOOK_S}));
    Ok(())
}
