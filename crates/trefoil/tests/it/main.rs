//! The program as users start it: one node, and the command line against it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test of real processes, which may panic when it cannot go on"
)]

mod clients;
mod lost_answers;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

const PROGRAM: &str = env!("CARGO_BIN_EXE_trefoil");

/// A node with any free ports; killed when dropped.
struct Node {
    child: Child,
    ready: String,
}

impl Node {
    fn start(data: &Path) -> Self {
        Self::start_with(&mut serve(data))
    }

    fn start_with(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready "), "{ready:?}");
        Self { child, ready }
    }

    fn address(&self, role: &str) -> &str {
        let mut words = self.ready.split_whitespace().filter_map(|word| word.split_once('='));
        words.find(|(name, _)| *name == role).unwrap().1
    }

    /// What a command prints, and whether it succeeded.
    fn run(&self, args: &[&str], input: &str) -> (bool, String) {
        let mut command = Command::new(PROGRAM);
        command.args(args).args(["--nameserver", self.address("nameserver")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn check(&self, line: &str, input: &str, expected: &[&str]) {
        let (succeeded, text) = self.run(&line.split(' ').collect::<Vec<_>>(), input);
        assert!(succeeded, "{line}: {text}");
        for part in expected {
            assert!(text.contains(part), "{line}: expected {part:?} in\n{text}");
        }
    }

    fn check_fails(&self, line: &str, expected: &str) {
        let (succeeded, text) = self.run(&line.split(' ').collect::<Vec<_>>(), "");
        assert!(!succeeded && text.contains(expected), "{line}: {text}");
    }

    fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address("http")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The value of a field in what a command prints as JSON.
    fn field(&self, line: &str, name: &str) -> String {
        let (succeeded, text) = self.run(&format!("{line} --output json").split(' ').collect::<Vec<_>>(), "");
        assert!(succeeded, "{line}: {text}");
        let value = text.split_once(&format!("\"{name}\": \"")).unwrap().1;
        value.split_once('"').unwrap().0.to_owned()
    }

    fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--nameserver-port", "0", "--broker-port", "0", "--http-port", "0", "--data-dir"]);
    command.arg(data).stderr(Stdio::piped());
    command
}

#[test]
fn a_start_that_takes_long_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    // It takes connections and never answers, so that the start waits for it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut command = serve(dir.path());
    let child = command.args(["--nameserver-addresses", &address]).stdout(Stdio::piped()).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.is_empty(), "{log}");
    assert!(log.contains("stopped before it was ready"), "{log}");
}

#[test]
fn a_first_hour_with_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create orders --queues 2", "", &["'orders' has 2 queues on broker-a"]);
    node.check("topic list", "", &["orders"]);
    node.check("produce orders first --tag new --key k1 --queue 0", "", &["broker-a  0      0"]);
    node.check("produce orders --output json", "second\nthird\n", &["\"broker\":\"broker-a\""]);
    node.check("consume orders --until-end", "", &["first\n", "second\n", "third\n"]);
    node.check("consume orders --until-end --tag new --output json", "", &["\"body\":\"first\"", "\"keys\":\"k1\""]);
    node.check("consume orders --until-end --group g", "", &["first\n"]);
    node.check("group show g", "", &["lag 0 in all"]);
    node.check("group list", "", &["g "]);
    node.check("group clone g h --topic orders", "", &["'h' is in 'orders' where 'g' is"]);
    node.check_fails("group clone missing i --topic orders", "the group 'missing' has no offsets in 'orders'");
    node.check("group create billing --retries-max 3 --retry-pauses 1s,5s --consume false", "", &["'billing' is set"]);
    node.check("group create billing --attribute quota.messages-per-second=5", "", &["'billing' is set"]);
    node.check("group list --output json", "", &["\"group\": \"billing\"", "\"enabled\": false", "\"retries_max\": 3"]);
    node.check_fails("group create billing --retry-pauses soon", "units are ms, s, m, h");
    for option in ["--tag ", "--key ", "--property a="] {
        node.check_fails(&format!("produce orders x {option}\u{1}b"), "U+0001 and U+0002 separate properties");
    }
    node.check_fails("group create billing --attribute quota.messages-per-second=0", "a whole number from 1 on");
    node.check("topic show orders --output json", "", &["\"write_queues\": 2"]);
    node.check("topic create orders --attribute flush=async --attribute retention.hours=5", "", &["2 queues"]);
    node.check("topic show orders", "", &["flush=async,retention.hours=5"]);
    node.check("topic create orders --attribute retention.hours", "", &["2 queues"]);
    node.check("topic show orders --output json", "", &["\"attributes\": {\n        \"flush\": \"async\"\n      }"]);
    node.check_fails("topic create orders --attribute flush=never", "allowed are sync, async");
    node.check_fails("topic create orders --attribute a=1,b=2", "without commas");
    node.check("cluster show", "", &["DefaultCluster"]);
    node.check("produce created-by-sending hello", "", &["broker-a"]);
    node.check("consume created-by-sending --max 1", "", &["hello\n"]);
    node.check_fails("topic show nothing", "no broker serves the topic 'nothing'");
    node.check_fails("group show nothing", "no broker knows the group 'nothing'");
    node.check_fails("topic create no!good", "has the character '!'");
    assert!(node.http("/health/ready").contains("200 OK"));
    assert!(node.http("/metrics").contains("trefoil_messages_in_total 4"));
    node.check("topic delete orders", "", &["deleted"]);
    node.check_fails("topic show orders", "no broker serves the topic 'orders'");
    node.stop();
}

