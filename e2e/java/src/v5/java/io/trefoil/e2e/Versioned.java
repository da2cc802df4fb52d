package io.trefoil.e2e;

import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.subscription.CustomizedRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicyType;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/** What has to be constructed by name and lives in another package in 4.x. */
final class Versioned {
    /**
     * A 4.x client asks for the removal of a group's offsets with `removeOffset`; Apache 5.x reads `cleanOffset` only, keeps
     * the offsets, and at once creates the deleted group again.
     */
    static final boolean DELETES_OFFSETS = true;

    private Versioned() {
    }

    static SubscriptionGroupConfig group(String name) {
        var group = new SubscriptionGroupConfig();
        group.setGroupName(name);
        return group;
    }

    static void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    static void checkSubscription(Stage stage, String group, String topic) throws Exception {
        Check.eventually("topics of the group",
            () -> stage.admin.queryTopicsByConsumer(stage.name(group)).getTopicList().contains(topic));
        Check.equal("*", stage.admin.querySubscription(stage.name(group), topic).getSubString(), "subscription");
    }

    /** The last two arguments changed places between the generations. */
    static void deleteRoute(Stage stage, String topic) throws Exception {
        stage.admin.deleteTopicInNameServer(Set.of(stage.endpoint.nameServer), null, topic);
    }

    static void checkNoConfig(Stage stage, String master, String topic) throws Exception {
        Check.fails("config of nothing", () -> stage.admin.examineTopicConfig(master, topic)).withCode(Code.TOPIC_NOT_EXIST);
    }

    static void setNamespace(org.apache.rocketmq.client.ClientConfig client, String space) {
        client.setNamespace(space);
    }

    static DefaultMQPushConsumer consumerIn(String space, String group) {
        return new DefaultMQPushConsumer(space, group, (org.apache.rocketmq.remoting.RPCHook) null);
    }

    static void setSecondNamespace(org.apache.rocketmq.client.ClientConfig client, String space) {
        client.setNamespaceV2(space);
    }

    /** Timed messages can be taken back, and groups have retry policies. */
    static final boolean CAN_RECALL = true;

    static String handle(SendResult sent) {
        return sent.getRecallHandle();
    }

    static String recall(DefaultMQProducer producer, String topic, SendResult sent) throws Exception {
        return producer.recallMessage(topic, sent.getRecallHandle());
    }

    /** A group that waits so long before its retries, in ms. */
    static SubscriptionGroupConfig pacedGroup(String name, long... pauses) {
        var policy = new GroupRetryPolicy();
        policy.setType(GroupRetryPolicyType.CUSTOMIZED);
        policy.setCustomizedRetryPolicy(new CustomizedRetryPolicy(pauses));
        var group = group(name);
        group.setGroupRetryPolicy(policy);
        return group;
    }

    /** Creates or changes a topic; `+name` sets an attribute, `-name` removes it. */
    static void createTopic(Stage stage, String master, TopicConfig config, Map<String, String> changes) throws Exception {
        config.setAttributes(changes);
        stage.admin.createAndUpdateTopicConfig(master, config);
    }

    static void checkAttributes(Stage stage, String master, String topic, Map<String, String> expected) throws Exception {
        Check.equal(expected, stage.admin.examineTopicConfig(master, topic).getAttributes(), "attributes of " + topic);
    }

    static SubscriptionGroupConfig groupWith(String name, Map<String, String> changes) {
        var group = group(name);
        group.setAttributes(changes);
        return group;
    }

    /** Administration that only 5.x clients know. */
    static void listAdmin(Scenario.Area area) {
        area.add("admin-replicas", Versioned::replicas);
        area.add("admin-many-groups", Versioned::manyGroups);
        area.add("admin-many-topics", Versioned::manyTopics);
        area.add("admin-query-by-tag", Versioned::queryByTag);
        area.add("admin-forbidden", Versioned::forbidden);
        area.add("admin-cold-reads", Versioned::coldReads);
        area.add("admin-in-flight", Versioned::inFlight);
    }

    private static void replicas(Stage stage) throws Exception {
        stage.producer.send(new org.apache.rocketmq.common.message.Message(stage.topic("t", 1), Stage.bytes("m")));
        var status = stage.admin.getBrokerHAStatus(stage.endpoint.masters().get(0));
        Check.that(status.isMaster(), "not a master");
        Check.that(status.getMasterCommitLogMaxOffset() > 0, "end of the log: " + status.getMasterCommitLogMaxOffset());
        Check.equal(0, status.getInSyncSlaveNums(), "replicas in sync");
        Check.that(status.getHaConnectionInfo().isEmpty(), "connected replicas");
    }

