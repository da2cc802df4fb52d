package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages that a listener refuses: retries, then the dead-letter topic. */
final class RetryScenarios {
    /** Delay level 1 is one second. */
    private static final int ONE_SECOND = 1;
    private static final int AT_ONCE_DEAD = -1;

    private RetryScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("retry-once", RetryScenarios::once);
        area.add("retry-to-dead-letter", RetryScenarios::deadLetter);
        area.add("retry-dead-letter-at-once", RetryScenarios::deadAtOnce);
        area.add("retry-send-back-by-pull", RetryScenarios::sendBack);
        area.add("retry-resent", RetryScenarios::resent);
    }

    /** A consumer that refuses each message `refusals` times, with the given delay level. */
    private static DefaultMQPushConsumer refusing(Stage stage, String topic, int refusals, int level, List<MessageExt> attempts)
        throws Exception {
        stage.prepareRetries("g", topic);
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            attempts.addAll(messages);
            if (messages.get(0).getReconsumeTimes() < refusals) {
                context.setDelayLevelWhenNextConsume(level);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private static void once(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<MessageExt> attempts = Collections.synchronizedList(new ArrayList<>());
        refusing(stage, topic, 1, ONE_SECOND, attempts).start();
        Message message = new Message(topic, "A", "key", Stage.bytes("m0"));
        message.putUserProperty("mine", "kept");
        var sent = stage.producer.send(message);
        long begin = System.currentTimeMillis();
        Check.eventually("second delivery", () -> attempts.size() >= 2, () -> attempts);
        long took = System.currentTimeMillis() - begin;
        MessageExt first = attempts.get(0);
        MessageExt second = attempts.get(1);
        Check.equal(0, first.getReconsumeTimes(), "reconsume times at first");
        Check.equal(1, second.getReconsumeTimes(), "reconsume times after one refusal");
        Check.equal("m0", Stage.text(second), "body");
        Check.equal(topic, second.getTopic(), "topic that the listener sees");
        Check.equal("A", second.getTags(), "tags");
        Check.equal("key", second.getKeys(), "keys");
        Check.equal("kept", second.getUserProperty("mine"), "property");
        Check.equal(topic, second.getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
        Check.equal(sent.getMsgId(), first.getMsgId(), "unique id");
        Facts.note("after " + took + " ms, id " + second.getMsgId() + " origin " + second.getProperty("ORIGIN_MESSAGE_ID")
            + " was " + sent.getMsgId() + "/" + sent.getOffsetMsgId() + ", properties " + second.getProperties()
            + ", queue " + second.getQueueId() + "@" + second.getQueueOffset());
        Check.that(took >= 800 && took < 20_000, "redelivered after " + took + " ms");
        Check.equal(sent.getOffsetMsgId(), second.getProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID");
        Thread.sleep(1_500);
        Check.equal(2, attempts.size(), "deliveries");
    }

    private static void deadLetter(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<MessageExt> attempts = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = refusing(stage, topic, Integer.MAX_VALUE, ONE_SECOND, attempts);
        consumer.setMaxReconsumeTimes(2);
        consumer.start();
        stage.producer.send(new Message(topic, "A", "dead-key", Stage.bytes("m0")));
        String dead = "%DLQ%" + stage.name("g");
        MessageExt buried = awaitDead(stage, dead);
        Check.equal(List.of(0, 1, 2), attempts.stream().map(MessageExt::getReconsumeTimes).toList(), "reconsume times");
        Check.equal("m0", Stage.text(buried), "body");
        Check.equal("dead-key", buried.getKeys(), "keys");
        Check.equal(topic, buried.getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
        Facts.note("dead letter: reconsume times " + buried.getReconsumeTimes() + ", properties " + buried.getProperties()
            + ", route " + stage.admin.examineTopicRouteInfo(dead).getQueueDatas());
        Thread.sleep(1_500);
        Check.equal(3, attempts.size(), "deliveries");
    }

    private static void deadAtOnce(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<MessageExt> attempts = Collections.synchronizedList(new ArrayList<>());
        refusing(stage, topic, Integer.MAX_VALUE, AT_ONCE_DEAD, attempts).start();
        stage.sendNumbered(topic, "A", 0, 1);
        MessageExt buried = awaitDead(stage, "%DLQ%" + stage.name("g"));
        Check.equal("m0", Stage.text(buried), "body");
        Check.equal(1, attempts.size(), "deliveries");
    }

    private static MessageExt awaitDead(Stage stage, String dead) throws Exception {
        Check.eventuallyAnswers("a message in " + dead, () -> stage.count(dead) == 1);
        return stage.readAll(dead, 1).get(0);
    }

    /** What a pull consumer sends back reaches the group's push consumer. */
    private static void sendBack(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        stage.prepareRetries("g", topic);
        stage.collect("g", topic, "*", seen);
        seen.await(stage.sendNumbered(topic, "A", 0, 2));
        var puller = stage.pull("other");
        MessageQueue queue = puller.fetchSubscribeMessageQueues(topic).iterator().next();
        MessageExt first = puller.pull(queue, "*", 0, 1).getMsgFoundList().get(0);
        puller.sendMessageBack(first, ONE_SECOND, queue.getBrokerName(), stage.name("g"));
        Check.eventually("third delivery", () -> seen.size() >= 3, seen::all);
        MessageExt again = seen.all().get(2);
        Check.equal("m0", Stage.text(again), "body");
        Check.equal(1, again.getReconsumeTimes(), "reconsume times");
        Check.equal(new TreeSet<>(List.of("m0", "m1")), seen.bodies(), "bodies");
    }

    /** What operators put into the retry topic of a group comes to that group alone, as from the topic it names. */
    private static void resent(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        Collected elsewhere = new Collected();
        stage.prepareRetries("g", topic);
        stage.collect("g", topic, "A", seen);
        stage.collect("other", topic, "*", elsewhere);
        Message message = new Message("%RETRY%" + stage.name("g"), "A", "key", Stage.bytes("again"));
        MessageAccessor.putProperty(message, "RETRY_TOPIC", topic);
        message.putUserProperty("mine", "kept");
        stage.producer.send(message);
        seen.awaitExactly(Set.of("again"));
        MessageExt got = seen.all().get(0);
        Check.equal(topic, got.getTopic(), "topic that the listener sees");
        Check.equal(0, got.getReconsumeTimes(), "reconsume times");
        Check.equal("key", got.getKeys(), "keys");
        Check.equal("kept", got.getUserProperty("mine"), "property");
        Check.equal(0, elsewhere.size(), "deliveries to another group");
    }
}
