// SPDX-License-Identifier: MIT OR Apache-2.0
//! The JSON schemas by which editors complete and check.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::case::Document;
use super::head::{PartsDocument, WhenDocument};

/// What may stand for any value in a file with parameters.
const PLACEHOLDER: &str = "Parameter";

/// The JSON schema (draft 7, which editors know) of a case file.
pub fn json_schema() -> Value {
    schema_of::<Document>()
}

/// The JSON schema of a file of steps that others include.
pub fn steps_schema() -> Value {
    schema_of::<PartsDocument>()
}

fn schema_of<T: JsonSchema>() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    generator.subschema_for::<WhenDocument>();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    let when = json!({ "$ref": "#/definitions/When" });
    for path in ["/definitions/Step/oneOf", "/definitions/Step/anyOf"] {
        if let Some(Value::Array(steps)) = schema.pointer_mut(path) {
            for step in steps {
                add_property(step, "when", &when);
            }
        }
    }
    if let Some(issue) = schema.pointer_mut("/definitions/KnownIssue") {
        add_property(issue, "when", &when);
    }
    let definitions = schema.get("definitions").cloned().unwrap_or_default();
    placeholders(&mut schema, &definitions);
    if let Some(Value::Object(definitions)) = schema.get_mut("definitions") {
        let placeholder = json!({
            "description": "The value of a parameter: `${name}`.",
            "type": "string",
            "pattern": r"\$\{[a-z0-9][a-z0-9_-]*\}",
        });
        definitions.insert(PLACEHOLDER.to_owned(), placeholder);
    }
    schema
}

fn add_property(schema: &mut Value, name: &str, property: &Value) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(name.to_owned(), property.clone());
    }
}

/// A key is there with a value, or it is absent; nothing is null.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(kinds)) = object.get_mut("anyOf") {
                kinds.retain(|kind| *kind != json!({ "type": "null" }));
                if let [only] = kinds.as_slice()
                    && let Value::Object(only) = only.clone()
                {
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Lets `${name}` stand wherever a word or a number of a certain form is asked for.
fn placeholders(schema: &mut Value, definitions: &Value) {
    // These are read before anything is put in, or declare what is put in.
    const AS_THEY_ARE: [&str; 3] = ["parameters", "when", "with"];
    let widen = |schema: &mut Value| {
        if asks_for_a_form(schema, definitions) {
            widened(schema);
        } else {
            placeholders(schema, definitions);
        }
    };
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (key.as_str(), value) {
                    ("properties", Value::Object(properties)) => properties
                        .iter_mut()
                        .filter(|(name, _)| !AS_THEY_ARE.contains(&name.as_str()))
                        .for_each(|(_, property)| widen(property)),
                    ("items" | "additionalProperties", value) => widen(value),
                    ("definitions", Value::Object(all)) => all
                        .iter_mut()
                        .filter(|(name, _)| !matches!(name.as_str(), "Parameters" | "When"))
                        .for_each(|(_, definition)| placeholders(definition, definitions)),
                    ("oneOf" | "anyOf" | "allOf", value) => placeholders(value, definitions),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| placeholders(item, definitions)),
        _ => {}
    }
}

/// Whether a text such as `${name}` would not do, though a scalar would.
fn asks_for_a_form(schema: &Value, definitions: &Value) -> bool {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or_default();
        return definitions
            .get(name)
            .is_some_and(|definition| asks_for_a_form(definition, definitions));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(kinds)) = schema.get(key)
            && schema.get("type").is_none_or(|kind| kind != "object")
        {
            return kinds.iter().any(|kind| asks_for_a_form(kind, definitions));
        }
    }
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        return true;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number" | "boolean") => true,
        Some("string") => schema.get("pattern").is_some(),
        _ => false,
    }
}

fn widened(schema: &mut Value) {
    let mut wide = Map::new();
    if let Value::Object(object) = schema {
        for key in ["description", "default"] {
            if let Some(value) = object.remove(key) {
                wide.insert(key.to_owned(), value);
            }
        }
    }
    let placeholder = json!({ "$ref": format!("#/definitions/{PLACEHOLDER}") });
    wide.insert("anyOf".to_owned(), json!([schema.take(), placeholder]));
    *schema = Value::Object(wide);
}
