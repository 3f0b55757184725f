// SPDX-License-Identifier: MIT OR Apache-2.0
//! Putting an image together: kernel, modules, programs, agent, keys.

use std::fs;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use guest_agent::{MODULES_DIR, MODULES_LOAD, MODULES_OPTIONAL};

use crate::agent_build;
use crate::cache::{Cache, EntryName};
use crate::error::{Error, IoContext};
use crate::hash;
use crate::initramfs::Initramfs;
use crate::kernel::{Kernel, KernelSpec, resolve_kernel};
use crate::keys::KeyPair;
use crate::modules;
use crate::progress::{Progress, piece_of_work};
use crate::userland::Userland;

/// Changes whenever the initramfs is laid out differently.
const LAYOUT: &str = "image entry 1";

const INITRAMFS: &str = "initramfs.cpio";
const CLIENT_KEY: &str = "client_key";
const CLIENT_KEY_PUBLIC: &str = "client_key.pub";
const HOST_KEY_PUBLIC: &str = "host_key.pub";

/// A kernel and an initramfs that belong together, and the keys to the guest that they make.
#[derive(Debug, Clone)]
pub struct Image {
    /// The SHA-256 of everything that went into it, but for the keys, which are drawn anew whenever it is built.
    pub id: String,
    /// What is booted.
    pub kernel: Kernel,
    /// The uncompressed initramfs, for QEMU's `-initrd`.
    pub initramfs: PathBuf,
    /// The private key that the guest's root account accepts: OpenSSH's format, Ed25519, mode 0600.
    pub client_key: PathBuf,
    /// Its public half.
    pub client_key_public: PathBuf,
    /// The only key by which the guest may show itself: `ssh-ed25519 AAAA…`, OpenSSH's one-line format.
    pub host_key: String,
    /// The modules that the agent loads, by file name, in load order.
    pub modules: Vec<String>,
}

/// From a specification to an image; does nothing slow if everything is in the cache.
///
/// Fails with [`Error::KernelLacks`] before anything is built if the kernel cannot serve.
pub fn prepare(spec: &KernelSpec, cache: &Cache, progress: &dyn Progress) -> Result<Image, Error> {
    build_image(resolve_kernel(spec, cache, progress)?, cache, progress)
}

/// The image for a kernel that was resolved before.
///
/// Fails with [`Error::KernelLacks`] if something is [missing](Kernel::missing).
pub fn build_image(kernel: Kernel, cache: &Cache, progress: &dyn Progress) -> Result<Image, Error> {
    kernel.require_complete()?;
    let userland = Userland::obtain(cache, progress)?;
    let agent = agent_build::build(progress)?;
    let mut inputs = hash::Inputs::new(LAYOUT)
        .part("kernel", &kernel.digest)
        .part("userland", &userland.digest)
        .part("agent", hash::of_file(&agent)?);
    for module in &kernel.modules {
        let optional = if module.optional { "optional" } else { "needed" };
        inputs = inputs
            .part(&modules::guest_name(&module.file), hash::of_file(&module.file)?)
            .part("is", optional);
    }
    let id = inputs.finish();
    let name = entry(&id);
    let folder = cache.obtain(
        &name,
        &format!("the image of {}", kernel.name),
        progress,
        |folder| {
            piece_of_work(
                progress,
                "initramfs",
                &format!("make the initramfs for {}", kernel.name),
                || make(&kernel, &userland, &agent, folder),
            )
        },
    )?;
    let host_key = folder.join(HOST_KEY_PUBLIC);
    let host_key = fs::read_to_string(&host_key).during("read", &host_key)?;
    Ok(Image {
        id,
        initramfs: folder.join(INITRAMFS),
        client_key: folder.join(CLIENT_KEY),
        client_key_public: folder.join(CLIENT_KEY_PUBLIC),
        host_key: host_key.trim_end().to_owned(),
        modules: kernel
            .modules
            .iter()
            .map(|module| modules::guest_name(&module.file))
            .collect(),
        kernel,
    })
}

