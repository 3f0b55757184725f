// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words that a case writes and the guest is told, each once: the language and the wire format both take them from here.
//!
//! They are plain: no word knows what it is used for, and none needs more than serde. With the feature `schema` they can
//! be described in a JSON schema, too; the program in the guest is built without it.

mod fill;
mod madvise;
mod page_size;
pub mod scalar;
mod victim;
mod watcher;

pub use fill::Fill;
pub use madvise::{Advice, MadviseError};
pub use page_size::PageSize;
pub use victim::{Disposition, KillPolicy, MappingKind};
pub use watcher::Watcher;
