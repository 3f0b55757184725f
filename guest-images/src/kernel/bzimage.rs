// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bzImage says of itself, and the vmlinux inside it.
//!
//! Offsets are those of the kernel's Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".

use std::io::Read;

const BOOT_FLAG: usize = 0x1fe;
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PROTOCOL: usize = 0x206;
const VERSION_POINTER: usize = 0x20e;
const XLOADFLAGS: usize = 0x236;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// The kernel can be entered in 64-bit mode (XLF_KERNEL_64), which a 32-bit kernel cannot.
const XLF_KERNEL_64: u16 = 1;

/// The first protocol whose header tells where the payload is.
const PROTOCOL_WITH_PAYLOAD: u16 = 0x0208;

/// A bzImage, in memory.
pub(super) struct BzImage<'a> {
    image: &'a [u8],
}

/// Why bytes are not a bzImage that can be booted here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotBzImage {
    /// Not a bzImage at all.
    OtherFormat,
    /// One for 32-bit machines.
    ThirtyTwoBit,
    /// The file ends before its header says.
    Truncated,
}

impl<'a> BzImage<'a> {
    pub(super) fn parse(image: &'a [u8]) -> Result<Self, NotBzImage> {
        let this = Self { image };
        if this.u16(BOOT_FLAG) != Some(0xaa55) || image.get(MAGIC..MAGIC + 4) != Some(b"HdrS") {
            return Err(NotBzImage::OtherFormat);
        }
        if this
            .u16(XLOADFLAGS)
            .is_none_or(|flags| flags & XLF_KERNEL_64 == 0)
        {
            return Err(NotBzImage::ThirtyTwoBit);
        }
        if this.u16(PROTOCOL) >= Some(PROTOCOL_WITH_PAYLOAD) && this.payload().is_none() {
            return Err(NotBzImage::Truncated);
        }
        Ok(this)
    }

    /// The version text: release, who built it, when; and on Debian the package's version.
    pub(super) fn banner(&self) -> Option<String> {
        let pointer = usize::from(self.u16(VERSION_POINTER).filter(|pointer| *pointer != 0)?);
        let text = self.image.get(pointer.checked_add(0x200)?..)?;
        let end = text.iter().take(4096).position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(text.get(..end)?).into_owned())
    }

    /// The vmlinux inside, uncompressed; or why it cannot be had.
    pub(super) fn vmlinux(&self) -> Result<Vec<u8>, String> {
        if self.u16(PROTOCOL) < Some(PROTOCOL_WITH_PAYLOAD) {
            return Err(
                "its boot protocol is older than 2.08 and does not say where the payload is".to_owned(),
            );
        }
        let payload = self.payload().ok_or("its payload is cut off")?;
        let vmlinux = uncompress(payload)?;
        // arch/x86/boot/compressed/Makefile appends the uncompressed size, little-endian, to every format.
        let trailer: Option<[u8; 4]> = payload.last_chunk().copied();
        let expected = trailer.map(u32::from_le_bytes).unwrap_or_default();
        if u32::try_from(vmlinux.len()) != Ok(expected) {
            return Err(format!(
                "its payload gives {} bytes where it says {expected}",
                vmlinux.len()
            ));
        }
        Ok(vmlinux)
    }

    fn payload(&self) -> Option<&'a [u8]> {
        // Zero means four, for kernels of the last century.
        let sectors = match *self.image.get(SETUP_SECTORS)? {
            0 => 4,
            some => usize::from(some),
        };
        let start = (sectors + 1) * 512 + self.u32(PAYLOAD_OFFSET)?;
        self.image
            .get(start..start.checked_add(self.u32(PAYLOAD_LENGTH)?)?)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.image.get(at..)?.first_chunk().copied()?))
    }

    fn u32(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.image.get(at..)?.first_chunk().copied()?)).ok()
    }
}

