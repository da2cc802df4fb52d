//! Time, tasks and repeatability of a simulated world.

use rt::sim::{self, Power, World};
use rt::{Host, Signal, Stage, Step};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn time_leaps_and_wall_clocks_can_be_wrong() {
    let before = std::time::Instant::now();
    sim::run(0, |world| async move {
        let host = world.host("a");
        let doors = host.boot();
        let (start, wall) = (doors.clock.monotonic(), doors.clock.now());
        rt::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(doors.clock.monotonic() - start, Duration::from_secs(86_400));
        host.clock().jump_wall(-3_600_000);
        assert_eq!(doors.clock.now().since(wall), Duration::from_secs(82_800));
        assert_eq!(doors.clock.monotonic() - start, Duration::from_secs(86_400));
    });
    assert!(before.elapsed() < Duration::from_secs(60));
}

struct Counting {
    steps: Arc<AtomicU64>,
    host: Host,
}

impl Stage for Counting {
    fn step(&mut self) -> Step {
        self.steps.fetch_add(1, Ordering::Relaxed);
        drop(self.host.disk.create_dir(Path::new("/data")));
        Step::WaitFor(Duration::from_millis(50))
    }
}

#[test]
fn a_crash_ends_the_tasks_and_stages_of_its_host_only() {
    sim::run(2, |world| async move {
        let counts: Vec<_> = ["a", "b"]
            .map(|name| {
                let (host, steps) = (world.host(name), Arc::new(AtomicU64::new(0)));
                let (doors, stage_steps) = (host.boot(), Arc::clone(&steps));
                host.spawn(async move {
                    let stage = Counting { steps: stage_steps, host: doors.clone() };
                    doors.spawn_stage("counting", Signal::default(), stage).map(drop)
                });
                (host, steps)
            })
            .into();
        rt::sleep(Duration::from_secs(1)).await;
        counts[0].0.crash(Power::Kept);
        let [a, b] = [0, 1].map(|n: usize| counts[n].1.load(Ordering::Relaxed));
        assert!(a > 10 && b > 10);
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(counts[0].1.load(Ordering::Relaxed), a);
        assert!(counts[1].1.load(Ordering::Relaxed) > b + 10);
    });
}

/// A few clients echo through a server that crashes in between; the result is the trace.
fn echo(seed: u64) -> (u64, u64) {
    sim::run(seed, |world: World| async move {
        let server = world.host("server");
        let serve = |server: &sim::SimHost| {
            let (net, at) = (server.boot().net, SocketAddr::new(server.ip(), 7));
            server.spawn(async move {
                let mut listener = net.listen(at).await.expect("listen");
                while let Ok(mut stream) = listener.accept().await {
                    rt::spawn(async move {
                        while let Ok(byte) = stream.read_u8().await {
                            if stream.write_u8(byte).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            });
        };
        serve(&server);
        for name in ["x", "y", "z"] {
            let client = world.host(name);
            let net = client.boot().net;
            client.spawn(async move {
                loop {
                    if let Ok(mut stream) = net.connect(SocketAddr::from(([10, 0, 0, 1], 7))).await {
                        while stream.write_u8(1).await.is_ok() && stream.read_u8().await.is_ok() {}
                    }
                    rt::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        rt::sleep(Duration::from_secs(2)).await;
        assert!(world.net().cut_one());
        server.crash(Power::Lost);
        rt::sleep(Duration::from_millis(100)).await;
        serve(&server);
        rt::sleep(Duration::from_secs(2)).await;
        (world.trace().hash(), world.trace().events())
    })
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert!(echo(1).1 > 1000);
    assert_eq!(echo(1), echo(1));
    assert_ne!(echo(1).0, echo(2).0);
}