#[test]
fn messages_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("produce kept one", "", &["broker-a"]);
    node.check("consume kept --until-end --group g", "", &["one\n"]);
    drop(node); // killed, as by kill -9
    let node = Node::start(dir.path());
    node.check("produce kept two", "", &["broker-a"]);
    node.check("consume kept --until-end --from first", "", &["one\n", "two\n"]);
    node.check("group show g", "", &["lag 1 in all"]);
    node.stop();
}

#[test]
fn messages_that_wait_are_seen_and_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("timer list", "", &["no message waits"]);
    for (body, key, seconds) in [("one", "a", 300), ("two", "b", 200), ("three", "b", 100)] {
        node.check(&format!("produce t {body} --key {key} --property TIMER_DELAY_SEC={seconds}"), "", &["broker-a"]);
    }
    node.check("timer list --max 1 --output json", "", &["\"body\": \"three\"", "more than these 1 wait"]);
    node.check("timer list --key a", "", &[" t ", " a\n"]);
    let (id, handle) = (node.field("timer list --key a", "id"), node.field("timer list --key a", "recall_handle"));
    let place = node.field("timer list --key a", "offset_id");
    for name in [&id, &handle, &place] {
        node.check(&format!("timer show {name}"), "", &["\none\n", &handle]);
    }
    node.check_fails("timer cancel --key b", "2 are meant, and --yes was not given");
    node.check_fails("timer cancel", "required");
    node.check("timer cancel --key b --until 2999-01-01 --yes", "", &["2 cancelled"]);
    node.check(&format!("timer cancel {place}"), "", &["cancelled"]);
    node.check(&format!("timer cancel {handle}"), "", &["cancelled"]);
    node.check_fails(&format!("timer cancel {id}"), "no message");
    node.check_fails(&format!("timer show {id}"), "it was delivered or cancelled");
    node.check("timer list", "", &["no message waits"]);
    node.stop();
}

