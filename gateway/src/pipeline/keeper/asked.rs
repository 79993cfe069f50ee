//! What people, pages and other parts of the gateway ask for.
//!
//! Enters: asks. Leaves: records, answers that wait for the commit, and of questions what is known after it.

use tracing::info;
use vaka_protocol::{AlarmId, Lane, Rung};

use super::{Answer, Ask, Keeper, SignReply};
use crate::journal::record::{Act, ActWhat, CloseOutcome, Record, Release, Trace};
use crate::pipeline::follow::Touched;
use crate::pipeline::restore;
use crate::pipeline::view;
use crate::pipeline::visits::Wish;
use crate::rules::care::dose::rows::{self, DoseRow};
use crate::rules::care::{View, signed};

impl Keeper {
    pub(in crate::pipeline) fn take_ask(&mut self, ask: Ask) {
        // Whoever asked may have gone away: then nobody hears the answer.
        match ask {
            question @ (Ask::Alarms { .. }
            | Ask::Show { .. }
            | Ask::Stat { .. }
            | Ask::Doses { .. }
            | Ask::Devices { .. }
            | Ask::See(_)
            | Ask::Visit { wish: Wish::Status | Wish::Protocol, .. }) => {
                self.questions.push(question);
            }
            Ask::Visit { wish, reply } => self.take_wish(wish, reply),
            Ask::Sign { wish, by, reply } => self.take_signature(wish, &by, reply),
            Ask::Order { wish, traced, reply } => self.take_order(wish, traced, reply),
            Ask::Look { wish, by, reply } => self.take_look(wish, &by, reply),
            Ask::LookWatch { look, to } => self.lookers.watch(look, to),
            Ask::OrderWatch { order, to } => self.lookers.watch_order(order, to),
            Ask::Traces { traces, reply } => {
                if self.room.refused.contains(&Lane::Technical) {
                    let _ = reply.send(Err("the disk is full: what is read cannot be recorded".to_owned()));
                    return;
                }
                for trace in traces {
                    let before = self.restored.state.trace.clone();
                    let trace = Trace { at: self.clock.now().wall_ms, before, ..trace };
                    self.append(Record::Trace(trace), Lane::Technical);
                }
                self.answers.push(Answer::Traced(reply));
            }
            Ask::Release { resident, slot, date, by, note, reply } => {
                let state = &self.restored.state;
                let (care, alarms, agreed) = (&state.care, &state.alarms, self.watch.agreed());
                let view = View { care, alarms, home: &self.home, agreed, now: self.moment() };
                match rows::releasable(view, &resident, &slot, date.as_deref()) {
                    Err(why) => {
                        let _ = reply.send(Err(why));
                    }
                    Ok(date) => {
                        let release = Release { resident, slot, date, by, note };
                        self.append(Record::Release(release.clone()), Lane::Care);
                        self.watch.look_at_all();
                        self.watch_over();
                        self.answers.push(Answer::Released(release, reply));
                    }
                }
            }
            Ask::Act { act, reply } => match self.check_act(&act) {
                Err(why) => {
                    let _ = reply.send(Err(why));
                }
                Ok(lane) => {
                    let alarm = act.alarm.clone();
                    self.count_act(&act, lane);
                    self.append(Record::Act(self.with_hubs(act, lane)), lane);
                    self.stir(&alarm);
                    self.answers.push(Answer::Person(alarm, reply));
                }
            },
            Ask::Home { home, labels, agreed } => {
                self.home = home;
                self.labels = labels;
                self.live_here();
                self.watch_homes();
                self.agree(agreed);
                self.forget_receivers();
                self.begin_streams();
                // Rooms and groups may be others.
                self.touched = Touched::anew();
            }
            Ask::Window(window) => self.take_window(window),
            Ask::Erase { resident, by, reply } => {
                let _ = reply.send(self.erase(&resident, &by));
            }
            Ask::Fault(fault) => self.append_unrepeatable(Record::Fault(fault), Lane::Technical),
            Ask::Updated(update) => self.append_unrepeatable(Record::Update(update), Lane::Technical),
            Ask::Firmware(ask) => self.take_firmware(ask),
            Ask::Prove { version, reply } => {
                let _ = reply.send(self.prove(&version));
            }
            Ask::Part(fault) => {
                // Read off the alarms, so that no restart tells it again.
                if self.restored.state.part_is_bad(&fault) != fault.active {
                    self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
                }
            }
            Ask::Damaged { records, found, unopened } => {
                info!(journal.records = records, "the whole journal has been read");
                let news = self.restored.journal.news_of_damage(found);
                let unopened = self.restored.news_of_unopened(unopened);
                if let Some(fault) = restore::damaged(news.iter().map(ToString::to_string).chain(unopened)) {
                    self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
                }
            }
        }
    }

