// SPDX-License-Identifier: MIT OR Apache-2.0
//! Victims and what they do, as a case writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::files::page;
use super::shapes::{OneOrMany, either_document};
use crate::model::{Access, Advice, CharacterDevice, Disposition, KillPolicy, MappingKind, PageSize, Place};
use crate::value::{Bytes, FilePath, ThreadName, VictimName, byte};

/// A process in the guest that maps files, or the template's DAX device, and reports every signal it gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ name: alice, maps: a, touches: 4KiB }`"
)]
#[schemars(rename = "Victim")]
pub(crate) struct VictimDocument {
    /// How the case calls the process.
    pub(crate) name: VictimName,
    /// The file or files that it maps, or parts of them, or the DAX device.
    pub(crate) maps: OneOrMany<MapDocument>,
    /// Bytes that it reads through its mappings, so that the pages there are present; none if absent.
    #[serde(default)]
    pub(crate) touches: OneOrMany<PlaceDocument>,
    /// Bytes that it writes through its mappings; none if absent.
    #[serde(default)]
    pub(crate) stores: OneOrMany<PlaceDocument>,
    /// When it wants to hear of a memory error.
    #[serde(default)]
    pub(crate) kill: KillPolicy,
    /// What it does about a SIGBUS.
    #[serde(default)]
    pub(crate) sigbus: Disposition,
    /// How its mappings take stores, where they do not say it themselves.
    #[serde(default)]
    pub(crate) mapping: MappingKind,
    /// What it may do with its mappings, where they do not say it themselves.
    #[serde(default)]
    pub(crate) access: Access,
    /// The size of page by which what it touches must be mapped; it is proved, or the case is untestable.
    #[schemars(with = "PageSize", default)]
    pub(crate) page: Option<PageSize>,
    /// Further threads, each with its memory-failure policy.
    #[serde(default)]
    pub(crate) threads: BTreeMap<ThreadName, KillPolicy>,
}

either_document!(
    /// A file that is mapped, or a part of one, or of the DAX device.
    MapDocument(FilePath, MapPartDocument),
    "Map",
    "the name of a file, or a mapping like `{ file: a, offset: 2MiB, length: 4KiB }` or `{ device: dax }`"
);

/// A part of a file, or of the DAX device, that is mapped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, offset: 2MiB, length: 4KiB }` or `{ device: dax }`"
)]
#[schemars(rename = "MapPart", extend("oneOf" = [{ "required": ["file"] }, { "required": ["device"] }]))]
pub(crate) struct MapPartDocument {
    /// The file.
    #[schemars(with = "FilePath", default)]
    pub(crate) file: Option<FilePath>,
    /// The device, of a template that has one.
    #[schemars(with = "CharacterDevice", default)]
    pub(crate) device: Option<CharacterDevice>,
    /// The first byte that is mapped; 0 if absent.
    #[serde(default)]
    pub(crate) offset: Bytes,
    /// How much is mapped; to the end of the file or device if absent.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
    /// How it takes stores; as the victim says if absent.
    #[schemars(with = "MappingKind", default)]
    pub(crate) mapping: Option<MappingKind>,
    /// What the victim may do with it; as the victim says if absent.
    #[schemars(with = "Access", default)]
    pub(crate) access: Option<Access>,
    /// Whether the file must be proved to be DAX, which it must be if this is absent, or proved not to be.
    #[schemars(with = "bool", default)]
    pub(crate) dax: Option<bool>,
}

either_document!(
    /// A byte of a mapping: of the first one, or of another.
    PlaceDocument(Bytes, MapPlaceDocument),
    "Place",
    "an offset such as `4KiB`, or a mapping like `{ map: 1, at: 4KiB }`"
);

/// A byte of one of several mappings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ map: 1, at: 4KiB }`")]
#[schemars(rename = "MapPlace")]
pub(crate) struct MapPlaceDocument {
    /// Which of the victim's mappings, counted from 0.
    pub(crate) map: u32,
    /// The byte, counted from the start of the mapping.
    pub(crate) at: Bytes,
}

impl From<PlaceDocument> for Place {
    fn from(PlaceDocument(document): PlaceDocument) -> Self {
        use super::shapes::Either;
        match document {
            Either::Plain(at) => Self { map: 0, at },
            Either::Mapping(MapPlaceDocument { map, at }) => Self { map, at },
        }
    }
}

/// A byte of a victim's mapping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ victim: alice, at: 4KiB }`"
)]
#[schemars(rename = "VictimPlace")]
pub(crate) struct VictimPlaceDocument {
    /// The victim.
    pub(crate) victim: VictimName,
    /// The byte, counted from the start of the mapping; 0 if absent.
    #[serde(default)]
    pub(crate) at: Bytes,
    /// Which of the victim's mappings, counted from 0; the first if absent.
    #[serde(default)]
    pub(crate) map: u32,
}

/// A byte that a victim writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ victim: alice, at: 4KiB, fill: 0x11 }`"
)]
#[schemars(rename = "Store")]
pub(crate) struct StoreDocument {
    /// The victim.
    pub(crate) victim: VictimName,
    /// Where, counted from the start of the mapping; 0 if absent.
    #[serde(default)]
    pub(crate) at: Bytes,
    /// Which of the victim's mappings, counted from 0; the first if absent.
    #[serde(default)]
    pub(crate) map: u32,
    /// The byte.
    #[serde(deserialize_with = "byte::deserialize")]
    pub(crate) fill: u8,
}

/// A mapping that a victim gives up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ victim: alice }`")]
#[schemars(rename = "Unmap")]
pub(crate) struct UnmapDocument {
    /// The victim.
    pub(crate) victim: VictimName,
    /// Which of its mappings, counted from 0; the first if absent.
    #[serde(default)]
    pub(crate) map: u32,
}

/// Advice on a part of a victim's mapping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ victim: alice, advice: dontneed, at: 4KiB }`"
)]
#[schemars(rename = "Advise")]
pub(crate) struct AdviseDocument {
    /// The victim.
    pub(crate) victim: VictimName,
    /// The advice.
    pub(crate) advice: Advice,
    /// Where the part starts, counted from the start of the mapping; 0 if absent.
    #[serde(default)]
    pub(crate) at: Bytes,
    /// How long it is; 4KiB if absent.
    #[serde(default = "page")]
    pub(crate) length: Bytes,
    /// Which of the victim's mappings, counted from 0; the first if absent.
    #[serde(default)]
    pub(crate) map: u32,
}
