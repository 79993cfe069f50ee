//! A device of Vaka on ARM's MPS2 (AN386), as QEMU has it: a Cortex-M4F with Ethernet. This is what its images share; the
//! pendant and the dispenser have one each, every other role is chosen at boot ([`roles`]).
//!
//! The way through: [`run`] starts the board and its three futures, woken by interrupts and otherwise asleep ([`idle`]):
//! the network ([`lan9118`]), the device and its inputs, the connection ([`link`] over [`tls`]). What a test does comes in
//! over the UART ([`inputs`]), what it is to see goes out there, a line each:
//!
//! | line | meaning |
//! |---|---|
//! | `started CAUSE` | the boot, and what ended the one before: `power`, `panic FILE:LINE`, `watchdog`, `asked` |
//! | `network A.B.C.D` | the address that DHCP gave |
//! | `connected` | TLS and MQTT stand, the device is subscribed |
//! | `refused WHY` | no connection: `name`, `issuer`, `purpose`, `expired`, `alert` (the gateway refused us), `network`, `late` … |
//! | `apart WHY` | the connection ended |
//! | `told RESTART SEQ` | that event is kept, and outlives any power cut |
//! | `acked RESTART SEQ` | the gateway has that event on its disk |
//! | `time MS` | the gateway said the time |
//! | `light …`, `sound …`, `text …`, `volume …` | what the resident sees and hears |
//! | `work WHAT CYCLES PASSES` | what a `press` or a `handshake` took, once asked for ([`work`]) |
//! | `panic FILE:LINE` | the program failed; a reset follows |
//! | `unprovisioned` | the flash names no role that the image has: nothing more happens |
//! | `unenrolled` | the device has no certificate, and waits for a technician's code (`enrol …`) |
//! | `offered`, `no offer WHY` | the code is kept; or `address`, `code`, `authority`, `flash`: what is wrong with it |
//! | `enrol HOW` | a try has ended: `enrolled`, `refused`, `impostor`, `useless`, `unreachable` ([`enrol`]) |
//! | `enrolled ID` | the device has its certificate, and goes on as that device |
//! | `renewing`, `renewed`, `renewal used` | the next certificate was asked for, is kept, has opened a connection |
#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod bell;
pub mod clock;
pub mod edge;
pub mod enrol;
pub mod entropy;
pub mod fault;
pub mod flash;
pub mod host;
pub mod idle;
pub mod inputs;
pub mod lan9118;
pub mod leds;
pub mod link;
pub mod memory;
pub mod model;
pub mod panel;
pub mod pause;
pub mod provisioning;
pub mod reg;
pub mod roles;
pub mod time_driver;
pub mod tls;
pub mod uart;
pub mod watchdog;
pub mod who;
pub mod work;

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use cortex_m_rt::{ExceptionFrame, exception};
use embassy_futures::join::join3;
use embassy_futures::select::select3;
use embassy_futures::yield_now;
use embassy_net::StackResources;
use embassy_time::Timer;
use static_cell::{ConstStaticCell, StaticCell};
use vaka_device::flash::Flash;
use vaka_device::identity::{Which, tidy};
use vaka_device::pins::NoPin;
use vaka_device::{Boot, Device, EVENTS_MAX, Identity, Keep, Panel, PinPanel, Role};
use vaka_protocol::Lane;

use crate::bell::Bell;
use crate::clock::Clock;
use crate::enrol::Enrolment;
use crate::flash::Psram;
use crate::inputs::Inputs;
use crate::lan9118::Lan9118;
use crate::link::Link;
use crate::panel::Written;
use crate::provisioning::Provisioning;

/// In QEMU, between two looks at what the host's network brought: without a timer that runs, QEMU sleeps up to a second
/// over a packet for the guest (measured with 7.2: a TCP handshake of 1.0 s instead of 10 ms).
const QEMU_TICK_MS: u64 = 5;

/// Between two wake-ups, milliseconds, should nothing else be due: the watchdog is to be fed.
const TICK_MS: u64 = if cfg!(feature = "qemu") { QEMU_TICK_MS } else { watchdog::PATIENCE_S as u64 * 500 };

