// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that run in the guest, and files of the kernel that are written.

use super::{OPERATION, Scene, Trouble};
use crate::nvdimm::{MOUNT_POINT, Stack};
use crate::observe::evidence::{Brought, Tried};
use guest_agent::call::{Outcome as Answer, Run, WriteKernelFile};
use std::time::Duration;
use testcases::Operation;

/// Checking a filesystem of a gibibyte takes an emulated processor seconds.
const REPAIR: Duration = Duration::from_secs(120);
/// What the agent may need beyond a program's own time, to kill it and to tell.
const GRACE: Duration = Duration::from_secs(15);

impl Scene<'_> {
    pub(super) async fn command(&mut self, operation: &Operation) -> Result<Tried, Trouble> {
        match operation {
            Operation::Repair => self.run(check(self.stack), REPAIR).await,
            Operation::Run(run) => {
                let folder = if self.mounting.mounted { MOUNT_POINT } else { "/" };
                let time = run.timeout.duration();
                self.run(in_shell(&run.command, folder, &self.variables()), time)
                    .await
            }
            Operation::Sysctl { values } => {
                for (name, value) in values {
                    let path = format!("/proc/sys/{}", name.replace('.', "/"));
                    if let refused @ Tried::Refused(_) = self.write_kernel_file(path, value).await? {
                        return Ok(refused);
                    }
                }
                Ok(Tried::Succeeded(Brought::Nothing))
            }
            Operation::Set(set) => self.write_kernel_file(set.file.clone(), &set.to).await,
            _ => Err(Trouble::Harness(
                "this step is no command; this is a fault of taster's own".to_owned(),
            )),
        }
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
