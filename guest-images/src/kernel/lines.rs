// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in the kernel's source a place in its code stands, by the debug information of its vmlinux.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSymbol as _, ReadCache, SymbolKind};

use super::{BootKind, Kernel};

/// By how much kallsyms makes a function longer than its symbol says: up to the next function's alignment.
const PADDING: u64 = 64;

/// The source lines of a kernel with debug information.
pub struct SourceLines {
    debug_info: Loader,
    /// Address and size of each function of a name; there may be several static ones.
    functions: HashMap<String, Vec<(u64, u64)>>,
    /// What stands before `init/main.c` where the compiler was told whole paths.
    prefix: String,
}

impl Kernel {
    /// The source lines of this kernel; `None` where it has no vmlinux with debug information, as no packaged one has, or where
    /// that cannot be read: the places in a report then stay as the kernel printed them.
    ///
    /// Reads the symbols of the whole image, which can take a second.
    pub fn source_lines(&self) -> Option<SourceLines> {
        SourceLines::of(&self.vmlinux()?)
    }

    /// The vmlinux that was booted, or the one in whose tree the booted bzImage lies (`arch/x86/boot/bzImage`).
    fn vmlinux(&self) -> Option<PathBuf> {
        match self.boot_kind {
            BootKind::Vmlinux => Some(self.boot.clone()),
            BootKind::BzImage => self.boot.ancestors().nth(4).map(|tree| tree.join("vmlinux")),
        }
    }
}

impl SourceLines {
    fn of(vmlinux: &Path) -> Option<Self> {
        let cache = ReadCache::new(File::open(vmlinux).ok()?);
        let image = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
        image.section_by_name(".debug_info")?;
        let mut functions: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
        for symbol in image.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
            if let Ok(name) = symbol.name() {
                let known = functions.entry(name.to_owned()).or_default();
                known.push((symbol.address(), symbol.size()));
            }
        }
        let mut lines = Self {
            debug_info: Loader::new(vmlinux).ok()?,
            functions,
            prefix: String::new(),
        };
        let (start_kernel, _) = *lines.functions.get("start_kernel")?.first()?;
        let (file, _) = lines.place(start_kernel)?;
        file.strip_suffix("init/main.c")?.clone_into(&mut lines.prefix);
        Some(lines)
    }

    /// A line of a kernel's report with the place in the source that it names (`dax_fault_iter+0x2b2/0x6b0`) behind it:
    /// ` (fs/dax.c:1650)`. Unchanged where it names none, one of a module, or one that several functions of that name may be.
    ///
    /// A frame of a stack holds the address to which a call returns: the line is that of the call. `RIP:` is where it happened.
    pub fn decode(&self, line: &str) -> String {
        let place = line
            .split_whitespace()
            .find_map(|word| Place::parse(word.trim_start_matches("0010:")));
        // A module's own debug information is relocated where it is loaded, and is not in vmlinux.
        let of_module = line.trim_end().ends_with(']');
        let decoded = place.filter(|_| !of_module).and_then(|place| {
            let back = u64::from(!line.contains("RIP:") && place.offset > 0);
            self.place(self.function(&place)? + place.offset - back)
        });
        match decoded {
            Some((file, number)) => {
                let file = file.strip_prefix(&self.prefix).unwrap_or(&file);
                format!("{line} ({}:{number})", file.trim_start_matches("./"))
            }
            None => line.to_owned(),
        }
    }

    /// Where the function begins that is meant: of several, the one whose size is nearest, if there is only one such.
    fn function(&self, place: &Place<'_>) -> Option<u64> {
        let known = self.functions.get(place.function)?;
        if let [(only, _)] = known.as_slice() {
            return Some(*only);
        }
        let padding = |size: &u64| {
            place
                .size
                .checked_sub(*size)
                .filter(|padding| *padding <= PADDING)
        };
        let least = known.iter().filter_map(|(_, size)| padding(size)).min()?;
        let mut fitting = known.iter().filter(|(_, size)| padding(size) == Some(least));
        let (address, _) = fitting.next()?;
        fitting.next().is_none().then_some(*address)
    }

    fn place(&self, address: u64) -> Option<(String, u32)> {
        let place = self.debug_info.find_location(address).ok()??;
        Some((place.file?.to_owned(), place.line?))
    }
}

