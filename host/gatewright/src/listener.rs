//! Which process listens on an address, by what the kernel says.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// The process that says that it holds a folder's lock, if it lives.
pub(crate) fn holder(dir: &Path) -> Option<u32> {
    let pid: u32 = std::fs::read_to_string(dir.join("gatewright.lock")).ok()?.trim().parse().ok()?;
    Path::new("/proc").join(pid.to_string()).exists().then_some(pid)
}

/// Whether this process has a socket that listens there. An error: its sockets may not be seen.
pub(crate) fn listens(pid: u32, address: SocketAddr) -> anyhow::Result<bool> {
    let own: Vec<u64> = [format!("/proc/{pid}/net/tcp"), format!("/proc/{pid}/net/tcp6")]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address))
        .collect();
    let folder = format!("/proc/{pid}/fd");
    let open = std::fs::read_dir(&folder).with_context(|| format!("the sockets of process {pid} cannot be seen"))?;
    let links = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let inodes = links.filter_map(|link| {
        let text = link.to_string_lossy().into_owned();
        text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
    });
    Ok(inodes.into_iter().any(|inode| own.contains(&inode)))
}

/// The inodes of sockets in a table of the kernel's that take connections to an address.
fn listening(table: &str, address: SocketAddr) -> Vec<u64> {
    let row = |line: &str| -> Option<u64> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (*fields.get(1)?, *fields.get(3)?, *fields.get(9)?);
        let bound = parse(local)?;
        let meant = bound.port() == address.port() && (bound.ip().is_unspecified() || bound.ip() == address.ip());
        (state == LISTENS && meant).then(|| inode.parse().ok())?
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// An address as the kernel writes it: words of four bytes, each in this machine's order.
fn parse(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..ip.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_is_found_by_its_process_alone() {
        for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                assert!(address.starts_with('['), "{address} cannot be bound");
                continue;
            };
            let mut bound = listener.local_addr().unwrap();
            if bound.ip().is_unspecified() {
                bound.set_ip([127, 0, 0, 1].into());
            }
            assert!(listens(std::process::id(), bound).unwrap(), "{bound}");
            let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
            assert!(!listens(child.id(), bound).unwrap(), "{bound} belongs to another process");
            drop(child.stdin.take());
            child.wait().unwrap();
            drop(listener);
            assert!(!listens(std::process::id(), bound).unwrap(), "nobody listens any more");
        }
    }
}
