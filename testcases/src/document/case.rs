// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case as a whole.

use schemars::JsonSchema;
use serde::Deserialize;

use super::head::{KnownIssueDocument, ParametersDocument};
use super::step::StepDocument;
use super::words::Text;
use crate::model::{Isolation, Template};
use crate::syntax::Later;
use crate::value::{KernelRange, Row};

/// A testcase: a guest's state, what is done to it, and what is expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with `summary`, `why`, `template` and `steps`"
)]
#[schemars(title = "Testcase")]
pub(crate) struct Document {
    /// What the case shows, in one or two sentences.
    #[schemars(required)]
    pub(crate) summary: Option<Later<Text>>,
    /// Where the behaviour comes from: the thread, patch or source that promises it.
    #[schemars(required)]
    pub(crate) why: Option<Later<Text>>,
    /// The rows of the coverage table that the case shows.
    #[schemars(with = "Vec<Row>", default)]
    pub(crate) covers: Option<Later<Vec<Row>>>,
    /// What makes several cases of this file.
    #[schemars(with = "ParametersDocument", default)]
    pub(crate) parameters: Option<Later<ParametersDocument>>,
    /// The guest that the case starts from.
    #[schemars(required)]
    pub(crate) template: Option<Later<Template>>,
    /// How the case gets its guest: by `clone`, if absent, or by `boot`, whatever the run does with the others.
    #[schemars(with = "Isolation", default)]
    pub(crate) isolation: Option<Later<Isolation>>,
    /// The kernels that the case applies to; any, if absent.
    #[schemars(with = "KernelRange", default)]
    pub(crate) kernel: Option<Later<KernelRange>>,
    /// What happens, in order; expectations stand where they hold.
    #[schemars(required, length(min = 1))]
    pub(crate) steps: Option<Later<Vec<Later<StepDocument>>>>,
    /// The kernels that are known to get it wrong, and how that shows.
    #[schemars(with = "Vec<KnownIssueDocument>", default)]
    pub(crate) known_issues: Option<Later<Vec<Later<KnownIssueDocument>>>>,
}
