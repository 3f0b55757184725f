// SPDX-License-Identifier: MIT OR Apache-2.0
//! SSH without a network: one virtio-serial port, one SSH server at a time.
//!
//! The server (dropbear as inetd would start it) wants a socket, so it gets one end of a socket pair, and bytes are
//! carried between the other end and the port. A server is always there *before* its client: it has been started, has
//! made its offer (which is kept back) and waits. So a guest that was saved while it waited, and is cloned, need not
//! fork, execute, link and seed a server before it can answer. When a server ends, the next one is started.

use super::error::{Doing, failure};
use super::init::PATH;
use guest_agent::call::Failure;
use guest_agent::{NO_PORT, SSH_PORT};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The port must have appeared this long after the modules were loaded.
const PATIENCE_MS: u16 = 20_000;
const SERVER: &str = "dropbear";
const HOST_KEY: &str = "/etc/dropbear/dropbear_ed25519_host_key";
/// More than an SSH packet, so that one read mostly takes one.
const CHUNK: usize = 64 << 10;

/// Finds and opens the port, for reading and writing without waiting.
pub(crate) fn open() -> Result<File, Failure> {
    let path = find_port()?;
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .doing(path.display())?;
    fcntl(&port, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing(path.display())?;
    Ok(port)
}

/// The port's device node, waiting for the kernel to announce it when it is not there yet.
fn find_port() -> Result<PathBuf, Failure> {
    // Listen before looking: what appears in between is announced.
    let news = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkKObjectUEvent,
    )
    .doing("uevent socket")?;
    bind(news.as_raw_fd(), &NetlinkAddr::new(0, 1)).doing("bind the uevent socket")?;
    loop {
        if let Some(port) = look_for_port() {
            return Ok(port);
        }
        wait_for_news(&news)?;
    }
}

fn look_for_port() -> Option<PathBuf> {
    let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
    ports.flatten().find_map(|port| {
        let name = fs::read_to_string(port.path().join("name")).ok()?;
        let node = PathBuf::from("/dev").join(port.file_name());
        (name.trim() == SSH_PORT && node.exists()).then_some(node)
    })
}

fn wait_for_news(news: &OwnedFd) -> Result<(), Failure> {
    let mut waiting = [PollFd::new(news.as_fd(), PollFlags::POLLIN)];
    if poll(&mut waiting, PollTimeout::from(PATIENCE_MS)).doing("poll the uevent socket")? == 0 {
        return Err(failure(format_args!(
            "{NO_PORT} {SSH_PORT} appeared (is virtio_console there?)"
        )));
    }
    let mut event = [0; 8192];
    recv(news.as_raw_fd(), &mut event, MsgFlags::empty())
        .doing("read the uevent socket")
        .map(drop)
}

/// How a conversation ended.
enum End {
    /// The server is done; there will be another.
    Server,
    /// Nobody holds the other end of the port any more.
    Host,
}

/// Serves one session after the other until the host is gone. `waiting` is called whenever a server waits.
pub(crate) fn serve(port: &File, waiting: impl Fn()) -> Result<(), Failure> {
    loop {
        let server = start_server()?;
        let offer = read_offer(&server)?;
        server.set_nonblocking(true).doing("socket pair")?;
        waiting();
        if matches!(carry(port, &server, offer)?, End::Host) {
            return Ok(());
        }
    }
}

fn start_server() -> Result<UnixStream, Failure> {
    let (ours, theirs) = UnixStream::pair().doing("socket pair")?;
    let input = OwnedFd::from(theirs.try_clone().doing("socket pair")?);
    Command::new(SERVER)
        .args(["-i", "-s", "-r", HOST_KEY])
        .env("PATH", PATH)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        // What the server complains of is evidence, and the console keeps it.
        .stderr(Stdio::from(
            OpenOptions::new()
                .write(true)
                .open("/dev/console")
                .doing("/dev/console")?,
        ))
        .spawn()
        .doing(SERVER)?;
    Ok(ours)
}

/// What a server says before its client has said anything: its version and its first packet.
fn read_offer(mut server: &UnixStream) -> Result<Vec<u8>, Failure> {
    let mut offer = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while !is_offer(&offer) {
        match server.read(&mut chunk) {
            Ok(0) => {
                return Err(failure(format_args!(
                    "{SERVER} ended before it had made its offer"
                )));
            }
            Ok(length) => offer.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failure(format_args!("{SERVER}: {error}"))),
        }
    }
    Ok(offer)
}

