// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs, run to their end or their deadline.

use super::error::{Doing, failure};
use super::{init, sys};
use guest_agent::call::{Failure, RunResult};
use guest_agent::victim::Ended;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{PipeReader, Read, pipe};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the kernel's OOM killer thinks of a command: it and its children go before anybody else.
const KILLED_FIRST: &str = "1000";

/// What a program that was killed has to be gone: if it is not, the kernel does not let go of it.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The most of an output that is kept, half of it from its beginning and half from its end: gigabytes would fill the guest's
/// memory, and the kernel would be blamed for what comes of that.
const MOST_KEPT: usize = 1 << 20;

/// What a thread of ours has to tell.
enum News {
    /// All that the program itself has written into a pipe is read.
    Read,
    /// The program's.
    Ended(std::io::Result<ExitStatus>),
}

/// Runs a program. It is over when it has ended: what it leaves in the background lives on with the pipes, which are read on so
/// that it is not held up, and what it says from then on is nobody's.
pub(crate) fn run(argv: &[String], deadline: Option<Duration>) -> Result<RunResult, Failure> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| failure("run: no program was named"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", init::PATH)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(program)?;
    let group = Pid::from_raw(i32::try_from(child.id()).doing("a program's pid")?);
    // When memory runs out it is the command that has taken it, not whoever answers the host. One that has ended by itself
    // this moment needs no word (Documentation/filesystems/proc.rst, 3.1).
    let _gone = std::fs::write(format!("/proc/{group}/oom_score_adj"), KILLED_FIRST);
    let (news, heard) = mpsc::channel();
    let (stdout_over, stdout_end) = pipe().doing("a pipe")?;
    let (stderr_over, stderr_end) = pipe().doing("a pipe")?;
    let stdout = collect(child.stdout.take(), stdout_over, news.clone());
    let stderr = collect(child.stderr.take(), stderr_over, news.clone());
    std::thread::spawn(move || {
        let ended = child.wait();
        drop((stdout_end, stderr_end));
        // The receiver may have given up.
        drop(news.send(News::Ended(ended)));
    });
    let mut end = deadline.map(|deadline| Instant::now() + deadline);
    let mut status = None;
    let mut late = false;
    let mut open = 2;
    while open > 0 || status.is_none() {
        let next = match end {
            Some(end) => heard.recv_timeout(end.saturating_duration_since(Instant::now())),
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(News::Read) => open -= 1,
            Ok(News::Ended(ended)) => status = Some(ended.doing(program)?),
            Err(RecvTimeoutError::Timeout) if !late && status.is_none() => {
                late = true;
                // One that has ended by itself this moment is no longer there to be killed.
                let _gone = killpg(group, Signal::SIGKILL);
                end = Some(Instant::now() + LAST_MOMENT);
            }
            Err(_) => break,
        }
    }
    let said = |kept: &Mutex<Kept>| {
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.text(), kept.left_out)
    };
    let ((stdout, out), (stderr, err)) = (said(&stdout), said(&stderr));
    let ended = status.filter(|_| !late);
    Ok(RunResult {
        ended: match ended.map(|status| (status.code(), status.signal())) {
            None => None,
            Some((Some(code), _)) => Some(Ended::Exited(code)),
            Some((None, Some(signal))) => Some(Ended::Killed(signal)),
            Some((None, None)) => return Err(failure(format_args!("{program} ended in no known way"))),
        },
        stdout,
        stderr,
        left_out: out + err,
    })
}

/// Reads a pipe in a thread of its own, and keeps what comes until `over` is closed: the program has ended then.
fn collect(
    pipe: Option<impl Read + AsFd + Send + 'static>,
    over: PipeReader,
    news: mpsc::Sender<News>,
) -> Arc<Mutex<Kept>> {
    let kept = Arc::<Mutex<Kept>>::default();
    let all = Arc::clone(&kept);
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else {
            // The receiver may have given up.
            drop(news.send(News::Read));
            return;
        };
        let mut chunk = vec![0; 16 << 10];
        // What was in the pipe when the program ended, and still has to be read.
        let mut left = None;
        while left != Some(0) {
            if left.is_none() && is_closed(&over) {
                left = Some(sys::waiting(pipe.as_fd()).unwrap_or_default());
                continue;
            }
            if left.is_none() && !is_readable(&pipe, &over) {
                continue;
            }
            let most = left.map_or(chunk.len(), |left| left.min(chunk.len()));
            let count = match pipe.read(&mut chunk[..most]) {
                Ok(count) if count > 0 => count,
                Ok(_) | Err(_) => break,
            };
            left = left.map(|left| left - count);
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(&chunk[..count]);
        }
        drop(news.send(News::Read));
        while matches!(pipe.read(&mut chunk), Ok(count) if count > 0) {}
    });
    kept
}

