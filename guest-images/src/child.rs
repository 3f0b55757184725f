// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes that do not outlive us, even when we are killed with SIGKILL.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::Error;

/// How much of a child's standard error is kept for the message when it fails, in bytes.
const TAIL_BYTES: usize = 4000;

/// A command whose process the kernel kills with SIGKILL as soon as the *thread* that spawns it ends.
///
/// That is what `PR_SET_PDEATHSIG` means (prctl(2)): the parent is the thread, not the process. So the thread that
/// spawns must stay until the child is done. A parent that dies between fork and prctl is noticed by comparing
/// `getppid()` with the pid that this function was called under; therefore call and spawn in the same process.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let parent = nix::unistd::getpid();
    let mut command = Command::new(program);
    let before_exec = move || {
        nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL))?;
        if nix::unistd::getppid() == parent {
            Ok(())
        } else {
            Err(std::io::Error::from(nix::errno::Errno::ESRCH))
        }
    };
    #[expect(unsafe_code, reason = "pre_exec is the only place between fork and exec")]
    // SAFETY: the closure makes two system calls (prctl, getppid), both async-signal-safe, and allocates nothing:
    // an io::Error made from an errno holds just the number.
    unsafe {
        command.pre_exec(before_exec);
    }
    command
}

/// How much standard output of a child is collected, in bytes: more than any that is asked for something says.
const MOST_OUTPUT: u64 = 64 << 20;

/// What a finished child left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    /// The last part of what it wrote to its standard error.
    pub(crate) tail: String,
}

/// Runs to the end with no input; collects standard output, and the tail of standard error.
pub(crate) fn run(command: &mut Command) -> Result<Finished, Error> {
    let mut stdout = Vec::new();
    let (status, tail) = stream(command, |pipe| collect(pipe, &mut stdout))?;
    Ok(Finished { status, stdout, tail })
}

/// Reads to the end, which must come before memory does.
fn collect(pipe: &mut dyn Read, into: &mut Vec<u8>) -> std::io::Result<()> {
    pipe.take(MOST_OUTPUT).read_to_end(into)?;
    if pipe.read(&mut [0])? == 0 {
        return Ok(());
    }
    Err(std::io::Error::other(format!(
        "it does not end: more than {} MiB came",
        MOST_OUTPUT >> 20
    )))
}

/// Like [`run`], for a child that should answer at once: after `patience` it is killed with all its children, which is an
/// error that says so.
pub(crate) fn run_within(command: &mut Command, patience: Duration) -> Result<Finished, Error> {
    // A group of its own, because a script's children hold its pipes open.
    command.process_group(0);
    let mut stdout = Vec::new();
    let (done, watched) = mpsc::channel::<()>();
    let mut watchdog = None;
    let result = stream_started(
        command,
        |pid| {
            let group = nix::unistd::Pid::from_raw(pid);
            watchdog = Some(std::thread::spawn(move || {
                let late = watched.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
                // The child is not reaped while its output is read, so its number is still its own.
                late && nix::sys::signal::killpg(group, Signal::SIGKILL).is_ok()
            }));
        },
        |pipe| {
            let read = collect(pipe, &mut stdout);
            drop(done);
            read
        },
    );
    let late = watchdog.is_some_and(|watchdog| watchdog.join().unwrap_or(false));
    let (status, tail) = result?;
    if late {
        return Err(Error::Child {
            doing: format!("waiting {} s for an answer", patience.as_secs()),
            command: shortened(command),
            status: "no answer, and was killed".to_owned(),
            tail,
        });
    }
    Ok(Finished { status, stdout, tail })
}

/// Like [`run`], but a failing child is an error that says what it was to do.
pub(crate) fn run_ok(command: &mut Command, doing: &str) -> Result<Vec<u8>, Error> {
    let finished = run(command)?;
    if finished.status.success() {
        Ok(finished.stdout)
    } else {
        Err(failed(command, doing, finished.status, finished.tail))
    }
}

