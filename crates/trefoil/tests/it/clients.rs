//! What other clients send, which the command line does not.

use super::{Node, serve};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The codes that are sent here.
const PUT_KV_CONFIG: i32 = 100;
const GET_KV_CONFIG: i32 = 101;
const HEART_BEAT: i32 = 34;
const GET_CONSUMER_LIST_BY_GROUP: i32 = 38;
const GET_CONSUMER_STATUS_FROM_CLIENT: i32 = 221;
const INVOKE_BROKER_TO_GET_CONSUMER_STATUS: i32 = 223;
const QUERY_CONSUME_TIME_SPAN: i32 = 303;
const SEND_MESSAGE: i32 = 310;
const GET_TOPIC_CONFIG: i32 = 351;

/// A client's connection.
struct Client(TcpStream);

impl Client {
    fn connect(address: &str) -> Self {
        Self(TcpStream::connect(address).unwrap())
    }

    /// The answer: its header and behind it its body.
    fn ask(&mut self, code: i32, fields: &str, body: &str) -> String {
        let header = format!(
            r#"{{"code":{code},"language":"JAVA","version":453,"opaque":1,"flag":0,"extFields":{{{fields}}}}}"#
        );
        self.write(&header, body);
        loop {
            let answer = self.read();
            // What is no answer is a notice of the broker's.
            if answer.contains("\"flag\":1,") {
                return answer;
            }
        }
    }

