// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was seen, in a kernel developer's words. They are for people alone: what a known issue names is in `values`.

use crate::observe::evidence::{Access, AccessResult, Away, Brought, Filesystem, Tried, VictimView};
use crate::observe::probes::Sent;
use crate::observe::{SIGBUS, has_sigbus};
use guest_agent::MOUNT_POINT;
use guest_agent::call::{Contents, Refusal};
use guest_agent::victim::Signal;
use testcases::{BusCode, Bytes, Errno, Place, SignalExpectation};

/// `0`, `-EIO`, `EIO`, `-123`.
pub(super) fn errno(number: i32) -> String {
    match (number, Errno::from_number(number.abs())) {
        (0, _) => "0".to_owned(),
        (_, Some(errno)) => format!("{}{errno}", if number < 0 { "-" } else { "" }),
        (_, None) => number.to_string(),
    }
}

pub(super) fn refusal(refusal: &Refusal) -> String {
    format!("{} ({})", errno(refusal.errno), refusal.what)
}

/// "up", "shut down: corrupt_ondisk (0x10)", "not mounted": the state a filesystem was seen in.
pub fn describe_filesystem(seen: &Filesystem) -> String {
    match seen {
        Filesystem::Up => "up".to_owned(),
        Filesystem::ShutDown(Some(flags)) => format!("shut down: {flags}"),
        Filesystem::ShutDown(None) => "shut down, and it did not say why".to_owned(),
        Filesystem::Away(away) => self::away(away),
        Filesystem::Unmounted => "not mounted".to_owned(),
    }
}

fn away(seen: &Away) -> String {
    match seen {
        Away::Detached => {
            "detached: no mount leads to it, and its superblock lives on (umount -l, with a file of it open or mapped)".to_owned()
        }
        Away::Elsewhere(places) => format!("mounted at {}, and not at {MOUNT_POINT}", places.join(" and ")),
        Away::Covered { kind, device } => {
            format!("hidden at {MOUNT_POINT}, where {kind} ({device}) is mounted over it")
        }
    }
}

/// What something that was tried came to, in a few words.
pub fn describe_attempt(seen: &Tried) -> String {
    match seen {
        Tried::Refused(refused) => refusal(refused),
        Tried::ByVictim(seen) => access(seen),
        Tried::Succeeded(Brought::Nothing) => "success".to_owned(),
        Tried::Succeeded(Brought::Contents { contents, other }) => match other {
            None => contents_text(contents),
            Some(Ok(other)) => format!(
                "{}; in the other file {}",
                contents_text(contents),
                contents_text(other)
            ),
            Some(Err(refused)) => format!(
                "{}; of the other file {}",
                contents_text(contents),
                refusal(refused)
            ),
        },
        Tried::Succeeded(Brought::Names(names)) if names.is_empty() => "no names".to_owned(),
        Tried::Succeeded(Brought::Names(names)) => names.join(", "),
        Tried::Succeeded(Brought::Text(text)) => format!("the text \"{}\"", text.escape_default()),
        Tried::Succeeded(Brought::Moved { bytes, of }) if bytes == of => format!("success, {bytes} bytes"),
        Tried::Succeeded(Brought::Moved { bytes, of }) => format!("only {bytes} of {of} bytes"),
        Tried::Succeeded(Brought::Differs) => "the contents differ".to_owned(),
        Tried::Succeeded(Brought::Ran { ended, output, .. }) => {
            let how = ended.map_or("it had to be killed at its deadline".to_owned(), |ended| {
                ended.to_string()
            });
            match output.as_slice() {
                [] => how,
                output => format!("{how}, and said:\n{}", last(output)),
            }
        }
    }
}

/// The last lines of something long, and of a long line the beginning.
pub(super) fn last(lines: &[String]) -> String {
    const MOST: usize = 12;
    const WIDEST: usize = 400;
    let from = lines.len().saturating_sub(MOST);
    let short = |line: &String| match line.char_indices().nth(WIDEST) {
        Some((end, _)) => {
            let more = line.get(end..).unwrap_or_default().chars().count();
            format!("{}… [{more} characters more]", &line[..end])
        }
        None => line.clone(),
    };
    let lines = lines.get(from..).unwrap_or_default();
    lines.iter().map(short).collect::<Vec<_>>().join("\n")
}

pub(super) fn contents_text(contents: &Contents) -> String {
    let length = contents.length;
    match (contents.uniform, contents.counting) {
        _ if length == 0 => "no bytes".to_owned(),
        (Some(byte), true) => format!("{length} bytes, each {byte:#04x}, as counting has it there"),
        (Some(byte), false) => format!("{length} bytes, each {byte:#04x}"),
        (None, true) => format!("{length} bytes, counting"),
        (None, false) => {
            let turn = contents.turn.map_or(String::new(), |turn| {
                format!(
                    "; from {} on they are others, first {:#04x}",
                    Bytes(turn.at.0),
                    turn.byte
                )
            });
            format!("{length} bytes beginning with {:02x?}{turn}", contents.head)
        }
    }
}

