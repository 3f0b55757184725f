// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ctrl-C and SIGTERM: once politely, twice at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels the token at the first SIGINT or SIGTERM, and ends the process at the second. Guests and helpers die with
/// the process: the kernel sees to that.
pub(crate) fn watch(cancel: CancellationToken) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if cancel.is_cancelled() {
                std::process::exit(i32::from(reports::ExitStatus::Interrupted.code()));
            }
            eprintln!("interrupted: ending the guests (once more to stop at once)");
            cancel.cancel();
        }
    });
    Ok(())
}