    private static void manyGroups(Stage stage) throws Exception {
        String master = stage.endpoint.masters().get(0);
        var first = group(stage.name("first"));
        first.setRetryMaxTimes(3);
        var second = group(stage.name("second"));
        second.setConsumeEnable(false);
        stage.admin.createAndUpdateSubscriptionGroupConfigList(master, java.util.List.of(first, second));
        var seen = stage.admin.examineSubscriptionGroupConfig(master, stage.name("first"));
        Check.equal(3, seen.getRetryMaxTimes(), "retries of the first group");
        Check.that(!stage.admin.examineSubscriptionGroupConfig(master, stage.name("second")).isConsumeEnable(), "the second group is on");
    }

    private static void manyTopics(Stage stage) throws Exception {
        String master = stage.endpoint.masters().get(0);
        var topics = java.util.List.of(new TopicConfig(stage.name("one"), 3, 3, 6), new TopicConfig(stage.name("two"), 2, 2, 6));
        stage.admin.createAndUpdateTopicConfigList(master, topics);
        for (TopicConfig topic : topics) {
            var seen = stage.admin.examineTopicConfig(master, topic.getTopicName());
            Check.equal(topic.getReadQueueNums(), seen.getReadQueueNums(), "queues of " + topic.getTopicName());
        }
        var withBad = java.util.List.of(new TopicConfig(stage.name("good"), 3, 3, 6), new TopicConfig("bad name!", 2, 2, 6));
        Check.fails("a list with a bad name", () -> stage.admin.createAndUpdateTopicConfigList(master, withBad));
        Check.fails("a topic before the bad name", () -> stage.admin.examineTopicConfig(master, stage.name("good")));
    }

    private static void queryByTag(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        for (int i = 0; i < 6; i++) {
            stage.producer.send(new org.apache.rocketmq.common.message.Message(topic, i % 2 == 0 ? "even" : "odd", Stage.bytes("m" + i)));
        }
        java.util.Set<String> bodies = new java.util.TreeSet<>();
        Check.eventuallyAnswers("messages with a tag", () -> {
            var found = stage.admin.queryMessage(stage.endpoint.cluster(), topic, "odd", 32, 0, Long.MAX_VALUE, "T", null);
            found.getMessageList().forEach(message -> bodies.add(new String(message.getBody())));
            return bodies.size() == 3;
        });
        Check.equal(Set.of("m1", "m3", "m5"), bodies, "messages with the tag");
    }

    private static void forbidden(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        String master = stage.endpoint.masters().get(0);
        stage.admin.createAndUpdateSubscriptionGroupConfig(master, group(stage.name("g")));
        for (boolean readable : new boolean[] {false, true}) {
            stage.admin.updateAndGetGroupReadForbidden(master, stage.name("g"), topic, readable);
            var seen = stage.admin.updateAndGetGroupReadForbidden(master, stage.name("g"), topic, null);
            Check.equal(readable, seen.getReadable(), "whether the group may read the topic");
        }
    }

    private static void coldReads(Stage stage) throws Exception {
        String master = stage.endpoint.masters().get(0);
        String info = stage.admin.getColdDataFlowCtrInfo(master);
        Check.that(info.contains("runtimeTable") && info.contains("configTable"), "information on cold reads: " + info);
        Facts.note("read ahead mode 0: " + stage.admin.setCommitLogReadAheadMode(master, "0"));
    }

    /** Messages that a listener has in hand show as pulled, and not as consumed; those that a member gave up do not. */
    private static void inFlight(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.prepareRetries("g", topic);
        int count = stage.sendNumbered(topic, "A", 0, 5).size();
        var released = new java.util.concurrent.CountDownLatch(1);
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly) (messages, context) -> {
            try {
                released.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        stage.endsWith(released::countDown);
        Check.eventually("messages in hand", () -> inHand(stage, topic) == stage.count(topic), () -> inHand(stage, topic));
        Check.that(stage.count(topic) >= count, "messages stored");
        released.countDown();
        Check.eventually("nothing in hand", () -> inHand(stage, topic) == 0, () -> inHand(stage, topic));
    }

    private static long inHand(Stage stage, String topic) throws Exception {
        return stage.admin.examineConsumeStats(stage.name("g"), topic).getOffsetTable().values().stream()
            .mapToLong(o -> o.getPullOffset() - o.getConsumerOffset()).sum();
    }
}
