// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many clones: in a row, and at once.

use super::usage::{Belongings, Memory};
use super::workplace::{Workplace, thrown_away};
use super::{BenchError, Spread};
use futures_util::future::join_all;
use guest_agent::address::FileOffset;
use guest_agent::call::{Outcome, ReadAt, Run};
use harness::nvdimm::{self, Dax};
use machine::guest::{Death, Guest};
use machine::snapshot::{Snapshot, Workshop};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(60);
/// How far a clone's clock may be off: it counts whole seconds, and the asking takes its time on a busy machine.
const CLOCK_TOLERANCE: u64 = 5;
/// Writes over the whole device, and says how it begins then.
const VANDALISE: &str = "dd if=/dev/urandom of=/dev/pmem0 bs=1M; sync; hexdump -n 4 /dev/pmem0";
/// How an XFS begins, as hexdump says it: `XFSB`, in little-endian words.
const UNTOUCHED: &str = "4658 4253";
const PANIC: &str = "echo c > /proc/sysrq-trigger";
const CLOCK_AND_DRAW: &str = "date +%s; hexdump -n 16 /dev/urandom";

/// What many clones in a row have shown. All of them were sound: their filesystem holds what the template's holds and
/// is DAX, their clock is right, and no two drew the same random numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Soak {
    /// How many, after one that overwrote its NVDIMM and panicked.
    pub clones: usize,
    /// All of them together, in seconds.
    pub wall_s: f64,
    /// Each one's first answer, from the start of its process, in ms.
    pub answer_ms: Spread,
    /// What this process had when the first had ended.
    pub before: Belongings,
    /// What it had when the last had ended.
    pub after: Belongings,
}

/// What many clones at once have shown. All of them were sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtOnce {
    /// How many.
    pub clones: usize,
    /// Until the last of them had answered, in seconds.
    pub alive_together_s: f64,
    /// What each has written to and nobody shares, in MiB.
    pub own_mib: Spread,
    /// Each one's share of all that they map, in MiB.
    pub proportional_mib: Spread,
}

