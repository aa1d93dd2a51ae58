//! The fourth life: inside the sandbox, whose network is one of its own. It opens the proxy's listener there and hands it out
//! to the shim, which lies outside and accepts what connects; then it becomes the command. Nothing of ours stays inside.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv,
    recvmsg, send, sendmsg,
};

use crate::protocol::PROXY_PORT;
use crate::sys;

/// The message that bears the listener begins with this.
const LISTENER: u8 = b'L';
/// The message that says why the command could not begin begins with this.
const COMPLAINT: u8 = b'!';
/// A complaint is cut to this many bytes.
const COMPLAINT_BYTES: usize = 1024;

/// Opens the listener, hands it out, becomes the command.
pub fn enter(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut adopted = || arguments.next().and_then(|number| number.to_str()?.parse().ok()).and_then(sys::adopt);
    let (Some(ourselves), Some(line)) = (adopted(), adopted()) else {
        return ExitCode::from(2);
    };
    drop(ourselves);
    let Some(program) = arguments.next() else {
        return ExitCode::from(2);
    };
    let complaint = match hand_out(&line) {
        // The line is closed by this; the shim hears no complaint.
        Ok(()) => format!("{}: {}", program.display(), Command::new(&program).args(arguments).exec()),
        Err(error) => format!("the proxy's listener inside the sandbox: {error}"),
    };
    let end = complaint.floor_char_boundary(COMPLAINT_BYTES);
    // If the shim is gone, so are we in a moment.
    let _ = send(&line, &[&[COMPLAINT], &complaint.as_bytes()[..end]].concat(), SendFlags::NOSIGNAL);
    ExitCode::from(127)
}

/// The listener is closed here; only the shim's copy remains.
fn hand_out(line: &OwnedFd) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let handed = [listener.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&handed));
    sendmsg(line, &[IoSlice::new(&[LISTENER])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The listener, as soon as it is handed out; `None` where the sandbox never came so far.
pub(crate) fn receive(line: BorrowedFd<'_>) -> Option<TcpListener> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0_u8; 1];
    loop {
        match recvmsg(line, &mut [IoSliceMut::new(&mut word)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    let handed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut handed) => handed.next(),
        _ => None,
    })?;
    (word == [LISTENER]).then(|| TcpListener::from(handed))
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
