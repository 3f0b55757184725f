// SPDX-License-Identifier: MIT OR Apache-2.0
//! One SSH session per guest, owned by one thread.
//!
//! libssh2 is one lock per session, and a blocking read on one channel blocks every other, so the session is
//! non-blocking, and a thread of its own waits for the socket and for our words at once. What it hears goes
//! line by line into a channel. Dropping [`Session`] shuts the socket down, which ends the thread whatever it
//! waits for; [`Session::hang_up`] says goodbye instead and keeps the socket.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::BlockDirections;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::{mpsc as async_mpsc, oneshot};

/// Whom we log in as, and whom we expect to meet.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Our private key, in OpenSSH's format.
    pub client_key: PathBuf,
    /// The guest's public host key, as it goes over the wire (`string "ssh-ed25519"`, `string` key).
    pub host_key: Vec<u8>,
}

/// Why there is no session, or no more.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The thread or its sockets could not be made.
    #[error("cannot start an SSH session")]
    Start(#[source] io::Error),
    /// libssh2 refused or was refused.
    #[error("SSH: {what} failed{}", .within.map_or(String::new(), |limit| format!(" within {} s", limit.as_secs())))]
    Protocol {
        /// Which part of it.
        what: &'static str,
        /// The deadline that was in force, when it may have been the reason.
        within: Option<Duration>,
        /// What libssh2 says.
        #[source]
        source: ssh2::Error,
    },
    /// Somebody else answered.
    #[error(
        "SSH: the guest showed another host key than the one in its image; something else answers on its port"
    )]
    HostKey,
    /// The thread ended without a word.
    #[error("SSH: the session ended by itself")]
    Ended,
}

/// What a session brings.
#[derive(Debug)]
pub enum Heard {
    /// A line that the remote program wrote to its standard output, without its end.
    Line(String),
    /// The session is over; nothing follows.
    Closed(String),
}

/// A running program at the other end of an SSH session.
#[derive(Debug)]
pub struct Session {
    /// `None` once it has been handed back.
    socket: Option<UnixStream>,
    words: mpsc::Sender<Word>,
    bell: UnixStream,
    patience: Duration,
}

/// What the thread is told.
enum Word {
    /// To be passed on.
    Bytes(Vec<u8>),
    /// Close the session in good order, and tell here how that went.
    Goodbye(oneshot::Sender<Result<(), ssh2::Error>>),
}

impl Session {
    /// Shakes hands over `stream`, logs in as root, connects to `port` of the guest's loopback. Each of these may take
    /// `patience`.
    pub async fn start(
        stream: UnixStream,
        identity: Identity,
        port: u16,
        patience: Duration,
    ) -> Result<(Self, async_mpsc::UnboundedReceiver<Heard>), SessionError> {
        stream.set_nonblocking(false).map_err(SessionError::Start)?;
        let socket = stream.try_clone().map_err(SessionError::Start)?;
        let (bell, bell_there) = UnixStream::pair().map_err(SessionError::Start)?;
        bell.set_nonblocking(true).map_err(SessionError::Start)?;
        bell_there.set_nonblocking(true).map_err(SessionError::Start)?;
        let (words, words_there) = mpsc::channel();
        let (heard_there, heard) = async_mpsc::unbounded_channel();
        let (ready_there, ready) = oneshot::channel();
        let worker = Worker {
            words: words_there,
            bell: bell_there,
            heard: heard_there,
        };
        std::thread::Builder::new()
            .name("ssh".to_owned())
            .spawn(move || match establish(stream, &identity, port, patience) {
                Ok((session, channel, poll_on)) => {
                    if ready_there.send(Ok(())).is_ok() {
                        worker.run(&session, channel, &poll_on);
                    }
                }
                // A caller that has given up waiting has its own reason.
                Err(error) => drop(ready_there.send(Err(error))),
            })
            .map_err(SessionError::Start)?;
        let session = Self {
            socket: Some(socket),
            words,
            bell,
            patience,
        };
        ready.await.unwrap_or(Err(SessionError::Ended))?;
        Ok((session, heard))
    }

    /// Queues bytes for the program's standard input. A session that is over swallows them: its end has been
    /// told as [`Heard::Closed`].
    pub fn say(&self, bytes: Vec<u8>) {
        self.tell(Word::Bytes(bytes));
    }

    /// Ends the program and the session in good order, and hands back the socket: whoever is at its other end does not
    /// see it close.
    pub async fn hang_up(mut self) -> Result<UnixStream, SessionError> {
        let (done_there, done) = oneshot::channel();
        self.tell(Word::Goodbye(done_there));
        done.await
            .map_err(|_the_thread_is_gone| SessionError::Ended)?
            .map_err(|source| SessionError::Protocol {
                what: "closing the session",
                within: Some(self.patience),
                source,
            })?;
        self.socket.take().ok_or(SessionError::Ended)
    }

    fn tell(&self, word: Word) {
        if self.words.send(word).is_ok() {
            // A full bell has been rung already.
            let _rung = (&self.bell).write(&[0]);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _already_gone = socket.shutdown(Shutdown::Both);
        }
    }
}

