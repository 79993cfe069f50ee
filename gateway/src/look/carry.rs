//! One look, from the viewer's coming until its end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use vaka_board::gateway::{Bytes, LookPart, Said};
use vaka_camera::{Frame, View, Why, frames, look};

use super::{LAST_WORD_MS, Looks};
use crate::limits::{LOOK_SETUP_MS, LOOK_WAKE_MS_MAX};
use crate::rules::care::look::{Seen, why_in_words};

/// Carries a look out. Leaves: why it ended, and for how long somebody could see something, milliseconds.
pub(super) async fn carry_out(room: &Looks, id: u64, seen: &Seen, viewer: mpsc::Sender<LookPart>) -> (String, u64) {
    let (why, shown_ms) = show(room, id, seen, &viewer).await;
    let (sv, en) = match why.as_str() {
        "time" => ("Tiden är slut.".to_owned(), "The time is over.".to_owned()),
        "said_no" => ("Den boende sade nej.".to_owned(), "The resident said no.".to_owned()),
        other => why_in_words(other),
    };
    let last = LookPart::Ended { why: why.clone(), said: Said::new(sv, en) };
    let _ = timeout(Duration::from_millis(LAST_WORD_MS), viewer.send(last)).await;
    (why, shown_ms)
}

async fn show(room: &Looks, id: u64, seen: &Seen, viewer: &mpsc::Sender<LookPart>) -> (String, u64) {
    let (config, camera) = match room.camera(&seen.camera) {
        Ok(opened) => opened,
        Err(e) => {
            tracing::error!(camera = %seen.camera, "a look was granted and there is no camera: {e}");
            return ("no_camera".into(), 0);
        }
    };
    let mut state = room.watch(id);
    let lit = super::until(&mut state, |state| state.is_lit || state.is_refused || state.no().is_some());
    let setup = Duration::from_millis(LOOK_SETUP_MS as u64);
    let lit = tokio::select! {
        lit = timeout(setup, lit) => matches!(lit, Ok(Some(state)) if state.is_lit && state.no().is_none()),
        () = viewer.closed() => return ("viewer".into(), 0),
    };
    if !lit {
        return (state.borrow().no().unwrap_or("no_light").into(), 0);
    }
    if viewer.send(LookPart::Lit).await.is_err() {
        return ("viewer".into(), 0);
    }
    let view_of = |is_unveiled| if is_unveiled { View::Clear } else { View::Veiled };
    let mut is_unveiled = state.borrow().is_unveiled;
    let (look_ms, first_ms) =
        (Duration::from_millis(seen.asked.look_ms), Duration::from_millis(LOOK_WAKE_MS_MAX as u64));
    let first_by =
        Instant::now() + first_ms.min(config.wake() + Duration::from_millis(vaka_camera::limits::SILENCE_MS_MAX));
    let (sink, mut pictures) = frames();
    let looking = look(&camera, view_of(is_unveiled), first_by + look_ms, &sink);
    tokio::pin!(looking);
    let mut end_at = first_by;
    let mut first: Option<Instant> = None;
    let mut waiting: VecDeque<LookPart> = VecDeque::new();
    let why = loop {
        tokio::select! {
            biased;
            () = sleep_until(end_at) => break if first.is_some() { "time" } else { "silent" }.to_owned(),
            now = super::until(&mut state, |state| state.no().is_some() || state.is_unveiled != is_unveiled) => {
                let Some(now) = now else { break "said_no".to_owned() };
                if let Some(no) = now.no() {
                    break no.to_owned();
                }
                // The same look, the same end: what waited with the veil on is taken back with it.
                is_unveiled = now.is_unveiled;
                looking.set(look(&camera, view_of(is_unveiled), first_by + look_ms, &sink));
            }
            () = viewer.closed() => break "viewer".to_owned(),
            place = viewer.reserve(), if !waiting.is_empty() => match (place, waiting.pop_front()) {
                (Ok(place), Some(part)) => place.send(part),
                _ => break "viewer".to_owned(),
            },
            ended = &mut looking => break match ended {
                Ok(ended) => if ended.why == Why::Left { "viewer" } else { "time" }.to_owned(),
                Err(fault) => {
                    tracing::warn!(camera = %seen.camera, "a look ended: {fault}");
                    fault.word().to_owned()
                }
            },
            frame = pictures.next(), if waiting.is_empty() => match frame {
                Some(Frame::Jpeg(picture)) => {
                    if first.is_none() {
                        first = Some(Instant::now());
                        end_at = Instant::now() + look_ms;
                        waiting.push_back(LookPart::Begun { left_ms: seen.asked.look_ms });
                    }
                    waiting.push_back(LookPart::Picture(Bytes::from_owner(picture)));
                }
                // Asked for as pictures.
                Some(Frame::Mp4Init { .. } | Frame::Mp4Part { .. }) => {}
                None => break "ended".to_owned(),
            },
        }
    };
    // At least a moment: whoever had a picture has seen something. As long as it was, also where that was longer than agreed.
    let shown_ms = first.map_or(0, |first| u64::try_from(first.elapsed().as_millis()).unwrap_or(u64::MAX).max(1));
    (why, shown_ms)
}
