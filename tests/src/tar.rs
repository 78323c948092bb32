//! Builds tar archives byte by byte, so that they can have any error.
#![allow(missing_docs, reason = "the fields and entry types are those of tar(5)")]

/// The fields of a header, as text to be written.
#[derive(Clone)]
pub struct Head {
    pub name: Vec<u8>,
    pub mode: u32,
    pub uid: Vec<u8>,
    pub gid: Vec<u8>,
    pub size: Vec<u8>,
    pub mtime: Vec<u8>,
    pub typeflag: u8,
    pub link: Vec<u8>,
    pub magic: [u8; 8],
    pub device: (u32, u32),
    pub prefix: Vec<u8>,
}

pub const USTAR: [u8; 8] = *b"ustar\x0000";
pub const GNU: [u8; 8] = *b"ustar  \0";
pub const V7: [u8; 8] = [0; 8];

impl Head {
    pub fn new(typeflag: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            mode: if typeflag == b'5' { 0o755 } else { 0o644 },
            uid: b"0000000\0".to_vec(),
            gid: b"0000000\0".to_vec(),
            size: b"00000000000\0".to_vec(),
            mtime: b"00000000001\0".to_vec(),
            typeflag,
            link: Vec::new(),
            magic: USTAR,
            device: (0, 0),
            prefix: Vec::new(),
        }
    }

    pub fn size(mut self, size: u64) -> Self {
        self.size = format!("{size:011o}\0").into_bytes();
        self
    }

    pub fn link(mut self, link: impl AsRef<[u8]>) -> Self {
        self.link = link.as_ref().to_vec();
        self
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn magic(mut self, magic: [u8; 8]) -> Self {
        self.magic = magic;
        self
    }

    /// The block, with its checksum.
    pub fn block(&self) -> [u8; 512] {
        let mut block = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, &self.uid);
        put(116, &self.gid);
        put(124, &self.size);
        put(136, &self.mtime);
        put(156, &[self.typeflag]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(257, &self.magic);
        if self.magic != V7 {
            put(329, format!("{:07o}\0", self.device.0).as_bytes());
            put(337, format!("{:07o}\0", self.device.1).as_bytes());
        }
        put(345, &self.prefix);
        seal(&mut block);
        block
    }
}

/// Writes the checksum of a block.
pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// One pax record, its length in front.
pub fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// An archive under construction.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    /// A header and its data, padded.
    pub fn entry(mut self, head: &Head, data: &[u8]) -> Self {
        self.0.extend_from_slice(&head.block());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        let head = Head::new(b'0', name).size(data.len() as u64);
        self.entry(&head, data)
    }

    pub fn dir(self, name: impl AsRef<[u8]>, mode: u32) -> Self {
        self.entry(&Head::new(b'5', name).mode(mode), b"")
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(&Head::new(b'2', name).link(target), b"")
    }

    pub fn hardlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(&Head::new(b'1', name).link(target), b"")
    }

    pub fn fifo(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(&Head::new(b'6', name), b"")
    }

    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.records(b'x', records)
    }

    pub fn global(self, records: &[(&str, &[u8])]) -> Self {
        self.records(b'g', records)
    }

    fn records(self, typeflag: u8, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> =
            records.iter().flat_map(|(key, value)| pax_record(key.as_bytes(), value)).collect();
        self.entry(&Head::new(typeflag, "pax").size(data.len() as u64), &data)
    }

    /// A GNU long name (`L`) or long link (`K`).
    pub fn long(self, typeflag: u8, name: &[u8]) -> Self {
        let data = [name, b"\0"].concat();
        self.entry(&Head::new(typeflag, "././@LongLink").magic(GNU).size(data.len() as u64), &data)
    }

    /// The two blocks of zeros.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}
