//! How a passphrase becomes keys, and the ciphers under them: RFC 7292 appendix B for the old
//! schemes and every MAC, PBES2 (RFC 8018) for today's.
//!
//! AES, HMAC and PBKDF2 are AWS-LC's. It has neither Triple DES nor RC2, so these two come from
//! crates of their own, and only old files ever reach them.

use super::der::{self, Malformed, Members};
use super::{ITERATIONS_MAX, P12Error};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{cipher, digest, hmac, pbkdf2};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit,
};
use des::TdesEde3;
use rc2::Rc2;
use std::num::NonZeroU32;
use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

const fn id(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const PBE_3DES: ObjectIdentifier = id("1.2.840.113549.1.12.1.3");
const PBE_RC2_128: ObjectIdentifier = id("1.2.840.113549.1.12.1.5");
const PBE_RC2_40: ObjectIdentifier = id("1.2.840.113549.1.12.1.6");
const PBES2: ObjectIdentifier = id("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = id("1.2.840.113549.1.5.12");
const AES_128_CBC: ObjectIdentifier = id("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = id("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = id("2.16.840.1.101.3.4.1.42");
const DES_EDE3_CBC: ObjectIdentifier = id("1.2.840.113549.3.7");
const HMAC_SHA1: ObjectIdentifier = id("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = id("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = id("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = id("1.2.840.113549.2.11");
const SHA1: ObjectIdentifier = id("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = id("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = id("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = id("2.16.840.1.101.3.4.2.3");

/// What people call the algorithms that are met and not read.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("1.2.840.113549.1.12.1.1", "pbeWithSHA1And128BitRC4"),
    ("1.2.840.113549.1.12.1.2", "pbeWithSHA1And40BitRC4"),
    ("1.2.840.113549.1.12.1.4", "pbeWithSHA1And2-KeyTripleDES-CBC"),
    ("1.2.840.113549.1.5.3", "pbeWithMD5AndDES-CBC"),
    ("1.2.840.113549.1.5.10", "pbeWithSHA1AndDES-CBC"),
    ("1.2.840.113549.1.5.14", "PBMAC1"),
    ("1.3.6.1.4.1.11591.4.11", "scrypt"),
    ("1.2.840.113549.2.8", "PBKDF2 with HMAC-SHA-224"),
    ("2.16.840.1.101.3.4.2.4", "a MAC with SHA-224"),
];

/// A passphrase in the two forms that the schemes want.
pub(super) struct Passphrase {
    utf8: Zeroizing<Vec<u8>>,
    /// UTF-16, big-endian, with two zero bytes at the end.
    wide: Zeroizing<Vec<u8>>,
}

impl Passphrase {
    pub(super) fn new(text: &str) -> Passphrase {
        let units = text.encode_utf16().chain([0]);
        let wide = units.flat_map(u16::to_be_bytes).collect();
        Passphrase { utf8: Zeroizing::new(text.into()), wide: Zeroizing::new(wide) }
    }
}

/// What a file may still cost.
pub(super) struct Budget(u32);

impl Budget {
    pub(super) fn new() -> Budget {
        Budget(ITERATIONS_MAX)
    }

    /// At least one iteration, since none would leave the passphrase out.
    fn spend(&mut self, iterations: u32) -> Result<NonZeroU32, P12Error> {
        let iterations = NonZeroU32::new(iterations).ok_or(P12Error::Damaged)?;
        self.0 = self.0.checked_sub(iterations.get()).ok_or(P12Error::TooCostly)?;
        Ok(iterations)
    }
}

/// An algorithm as a file names it.
pub(super) struct Algorithm<'a> {
    oid: ObjectIdentifier,
    /// With their header; empty if there are none.
    parameters: &'a [u8],
}

impl<'a> Algorithm<'a> {
    pub(super) fn read(members: &mut Members<'a>) -> Result<Algorithm<'a>, Malformed> {
        let mut own = members.sequence()?;
        let oid = own.oid()?;
        let parameters = if own.is_empty() { &[][..] } else { own.any()? };
        own.end()?;
        Ok(Algorithm { oid, parameters })
    }
}

fn unsupported(oid: ObjectIdentifier) -> P12Error {
    let number = oid.to_string();
    let known = UNSUPPORTED.iter().find(|(known, _)| *known == number);
    P12Error::Unsupported(known.map_or(format!("the algorithm {number}"), |k| k.1.to_owned()))
}

impl From<Malformed> for P12Error {
    fn from(_: Malformed) -> P12Error {
        P12Error::Damaged
    }
}

/// The MAC of a file.
pub(super) struct Mac<'a> {
    pub(super) algorithm: Algorithm<'a>,
    pub(super) value: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) iterations: u32,
}

impl Mac<'_> {
    /// Whether it is the one of `bytes` under this passphrase.
    pub(super) fn is_right(
        &self,
        bytes: &[u8],
        passphrase: &Passphrase,
        budget: &mut Budget,
    ) -> Result<bool, P12Error> {
        let (digest, hmac) = match self.algorithm.oid {
            SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
            SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
            SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
            other => return Err(unsupported(other)),
        };
        let iterations = budget.spend(self.iterations)?;
        let kdf = Kdf { digest, password: &passphrase.wide, salt: self.salt, iterations };
        let key = hmac::Key::new(hmac, &kdf.derive(Purpose::Mac, digest.output_len()));
        Ok(hmac::verify(&key, bytes, self.value).is_ok())
    }
}

/// Opens what a passphrase sealed.
pub(super) fn open(
    algorithm: &Algorithm<'_>,
    sealed: &[u8],
    passphrase: &Passphrase,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, P12Error> {
    let (cipher, key, iv) = match algorithm.oid {
        PBES2 => pbes2(algorithm, passphrase, budget)?,
        PBE_3DES => pbes1(Cipher::TripleDes, 24, algorithm, passphrase, budget)?,
        PBE_RC2_128 => pbes1(Cipher::Rc2, 16, algorithm, passphrase, budget)?,
        PBE_RC2_40 => pbes1(Cipher::Rc2, 5, algorithm, passphrase, budget)?,
        other => return Err(unsupported(other)),
    };
    // The MAC was right, so what does not open was sealed under another passphrase.
    cipher.open(&key, &iv, sealed).ok_or(P12Error::WrongPassphrase)
}

type Keyed = (Cipher, Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

fn pbes1(
    cipher: Cipher,
    key_bytes: usize,
    algorithm: &Algorithm<'_>,
    passphrase: &Passphrase,
    budget: &mut Budget,
) -> Result<Keyed, P12Error> {
    let mut parameters = Members::of_sequence(algorithm.parameters)?;
    let (salt, iterations) = (parameters.octets()?, parameters.number()?);
    parameters.end()?;
    let iterations = budget.spend(iterations)?;
    let digest = &digest::SHA1_FOR_LEGACY_USE_ONLY;
    let kdf = Kdf { digest, password: &passphrase.wide, salt, iterations };
    Ok((cipher, kdf.derive(Purpose::Key, key_bytes), kdf.derive(Purpose::Iv, 8)))
}

fn pbes2(
    algorithm: &Algorithm<'_>,
    passphrase: &Passphrase,
    budget: &mut Budget,
) -> Result<Keyed, P12Error> {
    let mut parameters = Members::of_sequence(algorithm.parameters)?;
    let kdf = Algorithm::read(&mut parameters)?;
    let encryption = Algorithm::read(&mut parameters)?;
    parameters.end()?;
    let (cipher, key_bytes) = match encryption.oid {
        AES_128_CBC => (Cipher::Aes(&AES_128), 16),
        AES_192_CBC => (Cipher::Aes(&AES_192), 24),
        AES_256_CBC => (Cipher::Aes(&AES_256), 32),
        DES_EDE3_CBC => (Cipher::TripleDes, 24),
        other => return Err(unsupported(other)),
    };
    let iv = Members::of(encryption.parameters)?.octets()?;
    let key = pbkdf2_key(&kdf, key_bytes, passphrase, budget)?;
    Ok((cipher, key, Zeroizing::new(iv.to_vec())))
}

fn pbkdf2_key(
    kdf: &Algorithm<'_>,
    key_bytes: usize,
    passphrase: &Passphrase,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, P12Error> {
    if kdf.oid != PBKDF2 {
        return Err(unsupported(kdf.oid));
    }
    let mut parameters = Members::of_sequence(kdf.parameters)?;
    let salt = parameters.octets()?;
    let iterations = parameters.number()?;
    if parameters.next_is(Tag::Integer) && parameters.number()? as usize != key_bytes {
        return Err(P12Error::Damaged);
    }
    let prf = match parameters.is_empty() {
        true => HMAC_SHA1,
        false => Algorithm::read(&mut parameters)?.oid,
    };
    parameters.end()?;
    let prf = match prf {
        HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
        HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
        HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
        HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
        other => return Err(unsupported(other)),
    };
    let mut key = Zeroizing::new(vec![0; key_bytes]);
    pbkdf2::derive(prf, budget.spend(iterations)?, salt, &passphrase.utf8, &mut key);
    Ok(key)
}

/// A key's purpose; its number goes into the derivation (RFC 7292, B.3).
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// RFC 7292, B.2; the letters are that section's.
struct Kdf<'a> {
    digest: &'static digest::Algorithm,
    password: &'a [u8],
    salt: &'a [u8],
    iterations: NonZeroU32,
}

impl Kdf<'_> {
    fn derive(&self, purpose: Purpose, length: usize) -> Zeroizing<Vec<u8>> {
        let v = self.digest.block_len();
        let whole_blocks = |bytes: &[u8]| bytes.len().div_ceil(v) * v;
        let s = self.salt.iter().cycle().take(whole_blocks(self.salt));
        let p = self.password.iter().cycle().take(whole_blocks(self.password));
        let mut i: Zeroizing<Vec<u8>> = Zeroizing::new(s.chain(p).copied().collect());
        let mut derived = Zeroizing::new(Vec::new());
        loop {
            let mut first = digest::Context::new(self.digest);
            first.update(&vec![purpose as u8; v]);
            first.update(&i);
            let mut a = first.finish();
            for _ in 1..self.iterations.get() {
                a = digest::digest(self.digest, a.as_ref());
            }
            derived.extend(a.as_ref());
            if derived.len() >= length {
                derived.truncate(length);
                return derived;
            }
            i.chunks_exact_mut(v).for_each(|block| add_one_and(block, a.as_ref()));
        }
    }
}

/// Adds 1 and `a`, repeated to the block's length, to the number that the block is.
fn add_one_and(block: &mut [u8], a: &[u8]) {
    let mut carry = 1u16;
    for (at, byte) in block.iter_mut().enumerate().rev() {
        carry += u16::from(*byte) + u16::from(a[at % a.len()]);
        [*byte, _] = carry.to_le_bytes();
        carry >>= 8;
    }
}

/// A block cipher in CBC with PKCS#7 padding. Keys and IVs that do not fit it give `None`.
#[derive(Clone, Copy)]
enum Cipher {
    Aes(&'static cipher::Algorithm),
    TripleDes,
    Rc2,
}

impl Cipher {
    fn open(self, key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Cipher::Aes(algorithm) => {
                if sealed.is_empty() || !sealed.len().is_multiple_of(16) {
                    return None;
                }
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
                let context = DecryptionContext::Iv128(FixedLength::try_from(iv).ok()?);
                let mut bytes = Zeroizing::new(sealed.to_vec());
                let length = key.decrypt(&mut bytes, context).ok()?.len();
                bytes.truncate(length);
                Some(bytes)
            }
            Cipher::TripleDes => open_cbc::<TdesEde3>(key, iv, sealed),
            Cipher::Rc2 => open_cbc::<Rc2>(key, iv, sealed),
        }
    }

    fn seal(self, key: &[u8], iv: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        match self {
            Cipher::Aes(algorithm) => {
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).ok()?;
                let context = EncryptionContext::Iv128(FixedLength::try_from(iv).ok()?);
                let mut bytes = plain.to_vec();
                key.less_safe_encrypt(&mut bytes, context).ok()?;
                Some(bytes)
            }
            Cipher::TripleDes => seal_cbc::<TdesEde3>(key, iv, plain),
            Cipher::Rc2 => seal_cbc::<Rc2>(key, iv, plain),
        }
    }
}

fn open_cbc<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let length = cipher.decrypt_padded::<Pkcs7>(&mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

fn seal_cbc<C: BlockCipherEncrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    plain: &[u8],
) -> Option<Vec<u8>> {
    let cipher = cbc::Encryptor::<C>::new_from_slices(key, iv).ok()?;
    let mut bytes = plain.to_vec();
    bytes.resize(plain.len() + C::block_size(), 0);
    let length = cipher.encrypt_padded::<Pkcs7>(&mut bytes, plain.len()).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// How one part of a new file is sealed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sealing {
    Aes256,
    TripleDes,
    Rc2Of40Bits,
}

/// What OpenSSL takes; a passphrase that is printed on the merchant's page needs no more.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(2048).expect("2048 is not zero");

impl Sealing {
    /// The algorithm with its parameters as they stand in a file, and the sealed bytes.
    pub(super) fn seal(self, plain: &[u8], passphrase: &Passphrase) -> (Vec<u8>, Vec<u8>) {
        let (algorithm, (cipher, key, iv)) = match self {
            Sealing::Aes256 => Sealing::modern(passphrase),
            Sealing::TripleDes => Sealing::old(PBE_3DES, Cipher::TripleDes, 24, passphrase),
            Sealing::Rc2Of40Bits => Sealing::old(PBE_RC2_40, Cipher::Rc2, 5, passphrase),
        };
        let sealed = cipher.seal(&key, &iv, plain).expect("key and IV were made for this cipher");
        (algorithm, sealed)
    }

    fn old(
        oid: ObjectIdentifier,
        cipher: Cipher,
        key_bytes: usize,
        passphrase: &Passphrase,
    ) -> (Vec<u8>, Keyed) {
        let salt: [u8; 8] = random();
        let number = der::number(ITERATIONS.get());
        let parameters = der::value(der::SEQUENCE, &[&der::value(der::OCTETS, &[&salt]), &number]);
        let digest = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let password = &passphrase.wide[..];
        let kdf = Kdf { digest, password, salt: &salt, iterations: ITERATIONS };
        let keyed = (cipher, kdf.derive(Purpose::Key, key_bytes), kdf.derive(Purpose::Iv, 8));
        (der::value(der::SEQUENCE, &[&der::oid(oid), &parameters]), keyed)
    }

    fn modern(passphrase: &Passphrase) -> (Vec<u8>, Keyed) {
        let (salt, iv): ([u8; 16], [u8; 16]) = (random(), random());
        let mut key = Zeroizing::new(vec![0; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, &passphrase.utf8, &mut key);
        let sequence = |parts: &[&[u8]]| der::value(der::SEQUENCE, parts);
        let number = der::number(ITERATIONS.get());
        let prf = sequence(&[&der::oid(HMAC_SHA256), NULL]);
        let kdf = sequence(&[&der::value(der::OCTETS, &[&salt]), &number, &prf]);
        let kdf = sequence(&[&der::oid(PBKDF2), &kdf]);
        let encryption = sequence(&[&der::oid(AES_256_CBC), &der::value(der::OCTETS, &[&iv])]);
        let algorithm = sequence(&[&der::oid(PBES2), &sequence(&[&kdf, &encryption])]);
        (algorithm, (Cipher::Aes(&AES_256), key, Zeroizing::new(iv.to_vec())))
    }
}

const NULL: &[u8] = &[0x05, 0x00];

/// `MacData` for bytes, with SHA-256 or, for old readers, SHA-1.
pub(super) fn mac_data(bytes: &[u8], passphrase: &Passphrase, with_sha1: bool) -> Vec<u8> {
    let (oid, digest, hmac) = if with_sha1 {
        (SHA1, &digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)
    } else {
        (SHA256, &digest::SHA256, hmac::HMAC_SHA256)
    };
    let salt: [u8; 8] = random();
    let password = &passphrase.wide[..];
    let kdf = Kdf { digest, password, salt: &salt, iterations: ITERATIONS };
    let key = hmac::Key::new(hmac, &kdf.derive(Purpose::Mac, digest.output_len()));
    let tag = hmac::sign(&key, bytes);
    let sequence = |parts: &[&[u8]]| der::value(der::SEQUENCE, parts);
    let tag = der::value(der::OCTETS, &[tag.as_ref()]);
    let info = sequence(&[&sequence(&[&der::oid(oid), NULL]), &tag]);
    let salt = der::value(der::OCTETS, &[&salt]);
    sequence(&[&info, &salt, &der::number(ITERATIONS.get())])
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivations of RFC 7292 that PKCS#12 implementations have tested themselves with since
    /// the nineties (passphrases `smeg` and `queeg`).
    #[test]
    fn derivation_gives_the_known_keys() {
        let check = |password: &str, salt: &str, iterations: u32, purpose, key: &str| {
            let passphrase = Passphrase::new(password);
            let kdf = Kdf {
                digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
                password: &passphrase.wide,
                salt: &hex::decode(salt).unwrap(),
                iterations: NonZeroU32::new(iterations).unwrap(),
            };
            assert_eq!(hex::encode_upper(&kdf.derive(purpose, key.len() / 2)[..]), key);
        };
        let key = "8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3";
        check("smeg", "0A58CF64530D823F", 1, Purpose::Key, key);
        check("smeg", "0A58CF64530D823F", 1, Purpose::Iv, "79993DFE048D3B76");
        let key = "8D967D88F6CAA9D714800AB3D48051D63F73A312";
        check("smeg", "3D83C0E4546AC140", 1, Purpose::Mac, key);
        let key = "ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4";
        check("queeg", "05DEC959ACFF72F7", 1000, Purpose::Key, key);
        check("queeg", "05DEC959ACFF72F7", 1000, Purpose::Iv, "11DEDAD7758D4860");
    }

    #[test]
    fn a_key_or_an_iv_of_another_length_opens_nothing() {
        for cipher in [Cipher::Aes(&AES_256), Cipher::TripleDes, Cipher::Rc2] {
            for (key, iv, sealed) in
                [(0, 8, 16), (32, 7, 16), (24, 0, 16), (24, 8, 15), (32, 16, 0)]
            {
                let (key, iv, sealed) = (vec![1; key], vec![2; iv], vec![3; sealed]);
                assert!(cipher.open(&key, &iv, &sealed).is_none());
            }
        }
    }

    #[test]
    fn the_budget_is_for_all_together() {
        let mut budget = Budget::new();
        assert_eq!(budget.spend(0), Err(P12Error::Damaged));
        assert!(budget.spend(ITERATIONS_MAX - 1).is_ok());
        assert!(budget.spend(1).is_ok());
        assert_eq!(budget.spend(1), Err(P12Error::TooCostly));
    }
}
