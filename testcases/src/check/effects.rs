// SPDX-License-Identifier: MIT OR Apache-2.0
//! What has changed once an operation has succeeded.

use super::Walk;
use crate::model::{Effect, FileKind, Named, NewSize, SizeChange};
use crate::syntax::Node;
use crate::value::{Bytes, FilePath};

impl Walk<'_> {
    /// Takes in what an operation changes that succeeds; `args` is what stands behind its word.
    pub(super) fn take_in(&mut self, effect: &Effect, args: &Node) {
        let said = |key: &str| args.at(key).handle.clone();
        let files = &mut self.files;
        match effect {
            Effect::Nothing => {}
            Effect::Makes { name, kind, size } => self.make(*name, *kind, size, args),
            Effect::Links { from, to } => files.link(from, to.path, said(to.key)),
            Effect::Moves { from, to } if to.path.is_below(from.path) => {}
            Effect::Moves { from, to } => files.rename(from.path, to.path, &said(from.key), &said(to.key)),
            Effect::Removes(name) => {
                if files.child_of(name.path).is_none() {
                    files.unlink(name.path, said(name.key));
                }
            }
            Effect::Opens(name) => files.open(name.path, said(name.key), &mut self.found),
            Effect::Closes(name) => files.close(name.path, said(name.key), &mut self.found),
            Effect::Resizes { file, size } => self.resize(file, *size, args),
            Effect::Exchanges { file, with } => {
                let size = |path| files.known(path).and_then(|known| known.size);
                let (of_one, of_other) = (size(file), size(with));
                files.resize(file, of_other, args.handle.clone());
                files.resize(with, of_one, args.handle.clone());
            }
        }
    }

    fn make(&mut self, name: Named, kind: FileKind, size: &NewSize, args: &Node) {
        // That the name is taken has been said.
        if self.files.exists(name.path) {
            return;
        }
        let made = args.at(name.key).handle.clone();
        let (size, size_span) = match size {
            NewSize::None => (None, made.clone()),
            NewSize::Is { size, key } => (Some(*size), args.at(key).handle.clone()),
            NewSize::As(other) => match self.files.known(other) {
                Some(known) => (known.size, known.size_span),
                None => (None, made.clone()),
            },
        };
        self.files.make(name.path, kind, size, (made, size_span));
    }

    fn resize(&mut self, file: &FilePath, change: SizeChange, args: &Node) {
        let files = &mut self.files;
        let size = files.known(file).and_then(|known| known.size);
        match change {
            SizeChange::Is { size, key } => files.resize(file, Some(size), args.at(key).handle.clone()),
            SizeChange::Reaches(end) => files.grow(file, end, &args.handle),
            SizeChange::Less(length) => {
                let size = size.and_then(|size| size.get().checked_sub(length.get()));
                files.resize(file, size.map(Bytes), args.handle.clone());
            }
            SizeChange::More(length) => {
                let size = size.and_then(|size| size.checked_add(length));
                files.resize(file, size, args.handle.clone());
            }
        }
    }
}
