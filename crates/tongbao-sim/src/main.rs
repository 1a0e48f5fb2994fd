//! Lives one seed, or many, and tells what went wrong.

#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

use clap::Parser;
use std::process::ExitCode;
use std::time::Instant;
use tongbao_sim::{FLOWS, Kind, Plan, live, point_at, shrink, soak, tell};
use tongbao_types::{BUGS_ARE_COMPILED, Bug};

/// Whole lives of a gateway, by seed.
#[derive(Debug, Parser)]
struct Args {
    /// Live this seed alone and print its trace
    #[arg(long)]
    seed: Option<u64>,
    /// Live so many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Print the whole trace of a failure instead of making it short first
    #[arg(long)]
    whole: bool,
    /// Put one fault at each call of each flow, and print how many calls there are
    #[arg(long)]
    points: bool,
    /// Go on until so many have failed; only the first is printed whole
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Plant this bug, to see it caught (needs the feature `planted`)
    #[arg(long)]
    plant: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (seeds, failures_max): (Vec<u64>, usize) = match args.seed {
        Some(seed) => (vec![seed], 1),
        None => {
            let seeds = args.from..args.from.saturating_add(args.seeds);
            (seeds.collect(), args.failures)
        }
    };
    if args.points {
        return points();
    }
    let bug = match args.plant.as_deref().map(find).transpose() {
        Ok(bug) => bug,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let soaked = soak(&seeds, bug, failures_max);
    let seconds = began.elapsed().as_secs();
    for (seed, outcome) in soaked.failed.iter().skip(1) {
        for violation in &outcome.violations {
            println!("seed {seed}: {}: {}", violation.rule, violation.what);
        }
    }
    if let Some((seed, outcome)) = soaked.failed.first() {
        let plan = Plan { bug, ..Plan::of(*seed) };
        let (plan, outcome) =
            if args.whole { (plan, outcome.clone()) } else { shrink(&plan, outcome.clone()) };
        println!("{}", tell(&plan, &outcome));
    }
    if let (Some(seed), true) = (args.seed, soaked.failed.is_empty()) {
        let plan = Plan::of(seed);
        println!("{}", tell(&plan, &live(&plan)));
    }
    if args.seed.is_none() {
        print!("{}", soaked.coverage);
    }
    println!("{} lives in {seconds} s, {} failed", soaked.lives, soaked.failed.len());
    if soaked.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One fault at each point of each flow.
fn points() -> ExitCode {
    let mut is_fine = true;
    println!("flow      database  provider  notices  webhooks  bills  lives");
    for flow in FLOWS {
        let pointed = point_at(flow, Kind::V2Md5);
        let [store, provider, notices, webhooks, bills] = pointed.calls;
        let lives = pointed.lives;
        println!(
            "{flow:<10}{store:>8}{provider:>10}{notices:>9}{webhooks:>10}{bills:>7}{lives:>7}"
        );
        for (plan, outcome) in &pointed.failed {
            is_fine = false;
            println!("{}", tell(plan, outcome));
        }
    }
    if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The planted bug of a name.
fn find(name: &str) -> Result<Bug, String> {
    if !BUGS_ARE_COMPILED {
        return Err("no bug can be planted: add --features planted".to_owned());
    }
    let found = Bug::ALL.iter().find(|bug| format!("{bug:?}").eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| format!("there is no bug {name}; there are {:?}", Bug::ALL))
}
