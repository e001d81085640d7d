//! A server and a client that speak over one TCP connection: how much goes through it, and how long an answer takes.
//!
//! The client's first byte says which: `s`, and everything after it is read and thrown away until the client has no more, which one byte
//! confirms; or `e`, and each message of 64 bytes comes back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

const MESSAGE: usize = 64;
const PIECE: usize = 1 << 20;
/// A peer that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves until it is killed; each connection in a thread of its own.
pub fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    println!("{{\"port\":{}}}", listener.local_addr()?.port());
    for connection in listener.incoming() {
        let stream = connection?;
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut kind = [0_u8; 1];
    stream.read_exact(&mut kind)?;
    match kind[0] {
        b's' => {
            let mut bytes = vec![0_u8; PIECE];
            while stream.read(&mut bytes)? > 0 {}
            stream.write_all(b".")
        }
        b'e' => {
            let mut message = [0_u8; MESSAGE];
            while stream.read_exact(&mut message).is_ok() {
                stream.write_all(&message)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Pieces of 1 MiB to the server, and its word that it has them all.
pub fn send(address: &str, pieces: u64) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"s")?;
    let bytes = vec![0x5a_u8; PIECE];
    for _ in 0..pieces {
        stream.write_all(&bytes)?;
    }
    stream.shutdown(Shutdown::Write)?;
    stream.read_exact(&mut [0_u8; 1])
}

/// Messages there and back, one at a time.
pub fn request(address: &str, times: u64) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"e")?;
    let mut message = [0x33_u8; MESSAGE];
    for _ in 0..times {
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
    }
    Ok(())
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let at = address.to_socket_addrs()?.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address"))?;
    let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives_and_what_is_asked_is_answered() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || listener.incoming().take(3).for_each(|stream| drop(answer(stream.unwrap()))));
        send(&address, 2).unwrap();
        request(&address, 5).unwrap();
        let mut foreign = TcpStream::connect(&address).unwrap();
        foreign.write_all(b"x").unwrap();
        assert_eq!(foreign.read(&mut [0_u8; 1]).unwrap(), 0);
    }
}