#[test]
fn dead_letters_go_back_to_their_group_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("dead-letter list", "", &["no group has dead letters"]);
    node.check_fails("dead-letter show g", "no dead letter of the group 'g' is stored");
    for body in ["one", "two", "three"] {
        let died = format!("produce %DLQ%g {body} --queue 0 --tag a --property RETRY_TOPIC=t --property mine=kept");
        node.check(&died, "", &["broker-a"]);
    }
    let id = node.field("dead-letter show g --max 1", "id");
    node.check("dead-letter list", "", &["g      3"]);
    node.check("dead-letter show g --max 2", "", &["one", "two", "more than these 2"]);
    node.check(&format!("dead-letter show g {id}"), "", &["of topic t, not resent", "RETRY_TOPIC=t", "mine=kept"]);
    node.check_fails("dead-letter resend g --all", "3 dead letters are meant, and --yes was not given");
    node.check(&format!("dead-letter resend g {id}"), "", &["1 resent, 0 left out, 0 failed"]);
    node.check("dead-letter resend g --all --yes", "", &["2 resent, 1 left out, 0 failed"]);
    node.check("dead-letter resend g --all --yes", "", &["0 resent, 3 left out, 0 failed"]);
    node.check(&format!("dead-letter resend g {id} --again"), "", &["1 resent"]);
    node.check_fails("dead-letter resend g nothing", "'nothing' is no dead letter of the group 'g'");
    let retried = "consume %RETRY%g --until-end --output json";
    node.check(retried, "", &["\"RETRY_TOPIC\":\"t\"", "\"mine\":\"kept\"", "\"attempt\":1", "\"tag\":\"a\""]);
    node.check("topic show t --output json", "", &["\"messages\": 0"]);
    node.check("dead-letter export g --until 2001-01-01", "", &[]);
    let file = dir.path().join("letters.jsonl");
    node.check(&format!("dead-letter export g --file {}", file.display()), "", &["3 dead letters are in"]);
    node.check_fails(&format!("dead-letter export g --file {}", file.display()), "cannot create");
    assert_eq!(std::fs::read_to_string(&file).unwrap().matches("\"origin_topic\":\"t\"").count(), 3);
    node.stop();
}

#[test]
fn two_resends_at_once_resend_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let died: String = (0..200).map(|n| format!("letter {n}\n")).collect();
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("produce %DLQ%g --queue 0 --property RETRY_TOPIC=t", &died, &["200 messages stored"]);
    let resend = || node.run(&["dead-letter", "resend", "g", "--all", "--yes"], "");
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(resend)).collect();
        for run in runs {
            let (succeeded, text) = run.join().unwrap();
            assert!(succeeded || text.contains("another command resends dead letters of this group"), "{text}");
        }
    });
    node.check("dead-letter resend g --all --yes", "", &["0 resent, 200 left out"]);
    node.check("topic show %RETRY%g --output json", "", &["\"messages\": 200"]);
    node.stop();
}

#[test]
fn what_waits_and_what_died_is_found_at_every_broker() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = Node::start(first.path());
    let mut command = serve(second.path());
    command.args(["--roles", "broker", "--broker-name", "broker-b"]);
    let second = Node::start_with(command.args(["--nameserver-addresses", node.address("nameserver")]));
    for (broker, body) in [("broker-a", "one"), ("broker-b", "two")] {
        node.check(&format!("topic create of-{broker} --queues 1 --broker {broker}"), "", &[broker]);
        let timed = format!("produce of-{broker} {body} --key {body} --property TIMER_DELAY_SEC=300");
        node.check(&timed, "", &[broker]);
    }
    node.check("timer list", "", &["broker-a", "broker-b"]);
    for (broker, body) in [("broker-a", "one"), ("broker-b", "two")] {
        let of = format!("timer list --key {body}");
        let names = ["id", "recall_handle", "offset_id"].map(|name| node.field(&of, name));
        for name in &names {
            node.check(&format!("timer show {name}"), "", &[broker, &format!("\n{body}\n")]);
        }
        node.check(&format!("timer cancel {}", names[if body == "one" { 1 } else { 2 }]), "", &["cancelled"]);
    }
    node.check("timer list", "", &["no message waits"]);

    node.check("group create g", "", &["'g' is set", "broker-b"]);
    node.check("topic create %DLQ%g --queues 1", "", &["broker-b"]);
    node.check("produce %DLQ%g one two --property RETRY_TOPIC=of-broker-a", "", &["broker-a", "broker-b"]);
    node.check("dead-letter list", "", &["g      2", "broker-a,broker-b"]);
    node.check("dead-letter show g", "", &["one", "two"]);
    node.check("dead-letter resend g --all --yes", "", &["broker-a/0#0", "broker-b/0#0", "2 resent"]);
    node.check("dead-letter resend g --all --yes", "", &["0 resent, 2 left out"]);

    for broker in ["broker-a", "broker-b"] {
        node.check(&format!("produce of-{broker} waits --property TIMER_DELAY_SEC=300"), "", &[broker]);
    }
    assert!(Command::new("kill").args(["-STOP", &second.child.id().to_string()]).status().unwrap().success());
    // What one broker did is told, though the other does not answer.
    node.check_fails("timer cancel --all --yes --timeout-ms 2000", "1 cancelled");
}

