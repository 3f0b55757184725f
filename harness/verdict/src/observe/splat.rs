// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel splats: complaints of the kernel about itself. None of them may go unnoticed, whatever a case is about.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What kind of complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplatKind {
    /// `WARN_ON` and friends (`kernel/panic.c:__warn`).
    Warning,
    /// `BUG:` lines: a NULL dereference, a paging request, bad page state, sleeping in atomic context, …
    Bug,
    /// An oops or a general protection fault (`arch/x86/kernel/dumpstack.c`).
    Oops,
    /// `Kernel panic - not syncing`.
    Panic,
    /// KASAN, KCSAN, KFENCE, KMSAN, UBSAN.
    Sanitizer,
    /// Lock dependency and locking rule reports (`kernel/locking/lockdep.c`).
    Lockdep,
    /// RCU stalls and suspicious RCU usage.
    Rcu,
    /// Hung tasks (`kernel/hung_task.c`).
    HungTask,
    /// Soft and hard lockups, stalled workqueues (`kernel/watchdog.c`, `kernel/workqueue.c`).
    Lockup,
    /// Assertions of XFS itself, which do not go through WARN or BUG.
    FilesystemAssertion,
}

impl SplatKind {
    /// Whether it says only that something took long, as anything does in a guest that was stopped.
    #[must_use]
    pub fn is_about_time(self) -> bool {
        match self {
            Self::Rcu | Self::HungTask | Self::Lockup => true,
            Self::Warning
            | Self::Bug
            | Self::Oops
            | Self::Panic
            | Self::Sanitizer
            | Self::Lockdep
            | Self::FilesystemAssertion => false,
        }
    }
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splat {
    /// Its kind.
    pub kind: SplatKind,
    /// The line that begins it.
    pub title: String,
    /// The lines that follow, up to the end of its report or [`REPORT_LINES`].
    pub report: Vec<String>,
}

/// Lines kept of one report.
pub const REPORT_LINES: usize = 60;

static FAMILIES: LazyLock<Vec<(SplatKind, Regex)>> = LazyLock::new(|| {
    // The order matters: the first family that matches names the splat.
    [
        (SplatKind::Panic, r"Kernel panic - not syncing"),
        (SplatKind::Sanitizer, r"BUG: (KASAN|KCSAN|KFENCE|KMSAN)|UBSAN: "),
        (SplatKind::Lockup, r"BUG: (soft lockup|workqueue lockup)|hard LOCKUP|watchdog: BUG"),
        (
            SplatKind::Lockdep,
            r"WARNING: (possible (circular|recursive|irq)|bad unlock balance|inconsistent lock state|held lock freed|Nested lock|lock held when returning|.*possible deadlock)|possible recursive locking detected|DEBUG_LOCKS_WARN_ON|INFO: possible|BUG: (MAX_LOCK|Invalid wait context)|\[ BUG: ",
        ),
        (SplatKind::Rcu, r"WARNING: suspicious RCU usage|rcu.*(detected stalls|self-detected stall|stall on CPU|kthread starved)"),
        (SplatKind::Warning, r"WARNING: "),
        (SplatKind::Bug, r"BUG: |kernel BUG at |BUG at "),
        (
            SplatKind::Oops,
            r"Oops: |Oops\[|general protection fault|Unable to handle kernel|stack segment: |invalid opcode: |double fault: |divide error: |stack-protector: |Internal error: ",
        ),
        (SplatKind::HungTask, r"INFO: task .* blocked for more than|INFO: task .* blocked on"),
        (SplatKind::FilesystemAssertion, r"XFS( \(\w+\))?: Assertion failed|XFS \(\w+\): Internal error "),
        (SplatKind::Bug, r"list_(add|del) corruption|refcount_t: |kmem_cache_destroy .*: Slab cache still has objects|sleeping function called from invalid context|scheduling while atomic|Bad page (state|map)|bad page: "),
    ]
    .into_iter()
    .map(|(kind, pattern)| (kind, Regex::new(pattern)))
    .filter_map(|(kind, regex)| Some((kind, regex.ok()?)))
    .collect()
});

/// Lines that look like a splat and are none.
static INNOCENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // A message of user space, and the kernel's own remarks that only contain the word.
    Regex::new(r"^\S+\[\d+\]: |^---\[ end |EXPERIMENTAL|WARNING: (cpu_ops|Spectre)|Speculative Return Stack Overflow: WARNING|MDS CPU bug|TAA: Vulnerable").ok()
});