/// Whether it is complete: lines up to the one that begins with `SSH-` (RFC 4253, 4.2), then a packet, which begins with
/// its length as 32 bits (RFC 4253, 6).
fn is_offer(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            return false;
        };
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        if line.starts_with(b"SSH-") {
            break;
        }
    }
    let Some((length, packet)) = rest.split_first_chunk::<4>() else {
        return false;
    };
    usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|length| packet.len() >= length)
}

/// Carries bytes both ways, the host's turn first.
fn carry(port: &File, server: &UnixStream, offer: Vec<u8>) -> Result<End, Failure> {
    let mut to_server = Vec::new();
    let mut to_host = offer;
    let mut host_has_spoken = false;
    let mut chunk = vec![0; CHUNK];
    loop {
        // Each direction reads only when it has nothing left to write, so that neither side is waited for.
        let wanted = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let at_port = wanted(to_server.is_empty(), PollFlags::POLLIN)
            | wanted(host_has_spoken && !to_host.is_empty(), PollFlags::POLLOUT);
        let at_server =
            wanted(to_host.is_empty(), PollFlags::POLLIN) | wanted(!to_server.is_empty(), PollFlags::POLLOUT);
        let mut waiting = [
            PollFd::new(port.as_fd(), at_port),
            PollFd::new(server.as_fd(), at_server),
        ];
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(failure(format_args!("poll the SSH port: {error}"))),
        }
        if to_server.is_empty() {
            match taken(port, &mut chunk).doing("read the SSH port")? {
                Some(0) => return Ok(End::Host),
                Some(length) => {
                    host_has_spoken = true;
                    to_server.extend_from_slice(&chunk[..length]);
                }
                None => {}
            }
        }
        if !to_server.is_empty() && given(server, &mut to_server).is_err() {
            return Ok(End::Server);
        }
        if to_host.is_empty() {
            match taken(server, &mut chunk) {
                Ok(Some(0)) | Err(_) => return Ok(End::Server),
                Ok(Some(length)) => to_host.extend_from_slice(&chunk[..length]),
                Ok(None) => {}
            }
        }
        if host_has_spoken && !to_host.is_empty() {
            given(port, &mut to_host).doing("write to the SSH port")?;
        }
    }
}

/// What can be read now; `None` when that is nothing, 0 bytes at the end.
fn taken(mut from: impl Read, chunk: &mut [u8]) -> io::Result<Option<usize>> {
    match from.read(chunk) {
        Ok(length) => Ok(Some(length)),
        Err(error) if is_later(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes what can be written now, and takes it out of `bytes`.
fn given(mut to: impl Write, bytes: &mut Vec<u8>) -> io::Result<()> {
    match to.write(bytes) {
        Ok(length) => {
            bytes.drain(..length);
            Ok(())
        }
        Err(error) if is_later(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_a_version_and_a_whole_packet() {
        let whole = b"motd\r\nSSH-2.0-dropbear\r\n\0\0\0\x03abc";
        assert!(is_offer(whole));
        for length in 0..whole.len() {
            assert!(!is_offer(&whole[..length]), "{length}");
        }
        assert!(is_offer(b"SSH-2.0-x\n\0\0\0\x01a and more"));
    }

    #[test]
    fn bytes_go_both_ways_and_the_offer_waits_for_the_host() {
        let (port, host) = UnixStream::pair().unwrap();
        let (ours, server) = UnixStream::pair().unwrap();
        for end in [&port, &ours] {
            end.set_nonblocking(true).unwrap();
        }
        let port = File::from(OwnedFd::from(port));
        let carrier =
            std::thread::spawn(move || matches!(carry(&port, &ours, b"offer".to_vec()), Ok(End::Server)));
        (&host).write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        (&server).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
        (&server).write_all(b" more").unwrap();
        let mut offered = [0; 10];
        (&host).read_exact(&mut offered).unwrap();
        assert_eq!(&offered, b"offer more");
        drop(server);
        assert!(carrier.join().unwrap());
    }
}
