// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel's configuration, and what of it the tests cannot do without.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// The lines `CONFIG_X=value` of a `.config`, without the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config(BTreeMap<String, String>);

/// How an option is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    BuiltIn,
    Module,
    NotSet,
}

impl Config {
    pub(crate) fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, value) = line.trim().strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The configuration that a kernel built with IKCONFIG carries (kernel/configs.c): gzip between two markers.
    pub(crate) fn embedded(rodata: &[u8]) -> Option<Self> {
        let start = find(rodata, b"IKCFG_ST")? + 8;
        let packed = rodata.get(start..)?;
        let packed = packed.get(..find(packed, b"IKCFG_ED")?)?;
        let mut text = String::new();
        flate2::bufread::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .ok()?;
        Some(Self::parse(&text))
    }

    /// What an option is set to, as it is written.
    pub(crate) fn value(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(String::as_str)
    }

    /// Whether anything is built as a module.
    pub(crate) fn has_modules(&self) -> bool {
        self.0.values().any(|value| value == "m")
    }

    pub(crate) fn setting(&self, option: &str) -> Setting {
        match self.value(option) {
            Some("y") => Setting::BuiltIn,
            Some("m") => Setting::Module,
            _ => Setting::NotSet,
        }
    }
}

/// Where `needle` first is in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut from = 0;
    loop {
        from += haystack.get(from..)?.iter().position(|byte| byte == first)?;
        if haystack.get(from + 1..)?.starts_with(rest) {
            return Some(from);
        }
        from += 1;
    }
}

/// Something that the tests need of a kernel.
pub(crate) struct Need {
    /// The option, without `CONFIG_`.
    pub(crate) option: &'static str,
    /// The module that it may be built as instead, which is then loaded into the guest.
    pub(crate) module: Option<&'static str>,
    /// What for, after "for".
    pub(crate) what_for: &'static str,
}

const fn built_in(option: &'static str, what_for: &'static str) -> Need {
    Need {
        option,
        module: None,
        what_for,
    }
}

const fn or_module(option: &'static str, module: &'static str, what_for: &'static str) -> Need {
    Need {
        option,
        module: Some(module),
        what_for,
    }
}

/// What fsdax and memory-failure testing needs; the order of the modules is the order in which they are loaded.
pub(crate) const NEEDS: &[Need] = &[
    built_in(
        "MEMORY_FAILURE",
        "handling memory errors, which is what is tested (cloud kernels lack it)",
    ),
    built_in("FS_DAX", "files that are mapped straight from persistent memory"),
    built_in("ZONE_DEVICE", "struct pages for persistent memory"),
    built_in("NVDIMM_PFN", "namespaces in fsdax mode"),
    built_in("X86_MCE", "machine checks"),
    built_in("X86_MCE_INTEL", "machine checks as Intel CPUs report them"),
    built_in("DEBUG_FS", "injection through debugfs"),
    built_in("FTRACE", "watching the kernel's path"),
    built_in(
        "KPROBE_EVENTS",
        "arguments and return values of xfs_dax_notify_failure",
    ),
    built_in("SERIAL_8250_CONSOLE", "the guest's console"),
    built_in("DEVTMPFS", "device nodes in the guest"),
    built_in("TMPFS", "scratch files in the guest"),
    built_in("PROC_FS", "/proc in the guest"),
    built_in("SYSFS", "/sys in the guest"),
    built_in("BINFMT_ELF", "running programs in the guest"),
    built_in("BLK_DEV_INITRD", "the guest's files"),
    or_module("VIRTIO_PCI", "virtio_pci", "the channel to the guest"),
    or_module("VIRTIO_CONSOLE", "virtio_console", "the channel to the guest"),
    built_in("INET", "SSH to the agent, over the loopback device of the guest"),
    built_in("UNIX", "SSH to the agent, over a socket pair in the guest"),
    or_module("LIBNVDIMM", "libnvdimm", "NVDIMMs"),
    or_module("ACPI_NFIT", "nfit", "finding the emulated NVDIMM"),
    or_module("BLK_DEV_PMEM", "nd_pmem", "the block device on the NVDIMM"),
    or_module("XFS_FS", "xfs", "the filesystem under test"),
    or_module(
        "HWPOISON_INJECT",
        "hwpoison-inject",
        "injection at a page frame through debugfs",
    ),
];

/// Modules that are loaded if the kernel has them, and not missed otherwise.
pub(crate) const WELCOME_MODULES: &[&str] = &["mce-inject", "dm-mod", "device_dax", "dax_pmem"];

/// Something that the tests need and a kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingOption {
    /// `CONFIG_MEMORY_FAILURE`.
    pub option: String,
    /// What it is needed for, to be read after "for".
    pub what_for: String,
    /// In which way it is missing.
    pub how: Missing,
}

/// In which way an option is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// The kernel is built without it.
    NotSet,
    /// It is a module, and no modules came with the kernel.
    NoModules,
    /// It is a module of this name, which is not among those that came with the kernel.
    ModuleAbsent(String),
}

impl std::fmt::Display for MissingOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, for {}: ", self.option, self.what_for)?;
        match &self.how {
            Missing::NotSet => write!(f, "not set in this kernel; build it in, or take another kernel"),
            Missing::NoModules => write!(
                f,
                "built as a module, and no modules were given; name their folder (--modules)"
            ),
            Missing::ModuleAbsent(name) => {
                write!(f, "its module {name} is not among the modules that were given")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_a_config() {
        let config =
            Config::parse("# x\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"y\"\nA=y\n");
        assert_eq!(
            ["A", "B", "C", "D"].map(|name| config.setting(name)),
            [
                Setting::BuiltIn,
                Setting::Module,
                Setting::NotSet,
                Setting::NotSet
            ]
        );
    }

    #[test]
    fn the_config_inside_a_kernel() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"CONFIG_FS_DAX=y\n").unwrap();
        let packed = encoder.finish().unwrap();
        let rodata = [
            b"IKCFG_S IKC before IKCFG_ST".as_slice(),
            &packed,
            b"IKCFG_ED after",
        ]
        .concat();
        assert_eq!(
            Config::embedded(&rodata).unwrap().setting("FS_DAX"),
            Setting::BuiltIn
        );
        assert_eq!(Config::embedded(b"nothing here"), None);
        assert_eq!(Config::embedded(b"IKCFG_ST garbage IKCFG_ED"), None);
    }

    #[test]
    fn finding() {
        assert_eq!(find(b"aaab", b"aab"), Some(1));
        assert_eq!(find(b"aaa", b"aab"), None);
        assert_eq!(find(b"", b"x"), None);
    }

    #[test]
    fn what_is_missing_says_what_for_and_what_to_do() {
        let missing = |how| {
            MissingOption {
                option: "CONFIG_XFS_FS".into(),
                what_for: "the filesystem under test".into(),
                how,
            }
            .to_string()
        };
        assert!(missing(Missing::NotSet).contains("the filesystem under test"));
        assert!(missing(Missing::NoModules).contains("--modules"));
        assert!(missing(Missing::ModuleAbsent("xfs".into())).contains("xfs is not among"));
    }
}
