// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of our types out of a document, with every mistake on the way.

use std::borrow::Cow;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::slice;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected,
    IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{Fault, ReadError, expected_in_yaml_terms};
use super::node::{Entry, Kind, Node};
use super::scalar::Meaning;
use crate::diagnostic::Diagnostic;
use crate::suggest;

/// A part of the document that is there and is read on its own, so that a mistake in it does not hide the next.
#[derive(Debug)]
pub(crate) struct Later<T>(PhantomData<fn() -> T>);

impl<'de, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Self(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Later<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// How a value is written.
#[derive(serde::Deserialize)]
pub(crate) enum Shape {
    Scalar,
    List,
    Mapping,
}

/// The name of the enum by which a visitor asks for a value's shape.
const BY_SHAPE: &str = "by shape";

/// Reads a value whose type depends on how it is written: to the visitor it is an enum, its variant a [`Shape`].
pub(crate) fn deserialize_by_shape<'de, D: Deserializer<'de>, V: Visitor<'de>>(
    deserializer: D,
    visitor: V,
) -> Result<V::Value, D::Error> {
    deserializer.deserialize_enum(BY_SHAPE, &[], visitor)
}

impl Node {
    /// Reads a `T`, adding every mistake to `found`; nothing if there was one.
    pub(crate) fn read<T: DeserializeOwned>(&self, found: &mut Vec<Diagnostic>) -> Option<T> {
        self.read_word("word", found)
    }

    /// The same, for something that begins with a word of its kind: `what` is what an unknown one is called.
    pub(crate) fn read_word<T: DeserializeOwned>(
        &self,
        what: &'static str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let before = found.len();
        self.reader(what, &Findings::default(), found)
            .filter(|_| found.len() == before)
    }

    /// The same, but gives the value even if there were unknown keys, so that its parts can be read in spite of them; a
    /// misspelt key of this mapping is then called by its right name.
    pub(crate) fn read_past<T: DeserializeOwned>(&mut self, found: &mut Vec<Diagnostic>) -> Option<T> {
        let findings = Findings::default();
        let value = self.reader("word", &findings, found);
        if let Kind::Map(entries) = &mut self.kind {
            for (span, meant) in findings.misspelt.take() {
                for entry in entries.iter_mut().filter(|entry| entry.key_span == span) {
                    meant.clone_into(&mut entry.key);
                }
            }
        }
        value
    }

    fn reader<T: DeserializeOwned>(
        &self,
        what: &'static str,
        findings: &Findings,
        found: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let reader = Reader {
            node: self,
            what,
            findings,
        };
        let read = reader.read(PhantomData);
        found.append(&mut findings.unknown.borrow_mut());
        read.map_err(|error| found.push(error.diagnose())).ok()
    }
}

/// What is found on the way and does not end the reading.
#[derive(Default)]
struct Findings {
    /// Keys that nobody knows.
    unknown: RefCell<Vec<Diagnostic>>,
    /// Where such a key stands that is read as another one, and that other one.
    misspelt: RefCell<Vec<(Range<usize>, &'static str)>>,
}

/// Reads one value of the document.
///
/// An unknown key is read as though the nearest known one had been written, else it is passed over. So all of them are
/// found, and a misspelt key is not also called missing.
#[derive(Clone, Copy)]
struct Reader<'de, 'f> {
    node: &'de Node,
    /// What its first word is called.
    what: &'static str,
    findings: &'f Findings,
}

impl<'de> Reader<'de, '_> {
    /// The reader of a value below this one.
    fn below(self, node: &'de Node) -> Self {
        let what = "word";
        Self { node, what, ..self }
    }

