// SPDX-License-Identifier: MIT OR Apache-2.0
//! Those who follow a run while it is on.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Event, Recorder};

/// Somebody who follows the stream.
///
/// A reader that fails must not stop a run half-way, with guests up: it remembers its first error, stays quiet from
/// then on, and hands the error out in [`Reader::finish`].
pub trait Reader {
    /// Takes the next event.
    fn event(&mut self, event: &Event);

    /// Is told that no more events come. Returns the first error met since the last call.
    fn finish(&mut self) -> Result<(), Error>;
}

/// Several readers as one.
#[derive(Default)]
pub struct Readers(Vec<Box<dyn Reader + Send>>);

impl Readers {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, reader: impl Reader + Send + 'static) -> Self {
        self.0.push(Box::new(reader));
        self
    }
}

impl Reader for Readers {
    fn event(&mut self, event: &Event) {
        for reader in &mut self.0 {
            reader.event(event);
        }
    }

    /// Finishes all of them, and returns the first error of any.
    fn finish(&mut self) -> Result<(), Error> {
        self.0
            .iter_mut()
            .map(|reader| reader.finish())
            .fold(Ok(()), Result::and)
    }
}

/// A [`Recorder`] that whoever made it reads out when the readers have had everything. Clones record into the same.
#[derive(Debug, Clone, Default)]
pub struct SharedRecorder(Arc<Mutex<Recorder>>);

impl SharedRecorder {
    /// What was recorded so far; recording begins anew.
    #[must_use]
    pub fn take(&self) -> Recorder {
        std::mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Recorder> {
        // An event is taken in whole, so a panic elsewhere is no reason to lose it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for SharedRecorder {
    fn event(&mut self, event: &Event) {
        self.locked().add(event.clone());
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Keeps the stream in a file, a JSON object a line, written out event by event so that it survives a killed runner.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
    error: Option<Error>,
}

impl EventLog {
    /// Begins the file anew.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        match File::create(&path) {
            Ok(file) => Ok(Self {
                path,
                file,
                error: None,
            }),
            Err(source) => Err(Error::writing(&path, source)),
        }
    }

    fn append(&mut self, event: &Event) -> Result<(), Error> {
        let mut line = serde_json::to_vec(event).map_err(|source| Error::Json {
            path: self.path.clone(),
            source,
        })?;
        line.push(b'\n');
        // One unbuffered write a line: nothing of ours is left to flush.
        self.file
            .write_all(&line)
            .map_err(|source| Error::writing(&self.path, source))
    }
}

impl Reader for EventLog {
    fn event(&mut self, event: &Event) {
        if self.error.is_none() {
            self.error = self.append(event).err();
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// Reads a stream that an [`EventLog`] kept. A last line that breaks off is what a killed runner leaves behind, and is
/// passed over; any other line that is no event is an error.
pub fn read_events(path: impl AsRef<Path>) -> Result<Vec<Event>, Error> {
    let path = path.as_ref();
    let reading = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(reading)?);
    let mut events = Vec::new();
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line).map_err(reading)? > 0 && line.ends_with(b"\n") {
        let event = serde_json::from_slice(&line).map_err(|source| Error::NotAReport {
            path: path.to_owned(),
            source,
        })?;
        events.push(event);
        line.clear();
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{EventLog, Reader, Readers, read_events};
    use crate::samples::{one_of_each, stream};
    use crate::{Error, Event, EventKind};

    #[test]
    fn a_log_gives_back_the_stream_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let events = stream(one_of_each(), false);
        let mut log = EventLog::create(&path).unwrap();
        for (n, event) in events.iter().enumerate() {
            log.event(event);
            // Each is on disk before the next one happens.
            assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), n + 1);
        }
        log.finish().unwrap();
        assert_eq!(read_events(&path).unwrap(), events);
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_a_wrong_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let note = "{\"at\":1.5,\"event\":\"note\",\"text\":\"hello\"}\n";
        fs::write(&path, format!("{note}{}", &note[..20])).unwrap();
        let expected = Event {
            at: 1.5,
            kind: EventKind::Note { text: "hello".into() },
        };
        assert_eq!(read_events(&path).unwrap(), [expected]);
        fs::write(&path, format!("{}\n{note}", &note[..20])).unwrap();
        assert!(matches!(read_events(&path), Err(Error::NotAReport { .. })));
    }

    #[test]
    fn a_full_disk_is_named_once_the_run_is_over() {
        let events = stream(one_of_each(), false);
        let mut readers = Readers::new().with(EventLog::create("/dev/full").unwrap());
        for event in &events {
            readers.event(event);
        }
        let error = readers.finish().unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("cannot write /dev/full: the disk, or your quota on it, is full")
        );
        assert!(readers.finish().is_ok(), "an error is told once");
    }
}
