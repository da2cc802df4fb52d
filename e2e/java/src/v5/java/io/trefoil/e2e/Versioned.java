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
}
