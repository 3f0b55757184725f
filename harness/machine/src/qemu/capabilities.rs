// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the QEMU at hand can do, by its own account.
//!
//! Distributions patch QEMU and configure parts away, so its version proves little. `query-commands` lists what it will
//! execute, `query-qmp-schema` what those commands and events look like (docs/devel/qapi-code-gen.rst, "Client JSON
//! Protocol introspection"). Types other than built-in ones have meaningless names there, so they are reached by way
//! of a command's arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::qmp::{Qmp, QmpError};

/// The commands and events of one QEMU.
#[derive(Debug, Clone)]
pub struct Capabilities {
    commands: BTreeSet<String>,
    schema: BTreeMap<String, Entity>,
}

impl Capabilities {
    /// Asks. The schema is a quarter of a MiB, so ask once per QEMU binary and not per guest.
    pub async fn query(qmp: &Qmp, deadline: Duration) -> Result<Self, QmpError> {
        let commands = qmp.raw("query-commands", Value::Null, deadline).await?;
        let schema = qmp.raw("query-qmp-schema", Value::Null, deadline).await?;
        Ok(Self {
            commands: decode::<Vec<Named>>("query-commands", commands)?
                .into_iter()
                .map(|c| c.name)
                .collect(),
            schema: decode::<Vec<Entity>>("query-qmp-schema", schema)?
                .into_iter()
                .map(|entity| (entity.name.clone(), entity))
                .collect(),
        })
    }

    /// Whether it executes the command `name`.
    pub fn has_command(&self, name: &str) -> bool {
        self.commands.contains(name)
    }

    /// Whether it can send the event `name`.
    pub fn has_event(&self, name: &str) -> bool {
        self.schema
            .get(name)
            .is_some_and(|entity| entity.meta_type == "event")
    }

    /// Whether a command takes an argument. `path` leads from the command's arguments into nested objects and arrays, for
    /// example `["channels", "addr", "transport"]` of `migrate`.
    pub fn has_argument(&self, command: &str, path: &[&str]) -> bool {
        self.argument(command, path).is_some()
    }

    /// Whether a command's argument may have the value `value` of an enumeration: for example whether
    /// `["capabilities", "capability"]` of `migrate-set-capabilities` may be `x-ignore-shared`.
    pub fn accepts(&self, command: &str, path: &[&str], value: &str) -> bool {
        self.argument(command, path).is_some_and(|entity| {
            entity.meta_type == "enum"
                && (entity.members.iter().any(|member| member.name == value)
                    || entity.values.iter().any(|other| other == value))
        })
    }

    /// The type of an argument.
    fn argument(&self, command: &str, path: &[&str]) -> Option<&Entity> {
        let command = self
            .schema
            .get(command)
            .filter(|entity| entity.meta_type == "command")?;
        let start = self.schema.get(command.arg_type.as_deref()?)?;
        path.iter()
            .try_fold(start, |entity, &name| self.member(entity, name))
    }

    /// The type of an object's member, be it of the object itself or of one of its variants, with arrays seen through.
    fn member(&self, entity: &Entity, name: &str) -> Option<&Entity> {
        let own = entity.members.iter().find(|member| member.name == name);
        let found = match own {
            Some(member) => self.schema.get(member.type_name.as_deref()?)?,
            None => entity
                .variants
                .iter()
                .filter_map(|variant| self.schema.get(variant.type_name.as_deref()?))
                .find_map(|variant| self.member(variant, name))?,
        };
        match found.element_type.as_deref() {
            Some(element) => self.schema.get(element),
            None => Some(found),
        }
    }
}

fn decode<T: for<'a> Deserialize<'a>>(command: &str, reply: Value) -> Result<T, QmpError> {
    serde_json::from_value(reply).map_err(|source| QmpError::Decode {
        command: command.to_owned(),
        source,
    })
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// One `SchemaInfo`, in so far as it matters here. Lenient, for the schema's schema grows too.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entity {
    name: String,
    meta_type: String,
    arg_type: Option<String>,
    element_type: Option<String>,
    #[serde(default)]
    members: Vec<Member>,
    #[serde(default)]
    variants: Vec<Member>,
    /// An enumeration's names, as they were given before QEMU 6.2 and still are beside `members`.
    #[serde(default)]
    values: Vec<String>,
}

/// A member of an object (name and type), of an enumeration (name only), or a variant (type only).
#[derive(Debug, Clone, Deserialize)]
struct Member {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    type_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::qmp::scripted::Peer;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn capabilities_are_what_the_schema_says() {
        let (qmp, mut peer) = Peer::connected().await;
        let script = async {
            peer.answer(
                "query-commands",
                json!([{ "name": "migrate-set-capabilities" }, { "name": "quit" }]),
            )
            .await;
            peer.answer(
                "query-qmp-schema",
                json!([
                    { "name": "migrate-set-capabilities", "meta-type": "command", "arg-type": "1", "ret-type": "0" },
                    { "name": "1", "meta-type": "object", "members": [{ "name": "capabilities", "type": "[2]" }] },
                    { "name": "[2]", "meta-type": "array", "element-type": "2" },
                    { "name": "2", "meta-type": "object", "members": [{ "name": "capability", "type": "3" }],
                      "tag": "capability", "variants": [{ "case": "xbzrle", "type": "4" }] },
                    { "name": "3", "meta-type": "enum", "members": [{ "name": "xbzrle" }], "values": ["xbzrle"] },
                    { "name": "4", "meta-type": "object", "members": [{ "name": "size", "type": "int" }] },
                    { "name": "int", "meta-type": "builtin", "json-type": "int" },
                    { "name": "SHUTDOWN", "meta-type": "event", "arg-type": "1" },
                    { "name": "5", "meta-type": "of a kind to come", "members": [] },
                ]),
            )
            .await;
        };
        let (capabilities, ()) = tokio::join!(Capabilities::query(&qmp, SECOND), script);
        let capabilities = capabilities.unwrap();
        assert!(capabilities.has_command("quit") && !capabilities.has_command("cxl-inject-poison"));
        assert!(capabilities.has_event("SHUTDOWN") && !capabilities.has_event("quit"));
        let path = ["capabilities", "capability"];
        assert!(capabilities.accepts("migrate-set-capabilities", &path, "xbzrle"));
        assert!(!capabilities.accepts("migrate-set-capabilities", &path, "mapped-ram"));
        assert!(capabilities.has_argument("migrate-set-capabilities", &["capabilities", "size"]));
        assert!(!capabilities.has_argument("quit", &["force"]));
    }
}