/// What an oops says before it says so: its `Oops: …` line (`arch/x86/kernel/dumpstack.c:__die_header`) follows and is no
/// other complaint (`arch/x86/mm/fault.c:show_fault_oops`, `lib/bug.c:__report_bug`; arm64's `die_kernel_fault`).
static OOPS_HEADS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"BUG: (kernel NULL|unable to handle|\S+ stack guard page)|kernel BUG at |Unable to handle kernel",
    )
    .ok()
});

/// Where a report of registers and stacks begins: after these lines of it, no title belongs to it any more.
const BODY: [&str; 5] = [
    "Modules linked in:",
    "CPU: ",
    "Hardware name: ",
    "RIP: ",
    "Call Trace:",
];

/// A frame of a stack: `xfs_swap_extents+0x1b7/0x900 [xfs]`, with `? ` before it when the unwinder only found it lying on
/// the stack (`arch/x86/kernel/dumpstack.c:show_trace_log_lvl`).
static FRAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*(\? )?([\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+( \[.+\])?\s*$").ok());

/// Functions that are in the stack of any complaint: the ways into the kernel, and the printing of the complaint. They name none.
static ANYBODYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(entry_SYSCALL|do_syscall_64$|x64_sys_call$|asm_|exc_|ret_from_fork|kthread$|worker_thread$|process_one_work$|dump_stack|print_report|kasan_report|report_bug$|__?report_bug$|handle_bug$|__warn)").ok()
});

/// Lines that a message of `WARN()` may have.
const MESSAGE_LINES: usize = 8;

/// Lines of a splat that are shown to people.
const SHOWN: usize = 20;

/// All splats in the log's lines, in order. A report ends at its `end trace`, where another complaint begins inside it, or
/// when it is longer than [`REPORT_LINES`].
pub fn find<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Splat> {
    let mut reader = Reader::default();
    for line in lines {
        reader.read(strip_stamp(line));
    }
    reader.found
}

/// The same lines for people who are told of each splat elsewhere ([`Splat::shown`]): of a report its title stays, and how many
/// lines follow it.
pub fn fold<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut reader = Reader::default();
    let mut folded: Vec<String> = Vec::new();
    let mut inside = 0;
    let rest = |inside: &mut usize| {
        let count = std::mem::take(inside);
        (count > 0).then(|| format!("[… {count} lines of its report …]"))
    };
    for line in lines {
        let (reports, length) = reader.read_so_far();
        reader.read(strip_stamp(line));
        if reader.read_so_far() == (reports, length + 1) {
            inside += 1;
        } else {
            folded.extend(rest(&mut inside));
            folded.push(line.to_owned());
        }
    }
    folded.extend(rest(&mut inside));
    folded
}

/// How far the reading of the latest report has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// It is over, or there was none.
    #[default]
    Outside,
    /// After its title, before the first line of [`BODY`].
    Head,
    /// After that.
    Body,
}

#[derive(Default)]
struct Reader {
    found: Vec<Splat>,
    place: Place,
    /// The latest report's title came after a `[ cut here ]`.
    after_cut: bool,
    /// What came after a `[ cut here ]` that no title has followed yet: the message of `WARN()`.
    said: Option<Vec<String>>,
}

impl Reader {
    fn read(&mut self, line: &str) {
        if line.contains("[ cut here ]") {
            // Whoever prints a message of its own and then calls BUG() or WARN() is still at the same thing.
            if !(self.place == Place::Head && self.latest_announces()) {
                self.place = Place::Outside;
            }
            self.said = Some(Vec::new());
            return;
        }
        match kind_of(line) {
            Some(kind) if !self.belongs(kind, line) => self.begin(kind, line),
            None if self.place == Place::Outside && self.said.is_some() => self.say(line),
            Some(_) | None => self.add(line),
        }
    }

    /// How many reports there are, and how many lines the latest has.
    fn read_so_far(&self) -> (usize, usize) {
        (
            self.found.len(),
            self.found.last().map_or(0, |splat| splat.report.len()),
        )
    }

