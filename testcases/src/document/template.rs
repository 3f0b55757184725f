// SPDX-License-Identifier: MIT OR Apache-2.0
//! A template as it is written: a word, or a mapping with more behind it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::Text;
use crate::model::{Ground, Log, Template, Xfs};

const XFS: &str = "xfs";
const UNMOUNTED: &str = "unmounted";

/// A template with its parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "TemplateWithParameters",
    extend("oneOf" = [{ "required": [XFS] }, { "required": [UNMOUNTED] }])
)]
struct TemplateDocument {
    /// A fresh XFS on namespaces in fsdax mode, mounted.
    #[schemars(with = "XfsDocument", default)]
    xfs: Option<XfsDocument>,
    /// Namespaces in fsdax mode, and no filesystem.
    #[schemars(with = "UnmountedDocument", default)]
    unmounted: Option<UnmountedDocument>,
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

struct TemplateVisitor;

impl<'de> Visitor<'de> for TemplateVisitor {
    type Value = Template;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`xfs`, `unmounted`, or a mapping like `{ xfs: { mount: \"dax=always\" } }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Template, E> {
        match text {
            XFS => Ok(Template::default()),
            UNMOUNTED => Ok(Template::Unmounted { nvdimms: one() }),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Template, A::Error> {
        let TemplateDocument { xfs, unmounted } =
            TemplateDocument::deserialize(MapAccessDeserializer::new(map))?;
        match (xfs, unmounted) {
            (Some(xfs), None) => Ok(Template::Xfs(Xfs {
                mkfs: xfs.mkfs,
                mount: xfs.mount.map_or_else(|| Xfs::default().mount, |text| text.0),
                log: xfs.log,
                realtime: xfs.realtime,
                on: xfs.on,
            })),
            (None, Some(UnmountedDocument { nvdimms })) if (1..=2).contains(&nvdimms) => {
                Ok(Template::Unmounted { nvdimms })
            }
            (None, Some(UnmountedDocument { nvdimms })) => Err(de::Error::custom(format!(
                "a machine has 1 or 2 NVDIMMs, not {nvdimms}"
            ))),
            (Some(_), Some(_)) => Err(de::Error::custom(
                "a case has one template, either `xfs` or `unmounted`",
            )),
            (None, None) => Err(de::Error::custom("name a template, `xfs` or `unmounted`")),
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TemplateVisitor)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "enum": [XFS, UNMOUNTED] }, generator.subschema_for::<TemplateDocument>()]
        })
    }
}
