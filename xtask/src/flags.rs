// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be typed.

use clap::{Args, Parser, Subcommand};
use machine::accel::Accelerator;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use testcases::Isolation;
use testcases::KernelVersion;

/// Feeds poison to a virtual NVDIMM and tells you who died.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run cases on kernels, and judge
    ///
    /// Exit status: 0 all held (or failed as a known issue says, or was untestable beside something that was judged);
    /// 1 a kernel did something else; 2 the command line or a case file is wrong; 3 the harness could not do its
    /// job; 4 nothing was judged; 130 interrupted.
    Test(TestFlags),
    /// Read all case files and say what is wrong with them
    Check(CheckFlags),
    /// Tell cases in words: what they show and why, where they begin, what they do step by step
    Show(ShowFlags),
    /// Say what this machine has, what it lacks, and what to do about it
    ///
    /// Fetches, boots and writes nothing. Exit status: 0 all that a run needs is here or can be fetched; 3 something
    /// is missing.
    Doctor(DoctorFlags),
    /// Render a finished run again, from its record alone
    ///
    /// Prints what the run printed at its end, and writes its junit.xml anew. Exit status: the run's own.
    Report(ReportFlags),
    /// Measure what guests and verdicts cost here, and print a table of medians and ranges
    ///
    /// Side by side: a bare QEMU, a cold boot and a clone; the whole suite from clones and from boots; the time to the
    /// first verdict. Asserts nothing. Exit status: 0 measured; 2 the command line is wrong; 3 it could not be measured;
    /// 130 interrupted.
    Bench(BenchFlags),
    /// Build kernels to test
    Kernel(KernelFlags),
    /// Build the tree that this is called in, run cases on it, and tell git bisect what it is
    ///
    /// For `git bisect run`. Exit status: 0 good; 1 bad; 125 cannot tell (does not build, does not boot, cannot be tested);
    /// 129 something is wrong that no other commit will mend, 130 interrupted: both stop the bisection. The last line
    /// says which, and why.
    BisectStep(BisectStepFlags),
    /// Find the commit with which cases began to fail
    ///
    /// Tests both ends, bisects in a clone of its own, repeats what is doubtful, and confirms what it finds. Exit status:
    /// 0 found; 1 not found; 2 the command line is wrong; 3 something is wrong with this machine; 130 interrupted.
    Bisect(BisectFlags),
    /// Break a kernel on purpose, in many small ways, and see which cases notice
    ///
    /// Exit status: 0 each mutant is killed by a case that should notice it, or rightly called equivalent, or not of this
    /// kernel; 1 one is not; 2 the command line is wrong; 3 something is wrong with this machine; 130 interrupted.
    Mutants(MutantsFlags),
    /// Let things go wrong around a run, and see that it ends as it must and leaves nothing
    ///
    /// The emulator, the runner, the disk, the cache, the output: each fault is made while real guests run, and a line says
    /// how it ended. The user's cache is read and not harmed. Exit status: 0 each ended as it must; 1 one did not; 2 the
    /// command line is wrong; 3 not even a run without a fault works here; 4 no fault could be made; 130 interrupted.
    Selftest(SelftestFlags),
}