/// A vandal (it is number 0), and then clones in a row that must not notice.
pub(super) async fn soak(
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Snapshot,
    clones: NonZeroUsize,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Soak, BenchError> {
    let evidence = thrown_away(workplace.folder());
    let original = fingerprints(template.folder()).await?;
    let vandal = workshop.clone_guest(template, evidence.clone()).await?;
    let unsound = |why| BenchError::Unsound { number: 0, why };
    let said = shell(&vandal, VANDALISE).await?;
    if said.trim().is_empty() || said.contains(UNTOUCHED) {
        return Err(unsound(format!(
            "it was to overwrite its NVDIMM, which still begins with {said:?}"
        )));
    }
    // No answer to this one: its kernel dies.
    let panicked = shell(&vandal, PANIC).await;
    match (panicked, vandal.ended(true).await) {
        (Err(_), Some(Death::Kernel(_))) => {}
        (answer, death) => {
            let answer = answer.map_or_else(
                |error| format!("did not answer ({error})"),
                |said| format!("answered {said:?}"),
            );
            let end = death.map_or("it lives".to_owned(), |death| format!("its end is this: {death}"));
            return Err(unsound(format!(
                "its kernel was to die; instead it {answer}, and {end}"
            )));
        }
    }
    vandal.stop().await;
    let mut before = None;
    let mut answers = Vec::new();
    let mut draws = HashSet::new();
    let started = Instant::now();
    for number in 1..=clones.get() {
        let guest = workshop.clone_guest(template, evidence.clone()).await?;
        answers.push(guest.beginning.answer.as_secs_f64() * 1e3);
        let sound = sound(&guest, &mut draws).await?;
        guest.stop().await;
        sound.map_err(|why| BenchError::Unsound { number, why })?;
        if before.is_none() {
            before = Some(Belongings::count()?);
        }
        if number % 50 == 0 {
            say(&format!("soak: {number} of {clones} clones"));
        }
    }
    let wall_s = started.elapsed().as_secs_f64();
    let after = Belongings::count()?;
    if fingerprints(template.folder()).await? != original {
        return Err(BenchError::Unsound {
            number: clones.get(),
            why: format!("the template in {} has changed", template.folder().display()),
        });
    }
    Ok(Soak {
        clones: clones.get(),
        wall_s,
        answer_ms: Spread::of(answers).ok_or(BenchError::NoRounds)?,
        before: before.unwrap_or(after),
        after,
    })
}

/// Clones that are all restored while all others are, and live together.
pub(super) async fn at_once(
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Snapshot,
    clones: NonZeroUsize,
) -> Result<AtOnce, BenchError> {
    let folders = (1..=clones.get())
        .map(|number| {
            let folder = workplace.folder().join(number.to_string());
            fs::create_dir_all(&folder).map(|()| folder)
        })
        .collect::<io::Result<Vec<PathBuf>>>()
        .map_err(|source| BenchError::io("make", "a temporary folder for the guests' consoles", source))?;
    let started = Instant::now();
    let restoring = folders
        .iter()
        .map(|folder| workshop.clone_guest(template, thrown_away(folder)));
    let guests = join_all(restoring)
        .await
        .into_iter()
        .collect::<Result<Vec<Guest>, _>>()?;
    let alive_together_s = started.elapsed().as_secs_f64();
    let mut draws = HashSet::new();
    for (index, guest) in guests.iter().enumerate() {
        sound(guest, &mut draws)
            .await?
            .map_err(|why| BenchError::Unsound {
                number: index + 1,
                why,
            })?;
    }
    let memory = guests
        .iter()
        .map(|guest| Memory::of(guest.pid()))
        .collect::<Result<Vec<_>, _>>()?;
    join_all(guests.into_iter().map(Guest::stop)).await;
    let column = |of: fn(&Memory) -> f64| Spread::of(memory.iter().map(of)).ok_or(BenchError::NoRounds);
    Ok(AtOnce {
        clones: clones.get(),
        alive_together_s,
        own_mib: column(|memory| memory.own)?,
        proportional_mib: column(|memory| memory.proportional)?,
    })
}

/// Why a clone is not what its template was, or is the double of another.
async fn sound(guest: &Guest, draws: &mut HashSet<String>) -> Result<Result<(), String>, BenchError> {
    let file = ReadAt {
        path: nvdimm::path_of(".taster-proof"),
        offset: FileOffset(0),
        length: 4096,
        direct: false,
        checksum: false,
    };
    match guest.agent.call(file, PATIENCE).await? {
        Outcome::Done(contents) if contents.length == 4096 && contents.uniform == Some(0) => {}
        Outcome::Done(_) => return Ok(Err("its proof file holds something else than zeros".to_owned())),
        Outcome::Refused(refusal) => {
            return Ok(Err(format!(
                "its proof file cannot be read: errno {}",
                refusal.errno
            )));
        }
    }
    if nvdimm::still_dax(&guest.agent).await? != Dax::Proved {
        return Ok(Err("its mount is not DAX".to_owned()));
    }
    let said = shell(guest, CLOCK_AND_DRAW).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some((clock, draw)) = said.split_once('\n') else {
        return Ok(Err(format!("asked for time and randomness, it said {said:?}")));
    };
    match clock.trim().parse::<u64>() {
        Ok(clock) if clock.abs_diff(now.as_secs()) <= CLOCK_TOLERANCE => {}
        _ => {
            let (clock, now) = (clock.trim(), now.as_secs());
            return Ok(Err(format!("its clock says {clock}, ours {now}")));
        }
    }
    if draw.trim().is_empty() || !draws.insert(draw.to_owned()) {
        return Ok(Err(format!(
            "its random numbers are those of another clone: {draw:?}"
        )));
    }
    Ok(Ok(()))
}

async fn shell(guest: &Guest, script: &str) -> Result<String, BenchError> {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    Ok(guest
        .agent
        .call(
            Run {
                argv,
                deadline_ms: None,
            },
            PATIENCE,
        )
        .await?
        .stdout)
}

/// The hash of every file in a folder.
async fn fingerprints(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, BenchError> {
    let of = folder.to_owned();
    let hashing = move || {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(&of)? {
            let path = entry?.path();
            let hash = fingerprint(&path)?;
            all.insert(path, hash);
        }
        Ok(all)
    };
    tokio::task::spawn_blocking(hashing)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| BenchError::io("hash", folder.display().to_string(), source))
}

fn fingerprint(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        let Some(read) = block.get(..read).filter(|read| !read.is_empty()) else {
            return Ok(hash.finalize().to_vec());
        };
        hash.update(read);
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprints;
    use std::fs;

    #[tokio::test]
    async fn one_byte_changes_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ram");
        fs::write(&file, vec![7; 3 << 20]).unwrap();
        let before = fingerprints(folder.path()).await.unwrap();
        assert_eq!(fingerprints(folder.path()).await.unwrap(), before);
        let mut bytes = fs::read(&file).unwrap();
        bytes[(2 << 20) + 5] = 8;
        fs::write(&file, bytes).unwrap();
        assert_ne!(fingerprints(folder.path()).await.unwrap(), before);
    }
}
