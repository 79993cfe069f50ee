//! The rules run against a story instead of a home: what would have been decided, and when.
//!
//! Enters: what is agreed, and what happens at which time. Leaves: every decision with its moment. The same fold, the same rules
//! and the same watch as in the gateway; only the journal is missing, so that a year passes in seconds.

use std::sync::Arc;

use vaka_protocol::{AlarmId, DeviceId, Event};

use super::agreed::Agreed;
use super::clocks::Stamp;
use super::moment::{At, Moment};
use super::signed::{Refusal, Verdict};
use super::{Care, Sight, View, Watch, look};
use crate::journal::record::{Act, ActWhat, Decision, Release};
use crate::limits::ASSIGNED_RESTART;
use crate::rules::alarms::{Alarms, Change};
use crate::rules::trigger::time_by;
use crate::rules::{Happening, Home, Input, Paths, What, step};

/// A home in a story.
pub struct Rehearsal {
    pub alarms: Alarms,
    pub care: Care,
    home: Home,
    watch: Watch,
    now: Moment,
    record: u64,
    /// What was decided: UTC milliseconds, and the decision.
    pub log: Vec<(i64, Decision)>,
}

impl Rehearsal {
    /// Begins at `start_ms`, UTC milliseconds.
    pub fn new(agreed: Arc<Agreed>, home: Home, start_ms: i64) -> Self {
        let now = Moment { wall_ms: start_ms, mono_ms: 0, boot: 1, ran_ms: 0, sure: true };
        let watch = Watch::new(agreed);
        let (alarms, care) = (Alarms::default(), Care::default());
        let mut rehearsal = Rehearsal { alarms, care, home, watch, now, record: 1, log: Vec::new() };
        rehearsal.started();
        rehearsal.decide();
        rehearsal
    }

    pub fn now_ms(&self) -> i64 {
        self.now.wall_ms
    }

    pub fn now(&self) -> Moment {
        self.now
    }

    /// Time passes until `at_ms`; what becomes due on the way is decided when it does.
    pub fn until(&mut self, at_ms: i64) {
        while self.now.wall_ms < at_ms {
            let left_ms = u64::try_from(at_ms - self.now.wall_ms).unwrap_or(0);
            let wait_ms = self.watch.wait_ms(self.now.mono_ms).unwrap_or(u64::MAX).clamp(1, left_ms);
            self.now.mono_ms += wait_ms;
            self.now.ran_ms = self.care.ran_ms(self.now.boot, self.now.mono_ms);
            self.now.wall_ms += i64::try_from(wait_ms).unwrap_or(i64::MAX);
            self.decide();
        }
    }

    /// Something happens now and is recorded at once.
    pub fn event(&mut self, device: &DeviceId, event: &Event) {
        self.late(device, event, None);
    }

    /// Something is recorded now that happened `at` (UTC milliseconds) by the device's clock.
    pub fn late(&mut self, device: &DeviceId, event: &Event, at: Option<i64>) {
        self.hear(device, event, at);
        self.decide();
    }

    /// As [`Rehearsal::late`], but nothing is decided until all of it has come.
    pub fn together(&mut self, device: &DeviceId, events: &[(Event, i64)]) {
        for (event, at) in events {
            self.hear(device, event, Some(*at));
        }
        self.decide();
    }

    fn hear(&mut self, device: &DeviceId, event: &Event, at: Option<i64>) {
        self.hear_as(device, event, at, (ASSIGNED_RESTART, None));
    }

    /// As [`Rehearsal::late`], of a device that says how long it has run: its boot, and milliseconds since then.
    pub fn stamped(&mut self, device: &DeviceId, event: &Event, at: Option<i64>, (restart, uptime_ms): (u32, u64)) {
        self.hear_as(device, event, at, (restart, Some(uptime_ms)));
        self.decide();
    }

