//! DER as far as PKCS#12 needs it: members of constructed values, one after another, and writing
//! them. It does not recurse; how deep a file is read is what the callers spell out.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Reader, SliceReader, Tag, TagNumber};

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

type Read<T> = Result<T, Malformed>;

/// The members of a constructed value that are not read yet.
pub(super) struct Members<'a>(SliceReader<'a>);

impl<'a> Members<'a> {
    /// Those that stand in `bytes`, without a header around them.
    pub(super) fn of(bytes: &'a [u8]) -> Read<Members<'a>> {
        SliceReader::new(bytes).map(Members).map_err(|_| Malformed)
    }

    /// Those of the one SEQUENCE that `bytes` is.
    pub(super) fn of_sequence(bytes: &'a [u8]) -> Read<Members<'a>> {
        let mut outer = Members::of(bytes)?;
        let inner = outer.sequence()?;
        outer.end()?;
        Ok(inner)
    }

    pub(super) fn sequence(&mut self) -> Read<Members<'a>> {
        Members::of(self.tagged(Tag::Sequence)?)
    }

    pub(super) fn octets(&mut self) -> Read<&'a [u8]> {
        self.tagged(Tag::OctetString)
    }

    pub(super) fn oid(&mut self) -> Read<ObjectIdentifier> {
        self.decode()
    }

    /// A whole number from 0 to 2³² - 1.
    pub(super) fn number(&mut self) -> Read<u32> {
        self.decode()
    }

    /// What stands inside `[number] EXPLICIT`.
    pub(super) fn explicit(&mut self, number: u8) -> Read<Members<'a>> {
        Members::of(self.context(number, true)?)
    }

    /// The bytes of `[number] IMPLICIT OCTET STRING`.
    pub(super) fn implicit_octets(&mut self, number: u8) -> Read<&'a [u8]> {
        self.context(number, false)
    }

    /// The next member whatever it is, header included.
    pub(super) fn any(&mut self) -> Read<&'a [u8]> {
        self.0.tlv_bytes().map_err(|_| Malformed)
    }

    pub(super) fn next_is(&self, tag: Tag) -> bool {
        Tag::peek(&self.0) == Ok(tag)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_finished()
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Read<()> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    fn context(&mut self, number: u8, constructed: bool) -> Read<&'a [u8]> {
        let number = TagNumber(u32::from(number));
        self.tagged(Tag::ContextSpecific { constructed, number })
    }

    fn tagged(&mut self, tag: Tag) -> Read<&'a [u8]> {
        let any: AnyRef<'a> = self.decode()?;
        if x509_cert::der::Tagged::tag(&any) == tag { Ok(any.value()) } else { Err(Malformed) }
    }

    fn decode<T: Decode<'a>>(&mut self) -> Read<T> {
        T::decode(&mut self.0).map_err(|_| Malformed)
    }
}

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const OCTETS: u8 = 0x04;
/// `[0]`, constructed: `[0] EXPLICIT`.
pub(super) const EXPLICIT_0: u8 = 0xA0;
/// `[0]`, primitive: `[0] IMPLICIT OCTET STRING`.
pub(super) const IMPLICIT_0: u8 = 0x80;

/// Writes a value with its header.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match content.len() {
        n @ 0..0x80 => bytes.push(n.to_le_bytes()[0]),
        n => {
            let length = n.to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            let length = &length[zeros..];
            bytes.push(0x80 | length.len().to_le_bytes()[0]);
            bytes.extend(length);
        }
    }
    bytes.extend(content);
    bytes
}

pub(super) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    value(0x06, &[oid.as_bytes()])
}

pub(super) fn number(number: u32) -> Vec<u8> {
    let padded = u64::from(number).to_be_bytes();
    let leading = padded.windows(2).take_while(|two| two[0] == 0 && two[1] < 0x80).count();
    value(0x02, &[&padded[leading..]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_read_as_they_are_written() {
        for n in [0, 1, 127, 128, 255, 256, 2048, 32_768, u32::MAX] {
            let bytes = number(n);
            let mut members = Members::of(&bytes).unwrap();
            assert_eq!(members.number(), Ok(n), "{bytes:02x?}");
            assert!(members.is_empty());
        }
        for n in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = value(OCTETS, &[&vec![7; n]]);
            assert_eq!(Members::of(&bytes).unwrap().octets().map(<[u8]>::len), Ok(n));
        }
    }

    #[test]
    fn other_tags_longer_values_and_leftovers_are_malformed() {
        let two = [number(1), number(2)].concat();
        let sequence = value(SEQUENCE, &[&two]);
        assert!(Members::of_sequence(&sequence).unwrap().end().is_err());
        assert!(Members::of_sequence(&[&sequence[..], &[0]].concat()).is_err());
        assert!(Members::of(&sequence).unwrap().octets().is_err());
        assert!(Members::of(&sequence).unwrap().explicit(0).is_err());
        assert!(Members::of(&sequence[..5]).unwrap().sequence().is_err());
        // Negative, and an indefinite length.
        assert!(Members::of(&[0x02, 0x01, 0xFF]).unwrap().number().is_err());
        assert!(Members::of(&[0x30, 0x80, 0, 0]).unwrap().sequence().is_err());
    }
}
