//! A satellite receiver on a serial line: NMEA 0183, once a second while it is fed.
//!
//! Enters: the feed pin, the sky, disturbances of the line, time. Leaves: bytes. Source of the sentences' form: NMEA 0183
//! as receivers' makers describe it (u-blox M8 receiver description, "NMEA protocol").

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt::Write as _;

use embedded_hal::digital::{ErrorType as PinErrorType, OutputPin};
use embedded_io::{ErrorType, Read, ReadReady};
use heapless::{Deque, String};

/// From power-on to the first fix under the open sky, milliseconds. Source: makers state some 26 to 30 s for a cold start.
pub const FIRST_FIX_MS: u64 = 28_000;

/// Bytes that wait in the serial port; beyond, they are lost as in a real one.
const FIFO_BYTES: usize = 1_024;

/// What the antenna sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sky {
    /// Degrees times 10,000,000.
    pub lat_e7: i32,
    /// The same.
    pub lon_e7: i32,
    /// Horizontal dilution of precision, hundredths.
    pub hdop_centi: u32,
    /// Thousandths of a knot.
    pub speed_milli_kn: u32,
}

/// What is wrong with the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Line {
    /// Nothing.
    #[default]
    Good,
    /// One bit of each sentence is flipped.
    Flipped,
    /// The second half of each sentence and the line's end are missing.
    Torn,
    /// Nothing arrives.
    Silent,
}

#[derive(Debug, Default)]
struct State {
    fifo: Deque<u8, FIFO_BYTES>,
    is_fed: bool,
    fed_ms: u64,
    day_ms: u64,
    sky: Option<Sky>,
    line: Line,
    on_ms: u64,
}

/// The receiver.
#[derive(Debug)]
pub struct Gnss {
    talker: &'static str,
    state: RefCell<State>,
}

impl Gnss {
    /// `talker`: `GP`, `GN`, `GL` … It starts indoors at midnight.
    pub fn new(talker: &'static str) -> Self {
        Self { talker, state: RefCell::default() }
    }

    /// What the antenna sees from now on; `None`: indoors.
    pub fn sky(&self, sky: Option<Sky>) {
        self.state.borrow_mut().sky = sky;
    }

    /// What is wrong with the line from now on.
    pub fn line(&self, line: Line) {
        self.state.borrow_mut().line = line;
    }

    /// How long it was fed in all, milliseconds.
    pub fn on_ms(&self) -> u64 {
        self.state.borrow().on_ms
    }

    /// It is fed.
    pub fn is_on(&self) -> bool {
        self.state.borrow().is_fed
    }

    /// Lets `ms` milliseconds pass.
    pub fn pass(&self, ms: u64) {
        let mut state = self.state.borrow_mut();
        let seconds_before = state.day_ms / 1_000;
        state.day_ms = (state.day_ms + ms) % 86_400_000;
        if !state.is_fed {
            return;
        }
        state.fed_ms += ms;
        state.on_ms += ms;
        if state.day_ms / 1_000 != seconds_before {
            self.write(&mut state);
        }
    }

    /// The device's end of the serial line.
    pub fn port(&self) -> Port<'_> {
        Port { gnss: self }
    }

    /// The pin that feeds it.
    pub fn feed(&self) -> Feed<'_> {
        Feed { gnss: self }
    }

    fn write(&self, state: &mut State) {
        let second = state.day_ms / 1_000;
        let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
        let mut time = String::<16>::new();
        let _ = write!(time, "{hours:02}{minutes:02}{seconds:02}.00");
        let sky = state.sky.filter(|_| state.fed_ms >= FIRST_FIX_MS);
        let mut place = String::<40>::new();
        let (mut rmc, mut gga) = (String::<96>::new(), String::<96>::new());
        let talker = self.talker;
        // What is longer than its room would be a model's fault; it is cut, and its checksum wrong.
        if let Some(sky) = sky {
            let _ = write!(place, "{},{}", angle::<2>(sky.lat_e7, "N", "S"), angle::<3>(sky.lon_e7, "E", "W"));
            let (knots, milli) = (sky.speed_milli_kn / 1_000, sky.speed_milli_kn % 1_000);
            let _ = write!(rmc, "{talker}RMC,{time},A,{place},{knots}.{milli:03},,010125,,,A");
            let (hdop, centi) = (sky.hdop_centi / 100, sky.hdop_centi % 100);
            let _ = write!(gga, "{talker}GGA,{time},{place},1,08,{hdop}.{centi:02},30.0,M,25.0,M,,");
        } else {
            let _ = write!(rmc, "{talker}RMC,{time},V,,,,,,,010125,,,N");
            let _ = write!(gga, "{talker}GGA,{time},,,,,0,00,99.99,,,,,,");
        }
        for body in [rmc.as_str(), gga.as_str(), "GPGSV,1,1,04,01,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45"] {
            send(state, body);
        }
    }
}

fn send(state: &mut State, body: &str) {
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    let mut sentence = String::<128>::new();
    let _ = write!(sentence, "${body}*{sum:02X}\r\n");
    let bytes = sentence.as_bytes();
    let sent = match state.line {
        Line::Good | Line::Flipped => bytes.len(),
        Line::Torn => bytes.len() / 2,
        Line::Silent => 0,
    };
    for (place, byte) in bytes[..sent].iter().enumerate() {
        let flipped = state.line == Line::Flipped && place == 20;
        // Full: lost, as in a real port.
        let _ = state.fifo.push_back(if flipped { byte ^ 1 } else { *byte });
    }
}

/// Degrees and minutes as NMEA writes them.
fn angle<const DIGITS: usize>(e7: i32, plus: &str, minus: &str) -> String<20> {
    let whole = e7.unsigned_abs();
    let (degrees, minutes_e7) = (whole / 10_000_000, u64::from(whole % 10_000_000) * 60);
    let (minutes, rest) = (minutes_e7 / 10_000_000, minutes_e7 % 10_000_000 / 100);
    let mut text = String::new();
    let _ = write!(text, "{degrees:0DIGITS$}{minutes:02}.{rest:05},{}", if e7 < 0 { minus } else { plus });
    text
}

/// The device's end of the serial line.
#[derive(Debug)]
pub struct Port<'g> {
    gnss: &'g Gnss,
}

impl ErrorType for Port<'_> {
    type Error = Infallible;
}

impl Read for Port<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let mut state = self.gnss.state.borrow_mut();
        let mut length = 0;
        while length < buffer.len()
            && let Some(byte) = state.fifo.pop_front()
        {
            buffer[length] = byte;
            length += 1;
        }
        Ok(length)
    }
}

impl ReadReady for Port<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.gnss.state.borrow().fifo.is_empty())
    }
}

/// The pin that feeds the receiver: high feeds it.
#[derive(Debug)]
pub struct Feed<'g> {
    gnss: &'g Gnss,
}

impl PinErrorType for Feed<'_> {
    type Error = Infallible;
}

impl OutputPin for Feed<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        let mut state = self.gnss.state.borrow_mut();
        (state.is_fed, state.fed_ms) = (false, 0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.gnss.state.borrow_mut().is_fed = true;
        Ok(())
    }
}
