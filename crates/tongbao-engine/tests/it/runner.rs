//! The runner of jobs when the database goes away under it, and when it is told to stop.

use crate::provider::Op;
use crate::world::World;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_engine::Clock;
use tongbao_types::Span;

/// Its lease has more than a minute to go.
#[tokio::test(start_paused = true)]
async fn a_job_is_given_back_as_soon_as_the_database_answers_again() {
    let world = World::v2();
    world.order().await;
    world.clock.advance(Span::from_seconds(5));
    let gate = world.provider().hold(Op::Query);
    let stop = CancellationToken::new();
    let outage = async {
        gate.reached().await;
        world.store.is_down.store(true, Ordering::SeqCst);
        gate.open();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.next_job().await, None, "somebody holds it");
        world.store.is_down.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let next = world.next_job().await;
        stop.cancel();
        next
    };
    let ((), next) = tokio::join!(world.engine.run_jobs(stop.clone()), outage);
    let soon = world.clock.now() + Span::from_seconds(2);
    assert_eq!(next, Some(soon), "the job is not to blame, so it comes soon");
}

/// Who stops waits a while for its jobs, and then leaves them to others.
#[tokio::test(start_paused = true)]
async fn jobs_that_are_under_way_at_the_end_are_given_back() {
    let world = World::v2();
    world.order().await;
    world.clock.advance(Span::from_seconds(60));
    let gate = world.provider().hold(Op::Close);
    let stop = CancellationToken::new();
    let stopped = async {
        gate.reached().await;
        assert_eq!(world.next_job().await, None, "somebody holds it");
        stop.cancel();
    };
    tokio::join!(world.engine.run_jobs(stop.clone()), stopped);
    assert_eq!(world.next_job().await, Some(world.clock.now()));
}
