//! The fourth life: inside the sandbox. Where the network is one of its own, it opens the proxy's listener there, and doors to the
//! loopback addresses that were named, and hands them out to the shim, which lies outside and accepts what connects. It tells the
//! kernel how many processes there may be in this user namespace; then it becomes the command. Nothing of ours stays inside.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv,
    recvmsg, send, sendmsg,
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::protocol::PROXY_PORT;
use crate::sys;

/// A message that bears a listener begins with this; behind it stands the address whose door it is.
const LISTENER: u8 = b'L';
/// The message behind the last listener.
const LAST: u8 = b'.';
/// The message that says why the command could not begin begins with this.
const COMPLAINT: u8 = b'!';
/// In place of the doors: the network is the host's, and no proxy is needed.
pub(crate) const OUTSIDE: &str = "-";
/// Longer than any address.
const ADDRESS_BYTES: usize = 64;
/// A complaint is cut to this many bytes.
const COMPLAINT_BYTES: usize = 1024;

/// Opens the listeners, hands them out, becomes the command.
pub fn enter(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut adopted = || arguments.next().and_then(|number| number.to_str()?.parse().ok()).and_then(sys::adopt);
    let (Some(ourselves), Some(line)) = (adopted(), adopted()) else {
        return ExitCode::from(2);
    };
    drop(ourselves);
    let (Some(doors), Some(processes), Some(program)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let handed = if doors == OUTSIDE { Ok(()) } else { hand_out(&line, &doors.to_string_lossy()) };
    let handed = handed.and_then(|()| bound(&processes.to_string_lossy()));
    let handed = handed.and_then(|()| Ok(send(&line, &[LAST], SendFlags::NOSIGNAL).map(drop)?));
    let complaint = match handed {
        // The line is closed by this; the shim hears no complaint.
        Ok(()) => format!("{}: {}", program.display(), Command::new(&program).args(arguments).exec()),
        Err(error) => format!("the last step inside the sandbox: {error}"),
    };
    let end = complaint.floor_char_boundary(COMPLAINT_BYTES);
    // If the shim is gone, so are we in a moment.
    let _ = send(&line, &[&[COMPLAINT], &complaint.as_bytes()[..end]].concat(), SendFlags::NOSIGNAL);
    ExitCode::from(127)
}

/// The kernel counts here what was born in this namespace alone; outside it would count all that its user runs.
fn bound(processes: &str) -> io::Result<()> {
    let Ok(most) = processes.parse::<u64>() else { return Ok(()) };
    Ok(setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) })?)
}

fn hand_out(line: &OwnedFd, doors: &str) -> io::Result<()> {
    hand_over(line, &TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))?, "")?;
    for door in doors.split(',').filter(|door| !door.is_empty()) {
        // A port that cannot be had (one below 1024, the proxy's own) is still behind the proxy.
        if let Ok(listener) = TcpListener::bind(door) {
            hand_over(line, &listener, door)?;
        }
    }
    Ok(())
}

/// The listener is closed by whoever calls this; only the shim's copy remains.
fn hand_over(line: &OwnedFd, listener: &TcpListener, door: &str) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let handed = [listener.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&handed));
    let words = [IoSlice::new(&[LISTENER]), IoSlice::new(door.as_bytes())];
    sendmsg(line, &words, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A listener inside the sandbox.
pub(crate) struct Handed {
    pub(crate) listener: TcpListener,
    /// Whose door it is; none: the proxy's.
    pub(crate) door: Option<SocketAddr>,
}

/// All listeners, as soon as they are handed out; none where the sandbox never came so far.
pub(crate) fn receive(line: BorrowedFd<'_>) -> Vec<Handed> {
    let mut all = Vec::new();
    let mut words = [0_u8; 1 + ADDRESS_BYTES];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let read = match recvmsg(line, &mut [IoSliceMut::new(&mut words)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message.bytes,
            Err(Errno::INTR) => continue,
            Err(_) => return all,
        };
        let handed = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut handed) => handed.next(),
            _ => None,
        });
        let (Some(listener), true) = (handed, read > 0 && words[0] == LISTENER) else { return all };
        let door = std::str::from_utf8(&words[1..read]).ok().and_then(|door| door.parse().ok());
        all.push(Handed { listener: TcpListener::from(listener), door });
    }
}

/// Why the command could not begin, if it could not. Asked once all of the sandbox has ended.
pub(crate) fn complaint(line: BorrowedFd<'_>) -> Option<String> {
    let mut message = [0_u8; 1 + COMPLAINT_BYTES];
    loop {
        match recv(line, &mut message, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return None,
            Ok((read, _)) if message[0] == COMPLAINT => {
                return Some(String::from_utf8_lossy(&message[1..read]).into_owned());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}