/// A broker of another kind: its address is the name server's, which refuses what it does not know, as they do.
fn register_stranger(name_server: &str) -> TcpStream {
    let mut stream = TcpStream::connect(name_server).unwrap();
    let header = format!(
        r#"{{"code":103,"language":"JAVA","version":453,"opaque":1,"flag":0,"extFields":{{"brokerName":"stranger","brokerAddr":"{name_server}","clusterName":"DefaultCluster","haServerAddr":"{name_server}","brokerId":"0","compressed":"false","bodyCrc32":"0"}}}}"#
    );
    let lengths = [header.len() + 4, header.len()].map(|length| u32::try_from(length).unwrap().to_be_bytes());
    stream.write_all(&[&lengths.concat(), header.as_bytes()].concat()).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    stream
}

#[test]
fn timers_beside_a_broker_that_cannot_list_them() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["broker-a"]);
    node.check("produce t one --key a --property TIMER_DELAY_SEC=300", "", &["broker-a"]);
    node.check("produce t two --key b --property TIMER_DELAY_SEC=300", "", &["broker-a"]);
    let _stranger = register_stranger(node.address("nameserver"));
    node.check_fails("cluster show", "stranger");
    let unable = "stranger (";
    for line in
        ["timer list", "timer list --key a", "timer list --key nothing", "timer show nothing", "timer cancel --all"]
    {
        node.check_fails(line, unable);
    }
    let (succeeded, text) = node.run(&["timer", "list"], "");
    assert!(!succeeded && text.contains("  t      broker-a") && text.contains("cannot list or cancel"), "{text}");
    let (_, text) = node.run(&["timer", "list", "--key", "nothing"], "");
    assert!(!text.contains("no message waits"), "{text}");
    node.check("timer list --broker broker-a", "", &["broker-a", " a\n"]);
    node.check_fails("timer list --broker stranger", unable);
    let id = node.field("timer list --key a --broker broker-a", "id");
    node.check(&format!("timer show {id}"), "", &["\none\n"]);
    node.check(&format!("timer cancel {id}"), "", &["cancelled"]);
    node.check_fails("timer cancel --key b --yes", "1 cancelled");
    node.check("timer list --broker broker-a", "", &["no message waits"]);
}

/// A name server of another kind: whatever it is asked, it agrees and says no more. Sends the headers of what it is asked.
fn strange_name_server() -> (String, mpsc::Receiver<String>) {
    name_server_that_answers(|_| true)
}

/// The same, but it only answers what has certain headers.
fn name_server_that_answers(is_answered: fn(&str) -> bool) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (stream.unwrap(), sender.clone());
            std::thread::spawn(move || while agree(&mut stream, &sender, is_answered).is_some() {});
        }
    });
    (address, asked)
}

