//! Prints what sealing one record costs, in nanoseconds: `cargo run -p vaka-seal --example seal_cost`.

use std::time::Instant;

use vaka_seal::{HOME_ID, Place, Ring};

const RECORDS: u32 = 200_000;
/// A usual event's body, in bytes.
const BODY_BYTES: usize = 160;

fn main() {
    let home = std::env::temp_dir().join(format!("vaka-seal-cost-{}", std::process::id()));
    std::fs::create_dir_all(home.join("journal")).expect("a folder");
    let ring = Ring::open_or_make(&home.join("journal")).expect("keys");
    let body = [0x5a; BODY_BYTES];
    let mut bytes = Vec::with_capacity(2 * BODY_BYTES);
    let begun = Instant::now();
    for seq in 0..u64::from(RECORDS) {
        bytes.clear();
        bytes.extend_from_slice(&body);
        assert_eq!(ring.seal(HOME_ID, Place { seq, kind: 1 }, &mut bytes, 0), HOME_ID);
    }
    println!("{} ns per record of {BODY_BYTES} bytes", begun.elapsed().as_nanos() / u128::from(RECORDS));
    std::fs::remove_dir_all(&home).expect("removed");
}
