// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case file as it is written: what may stand where. Parser and JSON schema both come from these types.
//!
//! Strict everywhere, and no flattened, untagged or internally tagged types: serde loses the place of a mistake in those.
//! What the types cannot say ("exactly one of these keys") is said when the document is lowered to the model.

mod case;
mod expectations;
mod files;
mod head;
mod injections;
mod schema;
mod shapes;
mod step;
mod system;
mod template;
mod text;
mod victims;
mod words;

pub(crate) use case::Document;
pub(crate) use expectations::{
    BadRangeDocument, ContentsDocument, FileStateDocument, LinesDocument, OtherContentsDocument,
    PageFlagsDocument, SignalDocument, TraceDocument,
};
pub(crate) use files::{
    ReadDocument, ReflinkDocument, SetFlagsDocument, SymlinkDocument, SyncDocument, WriteDocument,
};
pub(crate) use head::{FindingDocument, IncludeDocument, KnownIssueDocument, PartsDocument};
pub(crate) use injections::{
    InjectDocument, LastBlockWord, MarkDocument, MetadataWord, SpaceWord, TargetDocument,
};
pub use schema::{json_schema, steps_schema};
pub(crate) use shapes::{Either, OneOrMany};
pub(crate) use step::{ENDINGS, ExpectDocument, OPERATIONS, OperationDocument, STATE, StepDocument};
pub(crate) use system::TimedRunDocument;
pub(crate) use text::SplatText;
pub(crate) use victims::{MapDocument, PlaceDocument, VictimDocument, VictimPlaceDocument};
pub(crate) use words::{Ending, Text};
