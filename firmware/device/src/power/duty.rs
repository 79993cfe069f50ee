//! What a device draws in a day, and how long its battery lasts: a written model, not a measurement. Enters: the figures
//! below. Leaves: microampere-seconds a day, days of life.
//!
//! Every figure has its source: a data sheet, or "assumed", which a product must replace by what was measured on its board.
//! Invariant: the life that is stated for a role ([`Life::stated_days`]) is less than the model gives; a test holds it.
//! Absent: cold. A coin cell in a pocket outdoors in winter gives less.

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// One state of a device: what it draws in it, how long, how often a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// What it is.
    pub name: &'static str,
    /// Current, nanoampere.
    pub na: u64,
    /// How long each time, milliseconds.
    pub ms: u64,
    /// How often a day.
    pub times: u64,
}

impl Use {
    /// Charge a day, microampere-seconds.
    pub const fn uas_per_day(&self) -> u64 {
        self.na * self.ms / 1_000 * self.times / 1_000
    }

    const fn always(name: &'static str, na: u64) -> Self {
        Self { name, na, ms: DAY_MS, times: 1 }
    }

    const fn of(name: &'static str, na: u64, ms: u64, times: u64) -> Self {
        Self { name, na, ms, times }
    }
}

/// A battery as a store of charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What it is called.
    pub name: &'static str,
    /// What its maker says it holds, milliampere-hours.
    pub capacity_mah: u64,
    /// How much of it a device with bursts gets out above its own lowest voltage, percent.
    pub usable_percent: u64,
    /// What it loses by itself in a year, thousandths of its capacity.
    pub loss_permille_per_year: u64,
}

/// Capacity: 225 mAh, the common figure of makers to 2.0 V. Usable, loss: assumed; bursts of milliamperes end a coin cell
/// before its charge does.
pub const CR2032: Cell = Cell { name: "CR2032", capacity_mah: 225, usable_percent: 80, loss_permille_per_year: 10 };

/// Half an AA. All three assumed, of the order of makers' data.
pub const LI_SOCL2_HALF_AA: Cell =
    Cell { name: "Li-SOCl2 1/2AA", capacity_mah: 1_200, usable_percent: 80, loss_permille_per_year: 10 };

/// The tracker's. All three assumed; the loss is 3 % a month, protection circuit included.
pub const LIPO_1000: Cell =
    Cell { name: "LiPo 1000", capacity_mah: 1_000, usable_percent: 85, loss_permille_per_year: 360 };

/// The dispenser's backup. As [`LIPO_1000`].
pub const LIPO_2000: Cell = Cell { name: "LiPo 2000", capacity_mah: 2_000, ..LIPO_1000 };

impl Cell {
    /// What there is to be drawn, microampere-seconds.
    pub const fn usable_uas(&self) -> u64 {
        self.capacity_mah * 3_600_000 * self.usable_percent / 100
    }

    /// What it loses by itself in a day, microampere-seconds.
    pub const fn loss_uas_per_day(&self) -> u64 {
        self.capacity_mah * 3_600_000 / 1_000 * self.loss_permille_per_year / 365
    }
}

/// A role in one of its modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The role and its mode.
    pub role: &'static str,
    /// What it draws.
    pub uses: &'static [Use],
    /// From what.
    pub cell: Cell,
    /// What we say that it lasts, days.
    pub stated_days: u64,
}

impl Life {
    /// Charge a day, microampere-seconds, without the battery's own loss.
    pub fn uas_per_day(&self) -> u64 {
        self.uses.iter().map(Use::uas_per_day).sum()
    }

    /// Days until the battery is empty.
    pub fn days(&self) -> u64 {
        self.cell.usable_uas() / (self.uas_per_day() + self.cell.loss_uas_per_day()).max(1)
    }
}

