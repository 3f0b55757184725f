// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration of a tree: ours, made anew for each version, or its owner's, left alone as long as it will do.

use std::fs;
use std::path::Path;

use super::fragment::Flavour;
use super::make::Make;
use crate::error::{Error, IoContext};
use crate::hash;
use crate::kernel::config::Config;
use crate::kernel::inspect;
use crate::progress::{Progress, piece_of_work};

/// Beside the `.config`: the digests of the fragment and of the `.config` that we made of it.
const STAMP: &str = ".taster-config";

/// Where the owner's `.config` is kept when it had to be changed.
const KEPT: &str = ".config.before-taster";

/// The fragment as Kconfig is given it, beside the `.config`.
const FRAGMENT: &str = ".taster-fragment";

/// What is to be done about a tree's configuration.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// It has none, or one that we made: ours, from nothing, so that it depends on the version and on nothing before.
    Make,
    /// It has its owner's, which has all that is needed: only what this version asks anew is answered.
    Leave,
    /// It has its owner's, which lacks something: ours is laid over it, and the old one kept.
    LayOver,
}

/// Configures; the lines of the fragment that this version did not take, if it was used.
///
/// Fails with [`Error::KernelLacks`] if what cannot be done without is among them.
pub(super) fn configure(
    make: &Make<'_>,
    flavour: Flavour,
    progress: &dyn Progress,
) -> Result<Vec<String>, Error> {
    let folder = make.folder();
    let plan = plan(folder, flavour)?;
    let path = folder.join(".config");
    let current = match plan {
        Plan::Make => is_current(make, flavour),
        Plan::Leave => !kconfig_is_newer(make),
        Plan::LayOver => false,
    };
    if !current {
        let what = format!("configure {}", folder.display());
        piece_of_work(progress, "configure", &what, || match plan {
            Plan::Make => from_nothing(make, flavour, progress),
            Plan::Leave => make.configure("olddefconfig", None, progress),
            Plan::LayOver => lay_over(make, flavour, &path, progress),
        })?;
    }
    let text = fs::read_to_string(&path).during("read", &path)?;
    if plan == Plan::Make {
        // Also of one that lacks something: the next version's is made anew all the same.
        let stamp = folder.join(STAMP);
        fs::write(&stamp, stamp_of(flavour, &text)).during("write", &stamp)?;
    }
    let config = Config::parse(&text);
    let missing = inspect::not_set(&config);
    if !missing.is_empty() {
        return Err(Error::KernelLacks {
            name: folder.display().to_string(),
            missing,
            way_out: Some(
                "this version does not know them, or not with the rest of the configuration".to_owned(),
            ),
        });
    }
    Ok(match plan {
        Plan::Leave => Vec::new(),
        Plan::Make | Plan::LayOver => flavour.not_taken(&config),
    })
}

fn plan(folder: &Path, flavour: Flavour) -> Result<Plan, Error> {
    let path = folder.join(".config");
    if !path.exists() {
        return Ok(Plan::Make);
    }
    let text = fs::read_to_string(&path).during("read", &path)?;
    let ours = fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| {
        [Flavour::Plain, Flavour::Debug]
            .map(|flavour| stamp_of(flavour, &text))
            .contains(&stamp)
    });
    let config = Config::parse(&text);
    let laid_over = folder.join(KEPT).exists();
    Ok(match flavour {
        _ if ours && !laid_over => Plan::Make,
        Flavour::Plain if inspect::not_set(&config).is_empty() => Plan::Leave,
        Flavour::Debug if flavour.not_taken(&config).is_empty() => Plan::Leave,
        _ => Plan::LayOver,
    })
}

/// What says that a `.config` was made by us, of this fragment.
fn stamp_of(flavour: Flavour, config: &str) -> String {
    let of = |text: &str| hash::of_bytes(text.as_bytes());
    format!("{} {}\n", of(&flavour.text()), of(config))
}

/// Whether making our configuration again would give what is there.
fn is_current(make: &Make<'_>, flavour: Flavour) -> bool {
    let read = |name: &str| fs::read_to_string(make.folder().join(name));
    let (Ok(stamp), Ok(config)) = (read(STAMP), read(".config")) else {
        return false;
    };
    stamp == stamp_of(flavour, &config) && !kconfig_is_newer(make)
}

/// Whether a file that Kconfig read has been changed, or is gone, since the `.config` was written. They are listed in
/// what Kconfig leaves for make (scripts/kconfig/confdata.c, conf_write_autoconf_cmd).
fn kconfig_is_newer(make: &Make<'_>) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    let folder = make.folder();
    let (Ok(config), Ok(list)) = (
        modified(&folder.join(".config")),
        fs::read_to_string(folder.join("include/config/auto.conf.cmd")),
    ) else {
        return true;
    };
    let mut files = list
        .lines()
        .skip_while(|line| !line.starts_with("deps_config"))
        .skip(1)
        .map_while(|line| line.strip_prefix('\t'))
        .map(|line| line.trim_end_matches([' ', '\\']));
    files.any(|file| modified(&make.tree().join(file)).map_or(true, |time| time > config))
}

fn from_nothing(make: &Make<'_>, flavour: Flavour, progress: &dyn Progress) -> Result<(), Error> {
    let fragment = make.folder().join(FRAGMENT);
    fs::write(&fragment, flavour.text()).during("write", &fragment)?;
    make.configure("allnoconfig", Some(&fragment), progress)
}

