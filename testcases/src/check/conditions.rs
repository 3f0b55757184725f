// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a condition on kernels takes an injection away and leaves what is expected of it.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::lower::{LoweredStep, Parts};
use crate::model::{Action, BadRange, Expect, StateExpectation};
use crate::value::KernelVersion;

/// What is said of an injection that this kernel does not get. On it the expectations would be about an earlier injection,
/// which somebody has spoken about already, or about none: nobody signalled, nothing called, nothing in the log.
///
/// Where another injection stands in its place, they are about that one. A case without any injection is no business of
/// this: it is the commonest control, and must run.
pub(super) fn without_injection(parts: &Parts, kernel: &KernelVersion) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // Whether this kernel has had an injection since the expectation before.
    let mut fresh = false;
    let mut missing: Option<Range<usize>> = None;
    for step in &parts.steps {
        let there = step.when.as_ref().is_none_or(|when| when.contains(kernel));
        match (&step.action, there) {
            (Action::Inject(_), true) => {
                fresh = true;
                missing = None;
            }
            (Action::Inject(_), false) if !fresh => missing = Some(step.node.key("inject")),
            (Action::Expect(Expect::State(state)), true) => {
                fresh = false;
                if let (Some(key), Some(injection)) = (about_injection(state), missing.take()) {
                    found.push(about_none(step, key, injection));
                }
            }
            (Action::Expect(Expect::State(_)), false) => fresh = false,
            _ => {}
        }
    }
    found
}

fn about_none(step: &LoweredStep, key: &str, injection: Range<usize>) -> Diagnostic {
    Diagnostic::new(format!(
        "`{key}` is about an injection, and some kernels of this step do not get it"
    ))
    .at(step.node.at("expect").key(key), "about nothing there")
    .see(injection, "only on some kernels, says the `when` of this step")
    .help("give this step the same `when`, or take the injection's away")
}

/// The first key that speaks of the time since the latest injection.
fn about_injection(state: &StateExpectation) -> Option<&'static str> {
    let injected = |range: &BadRange| matches!(range, BadRange::Injected { .. });
    let keys = [
        ("killed", !state.killed.is_empty()),
        ("alive", !state.alive.is_empty()),
        ("pending", !state.pending.is_empty()),
        ("signalled", !state.signalled.is_empty()),
        ("injector", state.injector.is_some()),
        ("notify_failure", state.notify_failure.is_some()),
        ("badblocks", state.badblocks.iter().flatten().any(injected)),
        ("log", state.log.is_some()),
        ("trace", !state.trace.is_empty()),
        ("hardware_corrupted", state.hardware_corrupted.is_some()),
        ("page_flags", state.page_flags.is_some()),
    ];
    keys.into_iter().find(|(_, said)| *said).map(|(key, _)| key)
}
