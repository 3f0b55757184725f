// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every kind of kernel is asked once its files are at hand: who are you, and what do you lack.

use std::path::{Path, PathBuf};

use super::bzimage::{BzImage, NotBzImage};
use super::config::{Config, Missing, MissingOption, NEEDS, Setting, WELCOME_MODULES};
use super::vmlinux::{Vmlinux, other_format};
use crate::error::{Error, IoContext};
use crate::hash::Inputs;
use crate::modules::{Facts, ModuleFolder, PlannedModule, normal, plan};

/// A kernel image, looked at.
pub(super) enum Image {
    /// Compressed, with its bytes.
    BzImage { bytes: Vec<u8>, banner: String },
    Vmlinux {
        pvh: bool,
        banner: String,
        config: Option<Config>,
    },
}

/// Looks at a file that is said to be a kernel.
pub(super) fn image(path: &Path) -> Result<Image, Error> {
    let not = |why: &str| Error::NotAKernel {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    // A pipe would be waited for as long as nobody writes to it, a device might never end.
    if !std::fs::metadata(path).during("read", path)?.is_file() {
        return Err(not("it is no regular file"));
    }
    let head = head_of(path)?;
    if head.starts_with(b"\x7fELF") {
        let found = Vmlinux::open(path).map_err(|why| not(&why))?;
        let banner = found
            .banner()
            .ok_or_else(|| not("it is an ELF file, but holds no Linux version"))?;
        return Ok(Image::Vmlinux {
            pvh: found.pvh,
            banner,
            config: Config::embedded(&found.rodata),
        });
    }
    let bytes = if head.get(0x202..0x206) == Some(b"HdrS") {
        std::fs::read(path).during("read", path)?
    } else {
        head
    };
    let banner = match BzImage::parse(&bytes) {
        Ok(parsed) => parsed.banner().ok_or_else(|| not("its header has no version")),
        Err(NotBzImage::OtherFormat) => Err(not(other_format(&bytes))),
        Err(NotBzImage::ThirtyTwoBit) => Err(not("it is a 32-bit x86 kernel; only x86_64 is tested here")),
        Err(NotBzImage::Truncated) => Err(not(
            "the file ends before its header says; it was not copied whole",
        )),
    }?;
    Ok(Image::BzImage { bytes, banner })
}

/// The first part of a file, enough to know its format.
fn head_of(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut head = Vec::new();
    let file = std::fs::File::open(path).during("open", path)?;
    file.take(4096).read_to_end(&mut head).during("read", path)?;
    Ok(head)
}

/// Writes the vmlinux inside a bzImage to `target` and looks at it; `Err` says why it cannot be booted instead.
pub(super) fn extract(bzimage: &[u8], target: &Path) -> Result<Result<Option<Config>, String>, Error> {
    let inside = match BzImage::parse(bzimage) {
        Ok(parsed) => parsed.vmlinux(),
        Err(_) => Err("it is no bzImage".to_owned()),
    };
    let content = match inside {
        Ok(content) => content,
        Err(why) => return Ok(Err(why)),
    };
    std::fs::write(target, content).during("write", target)?;
    let outcome = match Vmlinux::open(target) {
        Ok(found) if found.pvh => return Ok(Ok(Config::embedded(&found.rodata))),
        Ok(_) => "the kernel has no PVH entry (CONFIG_PVH)".to_owned(),
        Err(why) => format!("what it holds cannot be booted: {why}"),
    };
    std::fs::remove_file(target).during("remove", target)?;
    Ok(Err(outcome))
}

/// The release: the first word of the version text.
pub(super) fn release(banner: &str) -> String {
    banner.split_whitespace().next().unwrap_or_default().to_owned()
}

/// The upstream version: Debian's banner ends with ` Debian 6.1.192-1 (date)`; others have it in the release.
pub(super) fn version(banner: &str, release: &str) -> String {
    let package = banner
        .rsplit_once(" Debian ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let version = package.map(|version| version.split_once(':').map_or(version, |(_, rest)| rest));
    if let Some((upstream, _)) = version.and_then(|version| version.rsplit_once('-')) {
        // 7.3~rc7 is how a package spells 7.3-rc7.
        return upstream.replace('~', "-");
    }
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = release.split('-');
    let base = parts.next().unwrap_or_default();
    let numeric: Vec<&str> = base
        .split('.')
        .map(leading_number)
        .take_while(|part| number(part))
        .collect();
    match parts
        .next()
        .and_then(|next| next.strip_prefix("rc"))
        .map(leading_number)
        .filter(|part| number(part))
    {
        Some(candidate) => format!("{}-rc{candidate}", numeric.join(".")),
        None => numeric.join("."),
    }
}

fn leading_number(text: &str) -> &str {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// What a kernel needs loaded, and what it lacks.
pub(super) struct Fitness {
    pub(super) modules: Vec<PlannedModule>,
    pub(super) missing: Vec<MissingOption>,
}

/// Holds the needs against the configuration and the modules.
pub(super) fn fitness(config: Option<&Config>, modules: Option<&ModuleFolder>) -> Result<Fitness, Error> {
    let mut missing = Vec::new();
    let mut wanted = Vec::new();
    for need in NEEDS {
        let mut lacks = |how| {
            let option = format!("CONFIG_{}", need.option);
            missing.push(MissingOption {
                option,
                what_for: need.what_for.to_owned(),
                how,
            });
        };
        let has = |name: &str| {
            modules.is_some_and(|all| all.file(&normal(name)).is_some() || all.built_in(&normal(name)))
        };
        let setting = config.map(|config| config.setting(need.option));
        match (setting, need.module) {
            // Without a configuration nothing is known of what cannot be a module.
            (Some(Setting::BuiltIn), _) | (None, None) => {}
            (Some(Setting::NotSet), _) | (Some(Setting::Module), None) => lacks(Missing::NotSet),
            (Some(Setting::Module) | None, Some(name)) => match modules {
                Some(_) if has(name) => wanted.push(name),
                Some(_) => lacks(Missing::ModuleAbsent(name.to_owned())),
                None if setting.is_some() => lacks(Missing::NoModules),
                None => {}
            },
        }
    }
    let Some(facts) = modules else {
        return Ok(Fitness {
            modules: Vec::new(),
            missing,
        });
    };
    let plan = plan(facts, &wanted, WELCOME_MODULES)?;
    Ok(Fitness {
        modules: plan.load,
        missing,
    })
}

/// What is needed and not set at all, whatever is said of modules.
pub(super) fn not_set(config: &Config) -> Vec<MissingOption> {
    NEEDS
        .iter()
        .filter(|need| match config.setting(need.option) {
            Setting::BuiltIn => false,
            Setting::Module => need.module.is_none(),
            Setting::NotSet => true,
        })
        .map(|need| MissingOption {
            option: format!("CONFIG_{}", need.option),
            what_for: need.what_for.to_owned(),
            how: Missing::NotSet,
        })
        .collect()
}

/// Changes when the needs do; what was kept of a kernel under other needs may not be enough.
pub(super) fn needs_digest() -> String {
    let needs = NEEDS.iter().fold(Inputs::new("needs"), |inputs, need| {
        inputs
            .part(need.option, need.module.unwrap_or_default())
            .part("for", need.what_for)
    });
    WELCOME_MODULES
        .iter()
        .fold(needs, |inputs, name| inputs.part("welcome", name))
        .finish()
}

/// Finds the modules for `release` in a folder that the user named: an installed root, `lib/modules`, or the folder
/// of the release itself.
pub(super) fn locate_modules(given: &Path, release: &str) -> Result<PathBuf, Error> {
    let places = ["", "lib/modules", "usr/lib/modules"].map(|part| given.join(part));
    let itself = |path: &Path| {
        ["modules.dep", "modules.order", "modules.builtin"]
            .iter()
            .any(|list| path.join(list).is_file())
    };
    let by_release = places
        .iter()
        .map(|place| place.join(release))
        .find(|path| path.is_dir());
    if let Some(found) = by_release.or_else(|| itself(given).then(|| given.to_owned())) {
        return Ok(found);
    }
    let mut others = Vec::new();
    for place in &places {
        let Ok(entries) = std::fs::read_dir(place) else {
            continue;
        };
        let names = entries
            .filter_map(Result::ok)
            .filter(|entry| itself(&entry.path()));
        others.extend(names.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    let has = match others.as_slice() {
        [] => "there are none".to_owned(),
        some => format!("there are only those for {}", some.join(", ")),
    };
    Err(Error::Modules {
        path: given.to_owned(),
        why: format!("the kernel is {release}, and {has}"),
    })
}

/// Modules of another build are refused by the kernel, one by one and late: say it now.
pub(super) fn check_release(modules: &[PlannedModule], release: &str) -> Result<(), Error> {
    let Some(first) = modules.first() else {
        return Ok(());
    };
    match ModuleFolder::release_of(&first.file)? {
        Some(other) if other != release => Err(Error::Modules {
            path: first.file.clone(),
            why: format!(
                "it was built for {other}, and the kernel is {release}; build or install its own modules"
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_no_kernel_and_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("vmlinux");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = image(&pipe).err().map(|error| error.to_string());
        assert!(
            error
                .as_ref()
                .is_some_and(|text| text.contains("no regular file")),
            "{error:?}"
        );
    }

    #[test]
    fn versions_out_of_banners() {
        let debian =
            "6.1.0-56-amd64 (builder@example.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)";
        assert_eq!(release(debian), "6.1.0-56-amd64");
        assert_eq!(version(debian, "6.1.0-56-amd64"), "6.1.192");
        assert_eq!(
            version(
                "7.3-rc7-amd64 (x) #1 SMP Debian 7.3~rc7-1~exp1 (2026-11-01)",
                "7.3-rc7-amd64"
            ),
            "7.3-rc7"
        );
        for (release, expected) in [
            ("6.12.117", "6.12.117"),
            ("6.18.0-rc3-00012-gabcdef", "6.18.0-rc3"),
            ("6.12.0+", "6.12.0"),
            ("7.2.13-local", "7.2.13"),
        ] {
            assert_eq!(version(&format!("{release} (me@here) #1"), release), expected);
        }
    }

    fn config_without(option: &str) -> Config {
        let set = NEEDS.iter().filter(|need| need.option != option);
        let lines: Vec<String> = set.map(|need| format!("CONFIG_{}=y\n", need.option)).collect();
        Config::parse(&lines.concat())
    }

    #[test]
    fn a_kernel_with_everything_built_in_needs_no_modules() {
        let fit = fitness(Some(&config_without("")), None).unwrap();
        assert!(fit.missing.is_empty() && fit.modules.is_empty());
    }

    #[test]
    fn what_is_not_set_is_missing() {
        let fit = fitness(Some(&config_without("MEMORY_FAILURE")), None).unwrap();
        assert_eq!(fit.missing.len(), 1);
        assert_eq!(fit.missing[0].option, "CONFIG_MEMORY_FAILURE");
        assert_eq!(fit.missing[0].how, Missing::NotSet);
    }

    #[test]
    fn a_module_needs_a_folder_and_has_to_be_in_it() {
        let text = NEEDS.iter().map(|need| {
            format!(
                "CONFIG_{}={}\n",
                need.option,
                if need.option == "XFS_FS" { "m" } else { "y" }
            )
        });
        let config = Config::parse(&text.collect::<String>());
        assert_eq!(
            fitness(Some(&config), None).unwrap().missing[0].how,
            Missing::NoModules
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules.dep"), "").unwrap();
        let facts = ModuleFolder::open(folder.path()).unwrap();
        assert_eq!(
            fitness(Some(&config), Some(&facts)).unwrap().missing[0].how,
            Missing::ModuleAbsent("xfs".into())
        );
        std::fs::write(folder.path().join("modules.dep"), "kernel/fs/xfs/xfs.ko:\n").unwrap();
        let facts = ModuleFolder::open(folder.path()).unwrap();
        let fit = fitness(Some(&config), Some(&facts)).unwrap();
        assert!(fit.missing.is_empty());
        assert_eq!(fit.modules[0].name, "xfs");
    }

    #[test]
    fn without_a_configuration_only_modules_can_be_missed() {
        assert!(fitness(None, None).unwrap().missing.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let builtin: Vec<String> = NEEDS
            .iter()
            .filter_map(|need| need.module)
            .filter(|name| *name != "xfs")
            .map(|name| format!("kernel/{name}.ko\n"))
            .collect();
        std::fs::write(folder.path().join("modules.builtin"), builtin.concat()).unwrap();
        let fit = fitness(None, Some(&ModuleFolder::open(folder.path()).unwrap())).unwrap();
        assert_eq!(
            fit.missing
                .iter()
                .map(|one| one.option.as_str())
                .collect::<Vec<_>>(),
            ["CONFIG_XFS_FS"]
        );
    }

    #[test]
    fn modules_are_found_where_people_have_them() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("lib/modules/6.1.0");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("modules.dep"), "").unwrap();
        for given in [root.path(), &root.path().join("lib/modules"), &folder] {
            assert_eq!(locate_modules(given, "6.1.0").unwrap(), folder);
        }
        let text = locate_modules(root.path(), "6.2.0").unwrap_err().to_string();
        assert!(
            text.contains("6.2.0") && text.contains("only those for 6.1.0"),
            "{text}"
        );
        let empty = tempfile::tempdir().unwrap();
        assert!(
            locate_modules(empty.path(), "6.2.0")
                .unwrap_err()
                .to_string()
                .contains("there are none")
        );
    }

    fn refusal(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let error = image(file.path()).err().unwrap();
        assert!(error.is_usage());
        let text = error.to_string();
        assert!(text.contains(file.path().to_str().unwrap()), "{text}");
        text
    }

    #[test]
    fn what_is_no_kernel_is_named() {
        let mut arm = vec![0; 64];
        arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
        for (content, expected) in [
            (b"".as_slice(), "empty"),
            (b"hello, this is text", "neither a bzImage nor an ELF"),
            (&arm, "arm64"),
            (b"\x1f\x8b\x08", "compressed"),
            (b"!<arch>\ndebian-binary", "package"),
            (b"\x7fELF but not really", "ELF file, but damaged"),
        ] {
            let text = refusal(content);
            assert!(text.contains(expected), "{text}");
        }
        let program = std::fs::read("/bin/sh").unwrap();
        assert!(refusal(&program).contains("no Linux version"));
    }

    #[test]
    fn a_bzimage_is_recognised() {
        let content = super::super::bzimage::tests::synthetic(b"whatever", "6.1.0 (x) #1");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        assert!(
            matches!(image(file.path()).unwrap(), Image::BzImage { banner, .. } if banner == "6.1.0 (x) #1")
        );
    }

    #[test]
    fn a_payload_that_is_no_pvh_kernel_is_left_and_said_why() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("vmlinux");
        let image =
            super::super::bzimage::tests::synthetic(&super::super::bzimage::tests::xz(b"no elf"), "6.1.0");
        let why = extract(&image, &target).unwrap().unwrap_err();
        assert!(why.contains("cannot be booted"), "{why}");
        assert!(!target.exists());
    }
}
