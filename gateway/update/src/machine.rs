//! For which machine a program is, by its own first bytes: what a publisher writes beside it may be wrong.
//!
//! Enters: the beginning of a file, a target as Rust names it. Leaves: nothing, or why it cannot run there. Absent: what is no ELF file
//! (a script names its own interpreter), and machines that no package is made for.

/// So many bytes of a file say for which machine it is.
pub const HEADER_BYTES: usize = 20;

/// Number in the header, name in a target. Source: System V ABI, `e_machine`.
const MACHINES: [(u16, &str); 2] = [(62, "x86_64"), (183, "aarch64")];

/// The program that begins with `header` can run where `target` says.
///
/// # Errors
/// What it is for, in words.
pub fn fits(header: &[u8], target: &str) -> Result<(), String> {
    let Some([0x7f, b'E', b'L', b'F', _, order, _rest @ .., low, high]) = header.get(..HEADER_BYTES) else {
        return Ok(());
    };
    let number = if *order == 2 { u16::from_be_bytes([*low, *high]) } else { u16::from_le_bytes([*low, *high]) };
    let wanted = target.split('-').next().unwrap_or_default();
    let known = MACHINES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    if known == Some(wanted) || !MACHINES.iter().any(|(_, name)| *name == wanted) {
        return Ok(());
    }
    let found = known.map_or_else(|| format!("machines with the ELF number {number}"), str::to_owned);
    Err(format!("it is a program for {found}, not for {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u16) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(HEADER_BYTES - 2, 0);
        bytes.extend(number.to_le_bytes());
        bytes
    }

    #[test]
    fn a_program_is_for_the_machine_that_its_bytes_say() {
        assert_eq!(fits(&header(183), "aarch64-unknown-linux-gnu"), Ok(()));
        assert_eq!(fits(&header(62), "x86_64-unknown-linux-gnu"), Ok(()));
        for (number, target, why) in [
            (62, "aarch64-unknown-linux-gnu", "for x86_64, not for aarch64"),
            (183, "x86_64-unknown-linux-gnu", "for aarch64, not for x86_64"),
            (40, "aarch64-unknown-linux-gnu", "number 40, not for aarch64"),
        ] {
            assert!(fits(&header(number), target).is_err_and(|said| said.contains(why)), "{number} {target}");
        }
    }

    #[test]
    fn this_program_is_for_this_machine_and_a_script_is_for_every_one() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(fits(&own, &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)), Ok(()));
        let other = if std::env::consts::ARCH == "aarch64" { "x86_64" } else { "aarch64" };
        assert!(fits(&own, &format!("{other}-unknown-linux-gnu")).is_err());
        assert_eq!(fits(b"#!/bin/sh\nexec /usr/bin/vaka \"$@\"\n", "aarch64-unknown-linux-gnu"), Ok(()));
        assert_eq!(fits(&header(62)[..HEADER_BYTES - 1], "aarch64-unknown-linux-gnu"), Ok(()), "too short to be one");
    }
}
