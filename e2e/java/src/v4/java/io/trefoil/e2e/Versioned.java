package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.protocol.RequestCode;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

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

    /** What 4.x clients cannot say by themselves: they know no attributes. */
    static void createTopic(Stage stage, String master, TopicConfig config, Map<String, String> changes) throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(RequestCode.UPDATE_AND_CREATE_TOPIC, null);
        request.addExtField("topic", config.getTopicName());
        request.addExtField("defaultTopic", "TBW102");
        request.addExtField("readQueueNums", Integer.toString(config.getReadQueueNums()));
        request.addExtField("writeQueueNums", Integer.toString(config.getWriteQueueNums()));
        request.addExtField("perm", Integer.toString(config.getPerm()));
        request.addExtField("topicFilterType", config.getTopicFilterType().name());
        request.addExtField("order", "false");
        List<String> texts = new ArrayList<>();
        changes.forEach((name, value) -> texts.add(name.startsWith("-") ? name : name + "=" + value));
        request.addExtField("attributes", String.join(",", texts));
        RemotingCommand response = stage.producer.getDefaultMQProducerImpl().getmQClientFactory().getMQClientAPIImpl()
            .getRemotingClient().invokeSync(master, request, 5_000);
        if (response.getCode() != 0) {
            throw new MQBrokerException(response.getCode(), response.getRemark());
        }
    }

    /** A 4.x client does not read them. */
    static void checkAttributes(Stage stage, String master, String topic, Map<String, String> expected) {
    }

    static SubscriptionGroupConfig groupWith(String name, Map<String, String> changes) {
        var group = new GroupWithAttributes(changes);
        group.setGroupName(name);
        return group;
    }

    /** A group's settings with what 5.x has added to them. */
    public static final class GroupWithAttributes extends SubscriptionGroupConfig {
        private final Map<String, String> attributes;

        GroupWithAttributes(Map<String, String> attributes) {
            this.attributes = attributes;
        }

        public Map<String, String> getAttributes() {
            return attributes;
        }
    }

    /** Administration that only 5.x clients know. */
    static void listAdmin(Scenario.Area area) {
    }
}
