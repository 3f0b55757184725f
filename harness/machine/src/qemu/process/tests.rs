// SPDX-License-Identifier: MIT OR Apache-2.0
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// Whether a process executes; one that nobody has reaped yet does not.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit(") ").next()?.chars().next())
        .is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// There is no event for the end of a process that is not one's child.
fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while runs(pid) {
        assert!(Instant::now() < deadline, "process {pid} still runs");
        thread::yield_now();
    }
}

#[tokio::test]
async fn status_and_last_words_are_kept() {
    let process = QemuProcess::start(shell("echo 'no such machine' >&2; exit 3"))
        .await
        .unwrap();
    let exit = process.exited().await;
    assert_eq!(exit.to_string(), "QEMU exited with status 3: no such machine");
    assert_eq!(process.exit(), Some(exit));
}

#[tokio::test]
async fn a_missing_program_is_an_error() {
    let error = QemuProcess::start(Command::new("/nonexistent/qemu"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

/// The process number that a script has printed to its standard error.
async fn printed_pid(process: &QemuProcess) -> u32 {
    loop {
        if let Some(pid) = process
            .stderr()
            .strip_suffix('\n')
            .and_then(|text| text.parse().ok())
        {
            return pid;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn drop_kills_the_group_with_its_grandchildren() {
    let process = QemuProcess::start(shell("sleep 1000 & echo $! >&2; wait"))
        .await
        .unwrap();
    let (leader, grandchild) = (process.pid(), printed_pid(&process).await);
    assert!(runs(leader) && runs(grandchild));
    drop(process);
    wait_until_gone(leader);
    wait_until_gone(grandchild);
}

#[tokio::test]
async fn a_leader_that_ends_takes_its_group_along() {
    let process = QemuProcess::start(shell("sleep 1000 & echo $! >&2"))
        .await
        .unwrap();
    let exit = process.exited().await;
    assert!(exit.is_orderly());
    wait_until_gone(exit.stderr.parse().unwrap());
}

#[test]
fn the_end_of_the_thread_that_asked_is_not_the_end_of_the_process() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut command = Command::new("/bin/bash");
    command.args([
        "-c",
        &format!("read -r line <&{0}; echo $line >&{0}", theirs.as_raw_fd()),
    ]);
    command_fds::CommandFdExt::preserved_fds(&mut command, vec![theirs.into()]);
    let asking = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (
            runtime.block_on(QemuProcess::start(command)).unwrap(),
            nix::unistd::gettid(),
        )
    });
    let (_process, thread) = asking.join().unwrap();
    // A thread can be joined before the kernel has sent the signals that its end causes, but it is listed until then.
    while std::fs::exists(format!("/proc/self/task/{thread}")).unwrap() {
        thread::yield_now();
    }
    io::Write::write_all(&mut &ours, b"alive\n").unwrap();
    assert_eq!(io::read_to_string(&ours).unwrap(), "alive\n");
}

#[tokio::test]
async fn a_cancelled_start_leaves_nothing() {
    let mut command = shell("exec sleep 1000");
    let (marker, inherited) = io::pipe().unwrap();
    command_fds::CommandFdExt::preserved_fds(&mut command, vec![inherited.into()]);
    let starting = QemuProcess::start(command);
    drop(timeout(Duration::ZERO, starting).await);
    // The pipe ends when everybody who inherited its other end is gone.
    let ended = tokio::task::spawn_blocking(move || io::Read::read(&mut { marker }, &mut [0]));
    assert_eq!(
        timeout(Duration::from_secs(10), ended)
            .await
            .unwrap()
            .unwrap()
            .unwrap(),
        0
    );
}

/// Set for the process that plays the runner in the test below.
const RUNNER: &str = "TASTER_TEST_PLAYS_THE_RUNNER";

/// Not a test by itself: started by the next one, it starts a process, prints its number, and waits to be killed.
#[tokio::test]
async fn runner_to_be_killed() {
    if std::env::var_os(RUNNER).is_none() {
        return;
    }
    let process = QemuProcess::start(shell("exec sleep 1000")).await.unwrap();
    println!("\nstarted {}", process.pid());
    std::future::pending::<()>().await;
}

#[test]
fn a_runner_killed_by_sigkill_takes_qemu_along() {
    let mut runner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "qemu::process::tests::runner_to_be_killed",
            "--nocapture",
        ])
        .env(RUNNER, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    let pid = lines
        .find_map(|line| line.unwrap().strip_prefix("started ")?.parse::<u32>().ok())
        .expect("the runner starts its process");
    assert!(runs(pid));
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until_gone(pid);
}
