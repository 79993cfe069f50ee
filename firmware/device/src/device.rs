//! What every device does, around its role.
//!
//! Enters: the time, what the connection brings, what the role's parts show. Leaves: messages to send, what to show.

use heapless::Vec;
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Command, CommandMessage, Event, Lane, Outcome, StartCause, command_id, decode_command};

use crate::commands::{Commands, Judged, only_shows};
use crate::feedback::Feedback;
use crate::keep::{self, COMMAND, Keep};
use crate::outbox::{Identity, Outbox, Ticket};
use crate::role::{Carried, Cx, Role};
use crate::settings::Settings;
use crate::{Now, Panel};

/// Command ids that a device remembers. Beyond: an older one is answered `forgotten`. Source: our choice.
pub const COMMANDS_MAX: usize = 16;

/// Kept in the place of the highest id while it is not known; no id of a gateway's.
const DOUBTFUL: u64 = u64::MAX;

/// How a device comes to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// How many events may wait.
    pub room: usize,
    /// A random number.
    pub chance: u32,
    /// Why it starts.
    pub cause: StartCause,
    /// The firmware's version.
    pub version: &'static str,
}

/// A device: its role, its panel, and where it keeps what must not be lost.
#[derive(Debug)]
pub struct Device<K, R, P> {
    keep: K,
    /// What makes it this kind of device.
    pub role: R,
    /// What it says to the person beside it.
    pub panel: P,
    outbox: Outbox,
    commands: Commands<COMMANDS_MAX>,
    feedback: Feedback,
    settings: Settings,
    done: Vec<(u64, Outcome), 4>,
    /// When something was told last, milliseconds since boot.
    told_ms: u64,
    /// It was told that the flash fails.
    is_flash_told: bool,
    /// The gateway has acknowledged an event since boot.
    is_heard: bool,
}

impl<K: Keep, R: Role, P: Panel> Device<K, R, P> {
    /// Takes up what was kept, and starts the role.
    pub fn boot(mut keep: K, role: R, panel: P, boot: Boot, now: Now) -> Self {
        let outbox = Outbox::open(&mut keep, boot.room, boot.chance);
        let kept = keep::number(&mut keep, COMMAND);
        let is_damaged = kept == Err(keep::Fault::Damaged);
        if is_damaged {
            // Not told again by the next boot, and in doubt for it too, should nothing be carried out until then.
            let _ = keep::keep_number(&mut keep, COMMAND, DOUBTFUL);
        }
        let commands = match kept {
            Ok(highest) if highest != Some(DOUBTFUL) => Commands::new(highest),
            // Nobody knows what was carried out: what comes first is not carried out again.
            _ => Commands::doubtful(),
        };
        let settings = Settings::read(&mut keep);
        let mut device = Self {
            keep,
            role,
            panel,
            outbox,
            commands,
            feedback: Feedback::new(),
            settings,
            done: Vec::new(),
            told_ms: now.uptime_ms,
            is_flash_told: false,
            is_heard: false,
        };
        if let Some(percent) = device.settings.volume_percent {
            device.panel.volume(percent);
        }
        device.tell(Event::Started { cause: boot.cause, version: boot.version.into() }, now);
        if is_damaged {
            device.tell_flash(now);
        }
        device.with_role(now, |role, cx| role.start(cx));
        if let Some(id) = device.role.underway() {
            device.commands.underway(id);
        }
        device
    }

