//! The contract of `Net`, against both, and what only the simulated network does.

use rt::sim::{self, Power};
use rt::{Net, RealNet, Stream};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn pair(server: &dyn Net, client: &dyn Net, ip: std::net::IpAddr) -> (Box<dyn Stream>, Box<dyn Stream>) {
    let mut listener = server.listen(SocketAddr::new(ip, 0)).await.expect("listen");
    let (client, server) = tokio::join!(client.connect(listener.local_addr()), listener.accept());
    (client.expect("connect"), server.expect("accept"))
}

async fn contract(net: Arc<dyn Net>) {
    let (mut client, mut server) = pair(&*net, &*net, loopback(0).ip()).await;
    assert_eq!((client.peer_addr(), client.local_addr()), (server.local_addr(), server.peer_addr()));

    // More than any buffer: back-pressure, order and bytes.
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = sent.clone();
    let writer = rt::spawn(async move {
        client.write_all(&sent).await.expect("write");
        client.shutdown().await.expect("shutdown");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("the other direction stays open");
        assert_eq!(answer, b"thanks");
    });
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.expect("read");
    assert!(received == expected);
    server.write_all(b"thanks").await.expect("write");
    drop(server);
    writer.await.expect("writer");

    let port = net.listen(loopback(0)).await.expect("listen").local_addr().port();
    let refused = net.connect(loopback(port)).await.err().expect("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let listener = net.listen(loopback(0)).await.expect("listen");
    let taken = net.listen(listener.local_addr()).await.err().expect("taken");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    assert!(net.resolve("localhost:80").await.expect("resolve").contains(&loopback(80)));
    assert!(net.resolve("no.such.host.invalid:80").await.is_err());
}

#[test]
fn the_machine_keeps_the_contract() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(contract(Arc::new(RealNet)));
}

#[test]
fn the_simulation_keeps_the_contract() {
    for seed in 0..20 {
        sim::run(seed, |world| async move { contract(world.host("a").boot().net).await });
    }
}

#[test]
fn a_partition_holds_data_back_until_it_heals() {
    sim::run(1, |world| async move {
        let (a, b) = (world.host("a"), world.host("b"));
        let (mut client, mut server) = pair(&*b.boot().net, &*a.boot().net, b.ip()).await;
        world.net().partition([a.ip()], [b.ip()]);
        client.write_all(b"late").await.expect("buffered");
        let mut buf = [0; 4];
        assert!(rt::timeout(Duration::from_secs(5), server.read_exact(&mut buf)).await.is_err());
        let refused = a.boot().net.connect(SocketAddr::new(b.ip(), 9)).await.err().expect("no way");
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
        world.net().heal();
        server.read_exact(&mut buf).await.expect("healed");
        assert_eq!(&buf, b"late");
    });
}

#[test]
fn a_crash_resets_connections_and_closes_doors() {
    sim::run(1, |world| async move {
        let (a, b) = (world.host("a"), world.host("b"));
        let old = b.boot().net;
        let (mut client, _server) = pair(&*old, &*a.boot().net, b.ip()).await;
        b.crash(Power::Kept);
        assert_eq!(client.read_u8().await.expect_err("reset").kind(), ErrorKind::ConnectionReset);
        assert!(old.listen(SocketAddr::new(b.ip(), 80)).await.is_err());
        assert!(b.boot().net.listen(SocketAddr::new(b.ip(), 80)).await.is_ok());
        assert_eq!(a.boot().net.resolve("b:80").await.expect("known"), [SocketAddr::new(b.ip(), 80)]);
    });
}
