//! Every bound of an update: value, unit, why, what happens beyond.

/// Largest `release.json`, in bytes. A real one has some 800. Larger: refused before it is read on.
pub const MANIFEST_BYTES_MAX: usize = 64 * 1024;

/// Largest signature file, in bytes. A real one has some 300. Larger: refused.
pub const SIGNATURE_BYTES_MAX: usize = 4 * 1024;

/// Largest program, in bytes. Ours has 20 MiB; two of them and a download have to fit beside the journal. Larger: refused.
pub const PROGRAM_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Largest file of what is installed, in bytes. A real one has some 1,500. Larger: as damaged, the packaged program runs.
pub const STATE_BYTES_MAX: u64 = 64 * 1024;

/// Longest time to a connection and its TLS, and between two pieces of an answer, in milliseconds. Beyond: given up, gone on with at the next look.
pub const STALL_MS_MAX: u64 = 30_000;

/// So much of a download is written before it is synced, in bytes. More: a commit of the journal waits longer behind it on an SD card.
pub const SYNC_BYTES: u64 = 1024 * 1024;

/// How long a new program may take to prove itself, in seconds, all its starts together. Beyond: the kernel ends it and the one before runs.
///
/// Longer: alarms that do not go through under a bad release wait longer. Shorter: a slow journal or a receiver that
/// restarts sends a good one back. An alarm has to be accepted in 30 s over a working path; our choice.
pub const TRIAL_S: u64 = 180;

/// How often a new program is started before it is given up. A power cut in its trial takes one of them.
pub const TRIES_MAX: u32 = 3;

/// How many releases that failed are remembered. The oldest goes first; it could be tried once more, and fail again.
pub const FAILED_MAX: usize = 16;

/// Longest reason that is kept, in characters. Beyond: cut.
pub const WHY_CHARS_MAX: usize = 300;

/// How long a life alarm that somebody has, or that a receiver has accepted, still holds an update back after its newest call, in milliseconds.
///
/// Most alarms are closed at the centre alone: without an end no home would ever be updated. An hour is longer than help is
/// on its way; our choice.
pub const LIFE_REST_MS: i64 = 3_600_000;

/// Rings in one release. More: refused, nobody can follow them.
pub const RINGS_MAX: usize = 16;

/// Files in one release, one for each target. More: refused.
pub const FILES_MAX: usize = 16;

/// Largest firmware image of a device, in bytes. The flash of the boards in use has 1 to 2 MiB, and a slot is less than half. Larger:
/// refused with the list.
pub const IMAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Images in one list. More: refused; a publisher's kinds, each on a few boards, are some dozens.
pub const IMAGES_MAX: usize = 64;