    /// A line of the message that a title is to follow.
    fn say(&mut self, line: &str) {
        match &mut self.said {
            Some(said) if said.len() < MESSAGE_LINES => said.push(line.to_owned()),
            Some(_) | None => self.said = None,
        }
    }

    fn begin(&mut self, kind: SplatKind, title: &str) {
        let said = self.said.take();
        self.after_cut = said.is_some();
        self.found.push(Splat {
            kind,
            title: title.to_owned(),
            report: said.unwrap_or_default(),
        });
        self.place = Place::Head;
    }

    /// A line that begins no report.
    fn add(&mut self, line: &str) {
        self.said = None;
        let Some(splat) = self.found.last_mut().filter(|_| self.place != Place::Outside) else {
            return;
        };
        splat.report.push(line.to_owned());
        if is_body(line) {
            self.place = Place::Body;
        }
        if splat.ends_with(line) || splat.report.len() >= REPORT_LINES {
            self.place = Place::Outside;
        }
    }

    /// Is a line that could be a title one more line of the report that is open?
    fn belongs(&self, kind: SplatKind, line: &str) -> bool {
        let Some(splat) = self.found.last() else {
            return false;
        };
        match self.place {
            Place::Outside => false,
            Place::Head => splat.goes_on_with(kind, line, self.after_cut) || splat.adds(kind, line),
            Place::Body => splat.adds(kind, line),
        }
    }

    fn latest_announces(&self) -> bool {
        self.found
            .last()
            .is_some_and(|splat| splat.report.is_empty() && splat.announces().is_some())
    }
}

fn kind_of(line: &str) -> Option<SplatKind> {
    if INNOCENT.as_ref().is_some_and(|innocent| innocent.is_match(line)) {
        return None;
    }
    FAMILIES
        .iter()
        .find(|(_, family)| family.is_match(line))
        .map(|&(kind, _)| kind)
}

/// A console's time stamp, `[    1.234567] `, is no part of a message.
fn strip_stamp(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(stamp, _)| stamp.trim().chars().all(|c| c.is_ascii_digit() || c == '.'))
        .map_or(line, |(_, text)| text)
}

fn is_body(line: &str) -> bool {
    BODY.iter().any(|start| line.trim_start().starts_with(start))
}

fn is_oops_head(line: &str) -> bool {
    OOPS_HEADS.as_ref().is_some_and(|heads| heads.is_match(line))
}

/// Raised by `WARN()` or `BUG()` itself, at a place in the source.
fn is_raised(line: &str) -> bool {
    line.contains("kernel BUG at ") || (line.contains("WARNING: ") && line.contains(" at "))
}

/// The function of a line that is a frame of a stack; `None` of one that the unwinder does not vouch for.
fn frame(line: &str) -> Option<&str> {
    let parts = FRAME.as_ref()?.captures(line)?;
    match parts.get(1) {
        Some(_unreliable) => None,
        None => parts.get(2).map(|function| function.as_str()),
    }
}

fn is_unreliable(line: &str) -> bool {
    line.trim_start().starts_with("? ")
}

impl Splat {
    /// Does the signature of a known issue name this splat? It may be a part of its title, of the line that says where
    /// (`RIP:`), or of the name of a function in its stacks. What the unwinder only found lying on the stack, `? `, and what is
    /// in every stack names nothing.
    pub fn matches(&self, signature: &str) -> bool {
        let anybodys = |function: &str| ANYBODYS.as_ref().is_some_and(|any| any.is_match(function));
        self.titles().any(|line| line.contains(signature))
            || self.report.iter().any(|line| match frame(line) {
                Some(function) => function.contains(signature) && !anybodys(function),
                None => line.contains("RIP: 0010:") && line.contains(signature),
            })
    }

    /// The function in which it happened, where the report names one: the same on every run, as its title with its pids is not.
    pub fn function(&self) -> Option<&str> {
        let place = self.report.iter().find(|line| line.contains("RIP: 0010:"));
        self.titles().chain(place.map(String::as_str)).find_map(|line| {
            let mut words = line.split_whitespace();
            let (function, _) = words.find_map(|word| word.split_once("+0x"))?;
            Some(function.trim_start_matches("0010:"))
        })
    }

