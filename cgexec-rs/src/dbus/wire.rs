//! Messages as bytes, in this machine's byte order, since both ends are on it.
//!
//! The reader accepts any bytes: it checks each length against the data, and never allocates memory for data
//! that a message only announces.

use super::Error;

/// The byte that indicates the byte order.
const ORDER: u8 = if cfg!(target_endian = "little") { b'l' } else { b'B' };
/// More than any answer of systemd's to us; the specification allows 128 MiB.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// METHOD_RETURN
pub const REPLY: u8 = 2;
/// ERROR
pub const ERROR: u8 = 3;
/// SIGNAL
pub const SIGNAL: u8 = 4;
const CALL: u8 = 1;

/// A sequence of values, each at its alignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Vec<u8>);

impl Body {
    /// Pads with zeros to a multiple of `to`.
    fn align(&mut self, to: usize) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self
    }

    /// `u`
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.align(4).0.extend(value.to_ne_bytes());
        self
    }

    /// `t`
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.align(8).0.extend(value.to_ne_bytes());
        self
    }

    /// `b`
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.u32(value.into())
    }

    /// `s` and `o`
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.u32(value.len() as u32).0.extend(value.as_bytes());
        self.0.push(0);
        self
    }

    /// `g`
    fn signature(&mut self, value: &str) -> &mut Self {
        self.0.push(value.len() as u8);
        self.0.extend(value.as_bytes());
        self.0.push(0);
        self
    }

    /// `v`: a value and its signature.
    pub fn variant(&mut self, signature: &str, value: impl FnOnce(&mut Self) -> &mut Self) -> &mut Self {
        self.signature(signature);
        value(self);
        self
    }

    /// `a`: the length counts from the first element, without the padding before it.
    pub fn array(&mut self, alignment: usize, items: impl FnOnce(&mut Self) -> &mut Self) -> &mut Self {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        items(self);
        let length = (self.0.len() - start) as u32;
        if let Some(place) = self.0.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self
    }

    /// `(sv)`: a property and its name.
    pub fn property(
        &mut self,
        name: &str,
        signature: &str,
        value: impl FnOnce(&mut Self) -> &mut Self,
    ) -> &mut Self {
        self.align(8).text(name).variant(signature, value)
    }
}

/// A method call.
#[derive(Clone, Copy, Debug)]
pub struct MethodCall<'a> {
    /// The destination: on a bus, a name; None for a peer.
    pub destination: Option<&'a str>,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// The body's signature.
    pub signature: &'a str,
}

impl MethodCall<'_> {
    /// Encodes the call.
    pub fn to_bytes(self, serial: u32, body: &Body) -> Vec<u8> {
        let mut message = Body::default();
        message.0.extend([ORDER, CALL, 0, 1]);
        message.u32(body.0.len() as u32).u32(serial);
        message.array(8, |fields| {
            let mut field = |code: u8, signature: &str, value: &str| {
                fields.align(8).0.push(code);
                fields.signature(signature);
                match signature {
                    "g" => fields.signature(value),
                    _ => fields.text(value),
                };
            };
            field(1, "o", self.path);
            field(2, "s", self.interface);
            field(3, "s", self.member);
            if let Some(destination) = self.destination {
                field(6, "s", destination);
            }
            if !self.signature.is_empty() {
                field(8, "g", self.signature);
            }
            fields
        });
        message.align(8).0.extend(&body.0);
        message.0
    }
}

/// The fields of a received message that we need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// [`REPLY`], [`ERROR`], [`SIGNAL`] or another.
    pub kind: u8,
    /// The serial number of the call that it answers.
    pub answers: Option<u32>,
    /// The signal's or method's name.
    pub member: String,
    /// The error's name.
    pub error: String,
    /// The body's signature.
    pub signature: String,
    body: Vec<u8>,
}

impl Message {
    /// The first message in some bytes and its length; None if it is incomplete.
    ///
    /// # Errors
    /// The bytes are not a message.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some(head) = bytes.get(..16) else { return Ok(None) };
        if head.first() != Some(&ORDER) || head.get(3) != Some(&1) {
            return Err(Error::Malformed("it is not a version 1 message in this byte order"));
        }
        let mut start = Reader { bytes: head, at: 4 };
        let (body_len, _serial, fields_len) = (start.u32()?, start.u32()?, start.u32()?);
        let (body_len, fields_len) = (body_len as usize, fields_len as usize);
        if body_len > MAX_MESSAGE_BYTES || fields_len > MAX_MESSAGE_BYTES {
            return Err(Error::Malformed("a message longer than a mebibyte"));
        }
        let body_at = (16 + fields_len).next_multiple_of(8);
        let Some(body) = bytes.get(body_at..body_at + body_len) else { return Ok(None) };
        let mut message = Self { kind: *head.get(1).unwrap_or(&0), body: body.to_vec(), ..Self::default() };
        let fields = bytes.get(..16 + fields_len).unwrap_or_default();
        let mut reader = Reader { bytes: fields, at: 16 };
        while reader.at < fields.len() {
            message.read_field(&mut reader)?;
        }
        Ok(Some((message, body_at + body_len)))
    }

    fn read_field(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        reader.align(8);
        let code = reader.byte()?;
        let signature = reader.signature()?;
        match (code, signature.as_str()) {
            (5, "u") => self.answers = Some(reader.u32()?),
            (_, "u") => drop(reader.u32()?),
            (8, "g") => self.signature = reader.signature()?,
            (3, "s") => self.member = reader.text()?,
            (4, "s") => self.error = reader.text()?,
            (_, "s" | "o") => drop(reader.text()?),
            _ => return Err(Error::Malformed("a header field with an invalid type")),
        }
        Ok(())
    }

    /// The strings at the start of the body, without the numbers before and between them.
    ///
    /// # Errors
    /// The body does not match its signature.
    pub fn texts(&self) -> Result<Vec<String>, Error> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut texts = Vec::new();
        for kind in self.signature.bytes() {
            match kind {
                b's' | b'o' => texts.push(reader.text()?),
                b'u' | b'i' | b'b' => drop(reader.u32()?),
                // nothing after it is needed
                _ => break,
            }
        }
        Ok(texts)
    }
}

impl Message {
    /// The number in the body's variant: a property's value.
    ///
    /// # Errors
    /// The body contains anything else.
    pub fn number(&self) -> Result<u64, Error> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        match (self.signature.as_str(), reader.signature()?.as_str()) {
            ("v", "t") => reader.u64(),
            ("v", "u" | "b") => reader.u32().map(u64::from),
            _ => Err(Error::Malformed("it is not a number")),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Error> {
        let end = self.at.checked_add(count).ok_or(Error::Malformed("a length that overflows"))?;
        let taken = self.bytes.get(self.at..end).ok_or(Error::Malformed("a length beyond the end"))?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.align(4);
        let bytes = self.take(4)?.try_into().map_err(|_| Error::Malformed("a truncated number"))?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.align(8);
        let bytes = self.take(8)?.try_into().map_err(|_| Error::Malformed("a truncated number"))?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn text(&mut self) -> Result<String, Error> {
        let len = self.u32()? as usize;
        self.text_of(len)
    }

    fn signature(&mut self) -> Result<String, Error> {
        let len = usize::from(self.byte()?);
        self.text_of(len)
    }

    fn text_of(&mut self, len: usize) -> Result<String, Error> {
        let text = String::from_utf8(self.take(len)?.to_vec());
        match (text, self.byte()?) {
            (Ok(text), 0) => Ok(text),
            _ => Err(Error::Malformed("an invalid string")),
        }
    }
}

#[cfg(test)]
mod tests;
