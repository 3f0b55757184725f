// SPDX-License-Identifier: MIT OR Apache-2.0
//! Victims.

use super::keys::{empty, just_one, misfits};
use crate::diagnostic::Diagnostic;
use crate::document::{Either, MapDocument, VictimDocument};
use crate::model::{Access, Mapped, Mapping, MappingKind, Place, VictimSpec};
use crate::syntax::{Kind, Node};
use crate::value::Bytes;

/// The victim that a document writes.
pub(super) fn victim(
    document: VictimDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<VictimSpec> {
    let before = found.len();
    if document.maps.0.is_empty() {
        let help = "name the file that it maps: `maps: a`";
        empty(
            node,
            "maps",
            "a victim that maps nothing cannot be hit",
            help,
            found,
        );
        return None;
    }
    let defaults = (document.mapping, document.access);
    let mut maps = Vec::new();
    let written = node.at("maps");
    for (index, document) in document.maps.0.into_iter().enumerate() {
        let node = match &written.kind {
            Kind::List(_) => written.nth(index),
            _ => written,
        };
        maps.extend(mapping(document, defaults, node, found));
    }
    (found.len() == before).then(|| VictimSpec {
        name: document.name,
        maps,
        touches: document.touches.0.into_iter().map(Place::from).collect(),
        stores: document.stores.0.into_iter().map(Place::from).collect(),
        kill: document.kill,
        sigbus: document.sigbus,
        page: document.page,
        threads: document.threads,
    })
}

/// One of its mappings; `kind` and `access` are what the victim says for those that do not.
fn mapping(
    MapDocument(map): MapDocument,
    (kind, access): (MappingKind, Access),
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Mapping> {
    match map {
        Either::Plain(file) => Some(Mapping {
            of: Mapped::File(file),
            offset: Bytes(0),
            length: None,
            mapping: kind,
            access,
            dax: true,
        }),
        Either::Mapping(part) => {
            let help = "write `{ file: a }`, or `{ device: dax }` for the device of the template `devdax`";
            if just_one(node, &["file", "device"], "what is mapped", help, found)? == "device" {
                misfits(node, "device", &["dax"], found);
            }
            let of = part.file.map(Mapped::File);
            Some(Mapping {
                of: of.or(part.device.map(Mapped::Device))?,
                offset: part.offset,
                length: part.length,
                mapping: part.mapping.unwrap_or(kind),
                access: part.access.unwrap_or(access),
                dax: part.dax.unwrap_or(true),
            })
        }
    }
}