fn establish(
    stream: UnixStream,
    identity: &Identity,
    port: u16,
    patience: Duration,
) -> Result<(ssh2::Session, ssh2::Channel, OwnedFd), SessionError> {
    let doing = |what| {
        move |source| SessionError::Protocol {
            what,
            within: Some(patience),
            source,
        }
    };
    let mut session = ssh2::Session::new().map_err(doing("setting up"))?;
    session.set_timeout(u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
    let poll_on = stream.as_fd().try_clone_to_owned().map_err(SessionError::Start)?;
    session.set_tcp_stream(stream);
    session.handshake().map_err(doing("the handshake"))?;
    match session.host_key() {
        Some((key, ssh2::HostKeyType::Ed25519)) if key == identity.host_key => {}
        _ => return Err(SessionError::HostKey),
    }
    log_in(&session, &identity.client_key).map_err(doing("logging in as root"))?;
    let channel = session
        .channel_direct_tcpip("127.0.0.1", port, None)
        .map_err(doing("connecting to the agent in the guest"))?;
    session.set_blocking(false);
    Ok((session, channel, poll_on))
}

fn log_in(session: &ssh2::Session, key: &Path) -> Result<(), ssh2::Error> {
    session.userauth_pubkey_file("root", None, key, None)
}

/// The remote program's standard input ends, so it does; then the channel, then the connection.
fn say_goodbye(session: &ssh2::Session, channel: &mut ssh2::Channel) -> Result<(), ssh2::Error> {
    session.set_blocking(true);
    channel.send_eof()?;
    channel.wait_eof()?;
    channel.close()?;
    channel.wait_close()?;
    session.disconnect(None, "done", None)
}

struct Worker {
    words: mpsc::Receiver<Word>,
    bell: UnixStream,
    heard: async_mpsc::UnboundedSender<Heard>,
}

impl Worker {
    fn run(self, session: &ssh2::Session, mut channel: ssh2::Channel, poll_on: &OwnedFd) {
        let why = self
            .converse(session, &mut channel, poll_on)
            .unwrap_or_else(|error| error.to_string());
        // Nobody listens any more: nobody misses it.
        let _unheard = self.heard.send(Heard::Closed(why));
    }

    fn converse(
        &self,
        session: &ssh2::Session,
        channel: &mut ssh2::Channel,
        poll_on: &OwnedFd,
    ) -> io::Result<String> {
        let mut unsent: Vec<u8> = Vec::new();
        let mut line = Vec::new();
        let mut complaint = Vec::new();
        loop {
            for word in self.words.try_iter() {
                match word {
                    Word::Bytes(bytes) => unsent.extend(bytes),
                    Word::Goodbye(done) => {
                        // The one who asked may have given up.
                        let _unheard = done.send(say_goodbye(session, channel));
                        return Ok("it was closed".to_owned());
                    }
                }
            }
            let mut something_happened = false;
            if !unsent.is_empty() {
                match channel.write(&unsent) {
                    Ok(length) => {
                        unsent.drain(..length);
                        something_happened = true;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            while let Some(bytes) = read_some(&mut channel.stderr())? {
                something_happened = true;
                complaint.extend_from_slice(&bytes);
            }
            // Last before waiting: whatever libssh2 is asked for, it takes all that has arrived off the socket, and keeps
            // what it was not asked for. The socket would never tell of that.
            while let Some(bytes) = read_some(&mut channel.stream(0))? {
                something_happened = true;
                line.extend_from_slice(&bytes);
                for complete in take_lines(&mut line) {
                    if self.heard.send(Heard::Line(complete)).is_err() {
                        return Ok("nobody listens".to_owned());
                    }
                }
            }
            if channel.eof() {
                let complaint = String::from_utf8_lossy(&complaint);
                return Ok(match complaint.trim() {
                    "" => "the agent in the guest ended".to_owned(),
                    said => format!("the agent in the guest ended: {said}"),
                });
            }
            if !something_happened {
                self.wait(session, poll_on, !unsent.is_empty())?;
            }
        }
    }

    /// Until the socket or the bell has news.
    fn wait(&self, session: &ssh2::Session, poll_on: &OwnedFd, unsent: bool) -> io::Result<()> {
        let mut on_socket = PollFlags::POLLIN;
        let directions = session.block_directions();
        if unsent && matches!(directions, BlockDirections::Outbound | BlockDirections::Both) {
            on_socket |= PollFlags::POLLOUT;
        }
        let mut waiting = [
            PollFd::new(poll_on.as_fd(), on_socket),
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut rings = [0; 64];
        while matches!((&self.bell).read(&mut rings), Ok(length) if length == rings.len()) {}
        Ok(())
    }
}

fn read_some(stream: &mut ssh2::Stream) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 32 << 10];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(None),
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn take_lines(buffer: &mut Vec<u8>) -> Vec<String> {
    let Some(last) = buffer.iter().rposition(|&byte| byte == b'\n') else {
        return Vec::new();
    };
    let rest = buffer.split_off(last + 1);
    let complete = std::mem::replace(buffer, rest);
    String::from_utf8_lossy(&complete)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_whole() {
        let mut buffer = b"one\ntwo\nthr".to_vec();
        assert_eq!(take_lines(&mut buffer), ["one", "two"]);
        assert_eq!(buffer, b"thr");
        assert_eq!(take_lines(&mut buffer), Vec::<String>::new());
        buffer.extend_from_slice(b"ee\n");
        assert_eq!(take_lines(&mut buffer), ["three"]);
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let identity = Identity {
            client_key: "/nonexistent".into(),
            host_key: Vec::new(),
        };
        let result = Session::start(ours, identity, 7, Duration::from_millis(200)).await;
        assert!(matches!(
            result,
            Err(SessionError::Protocol {
                what: "the handshake",
                ..
            })
        ));
    }

    #[tokio::test]
    async fn a_peer_that_is_no_ssh_server_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(b"hello\r\nthis is no SSH\r\n").unwrap();
        drop(theirs);
        let identity = Identity {
            client_key: "/nonexistent".into(),
            host_key: Vec::new(),
        };
        let result = Session::start(ours, identity, 7, Duration::from_secs(5)).await;
        assert!(matches!(result, Err(SessionError::Protocol { .. })));
    }
}
