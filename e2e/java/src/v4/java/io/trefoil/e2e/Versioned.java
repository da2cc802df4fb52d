package io.trefoil.e2e;

import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;

/** What has to be constructed by name and lives in another package in 5.x. */
final class Versioned {
    /**
     * A 4.x client asks for the removal of a group's offsets with `removeOffset`; Apache 5.x reads `cleanOffset` only, keeps
     * the offsets, and at once creates the deleted group again.
     */
    static final boolean DELETES_OFFSETS = false;

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

    /** Asked by the 5.x admin client only. */
    static void checkSubscription(Stage stage, String group, String topic) {
    }

    /** The last two arguments changed places between the generations. */
    static void deleteRoute(Stage stage, String topic) throws Exception {
        stage.admin.deleteTopicInNameServer(Set.of(stage.endpoint.nameServer), topic, null);
    }

    static void checkNoConfig(Stage stage, String master, String topic) throws Exception {
        Check.equal(null, stage.admin.examineTopicConfig(master, topic), "config of nothing");
    }

    static void setNamespace(org.apache.rocketmq.client.ClientConfig client, String space) {
        client.setNamespace(space);
    }

    static DefaultMQPushConsumer consumerIn(String space, String group) {
        return new DefaultMQPushConsumer(space, group);
    }

    /** There is no such way in 4.x. */
    static void setSecondNamespace(org.apache.rocketmq.client.ClientConfig client, String space) {
    }

    /** There is no recall and no retry policy in 4.x. */
    static final boolean CAN_RECALL = false;

    static String handle(SendResult sent) {
        return null;
    }

    static String recall(DefaultMQProducer producer, String topic, SendResult sent) {
        throw new UnsupportedOperationException();
    }

    static SubscriptionGroupConfig pacedGroup(String name, long... pauses) {
        throw new UnsupportedOperationException();
    }
}
