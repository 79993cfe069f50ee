//! The image of a medicine dispenser: the device's code over models of its carousel and its clock chip.
//!
//! | line in | what happens |
//! |---|---|
//! | `fill N` | a hand fills the first N compartments and empties the others |
//! | `key 1`, `lid 1` | staff turn the key, open the lid; `0`: back |
//! | `give MS`, `refuse MS` | the resident holds that button for so long |
//! | `take` | the resident takes what lies at the window: `taken COMPARTMENT`, 0 for nothing |
//! | `wheel` | `wheel N N …`: how often each compartment has come to stand open |
//!
//! A line out besides: `motor runs`, `motor still`.
#![no_std]
#![no_main]

use core::cell::{Cell, RefCell};

use static_cell::StaticCell;
use vaka_board_mps2::inputs::Parts;
use vaka_board_mps2::{self as board, say};
use vaka_device::Now;
use vaka_device::dispenser::{Dispenser, Lines, Setup};
use vaka_device::part::rtc::Pcf8563;
use vaka_parts::carousel::{COMPARTMENTS, Carousel, Line, Pin};
use vaka_parts::rtc::{Bus, Pcf8563 as Chip};

type Models = (RefCell<Carousel>, RefCell<Chip>);

/// The parts, and the hands around them.
#[derive(Debug)]
struct Hands {
    carousel: &'static RefCell<Carousel>,
    chip: &'static RefCell<Chip>,
    /// When the models were looked at last, milliseconds since boot.
    passed_ms: Cell<u64>,
    /// The motor as it was last said.
    is_running: Cell<bool>,
    /// A button is held until then, milliseconds since boot.
    held_until_ms: Cell<Option<u64>>,
}

impl Parts for Hands {
    fn obey(&self, word: &str, rest: &str, now: Now) -> bool {
        let number: u64 = rest.parse().unwrap_or(0);
        let mut carousel = self.carousel.borrow_mut();
        match word {
            "fill" => carousel.fill(number as usize),
            "key" => carousel.key = number != 0,
            "lid" => carousel.lid = number != 0,
            "give" | "refuse" => {
                let is_give = word == "give";
                (carousel.give, carousel.refuse) = (is_give, !is_give);
                self.held_until_ms.set(Some(now.uptime_ms + number));
            }
            "take" => say!("taken {}", carousel.take().unwrap_or(0)),
            "wheel" => {
                let mut line = heapless::String::<{ 4 * COMPARTMENTS }>::new();
                for compartment in 1..=COMPARTMENTS {
                    let _ = core::fmt::write(&mut line, format_args!(" {}", carousel.stood_open(compartment)));
                }
                say!("wheel{line}");
            }
            _ => return false,
        }
        true
    }

    fn pass(&self, now: Now) -> u64 {
        let mut carousel = self.carousel.borrow_mut();
        let ms = now.uptime_ms - self.passed_ms.replace(now.uptime_ms);
        carousel.advance(ms);
        self.chip.borrow_mut().advance(ms);
        let held_until_ms = self.held_until_ms.get().filter(|until_ms| now.uptime_ms < *until_ms);
        if held_until_ms.is_none() {
            (carousel.give, carousel.refuse) = (false, false);
        }
        self.held_until_ms.set(held_until_ms);
        let is_running = carousel.is_running();
        if is_running != self.is_running.replace(is_running) {
            say!("motor {}", if is_running { "runs" } else { "still" });
        }
        held_until_ms.map_or(u64::MAX, |until_ms| until_ms - now.uptime_ms)
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    board::run(|inputs, _| {
        let new = || (RefCell::new(Carousel::new()), RefCell::new(Chip::new()));
        // SAFETY: once; plain numbers, each of them good by itself.
        let (carousel, chip) = unsafe { board::model::place(new, powered_on) };
        static HANDS: StaticCell<Hands> = StaticCell::new();
        inputs.attach(HANDS.init(Hands {
            carousel,
            chip,
            passed_ms: Cell::new(0),
            is_running: Cell::new(false),
            held_until_ms: Cell::new(None),
        }));
        let pin = |line| Pin(carousel, line);
        let lines = Lines {
            run: pin(Line::Run),
            back: pin(Line::Back),
            index: pin(Line::Index),
            home: pin(Line::Home),
            content: pin(Line::Content),
            lid: pin(Line::Lid),
            key: pin(Line::Key),
            give: pin(Line::Give),
            refuse: pin(Line::Refuse),
        };
        ("dispenser", Dispenser::new(lines, Pcf8563::new(Bus(chip)), Setup::default()))
    })
}

/// The parts when the power is back: nobody looks at them, no button is held, and the motor stands.
fn powered_on((carousel, chip): Models) -> Models {
    let mut carousel = carousel.into_inner();
    carousel.cut_after(Some(0));
    carousel.cut_after(None);
    (carousel.give, carousel.refuse) = (false, false);
    (RefCell::new(carousel), RefCell::new(chip.into_inner()))
}