/// Runs a device for ever. `make`: its role on these inputs, and what it is, as vaka.toml says it.
pub fn run<R: Role>(make: impl FnOnce(&mut Inputs, &Provisioning) -> (&'static str, R)) -> ! {
    memory::start();
    uart::start();
    time_driver::start();
    watchdog::start();
    let cause = fault::take();
    say!("started {cause}");
    unmask(&[uart::IRQ, edge::IRQ, time_driver::COUNTER_IRQ, time_driver::ALARM_IRQ]);
    let provisioning = Provisioning::read();
    let mut inputs = Inputs::new();
    // First of all: a device whose role this image does not have is not to enrol either.
    let (kind, role) = make(&mut inputs, &provisioning);
    assert!(entropy::start(), "no random numbers");

    static NETWORK: ConstStaticCell<Lan9118> = ConstStaticCell::new(Lan9118::new());
    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let controller = NETWORK.take();
    controller.start([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    // Not before: until it is set up, its line is active low, and would interrupt for ever.
    unmask(&[lan9118::IRQ]);
    let seed = u64::from(entropy::chance()) << 32 | u64::from(entropy::chance());
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, mut network) = embassy_net::new(controller, dhcp, RESOURCES.init(StackResources::new()), seed);

    let clock = Clock::new();
    let memory = link::MEMORY.take();
    // SAFETY: this function is called once, and takes each of them once.
    let (psram, (light, sounder)) = unsafe { (Psram::new(), leds::both()) };
    let mut panel = Written(PinPanel::new(light, sounder, NoPin));
    let mut keep = Flash::open(psram);
    tidy(&mut keep);
    if !who::is_known(&mut keep, &provisioning) {
        say!("unenrolled");
        let enrolment = Enrolment {
            keep: RefCell::new(&mut keep),
            panel: RefCell::new(&mut panel),
            clock: &clock,
            stack,
            kind,
            offered: Bell::new(),
        };
        enrol_first(&enrolment, &mut network, &mut inputs, memory);
    }
    let boot =
        Boot { room: EVENTS_MAX, chance: entropy::chance(), cause: cause.told(), version: env!("CARGO_PKG_VERSION") };
    let device = RefCell::new(Device::boot(keep, role, panel, boot, clock.now()));
    let (news, urgent, touched) = (Bell::new(), Bell::new(), Bell::new());
    let link = Link {
        device: &device,
        clock: &clock,
        stack,
        provisioning,
        news: &news,
        urgent: &urgent,
        touched: &touched,
        is_heard: Cell::new(false),
        which: Cell::new(Which::Renewed),
        asked_ms: Cell::new(None),
        is_renewed: Cell::new(false),
    };
    let rest = async {
        let watching = watch(&device, inputs, &clock, &news, &urgent, &touched);
        join3(link.run(memory), watching, tick()).await.0
    };
    match idle::run(pin!(async { network.run().await }), pin!(rest), watchdog::feed) {}
}

/// What was provisioned is not enough to protect anybody: it says so and does nothing, rather than give signs of life.
fn unprovisioned() -> ! {
    say!("unprovisioned");
    match idle::run(pin!(core::future::pending()), pin!(tick()), watchdog::feed) {}
}

/// Returns when the device has an identity. A function of its own: its memory is free again for all that comes after.
#[inline(never)]
fn enrol_first<K: Keep, P: Panel>(
    enrolment: &Enrolment<'_, K, P>,
    network: &mut embassy_net::Runner<'_, &mut Lan9118>,
    inputs: &mut Inputs,
    memory: &mut link::Memory,
) {
    let rest = select3(enrolment.run(memory), enrolment.watch(inputs), tick());
    idle::run(pin!(async { network.run().await }), pin!(rest), watchdog::feed);
    // Whatever was pressed until now called nobody, and does not begin to.
    edge::take();
}

/// Looks at the device whenever it is due, a line came or the link touched it.
async fn watch<K: Keep, R: Role, P: Panel>(
    device: &RefCell<Device<K, R, P>>,
    mut inputs: Inputs,
    clock: &Clock,
    news: &Bell,
    urgent: &Bell,
    touched: &Bell,
) -> Infallible {
    let mut newest = None;
    loop {
        while let Some(line) = uart::line() {
            inputs.obey(&line, clock.now());
        }
        if let Some(at) = edge::take() {
            device.borrow_mut().role.edge(clock.uptime_ms(at));
        }
        let now = clock.now();
        work::pass();
        let due_ms = inputs.pass(now);
        let rest_ms = device.borrow_mut().pass(now).min(due_ms);
        newest = tell_news(&device.borrow(), newest, news, urgent);
        if let Some(at) = inputs.take_time() {
            clock.set(at);
            say!("time {at}");
            // A certificate may be due.
            news.ring();
        }
        if let Some(ms) = inputs.skip(rest_ms) {
            clock.skip(ms);
            yield_now().await;
            continue;
        }
        // A day is as good as for ever, and no calculation overflows.
        select3(Timer::after_millis(rest_ms.min(86_400_000)), has_line(), touched.rung()).await;
    }
}

/// Rings for events that are newer than the newest one known, and returns the newest.
fn tell_news<K: Keep, R: Role, P: Panel>(
    device: &Device<K, R, P>,
    known: Option<Identity>,
    news: &Bell,
    urgent: &Bell,
) -> Option<Identity> {
    let mut newest = known;
    for (identity, lane) in device.waiting().filter(|(identity, _)| Some(*identity) > known) {
        say!("told {} {}", identity.restart, identity.seq);
        newest = newest.max(Some(identity));
        news.ring();
        if lane == Lane::Life {
            work::called(identity.seq);
            urgent.ring();
        }
    }
    newest
}

/// Waits for a line.
async fn has_line() {
    poll_fn(|_| if uart::has_line() { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// See [`TICK_MS`].
async fn tick() -> Infallible {
    loop {
        Timer::after_millis(TICK_MS).await;
    }
}

fn unmask(irqs: &[u16]) {
    for irq in irqs {
        // SAFETY: their handlers are in place, and nothing here is in a critical section.
        unsafe { cortex_m::peripheral::NVIC::unmask(Irq(*irq)) };
    }
}

/// A number of the interrupt controller.
#[derive(Clone, Copy)]
struct Irq(u16);

// SAFETY: the numbers are those of the board's parts, all below 240.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    match u16::try_from(irq) {
        Ok(uart::IRQ) => uart::on_receive(),
        Ok(edge::IRQ) => edge::on_edge(),
        Ok(time_driver::COUNTER_IRQ) => time_driver::on_counter(),
        Ok(time_driver::ALARM_IRQ) => time_driver::on_alarm(),
        Ok(lan9118::IRQ) => lan9118::on_interrupt(),
        _ => fault::on_fault("exception", irq as u32),
    }
}

#[exception]
unsafe fn NonMaskableInt() {
    fault::on_watchdog();
    say!("watchdog");
    // Not fed any more: the second time resets.
    loop {
        cortex_m::asm::nop();
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    fault::on_fault("fault", frame.pc())
}
