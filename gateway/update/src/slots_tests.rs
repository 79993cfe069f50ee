//! The two places under power cuts: at every operation, with each of what a disk may keep of what was not synced.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;

use proptest::prelude::*;
use ring::digest::digest;

use super::*;
use crate::limits::TRIAL_S;
use crate::manifest::tests::{FORMATS, manifest};

/// What a file has, and what it had when it was synced last.
#[derive(Debug, Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    now: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Entry {
    Put(String, usize),
    Gone(String),
}

#[derive(Debug, Clone, Default)]
struct Inner {
    inodes: Vec<Inode>,
    /// As a program sees the folder.
    names: BTreeMap<String, usize>,
    /// As it was when it was synced last, and what has happened to it since.
    synced: BTreeMap<String, usize>,
    since: Vec<Entry>,
    operations: u32,
    /// Before this one the power goes.
    cut_at: Option<u32>,
}

/// A folder whose power can go.
#[derive(Debug, Default)]
pub(crate) struct SimDisk(RefCell<Inner>);

impl SimDisk {
    fn works(&self) -> io::Result<std::cell::RefMut<'_, Inner>> {
        let mut inner = self.0.borrow_mut();
        inner.operations += 1;
        if inner.cut_at.is_some_and(|at| inner.operations > at) {
            return Err(io::Error::other("the power is gone"));
        }
        Ok(inner)
    }

    /// After the cut: of what was not synced a part is there. `kept_names`: so many changes of the folder; `kept`: so many eighths of
    /// what was written to each file.
    pub(crate) fn after_the_cut(&self, kept_names: usize, kept: usize) -> SimDisk {
        let before = self.0.borrow();
        let mut names = before.synced.clone();
        for entry in before.since.iter().take(kept_names) {
            match entry {
                Entry::Put(name, inode) => drop(names.insert(name.clone(), *inode)),
                Entry::Gone(name) => drop(names.remove(name)),
            }
        }
        let torn = |inode: &Inode| {
            let same = inode.now.starts_with(&inode.synced);
            let written = inode.now.len().saturating_sub(if same { inode.synced.len() } else { 0 }) * kept / 8;
            let bytes = match (kept, same) {
                (0, _) => inode.synced.clone(),
                (_, true) => inode.now[..inode.synced.len() + written].to_vec(),
                (_, false) => inode.now[..written].to_vec(),
            };
            Inode { synced: bytes.clone(), now: bytes }
        };
        let inodes = before.inodes.iter().map(torn).collect();
        SimDisk(RefCell::new(Inner { inodes, synced: names.clone(), names, ..Inner::default() }))
    }

    /// So many operations from now on still work.
    pub(crate) fn cut_after(&self, operations: u32) {
        let mut inner = self.0.borrow_mut();
        inner.cut_at = Some(inner.operations + operations);
    }

    fn changes(&self) -> usize {
        self.0.borrow().since.len()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let inner = self.0.borrow();
        inner.names.get(name).map(|inode| inner.inodes[*inode].now.clone()).unwrap_or_default()
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let inner = self.works()?;
        let inode = *inner.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(inner.inodes[inode].now.clone())))
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let inner = self.works()?;
        Ok(inner.names.get(name).map_or(0, |inode| inner.inodes[*inode].now.len() as u64))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.works()?;
        match inner.names.get(name).copied() {
            Some(inode) => inner.inodes[inode].now = bytes.to_vec(),
            None => {
                let inode = inner.inodes.len();
                inner.inodes.push(Inode { synced: Vec::new(), now: bytes.to_vec() });
                inner.names.insert(name.to_owned(), inode);
                inner.since.push(Entry::Put(name.to_owned(), inode));
            }
        }
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let whole = [self.bytes(name), bytes.to_vec()].concat();
        self.write(name, &whole)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut inner = self.works()?;
        let inode = *inner.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let now = inner.inodes[inode].now.clone();
        inner.inodes[inode].synced = now;
        Ok(())
    }

    fn make_program(&self, _: &str) -> io::Result<()> {
        self.works().map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.works()?;
        let inode = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), inode);
        // One change of the folder: both names, or neither.
        inner.since.push(Entry::Put(to.to_owned(), inode));
        inner.since.push(Entry::Gone(from.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.works()?;
        if inner.names.remove(name).is_some() {
            inner.since.push(Entry::Gone(name.to_owned()));
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.works()?.names.keys().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut inner = self.works()?;
        inner.since.clear();
        inner.synced = inner.names.clone();
        Ok(())
    }
}

const PACKAGED: Version = Version(0, 1, 0);

fn sum(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn boot(id: &str, uptime_s: u64) -> Boot {
    Boot { id: id.to_owned(), uptime_ms: uptime_s * 1_000 }
}

fn program(version: &str) -> Vec<u8> {
    format!("the program {version}, some bytes long").into_bytes()
}

/// Downloads a release in pieces, gone on with where it was cut, and stages it.
fn bring(disk: &dyn Disk, version: &str) -> Result<Installed, Box<dyn std::error::Error>> {
    let bytes = program(version);
    let sha256 = sum(&bytes);
    let name = download(&sha256);
    forget_downloads(disk, &name)?;
    let there = usize::try_from(disk.length(&name)?)?.min(bytes.len());
    for piece in bytes[there..].chunks(10) {
        disk.append(&name, piece)?;
        disk.sync(&name)?;
    }
    Ok(stage(disk, &manifest(version), &sha256)?)
}

fn version_of(start: &Start) -> Version {
    start.installed.as_ref().map_or(PACKAGED, |installed| installed.version)
}

fn update(disk: &dyn Disk, version: &str, boot_id: &str) -> Result<(), Box<dyn std::error::Error>> {
    bring(disk, version)?;
    switch(disk)?;
    launch(disk, PACKAGED, &boot(boot_id, 1), TRIAL_S);
    Ok(confirm(disk, version.parse()?)?)
}

#[test]
fn a_release_is_brought_tried_kept_and_gone_back_from() {
    let disk = SimDisk::default();
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 0), TRIAL_S)), PACKAGED);
    let installed = bring(&disk, "0.2.0").unwrap();
    assert_eq!((installed.slot, disk.bytes("vaka-a")), (Slot::A, program("0.2.0")));
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 0), TRIAL_S)), PACKAGED, "staged is not begun");
    assert_eq!(switch(&disk).unwrap(), Some(Version(0, 2, 0)));
    let start = launch(&disk, PACKAGED, &boot("1", 100), TRIAL_S);
    assert_eq!((version_of(&start), start.trial_ms), (Version(0, 2, 0), Some(TRIAL_S * 1_000)));
    confirm(&disk, Version(0, 2, 0)).unwrap();
    update(&disk, "0.3.0", "1").unwrap();
    let state = State::load(&disk).unwrap();
    assert_eq!(state.good.as_ref().map(|good| (good.slot, good.version)), Some((Slot::B, Version(0, 3, 0))));
    assert_eq!(state.kept().map(|kept| kept.version), Some(Version(0, 2, 0)));
    assert!(go_back(&disk, Version(0, 3, 0), "by hand").unwrap());
    assert_eq!(launch(&disk, PACKAGED, &boot("1", 0), TRIAL_S).trial_ms, None);
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 0), TRIAL_S)), Version(0, 2, 0));
    assert!(go_back(&disk, Version(0, 2, 0), "by hand").unwrap());
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 0), TRIAL_S)), PACKAGED);
    assert!(!go_back(&disk, PACKAGED, "by hand").unwrap(), "there is nothing before the packaged one");
    let failed: Vec<Version> = State::load(&disk).unwrap().failed.iter().map(|failed| failed.version).collect();
    assert_eq!(failed, [Version(0, 3, 0), Version(0, 2, 0)]);
}

