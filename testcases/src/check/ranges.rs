// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether parts of files and of mappings lie in them.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{Mapped, Place};
use crate::syntax::Node;
use crate::value::{Bytes, FilePath, VictimName};

impl Walk<'_> {
    /// A file's part must be in the file: the byte at `offset`, or as many bytes from there as `length` says.
    pub(super) fn inside(
        &mut self,
        file: &FilePath,
        file_node: &Node,
        offset: Bytes,
        length: Option<(Bytes, &Node)>,
        offset_node: &Node,
    ) {
        if let Some((length, node)) = length {
            self.not_empty(length, node);
        }
        let Some(known) = self.files.used(file, file_node, &mut self.found) else {
            return;
        };
        let Some(size) = known.size else {
            return;
        };
        let sized =
            |diagnostic: Diagnostic| diagnostic.see(known.size_span.clone(), format!("`{file}` has {size}"));
        if offset >= size {
            self.found.push(sized(
                Diagnostic::new(format!("offset {offset} is beyond the end of `{file}`"))
                    .at(offset_node.handle.clone(), "not in the file")
                    .help(format!("choose an offset below {size}")),
            ));
            return;
        }
        if let Some((length, node)) = length
            && offset.checked_add(length).is_none_or(|end| end > size)
        {
            self.found.push(sized(
                Diagnostic::new(format!(
                    "{length} from offset {offset} reach beyond the end of `{file}`"
                ))
                .at(node.handle.clone(), "ends behind the file")
                .help(format!("the file ends at {size}")),
            ));
        }
    }

    /// A range has at least one byte.
    pub(super) fn not_empty(&mut self, length: Bytes, node: &Node) {
        if length.get() == 0 {
            self.found.push(
                Diagnostic::new("a range of no bytes shows nothing")
                    .at(node.handle.clone(), "no bytes")
                    .help("give it at least one byte"),
            );
        }
    }

    /// A place must be in one of a victim's mappings; says so if it is not, or if there is no such victim.
    pub(super) fn in_mapping(
        &mut self,
        name: &VictimName,
        usage: &Node,
        place: Place,
        (at, map): (&Node, &Node),
        length: Option<(Bytes, &Node)>,
    ) {
        if let Some((length, node)) = length {
            self.not_empty(length, node);
        }
        let Some(victim) = self.victims.known(name, usage.handle.clone(), &mut self.found) else {
            return;
        };
        let count = victim.spec.maps.len();
        let index = usize::try_from(place.map).unwrap_or(usize::MAX);
        let (Some(mapping), Some(limit)) = (victim.spec.maps.get(index), victim.limits.get(index)) else {
            let many = match count {
                1 => "one mapping".to_owned(),
                count => format!("{count} mappings"),
            };
            self.found.push(
                Diagnostic::new(format!("`{name}` has no mapping {}", place.map))
                    .at(map.handle.clone(), "no such mapping")
                    .see(victim.made.clone(), format!("`{name}` has {many}"))
                    .help(format!("they are counted from 0: choose one below {count}")),
            );
            return;
        };
        let Some((size, size_span)) = limit else {
            return;
        };
        let whole = mapping.offset.get() == 0 && mapping.length.is_none();
        let of = match &mapping.of {
            Mapped::File(file) => format!("`{file}`"),
            Mapped::Device(_) => mapping.of.to_string(),
        };
        let what = if whole {
            of
        } else {
            format!("`{name}`'s mapping of {of}")
        };
        let sized = |diagnostic: Diagnostic| diagnostic.see(size_span.clone(), format!("{what} has {size}"));
        if place.at >= *size {
            self.found.push(sized(
                Diagnostic::new(format!("offset {} is beyond the end of {what}", place.at))
                    .at(
                        at.handle.clone(),
                        if whole {
                            "not in the file"
                        } else {
                            "not in the mapping"
                        },
                    )
                    .help(format!("choose an offset below {size}")),
            ));
            return;
        }
        if let Some((length, node)) = length
            && place.at.checked_add(length).is_none_or(|end| end > *size)
        {
            self.found.push(sized(
                Diagnostic::new(format!(
                    "{length} from offset {} reach beyond the end of {what}",
                    place.at
                ))
                .at(node.handle.clone(), "ends behind it")
                .help(format!("it ends at {size}")),
            ));
        }
    }
}
