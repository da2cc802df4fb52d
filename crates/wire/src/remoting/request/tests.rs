use super::*;
use crate::remoting::field::{FieldError, OrDefault};
use crate::remoting::header::Fields;
use crate::remoting::response;
use proptest::prelude::*;

type Pairs = Vec<(String, String)>;

fn fields(pairs: &[(&str, &str)]) -> Fields<'static> {
    pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
}

const SHORT: [(&str, &str); 8] =
    [("a", "PG"), ("b", "T"), ("c", "TBW102"), ("d", "4"), ("e", "-1"), ("f", "0"), ("g", "1700000000123"), ("h", "0")];

#[test]
fn send_is_read_by_both_names() {
    let sent = fields(&SHORT);
    let got = SendMessage::parse_short(&sent).expect("complete");
    assert_eq!((got.producer_group, got.topic, got.queue_id, got.batch), ("PG", "T", -1, None));
    let mut long = Pairs::new();
    got.write(&mut long);
    assert_eq!(long[3], ("defaultTopicQueueNums".to_owned(), "4".to_owned()));
    assert_eq!(SendMessage::parse(&long.into_iter().collect()), Ok(got));
}

fn check_error(error: Result<(), FieldError>, expected: &str) {
    assert_eq!(error.expect_err(expected).to_string(), expected);
}

#[test]
fn errors_name_the_field() {
    for missing in 0..SHORT.len() {
        let mut pairs = SHORT.to_vec();
        let (name, _) = pairs.remove(missing);
        let fields = fields(&pairs);
        let got = SendMessage::parse_short(&fields);
        match name {
            "a" | "c" | "d" => assert_eq!(got.map(|send| send.topic), Ok("T"), "the original does without {name}"),
            _ => check_error(got.map(drop), &format!("required field '{name}' is missing")),
        }
    }
    let get = |pairs| GetMaxOffset::parse(&fields(pairs)).map(drop);
    check_error(get(&[("queueId", "1")]), "required field 'topic' is missing");
    check_error(get(&[("topic", "t")]), "required field 'queueId' is missing");
    check_error(get(&[("topic", "t"), ("queueId", "x")]), "field 'queueId' is 'x', expected an integer of 32 bits");
    check_error(
        get(&[("topic", "t"), ("queueId", "99999999999")]),
        "field 'queueId' is '99999999999', expected an integer of 32 bits",
    );
}

#[test]
fn what_may_be_left_out_is_written() {
    let asked = [("consumerGroup", "g"), ("topic", "t"), ("queueId", "1"), ("queueOffset", "0"), ("maxMsgNums", "8")];
    let sent: Fields<'_> = fields(&[&asked[..], &[("sysFlag", "0")]].concat());
    let pull = PullMessage::parse(&sent).expect("the original does without the others");
    let mut written = Pairs::new();
    pull.write(&mut written);
    let has_zero = |name: &str| written.contains(&(name.to_owned(), "0".to_owned()));
    assert!(["commitOffset", "suspendTimeoutMillis", "subVersion"].into_iter().all(has_zero), "{written:?}");
}

#[test]
fn booleans_are_read_as_java_does() {
    for (text, expected) in [("true", true), ("TRUE", true), ("false", false), ("1", false)] {
        let fields = fields(&[("topic", "t"), ("queueId", "1"), ("committed", text)]);
        assert_eq!(GetMaxOffset::parse(&fields).expect("complete").committed, Some(expected), "{text}");
    }
}

#[test]
fn an_empty_option_is_none() {
    let fields = fields(&[("offset", "1"), ("group", "g"), ("delayLevel", "0"), ("maxReconsumeTimes", "")]);
    assert_eq!(SendBack::parse(&fields).expect("complete").max_reconsume_times, None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(a: String, b in ".{1,10}", n: i32, l: i64, o in prop::option::of(any::<i32>()), t: bool) {
        let send = SendMessage {
            producer_group: &a, topic: &b, default_topic: &a, default_topic_queue_nums: n, queue_id: n, sys_flag: n,
            born_timestamp: l, flag: n, properties: Some(&b), reconsume_times: o, unit_mode: Some(t),
            max_reconsume_times: o, batch: None, broker_name: Some(&b),
        };
        let mut pairs = Pairs::new();
        send.write_short(&mut pairs);
        let fields: Fields<'_> = pairs.into_iter().collect();
        prop_assert_eq!(SendMessage::parse_short(&fields), Ok(send));

        let pull = PullMessage {
            consumer_group: &a, topic: &b, queue_id: n, queue_offset: l, commit_offset: OrDefault(l), subscription: Some(&b),
            max_msg_bytes: o, ..PullMessage::default()
        };
        let mut pairs = Pairs::new();
        pull.write(&mut pairs);
        let fields: Fields<'_> = pairs.into_iter().collect();
        prop_assert_eq!(PullMessage::parse(&fields), Ok(pull));

        let pulled = response::PullMessage { next_begin_offset: l, group_sys_flag: o, ..Default::default() };
        let mut pairs = Pairs::new();
        pulled.write(&mut pairs);
        prop_assert_eq!(response::PullMessage::parse(&pairs.into_iter().collect()), Ok(pulled));
    }
}
