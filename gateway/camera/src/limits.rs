//! Every bound of this crate: value, unit, why, what happens beyond it, source.

/// Longest one look may last, in seconds, whatever the caller's moment says. Beyond: it ends as if that had been the moment.
/// Source: the longest that may be agreed for a look-in.
pub const LOOK_S_MAX: u64 = 120;

/// Longest a check may last, in milliseconds, the camera's waking not counted. Beyond: the fault `silent`.
pub const CHECK_MS_MAX: u64 = 20_000;

/// Longest wait for a TCP connection and its TLS handshake, in milliseconds. Beyond: the fault `path_down`. Cameras stand on the same
/// switch; 3 s lets one lost SYN come again. Source: our choice.
pub const CONNECT_MS_MAX: u64 = 3_000;

/// Longest silence of a connected camera, in milliseconds: without a byte, and without a picture fit to show, whatever bytes come. Beyond:
/// the fault `silent`. A key frame each 4 s is the slowest that we ask
/// technicians to leave; a third of a 30 s look may not pass with nothing. Source: our choice.
pub const SILENCE_MS_MAX: u64 = 8_000;

/// Longest that a camera may need to wake, in milliseconds. Beyond: the set-up is refused. Source: our choice.
pub const WAKE_MS_MAX: u32 = 30_000;

/// Pause between two tries while a camera wakes, in milliseconds. Shorter: a waking camera is kept busy with refusing.
pub const WAKE_PAUSE_MS: u64 = 200;

/// Pause between two still pictures, in milliseconds: one every second. Shorter: many cameras hand out the same picture again.
pub const STILL_PAUSE_MS: u64 = 1_000;

/// Least time between two pictures of a stream, in milliseconds: five a second. What comes sooner is left out. Shorter: a camera that sends
/// 30 a second takes a fifth of a core to veil. Source: our choice; 7 ms to decode 1080p, measured.
pub const PICTURE_PAUSE_MS: u64 = 200;

/// Still pictures that a check takes. All the same: frozen. Fewer: a camera that makes one still a second may give one twice.
pub const CHECK_STILLS: usize = 4;

/// Largest JPEG, in bytes. Beyond: the fault `too_large`. 1080p at quality 95 is about 1.5 MiB.
pub const PICTURE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest picture, in pixels wide. Beyond: the fault `too_large`, judged on its header. Twice 1080p's; decoding stays under 40 ms.
pub const PICTURE_WIDTH_PX_MAX: usize = 3_840;

/// Largest picture, in pixels high. Beyond: as [`PICTURE_WIDTH_PX_MAX`].
pub const PICTURE_HEIGHT_PX_MAX: usize = 2_160;

/// Largest H.264 picture, in bytes, and most video that the library is given before it gives a picture: what follows stays with the camera.
/// Beyond, and after [`SILENCE_MS_MAX`] without a picture: the fault `too_large`.
pub const VIDEO_PICTURE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Longest that a picture of a video waits for the viewer to take the one before, in milliseconds. Beyond: it is left out, and all after it
/// up to the next key picture. Shorter: a viewer loses two seconds whenever two pictures come in one packet.
pub const VIEWER_MS_MAX: u64 = 300;

/// Latest that a picture of a video may come for a live view, in milliseconds against the least late one. Beyond: it is left out, and all
/// after it up to a key picture that is in time. Larger: a slow viewer sees the past. Source: our choice.
pub const LATE_MS_MAX: i64 = 1_000;

/// Largest head of an HTTP or RTSP answer, or of a part of MJPEG, in bytes. Beyond: the fault `malformed`.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header lines of one answer. Beyond: the fault `malformed`.
pub const HEADERS_MAX: usize = 64;

/// Largest answer in ONVIF, or SDP in RTSP, in bytes. Beyond: the fault `too_large`.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of an ONVIF answer, in elements. Beyond: the fault `malformed`. Real answers are about ten deep.
pub const XML_DEPTH_MAX: usize = 64;

/// Attributes of one element of an ONVIF answer. Beyond: the fault `malformed`. An envelope names about twenty namespaces.
pub const XML_ATTRIBUTES_MAX: usize = 64;

/// Cameras that one discovery lists. Beyond: the rest is left out, and counted.
pub const DISCOVERED_MAX: usize = 256;

/// Longest path with its query, in bytes. Beyond: the set-up is refused.
pub const PATH_BYTES_MAX: usize = 1_024;

/// Cells of the veil: 40 wide, 30 high. A person is then five to ten cells: in bed, on the floor or gone is seen, a face or bareness
/// is not. Finer: more than whether all is well is seen. Source: our choice.
pub const VEIL_CELLS: (usize, usize) = (40, 30);

/// Profiles read of one camera. Beyond: the rest is left out. Cameras have two to four.
pub const PROFILES_MAX: usize = 8;

/// Longest that asking a camera for its profiles may take, in milliseconds. Beyond: the fault `silent`.
pub const SETUP_MS_MAX: u64 = 30_000;

/// Longest that a discovery listens, in milliseconds. Cameras answer within a second, spread at random.
pub const DISCOVERY_MS_MAX: u64 = 10_000;