fn access(seen: &Access) -> String {
    let mut words = vec![match &seen.result {
        Some(AccessResult::Done) => "success".to_owned(),
        Some(AccessResult::Byte(byte)) => format!("the byte {byte:#04x}"),
        Some(AccessResult::Moved { bytes, of }) if bytes == of => format!("success, {bytes} bytes"),
        Some(AccessResult::Moved { bytes, of }) => format!("only {bytes} of {of} bytes"),
        Some(AccessResult::Faulted) => "the access faulted".to_owned(),
        Some(AccessResult::Refused(refused)) => refusal(refused),
        None => "no answer".to_owned(),
    }];
    if !seen.signals.is_empty() {
        words.push(format!(
            "{} got {} signals by it",
            seen.victim,
            seen.signals.len()
        ));
    }
    words.extend(seen.ended.map(|ended| ended.to_string()));
    words.join(", ")
}

/// What a victim was told: some signals, what waits, and its end.
pub(super) fn received(signals: &[&Signal], victim: &VictimView) -> String {
    let mut words: Vec<String> = signals.iter().map(|seen| signal(seen, victim)).collect();
    if words.is_empty() {
        words.push("no signal".to_owned());
    }
    if victim.has_sigbus_pending() {
        words.push("SIGBUS pending".to_owned());
    }
    words.extend(victim.ended.map(|ended| ended.to_string()));
    words.join(", ")
}

/// What the kernel sent to processes that cannot tell of it themselves.
pub(super) fn sent<'a>(signals: impl Iterator<Item = &'a Sent>) -> String {
    let one = |sent: &Sent| {
        let code = BusCode::from_number(sent.code).filter(|_| sent.number == SIGBUS);
        let code = code.map_or(format!("si_code {}", sent.code), |code| code.to_string());
        format!("{} {code} (pid {})", signal_name(sent.number), sent.pid)
    };
    let words: Vec<String> = signals.map(one).collect();
    if words.is_empty() {
        "no signal".to_owned()
    } else {
        words.join(", ")
    }
}

pub(super) fn signal(signal: &Signal, victim: &VictimView) -> String {
    let name = signal_name(signal.number);
    let code = BusCode::from_number(signal.code)
        .filter(|_| signal.number == SIGBUS)
        .map_or(format!("si_code {}", signal.code), |code| code.to_string());
    let place = match signal.at {
        Some(spot) => format!("at {}", Place::of(spot.mapping, spot.offset.0)),
        None => format!("at address {:#x}, outside its mapping", signal.address),
    };
    let lsb = signal.lsb.map_or(String::new(), |lsb| format!(", lsb {lsb}"));
    let thread = match victim.threads.get(&signal.tid) {
        Some(thread) if signal.tid != victim.pid => format!(", to thread {thread}"),
        _ => String::new(),
    };
    format!("{name} {code} {place}{lsb}{thread}")
}

pub(super) fn signal_name(number: i32) -> String {
    match number {
        SIGBUS => "SIGBUS".to_owned(),
        9 => "SIGKILL".to_owned(),
        other => format!("signal {other}"),
    }
}

/// The signals that a case expects.
pub(super) fn expected(signals: &[SignalExpectation]) -> String {
    let one = |signal: &SignalExpectation| {
        let lsb = signal.lsb;
        let thread = signal
            .thread
            .as_ref()
            .map_or(String::new(), |thread| format!(", to thread {thread}"));
        let times = match (signal.times.at_least(), signal.times.at_most()) {
            (1, Some(1)) => "one SIGBUS".to_owned(),
            _ => format!("{} times SIGBUS", signal.times),
        };
        format!("{times}, {} at {}{lsb}{thread}", signal.code, signal.at)
    };
    signals.iter().map(one).collect::<Vec<_>>().join("; then ")
}

impl VictimView {
    /// Does a blocked SIGBUS wait for it?
    pub(super) const fn has_sigbus_pending(&self) -> bool {
        has_sigbus(self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_much_the_end_is_told_and_of_a_long_line_the_beginning() {
        let lines: Vec<String> = (0..20).map(|line| line.to_string()).collect();
        assert!(last(&lines).starts_with("8\n9\n"), "{}", last(&lines));
        let long = vec!["ä".repeat(1000), "end".to_owned()];
        let told = format!("{}… [600 characters more]\nend", "ä".repeat(400));
        assert_eq!(last(&long), told);
    }
}
