// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the virtual CPUs are, as the human monitor's `info registers -a` prints it.

use std::fmt;
use std::ops::Range;

/// One virtual CPU of a stopped machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualCpu {
    /// As `mce` and the monitor count them.
    pub index: u8,
    /// The current privilege level: 3 is user mode, 0 the kernel.
    pub level: u8,
    /// The address of the next instruction (RIP; EIP of a CPU in 32-bit mode).
    pub instruction: u64,
    /// Whether it waits for an interrupt (HLT).
    pub halted: bool,
}

impl fmt::Display for VirtualCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            level,
            instruction,
            halted,
        } = self;
        let mode = if *level == 0 { "the kernel" } else { "user mode" };
        let idle = if *halted { ", idle" } else { "" };
        write!(f, "CPU {index} in {mode} at {instruction:#x}{idle}")
    }
}

impl VirtualCpu {
    /// Is it executing this code in user mode?
    pub fn runs(&self, code: &Range<u64>) -> bool {
        self.level == 3 && !self.halted && code.contains(&self.instruction)
    }
}

/// All virtual CPUs in the monitor's text.
///
/// A CPU begins with a line `CPU#0`; the line of its flags (target/i386/cpu-dump.c: x86_cpu_dump_state) has everything
/// else: `RIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1`. A CPU whose line makes no sense is left
/// out.
pub(super) fn virtual_cpus(text: &str) -> Vec<VirtualCpu> {
    let mut index = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(number) = line.strip_prefix("CPU#") {
            index = number.parse().ok();
        } else if line.starts_with("RIP=") || line.starts_with("EIP=") {
            found.extend(index.and_then(|index| flags_line(index, line)));
        }
    }
    found
}

fn flags_line(index: u8, line: &str) -> Option<VirtualCpu> {
    let field = |key: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    Some(VirtualCpu {
        index,
        level: field("CPL")?.parse().ok()?,
        instruction: u64::from_str_radix(field("RIP").or_else(|| field("EIP"))?, 16).ok()?,
        halted: field("HLT")? == "1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_is_told_in_words() {
        let cpu = VirtualCpu {
            index: 0,
            level: 0,
            instruction: 0xffff_ffff_822a_e79f,
            halted: true,
        };
        assert_eq!(cpu.to_string(), "CPU 0 in the kernel at 0xffffffff822ae79f, idle");
    }

    const TWO: &str = "\r\nCPU#0\r\n\
        RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000050654\r\n\
        RIP=0000000000401a2b RFL=00000246 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=0\r\n\
        CS =0033 00000000 ffffffff 00a0fb00 DPL=3 CS64 [-RA]\r\n\
        CR0=80050033 CR2=00000000 CR3=00000000 CR4=00350ef0\r\n\
        \r\nCPU#1\r\n\
        RIP=ffffffff81c0d5ab RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n";

    #[test]
    fn each_cpu_has_its_own_place() {
        let cpus = virtual_cpus(TWO);
        assert_eq!(
            cpus,
            [
                VirtualCpu {
                    index: 0,
                    level: 3,
                    instruction: 0x40_1a2b,
                    halted: false
                },
                VirtualCpu {
                    index: 1,
                    level: 0,
                    instruction: 0xffff_ffff_81c0_d5ab,
                    halted: true
                },
            ]
        );
        assert!(cpus[0].runs(&(0x40_1a00..0x40_1b00)));
        assert!(!cpus[0].runs(&(0x40_1b00..0x40_1c00)), "elsewhere");
        assert!(
            !cpus[1].runs(&(0xffff_ffff_81c0_0000..0xffff_ffff_81d0_0000)),
            "in the kernel"
        );
    }

    #[test]
    fn a_cpu_that_has_not_begun_is_in_16_bit_mode() {
        let text = "CPU#0\r\nEIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n";
        assert_eq!(virtual_cpus(text)[0].instruction, 0xfff0);
    }

    #[test]
    fn what_makes_no_sense_is_no_cpu() {
        for text in [
            "",
            "unknown command: 'info registers -a'\r\n",
            "CPU#0\r\nRIP=zz CPL=3 HLT=0",
            "RIP=0 CPL=3 HLT=0",
        ] {
            assert_eq!(virtual_cpus(text), [], "{text}");
        }
    }
}
