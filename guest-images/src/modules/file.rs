// SPDX-License-Identifier: MIT OR Apache-2.0
//! Module files: their compression, and what their .modinfo section says.

use std::fs;
use std::io::Read;
use std::path::Path;

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _};

use crate::error::{Error, IoContext};

/// The suffixes that a module can have (scripts/Makefile.modinst).
const SUFFIXES: [&str; 4] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];

/// The name that a file name stands for, with the suffix cut off; `None` if it is no module.
pub(super) fn stem(file: &Path) -> Option<&str> {
    let name = file.file_name()?.to_str()?;
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))
}

/// What a module is called in the guest: uncompressed.
pub(crate) fn guest_name(file: &Path) -> String {
    format!("{}.ko", stem(file).unwrap_or("unnamed"))
}

/// The module itself, uncompressed.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let raw = fs::read(path).during("read", path)?;
    let mut out = Vec::new();
    let outcome = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => liblzma::bufread::XzDecoder::new(raw.as_slice())
            .read_to_end(&mut out)
            .map_err(|e| e.to_string()),
        Some("gz") => flate2::bufread::GzDecoder::new(raw.as_slice())
            .read_to_end(&mut out)
            .map_err(|e| e.to_string()),
        Some("zst") => ruzstd::decoding::StreamingDecoder::new(raw.as_slice())
            .map_err(|error| error.to_string())
            .and_then(|mut decoder| decoder.read_to_end(&mut out).map_err(|error| error.to_string())),
        _ => return Ok(raw),
    };
    match outcome {
        Ok(_) => Ok(out),
        Err(why) => Err(damaged(path, &why)),
    }
}

/// What a module says of itself (include/linux/moduleinfo.h): `key=value` strings.
pub(super) struct ModInfo(Vec<(String, String)>);

impl ModInfo {
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        let data = read(path)?;
        let file = ElfFile64::<Endianness>::parse(data.as_slice())
            .map_err(|error| damaged(path, &error.to_string()))?;
        let section = file
            .section_by_name(".modinfo")
            .ok_or_else(|| damaged(path, "it has no .modinfo section"))?;
        let text = section
            .data()
            .map_err(|error| damaged(path, &error.to_string()))?;
        Ok(Self::parse(text))
    }

    pub(super) fn parse(text: &[u8]) -> Self {
        let one = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            text.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        Self(text.split(|byte| *byte == 0).filter_map(one).collect())
    }

    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::Modules {
        path: path.to_owned(),
        why: format!("the module is damaged: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn names_of_files() {
        for (file, expected) in [
            ("kernel/fs/xfs/xfs.ko", Some("xfs")),
            ("a/hwpoison-inject.ko.xz", Some("hwpoison-inject")),
            ("nfit.ko.zst", Some("nfit")),
            ("x.ko.gz", Some("x")),
            ("modules.dep", None),
        ] {
            assert_eq!(stem(Path::new(file)), expected);
        }
        assert_eq!(
            guest_name(Path::new("a/hwpoison-inject.ko.xz")),
            "hwpoison-inject.ko"
        );
    }

    #[test]
    fn every_compression_is_undone_and_damage_told() {
        let folder = tempfile::tempdir().unwrap();
        let content = b"a module, a module, a module".repeat(10);
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&content).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&content).unwrap();
        let zst = ruzstd::encoding::compress_to_vec(
            content.as_slice(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let packed = [
            ("a.ko.xz", xz.finish().unwrap()),
            ("a.ko.gz", gz.finish().unwrap()),
            ("a.ko.zst", zst),
        ];
        for (name, bytes) in packed.iter().chain([&("a.ko", content.clone())]) {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), content, "{name}");
        }
        let path = folder.path().join("a.ko.xz");
        fs::write(&path, &packed[0].1[..20]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn strings_of_modinfo() {
        let info = ModInfo::parse(b"license=GPL\0depends=a,b\0\0alias=x=y\0alias=z\0");
        assert_eq!(info.all("alias").collect::<Vec<_>>(), ["x=y", "z"]);
        assert_eq!(info.all("depends").next(), Some("a,b"));
    }
}
