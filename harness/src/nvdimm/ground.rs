// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lies between a filesystem and the pmem devices: nothing, a partition, or a device-mapper device.

use super::NvdimmError;
use super::command::{Action, Command, Known, Length, Open, Text};
use super::stack::Map;
use guest_agent::address::DeviceOffset;
use guest_agent::call::SECTOR;
use machine::guest::agent::Agent;
use serde::Serialize;
use testcases::Ground;

/// What a partition and a dm-linear device leave out at the beginning, and a partition at the end as well: enough for any
/// alignment, and never nothing, or offsets could be confused without anybody's noticing.
const LEFT_OUT: u64 = 1 << 20;
/// A chunk of a stripe: whole pages, and several in any file.
const CHUNK: u64 = 256 << 10;
/// The device-mapper device.
const NAME: &str = "taster";

/// The data device of a filesystem: how it is made, and how its bytes lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Data {
    /// How many NVDIMMs it lies on, from the first one on.
    pub(super) nvdimms: usize,
    /// What makes it.
    pub(super) make: Vec<Action>,
    /// Its path.
    pub(super) device: Text,
    /// How its bytes lie.
    pub(super) layout: Layout,
}

/// How the bytes of a data device lie on the NVDIMMs' devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Layout {
    /// As those of the first, beginning in its sector that `start` prints, and as many sectors as `size` prints.
    Printed { start: Command, size: Command },
    /// As those of the first, so many bytes from `start` on.
    Linear { start: DeviceOffset, length: Length },
    /// In turns.
    Striped {
        count: usize,
        chunk: u64,
        length: Length,
    },
}

impl Layout {
    /// In a guest that has the device.
    pub(super) async fn learn(&self, agent: &Agent, known: Known<'_>) -> Result<Map, NvdimmError> {
        match self {
            Self::Printed { start, size } => Ok(Map::Linear {
                start: DeviceOffset(sectors(agent, start, known).await?),
                length: sectors(agent, size, known).await?,
            }),
            Self::Linear { start, length } => Ok(Map::Linear {
                start: *start,
                length: length.bytes(known)?,
            }),
            Self::Striped { count, chunk, length } => Ok(Map::Striped {
                count: *count,
                chunk: *chunk,
                length: length.bytes(known)?,
            }),
        }
    }
}

impl Data {
    /// The one that a case wants.
    pub(super) fn of(on: Ground) -> Self {
        match on {
            Ground::Namespace => Self {
                nvdimms: 1,
                make: Vec::new(),
                device: pmem(0),
                layout: Layout::Linear {
                    start: DeviceOffset(0),
                    length: Length::AllBut { nvdimm: 0, bytes: 0 },
                },
            },
            Ground::Partition => partition(),
            Ground::Linear => linear(),
            Ground::Stripe => striped(),
        }
    }
}

/// The path of an NVDIMM's device.
pub(super) fn pmem(nvdimm: usize) -> Text {
    Text::from("/dev/").then(Open::Device(nvdimm))
}

/// All of the first NVDIMM but [`LEFT_OUT`].
const REST: Length = Length::AllBut {
    nvdimm: 0,
    bytes: LEFT_OUT,
};

/// A DOS partition table with one partition, over all but [`LEFT_OUT`] at either end.
fn partition() -> Data {
    // Busybox's fdisk, counting in sectors: new, primary, number 1, from the first, to the last, write.
    let first = (LEFT_OUT / SECTOR).to_string();
    let script = Text::from("printf 'n\\np\\n1\\n")
        .then(first.as_str())
        .then("\\n")
        .then(Open::LastSector(REST))
        .then("\\nw\\n' | fdisk -u ")
        .then(pmem(0));
    let folder = Text::from("/sys/block/")
        .then(Open::Device(0))
        .then("/")
        .then(Open::Device(0))
        .then("p1");
    let print = |file: &str| Command::new(&["cat"]).word(folder.clone().then(file));
    Data {
        nvdimms: 1,
        layout: Layout::Printed {
            start: print("/start"),
            size: print("/size"),
        },
        make: vec![
            Action::Run(Command::new(&["sh", "-c"]).word(script)),
            Action::Require {
                path: folder,
                lacks: "partitions (MSDOS_PARTITION)",
            },
        ],
        device: pmem(0).then("p1"),
    }
}

