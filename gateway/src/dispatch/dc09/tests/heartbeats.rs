//! The path is proven, lost, and found again.

use super::*;

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_and_three_misses_lose_the_path_within_90_s() {
    let mut stage = stage("beats", plain());
    let mut far = stage.far().await;
    for _ in 0..5 {
        let before = Instant::now();
        let heartbeat = far.any().await.unwrap();
        assert_eq!((heartbeat.id.as_str(), heartbeat.content.as_str()), ("NULL", "]"));
        assert!(before.elapsed() <= Duration::from_secs(26));
        far.say("ACK", &heartbeat.number).await;
    }
    assert_eq!(stage.until("up").await, "up: heartbeat answered");
    let answered = Instant::now();
    // From here on it takes connections and says nothing.
    let mut lines = vec![far];
    let lost = loop {
        tokio::select! {
            biased;
            said = stage.event() => if said.starts_with("down") { break said },
        }
    };
    assert_eq!(lost, "down: heartbeat not answered");
    assert!(answered.elapsed() <= Duration::from_secs(90), "{:?}", answered.elapsed());
    while let Ok(line) = stage.lines.try_recv() {
        lines.push(Far { stream: line });
    }
    let mut far = stage.far().await;
    let heartbeat = far.any().await.unwrap();
    far.say("ACK", &heartbeat.number).await;
    stage.until("up").await;
    assert_eq!(stage.heard.iter().filter(|said| said.starts_with("down")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_without_a_use_for_heartbeats_proves_the_path_by_saying_so() {
    let mut stage = stage("duh-null", plain());
    let mut far = stage.far().await;
    let heartbeat = far.any().await.unwrap();
    far.say("DUH", &heartbeat.number).await;
    stage.until("up").await;
}

#[tokio::test(start_paused = true)]
async fn an_account_unknown_to_the_receiver_is_a_lost_path() {
    let mut stage = stage("nak-beats", plain());
    let mut far = stage.far().await;
    for _ in 0..3 {
        far.any().await.unwrap();
        far.raw(b"\"NAK\"").await;
    }
    assert!(stage.until("down").await.contains("account"));
    assert!(!stage.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn a_second_path_is_left_alone_for_hours_and_proven_at_once_when_needed() {
    let mut stage = stage("standby", plain());
    stage.regime.send_replace(Regime::Standby);
    let mut far = stage.far().await;
    for _ in 0..2 {
        let heartbeat = far.any().await.unwrap();
        far.say("ACK", &heartbeat.number).await;
    }
    let proven = Instant::now();
    let heartbeat = far.any().await.unwrap();
    assert!(proven.elapsed() > Duration::from_secs(u64::from(STANDBY_TEST_S) - 30), "{:?}", proven.elapsed());
    far.say("ACK", &heartbeat.number).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let needed = Instant::now();
    stage.regime.send_replace(Regime::Active);
    let heartbeat = far.any().await.unwrap();
    assert_eq!(needed.elapsed(), Duration::ZERO);
    far.say("ACK", &heartbeat.number).await;
    let heartbeat = far.any().await.unwrap();
    assert!(needed.elapsed() <= Duration::from_secs(26));
    far.say("ACK", &heartbeat.number).await;
}