/// `function+0xoffset/0xsize`, as `%pS` and `%pB` print an address (lib/vsprintf.c:symbol_string).
struct Place<'t> {
    function: &'t str,
    offset: u64,
    size: u64,
}

impl<'t> Place<'t> {
    fn parse(word: &'t str) -> Option<Self> {
        let (function, numbers) = word.split_once("+0x")?;
        let (offset, size) = numbers.split_once("/0x")?;
        Some(Self {
            function,
            offset: u64::from_str_radix(offset, 16).ok()?,
            size: u64::from_str_radix(size, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::SourceLines;

    /// A function that is called, one that calls it, and one static function in each of two files.
    const DAX: &str = "static int twice(int x) { return x * 2; }
__attribute__((noinline)) int dax_insert_entry(int x)
{
\treturn twice(x) + 1;
}
int dax_fault_iter(int x)
{
\tx += 3;
\treturn dax_insert_entry(x) * 5;
}
";
    const MAIN: &str = "int dax_fault_iter(int);
static int twice(int x) { int y = x; for (; x < 900; x++) y += x * y; return y; }
void start_kernel(void)
{
\tvolatile int y = dax_fault_iter(1) + twice(4);
\t(void)y;
\tfor (;;) ;
}
";

    fn image(debug: &str) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in [("fs/dax.c", DAX), ("init/main.c", MAIN)] {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let whole = |path: &str| tree.path().join(path);
        let built = Command::new("cc")
            .args([debug, "-O0", "-nostdlib", "-static", "-Wl,-e,start_kernel", "-o"])
            .args([whole("vmlinux"), whole("fs/dax.c"), whole("init/main.c")])
            .status()
            .unwrap();
        assert!(built.success());
        tree
    }

    /// Where a function's call returns to, as the kernel would print it.
    fn frame(lines: &SourceLines, function: &str, line: u32) -> String {
        let [(start, size)] = lines.functions[function].as_slice() else {
            panic!("{function} is there once");
        };
        let of_line = |offset: &u64| lines.place(start + offset).is_some_and(|(_, at)| at == line);
        // The first byte behind the line's code that belongs to what is done with the call's answer.
        let last = (0..*size).rfind(of_line).unwrap();
        format!("{function}+{:#x}/{size:#x}", last + 1)
    }

    #[test]
    fn a_place_in_the_code_is_a_line_of_the_source() {
        let tree = image("-g");
        let lines = SourceLines::of(&tree.path().join("vmlinux")).unwrap();
        let call = frame(&lines, "dax_fault_iter", 9);
        assert_eq!(lines.decode(&format!(" {call}")), format!(" {call} (fs/dax.c:9)"));
        let entered = "RIP: 0010:dax_fault_iter+0x0/0x20";
        assert_eq!(lines.decode(entered), format!("{entered} (fs/dax.c:7)"));
        // Two functions of one name are told apart by their sizes.
        for (_, size) in &lines.functions["twice"] {
            let decoded = lines.decode(&format!(" twice+0x1/{size:#x}"));
            assert!(
                decoded.ends_with("c:1)") || decoded.ends_with("c:2)"),
                "{decoded}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_left_as_it_is() {
        let tree = image("-g");
        let lines = SourceLines::of(&tree.path().join("vmlinux")).unwrap();
        for line in [
            "Call Trace:",
            " twice+0x1/0xffff",
            " dax_fault_iter+0x5/0x20 [xfs]",
            " nobody+0x5/0x20",
            " dax_fault_iter+0xfffff/0x20",
        ] {
            assert_eq!(lines.decode(line), line);
        }
    }

    #[test]
    fn a_vmlinux_without_debug_information_has_no_lines() {
        let tree = image("-g0");
        assert!(SourceLines::of(&tree.path().join("vmlinux")).is_none());
        assert!(SourceLines::of(&tree.path().join("fs/dax.c")).is_none());
    }
}
