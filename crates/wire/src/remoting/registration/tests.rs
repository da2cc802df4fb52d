use super::*;
use crate::remoting::body::DataVersion;
use crate::remoting::code::VERSION;
use proptest::prelude::*;

fn body(topics: impl IntoIterator<Item = TopicConfig>) -> RegisterBrokerBody {
    let topics = topics.into_iter().map(|topic| (topic.topic_name.clone(), topic)).collect();
    RegisterBrokerBody {
        topic_config_serialize_wrapper: TopicTable {
            topic_config_table: topics,
            data_version: DataVersion { state_version: 1, timestamp: 2, counter: 3 },
            ..TopicTable::default()
        },
        filter_server_list: vec!["f:1".into()],
    }
}

#[test]
fn an_apache_stream_is_read() {
    let mut plain = BytesMut::new();
    put_sized(&mut plain, br#"{"counter":3,"stateVersion":1,"timestamp":2}"#);
    plain.put_u32(2);
    put_sized(&mut plain, b"T 8 4 6 SINGLE_TAG");
    put_sized(&mut plain, br#"U 1 1 2 SINGLE_TAG {"message.type":"FIFO"}"#);
    put_sized(&mut plain, b"[]");
    let old = decode(&deflate(&plain), true, 399).expect("an old stream ends here");
    plain.put_u32(1);
    put_sized(&mut plain, br#"{"bname":"a","currIdMap":{0:0},"topic":"S"}"#);
    let new = decode(&deflate(&plain), true, VERSION).expect("a new stream");
    let wrapper = &new.topic_config_serialize_wrapper;
    assert_eq!(wrapper.topic_config_table, old.topic_config_serialize_wrapper.topic_config_table);
    assert_eq!(wrapper.topic_config_table["T"].write_queue_nums, 4);
    assert_eq!(wrapper.topic_config_table["U"].attributes["message.type"], "FIFO");
    assert_eq!(wrapper.data_version.counter, 3);
    assert!(wrapper.topic_queue_mapping_info_map.contains_key("S"));
}

fn check(plain: &[u8], expected: &str) {
    assert_eq!(decode(&deflate(plain), true, VERSION).expect_err(expected).to_string(), expected);
}

#[test]
fn damage_is_named() {
    check(b"\0\0\0\x09{}", "registration ends after 6 bytes inside the data version");
    check(b"\0\0\0\x02{}\0\0", "registration ends after 8 bytes inside the topic count");
    check(b"\0\0\0\x02{}\xff\xff\xff\xff", "registration ends after 10 bytes inside a topic");
    check(
        b"\0\0\0\x02{}\0\0\0\x01\0\0\0\x05T 8 4",
        "registration holds the topic text 'T 8 4', expected name, two queue counts, permission and filter type",
    );
    check(b"\0\0\0\x01!", "registration body is not JSON: byte 0: expected a value");
    assert!(matches!(decode(b"junk", true, VERSION), Err(RegistrationError::Inflate(_))));
    assert_eq!(decode(b"", true, VERSION).expect("nothing to say"), RegisterBrokerBody::default());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        topics in prop::collection::vec(
            ("[a-zA-Z0-9_%-]{1,20}", 0i32..100, 0i32..7, prop::collection::btree_map(".{1,8}", ".{0,8}", 0..3)), 0..6),
        compressed: bool,
    ) {
        let body = body(topics.into_iter().map(|(topic_name, queues, perm, attributes)| TopicConfig {
            topic_name, read_queue_nums: queues, write_queue_nums: queues, perm, attributes, ..TopicConfig::default()
        }));
        prop_assert_eq!(decode(&encode(&body, compressed), compressed, VERSION).expect("own body"), body);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&deflate(&noise), true, VERSION));
        drop(decode(&noise, true, VERSION));
        drop(decode(&noise, false, VERSION));
    }
}
