//! Waiting for a condition, with a deadline that says what was waited for.

use std::time::{Duration, Instant};

/// Generous: two busy cores and a slow disk must not fail a test. Only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until `condition` gives a value; panics with `what` after the deadline. `context` is asked only then.
pub fn eventually_within<T>(
    deadline: Duration,
    what: &str,
    context: impl Fn() -> String,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < deadline, "after {} s still waiting for: {what}\n{}", deadline.as_secs(), context());
        #[allow(
            clippy::disallowed_methods,
            reason = "a pause between two looks, not a guess of how long a thing takes"
        )]
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// [`eventually_within`] the usual deadline.
pub fn eventually<T>(what: &str, context: impl Fn() -> String, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, what, context, condition)
}
