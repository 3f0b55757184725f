// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the filesystem is mounted, and frozen, when something is done to it.

use std::ops::Range;

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{MountOperation, Outcome, Template};

/// Whether the filesystem is mounted, and which step made it so.
enum Mounted {
    FromTheStart,
    Since(Range<usize>),
    NotSince(Range<usize>),
    /// There is nothing that could be, and this is what says so.
    Never(Range<usize>),
}

/// What is known of the mount.
pub(super) struct Mounts {
    mounted: Mounted,
    frozen: Option<Range<usize>>,
}

impl Mounts {
    /// As the template leaves it; `span` is where that is said.
    pub(super) fn new(template: &Template, span: &Range<usize>) -> Self {
        Self {
            mounted: match template {
                Template::Xfs(_) => Mounted::FromTheStart,
                Template::Unmounted { .. } => Mounted::NotSince(span.clone()),
                Template::Devdax { .. } => Mounted::Never(span.clone()),
            },
            frozen: None,
        }
    }
}

impl Walk<'_> {
    pub(super) fn needs_mount(&mut self, span: Range<usize>) {
        match &self.mounts.mounted {
            Mounted::FromTheStart | Mounted::Since(_) => {}
            Mounted::NotSince(unmounted) => self.found.push(
                Diagnostic::new("the filesystem is not mounted here")
                    .at(span, "needs the filesystem")
                    .see(unmounted.clone(), "unmounted since here")
                    .help("put `- mount: {}` before it"),
            ),
            Mounted::Never(_) => self.needs_filesystem(span),
        }
    }

    /// Says so where the template has no filesystem, and cannot get one.
    fn needs_filesystem(&mut self, span: Range<usize>) {
        if let Mounted::Never(template) = &self.mounts.mounted {
            self.found.push(
                Diagnostic::new("there is no filesystem, and no block device that could hold one")
                    .at(span, "needs a filesystem")
                    .see(template.clone(), "a character device is all that there is")
                    .help("take `template: xfs`; of this device a victim maps `{ device: dax }`, and an injection hits `at: { device: 2MiB }`"),
            );
        }
    }

    /// Whether something that changes the filesystem would wait for ever.
    pub(super) fn needs_thaw(&mut self, span: Range<usize>) {
        if let Some(frozen) = &self.mounts.frozen {
            self.found.push(
                Diagnostic::new("the filesystem is frozen here, and this would wait until it is not")
                    .at(span, "would never end")
                    .see(frozen.clone(), "frozen since here")
                    .help("put `- thaw: {}` before it"),
            );
        }
    }

    /// Mounting, unmounting, freezing and thawing; `span` is where it stands.
    pub(super) fn mounting(&mut self, operation: &MountOperation, span: Range<usize>, outcome: &Outcome) {
        match operation {
            MountOperation::Mount(_) => self.mount(span, outcome),
            MountOperation::Unmount => self.unmount(span, outcome),
            MountOperation::Repair => match self.mounts.mounted {
                Mounted::FromTheStart | Mounted::Since(_) => self.found.push(
                    Diagnostic::new("xfs_repair needs the filesystem unmounted")
                        .at(span, "mounted here")
                        .help("put `- unmount: {}` before it"),
                ),
                Mounted::NotSince(_) => {}
                Mounted::Never(_) => self.needs_filesystem(span),
            },
            MountOperation::Freeze => {
                if let Some(first) = &self.mounts.frozen {
                    self.found.push(
                        Diagnostic::new("the filesystem is frozen already")
                            .at(span, "frozen a second time")
                            .see(first.clone(), "first frozen here")
                            .help("put `- thaw: {}` before it"),
                    );
                } else if outcome.is_success() {
                    self.mounts.frozen = Some(span);
                }
            }
            MountOperation::Thaw => {
                if self.mounts.frozen.is_none() && outcome.is_success() {
                    self.found.push(
                        Diagnostic::new("the filesystem is not frozen here")
                            .at(span, "nothing to thaw")
                            .help("put `- freeze: {}` before it"),
                    );
                } else if outcome.is_success() {
                    self.mounts.frozen = None;
                }
            }
            MountOperation::Remount { .. } | MountOperation::Shutdown { .. } => {}
        }
    }

    fn mount(&mut self, span: Range<usize>, outcome: &Outcome) {
        let diagnostic =
            Diagnostic::new("the filesystem is mounted already").at(span.clone(), "mounted a second time");
        match &self.mounts.mounted {
            Mounted::FromTheStart => {
                self.found
                    .push(diagnostic.help("a case starts mounted: put `- unmount: {}` before it"));
            }
            Mounted::Since(mounted) => {
                let diagnostic = diagnostic.see(mounted.clone(), "mounted since here");
                self.found.push(diagnostic.help("put `- unmount: {}` before it"));
            }
            Mounted::NotSince(_) => {
                if outcome.is_success() {
                    self.mounts.mounted = Mounted::Since(span);
                }
            }
            Mounted::Never(_) => self.needs_filesystem(span),
        }
    }

    fn unmount(&mut self, span: Range<usize>, outcome: &Outcome) {
        if let Mounted::NotSince(unmounted) = &self.mounts.mounted {
            self.found.push(
                Diagnostic::new("the filesystem is not mounted here")
                    .at(span, "unmounted a second time")
                    .see(unmounted.clone(), "unmounted since here")
                    .help("put `- mount: {}` between the two"),
            );
            return;
        }
        if let Mounted::Never(_) = self.mounts.mounted {
            self.needs_filesystem(span);
            return;
        }
        if !outcome.is_success() {
            return;
        }
        self.not_busy(&span);
        self.mounts.mounted = Mounted::NotSince(span);
    }

    /// Nobody must use the filesystem any more.
    fn not_busy(&mut self, span: &Range<usize>) {
        let mapping = self.victims.mapping();
        if let Some(((first, _), rest)) = mapping.split_first() {
            let names = rest
                .iter()
                .fold(first.to_string(), |names, (name, _)| format!("{names}, {name}"));
            let mut diagnostic = Diagnostic::new("a filesystem with a mapped file cannot be unmounted")
                .at(span.clone(), "would fail with EBUSY")
                .help(format!("put `- release: [{names}]` before it"));
            for (name, declared) in &mapping {
                diagnostic = diagnostic.see(declared.clone(), format!("`{name}` still maps its file"));
            }
            self.found.push(diagnostic);
        }
        let open: Vec<_> = self.files.opened().collect();
        if let Some((file, _)) = open.first() {
            let mut diagnostic = Diagnostic::new("a filesystem with an open file cannot be unmounted")
                .at(span.clone(), "would fail with EBUSY")
                .help(format!("put `- close: {{ file: {file} }}` before it"));
            for (file, opened) in &open {
                diagnostic = diagnostic.see((*opened).clone(), format!("`{file}` is open since here"));
            }
            self.found.push(diagnostic);
        }
    }
}
