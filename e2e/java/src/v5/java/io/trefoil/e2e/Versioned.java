package io.trefoil.e2e;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/** What has to be constructed by name and lives in another package in 4.x. */
final class Versioned {
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
        Check.that(stage.admin.queryTopicsByConsumer(stage.name(group)).getTopicList().contains(topic), "topics of the group");
        Check.equal("*", stage.admin.querySubscription(stage.name(group), topic).getSubString(), "subscription");
    }
}
