//! What the machine lends the engine: its clock and its randomness.
//!
//! Beside a sandbox the business clock is the sandbox's, so that one control path moves both; what
//! signs messages stays on the machine's clock.

use rand::TryRngCore;
use rand::rngs::OsRng;
use tongbao_engine::{Clock, Dice};
use tongbao_sandbox::SandboxClock;
use tongbao_types::Timestamp;

/// The machine's clock for everything.
pub(crate) struct SystemClock;

/// The sandbox's clock for business, the machine's for signatures.
pub(crate) struct SharedClock(pub(crate) SandboxClock);

/// The operating system's randomness.
pub(crate) struct OsDice;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }

    fn wall(&self) -> Timestamp {
        self.now()
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn wall(&self) -> Timestamp {
        self.0.real_now()
    }
}

impl Dice for OsDice {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness no key is safe and no id is new: stopping is the only right answer.
        OsRng.try_fill_bytes(bytes).expect("the operating system has randomness");
    }
}