    fn hear_as(&mut self, device: &DeviceId, event: &Event, at: Option<i64>, (restart, uptime_ms): (u32, Option<u64>)) {
        let recorded = self.recorded();
        let behind_ms = self.care.tell_time(device, &Stamp { restart, uptime_ms, at }, recorded);
        let time = time_by(at, recorded.wall_ms, behind_ms);
        let seq = recorded.record;
        let (delayed, suspect) = (time.delayed, time.suspect);
        let at_best = At::happened(recorded, time.happened_at);
        self.care.see(&Sight { device, restart, seq, event, at: at_best, recorded, delayed, suspect });
        let events = std::slice::from_ref(event);
        let happening = Happening {
            device,
            enrolment: 1,
            restart,
            seq,
            at,
            uptime_ms,
            since_ms: None,
            behind_ms,
            events,
            unknown: &[],
            conflict: false,
            has_ended: false,
            of: None,
        };
        let what = What::Event(happening);
        let input = Input { cursor: recorded.record, recorded_at: recorded.wall_ms, what };
        let mut decisions = step(&self.alarms, &Paths::default(), &self.home, &input);
        super::place::carry(&self.care.place, &self.alarms, &mut decisions);
        self.fold(decisions);
        self.watch.heard(device, event, &self.care.facts);
    }

    /// The device comes or goes.
    pub fn alive(&mut self, device: &DeviceId, online: bool) {
        let recorded = self.recorded();
        self.care.alive(device, online, recorded);
        self.watch.stirred(device);
        self.decide();
    }

    /// Telemetry of the device is refused: the disk is short.
    pub fn refused(&mut self, device: &DeviceId) {
        let recorded = self.recorded();
        self.care.refused(device, recorded);
        self.watch.stirred(device);
        self.decide();
    }

    /// A person takes an alarm on.
    pub fn claim(&mut self, alarm: &AlarmId) {
        self.act(alarm, ActWhat::Claim);
    }

    /// A person closes an alarm.
    pub fn close(&mut self, alarm: &AlarmId) {
        self.act(alarm, ActWhat::Close);
    }

    fn act(&mut self, alarm: &AlarmId, what: ActWhat) {
        let act = Act::new(alarm.clone(), what, "staff".into(), String::new());
        self.alarms.apply_act(&act, self.now.wall_ms, &mut Vec::<Change>::new());
        self.alarms.get(alarm).into_iter().for_each(|alarm| self.watch.attended(&alarm.raise));
        self.decide();
    }

    /// The process ends and starts again at once: what is not in the fold is gone. The machine runs on, and its clock with it.
    ///
    /// # Panics
    /// If the fold does not survive being written and read.
    pub fn restart(&mut self) {
        let bytes = minicbor_serde::to_vec((&self.alarms, &self.care)).expect("a fold is written");
        (self.alarms, self.care) = minicbor_serde::from_slice(&bytes).expect("and read again");
        self.now.boot += 1;
        self.watch = Watch::new(self.watch.whole().clone());
        self.started();
        self.decide();
    }

    /// Everybody is looked at, whether or not anything was heard of them.
    pub fn look_at_everybody(&mut self) {
        self.watch.look_at_all();
        self.decide();
    }

    /// The wall clock is set to `at_ms`, UTC milliseconds.
    pub fn set_clock(&mut self, at_ms: i64) {
        self.now.wall_ms = at_ms;
        self.decide();
    }

    /// As the command does before it releases a dose: its date.
    ///
    /// # Errors
    /// As [`super::dose::rows::releasable`].
    pub fn releasable(&self, resident: &str, slot: &str, date: Option<&str>) -> Result<String, String> {
        let (care, alarms, home, agreed) = (&self.care, &self.alarms, &self.home, self.watch.agreed());
        super::dose::rows::releasable(View { care, alarms, home, agreed, now: self.now }, resident, slot, date)
    }

    /// A person releases a dose of a slot and local date.
    pub fn release(&mut self, device: &DeviceId, release: &Release) {
        let at = self.recorded();
        self.care.dose.release(release, at);
        self.watch.stirred(device);
        self.decide();
    }

