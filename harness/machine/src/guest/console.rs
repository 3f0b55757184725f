// SPDX-License-Identifier: MIT OR Apache-2.0
//! The serial console: kept whole in a file as evidence, and watched for the two lines that matter.

use guest_agent::{CANNOT_GO_ON, CONSOLE_PREFIX, READY_MARKER};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;

/// Lines kept for messages.
const KEPT: usize = 400;

/// How far the guest has come, as its console tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stage {
    /// Booting.
    #[default]
    Booting,
    /// PID 1 serves SSH.
    Ready,
    /// The kernel panicked; the line that says why.
    Panicked(String),
    /// The console was closed: QEMU is gone.
    Closed,
}

/// A console that is being recorded.
#[derive(Debug)]
pub struct Console {
    lines: Arc<Mutex<VecDeque<String>>>,
    stage: watch::Receiver<Stage>,
    servers: watch::Receiver<u32>,
}

impl Console {
    /// Records `stream` into `file`, from now until it ends.
    pub fn record(stream: UnixStream, file: std::fs::File) -> Self {
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let (stage_there, stage) = watch::channel(Stage::Booting);
        let (servers_there, servers) = watch::channel(0);
        tokio::spawn(listen(
            stream,
            file,
            Arc::clone(&lines),
            stage_there,
            servers_there,
        ));
        Self {
            lines,
            stage,
            servers,
        }
    }

    /// Resolves when the stage satisfies `wanted`, with it.
    pub async fn wait_for(&self, wanted: impl Fn(&Stage) -> bool) -> Stage {
        let mut stage = self.stage.clone();
        match stage
            .wait_for(|stage| wanted(stage) || *stage == Stage::Closed)
            .await
        {
            Ok(stage) => stage.clone(),
            // The recorder ended, which it does only after the console has.
            Err(_) => Stage::Closed,
        }
    }

    /// How many SSH servers have announced themselves so far.
    pub fn servers(&self) -> u32 {
        *self.servers.borrow()
    }

    /// Resolves with `true` when more than `count` SSH servers have announced themselves, with `false` when the console
    /// has closed before.
    pub async fn wait_for_server(&self, count: u32) -> bool {
        let mut servers = self.servers.clone();
        servers.wait_for(|&servers| servers > count).await.is_ok()
    }

    /// Why PID 1 ended, if it has said so.
    pub fn last_words_of_init(&self) -> Option<String> {
        let lines = locked(&self.lines);
        let mut words = lines.iter().rev().filter_map(|line| {
            let (_, said) = line.split_once(CONSOLE_PREFIX)?;
            said.strip_prefix(CANNOT_GO_ON)
        });
        words.next().map(str::to_owned)
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines = locked(&self.lines);
        lines
            .iter()
            .skip(lines.len().saturating_sub(count))
            .cloned()
            .collect()
    }
}

fn locked(lines: &Mutex<VecDeque<String>>) -> MutexGuard<'_, VecDeque<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(
    stream: UnixStream,
    mut file: std::fs::File,
    lines: Arc<Mutex<VecDeque<String>>>,
    stage: watch::Sender<Stage>,
    servers: watch::Sender<u32>,
) {
    let mut reader = BufReader::new(stream);
    let mut buffer = vec![0; 16 << 10];
    let mut partial = String::new();
    while let Ok(length) = reader.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        // A full disk must not end the watch; the run's own files will meet and report it.
        let _evidence = file.write_all(&buffer[..length]);
        partial.push_str(&String::from_utf8_lossy(&buffer[..length]));
        while let Some(end) = partial.find('\n') {
            let line: String = partial.drain(..=end).collect();
            let line = line.trim_end().to_owned();
            stage.send_if_modified(|stage| advance(stage, &line));
            if line.contains(READY_MARKER) {
                servers.send_modify(|servers| *servers += 1);
            }
            let mut lines = locked(&lines);
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }
    stage.send_if_modified(|stage| {
        let open = !matches!(stage, Stage::Panicked(_));
        if open {
            *stage = Stage::Closed;
        }
        open
    });
}

/// A panic is final; readiness comes once.
fn advance(stage: &mut Stage, line: &str) -> bool {
    match stage {
        Stage::Panicked(_) | Stage::Closed => false,
        _ if line.contains("Kernel panic - not syncing") => {
            *stage = Stage::Panicked(line.to_owned());
            true
        }
        Stage::Booting if line.contains(READY_MARKER) => {
            *stage = Stage::Ready;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn the_two_lines_that_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.log");
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let console = Console::record(ours, std::fs::File::create(&path).unwrap());
        theirs
            .write_all(b"[ 0.1] booting\r\ntaster-agent: ready\r\n")
            .await
            .unwrap();
        assert_eq!(
            console.wait_for(|stage| *stage != Stage::Booting).await,
            Stage::Ready
        );
        assert!(console.wait_for_server(0).await);
        assert_eq!(console.servers(), 1);
        assert_eq!(console.last_words_of_init(), None);
        theirs
            .write_all(b"taster-agent: cannot go on: no bread\r\n")
            .await
            .unwrap();
        theirs
            .write_all(b"[ 9.9] Kernel panic - not syncing: Fatal machine check\n")
            .await
            .unwrap();
        let stage = console
            .wait_for(|stage| matches!(stage, Stage::Panicked(_)))
            .await;
        assert_eq!(
            stage,
            Stage::Panicked("[ 9.9] Kernel panic - not syncing: Fatal machine check".into())
        );
        assert_eq!(console.last_words_of_init().as_deref(), Some("no bread"));
        drop(theirs);
        assert!(!console.wait_for_server(1).await);
        assert_eq!(console.tail(2).len(), 2);
        assert!(std::fs::read_to_string(&path).unwrap().contains("booting\r\n"));
    }

    #[tokio::test]
    async fn a_console_that_closes_wakes_who_waits() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let console = Console::record(ours, tempfile::tempfile().unwrap());
        drop(theirs);
        assert_eq!(
            console.wait_for(|stage| *stage == Stage::Ready).await,
            Stage::Closed
        );
    }
}