    /// Looks at everything once, and returns for how many milliseconds nothing needs to be looked at; an interrupt of a
    /// pin ends that time sooner.
    pub fn pass(&mut self, now: Now) -> u64 {
        self.with_role(now, |role, cx| role.pass(cx));
        if let Some(shown) = self.feedback.tick(now.uptime_ms) {
            self.cx(now).1.show(shown);
        }
        let alive_ms = u64::from(self.settings.alive_interval_s()) * 1_000;
        if now.since(self.told_ms) >= alive_ms {
            self.told_ms = now.uptime_ms;
            // What waits says as much, and days offline must not fill the outbox with signs of life.
            if self.outbox.is_empty() {
                self.tell(Event::Alive {}, now);
            }
        }
        if self.outbox.has_failed() {
            self.tell_flash(now);
        }
        if self.outbox.is_empty() && !self.role.is_busy() {
            self.keep.rest();
        }
        let panel = self.panel.pass(now).unwrap_or(u64::MAX);
        let alive = alive_ms.saturating_sub(now.since(self.told_ms));
        self.role.rest_ms(now).min(panel).min(alive).min(self.feedback.rest_ms(now.uptime_ms))
    }

    /// Takes in what happened to the device as such.
    pub fn tell(&mut self, event: Event, now: Now) -> Option<Identity> {
        self.told_ms = now.uptime_ms;
        self.outbox.put(&mut self.keep, event, now)
    }

    /// Once for each boot: a flash that fails every other time would fill what is left of it with its complaints.
    fn tell_flash(&mut self, now: Now) {
        if !core::mem::replace(&mut self.is_flash_told, true) {
            self.tell(Event::Fault { part: "flash".into(), active: true }, now);
        }
    }

    /// Takes in a call for help that no part of the role made, and shows from here on how far it has come.
    pub fn call(&mut self, event: Event, now: Now) -> Option<Identity> {
        self.told_ms = now.uptime_ms;
        self.cx(now).1.call(event)
    }

