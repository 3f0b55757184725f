// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first thing that went wrong in what a build printed: many compilers at once tell much after it.

/// Lines kept after the first complaint: the source line, the caret, the note.
const AFTER: usize = 5;

/// Lines kept of an output that complains in no way known here.
const LAST: usize = 20;

/// Looks for it line by line.
#[derive(Debug, Default)]
pub(super) struct FirstComplaint {
    /// The function that the compiler says the complaint is in, told in the line before.
    context: Option<String>,
    found: Vec<String>,
    open: bool,
    last: Vec<String>,
}

impl FirstComplaint {
    /// Takes one line of the output.
    pub(super) fn take(&mut self, line: &str) {
        if self.open {
            // Another file's progress, or make giving up, ends it.
            if self.found.len() > AFTER || is_progress(line) || line.starts_with("make") {
                self.open = false;
            } else {
                self.found.push(line.to_owned());
            }
        } else if self.found.is_empty() && complains(line) {
            self.found.extend(self.context.take());
            self.found.push(line.to_owned());
            self.open = true;
        }
        self.context = line.contains(": In function ").then(|| line.to_owned());
        if !is_progress(line) {
            if self.last.len() == LAST {
                self.last.remove(0);
            }
            self.last.push(line.to_owned());
        }
    }

    /// The line that complains; of an output without a known complaint, its last.
    pub(super) fn headline(&self) -> String {
        let found = self.found.iter().find(|line| complains(line));
        found
            .or(self.last.last())
            .map_or_else(String::new, |line| line.trim().to_owned())
    }

    /// What was found; of an output without a known complaint, its end.
    pub(super) fn text(self) -> String {
        let lines = if self.found.is_empty() {
            self.last
        } else {
            self.found
        };
        lines.join("\n")
    }
}

/// `  CC      fs/xfs/xfs_super.o`: a short word in capitals, and what it makes.
pub(super) fn is_progress(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("  ") else {
        return false;
    };
    let word = rest.split(' ').next().unwrap_or_default();
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn complains(line: &str) -> bool {
    // gcc and as, ld, kconfig and kbuild's own scripts, make itself.
    [
        ": error: ",
        ": fatal error: ",
        ": Error: ",
        "undefined reference to",
        "undefined symbol",
        "ld: ",
        "error: ",
        "ERROR: ",
        "syntax error",
        "*** ",
        "not found",
    ]
    .iter()
    .any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(output: &str) -> FirstComplaint {
        let mut complaint = FirstComplaint::default();
        output.lines().for_each(|line| complaint.take(line));
        complaint
    }

    fn first(output: &str) -> String {
        heard(output).text()
    }

    #[test]
    fn the_compilers_first_error_and_not_makes_last() {
        let output = "  CC      mm/memory-failure.o\n  CC      fs/dax.o\n\
            fs/dax.c: In function 'dax_fault':\n\
            fs/dax.c:17:9: error: 'frob' undeclared (first use in this function)\n   17 |         frob();\n      |         ^~~~\n\
            make[3]: *** [scripts/Makefile.build:229: fs/dax.o] Error 1\n\
            mm/memory-failure.c:4:1: error: another one\nmake: *** [Makefile:224: __sub-make] Error 2\n";
        assert_eq!(
            first(output),
            "fs/dax.c: In function 'dax_fault':\nfs/dax.c:17:9: error: 'frob' undeclared (first use in this function)\n\
             \x20  17 |         frob();\n      |         ^~~~"
        );
    }

    #[test]
    fn the_headline_is_the_line_that_complains() {
        let output = "a.c: In function 'f':\na.c:1:2: error: no\n  1 | x\n";
        assert_eq!(heard(output).headline(), "a.c:1:2: error: no");
        assert_eq!(heard("one\ntwo\n").headline(), "two");
        assert_eq!(heard("").headline(), "");
    }

    #[test]
    fn the_linker_and_make_are_heard_too() {
        let linker = "  LD      vmlinux.o\nld: fs/dax.o: in function `f':\ndax.c:(.text+0x5): undefined reference to `g'\n\
            make[2]: *** [x] Error 1";
        assert!(
            first(linker).ends_with("undefined reference to `g'"),
            "{}",
            first(linker)
        );
        let make = "  CC      a.o\nmake: *** No rule to make target 'b'.  Stop.\nmore";
        assert!(first(make).starts_with("make: *** No rule"), "{}", first(make));
    }

    #[test]
    fn an_unknown_complaint_is_the_end_of_the_output() {
        let many: Vec<String> = (0..40)
            .map(|number| format!("line {number}\n  CC      a.o\n"))
            .collect();
        let text = first(&many.concat());
        assert!(
            text.starts_with("line 20\n") && text.ends_with("line 39"),
            "{text}"
        );
    }

    #[test]
    fn progress_is_told_from_talk() {
        assert!(is_progress("  CC [M]  fs/xfs/xfs.o") && is_progress("  LD      vmlinux"));
        assert!(!is_progress("  17 |   frob();") && !is_progress("CC x") && !is_progress(""));
    }
}
