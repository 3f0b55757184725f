// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host, as far as it decides whether KVM can work.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The host's kernel and its KVM device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Release and version of its kernel, as `uname -rv` prints them.
    pub kernel: String,
    /// Its KVM device.
    pub kvm: KvmDevice,
}

/// What happens when /dev/kvm is opened for reading and writing, as QEMU will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvmDevice {
    /// It opens, which does not yet mean that it works.
    Opens {
        /// Its path.
        path: PathBuf,
        /// Its device number, as `major:minor`.
        identity: String,
    },
    /// There is none.
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// It is somebody else's.
    Denied {
        /// Its path.
        path: PathBuf,
    },
    /// Something else.
    Broken {
        /// Its path.
        path: PathBuf,
        /// The error that opening it gave.
        error: String,
    },
}

impl Host {
    /// Looks at this host.
    pub fn look() -> Self {
        Self {
            kernel: kernel(),
            kvm: KvmDevice::look(Path::new("/dev/kvm")),
        }
    }
}

fn kernel() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => {
            format!(
                "{} {}",
                name.release().to_string_lossy(),
                name.version().to_string_lossy()
            )
        }
        // uname(2) fails for a bad pointer only.
        Err(error) => format!("unknown ({error})"),
    }
}

impl KvmDevice {
    /// Opens `path` and closes it again.
    pub fn look(path: &Path) -> Self {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .and_then(|file| file.metadata());
        let path = path.to_owned();
        match opened {
            Ok(metadata) => {
                let device = metadata.rdev();
                let identity = format!("{}:{}", nix::libc::major(device), nix::libc::minor(device));
                Self::Opens { path, identity }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => Self::Absent { path },
                io::ErrorKind::PermissionDenied => Self::Denied { path },
                _ => Self::Broken {
                    path,
                    error: error.to_string(),
                },
            },
        }
    }

    /// Whether it can be tried.
    pub fn opens(&self) -> bool {
        matches!(self, Self::Opens { .. })
    }
}

impl fmt::Display for KvmDevice {
    /// A clause for a sentence, with the way out where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opens { path, .. } => write!(f, "{} opens", path.display()),
            Self::Absent { path } => write!(
                f,
                "{} does not exist (no hardware virtualisation, or the kernel's kvm module is not loaded)",
                path.display()
            ),
            Self::Denied { path } => write!(
                f,
                "{} may not be opened by this user (join the group that owns it: `sudo usermod -aG kvm $USER`, \
                 then log in again)",
                path.display()
            ),
            Self::Broken { path, error } => write!(f, "{} does not open: {error}", path.display()),
        }
    }
}