/// dm-linear over all but the beginning (`Documentation/admin-guide/device-mapper/linear.rst`).
fn linear() -> Data {
    let table = Text::from("0 ")
        .then(Open::Sectors(REST))
        .then(" linear ")
        .then(pmem(0))
        .then(format!(" {}", LEFT_OUT / SECTOR).as_str());
    let layout = Layout::Linear {
        start: DeviceOffset(LEFT_OUT),
        length: REST,
    };
    mapped(1, table, layout)
}

/// dm-stripe over whole chunks of two NVDIMMs (`Documentation/admin-guide/device-mapper/striped.rst`).
fn striped() -> Data {
    let (count, chunk) = (2, CHUNK);
    let length = Length::Chunks { count, chunk };
    let head = format!(" striped {count} {}", chunk / SECTOR);
    let table = (0..count).fold(
        Text::from("0 ").then(Open::Sectors(length)).then(head.as_str()),
        |table, nvdimm| table.then(" ").then(pmem(nvdimm)).then(" 0"),
    );
    let layout = Layout::Striped { count, chunk, length };
    mapped(count, table, layout)
}

/// A device-mapper device. There is no udev to be waited for, nor to make the node.
fn mapped(nvdimms: usize, table: Text, layout: Layout) -> Data {
    let create = Command::new(&["dmsetup", "create", NAME])
        .words(&["--noudevsync", "--noudevrules", "--table"])
        .word(table);
    let make_node = Command::new(&["dmsetup", "mknodes", "--noudevsync", NAME]);
    let device_mapper = Action::Require {
        path: "/dev/mapper/control".into(),
        lacks: "device-mapper (BLK_DEV_DM)",
    };
    Data {
        nvdimms,
        make: vec![device_mapper, Action::Run(create), Action::Run(make_node)],
        device: format!("/dev/mapper/{NAME}").as_str().into(),
        layout,
    }
}

/// What a command prints, which counts sectors, in bytes.
async fn sectors(agent: &Agent, print: &Command, known: Known<'_>) -> Result<u64, NvdimmError> {
    let text = print.run(agent, known).await?.stdout;
    let count: Option<u64> = text.trim().parse().ok();
    match count.and_then(|count| count.checked_mul(SECTOR)) {
        Some(bytes) => Ok(bytes),
        None => Err(NvdimmError::Language {
            what: print.close(known)?.join(" "),
            text,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvdimm::Pmem;
    use guest_agent::address::GuestPhysical;

    /// The last argument of every program that is run, as it is executed.
    fn executed(data: &Data, pmems: &[Pmem]) -> Vec<String> {
        let known = Known { regions: &[], pmems };
        let commands = data.make.iter().filter_map(|action| match action {
            Action::Run(command) => command.close(known).unwrap().pop(),
            Action::Require { .. } => None,
        });
        commands.collect()
    }

    fn pmems() -> [Pmem; 2] {
        [("pmem1", 100 << 20), ("pmem0", (100 << 20) + 4096)].map(|(device, size)| Pmem {
            device: device.to_owned(),
            data_start: GuestPhysical(1 << 32),
            size,
        })
    }

    #[test]
    fn tables_and_layouts_say_the_same() {
        let pmems = pmems();
        let known = Known {
            regions: &[],
            pmems: &pmems,
        };
        let data = linear();
        assert_eq!(executed(&data, &pmems)[0], "0 202752 linear /dev/pmem1 2048");
        let Layout::Linear { start, length } = data.layout else {
            panic!("{data:?}");
        };
        assert_eq!(start, DeviceOffset(2048 * SECTOR));
        assert_eq!(length.bytes(known).unwrap(), 202_752 * SECTOR);

        let data = striped();
        assert_eq!(
            executed(&data, &pmems)[0],
            "0 409600 striped 2 512 /dev/pmem1 0 /dev/pmem0 0"
        );
        let Layout::Striped { count, chunk, length } = data.layout else {
            panic!("{data:?}");
        };
        assert_eq!((count, chunk), (2, 512 * SECTOR));
        assert_eq!(length.bytes(known).unwrap(), 409_600 * SECTOR);
    }

    #[test]
    fn a_partition_leaves_out_as_much_at_either_end() {
        assert_eq!(
            executed(&partition(), &pmems()),
            [r"printf 'n\np\n1\n2048\n202751\nw\n' | fdisk -u /dev/pmem1"]
        );
    }
}