    /// The bytes of an event that waits, as they go out.
    pub fn message<'b>(&mut self, identity: Identity, buffer: &'b mut [u8; MESSAGE_BYTES_MAX]) -> Option<&'b [u8]> {
        self.outbox.message(&mut self.keep, identity, buffer)
    }

    /// The next message for the connection, the most urgent first. It goes out with QoS 1.
    pub fn next<'b>(&mut self, buffer: &'b mut [u8; MESSAGE_BYTES_MAX]) -> Option<(Ticket, &'b [u8])> {
        self.outbox.next(&mut self.keep, buffer)
    }

    /// The connection has taken it.
    pub fn handed(&mut self, ticket: Ticket) {
        self.outbox.handed(ticket);
    }

    /// Its PUBACK came: the gateway has it on its disk.
    pub fn acked(&mut self, ticket: Ticket, now: Now) -> Option<Identity> {
        let identity = self.outbox.acked(&mut self.keep, ticket, now)?;
        self.is_heard = true;
        if let Some(shown) = self.feedback.receipt(identity.restart, identity.seq, vaka_protocol::Rung::Stored) {
            self.cx(now).1.show(shown);
        }
        Some(identity)
    }

    /// The connection is gone.
    pub fn apart(&mut self) {
        self.outbox.apart();
    }

    /// A message on the topic `command`. Its PUBACK goes out when this has returned.
    ///
    /// # Errors
    /// It is not a command; the same bytes will never be one. Where its id can be read, it is answered `refused`.
    pub fn command(&mut self, bytes: &[u8], now: Now) -> Result<(), vaka_protocol::DecodeError> {
        let now = Now { at: now.at.or_else(|| self.role.at(now)), ..now };
        let message = match decode_command(bytes) {
            Ok(message) => message,
            Err(error) => {
                // A newer gateway's word, mostly: it hears so, instead of nothing.
                if let Some(id) = command_id(bytes) {
                    self.tell(Event::Done { id, outcome: Outcome::Refused }, now);
                }
                return Err(error);
            }
        };
        match self.commands.judge(&message, now.at) {
            Judged::Underway => {}
            Judged::Answer(answer) => {
                self.tell(answer, now);
            }
            Judged::Execute => {
                // Kept before it is carried out: cut in between, it is answered `forgotten` and not done twice.
                let is_kept = only_shows(&message.command) || self.keep_highest().is_ok();
                match self.carry_out(&message, is_kept, now) {
                    Carried::Done(outcome) => self.answer(message.id, outcome, now),
                    Carried::NotMine => self.answer(message.id, Outcome::Refused, now),
                    Carried::Underway => {}
                }
            }
        }
        self.answer_done(now);
        Ok(())
    }

    /// Who waits for the gateway, in the order in which they go.
    pub fn waiting(&self) -> impl Iterator<Item = (Identity, Lane)> + '_ {
        self.outbox.identities()
    }

    /// The boot that new events name.
    pub fn restart(&self) -> u32 {
        self.outbox.restart()
    }

    /// A part of it moves and has to be stopped in time: a handshake waits for a moment.
    pub fn is_moving(&self) -> bool {
        self.role.is_moving()
    }

    /// How the device behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where it keeps what must not be lost: for what is not the device's own, such as who it is.
    pub fn keep(&mut self) -> &mut K {
        &mut self.keep
    }

    /// Gives the flash back, as a power cut leaves it.
    pub fn into_keep(self) -> K {
        self.keep
    }

    fn carry_out(&mut self, message: &CommandMessage, is_kept: bool, now: Now) -> Carried {
        match &message.command {
            Command::Receipt { restart, seq, rung, .. } => {
                if let Some(shown) = self.feedback.receipt(*restart, *seq, *rung) {
                    self.cx(now).1.show(shown);
                }
                Carried::Done(Outcome::Done)
            }
            Command::Feedback { light, sound, text } => {
                self.panel.show(*light, *sound, text.as_ref().map(|text| text.as_str()), now);
                Carried::Done(Outcome::Done)
            }
            Command::Settings { .. } => {
                let is_set = self.settings.set(&message.command, &mut self.keep);
                if let Some(percent) = self.settings.volume_percent {
                    self.panel.volume(percent);
                }
                self.with_role(now, |role, cx| role.carry_out(message, cx));
                Carried::Done(if is_set { Outcome::Done } else { Outcome::Failed })
            }
            // What opens a door or gives out medicine is not done by a device that might do it twice.
            command if command.needs_clock() && !is_kept => Carried::Done(Outcome::Failed),
            command => match self.with_role(now, |role, cx| role.carry_out(message, cx)) {
                Carried::NotMine => {
                    if let Command::Reminder { text } = command {
                        self.panel.show(None, Some(vaka_protocol::Sound::Chime), Some(text.as_str()), now);
                        return Carried::Done(Outcome::Done);
                    }
                    Carried::NotMine
                }
                carried => carried,
            },
        }
    }

    fn answer(&mut self, id: u64, outcome: Outcome, now: Now) {
        let event = self.commands.done(id, outcome);
        self.tell(event, now);
    }

    fn answer_done(&mut self, now: Now) {
        for (id, outcome) in core::mem::take(&mut self.done) {
            self.answer(id, outcome, now);
        }
    }

    fn keep_highest(&mut self) -> Result<(), keep::Fault> {
        match self.commands.highest() {
            Some(highest) => keep::keep_number(&mut self.keep, COMMAND, highest),
            None => Ok(()),
        }
    }

    fn cx(&mut self, now: Now) -> (&mut R, Cx<'_>) {
        let Self { keep, role, panel, outbox, feedback, settings, done, is_heard, .. } = self;
        let (is_part_busy, is_heard, english) = (role.is_busy(), *is_heard, settings.is_english());
        (role, Cx { now, keep, outbox, feedback, panel, english, is_part_busy, is_heard, done })
    }

    /// Gives the role what comes from elsewhere than its parts: the board hands [`crate::update::Update`] its chunks.
    pub fn with_role<T>(&mut self, now: Now, call: impl FnOnce(&mut R, &mut Cx<'_>) -> T) -> T {
        let before = self.outbox.last_seq();
        let (role, mut cx) = self.cx(now);
        let result = call(role, &mut cx);
        if self.outbox.last_seq() != before {
            self.told_ms = now.uptime_ms;
        }
        self.answer_done(now);
        result
    }
}
