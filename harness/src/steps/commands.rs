// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to the running system: programs that run in the guest, and files of the kernel that are written.

use super::{OPERATION, Scene, Trouble};
use crate::nvdimm::Stack;
use guest_agent::MOUNT_POINT;
use guest_agent::call::{Caches, FileChange, Outcome as Answer, Run, WriteKernelFile};
use guest_agent::victim::Ended;
use std::time::Duration;
use testcases::{Outcome, SystemOperation};
use verdict::observe::evidence::{Brought, Tried};

/// Checking a filesystem of a gibibyte takes an emulated processor seconds.
const REPAIR: Duration = Duration::from_secs(120);
/// What the agent may need beyond a program's own time, to kill it and to tell.
const GRACE: Duration = Duration::from_secs(15);

impl Scene<'_> {
    pub(super) async fn system_operation(&mut self, operation: &SystemOperation) -> Result<Tried, Trouble> {
        match operation {
            SystemOperation::DropCaches => {
                // What is not known by now may have to be asked of the medium later.
                self.learn_inodes().await?;
                let what = Caches::Both;
                self.change_files(FileChange::DropCaches { what }).await
            }
            SystemOperation::Run(run) => {
                let folder = match self.mount_state().await?.mounted {
                    Some(_) => MOUNT_POINT,
                    None => "/",
                };
                let time = run.timeout.duration();
                self.run(in_shell(&run.command, folder, &self.variables()), time)
                    .await
            }
            SystemOperation::Sysctl { values } => {
                for (name, value) in values {
                    let path = format!("/proc/sys/{}", name.replace('.', "/"));
                    if let refused @ Tried::Refused(_) = self.write_kernel_file(path, value).await? {
                        return Ok(refused);
                    }
                }
                Ok(Tried::Succeeded(Brought::Nothing))
            }
            SystemOperation::Set(set) => self.write_kernel_file(set.file.clone(), &set.to).await,
        }
    }

    /// Checks the unmounted filesystem.
    pub(super) async fn repair(&mut self) -> Result<Tried, Trouble> {
        self.run(check(self.stack), REPAIR).await
    }

    /// `NAME=value`, for all that a case's commands may refer to.
    fn variables(&self) -> Vec<String> {
        let devices = [
            ("DEVICE", Some(self.stack.device().to_owned())),
            ("LOGDEV", self.stack.log()),
            ("RTDEV", self.stack.realtime()),
        ];
        let devices = devices
            .into_iter()
            .filter_map(|(name, path)| path.map(|path| format!("{name}={path}")));
        let marks = self.marks.iter().flat_map(|(name, page)| {
            let name = name.to_ascii_uppercase().replace('-', "_");
            let address = page.physical;
            [
                format!("PFN_{name}={:#x}", address.pfn()),
                format!("ADDR_{name}={:#x}", address.0),
            ]
        });
        let mount = std::iter::once(format!("MOUNT={MOUNT_POINT}"));
        mount.chain(devices).chain(marks).collect()
    }

    async fn run(&mut self, argv: Vec<String>, time: Duration) -> Result<Tried, Trouble> {
        let call = Run {
            argv,
            deadline_ms: Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        let result = self.guest.agent.call(call, time + GRACE).await?;
        let lines = result.stdout.lines().chain(result.stderr.lines());
        let output: Vec<String> = lines.map(str::to_owned).collect();
        self.said.insert(self.line, output.clone());
        Ok(Tried::Succeeded(Brought::Ran {
            ended: result.ended,
            output,
            left_out: result.left_out,
        }))
    }

    async fn write_kernel_file(&self, path: String, text: &str) -> Result<Tried, Trouble> {
        let text = text.to_owned();
        let answer = self
            .guest
            .agent
            .call(WriteKernelFile { path, text }, OPERATION)
            .await?;
        Ok(match answer {
            Answer::Done(()) => Tried::Succeeded(Brought::Nothing),
            Answer::Refused(refusal) => Tried::Refused(refusal),
        })
    }
}

