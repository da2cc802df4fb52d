use super::*;
use std::path::Path;

fn faults(given: Result<Vec<Given>, Faults>) -> String {
    match given.and_then(resolve) {
        Ok(_) => "none".to_owned(),
        Err(faults) => faults.to_string(),
    }
}

fn check_file(text: &str, expected: &str) {
    assert_eq!(faults(file(Path::new("t.toml"), text)), expected);
}

#[test]
fn the_defaults_are_allowed() {
    for spec in OPTIONS {
        assert_eq!(spec.kind.check(spec.default), Ok(()), "{}", spec.name);
    }
    let settings = Settings::from(&resolve(Vec::new()).unwrap());
    assert_eq!(settings.roles, Role::BUILT);
    assert_eq!(settings.message_bytes_max, 4 << 20);
    assert_eq!(settings.retention_bytes, None);
    assert!(settings.is_flush_sync && settings.auto_create_topics);
}

#[test]
fn the_file_of_defaults_says_what_the_defaults_are() {
    let given = file(Path::new("t.toml"), &default_file()).unwrap();
    assert_eq!(given.len(), OPTIONS.len());
    let resolved = resolve(given).unwrap();
    assert!(resolved.values.iter().all(|(spec, text, _)| text == spec.default));
}

#[test]
fn variables_of_kubernetes_services_are_no_options() {
    let links = [
        ("TREFOIL_SERVICE_HOST", "10.0.0.1"),
        ("TREFOIL_SERVICE_PORT", "9876"),
        ("TREFOIL_SERVICE_PORT_NAMESERVER", "9876"),
        ("TREFOIL_PORT", "tcp://10.0.0.1:9876"),
        ("TREFOIL_PORT_9876_TCP", "tcp://10.0.0.1:9876"),
        ("TREFOIL_PORT_9876_TCP_PROTO", "tcp"),
        ("TREFOIL_PORT_9876_TCP_PORT", "9876"),
        ("TREFOIL_PORT_9876_TCP_ADDR", "10.0.0.1"),
        ("TREFOIL_BROKER_PORT", "tcp://10.0.0.1:10911"),
    ];
    let given = |pairs: &[(&str, &str)]| {
        environment(pairs.iter().map(|&(variable, text)| (variable.to_owned(), text.to_owned())))
    };
    assert_eq!(given(&links), []);
    assert_eq!(given(&[("TREFOIL_BROKER_PORT", "1000"), ("TREFOIL_PORT", "1")]).len(), 2);
}

#[test]
fn later_sources_win() {
    let mut given = file(Path::new("t.toml"), "cluster = 'a'\nbroker-port = 1000\nflush = 'async'").unwrap();
    given.extend(environment(
        [("TREFOIL_CLUSTER", "b"), ("PATH", "/"), ("TREFOIL_CONFIG", "t.toml")]
            .map(|(variable, text)| (variable.to_owned(), text.to_owned()))
            .into_iter(),
    ));
    given.push(Given {
        key: "broker-port".into(),
        text: "3000".into(),
        origin: Origin::Flag { name: "broker-port".into() },
    });
    let resolved = resolve(given).unwrap();
    let shown: Vec<String> = resolved
        .values
        .iter()
        .filter(|(.., origin)| *origin != Origin::Default)
        .map(|(spec, text, origin)| format!("{}={text} ({origin})", spec.name))
        .collect();
    assert_eq!(
        shown,
        ["broker-port=3000 (flag --broker-port)", "cluster=b (environment TREFOIL_CLUSTER)", "flush=async (t.toml:3)",]
    );
}

#[test]
fn all_faults_are_reported_with_their_place() {
    check_file(
        "brokr-port = 1\nflush = 'maybe'\n\nhttp-port = 70000\nroles = ['broker', 'proxy']\n",
        "t.toml:1: unknown option 'brokr-port'; did you mean 'broker-port'?\n\
         t.toml:2: flush is 'maybe'; allowed: sync, async\n\
         t.toml:4: http-port is '70000'; allowed: 0 – 65535\n\
         t.toml:5: roles is 'broker,proxy'; allowed: nameserver, broker (the role 'proxy' is not built yet)",
    );
    check_file("xyzzy = 1", "t.toml:1: unknown option 'xyzzy'; 'trefoil config default' lists them all");
    check_file("data_dir = 'x'", "t.toml:1: unknown option 'data_dir'; did you mean 'data-dir'?");
    check_file(
        "roles = 'broker'",
        "default: nameserver-addresses is ''; allowed: at least one, because this process has no name server of its own",
    );
    check_file("[broker]\nport = 1", "t.toml:1: 'broker' is a table; expected a string, a number, true or false");
    check_file(
        "tls-cert = 'c.pem'",
        "default: tls-key is ''; allowed: a path, because only one of tls-cert and tls-key was given",
    );
    check_file(
        "message-bytes-max = '1KiB'\nfrage = 1",
        "t.toml:2: unknown option 'frage'; 'trefoil config default' lists them all",
    );
    check_file(
        "frame-bytes-max = '1MiB'",
        "t.toml:1: frame-bytes-max is '1MiB'; allowed: at least message-bytes-max and 256KiB for the header: 4352KiB",
    );
}

#[test]
fn familiar_keys_are_understood_and_taught() {
    let text = "brokerName=b\n# comment\nflushDiskType=ASYNC_FLUSH\nnamesrvAddr=a:1;b:2\ndeleteWhen=04\n";
    let resolved = resolve(file(Path::new("broker.conf"), text).unwrap()).unwrap();
    assert_eq!(
        resolved.warnings,
        [
            "broker.conf:1: 'brokerName' is called 'broker-name' here; it was taken as broker-name = b",
            "broker.conf:3: 'flushDiskType' is called 'flush' here; it was taken as flush = async",
            "broker.conf:4: 'namesrvAddr' is called 'nameserver-addresses' here; it was taken as nameserver-addresses = a:1;b:2",
            "broker.conf:5: 'deleteWhen' has no effect: old messages are removed all day long",
        ]
    );
    let settings = Settings::from(&resolved);
    assert_eq!((settings.nameserver_addresses, settings.is_flush_sync), (vec!["a:1".into(), "b:2".into()], false));
    check_file("brokerRole = 'SLAVE'", "t.toml:1: brokerRole is 'SLAVE'; allowed: ASYNC_MASTER, SYNC_MASTER");
}

#[test]
fn sizes_have_units() {
    for (text, expected) in
        [("4096", Some(4096)), ("4 KiB", Some(4096)), ("4MiB", Some(4 << 20)), ("x", None), ("-1", None)]
    {
        assert_eq!(kind::bytes(text), expected, "{text}");
    }
    assert_eq!(kind::bytes_text(4 << 20), "4MiB");
}

#[test]
fn the_page_of_options_is_current() {
    let page = include_str!("../../../../docs/options.md");
    assert!(page == options_page(), "docs/options.md is stale; run: cargo x gen");
}