    /// What a person reads of it: what, where, by which calls. The registers and the rest are in the log's file.
    pub fn shown(&self) -> Vec<String> {
        let head = self
            .report
            .iter()
            .take_while(|line| !is_body(line) && frame(line).is_none());
        let place = self.report.iter().find(|line| line.contains("RIP: 0010:"));
        let calls: Vec<&String> = self.report.iter().filter(|line| frame(line).is_some()).collect();
        let trace = "Call Trace:".to_owned();
        let mut lines: Vec<String> = std::iter::once(&self.title)
            .chain(head.filter(|line| !line.trim().is_empty() && !is_unreliable(line)))
            .chain(place)
            .chain((!calls.is_empty()).then_some(&trace))
            .chain(calls)
            .cloned()
            .collect();
        if let Some(more) = lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            lines.truncate(SHOWN - 1);
            lines.push(format!("({} more lines of it are in kernel.log)", more + 1));
        }
        lines
    }

    /// The lines that say what it is.
    fn titles(&self) -> impl Iterator<Item = &str> {
        let more = self.report.iter().filter(|line| kind_of(line).is_some());
        std::iter::once(&self.title).chain(more).map(String::as_str)
    }

    /// Is `line`, which could be a title and comes before this one's registers and stacks, what its own report says next?
    fn goes_on_with(&self, kind: SplatKind, line: &str, cut: bool) -> bool {
        let raised = self.titles().any(is_raised);
        match kind {
            SplatKind::Oops => {
                self.titles().any(is_oops_head)
                    && !self.titles().any(|line| kind_of(line) == Some(SplatKind::Oops))
            }
            // The message of WARN(), `refcount_t: underflow; use-after-free.`, comes before what raised it.
            SplatKind::Warning | SplatKind::Bug if is_raised(line) && !raised => match self.announces() {
                Some(file) => line.contains(file),
                None => cut && !self.is_headed(),
            },
            SplatKind::Warning
            | SplatKind::Bug
            | SplatKind::Panic
            | SplatKind::Sanitizer
            | SplatKind::Lockdep
            | SplatKind::Rcu
            | SplatKind::HungTask
            | SplatKind::Lockup
            | SplatKind::FilesystemAssertion => false,
        }
    }

    /// Is `line`, which could be a title, a remark that reports of this kind make at their end?
    fn adds(&self, kind: SplatKind, line: &str) -> bool {
        // kernel/rcu/tree_stall.h:rcu_check_gp_kthread_starvation, kernel/hung_task.c:debug_show_blocker
        let remark = line.contains("kthread starved") && kind == SplatKind::Rcu
            || line.contains(" likely owned by ") && kind == SplatKind::HungTask;
        remark && self.kind == kind
    }

    /// For a message that is printed just before BUG() or WARN() is called: the file in which that stands
    /// (`lib/list_debug.c`, `fs/xfs/xfs_message.c:assfail`).
    fn announces(&self) -> Option<&'static str> {
        if self.title.contains("Assertion failed") {
            Some("xfs_message.c")
        } else if self.title.contains("list_add corruption") || self.title.contains("list_del corruption") {
            Some("list_debug.c")
        } else {
            None
        }
    }

    /// Does its title need no other line that says what raised it?
    fn is_headed(&self) -> bool {
        is_oops_head(&self.title) || self.kind == SplatKind::Sanitizer
    }

    /// Is this the last line of its report?
    fn ends_with(&self, line: &str) -> bool {
        if line.contains("---[ end ") || line.starts_with("==================") {
            return true;
        }
        // The others have stacks only.
        let only_a_stack = match self.kind {
            SplatKind::FilesystemAssertion | SplatKind::Lockdep | SplatKind::Bug => {
                !self.titles().any(|line| is_raised(line) || is_oops_head(line))
            }
            SplatKind::Warning
            | SplatKind::Oops
            | SplatKind::Panic
            | SplatKind::Sanitizer
            | SplatKind::Rcu
            | SplatKind::HungTask
            | SplatKind::Lockup => false,
        };
        only_a_stack && line.trim() == "</TASK>"
    }
}

#[cfg(test)]
mod tests;
