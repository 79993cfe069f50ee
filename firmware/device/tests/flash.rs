//! The flash under [`Keep`]: old or new after any cut, never none, never another.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vaka_device::flash::{Flash, KEYS_MAX, PAGES_MIN, RESERVED_BYTES};
use vaka_device::keep::{EVENTS, VALUE_BYTES_MAX};
use vaka_device::{Fault, Keep, Key};
use vaka_parts::nor::{Nor, PAGE_BYTES};

type Part<const WORD: usize> = Nor<Vec<u8>, WORD>;
type Kept = BTreeMap<Key, Vec<u8>>;

fn part<const WORD: usize>(pages: usize) -> Part<WORD> {
    Nor::blank(vec![0; pages * PAGE_BYTES])
}

#[derive(Debug, Clone)]
enum Act {
    Write(Key, Vec<u8>),
    Remove(Key),
    Rest,
    Reboot,
}

/// Few keys and long values: much is superseded, and pages turn over often.
fn acts(count: usize) -> impl Strategy<Value = Vec<Act>> {
    let value = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..40),
        2 => prop::collection::vec(any::<u8>(), 200..600),
        1 => prop::collection::vec(any::<u8>(), VALUE_BYTES_MAX - 3..=VALUE_BYTES_MAX),
    ];
    let act = prop_oneof![
        8 => (0u32..6, value).prop_map(|(key, value)| Act::Write(key, value)),
        2 => (0u32..6).prop_map(Act::Remove),
        1 => Just(Act::Rest),
        1 => Just(Act::Reboot),
    ];
    prop::collection::vec(act, 0..count)
}

fn all(keep: &mut dyn Keep) -> Kept {
    let mut kept = Kept::new();
    let each = keep.each(0..Key::MAX, &mut |key, value| {
        assert!(kept.insert(key, value.to_vec()).is_none(), "{key} twice");
    });
    each.expect("everything can be read");
    let mut buffer = [0; VALUE_BYTES_MAX];
    for key in 0..8 {
        assert_eq!(keep.read(key, &mut buffer).expect("it reads"), kept.get(&key).map(Vec::as_slice), "key {key}");
    }
    kept
}

/// Does it, to the flash and to what is expected of it. A full flash says so, and changes nothing.
fn act<const WORD: usize>(
    flash: Flash<Part<WORD>>,
    act: &Act,
    kept: &mut Kept,
) -> (Flash<Part<WORD>>, Result<(), Fault>) {
    let mut flash = flash;
    let result = match act {
        Act::Write(key, value) => flash.write(*key, value).map(|()| drop(kept.insert(*key, value.clone()))),
        Act::Remove(key) => flash.remove(*key).map(|()| drop(kept.remove(key))),
        Act::Rest => {
            flash.rest();
            Ok(())
        }
        Act::Reboot => {
            flash = Flash::open(flash.into_part());
            Ok(())
        }
    };
    (flash, result)
}

/// What would be there had this act been done.
fn after(kept: &Kept, act: &Act) -> Kept {
    let mut after = kept.clone();
    match act {
        Act::Write(key, value) => drop(after.insert(*key, value.clone())),
        Act::Remove(key) => drop(after.remove(key)),
        Act::Rest | Act::Reboot => {}
    }
    after
}

/// Runs the acts with the power going at that operation; `None` once the acts have fewer operations.
fn run_cut<const WORD: usize>(
    blank: &Part<WORD>,
    before: &Kept,
    acts: &[Act],
    cut: u64,
    chance: u64,
) -> Option<(Flash<Part<WORD>>, Kept)> {
    let mut blank = blank.clone();
    blank.cut_after(cut, chance);
    let (mut flash, mut kept) = (Flash::open(blank), before.clone());
    let mut possible = None;
    for one in acts {
        let new = after(&kept, one);
        let (next, result) = act(flash, one, &mut kept);
        flash = next;
        if flash.part().is_off() {
            possible = Some(new);
            break;
        }
        assert!(matches!(result, Ok(()) | Err(Fault::Full)), "{one:?}: {result:?}");
    }
    let new = possible?;
    let mut part = flash.into_part();
    part.power_on();
    let mut flash = Flash::open(part);
    let found = all(&mut flash);
    assert!(found == kept || found == new, "cut at {cut}, {chance}: {}", difference(&found, &kept));
    Some((flash, found))
}