    /// Answers the next question of a kind.
    fn answer(&mut self, asked: i32, code: i32, body: &str) {
        let question = loop {
            let frame = self.read();
            if frame.contains(&format!("\"code\":{asked},")) {
                break frame;
            }
        };
        let opaque = question.split_once("\"opaque\":").unwrap().1.split([',', '}']).next().unwrap();
        self.write(&format!(r#"{{"code":{code},"flag":1,"opaque":{opaque}}}"#), body);
    }

    fn write(&mut self, header: &str, body: &str) {
        let lengths = [header.len() + body.len() + 4, header.len()].map(|n| u32::try_from(n).unwrap().to_be_bytes());
        self.0.write_all(&[&lengths.concat(), header.as_bytes(), body.as_bytes()].concat()).unwrap();
    }

    /// Header and body of the next frame.
    fn read(&mut self) -> String {
        let mut lengths = [0; 8];
        self.0.read_exact(&mut lengths).unwrap();
        let all = u32::from_be_bytes(lengths[..4].try_into().unwrap()) as usize;
        let mut frame = vec![0; all - 4];
        self.0.read_exact(&mut frame).unwrap();
        String::from_utf8(frame).unwrap()
    }
}

#[test]
fn a_group_that_is_refused_does_not_keep_out_the_others_of_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_with(serve(dir.path()).args(["--auto-create-groups", "false"]));
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("group create known", "", &["'known' is set"]);
    let consumer = |group: &str| {
        format!(
            r#"{{"groupName":"{group}","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[{{"topic":"t","subString":"*"}}]}}"#
        )
    };
    let beat = format!(r#"{{"clientID":"both","consumerDataSet":[{},{}]}}"#, consumer("unknown"), consumer("known"));
    let mut client = Client::connect(node.address("broker"));
    let answer = client.ask(HEART_BEAT, "", &beat);
    assert!(answer.contains("\"code\":26") && answer.contains("unknown"), "{answer}");
    node.check("group show known", "", &["both"]);
}

/// Clients with a VIP channel ask over another connection than that of their heartbeats.
#[test]
fn a_member_is_told_its_cohort_over_its_vip_channel_too() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    let at = |address: &str, role: &str| {
        let mut client = Client::connect(node.address(role));
        client.0.write_all(format!("PROXY TCP4 {address} 127.0.0.1 1 2\r\n").as_bytes()).unwrap();
        client
    };
    let members = [("10.0.0.1", "a"), ("10.0.0.2", "b")].map(|(address, tag)| {
        let mut client = at(address, "broker");
        let consumer = format!(
            r#"{{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[{{"topic":"t","subString":"{tag}"}}]}}"#
        );
        let beat = format!(r#"{{"clientID":"of-{tag}","consumerDataSet":[{consumer}]}}"#);
        assert!(client.ask(HEART_BEAT, "", &beat).contains("\"code\":0"));
        client
    });
    let mut vip = at("10.0.0.2", "broker-vip");
    let answer = vip.ask(GET_CONSUMER_LIST_BY_GROUP, r#""consumerGroup":"g""#, "");
    assert!(answer.contains(r#"["of-b"]"#), "{answer}");
    drop(members);
}

#[test]
fn members_that_cannot_tell_their_status_do_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    let member = |id: &str| {
        let mut client = Client::connect(node.address("broker"));
        let consumer = r#"{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[{"topic":"t","subString":"*"}]}"#;
        let beat = format!(r#"{{"clientID":"{id}","consumerDataSet":[{consumer}]}}"#);
        assert!(client.ask(HEART_BEAT, "", &beat).contains("\"code\":0"));
        client
    };
    let (mut unable, mut able) = (member("unable"), member("able"));
    let mut tool = Client::connect(node.address("broker"));
    let asking =
        std::thread::spawn(move || tool.ask(INVOKE_BROKER_TO_GET_CONSUMER_STATUS, r#""topic":"t","group":"g""#, ""));
    unable.answer(GET_CONSUMER_STATUS_FROM_CLIENT, 3, "");
    able.answer(GET_CONSUMER_STATUS_FROM_CLIENT, 0, r#"{"messageQueueTable":{}}"#);
    let answer = asking.join().unwrap();
    assert!(answer.contains("\"code\":0") && answer.contains(r#"{"able":{}}"#), "{answer}");
}

#[test]
fn a_body_that_cannot_be_decompressed_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    let mut client = Client::connect(node.address("broker"));
    for topic in ["t", "%DLQ%g"] {
        node.check(&format!("produce {topic} before --queue 0 --property RETRY_TOPIC=t"), "", &["broker-a"]);
        let fields = format!(
            r#""a":"p","b":"{topic}","c":"TBW102","d":"4","e":"0","f":"1","g":"1","h":"0","i":"RETRY_TOPIC\u0001t\u0002""#
        );
        let answer = client.ask(SEND_MESSAGE, &fields, "strange");
        assert!(answer.contains("\"code\":0"), "{answer}");
        node.check(&format!("produce {topic} after --queue 0 --property RETRY_TOPIC=t"), "", &["broker-a"]);
    }
    node.check("consume t --until-end --output json", "", &["before", "after", "strange"]);
    node.check("dead-letter resend g --all --yes", "", &["3 resent"]);
}

#[test]
fn ids_are_understood_where_brokers_are_known_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_with(serve(dir.path()).args(["--advertise-host", "localhost"]));
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("produce t one --property TIMER_DELAY_SEC=300", "", &["broker-a"]);
    let place = node.field("timer list", "offset_id");
    node.check(&format!("timer show {place}"), "", &["\none\n"]);
    node.check(&format!("timer cancel {place}"), "", &["cancelled"]);
}

#[test]
fn large_messages_with_one_key_are_found_as_far_as_an_answer_holds_them() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    let lines = format!("{}\n", "x".repeat(4_000_000)).repeat(5);
    node.check("produce t --key k", &lines, &["5 messages stored"]);
    let (succeeded, text) = node.run(&["message", "query", "t", "--key", "k"], "");
    assert!(succeeded, "{}", text.get(..200).unwrap_or(&text));
    assert_eq!(text.matches("topic t").count(), 3);
}

#[test]
fn a_group_that_has_consumed_nothing_is_behind_by_the_age_of_the_first_message() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.check("topic create t --queues 1", "", &["t"]);
    node.check("produce t one", "", &["broker-a"]);
    let answer = Client::connect(node.address("broker")).ask(QUERY_CONSUME_TIME_SPAN, r#""topic":"t","group":"g""#, "");
    let number = |name: &str| -> u64 {
        let (_, value) = answer.split_once(&format!("\"{name}\":")).unwrap();
        value.split([',', '}']).next().unwrap().parse().unwrap()
    };
    assert_eq!(number("consumeTimeStamp"), number("minTimeStamp"), "{answer}");
    assert!(number("delayTime") < 3_600_000, "{answer}");
}

/// What tells senders of ordered messages how many queues there are follows their number.
#[test]
fn an_order_configuration_follows_the_queues() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_with(&mut serve(dir.path()));
    node.check("topic create t --queues 2", "", &["t"]);
    let mut client = Client::connect(node.address("nameserver"));
    let key = r#""namespace":"ORDER_TOPIC_CONFIG","key":"t""#;
    client.ask(PUT_KV_CONFIG, &format!(r#"{key},"value":"broker-a:2;broker-b:2""#), "");
    node.check("topic scale t --queues 4", "", &["4 queues"]);
    let answer = client.ask(GET_KV_CONFIG, key, "");
    assert!(answer.contains(r#""broker-a:4;broker-b:2""#), "{answer}");
    // The broker hears of it when it registers, and marks the topic.
    let settings = Client::connect(node.address("broker")).ask(GET_TOPIC_CONFIG, r#""topic":"t""#, "");
    assert!(settings.contains(r#""order":true"#), "{settings}");
    node.stop();
}
