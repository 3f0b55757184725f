// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was seen, in words that are the same on every run.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use nix::sys::signal::Signal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::super::{BusCode, Place, ShutdownReason};
use crate::value::{Bytes, Errno, FromScalar, deserialize_scalar, unknown_errno};

/// SIGBUS.
const SIGBUS: i32 = Signal::SIGBUS as i32;

/// Something that was seen, without pids and addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FindingValue {
    /// A word.
    Word(FindingWord),
    /// An error of a call or a function, without its sign.
    Error(Errno),
    /// A byte, a size, a count, or an error that has no name.
    Number(i64),
    /// A signal that a handler got.
    Signal(SeenSignal),
    /// The signal of this number was sent; to whom it told what, nobody saw.
    Sent(i32),
    /// The process ended by the signal of this number.
    Died(i32),
    /// The process ended with this status.
    Exited(i32),
    /// The filesystem is shut down, for this reason where it told one.
    Shutdown(Option<ShutdownReason>),
}

/// A signal as a handler gets it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeenSignal {
    /// Its number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// Where `si_addr` points in the victim's mappings; `None` when outside of all.
    pub at: Option<Place>,
    /// `si_addr_lsb`, for the codes that have one.
    pub lsb: Option<u8>,
    /// The thread that got it; `None` for the main thread.
    pub thread: Option<String>,
}

macro_rules! words {
    ($( $(#[$doc:meta])* $word:ident $text:literal; )*) => {
        /// What was seen, where a word says it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FindingWord {
            $( $(#[$doc])* $word, )*
        }

        impl FindingWord {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The word that a case writes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$word => $text, )*
                }
            }
        }
    };
}

words! {
    /// A call succeeded.
    Ok "ok";
    /// Nothing of the kind: no signal, no call, no event, no byte, no bad sector.
    None "none";
    /// All of them.
    All "all";
    /// Some of them, and others not.
    Some "some";
    /// It is so.
    True "true";
    /// It is not so.
    False "false";
    /// Each page holds its number.
    Counting "counting";
    /// Bytes of which neither is true: all alike, counting.
    OtherBytes "other-bytes";
    /// A directory has other names.
    OtherNames "other-names";
    /// A command ended so, and said something else.
    OtherOutput "other-output";
    /// Fewer bytes than were asked for.
    Short "short";
    /// A dedupe found that the two parts differ.
    Differs "differs";
    /// A command had to be killed at its deadline.
    Deadline "deadline";
    /// The kernel did not come back.
    NoAnswer "no-answer";
    /// An access faulted, and no signal was written down.
    Faulted "faulted";
    /// A blocked SIGBUS waits.
    Pending "pending";
    /// There is no such thing: no process, no mapping, no block, nothing that a placeholder stands for.
    Unknown "unknown";
    /// It was not looked at.
    Unseen "unseen";
    /// It is there.
    Present "present";
    /// It is not there.
    Absent "absent";
    /// The filesystem is mounted and works.
    Up "up";
    /// There is no filesystem.
    Unmounted "unmounted";
    /// Its superblock lives, and no mount leads to it.
    Detached "detached";
    /// It is mounted at other places alone.
    Elsewhere "elsewhere";
    /// Another filesystem is mounted over it.
    Covered "covered";
    /// A function was called and did not return.
    NoReturn "no-return";
    /// A flag is set.
    Set "set";
    /// A flag is not set.
    Clear "clear";
    /// Less than expected, and nothing else.
    Fewer "fewer";
    /// All that is expected, and more.
    More "more";
    /// Neither of those.
    Other "other";
    /// MF_RECOVERED, as `memory_failure_event` prints it (include/ras/ras_event.h).
    Recovered "Recovered";
    /// MF_FAILED.
    Failed "Failed";
    /// The kernel died.
    Died "died";
    /// The kernel went on.
    WentOn "went-on";
    /// The last handler was never entered.
    NeverEntered "never-entered";
    /// The last handler was never left.
    NeverLeft "never-left";
}

impl FindingWord {
    /// How a set is seen beside the one that is expected.
    pub fn of_sets<T: Ord>(expected: &BTreeSet<T>, seen: &BTreeSet<T>) -> Self {
        if seen.is_empty() {
            Self::None
        } else if seen.is_subset(expected) {
            Self::Fewer
        } else if seen.is_superset(expected) {
            Self::More
        } else {
            Self::Other
        }
    }
}

/// What may be written, for whoever has slipped.
static KNOWN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let words = FindingWord::ALL.iter().map(|word| word.as_str());
    words
        .chain(["shutdown", "BUS_MCEERR_AO", "BUS_MCEERR_AR", "BUS_ADRERR"])
        .chain(Errno::names().iter().copied())
        .collect()
});