fn agree(stream: &mut TcpStream, asked: &mpsc::Sender<String>, is_answered: fn(&str) -> bool) -> Option<()> {
    let mut lengths = [0; 8];
    stream.read_exact(&mut lengths).ok()?;
    let [all, header] = [0, 4].map(|at| u32::from_be_bytes(lengths[at..at + 4].try_into().unwrap()) as usize);
    let mut frame = vec![0; all - 4];
    stream.read_exact(&mut frame).ok()?;
    let header = String::from_utf8(frame[..header & 0xff_ffff].to_vec()).unwrap();
    let opaque = header.split_once("\"opaque\":").unwrap().1.split([',', '}']).next().unwrap();
    let answer = format!(r#"{{"code":0,"flag":1,"opaque":{opaque},"extFields":{{"changed":"false"}}}}"#);
    let lengths = [answer.len() + 4, answer.len()].map(|length| u32::try_from(length).unwrap().to_be_bytes());
    let is_answered = is_answered(&header);
    asked.send(header).ok()?;
    if !is_answered {
        return Some(());
    }
    stream.write_all(&[&lengths.concat(), answer.as_bytes()].concat()).ok()
}

#[test]
fn a_name_server_that_may_drop_what_is_not_named_is_told_all_topics() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = Node::start(first.path());
    let (strange, asked) = strange_name_server();
    let mut command = serve(second.path());
    command.args(["--roles", "broker", "--broker-name", "broker-b", "--nameserver-addresses"]);
    let _second = Node::start_with(command.arg(format!("{},{strange}", node.address("nameserver"))));
    for topic in ["one", "two", "three"] {
        node.check(&format!("topic create {topic} --broker broker-b"), "", &["broker-b"]);
    }
    let registrations: Vec<_> = asked.try_iter().filter(|header| header.contains("\"completeTopics\"")).collect();
    assert!(registrations.len() > 3, "{registrations:?}");
    assert!(registrations.iter().all(|header| header.contains("\"completeTopics\":\"true\"")), "{registrations:?}");
    node.check("topic show one", "", &["broker-b"]);
}

#[test]
fn starts_are_refused_clearly() {
    let check = |mut command: Command, expected: &[&str]| {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{text}");
        for part in expected {
            assert_eq!(text.matches(part).count(), 1, "expected {part:?} once in\n{text}");
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    check(serve(dir.path()), &["TF0003", "in use by another trefoil process"]);
    node.stop();
    let mut command = serve(dir.path());
    command.args(["--roles", "controller", "--flush", "never"]).env("TREFOIL_RETENTION_HUORS", "1");
    check(command, &["the role 'controller' is not built yet", "flag --flush:", "did you mean 'retention-hours'?"]);
}

/// A command that goes on while the test does.
fn start(node: &Node, line: &str) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(line.split(' ')).args(["--nameserver", node.address("nameserver")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn lines_are_sent_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &[]);
    let mut sender = start(&node, "produce t");
    let mut input = sender.stdin.take().unwrap();
    input.write_all(b"first\n").unwrap();
    let (succeeded, text) = node.run(&["consume", "t", "--max", "1"], "");
    assert!(succeeded && text == "first\n", "{text}");
    input.write_all(b"second\r\n\nlast").unwrap();
    drop(input);
    let output = sender.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "4 messages stored in 't'\n");
    node.check("consume t --until-end", "", &["first\nsecond\n\nlast\n"]);
}

#[test]
fn what_comes_after_the_end_is_left_to_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &[]);
    let body = "x".repeat(10_000);
    node.check("produce t", &format!("{body}\n").repeat(70), &["70 messages"]);
    let mut reader = start(&node, "consume t --until-end --group g");
    // Once it prints it knows the end; it goes on when somebody reads.
    let mut output = reader.stdout.take().unwrap();
    let mut first = [0; 1];
    output.read_exact(&mut first).unwrap();
    node.check("produce t late", "", &[]);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(reader.wait().unwrap().success());
    assert!(!text.contains("late"));
    node.check("group show g --topic t", "", &["lag 1 in all"]);
    node.check("consume t --until-end --group g", "", &["late\n"]);
}

/// A scaling of the topic `t` that waits for the second of two messages to be consumed, and has said so.
fn start_scaling(node: &Node) -> Child {
    node.check("topic create t --queues 1", "", &[]);
    node.check("produce t first", "", &[]);
    node.check("consume t --max 1 --group g", "", &["first"]);
    node.check("produce t second", "", &[]);
    let mut scaling = start(node, "topic scale t --queues 2 --keep-order");
    let mut said = String::new();
    BufReader::new(scaling.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("messages are refused"), "{said}");
    scaling
}

#[test]
fn a_topic_takes_messages_again_when_scaling_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let mut scaling = start_scaling(&node);
    assert!(Command::new("kill").args(["-INT", &scaling.id().to_string()]).status().unwrap().success());
    assert!(!scaling.wait().unwrap().success());
    node.check("produce t third", "", &["broker-a"]);
    node.check("topic show t --output json", "", &["\"write_queues\": 1", "\"permission\": \"rw\""]);
}