#[derive(Debug, Args)]
pub(crate) struct CaseFlags {
    /// The folder of cases
    #[arg(long, value_name = "DIR", default_value_os_t = default_cases())]
    pub(crate) cases: PathBuf,
    /// Cases to take: a part of a case's name, a pattern like 'data/*', or the path of a case file or of a folder of them;
    /// all if none is given
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TestFlags {
    #[command(flatten)]
    pub(crate) cases: CaseFlags,
    /// A kernel by name, a bzImage or vmlinux, or a kernel build tree; may be repeated
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Vec<String>,
    /// The modules of a kernel that is given as a path: the folder that holds lib/modules, or its modules.dep
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Option<PathBuf>,
    /// List the cases that would run, and the kernels known by name
    #[arg(long)]
    pub(crate) list: bool,
    /// The folder for reports and evidence; by default a new one below target/taster
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The qemu-system-x86_64 to use
    #[arg(long, value_name = "PATH", env = "TASTER_QEMU")]
    pub(crate) qemu: Option<PathBuf>,
    /// Who executes the guest's instructions: kvm or tcg; by default the best one that a guest really boots under
    #[arg(long, value_name = "ACCELERATOR")]
    pub(crate) accel: Option<Accelerator>,
    /// How many guests at once; by default as many as cores and free memory allow
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Run the cases in a random order, the one that this number gives
    #[arg(long, value_name = "SEED")]
    pub(crate) shuffle: Option<u64>,
    /// How long one case may take
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) case_timeout: Option<u64>,
    /// How long the whole run may take
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) run_timeout: Option<u64>,
    /// How each case gets a guest of its own: clone (of a template that is made once) or boot
    #[arg(long, value_name = "HOW", default_value_t = Isolation::Clone)]
    pub(crate) isolation: Isolation,
    #[command(flatten)]
    pub(crate) cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    #[command(flatten)]
    pub(crate) cases: CaseFlags,
}

