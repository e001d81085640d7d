//! What a disk image says of itself, read before any program opens it. An image whose contents lie elsewhere, in a file that it names, is
//! refused: whoever made it would choose what of the host is read. Formats: QEMU's docs/interop/qcow2.txt; a raw disk has a boot sector.

use bulkhead_wire::failure::{Code, Failure, quote};

/// As far as any header is read.
pub const HEADER_BYTES: usize = 64 * 1024;
const SECTOR_BYTES: u64 = 512;
const QCOW2: &[u8] = b"QFI\xfb";
/// Features that change how an image is read, and which of them change where its bytes lie: bit 2 is a data file.
const KNOWN_FEATURES: u64 = 0b1_1111;
const DATA_FILE: u64 = 1 << 2;
/// Formats that are told apart to be refused by their names.
const OTHERS: [(&[u8], &str); 7] =
    [(b"KDMV", "VMDK"), (b"# Disk DescriptorFile", "VMDK"), (b"COWD", "VMDK"), (b"vhdxfile", "VHDX"), (b"conectix", "VHD"), (b"LUKS\xba\xbe", "LUKS"), (b"QED\0", "QED")];
const VDI: (usize, &[u8]) = (64, &[0x7f, 0x10, 0xda, 0xbe]);

fn refused(what: String) -> Failure {
    Failure::new(Code::Unsupported, what)
}

/// How many bytes the disk has that the image holds. `start` is its first 64 KiB, or all of it.
pub fn read(format: &str, start: &[u8], length: u64) -> Result<u64, Failure> {
    let other = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| *name);
    let other = other.or_else(|| start.get(VDI.0..VDI.0 + VDI.1.len()).filter(|magic| *magic == VDI.1).map(|_| "VDI"));
    if let Some(name) = other {
        return Err(refused(format!("the disk image is in the format {name}")).remedy("convert it first: qemu-img convert -O qcow2 FILE NEW.qcow2"));
    }
    match (format, start.starts_with(QCOW2)) {
        ("qcow2", true) => read_qcow2(start),
        ("raw", false) => read_raw(start, length),
        ("raw", true) => Err(refused("the disk image is a qcow2 that is said to be raw".into())),
        ("qcow2", false) => Err(Failure::new(Code::CorruptData, "the disk image is no qcow2")),
        (other, _) => Err(refused(format!("disk images of the format {} are not known", quote(other)))),
    }
}

fn read_raw(start: &[u8], length: u64) -> Result<u64, Failure> {
    let signed = start.get(510..512) == Some(&[0x55, 0xaa]);
    if !signed || length % SECTOR_BYTES != 0 {
        let what = "the file is no disk that firmware could boot: it has no boot sector, or ends within one".to_owned();
        return Err(Failure::new(Code::CorruptData, what).remedy("name a raw or qcow2 image of a whole disk"));
    }
    Ok(length)
}

fn read_qcow2(start: &[u8]) -> Result<u64, Failure> {
    let cut = || Failure::new(Code::CorruptData, "the qcow2 image ends within its header");
    let word = |at: usize| start.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes).ok_or_else(cut);
    let long = |at: usize| start.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).ok_or_else(cut);
    let version = word(4)?;
    if version != 2 && version != 3 {
        return Err(refused(format!("the disk image is a qcow2 of version {version}")));
    }
    let (backing, backing_length) = (long(8)?, word(16)?);
    if backing != 0 || backing_length != 0 {
        let name = name_at(start, backing, backing_length);
        return Err(refused(format!("the disk image has a backing file, {name}: what it names of this host is not read"))
            .remedy("make it whole where its backing file lies: qemu-img convert -O qcow2 FILE NEW.qcow2"));
    }
    if word(32)? != 0 {
        return Err(refused("the disk image is encrypted".into()).remedy("convert it first: qemu-img convert -O qcow2 FILE NEW.qcow2"));
    }
    let features = if version == 3 { long(72)? } else { 0 };
    if features & DATA_FILE != 0 {
        return Err(refused("the disk image keeps its contents in a data file beside it: what it names of this host is not read".into())
            .remedy("make it whole where its data file lies: qemu-img convert -O qcow2 FILE NEW.qcow2"));
    }
    if features & !KNOWN_FEATURES != 0 {
        return Err(refused(format!("the disk image uses features of qcow2 that are not known: {:#x}", features & !KNOWN_FEATURES)));
    }
    let bytes = long(24)?;
    if bytes == 0 || bytes % SECTOR_BYTES != 0 {
        return Err(Failure::new(Code::CorruptData, format!("the disk image holds a disk of {bytes} bytes")));
    }
    Ok(bytes)
}

fn name_at(start: &[u8], offset: u64, length: u32) -> String {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let name = from.checked_add(length as usize).and_then(|to| start.get(from..to)).unwrap_or_default();
    quote(&String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..4].copy_from_slice(QCOW2);
        bytes[7] = 3;
        bytes[23] = 16;
        bytes[24..32].copy_from_slice(&(1u64 << 30).to_be_bytes());
        change(&mut bytes);
        bytes
    }

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    #[test]
    fn a_whole_image_says_how_long_its_disk_is() {
        assert_eq!(read("qcow2", &header(|_| {}), 512).unwrap(), 1 << 30);
        let mut boot = vec![0; 1024];
        put(&mut boot, 510, &[0x55, 0xaa]);
        assert_eq!(read("raw", &boot, 1024).unwrap(), 1024);
    }

    #[test]
    fn an_image_that_names_files_of_the_host_is_refused_with_their_names() {
        let backed = header(|bytes| {
            put(bytes, 8, &256u64.to_be_bytes());
            put(bytes, 16, &11u32.to_be_bytes());
            put(bytes, 256, b"/etc/shadow");
        });
        let failure = read("qcow2", &backed, 512).unwrap_err();
        assert_eq!(failure.code, Code::Unsupported);
        assert!(failure.what.contains("backing file, \"/etc/shadow\""), "{}", failure.what);
        let far = header(|bytes| put(bytes, 8, &u64::MAX.to_be_bytes()));
        assert!(read("qcow2", &far, 512).unwrap_err().what.contains("backing file"));
        let data = header(|bytes| put(bytes, 72, &4u64.to_be_bytes()));
        assert!(read("qcow2", &data, 512).unwrap_err().what.contains("data file"));
    }

    #[test]
    fn what_is_encrypted_unknown_cut_or_no_disk_is_refused() {
        let encrypted = header(|bytes| put(bytes, 32, &2u32.to_be_bytes()));
        let unknown = header(|bytes| put(bytes, 72, &(1u64 << 40).to_be_bytes()));
        let version = header(|bytes| put(bytes, 4, &9u32.to_be_bytes()));
        let empty = header(|bytes| put(bytes, 24, &[0; 8]));
        for (format, bytes) in [("qcow2", encrypted), ("qcow2", unknown), ("qcow2", version), ("qcow2", empty), ("raw", header(|_| {})), ("vmdk", vec![0; 512])] {
            assert!(read(format, &bytes, 512).is_err());
        }
        for length in 0..104 {
            assert!(read("qcow2", &header(|_| {})[..length.min(79)], 512).is_err(), "{length}");
        }
        assert!(read("raw", &[0; 512], 512).is_err());
        assert!(read("raw", b"KDMV", 512).unwrap_err().what.contains("VMDK"));
    }
}
