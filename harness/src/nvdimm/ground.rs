// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lies between a filesystem and the pmem devices: nothing, a partition, or a device-mapper device.

use super::stack::{Map, Pmem, Stack};
use super::{NvdimmError, QUESTION, tool};
use guest_agent::address::DeviceOffset;
use guest_agent::call::{Outcome, SECTOR, Stat};
use machine::guest::agent::Agent;
use testcases::{Ground, Log, Xfs};

/// What a partition and a dm-linear device leave out at the beginning, and a partition at the end as well: enough for any
/// alignment, and never nothing, or offsets could be confused without anybody's noticing.
const LEFT_OUT: u64 = 1 << 20;
/// A chunk of a stripe: whole pages, and several in any file.
const CHUNK: u64 = 256 << 10;
/// The device-mapper device.
const NAME: &str = "taster";

/// Makes the devices that `xfs` wants on `pmems`, which were made for it: data first, then the log, then realtime.
pub async fn build(agent: &Agent, pmems: Vec<Pmem>, xfs: &Xfs) -> Result<Stack, NvdimmError> {
    let data = match xfs.on {
        Ground::Stripe => 2,
        Ground::Namespace | Ground::Linear | Ground::Partition => 1,
    };
    let mut rest = data..pmems.len();
    let log = (xfs.log == Log::External).then(|| rest.next()).flatten();
    let realtime = xfs.realtime.then(|| rest.next()).flatten();
    let stack = match xfs.on {
        Ground::Namespace => Stack::plain(pmems),
        Ground::Partition => partition(agent, pmems).await?,
        Ground::Linear | Ground::Stripe => mapped(agent, pmems, data).await?,
    };
    Ok(stack.with(log, realtime))
}

/// A DOS partition table with one partition, over all but [`LEFT_OUT`] at either end.
async fn partition(agent: &Agent, pmems: Vec<Pmem>) -> Result<Stack, NvdimmError> {
    let Some(pmem) = pmems.first() else {
        return Ok(Stack::plain(pmems));
    };
    // Busybox's fdisk, counting in sectors: new, primary, number 1, from the first, to the last, write.
    let script = format!(
        "printf 'n\\np\\n1\\n{}\\n{}\\nw\\n' | fdisk -u {}",
        LEFT_OUT / SECTOR,
        (pmem.size.saturating_sub(LEFT_OUT) / SECTOR).saturating_sub(1),
        pmem.path()
    );
    tool(agent, &["sh", "-c", &script]).await?;
    let name = format!("{}p1", pmem.device);
    let folder = format!("/sys/block/{}/{name}", pmem.device);
    require(agent, &folder, "partitions (MSDOS_PARTITION)").await?;
    let start = DeviceOffset(sectors(agent, &format!("{folder}/start")).await?);
    let length = sectors(agent, &format!("{folder}/size")).await?;
    Ok(Stack::new(
        pmems,
        format!("/dev/{name}"),
        Map::Linear { start, length },
    ))
}

/// A device-mapper device over the first `count` of these: one is mapped linearly, several are striped.
async fn mapped(agent: &Agent, pmems: Vec<Pmem>, count: usize) -> Result<Stack, NvdimmError> {
    require(agent, "/dev/mapper/control", "device-mapper (BLK_DEV_DM)").await?;
    let below = &pmems[..count.min(pmems.len())];
    let (map, table) = match below {
        [pmem] => linear(pmem),
        _ => striped(below),
    };
    // There is no udev to be waited for, nor to make the node.
    let create = [
        "dmsetup",
        "create",
        NAME,
        "--noudevsync",
        "--noudevrules",
        "--table",
        &table,
    ];
    tool(agent, &create).await?;
    tool(agent, &["dmsetup", "mknodes", "--noudevsync", NAME]).await?;
    Ok(Stack::new(pmems, format!("/dev/mapper/{NAME}"), map))
}

/// dm-linear over all but the beginning (`Documentation/admin-guide/device-mapper/linear.rst`).
fn linear(pmem: &Pmem) -> (Map, String) {
    let length = pmem.size.saturating_sub(LEFT_OUT);
    let table = format!(
        "0 {} linear {} {}",
        length / SECTOR,
        pmem.path(),
        LEFT_OUT / SECTOR
    );
    let start = DeviceOffset(LEFT_OUT);
    (Map::Linear { start, length }, table)
}

/// dm-stripe over whole chunks of all of them (`Documentation/admin-guide/device-mapper/striped.rst`).
fn striped(pmems: &[Pmem]) -> (Map, String) {
    let shortest = pmems.iter().map(|pmem| pmem.size).min().unwrap_or_default();
    let length = shortest / CHUNK * CHUNK * pmems.len() as u64;
    let devices: Vec<String> = pmems.iter().map(|pmem| format!("{} 0", pmem.path())).collect();
    let table = format!(
        "0 {} striped {} {} {}",
        length / SECTOR,
        pmems.len(),
        CHUNK / SECTOR,
        devices.join(" ")
    );
    let map = Map::Striped {
        count: pmems.len(),
        chunk: CHUNK,
        length,
    };
    (map, table)
}

/// Fails with what the kernel lacks unless `path` is there.
pub(super) async fn require(agent: &Agent, path: &str, feature: &str) -> Result<(), NvdimmError> {
    let call = Stat {
        path: path.to_owned(),
        follow: true,
    };
    match agent.call(call, QUESTION).await? {
        Outcome::Done(_) => Ok(()),
        Outcome::Refused(_) => Err(NvdimmError::Lacks(feature.to_owned())),
    }
}

/// What a file in sysfs counts in sectors, in bytes.
async fn sectors(agent: &Agent, path: &str) -> Result<u64, NvdimmError> {
    let text = tool(agent, &["cat", path]).await?.stdout;
    let count: Option<u64> = text.trim().parse().ok();
    count
        .and_then(|count| count.checked_mul(SECTOR))
        .ok_or(NvdimmError::Language {
            what: path.to_owned(),
            text,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::address::GuestPhysical;

    fn pmem(device: &str, size: u64) -> Pmem {
        Pmem {
            device: device.to_owned(),
            data_start: GuestPhysical(1 << 32),
            size,
        }
    }

    #[test]
    fn tables_and_maps_say_the_same() {
        let (map, table) = linear(&pmem("pmem0", 100 << 20));
        assert_eq!(table, "0 202752 linear /dev/pmem0 2048");
        let expected = Map::Linear {
            start: DeviceOffset(2048 * SECTOR),
            length: 202_752 * SECTOR,
        };
        assert_eq!(map, expected);

        let (map, table) = striped(&[pmem("pmem1", 100 << 20), pmem("pmem0", (100 << 20) + 4096)]);
        assert_eq!(table, "0 409600 striped 2 512 /dev/pmem1 0 /dev/pmem0 0");
        let expected = Map::Striped {
            count: 2,
            chunk: 512 * SECTOR,
            length: 409_600 * SECTOR,
        };
        assert_eq!(map, expected);
    }
}
