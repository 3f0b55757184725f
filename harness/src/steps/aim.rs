// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding the pages that a case means, without reading an inode in or faulting a page in if that can be avoided.

use super::victims::spot;
use super::{Scene, Trouble};
use crate::nvdimm::{self, Dax, NvdimmError, Part as Device, path_of};
use crate::places::{Memory, Page, Part, Structure, Wanted, choose, data_at, page_starts, part, structure};
use guest_agent::MOUNT_POINT;
use guest_agent::address::{FileOffset, FsOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::{
    AskQuota, AskVictim, Geometry, Outcome as Answer, Space, SpaceMap, Stat, WOULD_WAIT, Whereabouts,
};
use nix::errno::Errno;
use std::fmt;
use testcases::{CharacterDevice, FilePath, Mapped, MarkSpec, Place, Target, VictimPlace};
use verdict::judge::describe_filesystem;
use verdict::observe::evidence::StepEvidence;

/// The most pages that one injection may hit in turn.
const MOST_PAGES: u64 = 4096;
/// What a filesystem that is shut down answers.
const SHUT_DOWN: i32 = Errno::EIO as i32;

impl Scene<'_> {
    /// Every page of the target, in order; at least one.
    pub(super) async fn aim(&mut self, target: &Target) -> Result<Vec<Page>, Trouble> {
        match target {
            Target::File {
                file,
                offset,
                length,
                dax,
            } => {
                self.require_dax(Some(file), *dax).await?;
                let space = self.space().await?;
                let mut pages = Vec::new();
                for byte in range(offset.0, length.map(|length| length.0))? {
                    let (device, at) = self.place_of_byte(space.as_ref(), file, FileOffset(byte)).await?;
                    pages.push(
                        self.memory()
                            .of_device(device, at)
                            .map_err(Trouble::NoSuchTarget)?,
                    );
                }
                Ok(pages)
            }
            Target::Victim { at, length } => self.pages_of_victim(at, length.map(|length| length.0)).await,
            Target::Device { of, offset, length } => range(offset.0, length.map(|length| length.0))?
                .map(|byte| self.memory().of_device(device(*of), FsOffset(byte)))
                .collect::<Result<_, _>>()
                .map_err(Trouble::NoSuchTarget),
            Target::Pfn(pfn) => {
                let at = GuestPhysical(pfn.saturating_mul(PAGE_SIZE));
                Ok(vec![self.memory().of_physical(at)])
            }
            Target::Mark(name) => match self.marks.get(name.as_str()) {
                Some(page) => Ok(vec![*page]),
                None => Err(Trouble::NoSuchTarget(format!("nothing was marked as {name}"))),
            },
            target => {
                self.require_dax(None, true).await?;
                let wanted = self.wanted(target).await?;
                let space = self.space().await?.ok_or_else(|| {
                    Trouble::NoSuchTarget("nothing that could be hit is mounted".to_owned())
                })?;
                let at = choose(&space, wanted).map_err(Trouble::NoSuchTarget)?;
                let page = self.memory().of_device(Device::Data, at);
                Ok(vec![page.map_err(Trouble::NoSuchTarget)?])
            }
        }
    }

    /// What is looked for in the space map.
    async fn wanted(&mut self, target: &Target) -> Result<Wanted, Trouble> {
        let in_group = |ag, holds| Ok(Wanted::Group { ag, holds });
        match target {
            Target::GroupMetadata { kind, ag } => in_group(*ag, structure(*kind)),
            Target::FreeSpace { ag } => in_group(*ag, Structure::Free),
            Target::CowStaging { ag } => in_group(*ag, Structure::CowStaging),
            Target::Log => Ok(Wanted::Log),
            Target::LastBlockOfGroup { ag } => Ok(Wanted::LastOfGroup { ag: *ag }),
            Target::LastBlockOfDevice => Ok(Wanted::LastOfDevice),
            Target::FileMetadata { kind, file } => Ok(Wanted::Inode {
                number: self.inode(file).await?,
                holds: part(*kind),
            }),
            Target::Quota => Ok(Wanted::Inode {
                number: self.quota_inode().await?,
                holds: Part::FirstData,
            }),
            Target::Unwritten { file } => Ok(Wanted::Inode {
                number: self.inode(file).await?,
                holds: Part::Unwritten,
            }),
            _ => Err(Trouble::Harness(
                "this target is not looked for in the space map; this is a fault of taster's own".to_owned(),
            )),
        }
    }

    /// Who owns what; `None` when the filesystem is not at the mount point, or it is shut down.
    pub(super) async fn space(&self) -> Result<Option<Space>, Trouble> {
        if self.mount_state().await?.whereabouts != Whereabouts::Here {
            return Ok(None);
        }
        let at = MOUNT_POINT.to_owned();
        match self.call(SpaceMap { at }).await? {
            Answer::Done(space) => Ok(Some(space)),
            Answer::Refused(refusal) if refusal.errno == SHUT_DOWN => Ok(None),
            Answer::Refused(refusal) if refusal.errno == WOULD_WAIT => Err(Trouble::NoSuchTarget(
                "who owns which block cannot be asked while the device below the filesystem is suspended"
                    .to_owned(),
            )),
            Answer::Refused(refusal) => Err(NvdimmError::NoSpaceMap(refusal).into()),
        }
    }

    /// Remembers the one page of a target.
    pub(super) async fn mark(&mut self, mark: &MarkSpec) -> Result<StepEvidence, Trouble> {
        self.learn_inodes().await?;
        let pages = self.aim(&mark.at).await?;
        let page = pages.first().ok_or_else(|| {
            Trouble::NoSuchTarget(format!("nothing is there to be marked as {}", mark.name))
        })?;
        self.marks.insert(mark.name.as_str().to_owned(), *page);
        Ok(StepEvidence::Done)
    }

    /// The inode that keeps the users' quotas; none without a mount option that asks for them.
    async fn quota_inode(&self) -> Result<u64, Trouble> {
        let device = self.stack.device().to_owned();
        match self.call(AskQuota { device }).await? {
            Answer::Done(inodes) => inodes.user.ok_or_else(|| {
                Trouble::NoSuchTarget("the filesystem keeps no user quota: mount it with `uquota`".to_owned())
            }),
            Answer::Refused(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    /// The number of a file's inode, from memory if possible.
    async fn inode(&mut self, file: &FilePath) -> Result<u64, Trouble> {
        if let Some(number) = self.names.get(file.as_str()).and_then(|named| named.inode) {
            return Ok(number);
        }
        self.names.touch(file.as_str());
        let call = Stat {
            path: path_of(file.as_str()),
            follow: false,
        };
        match self.call(call).await? {
            Answer::Done(status) if self.is_under_test(status.device) => {
                self.names.number(file.as_str(), status.inode);
                Ok(status.inode)
            }
            Answer::Done(_) => Err(self.lies_elsewhere(path_of(file.as_str()))),
            Answer::Refused(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    /// Where a byte of a file lies: by the reverse mapping, which reads in no inode; a filesystem without one has to be asked
    /// by way of the file.
    pub(super) async fn place_of_byte(
        &mut self,
        space: Option<&Space>,
        file: &FilePath,
        byte: FileOffset,
    ) -> Result<(Device, FsOffset), Trouble> {
        let number = self.inode(file).await?;
        if let Some(at) = space.and_then(|space| data_at(space, number, byte)) {
            return Ok((Device::Data, at));
        }
        self.names.touch(file.as_str());
        let path = path_of(file.as_str());
        let found = nvdimm::resolve(&self.guest.agent, self.stack, &path, byte, false).await?;
        Ok((found.part, found.fs_offset))
    }

    /// Where she has them; where she has none present, the bytes of the file that would be there.
    async fn pages_of_victim(&mut self, at: &VictimPlace, length: Option<u64>) -> Result<Vec<Page>, Trouble> {
        let mut pages = Vec::new();
        for byte in range(at.place.at.0, length)? {
            let place = Place {
                map: at.place.map,
                at: testcases::Bytes(byte),
            };
            pages.push(self.page_of_victim(at.victim.as_str(), place).await?);
        }
        Ok(pages)
    }

    async fn page_of_victim(&mut self, name: &str, place: Place) -> Result<Page, Trouble> {
        let call = AskVictim {
            name: name.to_owned(),
            pages: vec![spot(place)],
        };
        let state = self.call(call).await?;
        match state.pages.first() {
            Some(page) => {
                if let Some(physical) = page.entry.physical {
                    return Ok(self.memory().of_physical(physical));
                }
            }
            None if state.ended.is_none() => {
                return Err(Trouble::NoSuchTarget(format!(
                    "{name} has nothing mapped at {place}: her mapping ends before it, or she has given it up"
                )));
            }
            None => {}
        }
        let not_there = || Trouble::NoSuchTarget(format!("{name} has nothing mapped at {place}"));
        let victim = self.victims.get(name).ok_or_else(not_there)?;
        let index = usize::try_from(place.map).unwrap_or(usize::MAX);
        let spec = victim.spec.maps.get(index).ok_or_else(not_there)?;
        let byte = spec.offset.0 + place.at.0;
        let (device, at) = match spec.of.clone() {
            Mapped::File(file) => {
                let space = self.space().await?;
                self.place_of_byte(space.as_ref(), &file, FileOffset(byte))
                    .await
                    .map_err(|trouble| match trouble {
                        Trouble::NoSuchTarget(why) => {
                            Trouble::NoSuchTarget(format!("{name} has no page present at {place}, and {why}"))
                        }
                        other => other,
                    })?
            }
            Mapped::Device(CharacterDevice::Dax) => (Device::Data, FsOffset(byte)),
        };
        self.memory().of_device(device, at).map_err(Trouble::NoSuchTarget)
    }

    pub(super) fn memory(&self) -> Memory<'_> {
        let bytes = |blocks: u64, geometry: Geometry| blocks * u64::from(geometry.block_size);
        let external = self.geometry.filter(|geometry| !geometry.log_internal);
        Memory {
            stack: self.stack,
            nvdimms: &self.nvdimms,
            filesystem: self
                .geometry
                .map(|geometry| bytes(geometry.data_blocks, geometry)),
            log: external.map(|geometry| bytes(u64::from(geometry.log_blocks), geometry)),
        }
    }

    /// A file that is not on the filesystem under test.
    pub(super) fn lies_elsewhere(&self, what: impl fmt::Display) -> Trouble {
        let device = self.stack.device();
        Trouble::NoSuchTarget(format!(
            "{what} lies on another filesystem than the one under test, which is on {device}"
        ))
    }

    /// Without DAX the page is one of the page cache, and everything that follows would be about something else; unless the
    /// case wants just that, and then it has to be so.
    async fn require_dax(&mut self, file: Option<&FilePath>, wanted: bool) -> Result<(), Trouble> {
        let mount = self.mount_state().await?;
        if mount.whereabouts != Whereabouts::Here {
            let seen = describe_filesystem(&self.filesystem_of(&mount).await?);
            return Err(Trouble::NoSuchTarget(format!(
                "a place in the filesystem under test, and that is {seen}"
            )));
        }
        let (dax, what) = match file {
            // What nothing has looked up since the mount must stay so: then the mount's own proof has to do.
            Some(file) if !self.names.is_untouched(file.as_str()) => {
                let path = path_of(file.as_str());
                let call = Stat {
                    path: path.clone(),
                    follow: true,
                };
                match self.call(call).await? {
                    Answer::Done(status) if self.is_under_test(status.device) => {
                        let dax = if status.dax { Dax::Proved } else { Dax::Absent };
                        (dax, path)
                    }
                    Answer::Done(_) => return Err(self.lies_elsewhere(path)),
                    Answer::Refused(refusal) => return Err(Trouble::Refused(refusal)),
                }
            }
            _ => (self.mounting.dax, MOUNT_POINT.to_owned()),
        };
        let options = &self.mounting.options;
        match (dax, wanted) {
            (Dax::Proved, true) | (Dax::Absent, false) => Ok(()),
            (Dax::Absent, true) => Err(Trouble::Untestable(format!(
                "{what} is not DAX (statx shows no STATX_ATTR_DAX; mount options: {options}): a memory error there would hit \
                 the page cache"
            ))),
            (Dax::Proved, false) => Err(Trouble::Untestable(format!(
                "{what} is DAX (statx shows STATX_ATTR_DAX; mount options: {options}), and the case wants it not to be"
            ))),
        }
    }
}

fn range(offset: u64, length: Option<u64>) -> Result<impl Iterator<Item = u64>, Trouble> {
    match length {
        Some(length) if length / PAGE_SIZE > MOST_PAGES => Err(Trouble::Harness(format!(
            "{} pages are more than one injection hits in turn ({MOST_PAGES})",
            length / PAGE_SIZE
        ))),
        _ => Ok(page_starts(offset, length)),
    }
}

/// A device as the stack knows it.
pub(super) const fn device(of: testcases::Device) -> Device {
    match of {
        testcases::Device::Data => Device::Data,
        testcases::Device::Log => Device::Log,
        testcases::Device::Realtime => Device::Realtime,
    }
}
