//! The power goes at every operation of the flash: while a device enrols, and while it renews.

use vaka_device::enrol::{Code, Granted};
use vaka_device::flash::Flash;
use vaka_device::identity::{
    Facts, NotKept, Offer, Which, authority, drop_offer, keep_grant, keep_offer, keep_renewed, next_key, offer, place,
    read, settle, tidy,
};
use vaka_device::keep::VALUE_BYTES_MAX;
use vaka_device::{Fault, Keep};
use vaka_parts::nor::{Nor, PAGE_BYTES};

use crate::gateway::{Gateway, random};

type Part = Nor<Vec<u8>>;

const ADDRESS: [u8; 4] = [10, 0, 2, 2];
/// How each cut leaves its word: all of it, none, or some.
const CHANCES: u64 = 6;

fn an_offer() -> Offer {
    Offer { address: ADDRESS, port: 8884, code: Code::from_random([9; 12]), authority: None }
}

/// A new device to which a technician has given a code. `before`: how much was written already, so that another
/// operation turns the page.
fn offered(before: u8) -> Part {
    let mut flash = Flash::open(Nor::blank(vec![0; 8 * PAGE_BYTES]));
    for value in 0..before {
        flash.write(0x100, &[value; 900]).expect("kept");
    }
    keep_offer(&mut flash, &an_offer()).expect("kept");
    flash.into_part()
}

fn certificate(keep: &mut dyn Keep, of: u32, which: Which) -> Option<Vec<u8>> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    let kept = read(keep, of, which, &mut buffer).expect("it reads")?;
    let facts = Facts::read(kept.certificate).expect("a certificate");
    let key = vaka_device::identity::OwnKey::from_bytes(kept.key).expect("a key");
    assert_eq!(facts.public, key.public(), "a certificate and another's key");
    Some(kept.certificate.to_vec())
}

/// Enrolled, with all that it needs; or not at all.
fn is_enrolled(keep: &mut dyn Keep) -> bool {
    let Some(_) = certificate(keep, 0, Which::Own) else { return false };
    let place = place(keep).expect("where to go");
    assert_eq!((place.id.as_str(), place.address, place.port, &*place.name), ("p1", ADDRESS, 8883, "gw"));
    let mut buffer = [0; VALUE_BYTES_MAX];
    assert_eq!(authority(keep, &mut buffer), Some(&[5; 700][..]), "whom to trust");
    true
}

/// One boot of a device that is not enrolled. Errors are the power's.
fn boot(flash: &mut Flash<Part>, gateway: &mut Gateway, seed: u8) -> Result<(), NotKept> {
    tidy(flash);
    let mut buffer = [0; VALUE_BYTES_MAX];
    if read(flash, 0, Which::Own, &mut buffer)?.is_some() || offer(flash).is_none() {
        return Ok(());
    }
    let key = next_key(flash, &mut random(seed))?;
    match gateway.enrol(&key.request()) {
        Some(certificate) => {
            let granted = Granted { certificate: &certificate, ca: &[5; 700], id: "p1", port: 8883, at: 0 };
            keep_grant(flash, &granted, ADDRESS, "gw")
        }
        None => Ok(drop_offer(flash)?),
    }
}

/// The key that it would ask with next is of none of its certificates.
#[track_caller]
fn asks_with_a_new_key(flash: &mut Flash<Part>) {
    let mut flash = Flash::open(flash.part().clone());
    let next = next_key(&mut flash, &mut random(50)).expect("kept").public();
    for which in [Which::Own, Which::Renewed] {
        if let Some(certificate) = certificate(&mut flash, 0, which) {
            assert_ne!(Facts::read(&certificate).expect("a certificate").public, next, "asked with again");
        }
    }
}

fn with_power(flash: Flash<Part>) -> Flash<Part> {
    let mut part = flash.into_part();
    part.power_on();
    Flash::open(part)
}

#[test]
fn a_cut_leaves_a_device_enrolled_or_able_to_enrol_with_the_same_code() {
    let mut cuts = 0;
    for cut in 0.. {
        let mut was_cut = false;
        for chance in 0..CHANCES {
            let (mut part, mut gateway) = (offered(chance as u8), Gateway::new());
            part.cut_after(cut, chance);
            let mut flash = Flash::open(part);
            let ended = boot(&mut flash, &mut gateway, 1);
            if !flash.part().is_off() {
                ended.expect("it has power");
                assert!(is_enrolled(&mut flash));
                continue;
            }
            was_cut = true;
            // The boot after it is cut as well, early or late.
            let mut part = with_power(flash).into_part();
            part.cut_after(cut % 7, chance + 1);
            let mut flash = Flash::open(part);
            let _ = boot(&mut flash, &mut gateway, 2);
            let mut flash = with_power(flash);
            assert!(is_enrolled(&mut flash) || offer(&mut flash) == Some(an_offer()), "neither, cut at {cut}");
            asks_with_a_new_key(&mut flash);
            boot(&mut flash, &mut gateway, 3).expect("it has power");
            assert!(is_enrolled(&mut flash), "cut at {cut}: the code is lost");
            tidy(&mut flash);
            assert_eq!(offer(&mut flash), None, "a code that is used stays");
            let own = certificate(&mut flash, 0, Which::Own).expect("enrolled");
            assert!(gateway.connects(&own));
        }
        cuts = cut;
        if !was_cut {
            break;
        }
    }
    println!("cut at {cuts} operations, {CHANCES} ways each");
    assert!(cuts >= 6, "an enrolment that writes nothing");
}

