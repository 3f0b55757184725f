// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of plain data, which are YAML. The only place that knows which library reads them.

use serde::de::DeserializeOwned;

/// A text that is no YAML, or not of the form that was asked for; the message says where and how.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PlainDataError(#[from] serde_yaml::Error);

/// Reads a value from a text in YAML.
///
/// # Errors
/// When the text is no YAML, or its values do not fit the type.
pub fn parse_plain_data<T: DeserializeOwned>(text: &str) -> Result<T, PlainDataError> {
    Ok(serde_yaml::from_str(text)?)
}
