use super::*;
use crate::remoting::loose_json::{Dialect, from_slice, to_vec};

/// Reads `sent`, writes it again and reads that: both must be `T` alike.
fn check<T>(sent: &str) -> T
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let first: T = from_slice(sent.as_bytes()).expect(sent);
    for dialect in [Dialect::Strict, Dialect::Loose] {
        assert_eq!(from_slice::<T>(&to_vec(&first, dialect)).expect(sent), first);
    }
    first
}

#[test]
fn heartbeats_of_several_clients() {
    let java: HeartbeatData = check(
        r#"{"clientID":"10.0.0.1@7#8","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"CG","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[65,-7],"expressionType":"TAG","subString":"A||B","subVersion":1700000000123,"tagsSet":["A","B"],"topic":"T"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"PG"}],"withoutSub":false}"#,
    );
    assert_eq!(java.client_id, "10.0.0.1@7#8");
    let consumer = &java.consumer_data_set[0];
    assert_eq!((consumer.consume_type, consumer.message_model), (ConsumeType::Passively, MessageModel::Clustering));
    assert_eq!(consumer.subscription_data_set[0].code_set, [-7, 65].into());

    let cpp: HeartbeatData = check(
        r#"{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":1,"messageModel":0,"consumeFromWhere":4,"subscriptionDataSet":[]}],"producerDataSet":[]}"#,
    );
    assert_eq!(cpp.consumer_data_set[0].message_model, MessageModel::Broadcasting);
    assert_eq!(cpp.consumer_data_set[0].consume_from_where, ConsumeFromWhere::FirstOffset);

    let go: HeartbeatData = check(
        r#"{"clientID":"c","producerDataSet":null,"consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":"t","subString":"*","tagsSet":null,"codeSet":null}],"later":1}]}"#,
    );
    assert_eq!(go.consumer_data_set[0].subscription_data_set[0].sub_string, "*");
    let go: SubscriptionData = check(r#"{"topic":"t","subString":"A || B","tagsSet":["A","B"],"codeSet":["65","66"]}"#);
    assert_eq!(go.code_set, [65, 66].into());
}

#[test]
fn routes_and_clusters() {
    let route: TopicRouteData = check(
        r#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911"},"brokerName":"a","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#,
    );
    assert_eq!(route.broker_datas[0].broker_addrs[&0], "127.0.0.1:10911");
    let cluster: ClusterInfo = check(
        r#"{"brokerAddrTable":{"a":{"brokerAddrs":{0:"h:1"},"brokerName":"a","cluster":"c"}},"clusterAddrTable":{"c":["a"]}}"#,
    );
    assert_eq!(cluster.cluster_addr_table["c"], ["a".to_owned()].into());
}

#[test]
fn configurations_take_the_original_defaults() {
    let group: SubscriptionGroupConfig =
        check(r#"{"groupName":"g","attributes":null,"groupRetryPolicy":{"type":"CUSTOMIZED"}}"#);
    assert!(group.consume_enable && group.notify_consumer_ids_changed_enable);
    assert_eq!((group.retry_max_times, group.which_broker_when_consume_slowly), (16, 1));
    let topics: TopicTable = check(
        r#"{"dataVersion":{"counter":2,"stateVersion":0,"timestamp":3},"topicConfigTable":{"T":{"attributes":{},"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":8}}}"#,
    );
    assert_eq!(topics.topic_config_table["T"].read_queue_nums, 8);
    assert_eq!(topics.data_version.counter, 2);
}

#[test]
fn member_names_are_those_of_the_original() {
    let written = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let lock = LockBatchAnswer { lock_ok_mq_set: [MessageQueue::default()].into() };
    assert_eq!(
        written(&to_vec(&lock, Dialect::Loose)),
        r#"{"lockOKMQSet":[{"brokerName":"","queueId":0,"topic":""}]}"#
    );
    let list = ConsumerList { consumer_id_list: vec!["c".into()] };
    assert_eq!(written(&to_vec(&list, Dialect::Loose)), r#"{"consumerIdList":["c"]}"#);
    let offsets = ConsumerOffsets { offset_table: [("t@g".into(), [(0, 12)].into())].into(), data_version: None };
    assert_eq!(written(&to_vec(&offsets, Dialect::Loose)), r#"{"offsetTable":{"t@g":{0:12}}}"#);
    let span = QueueTimeSpan::default();
    assert!(written(&to_vec(&span, Dialect::Loose)).contains("consumeTimeStamp"));
}