/// Waits until there is something to read, or the program is over; whether it is the former.
fn is_readable(pipe: &impl AsFd, over: &PipeReader) -> bool {
    let mut both = [
        PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
        PollFd::new(over.as_fd(), PollFlags::POLLIN),
    ];
    // Whatever interrupts it, the caller looks again.
    let _interrupted = poll(&mut both, PollTimeout::NONE);
    both[0].any().unwrap_or_default()
}

/// Whether the other end of a pipe into which nothing is written is closed.
fn is_closed(over: &PipeReader) -> bool {
    let mut one = [PollFd::new(over.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut one, PollTimeout::ZERO), Ok(1))
}

/// The beginning and the end of an output.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Kept {
    fn push(&mut self, more: &[u8]) {
        let room = (MOST_KEPT / 2).saturating_sub(self.head.len()).min(more.len());
        let (head, tail) = more.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let surplus = self.tail.len().saturating_sub(MOST_KEPT / 2);
        self.tail.drain(..surplus);
        self.left_out += u64::try_from(surplus).unwrap_or(u64::MAX);
    }

    /// With a word where bytes are left out.
    fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let head = &self.head;
        if self.left_out == 0 {
            return String::from_utf8_lossy(&[head.as_slice(), &tail].concat()).into_owned();
        }
        format!(
            "{}\n[{} bytes more, which are left out here]\n{}",
            String::from_utf8_lossy(head),
            self.left_out,
            String::from_utf8_lossy(&tail)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(line: &str, deadline: Option<Duration>) -> RunResult {
        run(&["sh", "-c", line].map(str::to_owned), deadline).unwrap()
    }

    #[test]
    fn a_program_is_heard_to_its_end() {
        let result = sh("echo out; echo err >&2; exit 3", Some(Duration::from_secs(60)));
        assert_eq!(result.ended, Some(Ended::Exited(3)));
        assert_eq!(
            (result.stdout.as_str(), result.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(sh("kill -9 $$", None).ended, Some(Ended::Killed(9)));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_its_children() {
        let begun = Instant::now();
        let result = sh("echo begun; sleep 1000 & wait", Some(Duration::from_millis(300)));
        assert_eq!((result.ended, result.stdout.as_str()), (None, "begun\n"));
        assert!(begun.elapsed() < Duration::from_secs(100));
    }

    #[test]
    fn what_is_left_in_the_background_does_not_hold_the_answer_up() {
        let begun = Instant::now();
        let result = sh(
            "echo begun; sleep 40 & echo over >&2",
            Some(Duration::from_secs(30)),
        );
        assert_eq!(result.ended, Some(Ended::Exited(0)));
        assert_eq!(
            (result.stdout.as_str(), result.stderr.as_str()),
            ("begun\n", "over\n")
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
        let endless = sh("yes & echo over >&2; kill $!", Some(Duration::from_secs(30)));
        assert_eq!(
            (endless.ended, endless.stderr.as_str()),
            (Some(Ended::Exited(0)), "over\n")
        );
    }

    #[test]
    fn of_a_long_output_the_ends_are_kept() {
        let result = sh("echo first; yes | head -n 2000000; echo last", None);
        let lines: Vec<&str> = result.stdout.lines().collect();
        assert_eq!((lines[0], lines[lines.len() - 1]), ("first", "last"));
        let left_out = 4_000_011 - MOST_KEPT;
        let word = format!("[{left_out} bytes more, which are left out here]");
        assert!(lines.contains(&word.as_str()));
        assert_eq!(result.left_out, u64::try_from(left_out).unwrap());
        assert_eq!(sh("echo short", None).left_out, 0);
    }
}