impl From<FindingWord> for FindingValue {
    fn from(word: FindingWord) -> Self {
        Self::Word(word)
    }
}

impl From<bool> for FindingValue {
    fn from(is: bool) -> Self {
        Self::Word(if is { FindingWord::True } else { FindingWord::False })
    }
}

impl FindingValue {
    /// What a call or a function returned: an error, whatever its sign, by its name where it has one.
    pub fn returned(number: i32) -> Self {
        Errno::from_number(number.saturating_abs()).map_or(Self::Number(i64::from(number)), Self::Error)
    }

    /// A count.
    pub fn count(count: usize) -> Self {
        Self::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A size in bytes.
    pub fn size(bytes: u64) -> Self {
        Self::Number(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for FindingValue {
    /// As a case writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => formatter.write_str(word.as_str()),
            Self::Error(errno) => errno.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Signal(signal) => signal.fmt(formatter),
            Self::Sent(signal) => formatter.write_str(&signal_name(*signal)),
            Self::Died(signal) => write!(formatter, "died of {}", signal_name(*signal)),
            Self::Exited(status) => write!(formatter, "exited {status}"),
            Self::Shutdown(None) => formatter.write_str("shutdown"),
            Self::Shutdown(Some(reason)) => write!(formatter, "shutdown {reason}"),
        }
    }
}

/// `SIGBUS`, or `signal 40` where there is no name.
fn signal_name(number: i32) -> Cow<'static, str> {
    Signal::try_from(number).map_or_else(
        |_| format!("signal {number}").into(),
        |signal| signal.as_str().into(),
    )
}

impl fmt::Display for SeenSignal {
    /// `BUS_MCEERR_AO at 4KiB lsb 12 thread worker`; `SIGSEGV code 1 outside`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = BusCode::from_number(self.code).filter(|_| self.number == SIGBUS);
        match code {
            Some(code) => code.fmt(formatter)?,
            None => write!(formatter, "{} code {}", signal_name(self.number), self.code)?,
        }
        match self.at {
            Some(place) => write!(formatter, " at {place}")?,
            None => formatter.write_str(" outside")?,
        }
        if let Some(lsb) = self.lsb {
            write!(formatter, " lsb {lsb}")?;
        }
        if let Some(thread) = &self.thread {
            write!(formatter, " thread {thread}")?;
        }
        Ok(())
    }
}

/// The text is nothing that can be seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindingValueError {
    /// It begins with a word that is not known.
    #[error("unknown word `{0}`")]
    Word(String),
    /// What follows a word of its kind is wrong.
    #[error("`{text}` is not well formed: write it like `{like}`")]
    Form {
        /// The text.
        text: String,
        /// How such a thing is written.
        like: &'static str,
    },
}

impl FromStr for FindingValue {
    type Err = FindingValueError;

    fn from_str(text: &str) -> Result<Self, FindingValueError> {
        let form = |like| {
            move || FindingValueError::Form {
                text: text.to_owned(),
                like,
            }
        };
        if let Some(word) = FindingWord::ALL.iter().find(|word| word.as_str() == text) {
            return Ok(Self::Word(*word));
        }
        if let Ok(errno) = text.parse() {
            return Ok(Self::Error(errno));
        }
        if let Ok(Bytes(number)) = text.parse() {
            return i64::try_from(number)
                .map(Self::Number)
                .map_err(|_| form("4KiB")());
        }
        if let Some(number) = text.strip_prefix('-').and_then(|digits| digits.parse().ok()) {
            return Ok(Self::Number(i64::wrapping_neg(number)));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["died", "of", signal @ ..] => signal_number(signal)
                .filter(|(_, rest)| rest.is_empty())
                .map(|(number, _)| Self::Died(number))
                .ok_or_else(form("died of SIGBUS")),
            ["exited", status] => status.parse().map(Self::Exited).map_err(|_| form("exited 1")()),
            ["shutdown"] => Ok(Self::Shutdown(None)),
            ["shutdown", reason] => ShutdownReason::from_word(reason)
                .map(|reason| Self::Shutdown(Some(reason)))
                .ok_or_else(form("shutdown corrupt-incore")),
            [first, ..]
                if BusCode::from_word(first).is_some() || first.starts_with("SIG") || *first == "signal" =>
            {
                match signal_number(&words) {
                    Some((number, [])) => Ok(Self::Sent(number)),
                    _ => seen_signal(&words)
                        .map(Self::Signal)
                        .ok_or_else(form("BUS_MCEERR_AO at 4KiB lsb 12")),
                }
            }
            _ => Err(FindingValueError::Word(text.to_owned())),
        }
    }
}