fn difference(found: &Kept, kept: &Kept) -> String {
    let short = |kept: &Kept| kept.iter().map(|(key, value)| (*key, value.len())).collect::<Vec<_>>();
    format!("found {:?}, expected {:?}", short(found), short(kept))
}

/// A cut at every operation of the acts, and at every operation of what follows the first cut.
fn cut_everywhere<const WORD: usize>(blank: &Part<WORD>, before: &Kept, acts: &[Act], chance: u64) {
    for cut in 0.. {
        let Some((flash, found)) = run_cut(blank, before, acts, cut, chance.wrapping_add(cut)) else { break };
        // It goes on as if nothing had been; and the boot after the cut may be cut itself.
        let part = flash.into_part();
        let mut kept = found.clone();
        let mut flash = Flash::open(part.clone());
        for one in acts {
            let (next, result) = act(flash, one, &mut kept);
            flash = next;
            assert!(matches!(result, Ok(()) | Err(Fault::Full)), "after the cut at {cut}: {one:?}: {result:?}");
        }
        assert_eq!(all(&mut flash), kept);
        assert_eq!(flash.part().counts().rewritten_words, 0, "a word was written twice");
        for again in 0..6 {
            if run_cut(&part, &found, acts, again, chance ^ cut).is_none() {
                break;
            }
        }
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn a_cut_at_every_operation_leaves_old_or_new(acts in acts(40), chance: u64) {
        cut_everywhere(&part::<4>(PAGES_MIN), &Kept::new(), &acts, chance);
    }

    #[test]
    fn whatever_the_size_of_a_word(acts in acts(25), chance: u64) {
        cut_everywhere(&part::<1>(PAGES_MIN), &Kept::new(), &acts, chance);
        cut_everywhere(&part::<8>(PAGES_MIN + 1), &Kept::new(), &acts, chance);
    }

    #[test]
    fn cut_after_cut_after_cut(acts in prop::collection::vec((acts(12), 0u64..25), 0..60), chance: u64) {
        let (mut part, mut kept) = (part::<4>(PAGES_MIN + 1), Kept::new());
        for (round, (acts, cut)) in acts.iter().enumerate() {
            match run_cut(&part, &kept, acts, *cut, chance.wrapping_add(round as u64)) {
                Some((flash, found)) => (part, kept) = (flash.into_part(), found),
                None => {
                    let mut flash = Flash::open(part);
                    for one in acts {
                        flash = act(flash, one, &mut kept).0;
                    }
                    part = flash.into_part();
                }
            }
        }
        let mut flash = Flash::open(part);
        prop_assert_eq!(all(&mut flash), kept);
        prop_assert_eq!(flash.wrong().damaged, 0, "what was torn is not damage");
    }

    #[test]
    fn a_cut_while_a_page_turns_out_to_be_worn_out(
        acts in acts(16), worn_out in 0usize..PAGES_MIN + 1, fill in 3u32..6, chance: u64
    ) {
        let (mut flash, mut kept) = (Flash::open(part::<4>(PAGES_MIN + 1)), Kept::new());
        // Long lives in every page: much is to be moved.
        for round in 0..6u8 {
            for key in 10..10 + fill {
                flash = act(flash, &Act::Write(key, vec![round; 900]), &mut kept).0;
            }
        }
        let mut part = flash.into_part();
        part.wear_out(worn_out);
        cut_everywhere(&part, &kept, &acts, chance);
    }

    #[test]
    fn a_turned_bit_anywhere_changes_nothing(acts in acts(40), place: prop::sample::Index, bit in 0u8..8) {
        let (mut flash, mut kept) = (Flash::open(part::<4>(PAGES_MIN)), Kept::new());
        for one in &acts {
            flash = act(flash, one, &mut kept).0;
        }
        let mut part = flash.into_part();
        part.flip(place.index(PAGES_MIN * PAGE_BYTES) as u32, bit);
        let mut flash = Flash::open(part);
        prop_assert_eq!(all(&mut flash), kept.clone());
        for one in &acts {
            let (next, result) = act(flash, one, &mut kept);
            flash = next;
            prop_assert!(matches!(result, Ok(()) | Err(Fault::Full)), "{:?}: {:?}", one, result);
        }
        prop_assert_eq!(all(&mut flash), kept);
    }

    #[test]
    fn a_page_that_no_longer_erases_and_a_byte_that_no_longer_writes_cost_nothing_but_room(
        acts in acts(60), worn_out in 0usize..6, at in 0u32..4_096, from in 0usize..60
    ) {
        let (mut flash, mut kept) = (Flash::open(part::<4>(6)), Kept::new());
        for (count, one) in acts.iter().chain(&acts).enumerate() {
            if count == from {
                flash.part().wear_out(worn_out);
                flash.part().weaken(at + ((worn_out as u32 + 3) % 6) * PAGE_BYTES as u32);
            }
            let (next, result) = act(flash, one, &mut kept);
            flash = next;
            prop_assert!(matches!(result, Ok(()) | Err(Fault::Full)), "{:?}: {:?}", one, result);
        }
        prop_assert_eq!(all(&mut flash), kept);
    }
}

#[test]
fn a_full_flash_says_so_and_still_lets_go_counts_and_changes() {
    let mut flash = Flash::open(part::<4>(6));
    let value = [7; 500];
    let mut kept = 0;
    while flash.write(EVENTS.start + kept, &value).is_ok() {
        kept += 1;
    }
    assert_eq!(flash.write(EVENTS.start + kept, &value), Err(Fault::Full));
    // Everything else still has room.
    for key in 0..RESERVED_BYTES as u32 / 600 / 2 {
        flash.write(key, &value).expect("room is reserved");
    }
    for round in 0..200u32 {
        flash.write(EVENTS.start + round % kept, &[round as u8; 500]).expect("changed");
        flash.write(1, &round.to_le_bytes()).expect("counted");
        flash = Flash::open(flash.into_part());
    }
    flash.remove(EVENTS.start).expect("let go");
    flash.remove(EVENTS.start + 1).expect("let go");
    flash.write(EVENTS.start + kept, &value).expect("there is room again");
    assert_eq!(flash.write(1, &[0; VALUE_BYTES_MAX + 1]), Err(Fault::TooLong));
}

#[test]
fn as_many_values_as_are_promised() {
    let mut flash = Flash::open(part::<4>(16));
    for key in 0..KEYS_MAX as u32 {
        flash.write(key, &[1]).expect("one of the promised");
    }
    assert_eq!(flash.write(KEYS_MAX as u32, &[1]), Err(Fault::Full));
    flash.write(0, &[2]).expect("changed");
    flash.remove(1).expect("let go");
    flash.write(KEYS_MAX as u32, &[1]).expect("there is room again");
}

#[test]
fn a_flash_that_fails_says_so_and_works_again_when_it_does() {
    let mut flash = Flash::open(part::<4>(PAGES_MIN));
    flash.write(1, b"before").expect("it writes");
    flash.part().fail(true);
    let mut buffer = [0; VALUE_BYTES_MAX];
    for _ in 0..50 {
        assert_eq!(flash.write(1, b"after"), Err(Fault::Flash));
        assert_eq!(flash.remove(1), Err(Fault::Flash));
        assert_eq!(flash.read(1, &mut buffer), Ok(Some(&b"before"[..])));
    }
    flash.part().fail(false);
    flash.write(1, b"after").expect("it writes again");
    assert_eq!(flash.wrong(), Default::default());
    let mut flash = Flash::open(flash.into_part());
    assert_eq!(flash.read(1, &mut buffer), Ok(Some(&b"after"[..])));
}

#[test]
fn what_was_written_is_what_is_read_wherever_a_byte_no_longer_writes() {
    let mut buffer = [0; VALUE_BYTES_MAX];
    for at in (0..2 * PAGE_BYTES as u32).step_by(41) {
        let mut flash = Flash::open(part::<4>(PAGES_MIN + 1));
        flash.part().weaken(at);
        for round in 0..30u8 {
            let value = vec![round; 500];
            flash.write(u32::from(round % 3), &value).expect("it goes elsewhere");
            assert_eq!(flash.read(u32::from(round % 3), &mut buffer), Ok(Some(&value[..])), "byte {at}");
        }
        let mut flash = Flash::open(flash.into_part());
        for key in 0..3 {
            let value = vec![27 + key as u8; 500];
            assert_eq!(flash.read(key, &mut buffer), Ok(Some(&value[..])), "byte {at} after a boot");
        }
    }
}

#[test]
fn a_page_that_no_longer_erases_is_left_out_from_then_on() {
    let mut flash = Flash::open(part::<4>(6));
    let write = |flash: &mut Flash<Part<4>>, rounds: u32| {
        for round in 0..rounds {
            flash.write(round % 4, &[round as u8; 700]).expect("it writes");
        }
    };
    write(&mut flash, 200);
    flash.part().wear_out(2);
    write(&mut flash, 200);
    assert_eq!(flash.wrong().worn_out, 1);
    let wear = flash.part().wear(2);
    let mut flash = Flash::open(flash.into_part());
    write(&mut flash, 200);
    assert_eq!((flash.part().wear(2), flash.wrong().worn_out), (wear, 1), "a boot knows it too");
}

#[test]
fn a_page_that_does_not_erase_is_not_tried_at_each_rest() {
    const PAGES: usize = 6;
    let mut flash = Flash::open(part::<4>(PAGES));
    // All pages were written to; five of these fill one, and the newest is more than half full.
    for round in 0..203u8 {
        flash.write(1, &[round; 700]).expect("it writes");
    }
    (0..PAGES).for_each(|page| flash.part().wear_out(page));
    let before = flash.part().counts().erases;
    (0..50).for_each(|_| flash.rest());
    let tried = flash.part().counts().erases - before;
    assert!((1..PAGES as u64).contains(&tried), "each spare page once, not {tried} times");
}

#[test]
fn what_is_damaged_beyond_mending_is_told_once_and_never_an_older_value() {
    let mut flash = Flash::open(part::<4>(PAGES_MIN));
    for value in [b"old", b"new"] {
        flash.write(1, value).expect("it writes");
    }
    flash.write(2, b"other").expect("it writes");
    let mut part = flash.into_part();
    let at = part.bytes().windows(3).position(|bytes| bytes == b"new").expect("it is there") as u32;
    part.flip(at, 0);
    part.flip(at + 1, 5);
    let mut flash = Flash::open(part);
    let mut buffer = [0; VALUE_BYTES_MAX];
    assert_eq!(flash.read(1, &mut buffer), Err(Fault::Damaged));
    assert_eq!(flash.wrong().damaged, 1);
    // Its page is moved from; it stays what it is.
    for round in 0..2_000u32 {
        flash.write(3, &round.to_le_bytes()).expect("it writes");
    }
    assert_eq!(flash.read(1, &mut buffer), Err(Fault::Damaged));
    let mut found = Vec::new();
    assert_eq!(flash.each(0..3, &mut |key, value| found.push((key, value.to_vec()))), Err(Fault::Damaged));
    assert_eq!(found, [(2, b"other".to_vec())]);
    flash.each(0..3, &mut |_, _| {}).expect("told once");
    let mut flash = Flash::open(flash.into_part());
    assert_eq!(flash.read(1, &mut buffer), Ok(None));
}

#[test]
fn thousands_of_cycles_and_what_they_cost() {
    let mut flash = Flash::open(part::<4>(16));
    let message = [0x5a; 90];
    flash.write(1, &1u64.to_le_bytes()).expect("the boot is counted");
    let start = flash.part().counts();
    let events = 20_000;
    for event in 0..events {
        let key = EVENTS.start + event;
        flash.write(key, &message).expect("it writes");
        flash.remove(key).expect("it is acknowledged");
    }
    let end = flash.part().counts();
    let (erases, bytes) = (end.erases - start.erases, end.written_bytes - start.written_bytes);
    let most = (0..16).map(|page| flash.part().wear(page)).max().expect("pages");
    let least = (0..16).map(|page| flash.part().wear(page)).min().expect("pages");
    let read = {
        flash = Flash::open(flash.into_part());
        flash.part().counts().read_bytes - end.read_bytes
    };
    let per = |count: u64| count as f64 / f64::from(events);
    let years = 100_000.0 / (f64::from(most) / f64::from(events) * 50.0 * 365.25);
    println!(
        "an event of 90 bytes kept and acknowledged, 64 KiB: {} writes, {} bytes",
        per(end.writes - start.writes),
        per(bytes)
    );
    println!("per 1,000 events: {} erases; the pages' wear lies between {least} and {most}", per(erases) * 1_000.0);
    println!("at 50 events a day and 100,000 erases a page: {years:.0} years; a boot reads {read} bytes");
    assert!(most - least <= 1, "wear is spread");
    assert!(erases * 3_900 < bytes, "no page is erased before it is full");
}
