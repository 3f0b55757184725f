// SPDX-License-Identifier: MIT OR Apache-2.0
//! A template as it is written: a word, or a mapping with more behind it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::shapes::{Either, either};
use super::words::Text;
use crate::model::{Ground, Log, PageSize, Template, Xfs};
use crate::value::{FromScalar, deserialize_scalar};

const XFS: &str = "xfs";
const UNMOUNTED: &str = "unmounted";
const DEVDAX: &str = "devdax";

/// A template with its parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "TemplateWithParameters",
    extend("oneOf" = [{ "required": [XFS] }, { "required": [UNMOUNTED] }, { "required": [DEVDAX] }])
)]
struct TemplateDocument {
    /// A fresh XFS on namespaces in fsdax mode, mounted.
    #[schemars(with = "XfsDocument", default)]
    xfs: Option<XfsDocument>,
    /// Namespaces in fsdax mode, and no filesystem.
    #[schemars(with = "UnmountedDocument", default)]
    unmounted: Option<UnmountedDocument>,
    /// A namespace in devdax mode: a character device, and no filesystem.
    #[schemars(with = "DevdaxDocument", default)]
    devdax: Option<DevdaxDocument>,
}

/// How the XFS of the template is made, and on what.
#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ mkfs: [\"-d\", \"agcount=8\"], mount: \"dax=always\" }`"
)]
#[schemars(rename = "Xfs")]
struct XfsDocument {
    /// More arguments for mkfs.xfs; what they say of `-m` takes the place of `reflink=1,rmapbt=1`.
    #[serde(default)]
    mkfs: Vec<String>,
    /// The options of the mount, without those that name devices; `dax=always` if absent.
    #[schemars(with = "Text", default)]
    mount: Option<Text>,
    /// `external`: the log is on an NVDIMM of its own.
    #[serde(default)]
    log: Log,
    /// Whether there is a realtime device, an NVDIMM of its own.
    #[serde(default)]
    realtime: bool,
    /// What the data device is: the `namespace` itself, or a device over it.
    #[serde(default)]
    on: Ground,
}

/// The machine of a template without a filesystem.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ nvdimms: 2 }`")]
#[schemars(rename = "Unmounted")]
struct UnmountedDocument {
    /// How many NVDIMMs there are; 1 if absent.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 2))]
    nvdimms: u8,
}

fn one() -> u8 {
    1
}

/// The namespace of a template with a character device.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ align: 4KiB }`")]
#[schemars(rename = "Devdax")]
struct DevdaxDocument {
    /// By pages of which size it is mapped; 2MiB if absent.
    #[serde(default = "huge")]
    align: PageSize,
}

fn huge() -> PageSize {
    PageSize::Huge
}

/// A template by its word alone.
struct PlainTemplate(Template);

impl FromScalar for PlainTemplate {
    const EXPECTING: &'static str =
        "`xfs`, `unmounted`, `devdax`, or a mapping like `{ xfs: { mount: \"dax=always\" } }`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text {
            XFS => Ok(Self(Template::default())),
            UNMOUNTED => Ok(Self(Template::Unmounted { nvdimms: one() })),
            DEVDAX => Ok(Self(Template::Devdax { align: huge() })),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &Self::EXPECTING)),
        }
    }
}

impl<'de> Deserialize<'de> for PlainTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

/// The one template that a mapping names.
fn named<E: de::Error>(document: TemplateDocument) -> Result<Template, E> {
    let TemplateDocument {
        xfs,
        unmounted,
        devdax,
    } = document;
    let named = [
        xfs.map(|xfs| Ok(with_xfs(xfs))),
        unmounted.map(without_filesystem),
        devdax.map(|DevdaxDocument { align }| Ok(Template::Devdax { align })),
    ];
    let mut named = named.into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(template), None) => template,
        (Some(_), Some(_)) => Err(E::custom(
            "a case has one template, either `xfs`, `unmounted` or `devdax`",
        )),
        (None, _) => Err(E::custom("name a template, `xfs`, `unmounted` or `devdax`")),
    }
}

fn with_xfs(xfs: XfsDocument) -> Template {
    Template::Xfs(Xfs {
        mkfs: xfs.mkfs,
        mount: xfs.mount.map_or_else(|| Xfs::default().mount, |text| text.0),
        log: xfs.log,
        realtime: xfs.realtime,
        on: xfs.on,
    })
}

fn without_filesystem<E: de::Error>(UnmountedDocument { nvdimms }: UnmountedDocument) -> Result<Template, E> {
    if (1..=2).contains(&nvdimms) {
        Ok(Template::Unmounted { nvdimms })
    } else {
        Err(E::custom(format!("a machine has 1 or 2 NVDIMMs, not {nvdimms}")))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match either(deserializer, PlainTemplate::EXPECTING)? {
            Either::Plain(PlainTemplate(template)) => Ok(template),
            Either::Mapping(document) => named(document),
        }
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "enum": [XFS, UNMOUNTED, DEVDAX] }, generator.subschema_for::<TemplateDocument>()]
        })
    }
}
