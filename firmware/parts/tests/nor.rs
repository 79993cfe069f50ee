//! The model of NOR flash: ones to zeros, and what a cut leaves behind.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use vaka_parts::nor::{Nor, NorError, PAGE_BYTES};

fn two_pages() -> Nor<Vec<u8>> {
    Nor::blank(vec![0; 2 * PAGE_BYTES])
}

#[test]
fn a_write_only_clears_bits_and_an_erase_sets_the_page() {
    let mut nor = two_pages();
    nor.write(4, &[0x0f; 8]).expect("it writes");
    nor.write(8, &[0xf1; 4]).expect("it writes");
    assert_eq!(nor.bytes()[..16], [[0xff; 4], [0x0f; 4], [0x01; 4], [0xff; 4]].concat());
    assert_eq!(nor.counts().rewritten_words, 1);
    nor.write(PAGE_BYTES as u32, &[0; 4]).expect("it writes");
    nor.erase(0, PAGE_BYTES as u32).expect("it erases");
    assert!(nor.bytes()[..PAGE_BYTES].iter().all(|byte| *byte == 0xff));
    assert_eq!(nor.bytes()[PAGE_BYTES..][..4], [0; 4]);
    assert_eq!((nor.wear(0), nor.wear(1), nor.counts().writes, nor.counts().written_bytes), (1, 0, 3, 16));
    assert!(matches!(nor.write(2, &[0; 4]), Err(NorError::Asked(_))));
    assert!(matches!(nor.write(0, &[0; 3]), Err(NorError::Asked(_))));
    assert!(matches!(nor.erase(0, 100), Err(NorError::Asked(_))));
    assert!(matches!(nor.read(2 * PAGE_BYTES as u32, &mut [0]), Err(NorError::Asked(_))));
}

#[test]
fn a_torn_write_has_done_a_prefix_and_some_bits_of_the_next_word() {
    let (mut none, mut some_bits) = (false, false);
    for chance in 0..200 {
        let mut nor = two_pages();
        nor.cut_after(1, chance);
        nor.write(0, &[0; 4]).expect("the one before");
        assert_eq!(nor.write(16, &[0; 32]), Err(NorError::Off));
        assert_eq!(nor.read(0, &mut [0]), Err(NorError::Off));
        assert_eq!(nor.erase(0, PAGE_BYTES as u32), Err(NorError::Off));
        let words: Vec<&[u8]> = nor.bytes()[16..48].chunks(4).collect();
        let whole = words.iter().take_while(|word| **word == [0; 4]).count();
        assert!(words.iter().skip(whole + 1).all(|word| *word == [0xff; 4]));
        none |= nor.bytes()[16..].iter().all(|byte| *byte == 0xff);
        some_bits |= words.get(whole).is_some_and(|word| **word != [0xff; 4]);
        nor.power_on();
        nor.write(48, &[0; 4]).expect("the power is back");
    }
    assert!(none && some_bits, "both ends occur");
}

#[test]
fn a_torn_erase_leaves_anything_and_often_what_looks_done() {
    let (mut untouched, mut blank_ends) = (false, false);
    for chance in 0..200 {
        let mut nor = two_pages();
        nor.write(0, &[0; PAGE_BYTES]).expect("it writes");
        nor.cut_after(0, chance);
        assert_eq!(nor.erase(0, PAGE_BYTES as u32), Err(NorError::Off));
        let page = &nor.bytes()[..PAGE_BYTES];
        untouched |= page.iter().all(|byte| *byte == 0);
        blank_ends |= page[..4] == [0xff; 4] && page[PAGE_BYTES - 4..] == [0xff; 4] && page.contains(&0);
        assert!(nor.bytes()[PAGE_BYTES..].iter().all(|byte| *byte == 0xff), "the other page is as it was");
    }
    assert!(untouched && blank_ends);
}

#[test]
fn faults_are_silent_where_flash_is_silent() {
    let mut nor = two_pages();
    nor.weaken(5);
    nor.write(4, &[0; 4]).expect("it says that it wrote");
    assert_eq!(nor.bytes()[4..8], [0, 0xff, 0, 0]);
    nor.flip(4, 7);
    assert_eq!(nor.bytes()[4], 0x80);
    nor.wear_out(1);
    nor.write(PAGE_BYTES as u32, &[0; PAGE_BYTES]).expect("it writes");
    nor.erase(PAGE_BYTES as u32, 2 * PAGE_BYTES as u32).expect("it says that it erased");
    assert_eq!((nor.bytes()[PAGE_BYTES], nor.bytes()[2 * PAGE_BYTES - 1]), (0xff, 0));
    nor.fail(true);
    assert_eq!(nor.write(16, &[0; 4]), Err(NorError::Failed));
    nor.read(16, &mut [0]).expect("it still reads");
}
