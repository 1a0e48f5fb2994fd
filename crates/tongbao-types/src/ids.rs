//! Ids of our own things: a UUIDv7, shown as a prefix and 26 characters of lower-case base32.
//!
//! The text sorts like the time of making. Ids are minted from a time and random bytes that the
//! caller brings ([`Mint`]), so that the floors below the engine stay deterministic.

use crate::Timestamp;
use data_encoding::BASE32_DNSSEC;
use std::fmt;
use uuid::Uuid;

/// A text is not an id of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: it begins with {prefix} and has 26 letters or digits after it")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text of each such id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// From the value that the database keeps.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The value that the database keeps.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The 26 characters without the prefix.
            pub fn bare(self) -> String {
                BASE32_DNSSEC.encode(self.0.as_bytes())
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self).ok_or(IdError { prefix: $prefix })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut bare = [0; 26];
                BASE32_DNSSEC.encode_mut(self.0.as_bytes(), &mut bare);
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&bare).expect("base32 is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

ids! {
    /// An API key, not the secret itself.
    ApiKeyId "key_",
    /// One order placed at a provider for a charge.
    AttemptId "at_",
    /// A provider's bill as it was received, once.
    BillId "bill_",
    /// What a merchant wants to be paid, once.
    ChargeId "ch_",
    /// One event on its way to one webhook endpoint.
    DeliveryId "dl_",
    /// A webhook endpoint.
    EndpointId "we_",
    /// An event.
    EventId "evt_",
    /// A job.
    JobId "job_",
    /// A refund.
    RefundId "re_",
}

fn parse(text: &str, prefix: &str) -> Option<Uuid> {
    let bare = text.strip_prefix(prefix)?;
    if bare.len() != 26 || bare.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let bytes = BASE32_DNSSEC.decode(bare.as_bytes()).ok()?;
    Uuid::from_slice(&bytes).ok()
}

/// Makes ids out of one time and one draw of randomness; each next id differs in its last bits.
#[derive(Debug, Clone)]
pub struct Mint {
    now: Timestamp,
    seed: [u8; 10],
    count: u32,
}

impl Mint {
    /// `seed` must be fresh random bytes for each mint.
    pub const fn new(now: Timestamp, seed: [u8; 10]) -> Mint {
        Mint { now, seed, count: 0 }
    }

    /// The time that its ids bear.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The next id, of whichever kind is asked for.
    pub fn id<T: From<Uuid>>(&mut self) -> T {
        let mut bytes = self.seed;
        let tail = u32::from_be_bytes([bytes[6], bytes[7], bytes[8], bytes[9]]);
        bytes[6..].copy_from_slice(&tail.wrapping_add(self.count).to_be_bytes());
        self.count += 1;
        let micros = u64::try_from(self.now.as_micros()).unwrap_or(0);
        let millis = micros / 1000;
        // The twelve bits after the milliseconds are the rest of the time (RFC 9562, 6.2, method
        // 3), so that what was made later sorts later, also within a millisecond.
        let fraction = u16::try_from(micros % 1000 * 4096 / 1000).unwrap_or(0);
        bytes[..2].copy_from_slice(&fraction.to_be_bytes());
        T::from(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint() -> Mint {
        Mint::new(Timestamp::from_micros(1_795_242_600_000_000), [7; 10])
    }

    #[test]
    fn an_id_reads_back_and_only_as_its_own_kind() {
        let id: ChargeId = mint().id();
        let text = id.to_string();
        assert_eq!(text.len(), 29);
        assert_eq!(text.parse(), Ok(id));
        assert!(text.parse::<AttemptId>().is_err());
        assert!(text.to_uppercase().parse::<ChargeId>().is_err());
        assert!("ch_".parse::<ChargeId>().is_err());
        assert!("ch_中文中文中文中文中".parse::<ChargeId>().is_err());
    }

    #[test]
    fn one_mint_never_repeats_and_later_ids_sort_later() {
        let mut mint = mint();
        let first: EventId = mint.id();
        let second: EventId = mint.id();
        assert_ne!(first, second);
        for micros in [1_795_242_601_000_000, 1_795_242_600_000_001] {
            let later: EventId = Mint::new(Timestamp::from_micros(micros), [0; 10]).id();
            assert!(later.to_string() > first.to_string() && later > first, "{micros}");
        }
    }
}
