use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn lease() -> Lease {
    let network = BridgeSpec {
        bridge: String::new(),
        interface_name: String::new(),
        address: Ipv4Addr::new(172, 30, 0, 5),
        prefix_length: 16,
        gateway: Ipv4Addr::new(172, 30, 0, 1),
        mac: MAC,
        mtu: 1500,
        ports: Vec::new(),
    };
    Lease::new(&network, &LeaseNames { hostname: "machine".into(), servers: vec!["9.9.9.9".into()] }).unwrap()
}

fn question(kind: u8, mac: [u8; 6], options: &[u8]) -> Vec<u8> {
    let mut message = vec![0; BOOTP];
    message[..4].copy_from_slice(&[REQUEST_OP, 1, 6, 0]);
    message[4..8].copy_from_slice(&[1, 2, 3, 4]);
    message[28..34].copy_from_slice(&mac);
    message.extend(COOKIE);
    message.extend([0, 53, 1, kind]);
    message.extend_from_slice(options);
    message.push(255);
    let mut frame = vec![0xff; 12];
    frame.extend([0x08, 0x00]);
    frame.extend(ip_header(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, UDP + message.len()));
    frame.extend([68u16, 67, (UDP + message.len()) as u16, 0].into_iter().flat_map(u16::to_be_bytes));
    frame.extend(message);
    frame
}

fn told(answer: &[u8], code: u8) -> Option<Vec<u8>> {
    option(&answer[ETHERNET + IP + UDP + BOOTP + 4..], code).map(<[u8]>::to_vec)
}

fn given(answer: &[u8]) -> &[u8] {
    &answer[ETHERNET + IP + UDP + 16..][..4]
}

#[test]
fn the_client_is_offered_its_address_and_gets_it() {
    let offer = lease().answer(&question(kind::DISCOVER, MAC, &[])).unwrap();
    assert_eq!((told(&offer, 53).unwrap(), given(&offer)), (vec![kind::OFFER], &[172, 30, 0, 5][..]));
    assert_eq!(&offer[..6], &MAC, "to its own card");
    let ack = lease().answer(&question(kind::REQUEST, MAC, &[50, 4, 172, 30, 0, 5, 54, 4, 172, 30, 0, 1])).unwrap();
    assert_eq!((told(&ack, 53).unwrap(), given(&ack)), (vec![kind::ACK], &[172, 30, 0, 5][..]));
    for (code, value) in [(1, &[255, 255, 0, 0][..]), (3, &[172, 30, 0, 1]), (6, &[9, 9, 9, 9]), (12, b"machine"), (26, &[5, 220]), (51, &FOR_EVER)] {
        assert_eq!(told(&ack, code).as_deref(), Some(value), "option {code}");
    }
    let sum: u32 = ack[ETHERNET..ETHERNET + IP].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "the header's sum");
}

#[test]
fn another_address_is_refused_and_another_client_or_server_not_heard() {
    let nak = lease().answer(&question(kind::REQUEST, MAC, &[50, 4, 172, 30, 0, 6])).unwrap();
    assert_eq!((told(&nak, 53).unwrap(), given(&nak)), (vec![kind::NAK], &[0; 4][..]));
    assert_eq!(&nak[..6], &[0xff; 6]);
    assert!(lease().answer(&question(kind::DISCOVER, [2, 0, 0, 0, 0, 8], &[])).is_none());
    assert!(lease().answer(&question(kind::REQUEST, MAC, &[54, 4, 172, 30, 0, 77])).is_none());
    assert!(lease().answer(&question(7, MAC, &[])).is_none(), "a release");
}

#[test]
fn damaged_and_random_frames_are_no_questions_and_never_panics() {
    let whole = question(kind::DISCOVER, MAC, &[61, 200]);
    for cut in 0..whole.len() {
        let _ = lease().answer(&whole[..cut]);
    }
    let mut seed = 88172645463325252u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..20_000 {
        let mut frame = whole.clone();
        for _ in 0..1 + next() % 4 {
            let at = next() as usize % frame.len();
            frame[at] = next() as u8;
        }
        let _ = lease().answer(&frame);
    }
}
