//! The receiver's clock is another than ours.

use super::*;

fn stamped() -> Dc09Config {
    Dc09Config { extended: false, ..Dc09Config::new("1234") }
}

fn time_of(message: &Message) -> i64 {
    read_timestamp(message.content.rsplit_once('_').expect("a time").1).expect("a time")
}

async fn nak(far: &mut Far, at: i64) {
    far.body(&format!("\"NAK\"0000R0L0A0[]_{}", timestamp(at))).await;
}

#[tokio::test(start_paused = true)]
async fn a_nak_corrects_the_time_once_and_the_next_messages_keep_to_it() {
    let mut stage = stage("nak", stamped());
    let mut far = stage.far().await;
    stage.order(notice("a1", 1));
    let first = far.alarm().await;
    assert_eq!(time_of(&first), AT - AT % 1_000);
    let theirs = AT - 3 * 86_400_000;
    nak(&mut far, theirs).await;
    let again = far.alarm().await;
    assert_eq!((again.number.clone(), time_of(&again)), (first.number, theirs - theirs % 1_000));
    far.say("ACK", &again.number).await;
    stage.until("accepted 1").await;
    stage.clock.advance(60_000);
    stage.order(notice("a2", 1));
    let next = far.alarm().await;
    assert_eq!(time_of(&next), time_of(&again) + 60_000);
    far.say("ACK", &next.number).await;
    stage.until("accepted 2").await;
    // Our clock has been set right: the receiver says so, and is heard again.
    stage.clock.advance(1);
    stage.order(notice("a3", 1));
    far.alarm().await;
    nak(&mut far, AT + 60_000).await;
    let mended = far.alarm().await;
    assert!(time_of(&mended).abs_diff(AT + 60_000) <= 1_000);
    far.say("ACK", &mended.number).await;
    stage.until("accepted 3").await;
}

#[tokio::test(start_paused = true)]
async fn a_nak_that_time_does_not_explain_refuses_for_good() {
    for (n, (config, differs_ms)) in [(stamped(), 0), (stamped(), 900_000), (plain(), 900_000)].into_iter().enumerate()
    {
        let has_time = config.timestamps;
        let mut stage = stage(&format!("nak-{n}"), config);
        let mut far = stage.far().await;
        stage.order(notice("a1", 1));
        far.alarm().await;
        nak(&mut far, AT + differs_ms).await;
        if has_time && differs_ms > 0 {
            far.alarm().await;
            // Another time each time it is asked: not asked for ever.
            nak(&mut far, AT - differs_ms).await;
        }
        let failed = stage.until("failed 1").await;
        assert!(failed.contains("NAK") && failed.ends_with("(for good)"), "{failed}");
        stage.order(notice("a2", 1));
        let next = far.alarm().await;
        far.say("ACK", &next.number).await;
        stage.until("accepted 2").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_nak_on_an_old_connection_or_to_nothing_changes_nothing() {
    let mut stage = stage("nak-old", stamped());
    let mut old = stage.far().await;
    nak(&mut old, AT + 900_000).await;
    // Heard, and so alive: what is silent after it moves on to another connection.
    tokio::time::sleep(Duration::from_millis(1)).await;
    stage.order(notice("a1", 1));
    let first = old.any().await.unwrap();
    assert!(time_of(&first).abs_diff(AT) < 1_000);
    stage.until("failed 1").await;
    let mut far = stage.far().await;
    stage.until("connected").await;
    stage.order(notice("a1", 1));
    let again = far.alarm().await;
    nak(&mut old, AT + 900_000).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    far.say("ACK", &again.number).await;
    stage.until("accepted 2").await;
    stage.order(notice("a2", 1));
    assert!(time_of(&far.alarm().await).abs_diff(AT) < 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_learns_the_time_too() {
    let mut stage = stage("nak-null", stamped());
    let mut far = stage.far().await;
    let proof = far.any().await.unwrap();
    nak(&mut far, AT + 7_200_000).await;
    let again = far.any().await.unwrap();
    assert_eq!((again.id.as_str(), again.number.clone()), ("NULL", proof.number));
    assert_eq!(time_of(&again), AT + 7_200_000 - AT % 1_000);
    far.say("ACK", &again.number).await;
    stage.until("up").await;
}
