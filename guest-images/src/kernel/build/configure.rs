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

/// Beside the `.config`: the digest of the one that we made.
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
    piece_of_work(
        progress,
        "configure",
        &format!("configure {}", folder.display()),
        || match plan {
            Plan::Make => from_nothing(make, flavour),
            Plan::Leave => make.configure("olddefconfig", None),
            Plan::LayOver => {
                let kept = folder.join(KEPT);
                fs::copy(&path, &kept).during("copy", &path)?;
                progress.note(&format!(
                    "its .config lacks what a case needs and is changed; the old one is {}",
                    kept.display()
                ));
                lay_over(make, flavour, &path)
            }
        },
    )?;
    let text = fs::read_to_string(&path).during("read", &path)?;
    let config = Config::parse(&text);
    let missing = inspect::not_set(&config);
    if !missing.is_empty() {
        return Err(Error::KernelLacks {
            name: make.folder().display().to_string(),
            missing,
            way_out: "\nthis version does not know them, or not together with the rest of the configuration"
                .to_owned(),
        });
    }
    if plan == Plan::Leave {
        return Ok(Vec::new());
    }
    let stamp = folder.join(STAMP);
    fs::write(&stamp, hash::of_bytes(text.as_bytes())).during("write", &stamp)?;
    Ok(flavour.not_taken(&config))
}

fn plan(folder: &Path, flavour: Flavour) -> Result<Plan, Error> {
    let path = folder.join(".config");
    if !path.exists() {
        return Ok(Plan::Make);
    }
    let text = fs::read_to_string(&path).during("read", &path)?;
    let ours =
        fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == hash::of_bytes(text.as_bytes()));
    let config = Config::parse(&text);
    let laid_over = folder.join(KEPT).exists();
    Ok(match flavour {
        _ if ours && !laid_over => Plan::Make,
        Flavour::Plain if inspect::not_set(&config).is_empty() => Plan::Leave,
        Flavour::Debug if flavour.not_taken(&config).is_empty() => Plan::Leave,
        _ => Plan::LayOver,
    })
}

fn from_nothing(make: &Make<'_>, flavour: Flavour) -> Result<(), Error> {
    let fragment = make.folder().join(FRAGMENT);
    fs::write(&fragment, flavour.text()).during("write", &fragment)?;
    make.configure("allnoconfig", Some(&fragment))
}

/// As scripts/kconfig/merge_config.sh does it: the last word on an option counts, and olddefconfig sorts it out.
fn lay_over(make: &Make<'_>, flavour: Flavour, path: &Path) -> Result<(), Error> {
    let old = fs::read_to_string(path).during("read", path)?;
    fs::write(path, format!("{old}\n{}", flavour.text())).during("write", path)?;
    make.configure("olddefconfig", None)
}

#[cfg(test)]
mod tests {
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
        write(STAMP, &hash::of_bytes(ours.as_bytes()));
        assert_eq!(planned(Flavour::Plain), Plan::Make);
        assert_eq!(planned(Flavour::Debug), Plan::Make);
        // Its owner has touched it since.
        write(".config", &format!("{ours}CONFIG_EXT4_FS=y\n"));
        assert_eq!(planned(Flavour::Plain), Plan::Leave);
    }
}