#[test]
fn one_that_ends_before_its_proof_is_started_three_times_and_then_never_again() {
    let disk = SimDisk::default();
    update(&disk, "0.2.0", "1").unwrap();
    bring(&disk, "0.3.0").unwrap();
    switch(&disk).unwrap();
    for (uptime_s, left_s) in [(1_000, TRIAL_S), (1_003, TRIAL_S - 3), (1_010, TRIAL_S - 10)] {
        let start = launch(&disk, PACKAGED, &boot("1", uptime_s), TRIAL_S);
        assert_eq!((version_of(&start), start.trial_ms), (Version(0, 3, 0), Some(left_s * 1_000)));
    }
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 1_011), TRIAL_S)), Version(0, 2, 0));
    let state = State::load(&disk).unwrap();
    assert!(state.other.is_none() && !state.failed[0].told && state.failed[0].why.contains("3 times"));
    told(&disk).unwrap();
    assert!(State::load(&disk).unwrap().failed[0].told);
}

#[test]
fn one_that_does_not_prove_itself_is_given_up_after_its_time_and_power_cuts_are_tries() {
    let disk = SimDisk::default();
    bring(&disk, "0.2.0").unwrap();
    switch(&disk).unwrap();
    assert!(launch(&disk, PACKAGED, &boot("1", 1_000), TRIAL_S).trial_ms.is_some());
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 1_000 + TRIAL_S), TRIAL_S)), PACKAGED);
    assert!(State::load(&disk).unwrap().failed[0].why.contains("no test alarm"));

    bring(&disk, "0.3.0").unwrap();
    switch(&disk).unwrap();
    for id in ["2", "3", "4"] {
        // Each time the machine is switched on it has its whole time again.
        assert_eq!(launch(&disk, PACKAGED, &boot(id, 20), TRIAL_S).trial_ms, Some(TRIAL_S * 1_000));
    }
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("5", 20), TRIAL_S)), PACKAGED);
}

