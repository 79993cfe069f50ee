//! A home with two ways out, in network namespaces of its own: "fibre" and "mobile" lead to the place of the alarm centre. Needs root.
//!
//! ```text
//!   home  10.71.0.1 ── fibre  ── 10.71.0.2  away       the centre's address there: 10.70.0.1
//!         10.72.0.1 ── mobile ── 10.72.0.2             by the home's routing table it is reached over fibre
//! ```
//! Enters: nothing. Leaves: two namespaces whose names no other test has; gone when dropped, also when a test fails. What is started
//! while a thread is inside one runs there, and so do the threads and processes that it starts.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::program;

/// The alarm centre's address, reached over either link.
pub const CENTRE: &str = "10.70.0.1";
/// The home's own address on each link.
pub const FIBRE: &str = "10.71.0.1";
pub const MOBILE: &str = "10.72.0.1";

static MADE: AtomicU32 = AtomicU32::new(0);

/// The two namespaces and the links between them.
pub struct TwoWays {
    pub home: Netns,
    pub away: Netns,
}

/// A network namespace; deleted when dropped.
pub struct Netns {
    name: String,
}

fn ip(args: &[&str]) -> Result<String, String> {
    let output = Command::new(program("ip")).args(args).output().map_err(|e| format!("starting ip: {e}"))?;
    if !output.status.success() {
        return Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Netns {
    fn make(name: &str) -> Result<Netns, String> {
        ip(&["netns", "add", name])?;
        let made = Netns { name: name.to_owned() };
        made.ip("link set lo up")?;
        // An answer comes back over the link that was asked over, whatever the table says of the way there.
        made.run(|| {
            for table in ["all", "default"] {
                let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{table}/rp_filter"), "0");
            }
        });
        Ok(made)
    }

    fn ip(&self, words: &str) -> Result<String, String> {
        let mut args = vec!["-n", &self.name];
        args.extend(words.split(' '));
        ip(&args)
    }

    /// Runs `what` with this thread inside.
    #[track_caller]
    pub fn run<T>(&self, what: impl FnOnce() -> T) -> T {
        let _inside = self.enter();
        what()
    }

    /// Takes this thread inside until the guard is dropped.
    #[track_caller]
    pub fn enter(&self) -> Inside {
        Inside::of(&format!("/run/netns/{}", self.name))
    }
}

fn move_thread(to: &File) {
    use std::os::fd::AsFd;
    move_into_link_name_space(to.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may change its namespace");
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// A thread is inside a namespace.
pub struct Inside {
    before: File,
}

impl Inside {
    /// Takes this thread into the namespace that this file stands for.
    #[track_caller]
    pub(crate) fn of(file: &str) -> Inside {
        let before = File::open("/proc/thread-self/ns/net").expect("this thread's own namespace");
        let there = File::open(file).unwrap_or_else(|e| panic!("opening {file}: {e}"));
        move_thread(&there);
        Inside { before }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        move_thread(&self.before);
    }
}

impl TwoWays {
    /// The error says why this machine or user cannot have it.
    pub fn make() -> Result<TwoWays, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("not root: network namespaces need it".into());
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("vaka-{}-{number}-{end}", std::process::id());
        let made = TwoWays { home: Netns::make(&name("home"))?, away: Netns::make(&name("away"))? };
        made.away.ip(&format!("addr add {CENTRE}/32 dev lo"))?;
        for (link, net) in [("fibre", "10.71.0"), ("mobile", "10.72.0")] {
            made.home.ip(&format!("link add {link} type veth peer name {link} netns {}", made.away.name))?;
            for (end, host) in [(&made.home, 1), (&made.away, 2)] {
                end.ip(&format!("addr add {net}.{host}/30 dev {link}"))?;
                end.ip(&format!("link set {link} up"))?;
            }
            made.route(link)?;
        }
        Ok(made)
    }

    /// Over either link; fibre where nothing else is said.
    fn route(&self, link: &str) -> Result<(), String> {
        self.route_as(link, link)
    }

    /// The same where it has another name.
    fn route_as(&self, link: &str, name: &str) -> Result<(), String> {
        let (gateway, metric) = if link == "fibre" { ("10.71.0.2", 10) } else { ("10.72.0.2", 20) };
        self.home.ip(&format!("route replace {CENTRE} via {gateway} dev {name} metric {metric}")).map(drop)
    }

    /// `link` up again under the name that [`TwoWays::rename`] has given it, with its route.
    #[track_caller]
    pub fn up_as(&self, link: &str, name: &str) {
        self.home.ip(&format!("link set {name} up")).unwrap_or_else(|e| panic!("{e}"));
        self.route_as(link, name).unwrap_or_else(|e| panic!("{e}"));
    }

    /// `ip link set … down` in the home.
    #[track_caller]
    pub fn down(&self, link: &str) {
        self.home.ip(&format!("link set {link} down")).unwrap_or_else(|e| panic!("{e}"));
    }

    /// And up again, with the route that the kernel forgot meanwhile, as a machine's network service gives it back.
    #[track_caller]
    pub fn up(&self, link: &str) {
        self.home.ip(&format!("link set {link} up")).unwrap_or_else(|e| panic!("{e}"));
        self.route(link).unwrap_or_else(|e| panic!("{e}"));
    }

    /// The link goes down and gets another name in the home, as a modem that is found in another order does.
    #[track_caller]
    pub fn rename(&self, link: &str, name: &str) {
        for words in [format!("link set {link} down"), format!("link set {link} name {name}")] {
            self.home.ip(&words).unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// Packets that the home has sent over the link, as the kernel counts them.
    #[track_caller]
    pub fn sent_packets(&self, link: &str) -> u64 {
        let said = self.home.ip(&format!("-s -j link show dev {link}")).unwrap_or_else(|e| panic!("{e}"));
        let said: serde_json::Value = serde_json::from_str(&said).expect("ip speaks JSON");
        said[0]["stats64"]["tx"]["packets"].as_u64().expect("a count")
    }
}
