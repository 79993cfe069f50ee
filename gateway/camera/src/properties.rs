//! What holds for any bytes: no parser panics, takes more than its bound, or reads differently when bytes come in other pieces.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fmp4::Track;
use crate::head::Head;
use crate::mjpeg::{Bad, Parts, boundary};
use crate::onvif::xml::Node;
use crate::reference::{POINTS, Reference};
use crate::still;

const ROOM: &[u8] = include_bytes!("../tests/data/room-1.jpg");

/// All parts of a stream that comes in these pieces, and why it ended.
fn parts(pieces: &[&[u8]], max: usize) -> (Vec<Vec<u8>>, Option<Bad>) {
    let mut reader = Parts::new("frame", max);
    let mut read = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(part)) => read.push(part),
                Ok(None) => break,
                Err(bad) => return (read, Some(bad)),
            }
        }
    }
    (read, None)
}

/// Streams that are nearly MJPEG.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"--frame".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Content-Length: 99999999999999999999\r\n".to_vec()),
        Just(b"Content-Length: 0\r\n".to_vec()),
        Just(b"hello".to_vec()),
        vec(any::<u8>(), 0..20),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

/// XML, or nearly.
fn documents() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("<a>"),
        Just("</a>"),
        Just("<b c=\"d\">"),
        Just("</b>"),
        Just("<x:b/>"),
        Just("&amp;"),
        Just("&#x41;"),
        Just("&z;"),
        Just("<![CDATA[x]]>"),
        Just("<!-- -->"),
        Just("text"),
        Just("<?xml version=\"1.0\"?>"),
        Just("<!DOCTYPE a>"),
        Just("<"),
        Just("é"),
    ];
    vec(word, 0..30).prop_map(|words| words.concat())
}

/// The boxes of `bytes`, one after the other: names and contents. `None`: they do not fill it.
fn boxes(mut bytes: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let whole = bytes.get(..length).filter(|whole| whole.len() >= 8)?;
        found.push((String::from_utf8_lossy(&whole[4..8]).into_owned(), &whole[8..]));
        bytes = &bytes[length..];
    }
    Some(found)
}

proptest! {
    #[test]
    fn parts_are_the_same_in_whatever_pieces_they_come(stream in streams(), cuts in vec(0usize..400, 0..8), max in 0usize..200) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        let (read, bad) = parts(&pieces, max);
        prop_assert!(read.iter().all(|part| part.len() <= max));
        prop_assert_eq!((read, bad), parts(&[&stream], max));
    }

    #[test]
    fn what_is_written_as_parts_is_read_back(bodies in vec(vec(any::<u8>(), 1..300), 1..5), with_length in any::<bool>()) {
        let mut stream = Vec::new();
        for body in &bodies {
            let length = if with_length { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
            stream.extend_from_slice(format!("--frame\r\n{length}\r\n").as_bytes());
            stream.extend_from_slice(body);
            stream.extend_from_slice(b"\r\n");
        }
        stream.extend_from_slice(b"--frame--\r\n");
        // Without a length, a body that ends a line or holds a boundary cannot be told from what follows.
        prop_assume!(with_length || bodies.iter().all(|body| !body.ends_with(b"\n") && !body.ends_with(b"\r") && !body.windows(7).any(|w| w == b"--frame")));
        prop_assert_eq!(parts(&[&stream], 300), (bodies, None));
    }

    #[test]
    fn heads_and_boundaries_of_any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), kind in ".{0,60}") {
        for read in [Head::http, Head::rtsp, Head::part] {
            if let Ok(Some((head, length))) = read(&bytes) {
                prop_assert!(length <= bytes.len());
                let _ = head.length();
            }
        }
        let _ = boundary(&kind);
    }

    #[test]
    fn a_head_is_read_as_soon_as_it_is_whole_and_not_before(status in 100u16..600, value in "[a-z]{0,20}", after in vec(any::<u8>(), 0..9)) {
        let text = format!("HTTP/1.1 {status} X\r\nName: {value}\r\n\r\n");
        let bytes = [text.as_bytes(), &after].concat();
        for end in 0..text.len() {
            prop_assert_eq!(Head::http(&bytes[..end]), Ok(None));
        }
        let (head, length) = Head::http(&bytes).ok().flatten().expect("a head");
        prop_assert_eq!((head.status, head.get("name"), length), (status, Some(value.as_str()), text.len()));
        let rtsp = Head::rtsp(text.replace("HTTP/1.1", "RTSP/1.0").as_bytes()).ok().flatten().expect("a head");
        prop_assert_eq!(rtsp, (head, length));
    }

    #[test]
    fn xml_of_any_form_is_read_or_refused(document in documents(), bytes in vec(any::<u8>(), 0..200)) {
        let _ = Node::read(document.as_bytes());
        let _ = Node::read(&bytes);
        let inside = format!("<a>{document}</a>");
        prop_assert!(!document.contains("DOCTYPE") || Node::read(inside.as_bytes()).is_err());
    }

    #[test]
    fn a_fragment_is_whole_boxes_and_begins_where_the_last_one_ended(
        pictures in vec((vec(any::<u8>(), 0..50), -10_000i64..400_000, any::<bool>()), 1..20),
    ) {
        let mut track = Track::new(90_000, (320, 240), vec![0, 0, 0, 8, b'a', b'v', b'c', b'1']);
        let init = track.init();
        let names: Vec<String> = boxes(&init).expect("whole boxes").into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, ["ftyp", "moov"]);
        let (mut at, mut next) = (0, 0);
        for (picture, step, is_key) in pictures {
            at += step;
            let part = track.part(&picture, at, is_key);
            let read = boxes(&part).expect("whole boxes");
            prop_assert_eq!((read[0].0.as_str(), read[1].0.as_str(), read[1].1), ("moof", "mdat", picture.as_slice()));
            // tfdt ends 12 bytes into trun's box from the end of moof: its eight bytes say where the fragment begins.
            let moof = read[0].1;
            let word = |from: usize| u32::from_be_bytes(moof[from..from + 4].try_into().expect("four bytes"));
            let begin = u64::from(word(moof.len() - 40)) << 32 | u64::from(word(moof.len() - 36));
            let (offset, length) = (word(moof.len() - 16), word(moof.len() - 12));
            prop_assert_eq!(begin, next, "no gap");
            prop_assert!((1..=180_000).contains(&length), "{}", length);
            prop_assert_eq!(&part[offset as usize..], picture.as_slice());
            next = begin + u64::from(length);
        }
    }

    #[test]
    fn a_reference_is_written_and_read_back(grid in vec(any::<u8>(), POINTS.0 * POINTS.1)) {
        let reference = Reference::of(&grid);
        prop_assert_eq!(reference.to_string().parse(), Ok(reference));
        prop_assert!(!reference.is_elsewhere(&reference));
    }
}

proptest! {
    // Each decodes a picture.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_damaged_picture_is_refused_or_decoded_within_its_size(
        damages in vec((0usize..ROOM.len(), any::<u8>()), 1..20),
        end in 0usize..ROOM.len() * 2,
    ) {
        let mut jpeg = ROOM[..end.min(ROOM.len())].to_vec();
        for (at, byte) in damages {
            if let Some(place) = jpeg.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok((width, height)) = still::judge(&mut jpeg) {
            // Large sizes are tried elsewhere: here they would only be slow.
            if width * height <= 1_000_000 && let Ok(light) = still::light(&jpeg) {
                prop_assert_eq!((light.width, light.height), (width, height));
                let _ = crate::veil::veil(&light);
                let _ = Reference::of(&light.grid(POINTS.0, POINTS.1));
            }
        }
    }
}