#[test]
fn bytes_that_rot_are_never_started() {
    let disk = SimDisk::default();
    update(&disk, "0.2.0", "1").unwrap();
    update(&disk, "0.3.0", "1").unwrap();
    disk.write("vaka-b", b"rotten").unwrap();
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 1), TRIAL_S)), Version(0, 2, 0), "the kept one");
    disk.write("vaka-a", b"rotten").unwrap();
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 1), TRIAL_S)), PACKAGED);
    disk.write("current", b"{ rot").unwrap();
    assert_eq!(version_of(&launch(&disk, PACKAGED, &boot("1", 1), TRIAL_S)), PACKAGED);
    assert!(stage(&disk, &manifest("0.4.0"), &sum(b"x")).is_err(), "nothing is built on what cannot be read");
}

#[test]
fn a_download_with_other_bytes_is_thrown_away() {
    let disk = SimDisk::default();
    let name = download(&sum(b"signed"));
    disk.append(&name, b"other!").unwrap();
    assert!(matches!(stage(&disk, &manifest("0.2.0"), &sum(b"signed")), Err(StageError::Damaged { .. })));
    assert_eq!(disk.length(&name).unwrap(), 0);
    assert_eq!(State::load(&disk).unwrap(), State::default());
}

#[test]
fn a_newer_package_goes_before_what_was_updated() {
    let disk = SimDisk::default();
    update(&disk, "0.2.0", "1").unwrap();
    assert_eq!(launch(&disk, Version(0, 2, 0), &boot("1", 1), TRIAL_S).installed, None);
    assert_eq!(
        launch(&disk, Version(0, 1, 9), &boot("1", 1), TRIAL_S).installed.map(|i| i.version),
        Some(Version(0, 2, 0))
    );
}

