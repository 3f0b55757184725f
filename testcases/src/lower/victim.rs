// SPDX-License-Identifier: MIT OR Apache-2.0
//! Victims.

use super::keys::empty;
use crate::diagnostic::Diagnostic;
use crate::document::{Either, MapDocument, VictimDocument};
use crate::model::{Mapping, Place, VictimSpec};
use crate::syntax::Node;
use crate::value::Bytes;

/// The victim that a document writes.
pub(super) fn victim(
    document: VictimDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<VictimSpec> {
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
    let (kind, access) = (document.mapping, document.access);
    let mapping = |MapDocument(map): MapDocument| match map {
        Either::Plain(file) => Mapping {
            file,
            offset: Bytes(0),
            length: None,
            mapping: kind,
            access,
        },
        Either::Mapping(part) => Mapping {
            file: part.file,
            offset: part.offset,
            length: part.length,
            mapping: part.mapping.unwrap_or(kind),
            access: part.access.unwrap_or(access),
        },
    };
    Some(VictimSpec {
        name: document.name,
        maps: document.maps.0.into_iter().map(mapping).collect(),
        touches: document.touches.0.into_iter().map(Place::from).collect(),
        stores: document.stores.0.into_iter().map(Place::from).collect(),
        kill: document.kill,
        sigbus: document.sigbus,
        page: document.page,
        threads: document.threads,
    })
}