/// Processor asleep with its memory and a 32 kHz clock, and what leaks on the board. Assumed: 1.5 µA for the processor, of
/// the order that the makers of such parts name (nRF52840), as much again for the board.
const SLEEP_NA: u64 = 3_000;
/// Processor and short-range radio (802.15.4, Bluetooth) on: assumed, sending at 0 dBm behind a DC/DC converter.
const RADIO_NA: u64 = 6_000_000;
/// An event over an open session: wake, send, PUBACK, the first receipt. Assumed.
const EVENT_MS: u64 = 120;
/// Asking the router whether there is something. Assumed.
const POLL_MS: u64 = 3;
/// A TLS handshake: its 33 to 54 million instructions, measured under QEMU, are under 1 s at 64 MHz; the rest is radio.
/// Time assumed.
const HANDSHAKE_MS: u64 = 3_000;
/// Current of it, assumed: processor and radio.
const HANDSHAKE_NA: u64 = 8_000_000;
/// Sessions made anew in a day. Assumed.
const HANDSHAKES: u64 = 1;
/// Signs of life a day, [`crate::ALIVE_INTERVAL_S`].
const ALIVES: u64 = 86_400 / crate::ALIVE_INTERVAL_S as u64;
/// One measurement of the voltage: assumed, wake and converter.
const MEASURE_NA: u64 = 1_000_000;
/// How long it takes. Assumed.
const MEASURE_TIME_MS: u64 = 1;
/// How often, [`super::MEASURE_MS`].
const MEASURES: u64 = DAY_MS / super::MEASURE_MS;
/// Light and sound together: assumed, a light-emitting diode that blinks and a piezo element.
const SIGNAL_NA: u64 = 5_000_000;
/// Accelerometer at 50 Hz in low-power mode: LIS2DH12, data sheet DocID025056 rev. 6, section 3.2.1.
const ACCELEROMETER_50HZ_NA: u64 = 6_000;
/// The same at 10 Hz.
const ACCELEROMETER_10HZ_NA: u64 = 3_000;
/// Reading 32 samples of 6 bytes at 400 kHz: 192 bytes of 9 bits.
const FIFO_MS: u64 = 5;
/// Current of it: assumed, the processor sleeps while the bus moves.
const FIFO_NA: u64 = 1_000_000;
/// How often its 32 samples are full at 50 Hz.
const FIFOS: u64 = 86_400 * 50 / 32;
/// Infrared motion sensor with its amplifier. Assumed, of the order of the frugal ones.
const PIR_NA: u64 = 6_000;
/// LTE-M modem that listens every 81.92 s: nRF9160 product specification, modem current consumption, eDRX.
const MODEM_IDLE_NA: u64 = 18_000;
/// An event over LTE-M with the network's own tail: assumed, 5 s at 20 mA in the mean (110 mA while sending at 23 dBm,
/// same source).
const MODEM_EVENT_NA: u64 = 20_000_000;
/// How long. Assumed.
const MODEM_EVENT_MS: u64 = 5_000;
/// Satellite receiver on. Assumed, of the order of the frugal ones.
const GNSS_NA: u64 = 25_000_000;
/// A fix with fresh orbits; the first of a day takes [`GNSS_COLD_MS`]. Assumed.
const GNSS_FIX_MS: u64 = 15_000;
/// A fix after hours. Assumed.
const GNSS_COLD_MS: u64 = 40_000;
/// A tracker's processor asleep, with the serial line and the regulators of modem and receiver. Assumed.
const TRACKER_SLEEP_NA: u64 = 10_000;
/// A dispenser's processor and Wi-Fi that sleeps between beacons. Assumed.
const DISPENSER_NA: u64 = 25_000_000;
/// Carousel motor. Assumed.
const MOTOR_NA: u64 = 300_000_000;
/// One turn by one compartment and back to its home sensor. Assumed.
const MOTOR_MS: u64 = 8_000;
/// Lamp and sounder that remind. Assumed.
const REMIND_NA: u64 = 60_000_000;
/// How long they remind of a dose. Assumed.
const REMIND_MS: u64 = 600_000;
/// Doses a day, at most as the protocol's schedule of two days holds.
const DOSES: u64 = 4;

