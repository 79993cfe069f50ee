//! Receivers that are silent, broken, or wrong.

use super::*;

const NOT_RECEIVED: &str = "the receiver did not take it within 5000 ms";

#[tokio::test(start_paused = true)]
async fn silence_fails_the_attempt_and_the_next_bears_the_same_number() {
    let mut stage = stage("silent", plain());
    let mut silent = stage.far().await;
    stage.order(notice("a1", 1));
    let first = silent.any().await.unwrap();
    assert_eq!(stage.until("failed").await, format!("failed 1: {NOT_RECEIVED}"));
    let mut far = stage.far().await;
    stage.until("connected").await;
    stage.order(notice("a1", 1));
    let again = far.alarm().await;
    assert_eq!(again, first);
    // The silent one says it at last, an hour late and twice, on its old connection; then the new one does too.
    tokio::time::sleep(Duration::from_millis(1)).await;
    for far in [&mut silent, &mut far] {
        for _ in 0..2 {
            far.say("ACK", &first.number).await;
        }
    }
    assert_eq!(stage.until("accepted").await, format!("accepted 2 {}", notice("a1", 1).reference));
    stage.order(notice("a2", 1));
    let next = far.alarm().await;
    far.say("ACK", &next.number).await;
    stage.until("accepted 3").await;
    assert_eq!(stage.heard.iter().filter(|said| said.starts_with("accepted")).count(), 2, "{:?}", stage.heard);
}

#[tokio::test(start_paused = true)]
async fn an_answer_an_hour_late_still_accepts_and_does_so_once() {
    let mut stage = stage("late", plain());
    let mut late = stage.far().await;
    stage.order(notice("a1", 1));
    let message = late.any().await.unwrap();
    stage.until("failed").await;
    let mut far = stage.far().await;
    stage.until("connected").await;
    let hour = Instant::now() + Duration::from_secs(3_600);
    // Meanwhile the path is alive over another connection.
    while Instant::now() < hour {
        let heartbeat = far.any().await.unwrap();
        far.say("ACK", &heartbeat.number).await;
    }
    late.say("ACK", &message.number).await;
    late.say("ACK", &message.number).await;
    assert_eq!(stage.until("accepted").await, format!("accepted late {}", notice("a1", 1).reference));
    stage.order(notice("a2", 1));
    let next = far.alarm().await;
    far.say("ACK", &next.number).await;
    assert_eq!(stage.until("accepted").await, format!("accepted 2 {}", notice("a2", 1).reference));
}

#[tokio::test(start_paused = true)]
async fn silent_connections_are_kept_in_a_small_number_only() {
    let mut stage = stage("silent-always", plain());
    let mut lines = Vec::new();
    for n in 0..DC09_LATE_CONNECTIONS_MAX + 3 {
        let mut far = stage.far().await;
        stage.until("connected").await;
        stage.order(notice("a1", 1));
        assert_eq!(far.any().await.unwrap().id, "ADM-CID");
        assert_eq!(stage.until("failed").await, format!("failed {}: {NOT_RECEIVED}", n + 1));
        lines.push(far);
    }
    let mut far = stage.far().await;
    assert_eq!(far.any().await.unwrap().id, "NULL");
    // Reads to its end where the gateway has closed; else nothing comes.
    let mut open = 0;
    for far in &mut lines {
        open += u32::from(tokio::time::timeout(Duration::from_millis(1), far.any()).await.is_err());
    }
    assert_eq!(open as usize, DC09_LATE_CONNECTIONS_MAX);
}