/// The power goes before operation after operation of an update from 0.2.0 to 0.3.0; whatever the disk kept of what was not synced,
/// a whole program starts, and in the end the update is made.
#[test]
fn a_power_cut_at_every_operation_leaves_a_box_that_starts() {
    let old = Version(0, 2, 0);
    let new = Version(0, 3, 0);
    let (mut cuts, mut both) = (0, std::collections::BTreeSet::new());
    for cut_at in 0.. {
        let disk = SimDisk::default();
        update(&disk, "0.2.0", "1").unwrap();
        update(&disk, "0.2.1", "1").unwrap();
        go_back(&disk, Version(0, 2, 1), "by hand").unwrap();
        disk.0.borrow_mut().operations = 0;
        disk.0.borrow_mut().cut_at = Some(cut_at);
        let began = bring(&disk, "0.3.0").is_ok() && switch(&disk).is_ok();
        let proven = began && {
            launch(&disk, PACKAGED, &boot("1", 1), TRIAL_S);
            confirm(&disk, new).is_ok()
        };
        for kept_names in 0..=disk.changes() {
            for kept in [0, 3, 8] {
                cuts += 1;
                let after = disk.after_the_cut(kept_names, kept);
                let started = launch(&after, PACKAGED, &boot("2", 5), TRIAL_S);
                let version = version_of(&started);
                assert!(version == old || version == new, "cut {cut_at}: {version}");
                let installed = started.installed.expect("neither is the packaged one");
                assert_eq!(after.bytes(installed.slot.name()), program(&version.to_string()), "cut {cut_at}");
                assert!(
                    !proven || (version == new && started.trial_ms.is_none()),
                    "cut {cut_at}: what was proven stays"
                );
                both.insert(version);
                // The power is back, and everything goes on.
                if version == old {
                    update(&after, "0.3.0", "2").unwrap_or_else(|e| panic!("cut {cut_at}: {e}"));
                }
                confirm(&after, new).unwrap();
                assert_eq!(version_of(&launch(&after, PACKAGED, &boot("3", 5), TRIAL_S)), new, "cut {cut_at}");
            }
        }
        if proven {
            break;
        }
    }
    assert!(cuts > 100 && both.len() == 2, "{cuts} cuts, {both:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Bring(u32),
    Switch,
    Launch(u8),
    Confirm,
    Back,
    Cut(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (2_u32..9).prop_map(Step::Bring),
        Just(Step::Switch),
        (0_u8..250).prop_map(Step::Launch),
        Just(Step::Confirm),
        Just(Step::Back),
        (0_usize..6, 0_usize..9).prop_map(|(names, kept)| Step::Cut(names, kept)),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    /// Whatever is done in whatever order, with the power gone at any operation: what starts is whole.
    #[test]
    fn what_starts_is_whole(steps in steps(), cut_at in proptest::option::of(0_u32..200)) {
        let mut disk = SimDisk::default();
        disk.0.borrow_mut().cut_at = cut_at;
        let (mut running, mut boots, mut uptime_s) = (PACKAGED, 0, 0);
        for step in steps {
            match step {
                Step::Bring(minor) if Version(0, minor, 0) > running => drop(bring(&disk, &format!("0.{minor}.0"))),
                Step::Bring(_) => {}
                Step::Switch => drop(switch(&disk)),
                Step::Launch(s) => uptime_s += u64::from(s),
                Step::Confirm => drop(confirm(&disk, running)),
                Step::Back => drop(go_back(&disk, running, "by hand")),
                Step::Cut(names, kept) => {
                    disk = disk.after_the_cut(names, kept);
                    (boots, uptime_s) = (boots + 1, 0);
                }
            }
            // A machine without power starts nothing.
            let start = launch(&disk, PACKAGED, &boot(&boots.to_string(), uptime_s), TRIAL_S);
            running = version_of(&start);
            if let Some(installed) = &start.installed {
                prop_assert_eq!(disk.bytes(installed.slot.name()), program(&running.to_string()));
                prop_assert_eq!(&installed.formats, &FORMATS);
            }
            if let Ok(state) = State::load(&disk) {
                let slots = [state.good.as_ref(), state.other.as_ref().map(|(other, _)| other)];
                let slots: Vec<_> = slots.into_iter().flatten().map(|installed| installed.slot).collect();
                prop_assert!(slots.len() < 2 || slots[0] != slots[1], "{slots:?}");
            }
        }
    }
}
