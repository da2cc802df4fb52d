//! What crashes and faults do to the simulated disk.

use rt::sim::{Fault, Faults, Operation, Power, SeededRandom, SimDisk};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

const DIR: &str = "/data";

fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(SeededRandom::new(seed));
    disk.mount().create_dir(Path::new(DIR)).expect("create_dir");
    disk
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.mount().open(&path(name)).ok()?;
    let mut buf = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_at(&mut buf, 0).ok()?;
    Some(buf)
}

#[test]
fn synced_bytes_survive_a_power_failure_and_others_may_be_lost_or_torn() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..200 {
        let disk = disk(seed);
        let file = disk.mount().create(&path("a"), 2048).expect("create");
        file.write_at(&[1; 1024], 0).expect("write");
        file.sync().expect("sync");
        disk.mount().sync_dir(Path::new(DIR)).expect("sync_dir");
        file.write_at(&[2; 1024], 1024).expect("write");
        disk.crash(Power::Lost);
        let bytes = content(&disk, "a").expect("the file was durable");
        assert!(bytes[..1024].iter().all(|&byte| byte == 1));
        assert_eq!(bytes[1024], bytes[1535], "a sector is written whole or not at all");
        outcomes.insert((bytes[1024], bytes[2047]));
    }
    assert_eq!(outcomes, BTreeSet::from([(0, 0), (2, 2), (0, 2), (2, 0)]));
}

#[test]
fn the_death_of_the_process_loses_nothing_but_the_handles() {
    let disk = disk(3);
    let mount = disk.mount();
    let file = mount.create(&path("a"), 0).expect("create");
    let _lock = mount.lock(&path("lock")).expect("lock");
    file.write_at(b"written", 0).expect("write");
    disk.crash(Power::Kept);
    assert!(file.write_at(b"x", 0).is_err() && file.sync().is_err() && file.read_at(&mut [0], 0).is_err());
    assert!(mount.list(Path::new(DIR)).is_err());
    assert_eq!(content(&disk, "a").expect("kept"), b"written");
    drop(disk.mount().lock(&path("lock")).expect("the lock died with its holder"));
}

#[test]
fn names_are_durable_only_after_sync_dir() {
    let (mut old, mut new, mut neither) = (0, 0, 0);
    for seed in 0..200 {
        let disk = disk(seed);
        let mount = disk.mount();
        for (name, bytes) in [("a", b"old"), ("a.tmp", b"new")] {
            let file = mount.create(&path(name), 0).expect("create");
            file.write_at(bytes, 0).expect("write");
            file.sync().expect("sync");
        }
        let is_durable = seed % 2 == 0;
        if is_durable {
            mount.sync_dir(Path::new(DIR)).expect("sync_dir");
        }
        mount.rename(&path("a.tmp"), &path("a")).expect("rename");
        disk.crash(Power::Lost);
        match content(&disk, "a").as_deref() {
            Some(b"old") => old += 1,
            Some(b"new") => new += 1,
            Some(other) => panic!("a rename must be whole, not {other:?}"),
            None => {
                assert!(!is_durable, "a durable name is replaced, never lost");
                neither += 1;
            }
        }
    }
    assert!(old > 20 && new > 20 && neither > 5, "{old} {new} {neither}");
}

#[test]
fn a_failed_sync_may_lose_the_bytes_although_the_next_succeeds() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = disk(seed);
        let file = disk.mount().create(&path("a"), 512).expect("create");
        file.sync().expect("sync");
        disk.mount().sync_dir(Path::new(DIR)).expect("sync_dir");
        file.write_at(&[1; 512], 0).expect("write");
        disk.plan(Fault { operation: Operation::Sync, path_contains: String::new(), after: 0 });
        assert!(file.sync().is_err());
        file.sync().expect("the fault is over");
        disk.crash(Power::Lost);
        lost += usize::from(content(&disk, "a").expect("durable")[0] == 0);
    }
    assert!((20..80).contains(&lost), "{lost}");
}

#[test]
fn a_planned_fault_hits_once_where_it_should() {
    let disk = disk(0);
    let mount = disk.mount();
    disk.plan(Fault { operation: Operation::Write, path_contains: "b".into(), after: 1 });
    let (a, b) = (mount.create(&path("a"), 8).expect("create"), mount.create(&path("b"), 8).expect("create"));
    a.write_at(b"1", 0).expect("not on this path");
    b.write_at(b"1", 0).expect("not yet");
    assert_eq!(b.write_at(b"1", 0).expect_err("now").raw_os_error(), Some(5));
    b.write_at(b"1", 0).expect("once only");
    assert_eq!(disk.counters().faults, 1);
}

#[test]
fn a_machine_may_die_between_two_operations() {
    let disk = disk(0);
    let file = disk.mount().create(&path("a"), 512).expect("create");
    disk.die_after(1);
    file.write_at(b"1", 0).expect("before");
    assert!(file.sync().is_err() && disk.is_dead() && disk.mount().list(Path::new(DIR)).is_err());
    disk.crash(Power::Kept);
    assert!(!disk.is_dead());
    assert_eq!(content(&disk, "a").expect("kept")[..1], *b"1");
}

#[test]
fn a_full_disk_says_so() {
    let disk = disk(0);
    let mount = disk.mount();
    disk.set_capacity(1000);
    let file = mount.create(&path("a"), 900).expect("create");
    file.write_at(&[1; 900], 0).expect("reserved");
    assert_eq!(file.write_at(&[1; 200], 900).expect_err("full").kind(), ErrorKind::StorageFull);
    assert_eq!(mount.create(&path("b"), 200).err().expect("full").kind(), ErrorKind::StorageFull);
    assert_eq!(mount.space(Path::new(DIR)).expect("space").available, 100);
    mount.remove(&path("a")).expect("remove");
    drop(mount.create(&path("b"), 1000).expect("room again"));
}

#[test]
fn odds_of_faults_are_kept() {
    let disk = disk(5);
    let file = disk.mount().create(&path("a"), 512).expect("create");
    disk.set_faults(Faults { read: 500_000, ..Faults::default() });
    let failed = (0..1000).filter(|_| file.read_at(&mut [0; 8], 0).is_err()).count();
    assert!((400..600).contains(&failed), "{failed}");
}

#[test]
fn bits_rot_where_told_or_anywhere_written() {
    let disk = disk(0);
    let file = disk.mount().create(&path("a"), 1 << 30).expect("create");
    file.write_at(&[0; 100], 1 << 20).expect("write");
    assert_eq!(disk.flip_below(Path::new(DIR)), None, "nothing is on the platter yet");
    file.sync().expect("sync");
    let flip = disk.flip_below(Path::new(DIR)).expect("something is");
    let mut byte = [0];
    file.read_at(&mut byte, flip.at).expect("read");
    assert_eq!((byte[0], flip.at >> 20), (1 << flip.bit, 1));
    assert!(disk.flip(&path("a"), 5, 0) && !disk.flip(&path("b"), 5, 0) && !disk.flip(&path("a"), 1 << 30, 0));
    disk.wipe(Path::new(DIR));
    assert!(disk.files().is_empty());
}
