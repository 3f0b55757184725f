// SPDX-License-Identifier: MIT OR Apache-2.0
//! PID 1: mounts what everybody expects, loads the modules, serves SSH.

use super::error::{Doing, failure};
use super::{ssh_port, sys};
use guest_agent::call::Failure;
use guest_agent::{
    AGENT_PATH, AGENT_PORT, CANNOT_GO_ON, CONSOLE_PREFIX, MODULES_DIR, MODULES_LOAD, MODULES_OPTIONAL,
    READY_MARKER,
};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where programs are looked up in the guest.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Modules that did not load, one a line with the reason.
pub(crate) const FAILED_MODULES: &str = "/run/taster-failed-modules";

/// Returns when the host is gone; an error ends PID 1, and with it the guest, loudly.
pub(crate) fn run() -> Result<(), Failure> {
    let result = boot();
    if let Err(error) = &result {
        say(&format!("{CANNOT_GO_ON}{error}"));
    }
    result
}

fn boot() -> Result<(), Failure> {
    for (kind, at) in [
        ("devtmpfs", "/dev"),
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
        ("debugfs", "/sys/kernel/debug"),
        ("tracefs", "/sys/kernel/tracing"),
    ] {
        attach(kind, at)?;
    }
    say("file systems are mounted");
    let failed = load_modules()?;
    for line in &failed {
        say(&format!("module {line}"));
    }
    fs::write(FAILED_MODULES, failed.join("\n")).doing(FAILED_MODULES)?;
    say("modules are loaded");
    // Orphans of SSH sessions end up here, and nobody waits for them.
    sys::reap_by_itself().doing("sigaction(SIGCHLD)")?;
    start_agent()?;
    let port = ssh_port::open()?;
    ssh_port::serve(&port, || say_line(READY_MARKER))?;
    say("the host is gone: power off");
    reboot(RebootMode::RB_POWER_OFF).doing("power off").map(drop)
}

/// Starts the process that answers the host. It outlives SSH sessions, and so does what it has begun.
fn start_agent() -> Result<(), Failure> {
    sys::bring_up("lo").doing("bring the loopback interface up")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, AGENT_PORT))
        .doing(format_args!("listen on port {AGENT_PORT} of the loopback"))?;
    let console = OpenOptions::new()
        .write(true)
        .open("/dev/console")
        .doing("/dev/console")?;
    Command::new(AGENT_PATH)
        .arg("serve")
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(console)
        .spawn()
        .doing(AGENT_PATH)
        .map(drop)
}

fn attach(kind: &str, at: &str) -> Result<(), Failure> {
    fs::create_dir_all(at).doing(at)?;
    match mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>) {
        // devtmpfs may have been mounted by the kernel, tracefs by debugfs.
        Ok(()) | Err(Errno::EBUSY) => Ok(()),
        // A kernel without the one or the other still tells the host what it lacks.
        Err(Errno::ENODEV) if matches!(kind, "debugfs" | "tracefs") => Ok(()),
        Err(error) => Err(failure(format_args!("mount {kind} at {at}: {error}"))),
    }
}

/// Loads what the image lists, in its order, and names what did not load and is needed. That is no reason to stop here:
/// the host decides what it means, and can still ask.
fn load_modules() -> Result<Vec<String>, Failure> {
    let optional = names_in(MODULES_OPTIONAL)?;
    let mut failed = Vec::new();
    for name in names_in(MODULES_LOAD)? {
        let loaded =
            File::open(Path::new(MODULES_DIR).join(&name)).and_then(|file| sys::load_module(file.as_fd()));
        match loaded {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            Err(error) if optional.contains(&name) => say(&format!("optional module {name}: {error}")),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    Ok(failed)
}

/// The lines of a list; a kernel without modules has none.
fn names_in(path: &str) -> Result<Vec<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(list) => Ok(list
            .lines()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failure(format_args!("{path}: {error}"))),
    }
}

/// A line on the console.
pub(crate) fn say(text: &str) {
    say_line(&format!("{CONSOLE_PREFIX}{text}"));
}

fn say_line(line: &str) {
    // A console that cannot be written to leaves nothing that could be told to anybody.
    let _lost = OpenOptions::new()
        .write(true)
        .open("/dev/console")
        .and_then(|mut console| console.write_all(format!("{line}\n").as_bytes()));
}
