//! For whom it was opened, and until when; kept until it is locked again.

use vaka_protocol::Label;

use super::kept;
use crate::Now;
use crate::keep::VALUE_BYTES_MAX;
use crate::role::Cx;

/// How long it stays open where the command does not say, milliseconds. Source: our choice: from the staff's car to the
/// door handle.
pub const OPEN_MS: i64 = 30_000;

/// How long it stays open at most, whatever the command says, milliseconds.
///
/// Longer: a clock that was wrong leaves a home open for the night. Shorter: staff that carry things in are locked out.
/// Source: our choice.
pub const OPEN_MS_MAX: i64 = 900_000;

/// One opening by command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// A staff id; empty: it could not be read after a power cut.
    pub by: Label,
    /// UTC milliseconds.
    pub until: i64,
    /// The same, milliseconds since boot: a clock that is set back opens nothing for longer.
    pub deadline_ms: u64,
}

/// Why nothing is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No clock, or nobody is named.
    Refused,
    /// Its time is over.
    Expired,
}

impl Opening {
    /// From a command.
    pub fn new(by: &Label, until: Option<i64>, now: Now) -> Result<Self, Refusal> {
        let at = now.at.ok_or(Refusal::Refused)?;
        if by.is_empty() {
            return Err(Refusal::Refused);
        }
        let until = until.unwrap_or(at.saturating_add(OPEN_MS)).min(at.saturating_add(OPEN_MS_MAX));
        let open_ms = u64::try_from(until.saturating_sub(at)).ok().filter(|open_ms| *open_ms > 0);
        let open_ms = open_ms.ok_or(Refusal::Expired)?;
        Ok(Self { by: by.clone(), until, deadline_ms: now.uptime_ms.saturating_add(open_ms) })
    }

    /// One that is over: to be locked now, by that person's command.
    pub fn over(by: Label, now: Now) -> Self {
        Self { by, until: now.at.unwrap_or(0), deadline_ms: now.uptime_ms }
    }

    /// Its time has passed, by either clock.
    pub fn is_over(&self, now: Now) -> bool {
        now.uptime_ms >= self.deadline_ms || now.at.is_some_and(|at| at >= self.until)
    }

    /// For how many milliseconds it is not over.
    pub fn rest_ms(&self, now: Now) -> u64 {
        self.deadline_ms.saturating_sub(now.uptime_ms)
    }

    /// Who, for an event.
    pub fn who(&self) -> Option<Label> {
        Some(self.by.clone()).filter(|by| !by.is_empty())
    }

    /// Keeps it. False: it could not be kept, and must not be opened.
    ///
    /// Layout: version 1; until, `i64` little-endian; by.
    pub fn keep(&self, cx: &mut Cx<'_>) -> bool {
        let mut bytes = heapless::Vec::<u8, 64>::new();
        // 9 bytes and a label of at most 32 fit.
        [&[1][..], &self.until.to_le_bytes(), self.by.as_bytes()]
            .iter()
            .for_each(|part| drop(bytes.extend_from_slice(part)));
        cx.write(kept::OPENING, &bytes).is_ok()
    }

    /// What was open before the boot. Past, of an unknown time, or not to be read: over.
    pub fn take_up(cx: &mut Cx<'_>) -> Option<Self> {
        let now = cx.now;
        let mut buffer = [0; VALUE_BYTES_MAX];
        let read = match cx.read(kept::OPENING, &mut buffer) {
            Ok(None) => return None,
            Ok(Some(bytes)) => Self::from_bytes(bytes),
            Err(_) => None,
        };
        let Some((until, by)) = read else { return Some(Self::over(Label::new(), now)) };
        let left_ms = now.at.map(|at| until.saturating_sub(at)).filter(|left_ms| *left_ms <= OPEN_MS_MAX);
        let left_ms = left_ms.and_then(|left_ms| u64::try_from(left_ms).ok()).unwrap_or(0);
        Some(Self { by, until, deadline_ms: now.uptime_ms.saturating_add(left_ms) })
    }

    fn from_bytes(bytes: &[u8]) -> Option<(i64, Label)> {
        let (head, by) = bytes.split_at_checked(9)?;
        let [1, until @ ..] = head else { return None };
        let until = i64::from_le_bytes(until.try_into().ok()?);
        Some((until, Label::from(core::str::from_utf8(by).ok()?)))
    }
}
