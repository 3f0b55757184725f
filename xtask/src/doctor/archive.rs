// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package archive that kernels, QEMU and the guest's programs come from. It is not contacted here.

use super::ask::version_line;
use super::finding::{Finding, Group};
use guest_images::survey;

/// Where nothing is to be fetched, nothing here is needed.
pub(super) fn examine(to_fetch: &[String]) -> Group {
    let findings = vec![
        program("apt-get", "apt", "packages are fetched with it", to_fetch),
        program("dpkg-deb", "dpkg", "packages are unpacked with it", to_fetch),
        mirror(to_fetch),
    ];
    Group {
        title: "package archive",
        findings,
    }
}

fn program(subject: &'static str, package: &str, purpose: &str, to_fetch: &[String]) -> Finding {
    match version_line(subject) {
        Ok(line) => Finding::ok(subject, line),
        Err(why) => lacking(subject, &format!("{subject} {why}; {purpose}"), to_fetch).way_out(format!(
            "use a Debian host, or copy a filled cache; on Debian it is in the package {package}"
        )),
    }
}

fn mirror(to_fetch: &[String]) -> Finding {
    const SUBJECT: &str = "mirror";
    match survey::debian_mirror() {
        Ok(()) if to_fetch.is_empty() => Finding::ok(SUBJECT, "the host's apt is configured for one"),
        Ok(()) => Finding::ok(
            SUBJECT,
            format!(
                "the host's apt is configured for one; the first run fetches {}",
                to_fetch.join(", ")
            ),
        ),
        Err(error) => {
            let error = anyhow::Error::from(error);
            lacking(SUBJECT, &format!("{error:#}"), to_fetch)
        }
    }
}

fn lacking(subject: &'static str, why: &str, to_fetch: &[String]) -> Finding {
    if to_fetch.is_empty() {
        Finding::note(
            subject,
            format!("{why}; the default kernel's run needs nothing more from there"),
        )
    } else {
        Finding::missing(subject, format!("{why}; to be fetched: {}", to_fetch.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn what_is_absent_matters_only_when_something_is_to_be_fetched() {
        let absent = |to_fetch: &[String]| program("no-such-program", "some", "it is of use", to_fetch);
        assert_eq!(absent(&[]).level, Level::Note);
        let missing = absent(&["QEMU".to_owned()]);
        assert_eq!(missing.level, Level::Missing);
        assert!(missing.text.ends_with("to be fetched: QEMU"), "{}", missing.text);
        assert!(missing.way_out.unwrap().contains("package some"));
    }
}
