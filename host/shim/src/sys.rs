//! The five system calls for which there is no safe wrapper.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};

/// Where the handler writes the numbers of the signals that came.
static SIGNALS: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note(signal: libc::c_int) {
    let fd = SIGNALS.load(Ordering::Relaxed);
    let byte = signal as u8;
    #[expect(unsafe_code, reason = "write(2) and errno are all that a signal handler may touch here")]
    // SAFETY: both calls are async-signal-safe, the buffer is one live byte, and errno is put back for the code below us.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        // A full pipe is no loss: whoever reads it looks at everything anew.
        libc::write(fd, ptr::from_ref(&byte).cast(), 1);
        *errno = before;
    }
}

/// Catches CHLD, TERM, INT and HUP: each writes its number into the pipe whose end comes back. A caught signal is
/// back at its default in the program that a child becomes.
pub(crate) fn catch_signals() -> io::Result<OwnedFd> {
    let (ours, handlers) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    SIGNALS.store(handlers.as_raw_fd(), Ordering::Relaxed);
    // It stays open as long as a signal may come: as long as the process.
    std::mem::forget(handlers);
    for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        #[expect(unsafe_code, reason = "std and rustix offer no way to install a signal handler")]
        // SAFETY: the zeroed structure is a valid sigaction; the handler is async-signal-safe and lives for ever.
        let done = unsafe {
            let action = action.assume_init_mut();
            action.sa_sigaction = note as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
            libc::sigaction(signal, action, ptr::null_mut())
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    unblock_signals()?;
    Ok(ours)
}

/// Lets all signals through: a mask is inherited over `exec`, and the host's threads may have one.
fn unblock_signals() -> io::Result<()> {
    let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
    #[expect(unsafe_code, reason = "std and rustix offer no way to set the signal mask")]
    // SAFETY: sigemptyset initialises the set that sigprocmask then reads; this process has one thread.
    let done = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Nothing that the host left open reaches the command.
pub(crate) fn close_inherited_on_exec() -> io::Result<()> {
    #[expect(unsafe_code, reason = "rustix marks close_range unsafe too")]
    // SAFETY: no descriptor is closed now; they are only marked to be closed when this process becomes another.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The largest resident size of any process that was waited for.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "rustix has no getrusage")]
    // SAFETY: getrusage fills the structure that it is given; zeroed it is valid already.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    u64::try_from(usage.ru_maxrss).ok().filter(|kib| *kib > 0).map(|kib| kib * 1024)
}

/// Takes over a descriptor that this program was started with, and keeps it from the next one.
pub(crate) fn adopt(number: i32) -> Option<OwnedFd> {
    if number <= 2 {
        return None;
    }
    #[expect(unsafe_code, reason = "whoever starts this program says by a number which descriptor it inherits")]
    // SAFETY: called once, by the main thread, before anything else in this process was opened; fcntl below tells whether
    // the number is open at all, and only then it is owned.
    unsafe {
        (libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) == 0).then(|| OwnedFd::from_raw_fd(number))
    }
}