    /// A person signs for something.
    ///
    /// # Errors
    /// As [`super::signed::judge`].
    pub fn sign(&mut self, wish: super::signed::Wish, by: &str) -> Result<Verdict, Refusal> {
        let (care, alarms, home, agreed) = (&self.care, &self.alarms, &self.home, self.watch.agreed());
        let verdict = super::signed::judge(View { care, alarms, home, agreed, now: self.now }, wish, by)?;
        if let Verdict::New(signed, asked) = &verdict {
            let at = self.recorded();
            self.care.sign(signed, at);
            self.watch.look_at_all();
            asked.iter().for_each(|alarm| self.close(alarm));
            self.decide();
        }
        Ok(verdict)
    }

    /// A wish for a look, or what became of one. Leaves: the look's number.
    ///
    /// # Errors
    /// As [`super::look::grant`].
    pub fn look(&mut self, wish: look::Wish, by: &str) -> Result<u64, Refusal> {
        let known = match wish {
            look::Wish::Checked { look, .. }
            | look::Wish::Accept { look, .. }
            | look::Wish::Unveil { look, .. }
            | look::Wish::End { look, .. }
            | look::Wish::Outcome { look, .. } => look,
            look::Wish::Open { .. } | look::Wish::Check { .. } | look::Wish::Try { .. } => 0,
        };
        let Some(step) = look::grant(self.view(), wish, by)? else { return Ok(known) };
        let at = self.recorded();
        self.care.looked(&step, at);
        self.watch.look_at_all();
        self.decide();
        Ok(if known == 0 { at.record } else { known })
    }

    /// As [`super::look::must_end`].
    pub fn must_end(&self, look: u64) -> bool {
        look::must_end(self.view(), look)
    }

    /// As [`super::look::checks_due`].
    pub fn checks_due(&self) -> Vec<look::Due> {
        look::checks_due(self.view())
    }

    fn view(&self) -> View<'_> {
        let (care, alarms, home, agreed) = (&self.care, &self.alarms, &self.home, self.watch.agreed());
        View { care, alarms, home, agreed, now: self.now }
    }

    /// As [`Rehearsal::restart`], but the machine is off until `at_ms` (UTC milliseconds): its running clock begins anew.
    pub fn down_until(&mut self, at_ms: i64) {
        self.now.wall_ms = self.now.wall_ms.max(at_ms);
        self.now.mono_ms = 0;
        self.restart();
    }

    /// As the record of a start; it takes no number here, so that a story with a restart has the numbers of one without.
    fn started(&mut self) {
        let Moment { wall_ms, mono_ms, boot, .. } = self.now;
        let mono_ms = i64::try_from(mono_ms).unwrap_or(i64::MAX);
        self.care.started(At { wall_ms, mono_ms, boot, record: self.record });
        self.now.ran_ms = 0;
    }

    /// Another agreement holds from now.
    pub fn agree(&mut self, agreed: Arc<Agreed>) {
        self.watch = Watch::new(agreed);
        self.decide();
    }

    fn recorded(&mut self) -> At {
        self.record += 1;
        let Moment { wall_ms, mono_ms, boot, .. } = self.now;
        At { wall_ms, mono_ms: i64::try_from(mono_ms).unwrap_or(i64::MAX), boot, record: self.record }
    }

    fn decide(&mut self) {
        loop {
            let mut decisions = self.watch.due(&self.care, &self.alarms, &self.home, self.now);
            super::place::carry(&self.care.place, &self.alarms, &mut decisions);
            if decisions.is_empty() {
                return;
            }
            self.fold(decisions);
        }
    }

    fn fold(&mut self, decisions: Vec<Decision>) {
        let mut changes = Vec::new();
        for decision in decisions {
            match &decision {
                Decision::Raise(raise) => self.alarms.apply_raise(raise, self.now.wall_ms, &mut changes),
                Decision::Join(join) => self.alarms.apply_join(join, self.now.wall_ms, &mut changes),
                Decision::Tell(_) | Decision::Say(_) | Decision::Note(_) | Decision::Send(_) => {}
            }
            let recorded = self.recorded();
            self.care.apply(&decision, recorded, recorded.record);
            self.care.silence.recorded(recorded);
            self.log.push((self.now.wall_ms, decision));
        }
    }
}