/// Runs to the end and hands each line of standard output to `line` as it comes; an error from there kills the child.
pub(crate) fn run_lines(
    command: &mut Command,
    mut line: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<(ExitStatus, String), Error> {
    stream(command, |pipe| {
        for text in BufReader::new(pipe).split(b'\n') {
            line(&String::from_utf8_lossy(&text?))?;
        }
        Ok(())
    })
}

/// The error for a child that ran and failed.
pub(crate) fn failed(command: &Command, doing: &str, status: ExitStatus, tail: String) -> Error {
    if tail.contains("No space left on device") {
        let path = command
            .get_current_dir()
            .map_or_else(std::env::temp_dir, std::path::Path::to_owned);
        return Error::NoSpace { path };
    }
    Error::Child {
        doing: doing.to_owned(),
        command: shortened(command),
        status: status.to_string(),
        tail,
    }
}

/// Runs to the end; `consume` reads standard output while a thread drains standard error, so neither can block.
pub(crate) fn stream(
    command: &mut Command,
    consume: impl FnOnce(&mut dyn Read) -> std::io::Result<()>,
) -> Result<(ExitStatus, String), Error> {
    stream_started(command, |_pid| (), consume)
}

fn stream_started(
    command: &mut Command,
    started: impl FnOnce(i32),
    consume: impl FnOnce(&mut dyn Read) -> std::io::Result<()>,
) -> Result<(ExitStatus, String), Error> {
    let cannot_start = |command: &Command, source: std::io::Error| {
        let way_out = match source.kind() {
            std::io::ErrorKind::NotFound => ": it is not there; install it or put it on PATH".to_owned(),
            _ => String::new(),
        };
        Error::ChildStart {
            program: command.get_program().to_string_lossy().into_owned(),
            way_out,
            source,
        }
    };
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|source| cannot_start(command, source))?;
    started(child.id().cast_signed());
    let stderr = child.stderr.take();
    let drain = std::thread::spawn(move || stderr.map(tail).unwrap_or_default());
    let consumed = match child.stdout.take() {
        Some(mut pipe) => consume(&mut pipe),
        None => Ok(()),
    };
    if consumed.is_err() {
        // The reader gave up; the child would wait for ever on a full pipe. It may have ended already.
        if let Err(source) = child.kill() {
            return Err(cannot_start(command, source));
        }
    }
    let status = child.wait().map_err(|source| cannot_start(command, source))?;
    let tail = drain.join().unwrap_or_default();
    match consumed {
        Ok(()) => Ok((status, tail)),
        Err(source) => Err(Error::io("read the output of", command.get_program(), source)),
    }
}

/// Reads to the end, keeping the last part.
fn tail(mut pipe: impl Read) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut chunk = [0_u8; 4096];
    // An error here means that the pipe is gone, which is the end of what there is to read.
    while let Ok(count @ 1..) = pipe.read(&mut chunk) {
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if kept.len() > 2 * TAIL_BYTES {
            kept.drain(..kept.len() - TAIL_BYTES);
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(30);
    lines.get(first..).unwrap_or_default().join("\n")
}

fn shortened(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    let text = words.join(" ");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_child_that_does_not_answer_is_given_up() {
        let started = std::time::Instant::now();
        // The shell's child keeps the pipe open after the shell itself is dead.
        let mut command = command("sh");
        let result = run_within(command.args(["-c", "sleep 60; true"]), Duration::from_millis(200));
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("no answer, and was killed"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
        let answer = run_within(super::command("echo").arg("yes"), Duration::from_secs(20)).unwrap();
        assert_eq!(answer.stdout, b"yes\n");
    }

    #[test]
    fn a_child_gets_the_death_signal() {
        // The child reads what prctl set from its own status: PR_GET_PDEATHSIG has no file, so ask through a shell
        // that prints its parent, which must be us.
        let out = run_ok(command("sh").args(["-c", "echo $PPID"]), "asking").unwrap();
        assert_eq!(
            String::from_utf8_lossy(&out).trim(),
            std::process::id().to_string()
        );
    }

    #[test]
    fn a_child_dies_with_the_thread_that_spawned_it() {
        let mut child =
            std::thread::spawn(|| command("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
                .join()
                .unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn failure_carries_the_last_words() {
        let error = run_ok(
            command("sh").args(["-c", "echo one >&2; echo two >&2; exit 3"]),
            "trying",
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("trying failed") && text.contains("exit status: 3") && text.contains("| two"),
            "{text}"
        );
    }

    #[test]
    fn much_standard_error_neither_blocks_nor_piles_up() {
        let finished = run(command("sh").args(["-c", "yes err | head -c 3000000 >&2; echo done"])).unwrap();
        assert_eq!(finished.stdout, b"done\n");
        assert!(finished.tail.len() < 2 * TAIL_BYTES);
    }

    #[test]
    fn output_that_does_not_end_is_given_up() {
        let error = run(&mut command("yes")).err().map(|error| format!("{error:?}"));
        assert!(
            error.as_ref().is_some_and(|text| text.contains("64 MiB")),
            "{error:?}"
        );
        let error = run_within(&mut command("yes"), Duration::from_secs(60)).err();
        let error = error.map(|error| format!("{error:?}"));
        assert!(
            error.as_ref().is_some_and(|text| text.contains("64 MiB")),
            "{error:?}"
        );
    }

    #[test]
    fn a_reader_that_has_enough_ends_the_child() {
        let error = run_lines(command("yes").arg("line"), |_| {
            Err(std::io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(error, Err(Error::NoSpace { .. })));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let text = run(&mut command("no-such-program-here"))
            .err()
            .unwrap()
            .to_string();
        assert!(
            text.contains("no-such-program-here") && text.contains("PATH"),
            "{text}"
        );
    }

    #[test]
    fn a_full_disk_is_recognised_in_what_a_child_says() {
        let error = run_ok(
            command("sh").args(["-c", "echo 'write: No space left on device' >&2; exit 1"]),
            "x",
        )
        .unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }));
    }
}