/// The formats that a kernel can be configured to compress itself with (init/Kconfig, KERNEL_*).
fn uncompress(payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let (format, outcome) = match payload {
        [0x1f, 0x8b, ..] => (
            "gzip",
            flate2::bufread::GzDecoder::new(payload).read_to_end(&mut out),
        ),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => (
            "xz",
            liblzma::bufread::XzDecoder::new(payload).read_to_end(&mut out),
        ),
        [0x5d, 0, 0, ..] => match liblzma::stream::Stream::new_lzma_decoder(u64::MAX) {
            Ok(stream) => (
                "lzma",
                liblzma::bufread::XzDecoder::new_stream(payload, stream).read_to_end(&mut out),
            ),
            Err(error) => return Err(format!("lzma cannot be started: {error}")),
        },
        [0x28, 0xb5, 0x2f, 0xfd, ..] => match ruzstd::decoding::StreamingDecoder::new(payload) {
            Ok(mut decoder) => ("zstd", decoder.read_to_end(&mut out)),
            Err(error) => return Err(format!("its zstd payload is damaged: {error}")),
        },
        [b'B', b'Z', b'h', ..] => return Err(unsupported("bzip2")),
        [0x02, 0x21, 0x4c, 0x18, ..] => return Err(unsupported("lz4")),
        [0x89, b'L', b'Z', b'O', ..] => return Err(unsupported("lzo")),
        [0x7f, b'E', b'L', b'F', ..] => return Ok(payload.to_vec()),
        _ => return Err("its payload is in a format that is not known here".to_owned()),
    };
    match outcome {
        Ok(_) => Ok(out),
        Err(error) => Err(format!("its {format} payload is damaged: {error}")),
    }
}

fn unsupported(format: &str) -> String {
    format!("its payload is {format}, which is not read here (gzip, xz, lzma and zstd are)")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A bzImage with one setup sector, the given payload and banner.
    pub(crate) fn synthetic(payload: &[u8], banner: &str) -> Vec<u8> {
        let mut image = vec![0_u8; 1024];
        image[SETUP_SECTORS] = 1;
        image[BOOT_FLAG..BOOT_FLAG + 2].copy_from_slice(&[0x55, 0xaa]);
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PROTOCOL..PROTOCOL + 2].copy_from_slice(&0x020f_u16.to_le_bytes());
        image[XLOADFLAGS] = 1;
        image[VERSION_POINTER..VERSION_POINTER + 2].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x300 + banner.len()].copy_from_slice(banner.as_bytes());
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16_u32.to_le_bytes());
        let length = u32::try_from(payload.len()).unwrap();
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length.to_le_bytes());
        image.extend([0x90; 16]);
        image.extend(payload);
        image.extend([0; 64]);
        image
    }

    fn with_size(mut compressed: Vec<u8>, content: &[u8]) -> Vec<u8> {
        compressed.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        compressed
    }

    pub(crate) fn xz(content: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(content).unwrap();
        with_size(encoder.finish().unwrap(), content)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        // gzip's own trailer ends with the size; nothing is appended (the kernel's Makefile says so).
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        let frame = ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest);
        with_size(frame, content)
    }

    #[test]
    fn the_payload_comes_out_of_each_format() {
        let content = b"\x7fELF and so on, and so on, and so on".repeat(50);
        for payload in [xz(&content), gzip(&content), zstd(&content)] {
            let image = synthetic(&payload, "6.1.0-56-amd64 (someone) #1 SMP");
            let parsed = BzImage::parse(&image).ok().unwrap();
            assert_eq!(parsed.vmlinux().unwrap(), content);
            assert_eq!(parsed.banner().unwrap(), "6.1.0-56-amd64 (someone) #1 SMP");
        }
    }

    #[test]
    fn a_wrong_size_or_format_is_told() {
        let mut lying = xz(b"content");
        let end = lying.len();
        lying[end - 4..].copy_from_slice(&1_u32.to_le_bytes());
        for (payload, expected) in [
            (lying, "where it says 1"),
            (b"BZh9....".to_vec(), "bzip2"),
            (vec![1; 9], "not known"),
        ] {
            let image = synthetic(&payload, "x");
            let why = BzImage::parse(&image).ok().unwrap().vmlinux().unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let image = synthetic(&xz(b"content"), "x");
        let refused = |image: &[u8]| BzImage::parse(image).err();
        assert_eq!(refused(b""), Some(NotBzImage::OtherFormat));
        assert_eq!(refused(&[0; 4096]), Some(NotBzImage::OtherFormat));
        assert_eq!(refused(&image[..1030]), Some(NotBzImage::Truncated));
        let mut narrow = image.clone();
        narrow[XLOADFLAGS] = 0;
        assert_eq!(refused(&narrow), Some(NotBzImage::ThirtyTwoBit));
    }
}
