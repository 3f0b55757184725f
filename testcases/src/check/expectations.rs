// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an expectation can be one: about victims that there are, about an injection that was made, inside files.

use std::collections::BTreeMap;

use super::{Mounted, Walk};
use crate::diagnostic::Diagnostic;
use crate::model::{BadRange, Expect, Mechanism, Operation, Outcome, StateExpectation};
use crate::syntax::Node;
use crate::value::{Bytes, Errno, FileName};

/// The unit of the kernel's badblocks lists (block/badblocks.c).
const SECTOR: u64 = 512;

impl<'a> Walk<'a> {
    pub(super) fn expect(&mut self, expect: &'a Expect, node: &Node) {
        match expect {
            Expect::State(state) => self.state(state, node),
            Expect::Operation { operation, outcome } => self.operation(operation, *outcome, node),
        }
    }

    fn state(&mut self, state: &StateExpectation, node: &Node) {
        self.signals(state, node);
        if let (Some(_), Some((Mechanism::MachineCheck(_), injected))) = (state.injector, &self.injected) {
            self.found.push(
                Diagnostic::new("a machine check has no writer that could get an error")
                    .at(node.key("injector"), "nobody to ask")
                    .see(injected.clone(), "the latest injection is a machine check")
                    .help("take `injector` away, or inject through `debugfs: corrupt-pfn`"),
            );
        }
        if state.filesystem.is_some()
            && let Mounted::NotSince(_) = self.mounted
        {
            self.needs_mount(node.key("filesystem"));
        }
        let ranges = node.at("badblocks");
        for (index, range) in state.badblocks.iter().flatten().enumerate() {
            self.bad_range(range, ranges.nth(index));
        }
    }

    fn signals(&mut self, state: &StateExpectation, node: &Node) {
        for (name, killed) in &state.killed {
            let entry = node.at("killed");
            let Some(victim) = self.victims.spec(name, entry.key(name.as_str()), &mut self.found) else {
                continue;
            };
            if self.files.exists(&victim.maps) {
                let at = entry.at(name.as_str()).at("at");
                self.inside(&victim.maps, at, killed.at, None, at);
            }
        }
        let list = node.at("alive");
        let mut seen = BTreeMap::new();
        for (index, name) in state.alive.iter().enumerate() {
            let span = list.nth(index).handle.clone();
            if self.victims.spec(name, span.clone(), &mut self.found).is_none() {
                continue;
            }
            if state.killed.contains_key(name) {
                self.found.push(
                    Diagnostic::new(format!("`{name}` cannot be both killed and alive"))
                        .at(span.clone(), "alive here")
                        .see(node.at("killed").key(name.as_str()), "killed here")
                        .help("take one of the two away"),
                );
            }
            if let Some(first) = seen.insert(name, span.clone()) {
                self.found.push(
                    Diagnostic::new(format!("`{name}` is named twice"))
                        .at(span, "again here")
                        .see(first, "first here")
                        .help("keep one of the two"),
                );
            }
        }
    }

    fn bad_range(&mut self, range: &BadRange, node: &Node) {
        let parts: &[(&str, Bytes)] = match range {
            BadRange::File { file, offset, length } => {
                self.inside(
                    file,
                    node.at("file"),
                    *offset,
                    Some((*length, node.at("length"))),
                    node.at("offset"),
                );
                &[("offset", *offset), ("length", *length)]
            }
            BadRange::Injected { length } => {
                if length.get() == 0 {
                    self.found.push(
                        Diagnostic::new("a range of no bytes shows nothing")
                            .at(node.at("injected").handle.clone(), "no bytes")
                            .help("write `badblocks: []` if nothing is recorded"),
                    );
                }
                &[("injected", *length)]
            }
        };
        for (key, bytes) in parts {
            if !bytes.is_multiple_of(SECTOR) {
                self.found.push(
                    Diagnostic::new(format!("{bytes} is no whole number of sectors"))
                        .at(node.at(key).handle.clone(), format!("not a multiple of {SECTOR}"))
                        .help(format!(
                            "the kernel records bad blocks in sectors of {SECTOR} bytes"
                        )),
                );
            }
        }
    }

    fn operation(&mut self, operation: &'a Operation, outcome: Outcome, node: &Node) {
        let succeeds = matches!(outcome, Outcome::Succeeds { .. });
        // That a name is not there may be just what is expected.
        let may_lack = |walk: &Self, file: &FileName| {
            !walk.files.exists(file) && outcome == Outcome::Error(Errno::ENOENT)
        };
        match operation {
            Operation::Read { file, offset, length } => {
                let node = self.mounted_operation(node, "read");
                if !may_lack(self, file) {
                    let length = (
                        *length,
                        node.entry("length")
                            .map_or(node.at("offset"), |entry| &entry.value),
                    );
                    self.inside(file, node.at("file"), *offset, Some(length), node.at("offset"));
                }
            }
            Operation::Write {
                file, offset, length, ..
            } => {
                let node = self.mounted_operation(node, "write");
                if !may_lack(self, file) {
                    // The name is looked up for the sake of the message; a write may go beyond the end.
                    let _ = self.files.size(file, node.at("file"), &mut self.found);
                }
                if length.get() == 0 {
                    self.found.push(
                        Diagnostic::new("a range of no bytes shows nothing")
                            .at(node.at("length").handle.clone(), "no bytes")
                            .help("give it at least one byte"),
                    );
                }
                if succeeds {
                    self.files.grow(file, offset.checked_add(*length), &node.handle);
                }
            }
            Operation::Create { file } => {
                let node = self.mounted_operation(node, "create");
                let span = node.at("file").handle.clone();
                if succeeds {
                    self.files
                        .make(file, Some(Bytes(0)), (span.clone(), span), &mut self.found);
                } else {
                    self.files.is_new(file, &span, &mut self.found);
                }
            }
            Operation::Stat { file } => {
                let node = self.mounted_operation(node, "stat");
                if !may_lack(self, file) {
                    let _ = self.files.size(file, node.at("file"), &mut self.found);
                }
            }
            Operation::Mount { .. } => self.mount(node.key("mount"), outcome),
            Operation::Unmount => self.unmount(node.key("unmount"), outcome),
        }
    }

    /// The arguments of an operation that needs a mounted filesystem.
    fn mounted_operation<'n>(&mut self, node: &'n Node, key: &str) -> &'n Node {
        self.needs_mount(node.key(key));
        node.at(key)
    }
}
