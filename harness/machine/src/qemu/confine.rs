// SPDX-License-Identifier: MIT OR Apache-2.0
//! What QEMU does not get from whoever started Taster: descriptors, new privileges, core files.

use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{Resource, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Standard input, output and error; what the caller holds open begins after them.
const FIRST_OTHER: libc::c_uint = 3;

/// Has the child close every descriptor but the first three when it becomes QEMU, except those that are made to survive *after*
/// this call; take no privilege from a program that it starts; and leave no core file, which would hold the guest's memory.
#[expect(
    unsafe_code,
    reason = "only between fork and exec can a process give something up for the program that it becomes"
)]
pub(super) fn leave_all_behind(command: &mut Command) {
    let before_exec = || {
        // SAFETY: a plain system call on the child's own table of descriptors. It closes nothing now, so that the pipe by which
        // the standard library learns that exec failed still works. The C library may lack a wrapper; kernels before 5.11 lack
        // the flag, and then what was opened without O_CLOEXEC stays open, as it always did.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST_OTHER,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
        }
        set_no_new_privs()?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|errno: Errno| errno.into())
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed. It makes three plain system
    // calls and converts an errno, which allocates nothing, takes no lock and touches no shared state.
    unsafe {
        command.pre_exec(before_exec);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_descriptor_of_the_callers_a_core_file_and_privileges_stay_behind() {
        let file = File::open("/proc/self/status").unwrap();
        let number = file.as_raw_fd();
        nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let question = format!(
            "test -e /proc/self/fd/{number} && echo open; ulimit -c; grep NoNewPrivs /proc/self/status"
        );
        let asked = |confined: bool| {
            let mut command = Command::new("sh");
            command.args(["-c", &question]);
            if confined {
                leave_all_behind(&mut command);
            }
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        assert!(asked(false).starts_with("open\n"), "the test proves nothing");
        assert_eq!(asked(true), "0\nNoNewPrivs:\t1\n");
    }
}