#[test]
fn a_topic_that_a_killed_scaling_has_closed_says_how_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let mut scaling = start_scaling(&node);
    // It has said so before it does so.
    while node.run(&["produce", "t", "third"], "").0 {}
    scaling.kill().unwrap();
    scaling.wait().unwrap();
    let remedy = "topic create t --broker broker-a --permission rw";
    node.check("topic show t", "", &["'t' takes no messages on broker-a", remedy]);
    node.check("consume t --until-end --group g", "", &["second\n"]);
    node.check("topic scale t --queues 2 --keep-order", "", &[remedy, "'t' has 2 queues"]);
    node.check(&format!("{remedy} --output json"), "", &["\"queues\": 2"]);
    node.check("produce t fourth", "", &["broker-a"]);
    let (_, text) = node.run(&["topic", "show", "t"], "");
    assert!(!text.contains("takes no messages"), "{text}");
}

#[test]
fn a_topic_that_a_scaling_could_not_open_again_says_how_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let scaling = start_scaling(&node);
    while node.run(&["produce", "t", "third"], "").0 {}
    drop(node);
    let output = scaling.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(text.contains("'trefoil topic create t --broker broker-a --permission rw' opens it again"), "{text}");
}

#[test]
fn what_is_not_named_stays_as_it_is_when_a_topic_changes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t", "", &["'t' has 8 queues on broker-a"]);
    node.check("topic create t --queues 12 --permission r", "", &["'t' has 12 queues on broker-a"]);
    let json = "topic show t --output json";
    let twelve = ["\"read_queues\": 12", "\"write_queues\": 12"];
    node.check("topic create t", "", &["'t' has 12 queues on broker-a"]);
    node.check(json, "", &[twelve[0], twelve[1], "\"permission\": \"r\""]);
    node.check("topic create t --permission rw", "", &["'t' has 12 queues on broker-a"]);
    node.check(json, "", &[twelve[0], twelve[1], "\"permission\": \"rw\""]);
    node.check_fails("topic create t --queues 11", "'trefoil topic scale t --queues 11' takes some away safely");
}

#[test]
fn a_group_passes_what_it_did_not_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &[]);
    node.check("produce t --tag a", "one\ntwo\n", &["2 messages"]);
    node.check("produce t --tag b", "three\nfour\nfive\n", &["3 messages"]);
    node.check("consume t --until-end --group g --tag a", "", &["one\ntwo\n"]);
    node.check("group show g", "", &["lag 0 in all"]);
    node.check("consume t --until-end --group other --tag c", "", &[]);
    node.check("group show other", "", &["lag 0 in all"]);
}

/// A silent name server does not keep a broker from the others.
#[test]
fn a_broker_registers_with_its_name_servers_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let (silent, _unanswered) = name_server_that_answers(|_| false);
    let (good, asked) = name_server_that_answers(|_| true);
    let mut command = serve(dir.path());
    command.args(["--roles", "broker", "--zone", "near", "--nameserver-addresses", &format!("{silent},{good}")]);
    let node = Node::start_with(&mut command);
    let registration = asked.try_iter().find(|header| header.contains("\"code\":103"));
    let registration = registration.expect("registered before it says that it is ready");
    assert!(registration.contains("\"__ZONE_NAME\":\"near\""), "{registration}");
    node.stop();
}

/// A name server that takes registrations and never answers a withdrawal does not hold up a stop.
#[test]
fn a_silent_name_server_does_not_hold_up_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (strange, asked) = name_server_that_answers(|header| !header.contains("\"code\":104"));
    let mut command = serve(dir.path());
    command.args(["--roles", "broker", "--nameserver-addresses", &strange]);
    let mut node = Node::start_with(&mut command);
    let mut log = node.child.stderr.take().unwrap();
    node.stop();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(asked.try_iter().any(|header| header.contains("\"code\":104")));
    assert!(text.contains("no answer to a withdrawal within 1000 ms"), "{text}");
}
