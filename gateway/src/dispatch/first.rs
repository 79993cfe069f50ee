//! The first of several ways that leads there.
//!
//! Enters: tries, the one that is liked best first. Leaves: what the first that came through gave, else the last fault. Invariant: a try
//! that says nothing holds the next up no longer than `after`; the others are dropped once one has come through.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// One try, not begun.
pub(crate) type Try<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// `None`: there is no way.
pub(crate) async fn first_of<'t, T, E>(
    ways: impl IntoIterator<Item = Try<'t, T, E>>,
    after: Duration,
) -> Option<Result<T, E>> {
    let mut ways = ways.into_iter().peekable();
    let (mut under_way, mut last) = (Vec::new(), None);
    loop {
        under_way.extend(ways.next());
        if under_way.is_empty() {
            return last.map(Err);
        }
        let is_more = ways.peek().is_some();
        tokio::select! {
            biased;
            ended = next_end(&mut under_way) => match ended {
                Ok(stands) => return Some(Ok(stands)),
                Err(fault) => last = Some(fault),
            },
            () = sleep(after), if is_more => {}
        }
    }
}

/// The next that ends is taken out.
async fn next_end<T, E>(under_way: &mut Vec<Try<'_, T, E>>) -> Result<T, E> {
    poll_fn(|context| {
        for at in 0..under_way.len() {
            if let Poll::Ready(ended) = under_way[at].as_mut().poll(context) {
                drop(under_way.swap_remove(at));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    const AFTER: Duration = Duration::from_millis(250);

    fn says(end: Result<u8, u8>) -> Try<'static, u8, u8> {
        Box::pin(ready(end))
    }

    fn late(end: Result<u8, u8>, ms: u64) -> Try<'static, u8, u8> {
        Box::pin(async move {
            sleep(Duration::from_millis(ms)).await;
            end
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_says_nothing_holds_the_next_up_for_a_moment_and_one_that_fails_not_at_all() {
        let began = Instant::now();
        assert_eq!(first_of([Box::pin(pending()), Box::pin(pending()), says(Ok(3))], AFTER).await, Some(Ok(3)));
        assert_eq!(began.elapsed(), 2 * AFTER);
        let began = Instant::now();
        assert_eq!(first_of([says(Err(1)), says(Err(2)), says(Ok(3))], AFTER).await, Some(Ok(3)));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_liked_best_wins_where_it_is_in_time_and_a_slow_one_is_waited_for() {
        assert_eq!(first_of([late(Ok(1), 200), says(Ok(2))], AFTER).await, Some(Ok(1)));
        assert_eq!(first_of([late(Ok(1), 900), says(Err(2))], AFTER).await, Some(Ok(1)), "the other has failed");
        assert_eq!(first_of([late(Err(1), 900), says(Err(2))], AFTER).await, Some(Err(1)), "the last to fail");
        assert_eq!(first_of::<u8, u8>([], AFTER).await, None);
    }
}