    /// Reads this value. A mistake in it that has no place yet is one of all of it.
    fn read<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(self)
            .map_err(|error| error.at(&self.node.handle))
    }

    fn map<V: Visitor<'de>>(
        self,
        entries: Vec<(&'de str, &'de Entry)>,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_map(Entries {
            reader: self,
            rest: entries.into_iter(),
            value: None,
        })
    }

    /// The entries of a mapping by the names of the fields that they are for.
    fn by_field(self, entries: &'de [Entry], known: &'static [&'static str]) -> Vec<(&'de str, &'de Entry)> {
        // What is there already was not meant.
        let mut open: Vec<&'static str> = known.to_vec();
        open.retain(|name| self.node.entry(name).is_none());
        let mut fields = Vec::new();
        for entry in entries {
            let name = entry.key.as_str();
            if known.contains(&name) {
                fields.push((name, entry));
                continue;
            }
            let meant =
                suggest::elsewhere(name, &open).or_else(|| suggest::nearest(name, open.iter().copied()));
            let help = match meant {
                Some(meant) => suggest::did_you_mean(meant),
                None if known.is_empty() => "leave it out: nothing can be said here".to_owned(),
                None => suggest::way_out(name, "key", known)
                    .unwrap_or_else(|| "testcases/README.md lists the keys that can stand here".to_owned()),
            };
            self.findings.unknown.borrow_mut().push(
                Diagnostic::new(format!("unknown key `{name}`"))
                    .at(entry.key_span.clone(), "not known here")
                    .help(help),
            );
            if let Some(meant) = meant {
                fields.push((meant, entry));
                open.retain(|name| *name != meant);
                let misspelt = (entry.key_span.clone(), meant);
                self.findings.misspelt.borrow_mut().push(misspelt);
            }
        }
        fields
    }

    fn variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let (word, place, value) = match &self.node.kind {
            Kind::Map(entries) => match entries.as_slice() {
                [Entry { key, key_span, value }] => (key.as_str(), key_span, Some(self.below(value))),
                others => {
                    let found = format!("one with {} keys", others.len());
                    let expected = "a mapping with one key".to_owned();
                    return Err(Fault::Invalid { found, expected }.into());
                }
            },
            Kind::Scalar(scalar) => match scalar.meaning() {
                Meaning::Text(word) => (word, &self.node.handle, None),
                _ => return self.any(visitor),
            },
            Kind::List(_) => return Err(ReadError::invalid_type(Unexpected::Seq, &visitor)),
        };
        if !known.contains(&word) {
            let (what, word) = (self.what, word.to_owned());
            return Err(ReadError::from(Fault::UnknownWord { what, word, known }).at(place));
        }
        visitor.visit_enum(Variant { word, value })
    }

    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => visitor.visit_unit(),
                Meaning::Truth(truth) => visitor.visit_bool(truth),
                Meaning::Unsigned(number) => visitor.visit_u64(number),
                Meaning::Negative(number) => visitor.visit_i64(number),
                Meaning::TooLarge => {
                    let found = Unexpected::Other("a number of more than 64 bits");
                    Err(ReadError::invalid_value(found, &visitor))
                }
                Meaning::Float(number) => visitor.visit_f64(number),
                Meaning::Text(text) => visitor.visit_borrowed_str(text),
            },
            Kind::List(items) => visitor.visit_seq(Items {
                reader: self,
                rest: items.iter(),
            }),
            Kind::Map(entries) => self.map(
                entries.iter().map(|entry| (entry.key.as_str(), entry)).collect(),
                visitor,
            ),
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Map(entries) => self.map(self.by_field(entries, fields), visitor),
            Kind::List(_) => Err(ReadError::invalid_type(Unexpected::Seq, &visitor)),
            Kind::Scalar(_) => self.any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == BY_SHAPE {
            let word = match &self.node.kind {
                Kind::Scalar(_) => "Scalar",
                Kind::List(_) => "List",
                Kind::Map(_) => "Mapping",
            };
            let value = Some(self);
            return visitor.visit_enum(Variant { word, value });
        }
        self.variant(known, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

struct Items<'de, 'f> {
    reader: Reader<'de, 'f>,
    rest: slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let next = self.rest.next();
        next.map(|node| self.reader.below(node).read(seed)).transpose()
    }
}

struct Entries<'de, 'f> {
    reader: Reader<'de, 'f>,
    rest: std::vec::IntoIter<(&'de str, &'de Entry)>,
    /// The value of the key that was read last.
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some((name, entry)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(&entry.value);
        let key: StrDeserializer<'_, ReadError> = name.into_deserializer();
        let key = seed.deserialize(key).map_err(|error| error.at(&entry.key_span));
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let node = self.value.take().unwrap_or(self.reader.node);
        self.reader.below(node).read(seed)
    }
}

/// A word, and what is said of it if it is the key of a mapping.
struct Variant<'de, 'f> {
    word: &'de str,
    value: Option<Reader<'de, 'f>>,
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let word: StrDeserializer<'_, ReadError> = self.word.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        let word = self.word.to_owned();
        match self.value {
            None => Ok(()),
            Some(_) => Err(Fault::TooMuch { word }.into()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        match self.value {
            Some(value) => value.read(seed),
            None => seed.deserialize(Absent { word: self.word }),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Some(value) => value.deserialize_seq(visitor),
            None => Absent { word: self.word }.deserialize_any(visitor),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            Some(value) => value.deserialize_struct("", fields, visitor),
            None => Absent { word: self.word }.deserialize_any(visitor),
        }
    }
}

/// What belongs to a word that stands alone: it is not there, but can say what it would have to be.
struct Absent<'a> {
    word: &'a str,
}

impl<'de> Deserializer<'de> for Absent<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let expected: &dyn Expected = &visitor;
        let (word, missing) = (self.word.to_owned(), expected_in_yaml_terms(expected));
        Err(Fault::TooLittle { word, missing }.into())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