#[tokio::test(start_paused = true)]
async fn garbage_and_half_answers_end_the_connection_not_the_alarm() {
    let breakers: [(&[u8], &str); 7] = [
        (b"\x00\xff\x13garbage\r\n", "no DC-09 frame"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no DC-09 frame"),
        (b"\n\r", "could not read the message"),
        (b"\n00000014\"ACK\"0001R0L0#1234[]\r", "checksum"),
        (b"\nA1B20014\"ACK\"00", "in the middle of an answer"),
        (b"\"ACK\"", "no DC-09 frame"),
        (b"", "closed by the peer"),
    ];
    for (n, (bytes, why)) in breakers.into_iter().enumerate() {
        let mut stage = stage(&format!("garbage-{n}"), plain());
        let mut far = stage.far().await;
        let heartbeat = far.any().await.unwrap();
        far.say("ACK", &heartbeat.number).await;
        stage.order(notice("a1", 1));
        let first = far.alarm().await;
        far.raw(bytes).await;
        drop(far);
        // It worked before: once more at once, and then it fails.
        let mut far = stage.far().await;
        let again = far.any().await.unwrap();
        far.raw(bytes).await;
        drop(far);
        let failed = stage.until("failed 1").await;
        assert!(failed.contains(why), "{failed}");
        let mut far = stage.far().await;
        stage.until("connected").await;
        stage.order(notice("a1", 1));
        let third = far.alarm().await;
        assert!(first == again && again == third);
        far.say("ACK", &third.number).await;
        stage.until("accepted 2").await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_right_number_and_account_accept() {
    let mut stage = stage("wrong", plain());
    let mut far = stage.far().await;
    stage.order(notice("a1", 1));
    let message = far.alarm().await;
    let number: u16 = message.number.parse().unwrap();
    far.say("ACK", &format!("{:04}", number % 9_999 + 1)).await;
    far.say("DUH", &format!("{:04}", number % 9_999 + 1)).await;
    far.say("ACK", "0000").await;
    far.body(&format!("\"ACK\"{}R0L0#1235[]", message.number)).await;
    // Its connection is alive, so it is kept; the attempt has its deadline all the same.
    assert_eq!(stage.until("failed").await, format!("failed 1: {NOT_RECEIVED}"));
    stage.order(notice("a1", 1));
    assert_eq!(far.alarm().await, message);
    far.body(&format!("\"ACK\"{}R0L0#001234[]", message.number)).await;
    stage.until("accepted 2").await;
    assert!(!stage.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn a_duh_is_for_good_and_the_next_alarm_goes_on() {
    let mut stage = stage("duh", plain());
    let mut far = stage.far().await;
    stage.order(notice("a1", 1));
    let message = far.alarm().await;
    far.say("DUH", &message.number).await;
    let failed = stage.until("failed").await;
    assert!(failed.contains("refused it: DUH") && failed.ends_with("(for good)"), "{failed}");
    stage.order(notice("a2", 1));
    let next = far.alarm().await;
    far.say("ACK", &next.number).await;
    stage.until("accepted 2").await;
    // The configuration at the receiver has been mended: the same alarm, told again, has its number.
    stage.order(notice("a1", 1));
    let again = far.alarm().await;
    assert_eq!(again, message);
    far.say("ACK", &again.number).await;
    stage.until("accepted 3").await;
    assert!(!stage.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_it_does_not_know_is_refused_for_good() {
    let mut stage = stage("unknown", plain());
    let mut far = stage.far().await;
    stage.order(notice("a1", 1));
    far.alarm().await;
    far.raw(b"\"NAK\"").await;
    let failed = stage.until("failed").await;
    assert!(failed.contains("account") && failed.ends_with("(for good)"), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn what_was_told_encrypted_is_not_accepted_in_clear() {
    let key = Key::Aes128([0x41; 16]);
    let mut stage = stage("clear", Dc09Config { key: Some(key.clone()), ..plain() });
    let mut far = stage.far().await;
    stage.order(notice("a1", 1));
    let message = loop {
        let message = far.any().await.unwrap();
        if message.id == "*ADM-CID" {
            break message;
        }
    };
    assert!(message.content.bytes().all(|byte| byte.is_ascii_hexdigit()), "{message:?}");
    far.say("ACK", &message.number).await;
    let failed = stage.until("failed").await;
    assert!(failed.contains("in clear") && failed.ends_with("(for good)"), "{failed}");
    // With the key it counts.
    stage.order(notice("a1", 1));
    let again = far.any().await.unwrap();
    assert_eq!(again.number, message.number);
    assert_ne!(again.content, message.content, "the padding is random");
    let mut text = format!("]_{}", timestamp(AT)).into_bytes();
    text.splice(0..0, std::iter::repeat_n(b'0', 32 - text.len() % 16));
    let secret = cipher::hex(&key.encrypt(text).unwrap());
    far.body(&format!("\"*ACK\"{}R0L0#1234[{secret}", again.number)).await;
    stage.until("accepted 2").await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_silent_message_goes_back_to_the_ledger_with_it() {
    let mut stage = stage("behind", plain());
    let mut far = stage.far().await;
    stage.order(Notice { lane: Lane::Test, ..notice("t", 1) });
    far.any().await.unwrap();
    stage.order(notice("a1", 1));
    assert_eq!(stage.until("failed").await, format!("failed 1: {NOT_RECEIVED}"));
    assert!(stage.until("failed").await.starts_with("failed 2: no connection: nothing was heard on it"));
}
