// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands around the steps: parameters, conditions, includes, known issues.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::shapes::OneOrMany;
use super::text::SplatText;
use super::victims::PlaceDocument;
use super::words::Text;
use crate::model::{FindingKind, FindingValue};
use crate::syntax::Later;
use crate::value::{KernelRange, ParameterName};

/// Values for the parameters of included steps. Only for editors, for what is read is any value.
#[derive(Debug)]
pub(crate) enum WithDocument {}

impl JsonSchema for WithDocument {
    fn schema_name() -> Cow<'static, str> {
        "With".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value for each parameter of the included file.",
            "type": "object",
            "patternProperties": { "^[a-z0-9][a-z0-9_-]*$": {} },
            "additionalProperties": false,
        })
    }
}

/// The parameters of a file: values for each name, all of which are combined; or rows. Only for editors, for what is
/// read is any value.
#[derive(Debug)]
pub(crate) enum ParametersDocument {}

impl JsonSchema for ParametersDocument {
    fn schema_name() -> Cow<'static, str> {
        "Parameters".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let name = "^[a-z0-9][a-z0-9_-]*$";
        json_schema!({
            "description": "One file, several cases. Either values for each name, of which every combination is a case, or \
                            rows of values, each with a `name`. `${name}` in the case stands for the value.",
            "anyOf": [
                {
                    "type": "object",
                    "minProperties": 1,
                    "patternProperties": { name: { "type": "array", "minItems": 1 } },
                    "additionalProperties": false,
                },
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "patternProperties": { name: {} },
                        "additionalProperties": false,
                    },
                },
            ],
        })
    }
}

/// When a step is there: on which kernels, and for which values of parameters. Only for editors, for what is read is any
/// value.
#[derive(Debug)]
pub(crate) enum WhenDocument {}

impl JsonSchema for WhenDocument {
    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kernel = generator.subschema_for::<KernelRange>();
        json_schema!({
            "description": "The step is there only on these kernels, and only for these values of parameters.",
            "type": "object",
            "minProperties": 1,
            "properties": { "kernel": kernel },
        })
    }
}

/// The steps of another file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ steps: _parts/two-sharers, with: { size: 4MiB } }`"
)]
#[schemars(rename = "Include")]
pub(crate) struct IncludeDocument {
    /// The file below the folder of cases, without `.yaml`.
    pub(crate) steps: Text,
    /// Values for its parameters.
    #[schemars(with = "WithDocument", default)]
    pub(crate) with: Option<Later<WithDocument>>,
}

/// Steps for other files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with `summary`, `parameters` and `steps`"
)]
#[schemars(title = "Included steps")]
pub(crate) struct PartsDocument {
    /// What the steps do.
    #[schemars(required)]
    pub(crate) summary: Option<Later<Text>>,
    /// The names of the values that an include must give.
    #[schemars(with = "Vec<ParameterName>", default)]
    pub(crate) parameters: Option<Later<Vec<ParameterName>>>,
    /// The steps.
    #[schemars(required)]
    pub(crate) steps: Option<Later<Vec<Later<super::step::StepDocument>>>>,
}

/// A defect that some kernels are known to have, and how it shows in this case: by splats, findings, or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with `kernel`, `splat` or `finding`, and `because`"
)]
#[schemars(rename = "KnownIssue", extend("anyOf" = [{ "required": ["splat"] }, { "required": ["finding"] }]))]
pub(crate) struct KnownIssueDocument {
    /// The kernels that have it.
    pub(crate) kernel: KernelRange,
    /// A part of the warning or oops that the kernel prints, or several; all of them must show.
    #[schemars(with = "OneOrMany<SplatText>", default)]
    pub(crate) splat: Option<OneOrMany<SplatText>>,
    /// What the judge then finds, or several such; all of them must show.
    #[schemars(with = "OneOrMany<FindingDocument>", default)]
    pub(crate) finding: Option<OneOrMany<FindingDocument>>,
    /// What is wrong, for someone who meets it in a report.
    pub(crate) because: Text,
}

/// A finding. What is absent is left open, as far as it may be: see the table in the language's description.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ kind: injector, seen: EUCLEAN }` or `{ kind: victim, of: bob, seen: none }`"
)]
#[schemars(rename = "Finding")]
pub(crate) struct FindingDocument {
    /// What it is about.
    pub(crate) kind: FindingKind,
    /// Of which victim, file, event or other thing.
    #[schemars(with = "Text", default)]
    pub(crate) of: Option<Text>,
    /// In which operation, by its word.
    #[schemars(with = "Text", default)]
    pub(crate) operation: Option<Text>,
    /// At which place of a file or a victim's mapping.
    #[schemars(with = "PlaceDocument", default)]
    pub(crate) at: Option<PlaceDocument>,
    /// Of a line, the text that it was to have or to lack; of an event, its conditions.
    #[schemars(with = "Text", default)]
    pub(crate) text: Option<Text>,
    /// What was seen: one value, or where there were several all of them in order.
    #[schemars(length(min = 1))]
    pub(crate) seen: OneOrMany<FindingValue>,
}
