//! Whole lives by seed. What happens when one fails stands in `docs/changing/a-seed-failed.md`.

#![expect(clippy::print_stdout, reason = "how many points there are is worth seeing")]

mod points;
mod same;
mod seeds;