/// Fails where a command failed for want of a program that the guest does not have, which says nothing about the kernel; unless
/// the case expects just this end.
pub(super) fn has_its_programs(tried: &Tried, expected: Option<&Outcome>) -> Result<(), Trouble> {
    let Tried::Succeeded(Brought::Ran {
        ended: Some(Ended::Exited(status)),
        output,
        ..
    }) = tried
    else {
        return Ok(());
    };
    let is_expected =
        matches!(expected, Some(Outcome::Exits { status: expected, .. }) if i32::from(*expected) == *status);
    match missing_program(output) {
        Some(said) if *status != 0 && !is_expected => Err(Trouble::NoSuchTarget(format!(
            "a program that the guest does not have (it said: {said})"
        ))),
        _ => Ok(()),
    }
}

/// What a shell said that found no program, as dash, busybox and bash say it, and env(1). The command's own status need not be
/// 127 (POSIX, Shell Command Language, 2.8.2): a pipeline's is its last program's.
fn missing_program(output: &[String]) -> Option<&str> {
    let is_shell = |line: &str| line.starts_with("sh: ") && line.ends_with("not found");
    let is_env = |line: &str| line.starts_with("env: ") && line.ends_with("No such file or directory");
    let mut lines = output.iter().map(|line| line.trim_end());
    lines.find(|line| is_shell(line) || is_env(line))
}

/// `xfs_repair -n` of all devices.
fn check(stack: &Stack) -> Vec<String> {
    let mut argv = vec!["xfs_repair".to_owned(), "-n".to_owned()];
    if let Some(log) = stack.log() {
        argv.extend(["-l".to_owned(), log]);
    }
    if let Some(realtime) = stack.realtime() {
        argv.extend(["-r".to_owned(), realtime]);
    }
    argv.push(stack.device().to_owned());
    argv
}

/// `sh -c`, with what a case's commands may refer to; its two outputs are one, so that lines keep their order.
fn in_shell(command: &str, folder: &str, variables: &[String]) -> Vec<String> {
    let mut argv = vec!["env".to_owned()];
    argv.extend_from_slice(variables);
    let shell = [
        "sh",
        "-c",
        "cd \"$1\" && exec sh -c \"$2\" 2>&1",
        "sh",
        folder,
        command,
    ];
    argv.extend(shell.map(str::to_owned));
    argv
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcases::Lines;

    fn ran(status: i32, output: &[&str]) -> Tried {
        Tried::Succeeded(Brought::Ran {
            ended: Some(Ended::Exited(status)),
            output: output.iter().map(|&line| line.to_owned()).collect(),
            left_out: 0,
        })
    }

    fn is_missing(tried: &Tried, expected: Option<u8>) -> bool {
        let expected = expected.map(|status| Outcome::Exits {
            status,
            output: Lines::default(),
        });
        matches!(
            has_its_programs(tried, expected.as_ref()),
            Err(Trouble::NoSuchTarget(why)) if why.contains("ndctl")
        )
    }

    #[test]
    fn a_program_that_the_guest_lacks_is_no_failure_of_the_kernel() {
        let shells = [
            "sh: ndctl: not found",
            "sh: 1: ndctl: not found",
            "sh: line 1: ndctl: command not found",
            "env: 'ndctl': No such file or directory",
        ];
        for said in shells {
            assert!(is_missing(&ran(127, &["Phase 1", said]), None), "{said}");
            // The last program of a pipeline is another.
            assert!(is_missing(&ran(1, &[said]), Some(0)), "{said}");
            // A case may look whether it is there.
            assert!(!is_missing(&ran(127, &[said]), Some(127)), "{said}");
            assert!(!is_missing(&ran(0, &[said]), Some(1)), "{said}");
        }
        assert!(!is_missing(&ran(127, &["ndctl: bad superblock"]), None));
        assert!(!is_missing(
            &ran(2, &["cat: /mnt/ndctl: No such file or directory"]),
            None
        ));
    }
}
