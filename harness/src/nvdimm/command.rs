// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands in which what only a guest knows is still open: as they are hashed for a template's key, and executed in its guest.

use super::stack::Pmem;
use super::{NvdimmError, PREPARATION, QUESTION};
use guest_agent::call::{Outcome, Region, Run, RunResult, SECTOR, Stat};
use guest_agent::victim::Ended;
use machine::guest::agent::Agent;
use serde::{Serialize, Serializer};
use std::fmt;

/// What only the guest knows. NVDIMMs are counted from 0 by rising address; the names and numbers that a kernel gives
/// them follow the order in which it found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// The kernel's number of an NVDIMM's region.
    Region(usize),
    /// The name of an NVDIMM's device, such as `pmem0`. Its size is what its struct pages leave.
    Device(usize),
    /// A length, in sectors.
    Sectors(Length),
    /// The last sector of a length, counted from 0.
    LastSector(Length),
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(nvdimm) => write!(f, "{{region {nvdimm}}}"),
            Self::Device(nvdimm) => write!(f, "{{device {nvdimm}}}"),
            Self::Sectors(length) => write!(f, "{{sectors of {length}}}"),
            Self::LastSector(length) => write!(f, "{{last sector of {length}}}"),
        }
    }
}

impl Open {
    fn find(self, known: Known<'_>) -> Result<String, NvdimmError> {
        Ok(match self {
            Self::Region(nvdimm) => {
                let region = known.regions.get(nvdimm);
                region.ok_or(NvdimmError::NoNvdimm(nvdimm))?.number.to_string()
            }
            Self::Device(nvdimm) => known.pmem(nvdimm)?.device.clone(),
            Self::Sectors(length) => (length.bytes(known)? / SECTOR).to_string(),
            Self::LastSector(length) => (length.bytes(known)? / SECTOR).saturating_sub(1).to_string(),
        })
    }
}

/// A number of bytes that depends on the sizes of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Length {
    /// All of an NVDIMM's device but so many bytes.
    AllBut {
        /// The NVDIMM.
        nvdimm: usize,
        /// Bytes.
        bytes: u64,
    },
    /// As many whole chunks of the first `count` NVDIMMs' devices as the shortest has, of each.
    Chunks {
        /// How many NVDIMMs.
        count: usize,
        /// Bytes of a chunk.
        chunk: u64,
    },
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllBut { nvdimm, bytes } => write!(f, "device {nvdimm} but {bytes} bytes"),
            Self::Chunks { count, chunk } => write!(f, "chunks of {chunk} bytes on {count} devices"),
        }
    }
}

impl Length {
    pub(super) fn bytes(self, known: Known<'_>) -> Result<u64, NvdimmError> {
        match self {
            Self::AllBut { nvdimm, bytes } => Ok(known.pmem(nvdimm)?.size.saturating_sub(bytes)),
            Self::Chunks { count, chunk } => {
                let mut shortest = u64::MAX;
                for nvdimm in 0..count {
                    shortest = shortest.min(known.pmem(nvdimm)?.size);
                }
                Ok(shortest / chunk * chunk * count as u64)
            }
        }
    }
}

/// What is known of a guest by now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// Its regions, by rising address.
    pub(super) regions: &'a [Region],
    /// Its pmem devices, by rising address.
    pub(super) pmems: &'a [Pmem],
}

impl<'a> Known<'a> {
    pub(super) fn pmem(self, nvdimm: usize) -> Result<&'a Pmem, NvdimmError> {
        self.pmems.get(nvdimm).ok_or(NvdimmError::NoNvdimm(nvdimm))
    }
}

/// A text of which some is still open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Open(Open),
}

impl Text {
    /// This and something behind it.
    pub(super) fn then(mut self, more: impl Into<Text>) -> Self {
        self.0.extend(more.into().0);
        self
    }

    /// As it is in a guest.
    pub(super) fn close(&self, known: Known<'_>) -> Result<String, NvdimmError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Fixed(fixed) => text.push_str(fixed),
                Piece::Open(open) => text.push_str(&open.find(known)?),
            }
        }
        Ok(text)
    }
}

impl From<&str> for Text {
    fn from(fixed: &str) -> Self {
        Self(vec![Piece::Fixed(fixed.to_owned())])
    }
}

impl From<Open> for Text {
    fn from(open: Open) -> Self {
        Self(vec![Piece::Open(open)])
    }
}

