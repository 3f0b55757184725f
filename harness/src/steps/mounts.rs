// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to the mount.

use super::operate::brought;
use super::{OPERATION, Scene, Trouble};
use crate::nvdimm::{self, Dax, NvdimmError};
use guest_agent::MOUNT_POINT;
use guest_agent::call::{
    AskBlockDevice, AskMount, BlockDevice, ChangeMount, GoingDown, MarkTrace, MountChange, MountState,
    Outcome as Answer, Unmount, Whereabouts,
};
use machine::guest::agent::CallError;
use nix::errno::Errno;
use testcases::{Flush, MountOperation, Operation, Template, Xfs};
use verdict::observe::evidence::{Brought, Tried};

/// The filesystem under test, as far as the harness has a hand in it. Whether it is there, and where, only the kernel knows.
#[derive(Debug)]
pub(super) struct Mounting {
    /// Trace lines before the latest mount.
    pub(super) since: usize,
    /// The options of the latest mount.
    pub(super) options: String,
    /// Whether a file that is made in it is DAX.
    pub(super) dax: Dax,
    /// Whether the case has frozen it.
    pub(super) frozen: bool,
}

impl Mounting {
    /// As a template leaves it.
    pub(super) fn of_template(template: &Template) -> Self {
        let options = match template {
            Template::Xfs(xfs) => xfs.mount.clone(),
            Template::Unmounted { .. } | Template::Devdax { .. } => Xfs::default().mount,
        };
        Self {
            since: 0,
            options,
            dax: Dax::Absent,
            frozen: false,
        }
    }
}

impl Scene<'_> {
    /// Where the kernel says that the filesystem under test is.
    pub(super) async fn mount_state(&self) -> Result<MountState, CallError> {
        let at = MOUNT_POINT.to_owned();
        let device = self.device.clone();
        self.call(AskMount { at, device }).await
    }

    /// The device that a filesystem would be on, as the kernel knows it now; none where there is but a character device.
    pub(super) async fn block_device(&self) -> Result<Option<BlockDevice>, Trouble> {
        const NO_BLOCK_DEVICE: i32 = Errno::ENOTBLK as i32;
        let path = self.stack.device().to_owned();
        match self.call(AskBlockDevice { path }).await? {
            Answer::Done(device) => Ok(Some(device)),
            Answer::Refused(refusal) if refusal.errno == NO_BLOCK_DEVICE => Ok(None),
            Answer::Refused(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    /// Whether a file lies on the filesystem under test: the number of a device, as statx(2) tells it of the file.
    pub(super) fn is_under_test(&self, device: u32) -> bool {
        self.device.as_ref().is_some_and(|ours| ours.number == device)
    }

    pub(super) async fn mount_operation(&mut self, operation: &MountOperation) -> Result<Tried, Trouble> {
        match operation {
            MountOperation::Mount(spec) => self.mount(spec.options.clone()).await,
            MountOperation::Unmount => self.unmount().await,
            MountOperation::Remount { options } => {
                let change = MountChange::Remount {
                    options: options.clone(),
                };
                let tried = self.change(change).await?;
                if matches!(tried, Tried::Succeeded(_)) {
                    self.mounting.options.clone_from(options);
                }
                Ok(tried)
            }
            MountOperation::Freeze => self.freeze(MountChange::Freeze, true).await,
            MountOperation::Thaw => self.freeze(MountChange::Thaw, false).await,
            MountOperation::Shutdown { flush } => {
                self.change(MountChange::ShutDown(match flush {
                    Flush::Default => GoingDown::Default,
                    Flush::Log => GoingDown::LogFlush,
                    Flush::Nolog => GoingDown::NoLogFlush,
                }))
                .await
            }
            MountOperation::Repair => self.repair().await,
        }
    }

    async fn freeze(&mut self, change: MountChange, frozen: bool) -> Result<Tried, Trouble> {
        let tried = self.change(change).await?;
        if matches!(tried, Tried::Succeeded(_)) {
            self.mounting.frozen = frozen;
        }
        Ok(tried)
    }

    /// Fails where a mount that must succeed was refused for want of something that this kernel has not got: no fault of its own.
    pub(super) async fn can_mount(&self, operation: &Operation, tried: &Tried) -> Result<(), Trouble> {
        let mounts = match operation {
            Operation::Mount(operation) => match operation {
                MountOperation::Mount(_) | MountOperation::Remount { .. } => true,
                MountOperation::Unmount
                | MountOperation::Freeze
                | MountOperation::Thaw
                | MountOperation::Shutdown { .. }
                | MountOperation::Repair => false,
            },
            Operation::File(_) | Operation::System(_) | Operation::Victim(_) => false,
        };
        let (true, Tried::Refused(refusal)) = (mounts, tried) else {
            return Ok(());
        };
        match nvdimm::lacking_for_mount(&self.guest.agent, refusal, self.log_since).await? {
            Some(lack) => Err(Trouble::Untestable(format!("this kernel lacks {lack}"))),
            None => Ok(()),
        }
    }

    async fn change(&self, change: MountChange) -> Result<Tried, Trouble> {
        let at = MOUNT_POINT.to_owned();
        Ok(brought(self.call(ChangeMount { at, change }).await?, |()| {
            Brought::Nothing
        }))
    }

    async fn unmount(&mut self) -> Result<Tried, Trouble> {
        self.learn_inodes().await?;
        let at = MOUNT_POINT.to_owned();
        let answer = self.call(Unmount { at }).await?;
        if answer == Answer::Done(()) {
            self.mounting.frozen = false;
        }
        Ok(brought(answer, |()| Brought::Nothing))
    }

    async fn mount(&mut self, options: Option<String>) -> Result<Tried, Trouble> {
        let options = options.unwrap_or_else(|| self.mounting.options.clone());
        let since = self.call(MarkTrace {}).await?;
        let before = self.mount_state().await?.whereabouts;
        let answer = nvdimm::mount(&self.guest.agent, self.stack, &options, OPERATION).await?;
        if answer == Answer::Done(()) {
            // A superblock that was there all the time, bound elsewhere or detached, has forgotten nothing.
            let fresh = before == Whereabouts::Nowhere;
            if fresh {
                self.names.mounted();
            }
            // One that was unbound and bound again may have another number.
            self.device = self.block_device().await?;
            self.mounting = Mounting {
                since: if fresh { since } else { self.mounting.since },
                options,
                dax: self.proof_of_dax().await?,
                frozen: self.mounting.frozen && !fresh,
            };
            if let geometry @ Some(_) = self.mount_state().await?.geometry {
                self.geometry = geometry;
            }
        }
        Ok(brought(answer, |()| Brought::Nothing))
    }

    /// Is a file of this mount DAX? The proof that every template has may be gone: a case may have made another filesystem, and
    /// what is mounted may not be readable at all. What cannot be proved is not taken for DAX.
    async fn proof_of_dax(&self) -> Result<Dax, Trouble> {
        const NOT_THERE: i32 = 2;
        let agent = &self.guest.agent;
        let proof = match nvdimm::still_dax(agent).await {
            Err(NvdimmError::Proof(refusal)) if refusal.errno == NOT_THERE => {
                nvdimm::prove_dax(agent, self.stack).await
            }
            other => other,
        };
        match proof {
            Ok(dax) => Ok(dax),
            Err(NvdimmError::Proof(_)) => Ok(Dax::Absent),
            Err(other) => Err(other.into()),
        }
    }
}