/// The number of a signal by its name, and the words behind that.
fn signal_number<'w, 't>(words: &'w [&'t str]) -> Option<(i32, &'w [&'t str])> {
    match words {
        ["signal", number, rest @ ..] => number.parse().ok().map(|number| (number, rest)),
        [name, rest @ ..] => name.parse::<Signal>().ok().map(|signal| (signal as i32, rest)),
        [] => None,
    }
}

fn seen_signal(words: &[&str]) -> Option<SeenSignal> {
    let (number, code, rest) = match words {
        [first, rest @ ..] if let Some(code) = BusCode::from_word(first) => (SIGBUS, code.number(), rest),
        words => match signal_number(words)? {
            (number, ["code", code, rest @ ..]) => (number, code.parse().ok()?, rest),
            _ => return None,
        },
    };
    let (at, rest) = match rest {
        ["outside", rest @ ..] => (None, rest),
        ["at", at, "of", "mapping", map, rest @ ..] => (
            Some(Place {
                map: map.parse().ok()?,
                at: at.parse().ok()?,
            }),
            rest,
        ),
        ["at", at, rest @ ..] => (
            Some(Place {
                map: 0,
                at: at.parse().ok()?,
            }),
            rest,
        ),
        _ => return None,
    };
    let (lsb, rest) = match rest {
        ["lsb", lsb, rest @ ..] => (Some(lsb.parse().ok()?), rest),
        rest => (None, rest),
    };
    let thread = match rest {
        ["thread", thread] => Some((*thread).to_owned()),
        [] => None,
        _ => return None,
    };
    Some(SeenSignal {
        number,
        code,
        at,
        lsb,
        thread,
    })
}

impl FromScalar for FindingValue {
    const EXPECTING: &'static str = "what was seen, such as `EIO`, `none` or `BUS_MCEERR_AO at 4KiB lsb 12`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(|error| match error {
            FindingValueError::Word(text) => unknown_errno(&text, &KNOWN),
            error @ FindingValueError::Form { .. } => E::custom(error),
        })
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        i64::try_from(number)
            .map(Self::Number)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &Self::EXPECTING))
    }

    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        Ok(Self::Number(number))
    }

    fn from_bool<E: de::Error>(is: bool) -> Result<Self, E> {
        Ok(is.into())
    }
}

impl<'de> Deserialize<'de> for FindingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl Serialize for FindingValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for FindingValue {
    fn schema_name() -> Cow<'static, str> {
        "FindingValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What was seen: a word such as `none` or `present`, an errno, a number, `true` or `false`, a signal \
                            such as `BUS_MCEERR_AO at 4KiB lsb 12`, `died of SIGBUS`, `exited 1`, `shutdown corrupt-incore`.",
            "type": ["string", "integer", "boolean"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let same = [
            "ok",
            "none",
            "true",
            "Recovered",
            "EUCLEAN",
            "-512",
            "17",
            "died of SIGBUS",
            "died of signal 40",
            "exited 1",
            "shutdown",
            "shutdown corrupt-incore",
            "BUS_MCEERR_AO at 4KiB lsb 12",
            "BUS_ADRERR at 4KiB",
            "SIGBUS",
            "signal 40",
            "BUS_MCEERR_AR at 0 of mapping 1 lsb 21 thread worker",
            "SIGBUS code 3 outside",
            "SIGSEGV code 1 at 8KiB",
            "signal 40 code 0 outside",
        ];
        for text in same {
            assert_eq!(
                text.parse::<FindingValue>().map(|value| value.to_string()),
                Ok(text.to_owned())
            );
        }
        for word in FindingWord::ALL {
            assert_eq!(word.as_str().parse(), Ok(FindingValue::Word(*word)));
        }
        assert_eq!("4KiB".parse(), Ok(FindingValue::Number(4096)));
        assert_eq!("0x11".parse(), Ok(FindingValue::Number(17)));
        assert_eq!(FindingValue::returned(-117), FindingValue::returned(117));
        assert_eq!(FindingValue::returned(-512).to_string(), "-512");
    }

    #[test]
    fn what_nothing_is_seen_as_is_refused() {
        for text in [
            "",
            "EUCLAEN",
            "bob was not signalled",
            "BUS_MCEERR_AO",
            "BUS_MCEERR_AO at",
            "BUS_MCEERR_AO at 4KiB lsb",
            "BUS_MCEERR_AO at 4KiB bsl 12",
            "BUS_MCEERR_AO at 4KiB thread",
            "died of",
            "died of boredom",
            "died of SIGBUS twice",
            "exited",
            "exited x",
            "shutdown because",
            "signal",
            "SIGBUS code",
            "SIGBUS code 3",
        ] {
            assert!(text.parse::<FindingValue>().is_err(), "{text}");
        }
    }
}
