// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs, run to their end or their deadline.

use super::error::{Doing, failure};
use super::init;
use guest_agent::call::{Failure, RunResult};
use guest_agent::victim::Ended;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a program that was killed has to be gone: if it is not, the kernel does not let go of it.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What a thread of ours has to tell.
enum News {
    /// A pipe's end.
    Closed,
    /// The program's.
    Ended(std::io::Result<ExitStatus>),
}

/// Runs a program. The answer waits for the ends of its pipes too, as far as the deadline allows.
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
    let (news, heard) = mpsc::channel();
    let stdout = collect(child.stdout.take(), news.clone());
    let stderr = collect(child.stderr.take(), news.clone());
    // The receiver may have given up.
    std::thread::spawn(move || drop(news.send(News::Ended(child.wait()))));
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
            Ok(News::Closed) => open -= 1,
            Ok(News::Ended(ended)) => status = Some(ended.doing(program)?),
            Err(RecvTimeoutError::Timeout) if !late => {
                late = true;
                // One that has ended by itself this moment is no longer there to be killed.
                let _gone = killpg(group, Signal::SIGKILL);
                end = Some(Instant::now() + LAST_MOMENT);
            }
            Err(_) => break,
        }
    }
    let said = |text: Arc<Mutex<Vec<u8>>>| {
        let text = text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    };
    let ended = status.filter(|_| !late);
    Ok(RunResult {
        ended: match ended.map(|status| (status.code(), status.signal())) {
            None => None,
            Some((Some(code), _)) => Some(Ended::Exited(code)),
            Some((None, Some(signal))) => Some(Ended::Killed(signal)),
            Some((None, None)) => return Err(failure(format_args!("{program} ended in no known way"))),
        },
        stdout: said(stdout),
        stderr: said(stderr),
    })
}

/// Reads a pipe to its end in a thread of its own.
fn collect(pipe: Option<impl Read + Send + 'static>, news: mpsc::Sender<News>) -> Arc<Mutex<Vec<u8>>> {
    let text = Arc::<Mutex<Vec<u8>>>::default();
    let all = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut chunk = vec![0; 16 << 10];
        let mut pipe = pipe;
        while let Some(Ok(count)) = pipe.as_mut().map(|pipe| pipe.read(&mut chunk)) {
            if count == 0 {
                break;
            }
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&chunk[..count]);
        }
        // The receiver may have given up.
        drop(news.send(News::Closed));
    });
    text
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
}
