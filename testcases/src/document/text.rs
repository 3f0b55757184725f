// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts that mean something to the kernel.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::value::{FromScalar, deserialize_scalar};

/// Makes a type of the document that is a text of a certain form.
macro_rules! text_document {
    ($(#[$doc:meta])* $name:ident, $expecting:literal, $pattern:literal, $checked:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) String);

        impl FromScalar for $name {
            const EXPECTING: &'static str = $expecting;

            fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
                let checked: fn(&str) -> Result<(), String> = $checked;
                checked(text).map_err(E::custom)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_scalar(deserializer)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

text_document!(
    /// The full name of an extended attribute (xattr(7)).
    XattrName,
    "the name of an attribute, such as `user.note`",
    r"^(user|trusted|security)\.[^\s/]+$",
    |text| {
        let spaces = ["user.", "trusted.", "security."];
        let rest = spaces.iter().find_map(|space| text.strip_prefix(space));
        match rest {
            None => Err(format!(
                "`{text}` is in no namespace of attributes: begin with `user.`, `trusted.` or `security.`"
            )),
            Some(rest) if rest.is_empty() || rest.contains(['/', ' ', '\0']) || rest.len() > 200 => Err(format!(
                "`{text}` is no name of an attribute: write plain letters after the namespace"
            )),
            Some(_) => Ok(()),
        }
    }
);

text_document!(
    /// The name of a kernel parameter, with dots.
    SysctlName,
    "the name of a kernel parameter, such as `vm.memory_failure_early_kill`",
    r"^[a-z0-9_-]+(\.[a-z0-9_-]+)+$",
    |text| {
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
        };
        if text.contains('.') && text.split('.').all(plain) {
            Ok(())
        } else {
            Err(format!(
                "`{text}` is no kernel parameter: write its path below /proc/sys with dots, such as \
                 `vm.memory_failure_early_kill`"
            ))
        }
    }
);

text_document!(
    /// A file that the kernel makes: below /sys or /proc.
    GuestFile,
    "the absolute path of a file, such as `/sys/kernel/mm/transparent_hugepage/enabled`",
    "^/(sys|proc)/.+$",
    |text| {
        let below = ["/sys/", "/proc/"].iter().any(|start| text.starts_with(start));
        if below && text.split('/').all(|part| part != "..") {
            Ok(())
        } else {
            Err(format!(
                "`{text}` is no file of the kernel's: name one below /sys or /proc; for others there is `run`"
            ))
        }
    }
);

/// Words that stand in splats of any place: alone they tell none from another (kernel/panic.c, arch/x86/kernel/dumpstack.c).
const OF_ANY_SPLAT: [&str; 17] = [
    "warning",
    "kernel",
    "oops",
    "panic",
    "syncing",
    "general",
    "protection",
    "fault",
    "cpu",
    "pid",
    "comm",
    "rip",
    "0010",
    "here",
    "info",
    "task",
    "error",
];

text_document!(
    /// A part of what the kernel prints when it complains: as it is printed, and enough of it to tell it from other complaints.
    SplatText,
    "a part of what the kernel prints, such as `dax_insert_entry`",
    r"^[^*^$\\]*[A-Za-z0-9_]{4}[^*^$\\]*$",
    |text| {
        if text.trim().is_empty() {
            return Err("this text is empty: name the function that complains, such as `dax_insert_entry`".to_owned());
        }
        if let Some(sign) = text.chars().find(|letter| "*^$\\".contains(*letter)) {
            return Err(format!(
                "`{sign}` has no meaning here, for a splat is looked for as it is printed: write a plain part of it, such as \
                 `dax_insert_entry`"
            ));
        }
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let telling = text
            .split(|letter| !word(letter))
            .filter(|part| part.len() >= 4 && !OF_ANY_SPLAT.contains(&part.to_ascii_lowercase().as_str()));
        if telling.count() == 0 {
            return Err(format!(
                "`{text}` is in any splat, and would excuse them all: name the function that complains, such as \
                 `dax_insert_entry`"
            ));
        }
        Ok(())
    }
);

/// A text or a number, as a kernel's file takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain(pub(crate) String);

impl FromScalar for Plain {
    const EXPECTING: &'static str = "a number or a text";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        Ok(Self(text.to_owned()))
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl JsonSchema for Plain {
    fn schema_name() -> Cow<'static, str> {
        "Plain".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}