/// What every device with a short-range radio draws, whatever its role.
macro_rules! short_range {
    ($poll_s:literal, $($more:expr),* $(,)?) => {
        &[
            Use::always("sleep", SLEEP_NA),
            Use::of("keep-alive", RADIO_NA, EVENT_MS, ALIVES),
            Use::of("poll", RADIO_NA, POLL_MS, 86_400 / $poll_s),
            Use::of("handshake", HANDSHAKE_NA, HANDSHAKE_MS, HANDSHAKES),
            Use::of("voltage", MEASURE_NA, MEASURE_TIME_MS, MEASURES),
            $($more),*
        ]
    };
}

/// What every tracker draws, whatever its mode.
macro_rules! tracker {
    ($($more:expr),* $(,)?) => {
        &[
            Use::always("sleep", TRACKER_SLEEP_NA),
            Use::always("modem idle", MODEM_IDLE_NA),
            Use::always("accelerometer 10 Hz", ACCELEROMETER_10HZ_NA),
            Use::of("keep-alive", MODEM_EVENT_NA, MODEM_EVENT_MS, ALIVES),
            Use::of("voltage", MEASURE_NA, MEASURE_TIME_MS, MEASURES),
            $($more),*
        ]
    };
}

/// Each role in its modes. How often something happens in a day is assumed: a busy home rather than a quiet one.
pub static LIVES: &[Life] = &[
    Life {
        role: "pendant with fall",
        uses: short_range![
            10,
            Use::always("accelerometer 50 Hz", ACCELEROMETER_50HZ_NA),
            Use::of("samples", FIFO_NA, FIFO_MS, FIFOS),
            // Two presses with their receipts; one fall a week rounds to nothing.
            Use::of("press", RADIO_NA, EVENT_MS, 2 * 4),
            Use::of("light and sound", SIGNAL_NA, 30_000, 2),
        ],
        cell: CR2032,
        stated_days: 270,
    },
    Life {
        role: "door sensor",
        // Forty times opened and closed.
        uses: short_range![30, Use::of("open, close", RADIO_NA, EVENT_MS, 80)],
        cell: CR2032,
        stated_days: 3 * 365,
    },
    Life {
        role: "motion sensor",
        uses: short_range![
            30,
            Use::always("infrared sensor", PIR_NA),
            // With its hold-off of minutes.
            Use::of("motion", RADIO_NA, EVENT_MS, 300),
        ],
        cell: LI_SOCL2_HALF_AA,
        stated_days: 5 * 365,
    },
    Life {
        role: "tracker, still",
        uses: tracker![Use::of("fix", GNSS_NA, GNSS_COLD_MS, 2)],
        cell: LIPO_1000,
        stated_days: 180,
    },
    Life {
        role: "tracker, moving",
        // A fix every 5 minutes for its own fence, all day; told only where the fence is left.
        uses: tracker![Use::of("fix", GNSS_NA, GNSS_FIX_MS, 288)],
        cell: LIPO_1000,
        stated_days: 20,
    },
    Life {
        role: "tracker, alarm",
        // The receiver stays on; a position every 30 seconds.
        uses: tracker![Use::always("receiver", GNSS_NA), Use::of("position", MODEM_EVENT_NA, MODEM_EVENT_MS, 2_880),],
        cell: LIPO_1000,
        stated_days: 1,
    },
    Life {
        role: "dispenser, mains gone",
        uses: &[
            Use::always("processor and Wi-Fi", DISPENSER_NA),
            Use::of("motor", MOTOR_NA, MOTOR_MS, DOSES),
            Use::of("reminder", REMIND_NA, REMIND_MS, DOSES),
        ],
        cell: LIPO_2000,
        stated_days: 2,
    },
];
