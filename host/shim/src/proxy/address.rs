//! Which addresses a name may lead to: those of the public network, and none of this machine or of what lies around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Neither this machine, nor its neighbours, nor a group of machines.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_carriers = first == 100 && second & 0xc0 == 64;
    let is_protocols = (first, second, third) == (192, 0, 0);
    let is_benchmarks = first == 198 && second & 0xfe == 18;
    // 0.0.0.0/8 is this machine to the kernel; 240.0.0.0/4 is reserved, the broadcast among it.
    let is_nobodys = first == 0 || first >= 240;
    let is_near = address.is_loopback() || address.is_private() || address.is_link_local();
    !(is_near || is_carriers || is_protocols || is_benchmarks || is_nobodys || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, fourth, fifth, sixth, seventh, eighth] = address.segments();
    let embedded = || {
        let [[a, b], [c, d]] = [seventh.to_be_bytes(), eighth.to_be_bytes()];
        Ipv4Addr::new(a, b, c, d)
    };
    match (first, second) {
        // Translated to an address of the old kind on the way.
        (0x64, 0xff9b) => (third, fourth, fifth, sixth) == (0, 0, 0, 0) && is_public_v4(embedded()),
        // 6to4 and Teredo hide another address; nobody serves anything there.
        (0x2002, _) | (0x2001, 0) => false,
        // Only 2000::/3 is given out: neither `::`, `::1`, nor fc00::/7, fe80::/10, fec0::/10, ff00::/8 lies in it.
        _ => first & 0xe000 == 0x2000,
    }
}

/// Whether packets for an address would come back to this machine. No packet is sent.
pub(super) fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_out_to_the_public_is_public() {
        for public in ["1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for near in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::101:101",
            "2002:7f00:1::",
            "2001::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(near.parse().unwrap()), "{near}");
        }
    }

    #[test]
    fn the_loopback_is_this_machine() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
    }
}
