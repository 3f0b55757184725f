// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runner is killed, at ten moments of a run: what its events hold can be rendered, and the next run finds nothing in its way.

use super::Fault;
use super::cases::{QUICK, SLOW};
use super::checks::all_pass;
use super::running::Running;
use super::trouble::{Outcome, Trouble, must};
use super::world::World;
use harness::run::OutFolder;
use nix::sys::signal::Signal;
use reports::ExitStatus;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "runner-killed-at-its-start",
        about: "the runner is killed when it has begun: it can be rendered, and the next run passes",
        make: |world| killed(world, &[], |run| run.wait_for(&["\"run-started\""])),
    },
    Fault {
        name: "runner-killed-at-the-agent",
        about: "the runner is killed while it builds the agent: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &[], |run| {
                run.wait_for(&["\"work-started\"", "\"guest agent\""])
            })
        },
    },
    Fault {
        name: "runner-killed-at-the-image",
        about: "the runner is killed while it makes an image: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &["images"], |run| {
                let tmp = world.cache().join("tmp");
                run.wait_for_file("an image that is being made", &tmp, "initramfs.cpio")
            })
        },
    },
    Fault {
        name: "runner-killed-at-the-canary",
        about: "the runner is killed while its canary boots: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &["accelerator-"], |run| {
                run.wait_for(&["\"work-started\"", "\"canary\""])?;
                run.wait_for_guest().map(drop)
            })
        },
    },
    Fault {
        name: "runner-killed-at-a-template",
        about: "the runner is killed while a template's guest boots: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &["templates"], |run| {
                run.wait_for(&["\"work-started\"", "\"template\""])?;
                run.wait_for_guest().map(drop)
            })
        },
    },
    Fault {
        name: "runner-killed-saving-a-template",
        about: "the runner is killed while a template is saved: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &["templates"], |run| {
                let tmp = world.cache().join("templates/tmp");
                run.wait_for_file("a guest's memory in the template", &tmp, "ram")
            })
        },
    },
    Fault {
        name: "runner-killed-at-a-clone",
        about: "the runner is killed while a case's guest is cloned: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &[], |run| {
                run.wait_for(&["\"case-started\""])?;
                run.wait_for_guest().map(drop)
            })
        },
    },
    Fault {
        name: "runner-killed-in-a-step",
        about: "the runner is killed in a case's first step: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &[], |run| {
                run.wait_for(&["\"step-started\"", "\"index\":0"])
            })
        },
    },
    Fault {
        name: "runner-killed-after-a-step",
        about: "the runner is killed after a case's first step: it can be rendered, and the next run passes",
        make: |world| {
            killed(world, &[], |run| {
                run.wait_for(&["\"step-finished\"", "\"index\":0"])
            })
        },
    },
    Fault {
        name: "runner-killed-between-cases",
        about: "the runner is killed after its first verdict: that is rendered, and the next run passes",
        make: |world| {
            world.add_case("after", QUICK)?;
            killed(world, &[], |run| run.wait_for(&["\"case-finished\""]))
        },
    },
];

/// Kills a runner that has not got these parts of the cache, when it has come to the moment; then renders what it left, and
/// runs once more into the same folder.
fn killed(
    world: &World<'_>,
    without: &[&str],
    moment: impl FnOnce(&mut Running<'_>) -> Result<(), Trouble>,
) -> Outcome {
    world.add_case("slow", SLOW)?;
    if !without.is_empty() {
        world.own_cache_without(without)?;
    }
    let mut run = world.test().start()?;
    moment(&mut run)?;
    let events = run.events();
    run.signal(Signal::SIGKILL)?;
    let ended = run.end()?;
    must(
        ended.status.is_none(),
        "that SIGKILL ends the run",
        format!("exit status {}", ended.status.unwrap_or_default()),
    )?;
    world.left_no_process()?;

    let out = world.path("out");
    let rendered = world.command(["report".as_ref(), out.as_os_str()])?;
    rendered.is(ExitStatus::Interrupted)?;
    for case in ["x/slow", "x/after"] {
        let begun = |line: &&str| line.contains("\"case-started\"") && line.contains(&format!("\"{case}\""));
        if events.lines().any(|line| begun(&line)) {
            rendered.says(case)?;
        }
    }
    must(
        out.join(OutFolder::JUNIT).exists(),
        "a junit.xml of the run that was killed",
        "none",
    )?;

    all_pass(world, &world.test().start()?.end()?)?;
    Ok(())
}