/// As scripts/kconfig/merge_config.sh does it: the last word on an option counts, and olddefconfig sorts it out.
fn lay_over(make: &Make<'_>, flavour: Flavour, path: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let kept = make.folder().join(KEPT);
    if !kept.exists() {
        fs::copy(path, &kept).during("copy", path)?;
        progress.note(&format!(
            "its .config lacks what a case needs and is changed; the old one is {}",
            kept.display()
        ));
    }
    let old = fs::read_to_string(path).during("read", path)?;
    fs::write(path, format!("{old}\n{}", flavour.text())).during("write", path)?;
    make.configure("olddefconfig", None, progress)
}

#[cfg(test)]
mod tests {
    use super::super::tools::Tools;
    use super::*;

    #[test]
    fn whose_configuration_it_is_decides() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let planned = |flavour| plan(folder.path(), flavour).unwrap();
        assert_eq!(planned(Flavour::Plain), Plan::Make);
        write(".config", "CONFIG_XFS_FS=y\n");
        assert_eq!(planned(Flavour::Plain), Plan::LayOver);
        let ours = Flavour::Plain.text();
        write(".config", &ours);
        assert_eq!(planned(Flavour::Plain), Plan::Leave);
        assert_eq!(planned(Flavour::Debug), Plan::LayOver);
        write(STAMP, &stamp_of(Flavour::Plain, &ours));
        assert_eq!(planned(Flavour::Plain), Plan::Make);
        assert_eq!(planned(Flavour::Debug), Plan::Make);
        // Its owner has touched it since.
        write(".config", &format!("{ours}CONFIG_EXT4_FS=y\n"));
        assert_eq!(planned(Flavour::Plain), Plan::Leave);
    }

    #[test]
    fn kconfig_is_asked_again_only_if_its_files_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, out) = (folder.path().join("tree"), folder.path().join("out"));
        fs::create_dir_all(out.join("include/config")).unwrap();
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("Kconfig"), "").unwrap();
        let tools = Tools::of_host();
        let make = Make::new(&tree, Some(&out), &tools, None);
        assert!(kconfig_is_newer(&make));
        fs::write(
            out.join("include/config/auto.conf.cmd"),
            "autoconfig := x\n\ndeps_config := \\\n\tKconfig \\\n\n$(autoconfig): $(deps_config)\n",
        )
        .unwrap();
        let at = |name: &Path, seconds| {
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options()
                .append(true)
                .create(true)
                .open(name)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        at(&out.join(".config"), 100);
        at(&tree.join("Kconfig"), 50);
        assert!(!kconfig_is_newer(&make));
        assert!(!is_current(&make, Flavour::Plain));
        fs::write(out.join(STAMP), stamp_of(Flavour::Plain, "")).unwrap();
        assert!(is_current(&make, Flavour::Plain) && !is_current(&make, Flavour::Debug));
        at(&tree.join("Kconfig"), 150);
        assert!(kconfig_is_newer(&make) && !is_current(&make, Flavour::Plain));
        fs::remove_file(tree.join("Kconfig")).unwrap();
        assert!(kconfig_is_newer(&make));
    }

    /// A tree whose Kconfig takes what it is given, but for lines with `refused`.
    fn tree(refused: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let makefile = format!(
            "allnoconfig:\n\t@grep -v {refused} $$KCONFIG_ALLCONFIG > .config\nolddefconfig:\n\t@true\n"
        );
        fs::write(folder.path().join("Makefile"), makefile).unwrap();
        folder
    }

    fn configured(tree: &Path) -> Result<Vec<String>, Error> {
        let tools = Tools::of_host();
        configure(
            &Make::new(tree, None, &tools, None),
            Flavour::Plain,
            &crate::progress::Silent,
        )
    }

    #[test]
    fn a_tree_without_a_configuration_gets_ours_and_is_told_what_it_did_not_take() {
        let tree = tree("CONFIG_KVM_GUEST");
        assert_eq!(configured(tree.path()).unwrap(), ["CONFIG_KVM_GUEST=y"]);
        assert!(!tree.path().join(KEPT).exists());
    }

    #[test]
    fn a_version_that_lacks_something_does_not_spoil_the_next_one() {
        let tree = tree("CONFIG_XFS_FS");
        let text = configured(tree.path()).unwrap_err().to_string();
        assert!(
            text.contains("CONFIG_XFS_FS") && text.contains("this version"),
            "{text}"
        );
        // The next version knows it.
        let makefile = "allnoconfig:\n\t@cp $$KCONFIG_ALLCONFIG .config\n";
        fs::write(tree.path().join("Makefile"), makefile).unwrap();
        assert_eq!(configured(tree.path()).unwrap(), [""; 0]);
        assert!(!tree.path().join(KEPT).exists());
    }

    #[test]
    fn an_owners_configuration_is_completed_and_kept() {
        let tree = tree("nothing");
        let config = tree.path().join(".config");
        fs::write(&config, "CONFIG_EXT4_FS=y\n").unwrap();
        configured(tree.path()).unwrap();
        let completed = Config::parse(&fs::read_to_string(&config).unwrap());
        assert!(completed.value("EXT4_FS") == Some("y") && completed.value("XFS_FS") == Some("y"));
        assert_eq!(
            fs::read_to_string(tree.path().join(KEPT)).unwrap(),
            "CONFIG_EXT4_FS=y\n"
        );
        // What will do is left alone.
        let before = fs::read_to_string(&config).unwrap();
        configured(tree.path()).unwrap();
        assert_eq!(fs::read_to_string(&config).unwrap(), before);
    }
}
