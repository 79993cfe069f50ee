//! What goes over the line between a home and its hub during one look: [`vaka_protocol::look`].
//!
//! Enters: parts of a look, a stream. Leaves: the same parts at the other end. Invariants: nothing longer than agreed is read, whatever its
//! length says; a picture is zeroed when it is dropped.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use vaka_board::gateway::{Bytes, LookPart, Said};
use vaka_camera::{Wiped, limits::PICTURE_BYTES_MAX};
use vaka_protocol::look::{BEGUN, ENDED, LIT, PICTURE, WORD_BYTES_MAX};

/// Why the line is over.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("the line of a look: {0}")]
    Io(#[from] io::Error),
    #[error("the line of a look: a message {kind:?} of {bytes} bytes; at most {most} are taken")]
    TooLong { kind: char, bytes: usize, most: usize },
    #[error("the line of a look: a message {kind:?} that nobody expects here; both ends must be of versions that fit")]
    Unexpected { kind: char },
}

/// Why a look was over, as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Last {
    why: String,
    sv: String,
    en: String,
}

/// One message.
///
/// # Errors
/// The stream's.
pub async fn put(line: &mut (impl AsyncWrite + Unpin), kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    line.write_u8(kind).await?;
    line.write_u32(length).await?;
    line.write_all(bytes).await?;
    line.flush().await
}

/// The next message: its letter and its bytes.
///
/// # Errors
/// [`LineError`], also where the other end has gone.
pub async fn take(line: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Wiped), LineError> {
    let kind = line.read_u8().await?;
    let bytes = line.read_u32().await? as usize;
    let most = if kind == PICTURE { PICTURE_BYTES_MAX } else { WORD_BYTES_MAX };
    if bytes > most {
        return Err(LineError::TooLong { kind: char::from(kind), bytes, most });
    }
    let mut read = vec![0; bytes];
    line.read_exact(&mut read).await?;
    Ok((kind, Wiped::new(read)))
}

/// # Errors
/// The stream's.
pub async fn put_part(line: &mut (impl AsyncWrite + Unpin), part: LookPart) -> io::Result<()> {
    match part {
        LookPart::Lit => put(line, LIT, &[]).await,
        LookPart::Begun { left_ms } => put(line, BEGUN, left_ms.to_string().as_bytes()).await,
        LookPart::Picture(picture) => put(line, PICTURE, &picture).await,
        LookPart::Ended { why, said: Said { sv, en } } => {
            put(line, ENDED, &serde_json::to_vec(&Last { why, sv, en })?).await
        }
    }
}

/// The next part. `own`: makes of a picture what is handed on.
///
/// # Errors
/// [`LineError`], also where what came is none.
pub async fn take_part(
    line: &mut (impl AsyncRead + Unpin),
    own: impl FnOnce(Wiped) -> Bytes,
) -> Result<LookPart, LineError> {
    let (kind, bytes) = take(line).await?;
    let unexpected = || LineError::Unexpected { kind: char::from(kind) };
    match kind {
        LIT => Ok(LookPart::Lit),
        BEGUN => {
            let left_ms = std::str::from_utf8(&bytes).ok().and_then(|digits| digits.parse().ok());
            Ok(LookPart::Begun { left_ms: left_ms.ok_or_else(unexpected)? })
        }
        PICTURE => Ok(LookPart::Picture(own(bytes))),
        ENDED => {
            let Last { why, sv, en } = serde_json::from_slice(&bytes).map_err(|_| unexpected())?;
            Ok(LookPart::Ended { why, said: Said::new(sv, en) })
        }
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_in_at_one_end_comes_out_at_the_other() {
        let (mut home, mut hub) = tokio::io::duplex(64);
        let sends = tokio::spawn(async move {
            for part in [
                LookPart::Lit,
                LookPart::Begun { left_ms: 30_000 },
                LookPart::Picture(Bytes::from(vec![7; 500])),
                LookPart::Ended { why: "time".into(), said: Said::new("Slut.", "Over.") },
            ] {
                put_part(&mut home, part).await.unwrap();
            }
        });
        let mut next = async || take_part(&mut hub, Bytes::from_owner).await;
        assert!(matches!(next().await, Ok(LookPart::Lit)));
        assert!(matches!(next().await, Ok(LookPart::Begun { left_ms: 30_000 })));
        assert!(matches!(next().await, Ok(LookPart::Picture(picture)) if picture[..] == [7; 500]));
        assert!(matches!(next().await, Ok(LookPart::Ended { why, said }) if why == "time" && said.en == "Over."));
        assert!(matches!(next().await, Err(LineError::Io(_))), "and then nothing");
        sends.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_part_is_not_read() {
        for bytes in [
            &b"P\xff\xff\xff\xff"[..],
            b"L\x00\x00\x04\x01",
            b"X\x00\x00\x00\x00",
            b"B\x00\x00\x00\x01x",
            b"E\x00\x00\x00\x02{}",
        ] {
            let (mut home, mut hub) = tokio::io::duplex(64);
            home.write_all(bytes).await.unwrap();
            let taken = take_part(&mut hub, Bytes::from_owner).await;
            assert!(matches!(taken, Err(LineError::TooLong { .. } | LineError::Unexpected { .. })), "{taken:?}");
        }
    }
}
