//! Descriptors over a unix stream socket (SCM_RIGHTS), beside the bytes of frames.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// More than any message carries.
pub const MOST: usize = 16;
const CONTROL_BYTES: usize = 256;

/// Sends all bytes; the descriptors go with the first.
pub fn send(socket: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> io::Result<()> {
    if descriptors.len() > MOST || bytes.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut sent = 0;
    while sent < bytes.len() {
        let given = if sent == 0 { descriptors } else { &[] };
        match send_part(socket, &bytes[sent..], given) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_part(socket: RawFd, bytes: &[u8], descriptors: &[RawFd]) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // Aligned as a control header wants it.
    let mut control = [0u64; CONTROL_BYTES / 8];
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    if !descriptors.is_empty() {
        let length = size_of_val(descriptors) as u32;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = unsafe { libc::CMSG_SPACE(length) } as _;
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as _;
            std::ptr::copy_nonoverlapping(descriptors.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), length as usize);
        }
    }
    match unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) } {
        -1 => Err(io::Error::last_os_error()),
        count => Ok(count as usize),
    }
}

/// One read: how many bytes came (0 at the end), and the descriptors that came with them, appended in their order.
pub fn receive(socket: RawFd, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0u64; CONTROL_BYTES / 8];
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    let count = unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let length = ((*header).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                for at in 0..length / size_of::<RawFd>() {
                    let fd = libc::CMSG_DATA(header).cast::<RawFd>().add(at).read_unaligned();
                    descriptors.push(OwnedFd::from_raw_fd(fd));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::other("more descriptors came than are taken"));
    }
    Ok(count as usize)
}

/// A path that leads to what a descriptor of this process refers to.
pub fn path_of(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_descriptor_arrives_with_its_bytes_and_works() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut inner, mut outer) = UnixStream::pair().unwrap();
        send(ours.as_raw_fd(), b"with one", &[inner.as_raw_fd()]).unwrap();
        let (mut bytes, mut got) = ([0; 64], Vec::new());
        assert_eq!(receive(theirs.as_raw_fd(), &mut bytes, &mut got).unwrap(), 8);
        assert_eq!(got.len(), 1);
        let mut copy = UnixStream::from(got.remove(0));
        copy.write_all(b"x").unwrap();
        let mut one = [0; 1];
        outer.read_exact(&mut one).unwrap();
        inner.write_all(b"y").unwrap();
        outer.read_exact(&mut one).unwrap();
        assert_eq!(&one, b"y");
    }

    #[test]
    fn too_many_are_refused_before_any_is_sent() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(send(ours.as_raw_fd(), b"x", &[0; MOST + 1]).is_err());
    }
}
