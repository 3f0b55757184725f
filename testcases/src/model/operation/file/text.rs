// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on files in words.

use crate::model::words::{list, place};
use crate::model::{LinkTarget, RangeToRange, ReadRange, SetFlags, WriteRange, WriteSource};
use crate::value::{Bytes, FilePath};

pub(super) fn range(file: &FilePath, offset: Bytes, length: Bytes) -> String {
    format!("{file}+{offset} ({length})")
}

pub(super) fn from_to(ranges: &RangeToRange) -> String {
    let from = range(&ranges.from, ranges.offset, ranges.length);
    format!("{from} to {}+{}", ranges.to, ranges.at)
}

pub(super) fn target(to: &LinkTarget) -> String {
    match to {
        LinkTarget::Text(text) => format!("to {text}"),
        LinkTarget::Length(length) => format!("of {} letters", length.get()),
    }
}

pub(super) fn write(write: &WriteRange) -> String {
    let with = match &write.source {
        WriteSource::Fill(fill) => format!("with {fill}"),
        WriteSource::Mapping(at) => format!("from {}", place(at)),
    };
    let how = if write.direct { ", directly" } else { "" };
    format!("{} {with}{how}", range(&write.file, write.offset, write.length))
}

pub(super) fn read(read: &ReadRange) -> String {
    let into = read.into.as_ref();
    let into = into.map_or(String::new(), |at| format!(" into {}", place(at)));
    let how = if read.direct { ", directly" } else { "" };
    format!("{}{into}{how}", range(&read.file, read.offset, read.length))
}

pub(super) fn switched(flags: &SetFlags) -> String {
    let switch =
        |name: &str, on: Option<bool>| on.map(|on| format!("{name} {}", if on { "on" } else { "off" }));
    let number = |name: &str, size: Option<Bytes>| size.map(|size| format!("{name} {size}"));
    let all = [
        switch("dax", flags.dax),
        number("extsize", flags.extsize),
        number("cowextsize", flags.cowextsize),
        switch("realtime", flags.realtime),
    ];
    list(all.into_iter().flatten())
}
