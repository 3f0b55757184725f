// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prepares the image of a kernel and finds a QEMU, and prints where they are.
//!
//!     cargo run -p guest-images --example prepare -- debian-6.12
//!     cargo run -p guest-images --example prepare -- path/to/bzImage path/to/modules

use std::path::Path;
use std::process::ExitCode;

use guest_images::progress::Progress;
use guest_images::{Cache, Error, KernelSpec, build_image, qemu, resolve_kernel};

/// A plain line for everything but single steps of progress.
struct Lines;

impl Progress for Lines {
    fn started(&self, work: &str, what: &str) {
        eprintln!("{work}: {what} …");
    }
    fn advanced(&self, _work: &str, _done: u64, _total: Option<u64>, _unit: &str) {}
    fn finished(&self, work: &str, outcome: Result<&str, &str>) {
        match outcome {
            Ok(text) => eprintln!("{work}: done {text}"),
            Err(text) => eprintln!("{work}: FAILED: {text}"),
        }
    }
    fn note(&self, text: &str) {
        eprintln!("note: {text}");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(
        arguments.first().map(String::as_str),
        arguments.get(1).map(Path::new),
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(current) = cause {
                eprintln!("  because: {current}");
                cause = current.source();
            }
            ExitCode::from(if error.is_usage() { 2 } else { 3 })
        }
    }
}

fn run(kernel: Option<&str>, modules: Option<&Path>) -> Result<(), Error> {
    let cache = Cache::open(None)?;
    let qemu = qemu::locate(qemu::from_environment().as_deref(), &cache, &Lines)?;
    println!("qemu: {}", qemu.binary.display());
    println!("qemu version: {}", qemu.version_text);
    println!("qemu origin: {}", qemu.origin);
    println!("qemu arguments: {:?}", qemu.arguments);
    println!("qemu environment: {:?}", qemu.environment);
    let spec = match kernel {
        Some(text) => KernelSpec::parse(text, modules)?,
        None => KernelSpec::default_kernel()?,
    };
    let kernel = resolve_kernel(&spec, &cache, &Lines)?;
    println!(
        "kernel: {} (release {}, version {})",
        kernel.name, kernel.release, kernel.version
    );
    if let Some(commit) = &kernel.commit {
        println!("commit: {commit}");
    }
    println!("boot: {} ({:?})", kernel.boot.display(), kernel.boot_kind);
    if !kernel.configuration_known {
        println!("configuration: unknown, so what the kernel lacks is, too");
    }
    if let Some(why) = &kernel.why_not_vmlinux {
        println!("why not vmlinux: {why}");
    }
    let image = build_image(kernel, &cache, &Lines)?;
    println!("image: {}", image.id);
    println!("initramfs: {}", image.initramfs.display());
    println!("client key: {}", image.client_key.display());
    println!("host key: {}", image.host_key);
    println!("modules: {}", image.modules.join(" "));
    Ok(())
}
