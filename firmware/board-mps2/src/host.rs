//! What only QEMU has: the host, by semihosting. It reads the host's files, so no board for a home has it.
//!
//! Source: Arm, Semihosting for AArch32 and AArch64 (2023Q3), SYS_OPEN, SYS_READ, SYS_CLOSE.

use core::ffi::CStr;

fn call(operation: u32, block: &[usize]) -> isize {
    let result: isize;
    // SAFETY: the host reads the block and writes where it points; the caller's arrays outlive the call.
    unsafe {
        core::arch::asm!(
            "bkpt 0xab",
            inlateout("r0") operation as isize => result,
            in("r1") block.as_ptr(),
            options(nostack),
        );
    }
    result
}

/// Reads from the start of one of the host's files. Returns the bytes read; 0: none.
pub fn read(path: &CStr, bytes: &mut [u8]) -> usize {
    let handle = call(0x01, &[path.as_ptr() as usize, 1, path.count_bytes()]);
    if handle < 0 {
        return 0;
    }
    let handle = handle as usize;
    let left = call(0x06, &[handle, bytes.as_mut_ptr() as usize, bytes.len()]);
    call(0x02, &[handle]);
    usize::try_from(left).map_or(0, |left| bytes.len().saturating_sub(left))
}
