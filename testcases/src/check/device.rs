// SPDX-License-Identifier: MIT OR Apache-2.0
//! The DAX device of a template: who may map it, and how.

use std::ops::Range;

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{Injection, Mapping, MappingKind, Mechanism, PageSize, SysfsFile, Template, VictimSpec};
use crate::syntax::Node;
use crate::value::Bytes;

/// The DAX device that a template has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    /// By pages of which size it is mapped.
    align: PageSize,
}

impl Device {
    /// The one of this template; none if it has none.
    pub(super) const fn of(template: &Template) -> Option<Self> {
        match template {
            Template::Devdax { align } => Some(Self { align: *align }),
            Template::Xfs(_) | Template::Unmounted { .. } => None,
        }
    }
}

impl Walk<'_> {
    /// A victim maps the device; `written` is what says so, `victim` stands in `node`. What is returned is how far the mapping
    /// goes, if that is said.
    ///
    /// drivers/dax/device.c:check_vma refuses what is private or not aligned; __dev_dax_pmd_fault takes the offset for aligned.
    pub(super) fn maps_device(
        &mut self,
        mapping: &Mapping,
        written: &Node,
        victim: &VictimSpec,
        node: &Node,
    ) -> Option<(Bytes, Range<usize>)> {
        let Some(Device { align }) = self.device else {
            self.found.push(
                Diagnostic::new("the template has no DAX device")
                    .at(written.at("device").handle.clone(), "nothing to map")
                    .see(self.template.clone(), "the template")
                    .help("take `template: devdax`, or map a file"),
            );
            return None;
        };
        if mapping.mapping == MappingKind::Private {
            let says = if written.entry("mapping").is_some() {
                written
            } else {
                node
            };
            self.found.push(
                Diagnostic::new("the DAX device cannot be mapped privately")
                    .at(says.at("mapping").handle.clone(), "mmap(2) refuses it")
                    .help("write `mapping: shared`, or `sync`"),
            );
        }
        let lengths = [("offset", Some(mapping.offset)), ("length", mapping.length)];
        for (key, bytes) in lengths {
            if let Some(bytes) = bytes.filter(|bytes| !bytes.is_multiple_of(align.bytes())) {
                self.found.push(
                    Diagnostic::new(format!("the DAX device is mapped by whole pages of {align}, not by {bytes}"))
                        .at(written.at(key).handle.clone(), format!("not a multiple of {align}"))
                        .see(self.template.clone(), "the template")
                        .help(format!(
                            "choose a multiple of {align}; what is touched, and what is hit, may be any byte in it"
                        )),
                );
            }
        }
        if let Some(page) = victim.page.filter(|page| *page != align) {
            self.found.push(
                Diagnostic::new(format!("the DAX device is never mapped by pages of {page}"))
                    .at(node.at("page").handle.clone(), "cannot be")
                    .see(self.template.clone(), format!("its pages have {align}"))
                    .help(format!(
                        "write `page: {align}`, or `template: {{ devdax: {{ align: {page} }} }}`"
                    )),
            );
        }
        let length = mapping.length?;
        self.not_empty(length, written.at("length"));
        Some((length, written.at("length").handle.clone()))
    }

    /// Whether what an injection writes to is there: a character device has no file `badblocks`.
    pub(super) fn has_badblocks(&mut self, injection: &Injection, step: &Node) {
        if self.device.is_some() && injection.by == Mechanism::Sysfs(SysfsFile::Badblocks) {
            self.found.push(
                Diagnostic::new("the DAX device keeps no list of bad blocks that could be written")
                    .at(step.at("inject").at("sysfs").handle.clone(), "no such file")
                    .see(self.template.clone(), "the template")
                    .help(
                        "write `machine-check: action-optional`, by which they are recorded for its region",
                    ),
            );
        }
    }
}