impl fmt::Display for Text {
    /// With the open pieces in braces; a brace that is a text's own is doubled, so that none passes for the other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Fixed(fixed) => f.write_str(&fixed.replace('{', "{{"))?,
                Piece::Open(open) => write!(f, "{open}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A program with its arguments. There is no other way to have one run while a guest is brought into its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Command(Vec<Text>);

impl Command {
    /// A program and its first arguments.
    pub(super) fn new(words: &[&str]) -> Self {
        Self(Vec::new()).words(words)
    }

    /// With more arguments.
    pub(super) fn words(mut self, words: &[&str]) -> Self {
        self.0.extend(words.iter().map(|&word| Text::from(word)));
        self
    }

    /// With another argument, of which some is still open.
    pub(super) fn word(mut self, word: impl Into<Text>) -> Self {
        self.0.push(word.into());
        self
    }

    /// As it is in a guest.
    pub(super) fn close(&self, known: Known<'_>) -> Result<Vec<String>, NvdimmError> {
        self.0.iter().map(|word| word.close(known)).collect()
    }

    /// Runs it, and it must succeed.
    pub(super) async fn run(&self, agent: &Agent, known: Known<'_>) -> Result<RunResult, NvdimmError> {
        let argv = self.close(known)?;
        let command = argv.join(" ");
        let call = Run {
            argv,
            deadline_ms: None,
        };
        let result = agent.call(call, PREPARATION).await?;
        if result.ended == Some(Ended::Exited(0)) {
            return Ok(result);
        }
        let said = [complaint(&result.stderr), complaint(&result.stdout)].join(" ");
        Err(NvdimmError::Tool {
            command,
            ended: result
                .ended
                .map_or("it had to be killed at its deadline".to_owned(), |ended| {
                    ended.to_string()
                }),
            said: said.trim().to_owned(),
        })
    }
}

/// One of the things that are done one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    /// A program is run.
    Run(Command),
    /// A path must be there.
    Require {
        /// The path.
        path: Text,
        /// What the kernel lacks otherwise.
        lacks: &'static str,
    },
}

impl Action {
    /// Fails with [`NvdimmError::Lacks`] if something that must be there is not.
    async fn take(&self, agent: &Agent, known: Known<'_>) -> Result<(), NvdimmError> {
        match self {
            Self::Run(command) => command.run(agent, known).await.map(drop),
            Self::Require { path, lacks } => {
                let call = Stat {
                    path: path.close(known)?,
                    follow: true,
                };
                match agent.call(call, QUESTION).await? {
                    Outcome::Done(_) => Ok(()),
                    Outcome::Refused(_) => Err(NvdimmError::Lacks((*lacks).to_owned())),
                }
            }
        }
    }
}

/// Takes these actions, up to the first that fails.
pub(super) async fn take(actions: &[Action], agent: &Agent, known: Known<'_>) -> Result<(), NvdimmError> {
    for action in actions {
        action.take(agent, known).await?;
    }
    Ok(())
}

/// What a program complains of, without the list of its options that many print behind it.
fn complaint(said: &str) -> String {
    let is_usage = |line: &&str| line.trim_start().to_lowercase().starts_with("usage");
    let lines = said.trim().lines();
    let complaint: Vec<&str> = lines.clone().take_while(|line| !is_usage(line)).collect();
    if complaint.is_empty() {
        return lines.take(1).collect();
    }
    complaint.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::address::GuestPhysical;

    #[test]
    fn a_complaint_is_told_without_all_options() {
        let mkfs =
            "unknown option -m bogus\nUsage: mkfs.xfs\n/* blocksize */\t\t[-b size=num]\n/* metadata */ …\n";
        assert_eq!(complaint(mkfs), "unknown option -m bogus");
        let ndctl = "  Error: invalid size\n  one more line\n\n usage: ndctl create-namespace [<options>]\n\n    -t, --type <type>\n";
        assert_eq!(complaint(ndctl), "Error: invalid size\n  one more line\n");
        assert_eq!(
            complaint("usage: xfs_io [-c cmd]\n  [-f]\n"),
            "usage: xfs_io [-c cmd]"
        );
        assert_eq!(complaint(""), "");
    }

    fn pmem(device: &str, size: u64) -> Pmem {
        Pmem {
            device: device.to_owned(),
            data_start: GuestPhysical(1 << 32),
            size,
        }
    }

    #[test]
    fn what_is_executed_is_what_is_hashed_but_for_what_the_guest_knows() {
        let length = Length::AllBut {
            nvdimm: 1,
            bytes: 4096,
        };
        let text = Text::from("/dev/").then(Open::Device(1)).then("p1");
        let command = Command::new(&["fdisk", "{device 1}"])
            .word(text)
            .word(Open::Sectors(length))
            .word(Open::LastSector(length));
        let hashed = serde_json::to_string(&command).unwrap();
        assert_eq!(
            hashed,
            r#"["fdisk","{{device 1}","/dev/{device 1}p1","{sectors of device 1 but 4096 bytes}","{last sector of device 1 but 4096 bytes}"]"#
        );
        let pmems = [pmem("pmem1", 1 << 20), pmem("pmem0", 8192)];
        let known = Known {
            regions: &[],
            pmems: &pmems,
        };
        let executed = command.close(known).unwrap();
        assert_eq!(executed, ["fdisk", "{device 1}", "/dev/pmem0p1", "8", "7"]);
        let error = command.close(Known::default()).unwrap_err().to_string();
        assert!(error.contains("NVDIMM 1"), "{error}");
    }

    #[test]
    fn the_shortest_device_says_how_many_chunks_there_are() {
        let pmems = [pmem("pmem1", 100 << 20), pmem("pmem0", (100 << 20) - 4096)];
        let known = Known {
            regions: &[],
            pmems: &pmems,
        };
        let (count, chunk) = (2, 256 << 10);
        let length = Length::Chunks { count, chunk }.bytes(known).unwrap();
        assert_eq!(length, 2 * ((100 << 20) - chunk));
    }
}
