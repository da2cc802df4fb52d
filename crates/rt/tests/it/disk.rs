//! The contract of `Disk` and `File`, against both.

use rt::sim::{SeededRandom, SimDisk};
use rt::{Disk, RealDisk};
use std::io::ErrorKind;
use std::path::Path;

/// Runs a check on the machine's disk and on the simulated one.
fn on_both(check: impl Fn(&dyn Disk, &Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    check(&RealDisk, folder.path());

    let disk = SimDisk::new(SeededRandom::new(1)).mount();
    disk.create_dir(Path::new("/data")).expect("create_dir");
    check(&*disk, Path::new("/data"));
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

#[test]
fn a_new_file_reads_as_zeros_and_keeps_what_is_written() {
    on_both(|disk, dir| {
        let file = disk.create(&dir.join("a"), 1000).expect("create");
        assert_eq!(file.len().expect("len"), 1000);
        file.write_at(b"hello", 510).expect("write");
        let mut buf = [7; 12];
        assert_eq!(file.read_at(&mut buf, 505).expect("read"), 12);
        assert_eq!(&buf, b"\0\0\0\0\0hello\0\0");
        file.sync().expect("sync");
        disk.sync_dir(dir).expect("sync_dir");
        let again = disk.open(&dir.join("a")).expect("open");
        let mut buf = [0; 5];
        assert_eq!(again.read_at(&mut buf, 510).expect("read"), 5);
        assert_eq!(&buf, b"hello");
    });
}

/// Means something only for users who may not read everything.
#[test]
#[allow(clippy::disallowed_methods, reason = "permissions are the machine's")]
fn a_folder_may_lie_in_one_that_cannot_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = folder.path().join("own");
    RealDisk.create_dir(&own).expect("create_dir");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o311)).expect("permissions");
    for dir in [own.join("data"), own.join("a/b/c"), own.clone(), own.join("data")] {
        RealDisk.create_dir(&dir).expect("create_dir");
    }
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("permissions");
}

#[test]
fn reads_stop_at_the_end_and_writes_grow() {
    on_both(|disk, dir| {
        let file = disk.create(&dir.join("a"), 0).expect("create");
        assert!(file.is_empty().expect("is_empty"));
        file.write_at(&[1; 700], 800).expect("write");
        assert_eq!(file.len().expect("len"), 1500);
        let mut buf = [9; 100];
        assert_eq!(file.read_at(&mut buf, 1450).expect("read"), 50);
        assert_eq!(file.read_at(&mut buf, 1500).expect("read"), 0);
        assert_eq!(file.read_at(&mut buf, 5000).expect("read"), 0);
    });
}

#[test]
fn a_file_cut_short_and_grown_again_has_zeros() {
    on_both(|disk, dir| {
        let file = disk.create(&dir.join("a"), 0).expect("create");
        file.write_at(&[5; 2000], 0).expect("write");
        file.set_len(600).expect("set_len");
        file.set_len(2000).expect("set_len");
        let mut buf = [9; 2000];
        assert_eq!(file.read_at(&mut buf, 0).expect("read"), 2000);
        assert!(buf[..600].iter().all(|&byte| byte == 5) && buf[600..].iter().all(|&byte| byte == 0));
    });
}

#[test]
fn empty_space_is_known_where_the_disk_can_tell() {
    on_both(|disk, dir| {
        let file = disk.create(&dir.join("a"), 1 << 20).expect("create");
        file.write_at(b"data", 512 << 10).expect("write");
        let from = file.data_from(0).expect("data_from").expect("there is data");
        assert!(from <= 512 << 10);
        let beyond = file.data_from(1 << 20).expect("data_from");
        assert_eq!(beyond, None);
    });
}

#[test]
fn names_are_unique_listed_in_order_renamed_and_removed() {
    on_both(|disk, dir| {
        for name in ["b", "a", "c"] {
            drop(disk.create(&dir.join(name), 1).expect("create"));
        }
        disk.create_dir(&dir.join("folder")).expect("create_dir");
        assert_eq!(disk.list(dir).expect("list"), ["a", "b", "c"]);
        assert_eq!(kind(disk.create(&dir.join("a"), 1)), ErrorKind::AlreadyExists);
        disk.rename(&dir.join("a"), &dir.join("b")).expect("rename");
        disk.remove(&dir.join("c")).expect("remove");
        assert_eq!(disk.list(dir).expect("list"), ["b"]);
        assert!(disk.try_exists(&dir.join("b")).expect("try_exists"));
        assert!(disk.try_exists(&dir.join("folder")).expect("try_exists"));
        assert!(!disk.try_exists(&dir.join("a")).expect("try_exists"));
    });
}

#[test]
fn what_is_absent_is_not_found() {
    on_both(|disk, dir| {
        assert_eq!(kind(disk.open(&dir.join("x"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove(&dir.join("x"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename(&dir.join("x"), &dir.join("y"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.create(&dir.join("no/x"), 0)), ErrorKind::NotFound);
        assert_eq!(kind(disk.sync_dir(&dir.join("no"))), ErrorKind::NotFound);
        assert!(disk.list(&dir.join("no")).expect("list").is_empty());
    });
}

#[test]
fn a_removed_file_lives_on_in_open_handles() {
    on_both(|disk, dir| {
        let file = disk.create(&dir.join("a"), 0).expect("create");
        file.write_at(b"still", 0).expect("write");
        disk.remove(&dir.join("a")).expect("remove");
        disk.sync_dir(dir).expect("sync_dir");
        let mut buf = [0; 5];
        assert_eq!(file.read_at(&mut buf, 0).expect("read"), 5);
        assert_eq!(&buf, b"still");
    });
}

#[test]
fn a_lock_is_exclusive_until_dropped() {
    on_both(|disk, dir| {
        let lock = disk.lock(&dir.join("lock")).expect("lock");
        assert_eq!(kind(disk.lock(&dir.join("lock"))), ErrorKind::WouldBlock);
        drop(lock);
        drop(disk.lock(&dir.join("lock")).expect("lock"));
    });
}

#[test]
fn there_is_room() {
    on_both(|disk, dir| {
        let space = disk.space(dir).expect("space");
        assert!(space.total >= space.available && space.available > 0);
    });
}
