//! What a scripted camera says where video is asked for.

use super::Reply;

pub const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=c\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
                   a=fmtp:96 packetization-mode=1;profile-level-id=42c00d;sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAUDxQqSA,aMuMsg==\r\n\
                   a=control:track1\r\n";

/// One RTP packet on channel 0. `at`: RTP time; `marks`: it ends a picture.
pub fn rtp(number: u16, at: u32, marks: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | u8::from(marks) << 7];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&at.to_be_bytes());
    packet.extend_from_slice(&7u32.to_be_bytes());
    packet.extend_from_slice(payload);
    [&[b'$', 0], (packet.len() as u16).to_be_bytes().as_slice(), &packet].concat()
}

pub fn answer(request: &str, more: &str) -> Vec<u8> {
    let cseq = request.lines().find(|line| line.to_lowercase().starts_with("cseq")).expect("a number");
    format!("RTSP/1.0 200 OK\r\n{cseq}\r\n{more}\r\n").into_bytes()
}

pub fn described(request: &str, sdp: &str) -> Vec<u8> {
    let head = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len());
    [answer(request, &head), sdp.as_bytes().to_vec()].concat()
}

/// A camera that answers as it should, and then sends `packets` once and hangs, or ends.
pub fn plays(request: &str, sdp: &str, packets: &[u8], hangs: bool) -> Reply {
    match request.split(' ').next() {
        Some("DESCRIBE") => Reply::Keep(described(request, sdp)),
        Some("SETUP") => {
            Reply::Keep(answer(request, "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"))
        }
        Some("PLAY") => {
            let bytes = [answer(request, "Session: 1\r\n"), packets.to_vec()].concat();
            if hangs { Reply::Hang(bytes) } else { Reply::Close(bytes) }
        }
        _ => Reply::Keep(answer(request, "")),
    }
}

/// A key picture, coarse but whole as far as anybody looks who does not decode it.
pub fn key(number: u16, at: u32) -> Vec<u8> {
    rtp(number, at, true, &[0x65, 0x88, 0x84, 0, 1, 2, 3, 4])
}
