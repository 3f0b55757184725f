// SPDX-License-Identifier: MIT OR Apache-2.0
//! The wire format between the host and the static program inside the guest.
//!
//! The library half knows no system call: it is what the host links. The program half (`main.rs` and its
//! modules) is what runs in the guest, as PID 1 and as a tool box of subcommands.
//!
//! * [`address`]: the kinds of address between a byte of a mapping and a guest physical page.
//! * [`call`]: what the host asks of the agent, each request with the type of its answer.
//! * [`victim`]: what a victim process is, what it is told to do, and what it reports, one JSON object per line.
//! * [`trace`]: a line of ftrace's text format, parsed once for both sides.

pub mod address;
pub mod call;
pub mod trace;
pub mod victim;

/// What PID 1 prints on the console whenever a fresh SSH server waits for its client. The first time it is the host's
/// proof that a guest has booted (and the accelerator canary's proof that an accelerator boots anything at all); every
/// other time, that the session before has ended.
pub const READY_MARKER: &str = "taster-agent: ready";

/// The prefix of every line that PID 1 prints on the console.
pub const CONSOLE_PREFIX: &str = "taster-agent: ";

/// How the line begins, behind [`CONSOLE_PREFIX`], that PID 1 prints before it ends because of an error, and with it the guest.
pub const CANNOT_GO_ON: &str = "cannot go on: ";

/// What that line says when the kernel has announced no port of the name [`SSH_PORT`] in time: the emulator has lost its
/// interrupts, or the kernel its driver.
pub const NO_PORT: &str = "no virtio-serial port named";

/// The virtio-serial port on which the guest serves SSH, by the name that QEMU gives it.
pub const SSH_PORT: &str = "taster.ssh";

/// The agent's path in the guest.
pub const AGENT_PATH: &str = "/bin/guest-agent";

/// Where the guest's filesystem under test is mounted, if it has one.
pub const MOUNT_POINT: &str = "/mnt";

/// The TCP port on the guest's own loopback where the agent answers. The host reaches it through its SSH session, which
/// needs no process of its own in the guest then (RFC 4254, 7.2: `direct-tcpip`).
pub const AGENT_PORT: u16 = 7;

/// Where the image keeps the kernel modules that the guest needs, uncompressed and flat.
pub const MODULES_DIR: &str = "/lib/taster/modules";

/// The names of these modules in load order, one a line.
pub const MODULES_LOAD: &str = "/lib/taster/modules.load";

/// The names of those among them that need not load: drivers of hardware that may not be there.
pub const MODULES_OPTIONAL: &str = "/lib/taster/modules.optional";