/// Removes from the cache the image with this id: of a kernel that will not be seen again. Does nothing if it is not there; waits
/// for whoever is making it. That nobody uses it is the caller's word.
///
/// # Errors
/// When its lock cannot be had, or its files cannot be removed.
pub fn forget_image(cache: &Cache, id: &str, progress: &dyn Progress) -> Result<(), Error> {
    cache.forget(&entry(id), "an image that is not wanted any more", progress)
}

/// The cache's entry of the image with this id.
fn entry(id: &str) -> EntryName {
    EntryName::new("images", id)
}

/// Fills an entry.
fn make(kernel: &Kernel, userland: &Userland, agent: &Path, folder: &Path) -> Result<(), Error> {
    let client = KeyPair::generate("taster")?;
    let host = KeyPair::generate("guest")?;
    let mut guest = Initramfs::default();
    for (path, permissions) in FOLDERS {
        guest.folder(path, permissions);
    }
    // The kernel opens the console for init before anything is mounted.
    guest.device("dev/console", 0o600, 5, 1);
    guest.device("dev/null", 0o666, 1, 3);
    userland.add_to(&mut guest)?;
    guest.file("bin/guest-agent", 0o755, fs::read(agent).during("read", agent)?);
    guest.link("init", "bin/guest-agent");
    for (path, content) in FILES {
        guest.file(path, 0o644, content);
    }
    add_modules(kernel, &mut guest)?;
    guest.file("root/.ssh/authorized_keys", 0o600, format!("{}\n", client.public));
    guest.file("etc/dropbear/dropbear_ed25519_host_key", 0o600, host.dropbear);
    write_new(&folder.join(CLIENT_KEY), 0o600, client.private.as_bytes())?;
    write_new(
        &folder.join(CLIENT_KEY_PUBLIC),
        0o644,
        format!("{}\n", client.public).as_bytes(),
    )?;
    write_new(
        &folder.join(HOST_KEY_PUBLIC),
        0o644,
        format!("{}\n", host.public).as_bytes(),
    )?;
    let path = folder.join(INITRAMFS);
    let file = fs::File::create_new(&path).during("create", &path)?;
    guest.write(BufWriter::new(file)).during("write", &path)
}

/// Folders of the guest. Those of root are closed, or dropbear would not trust the keys in them.
const FOLDERS: [(&str, u32); 9] = [
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("tmp", 0o1777),
    ("run", 0o755),
    ("mnt", 0o755),
    ("root", 0o700),
    ("root/.ssh", 0o700),
    ("etc/dropbear", 0o700),
];

/// Files that a login needs. The password is locked; glibc looks into these files without being told to (nsswitch).
const FILES: [(&str, &str); 4] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("etc/shadow", "root:*:::::::\n"),
    ("etc/group", "root:x:0:\n"),
    ("etc/shells", "/bin/sh\n"),
];

/// Modules lie flat; `modules.load` names them in load order, `modules.optional` those that may fail to load.
fn add_modules(kernel: &Kernel, guest: &mut Initramfs) -> Result<(), Error> {
    let (mut load, mut optional) = (String::new(), String::new());
    let inside = |path: &str| path.trim_start_matches('/').to_owned();
    let folder = inside(MODULES_DIR);
    guest.folder(&folder, 0o755);
    for module in &kernel.modules {
        let name = modules::guest_name(&module.file);
        guest.file(&format!("{folder}/{name}"), 0o644, modules::read(&module.file)?);
        load.push_str(&name);
        load.push('\n');
        if module.optional {
            optional.push_str(&name);
            optional.push('\n');
        }
    }
    guest.file(&inside(MODULES_LOAD), 0o644, load);
    guest.file(&inside(MODULES_OPTIONAL), 0o644, optional);
    Ok(())
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<(), Error> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .during("create", path)?;
    file.write_all(content).during("write", path)
}