/// A device that was enrolled.
fn enrolled(gateway: &mut Gateway, before: u8) -> Part {
    let mut flash = Flash::open(offered(before));
    boot(&mut flash, gateway, 1).expect("it has power");
    assert!(is_enrolled(&mut flash));
    flash.into_part()
}

/// Connects with what it has, the newest first, and asks for the next certificate unless it has come with it just now.
/// Returns whether it was let in. Errors are the power's.
fn connect(flash: &mut Flash<Part>, gateway: &mut Gateway, seed: u8) -> Result<bool, NotKept> {
    let mut buffer = [0; VALUE_BYTES_MAX];
    for which in [Which::Renewed, Which::Own] {
        let Some(kept) = read(flash, 0, which, &mut buffer)? else { continue };
        let certificate = kept.certificate.to_vec();
        if !gateway.connects(&certificate) {
            continue;
        }
        if which == Which::Renewed {
            settle(flash)?;
        } else {
            let key = next_key(flash, &mut random(seed))?;
            let renewed = gateway.renew(&certificate, &key.request());
            assert!(keep_renewed(flash, 0, &renewed)?);
        }
        return Ok(true);
    }
    Ok(false)
}

#[test]
fn a_cut_leaves_the_old_certificate_or_the_new_one_and_either_opens_the_door() {
    let mut cuts = 0;
    for cut in 0.. {
        let mut was_cut = false;
        for chance in 0..CHANCES {
            let mut gateway = Gateway::new();
            let mut part = enrolled(&mut gateway, chance as u8);
            let first = certificate(&mut Flash::open(part.clone()), 0, Which::Own);
            part.cut_after(cut, chance);
            let mut flash = Flash::open(part);
            let mut twice = || -> Result<bool, NotKept> {
                Ok(connect(&mut flash, &mut gateway, 11)? && connect(&mut flash, &mut gateway, 12)?)
            };
            let ended = twice();
            if !flash.part().is_off() {
                assert_eq!(ended, Ok(true));
                assert_ne!(certificate(&mut flash, 0, Which::Own), first, "renewed");
                assert_eq!(certificate(&mut flash, 0, Which::Renewed), None);
                continue;
            }
            was_cut = true;
            let mut flash = with_power(flash);
            asks_with_a_new_key(&mut flash);
            for seed in 13..16 {
                assert_eq!(connect(&mut flash, &mut gateway, seed), Ok(true), "turned away, cut at {cut}, {chance}");
            }
            assert_ne!(certificate(&mut flash, 0, Which::Own), first, "renewed");
            assert!(is_enrolled(&mut flash));
        }
        cuts = cut;
        if !was_cut {
            break;
        }
    }
    println!("cut at {cuts} operations, {CHANCES} ways each");
    assert!(cuts >= 5, "a renewal that writes nothing");
}

#[test]
fn a_certificate_that_is_not_of_its_key_is_not_kept() {
    let mut gateway = Gateway::new();
    let mut flash = Flash::open(enrolled(&mut gateway, 0));
    let key = next_key(&mut flash, &mut random(20)).expect("kept");
    let other = vaka_device::identity::OwnKey::make(&mut random(30)).expect("a key");
    let own = certificate(&mut flash, 0, Which::Own).expect("enrolled");
    let others = gateway.renew(&own, &other.request());
    assert_eq!(keep_renewed(&mut flash, 0, &others), Err(NotKept::OtherKey));
    assert_eq!(keep_renewed(&mut flash, 0, b"no certificate"), Err(NotKept::Useless));
    assert_eq!(certificate(&mut flash, 0, Which::Renewed), None);
    let renewed = gateway.renew(&own, &key.request());
    assert_eq!(keep_renewed(&mut flash, 0, &renewed), Ok(true));
    assert_eq!(keep_renewed(&mut flash, 0, &renewed), Ok(false), "sent once more");
    // Its key is not asked with again.
    assert_ne!(next_key(&mut flash, &mut random(40)).expect("kept").public(), key.public());

    let granted = |certificate| Granted { certificate, ca: &[5; 700], id: "p1", port: 8883, at: 0 };
    assert_eq!(keep_grant(&mut flash, &granted(&others), ADDRESS, "gw"), Err(NotKept::OtherKey));
    let long = [0; 2_000];
    assert_eq!(keep_grant(&mut flash, &granted(&long), ADDRESS, "gw"), Err(NotKept::Useless));
}

#[test]
fn what_was_kept_beside_other_writing_of_a_technician_is_not_this_devices() {
    let mut gateway = Gateway::new();
    let mut flash = Flash::open(enrolled(&mut gateway, 0));
    let own = certificate(&mut flash, 0, Which::Own).expect("enrolled");
    assert_eq!(certificate(&mut flash, 7, Which::Own), None);
    // One that came by file renews, and is written anew later.
    let key = next_key(&mut flash, &mut random(20)).expect("kept");
    let renewed = gateway.renew(&own, &key.request());
    assert_eq!(keep_renewed(&mut flash, 7, &renewed), Ok(true));
    settle(&mut flash).expect("kept");
    assert_eq!(certificate(&mut flash, 7, Which::Own), Some(renewed));
    assert_eq!(certificate(&mut flash, 0, Which::Own), None);
    assert_eq!(certificate(&mut flash, 8, Which::Own), None);
}

#[test]
fn nobody_hears_of_a_key_that_the_flash_did_not_keep() {
    let mut flash = Flash::open(offered(0));
    flash.part().fail(true);
    assert_eq!(next_key(&mut flash, &mut random(1)).expect_err("not kept"), Fault::Flash);
}
