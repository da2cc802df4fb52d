use super::*;
use proptest::prelude::*;

fn host() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(IpAddr::from(ip), port)),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(IpAddr::from(ip), port)),
    ]
}

fn draft() -> impl Strategy<Value = Draft<'static>> {
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    (("[a-zA-Z0-9_%]{0,200}", any::<u16>(), any::<i32>()), host(), host(), body, "[a-z\u{1}\u{2}é]{0,80}", any::<i64>())
        .prop_map(|((topic, queue_id, flag), born_host, store_host, body, properties, time)| Draft {
            topic: topic.into(),
            queue_id: QueueId(queue_id.into()),
            flag,
            sys_flag: 0,
            born_timestamp: time,
            born_host,
            store_host,
            reconsume_times: 3,
            prepared_transaction_offset: 0,
            body_crc: body_crc(&body),
            body: body.into(),
            properties: properties.into(),
        })
}

const PLACE: Place = Place {
    queue_offset: QueueOffset(7),
    physical_offset: PhysicalOffset(1 << 40),
    store_timestamp: 1_700_000_000_000,
};

#[test]
fn the_smallest_record_reads_back() {
    let host = SocketAddr::from(([1, 2, 3, 4], 5));
    let draft = Draft {
        topic: "".into(),
        queue_id: QueueId(0),
        flag: 0,
        sys_flag: 0,
        born_timestamp: 0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: [].as_slice().into(),
        body_crc: body_crc(&[]),
        properties: "".into(),
    };
    let mut bytes = Vec::new();
    draft.encode(PLACE, &mut bytes);
    assert_eq!(bytes.len(), LEN_MIN);
    assert_eq!(Record::parse(&bytes).unwrap().to_draft(), draft);
}

proptest! {
    #[test]
    fn a_record_reads_back(draft in draft()) {
        let mut bytes = Vec::new();
        draft.encode(PLACE, &mut bytes);
        prop_assert_eq!(bytes.len(), draft.encoded_len());
        bytes.push(0xFF);
        let record = Record::parse(&bytes).unwrap();
        record.check_body().unwrap();
        prop_assert_eq!(body_range(&bytes).map(|range| &bytes[range]), Some(record.body));
        prop_assert_eq!(offsets(&bytes), Some((PLACE.queue_offset, PLACE.physical_offset)));
        prop_assert_eq!(record.store_timestamp, PLACE.store_timestamp);
        let mut read = record.to_draft();
        read.sys_flag = 0;
        prop_assert_eq!(read, draft);
    }

    #[test]
    fn a_place_may_be_given_later(draft in draft()) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        draft.encode(Place::default(), &mut bytes);
        draft.encode(PLACE, &mut expected);
        set_place(&mut bytes, PLACE);
        prop_assert_eq!(bytes, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        std::hint::black_box(Record::parse(&bytes).is_ok());
        drop(body_range(&bytes));
    }

    #[test]
    fn a_changed_byte_never_panics_and_a_cut_is_seen(draft in draft(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = Vec::new();
        draft.encode(PLACE, &mut bytes);
        let at = at.index(bytes.len());
        prop_assert!(Record::parse(&bytes[..at]).is_err());
        bytes[at] = to;
        std::hint::black_box(Record::parse(&bytes).is_ok());
    }
}
