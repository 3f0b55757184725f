// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ctrl-C, SIGTERM and SIGHUP: each time a little less polite.

use crate::print;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels one token after the other, one at each SIGINT, SIGTERM or SIGHUP (a closed terminal), with these words, and ends the process at the one after
/// the last. Guests and helpers die with the process: the kernel sees to that.
pub(crate) fn watch<const N: usize>(
    tokens: [CancellationToken; N],
    words: [&'static str; N],
) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut next = tokens.into_iter().zip(words);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let Some((token, words)) = next.next() else {
                std::process::exit(i32::from(reports::ExitStatus::Interrupted.code()));
            };
            print::aside(words);
            token.cancel();
        }
    });
    Ok(())
}