    /// What is signed is recorded; a visit that was asked for is closed as made, by whoever signs for it.
    fn take_signature(&mut self, wish: signed::Wish, by: &str, reply: SignReply) {
        let state = &self.restored.state;
        let (care, alarms, agreed) = (&state.care, &state.alarms, self.watch.agreed());
        let view = View { care, alarms, home: &self.home, agreed, now: self.moment() };
        match signed::judge(view, wish, by) {
            Err(why) => {
                let _ = reply.send(Err(why.into()));
            }
            Ok(verdict) => {
                if let signed::Verdict::New(signed, asked) = verdict {
                    self.append(Record::Signed(signed.clone()), Lane::Care);
                    if let Some(alarm) = asked {
                        let outcome = Some(CloseOutcome::Helped);
                        let act =
                            Act { outcome, ..Act::new(alarm, ActWhat::Close, by.to_owned(), signed.note.clone()) };
                        if let Ok(lane) = self.check_act(&act) {
                            self.append(Record::Act(self.with_hubs(act, lane)), lane);
                        }
                    }
                    self.watch.look_at_all();
                    self.watch_over();
                }
                self.answers.push(Answer::Signed(reply));
            }
        }
    }

    /// How long it took until a person had the alarm, or had closed it.
    pub(super) fn count_act(&mut self, act: &Act, lane: Lane) {
        let rung = match act.act {
            ActWhat::Claim => Rung::Claimed,
            ActWhat::Close => Rung::Closed,
            _ => return,
        };
        let raised_at = self.restored.state.alarms.get(&act.alarm).map_or(i64::MAX, |alarm| alarm.raised_at);
        self.meters.climbed(lane, rung, self.clock.now().wall_ms.saturating_sub(raised_at));
    }

    /// A person has done something about an alarm: its rule may have something to say.
    pub(super) fn stir(&mut self, alarm: &AlarmId) {
        if let Some(known) = self.restored.state.alarms.get(alarm) {
            self.watch.attended(&known.raise);
            self.watch_over();
        }
    }

    pub(in crate::pipeline) fn check_act(&self, act: &Act) -> Result<Lane, String> {
        let Some(alarm) = self.restored.state.alarms.get(&act.alarm) else {
            return Err(format!("there is no alarm {}; `vaka alarm list --all` shows those there are", act.alarm));
        };
        match (&alarm.closed_by, &alarm.claimed_by, act.act) {
            (Some(by), _, _) => Err(format!("alarm {} was closed by {by} already", act.alarm)),
            (None, Some(by), ActWhat::Claim) if *by != act.by && act.other.as_ref() != Some(by) => {
                Err(format!("alarm {} has been taken by {by} already", act.alarm))
            }
            (None, Some(by), ActWhat::HandOver) if *by != act.by => {
                Err(format!("alarm {} is {by}'s: take it over first", act.alarm))
            }
            (None, None, ActWhat::HandOver) => {
                Err(format!("nobody has alarm {}: there is nothing to hand over", act.alarm))
            }
            _ => Ok(alarm.raise.lane),
        }
    }

    pub(super) fn answer(&self, question: Ask) {
        // Whoever asked may have gone away: then nobody hears the answer.
        match question {
            Ask::Alarms { all, reply } => {
                let _ = reply.send(view::rows(&self.restored.state, &self.labels, all));
            }
            Ask::Show { alarm, reply } => {
                let _ = reply.send(view::show(&self.restored.state, &self.labels, &alarm));
            }
            Ask::Stat { reply } => {
                let mut stat = view::stat(&self.restored);
                stat["clock"] = view::clock(self.clock.as_ref());
                let _ = reply.send(stat);
            }
            Ask::Doses { reply } => {
                let _ = reply.send(self.doses());
            }
            Ask::Devices { reply } => {
                let _ = reply.send(view::devices(&self.restored.state));
            }
            Ask::See(look) => look(self),
            Ask::Visit { wish: Wish::Protocol, reply } => {
                let _ = reply.send(self.last_protocol());
            }
            Ask::Visit { reply, .. } => {
                let _ = reply.send(Ok(self.visit_status()));
            }
            Ask::Act { .. }
            | Ask::Release { .. }
            | Ask::Sign { .. }
            | Ask::Order { .. }
            | Ask::Look { .. }
            | Ask::LookWatch { .. }
            | Ask::OrderWatch { .. }
            | Ask::Traces { .. }
            | Ask::Home { .. }
            | Ask::Fault(_)
            | Ask::Updated(_)
            | Ask::Prove { .. }
            | Ask::Firmware(_)
            | Ask::Part(_)
            | Ask::Window(_)
            | Ask::Erase { .. }
            | Ask::Damaged { .. } => {}
        }
    }

    fn doses(&self) -> Vec<DoseRow> {
        rows::rows(&self.restored.state.care, self.watch.agreed(), self.clock.now().wall_ms)
    }
}