#[derive(Debug, Args)]
pub(crate) struct ShowFlags {
    /// The folder of cases
    #[arg(long, value_name = "DIR", default_value_os_t = default_cases())]
    pub(crate) cases: PathBuf,
    /// Only the steps that the case has on this kernel
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<KernelVersion>,
    /// Cases to show: a part of a case's name, a pattern like 'data/*', or the path of a case file
    #[arg(value_name = "CASE", required = true)]
    pub(crate) filters: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorFlags {
    /// The qemu-system-x86_64 to look at
    #[arg(long, value_name = "PATH", env = "TASTER_QEMU")]
    pub(crate) qemu: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct ReportFlags {
    /// The folder with the reports of a run
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Write nothing; check that junit.xml is well-formed, is what the record renders to, and agrees with the run's exit
    /// status: 0 if all of that holds, else 3
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchFlags {
    /// The cases that are the suite, as for `test`; by default every tenth, so that booting for each takes minutes, not hours
    #[arg(value_name = "CASE")]
    pub(crate) filters: Vec<String>,
    /// A kernel by name, a bzImage or vmlinux, or a kernel build tree; by default the default kernel
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Option<String>,
    /// How often each beginning of a guest is measured
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) rounds: NonZeroUsize,
    /// How often the whole suite is run: each time from clones, from boots, and from clones with no template yet
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) suite_rounds: NonZeroUsize,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Also take this many clones in a row, after one that wrecks its NVDIMM and panics, and check each
    #[arg(long, value_name = "N")]
    pub(crate) soak: Option<NonZeroUsize>,
    /// Also take this many clones at once, and check each
    #[arg(long, value_name = "N")]
    pub(crate) at_once: Option<NonZeroUsize>,
    /// The qemu-system-x86_64 to use
    #[arg(long, value_name = "PATH", env = "TASTER_QEMU")]
    pub(crate) qemu: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct KernelFlags {
    #[command(subcommand)]
    pub(crate) command: KernelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KernelCommand {
    /// Configure a source tree with what a case needs, and build it
    ///
    /// A tree with a .config of its own keeps that, if it has all that is needed; otherwise what is lacking is laid over
    /// it. Without a tree the source of a distribution's kernel is fetched and built below target/kernels. The last line
    /// is the folder to give to `test --kernel`. Exit status: 0 built; 1 the source does not build; 2 the command line is
    /// wrong; 3 this machine lacks something.
    Build(KernelBuildFlags),
}

#[derive(Debug, Args)]
pub(crate) struct KernelBuildFlags {
    /// The source tree
    #[arg(long, value_name = "DIR", conflicts_with = "source")]
    pub(crate) tree: Option<PathBuf>,
    /// The distribution's kernel whose source to fetch, by name; by default the default kernel
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Build in this folder instead of the tree (only as long as nothing was built in the tree itself)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// With KASAN, lockdep, and other watchmen
    #[arg(long)]
    pub(crate) debug: bool,
    /// How many compilers at once; by default as many as there are processors
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct LabFlags {
    /// With KASAN, lockdep, and other watchmen, where a tree has no configuration of its own
    #[arg(long)]
    pub(crate) debug: bool,
    /// How many compilers, and how many guests, at once; by default as many as this machine can take
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// The qemu-system-x86_64 to use
    #[arg(long, value_name = "PATH", env = "TASTER_QEMU")]
    pub(crate) qemu: Option<PathBuf>,
    /// Who executes the guest's instructions: kvm or tcg; by default the best one that a guest really boots under
    #[arg(long, value_name = "ACCELERATOR")]
    pub(crate) accel: Option<Accelerator>,
    /// The folder of cases
    #[arg(long, value_name = "DIR", default_value_os_t = default_cases())]
    pub(crate) cases: PathBuf,
    #[command(flatten)]
    pub(crate) cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct BisectStepFlags {
    /// A case to run: a part of its name, a pattern, or the path of its file; may be repeated; all if none is given
    #[arg(long = "case", value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// How often to run them: bad if they fail once, good if they never do
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,
    /// The source tree
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) tree: PathBuf,
    /// Build in this folder instead of the tree (only as long as nothing was built in the tree itself)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lab: LabFlags,
}

#[derive(Debug, Args)]
pub(crate) struct BisectFlags {
    /// The repository with the kernel's source; it is only read
    #[arg(long, value_name = "DIR")]
    pub(crate) tree: PathBuf,
    /// A revision in which the cases hold
    #[arg(long, value_name = "REV")]
    pub(crate) good: String,
    /// A revision in which they do not
    #[arg(long, value_name = "REV")]
    pub(crate) bad: String,
    /// A case to run: a part of its name, a pattern, or the path of its file; may be repeated
    #[arg(long = "case", value_name = "FILTER", required = true)]
    pub(crate) filters: Vec<String>,
    /// Go on with what an interrupted bisection knows
    #[arg(long)]
    pub(crate) resume: bool,
    /// Where clone, build, journal and evidence are kept; by default below target/bisect
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lab: LabFlags,
}

#[derive(Debug, Args)]
pub(crate) struct MutantsFlags {
    /// Mutants to take: parts of their names; all if none is given
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Name them, one a line, and do nothing else
    #[arg(long)]
    pub(crate) list: bool,
    /// Run on each mutant only the cases that it names as those that should notice: the quick way
    #[arg(long, conflicts_with = "filters")]
    pub(crate) named: bool,
    /// Put the fates into the table in this Markdown file, beside what it says of other mutants
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// The folder of mutants
    #[arg(long, value_name = "DIR", default_value_os_t = default_mutants())]
    pub(crate) mutants: PathBuf,
    /// A case to run: a part of its name, a pattern, or the path of its file; may be repeated; all if none is given
    #[arg(long = "case", value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// A repository whose checked-out commit is broken, in a clone of its own
    #[arg(long, value_name = "DIR", conflicts_with = "source")]
    pub(crate) tree: Option<PathBuf>,
    /// The distribution's kernel whose source is fetched and broken, by name; by default the default kernel
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Where source, build and records are kept; by default below target/mutants
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lab: LabFlags,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestFlags {
    /// Faults to make: their names, or words in these; all if none is given
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Name them, one a line, and do nothing else
    #[arg(long)]
    pub(crate) list: bool,
    /// A kernel by name, a bzImage or vmlinux, or a kernel build tree; by default the default kernel
    #[arg(long, value_name = "KERNEL")]
    pub(crate) kernel: Option<String>,
    /// The qemu-system-x86_64 to use
    #[arg(long, value_name = "PATH", env = "TASTER_QEMU")]
    pub(crate) qemu: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct CacheFlags {
    /// Where packages, kernels and images are kept; by default ~/.cache/taster
    #[arg(long = "cache", value_name = "DIR", env = "TASTER_CACHE")]
    pub(crate) root: Option<PathBuf>,
}

/// The workspace that this program was built in.
pub(crate) fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

pub(crate) fn default_cases() -> PathBuf {
    workspace().join("testcases/cases")
}

pub(crate) fn default_mutants() -> PathBuf {
    workspace().join("testcases/mutants")
}
