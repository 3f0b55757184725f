// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case does to files, processes and mounts.

use super::{OPERATION, Scene, Trouble, Victim};
use crate::guest::agent::CallError;
use crate::nvdimm::{self, MOUNT_POINT, path_of};
use crate::observe::evidence::{StepEvidence, Tried, VictimView};
use guest_agent::address::FileOffset;
use guest_agent::call::{
    Contents, CreateFile, MarkTrace, Outcome, ReadAt, Reflink, ReleaseVictim, StartVictim, Stat, Unmount,
    VictimStarted, WriteAt, WriteFile,
};
use guest_agent::victim::KillPolicy as GuestPolicy;
use testcases::{Action, Expect, KillPolicy, Operation, VictimSpec};

impl Scene<'_> {
    pub(super) async fn act(&mut self, action: &Action) -> Result<StepEvidence, Trouble> {
        match action {
            Action::Write(write) => {
                let path = path_of(write.file.as_str());
                let call = WriteFile {
                    path,
                    size: write.size.0,
                    fill: write.fill,
                };
                Ok(done(self.call(call).await?))
            }
            Action::Reflink(link) => {
                let call = Reflink {
                    from: path_of(link.from.as_str()),
                    to: path_of(link.to.as_str()),
                };
                Ok(done(self.call(call).await?))
            }
            Action::Victim(spec) => self.start_victim(spec).await,
            Action::Release(release) => {
                for name in &release.victims {
                    let state = self
                        .call(ReleaseVictim {
                            name: name.as_str().to_owned(),
                        })
                        .await?;
                    if let Some(victim) = self.victims.get_mut(name.as_str()) {
                        victim.hear(state);
                        victim.released = true;
                    }
                }
                Ok(StepEvidence::Done)
            }
            Action::Inject(injection) => self.inject(injection).await,
            Action::Unmount(_) => Ok(done(self.unmount().await?)),
            Action::Mount(mount) => {
                let options = mount.options.clone();
                Ok(done(self.mount(options).await?))
            }
            Action::Expect(Expect::State(_)) => Ok(StepEvidence::State(self.observe().await?)),
            Action::Expect(Expect::Operation { operation, .. }) => {
                Ok(StepEvidence::Operation(self.operate(operation).await?))
            }
        }
    }

    async fn start_victim(&mut self, spec: &VictimSpec) -> Result<StepEvidence, Trouble> {
        let touches = FileOffset(spec.touches.0);
        let call = StartVictim {
            name: spec.name.as_str().to_owned(),
            path: path_of(spec.maps.as_str()),
            touches: vec![touches],
            policy: match spec.kill {
                KillPolicy::Early => GuestPolicy::Early,
                KillPolicy::Late => GuestPolicy::Late,
                KillPolicy::Default => GuestPolicy::Default,
            },
        };
        match self.call(call).await? {
            VictimStarted::Refused(refusal) => Ok(StepEvidence::Refused(refusal)),
            // A first load that faulted is in the victim's record of signals, where the judge reads it.
            VictimStarted::Running { pid, .. } => {
                let view = VictimView {
                    pid,
                    ended: None,
                    signals: Vec::new(),
                    before: 0,
                    pending: 0,
                };
                let victim = Victim {
                    file: spec.maps.as_str().to_owned(),
                    touches,
                    view,
                    released: false,
                };
                self.victims.insert(spec.name.as_str().to_owned(), victim);
                Ok(StepEvidence::Done)
            }
        }
    }

    pub(super) async fn unmount(&mut self) -> Result<Outcome<()>, CallError> {
        let outcome = self
            .call(Unmount {
                at: MOUNT_POINT.to_owned(),
            })
            .await?;
        if outcome == Outcome::Done(()) {
            self.mounted = false;
        }
        Ok(outcome)
    }

    pub(super) async fn mount(&mut self, options: Option<String>) -> Result<Outcome<()>, Trouble> {
        let options = options.unwrap_or_else(|| self.mount_options.clone());
        let mark = self.call(MarkTrace {}).await?;
        let outcome = nvdimm::mount(&self.guest.agent, self.stack, &options, OPERATION).await?;
        if outcome == Outcome::Done(()) {
            self.mounted = true;
            self.mounted_since = mark;
            self.mount_options = options;
            self.dax = nvdimm::still_dax(&self.guest.agent).await?;
        }
        Ok(outcome)
    }

    pub(super) async fn operate(&mut self, operation: &Operation) -> Result<Tried, Trouble> {
        let nothing = |()| None;
        Ok(match operation {
            Operation::Read { file, offset, length } => {
                let (path, offset) = (path_of(file.as_str()), FileOffset(offset.0));
                tried(
                    self.call(ReadAt {
                        path,
                        offset,
                        length: length.0,
                    })
                    .await?,
                    Some,
                )
            }
            Operation::Write {
                file,
                offset,
                length,
                fill,
            } => {
                let (path, offset) = (path_of(file.as_str()), FileOffset(offset.0));
                tried(
                    self.call(WriteAt {
                        path,
                        offset,
                        length: length.0,
                        fill: *fill,
                    })
                    .await?,
                    nothing,
                )
            }
            Operation::Create { file } => tried(
                self.call(CreateFile {
                    path: path_of(file.as_str()),
                })
                .await?,
                nothing,
            ),
            Operation::Stat { file } => tried(
                self.call(Stat {
                    path: path_of(file.as_str()),
                })
                .await?,
                |_size| None,
            ),
            Operation::Mount { options } => tried(self.mount(options.clone()).await?, nothing),
            Operation::Unmount => tried(self.unmount().await?, nothing),
        })
    }
}

fn done(outcome: Outcome<()>) -> StepEvidence {
    match outcome {
        Outcome::Done(()) => StepEvidence::Done,
        Outcome::Refused(refusal) => StepEvidence::Refused(refusal),
    }
}

fn tried<T>(outcome: Outcome<T>, keep: impl FnOnce(T) -> Option<Contents>) -> Tried {
    match outcome {
        Outcome::Done(value) => Tried::Succeeded(keep(value)),
        Outcome::Refused(refusal) => Tried::Refused(refusal),
    }
}
