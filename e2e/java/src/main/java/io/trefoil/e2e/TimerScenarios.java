package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that are delivered at a time, taken back before it, and retries at a group's own pace. */
final class TimerScenarios {
    private static final String SECONDS = "TIMER_DELAY_SEC";
    private static final String MILLIS = "TIMER_DELAY_MS";
    private static final String AT = "TIMER_DELIVER_MS";
    /** Apache's wheel turns once a second, and delivers up to one turn early. */
    private static final long APACHE_PRECISION_MS = 1_000;
    private static final long HORIZON_S = 3 * 86_400;
    /** Later than this is wrong on any machine. */
    private static final long LATE_MS = 10_000;

    private TimerScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("timer-delay-level", stage -> waits(stage, "DELAY", "3", 10_000));
        area.add("timer-delay-seconds", stage -> waits(stage, SECONDS, "2", 2_000));
        area.add("timer-delay-millis", stage -> waits(stage, MILLIS, "1500", 1_500));
        area.add("timer-deliver-at", TimerScenarios::deliverAt);
        area.add("timer-past", TimerScenarios::past);
        area.add("timer-order", TimerScenarios::order);
        area.add("timer-beyond-horizon", TimerScenarios::beyondHorizon);
        area.add("timer-batch", TimerScenarios::batch);
        area.add("timer-refused-when-it-comes", TimerScenarios::refused);
        area.add("timer-dead-letter", TimerScenarios::deadLetter);
        if (Versioned.CAN_RECALL) {
            area.add("timer-recall", TimerScenarios::recall);
            area.add("timer-recall-late", TimerScenarios::recallLate);
            area.add("timer-retry-policy", TimerScenarios::retryPolicy);
        }
    }

    private static Message timed(String topic, String body, String property, Object value) {
        Message message = new Message(topic, "A", "key", Stage.bytes(body));
        MessageAccessor.putProperty(message, property, String.valueOf(value));
        message.putUserProperty("mine", "kept");
        return message;
    }

    /** The message comes, with all it had, and not before its time. */
    private static MessageExt arrives(Stage stage, Message message, long delay) throws Exception {
        Collected seen = new Collected();
        stage.collect("g", message.getTopic(), "*", seen);
        String at = message.getProperty(AT);
        long due = at == null ? System.currentTimeMillis() + delay : Long.parseLong(at);
        SendResult sent = stage.producer.send(message);
        Check.equal(SendStatus.SEND_OK, sent.getSendStatus(), "status");
        Check.eventually("delivery", () -> seen.size() > 0, seen::bodies);
        MessageExt got = seen.all().get(0);
        long late = got.getStoreTimestamp() - due;
        Facts.note("stored " + late + " ms after it was due, properties " + got.getProperties());
        Check.that(late >= (stage.endpoint.apache ? -APACHE_PRECISION_MS : 0), -late + " ms too early");
        Check.that(late < LATE_MS, late + " ms late");
        Check.equal(Stage.text(message), Stage.text(got), "body");
        Check.equal(message.getTopic(), got.getTopic(), "topic");
        Check.equal("A", got.getTags(), "tags");
        Check.equal("key", got.getKeys(), "keys");
        Check.equal("kept", got.getUserProperty("mine"), "property");
        Check.equal(sent.getMsgId(), got.getMsgId(), "unique id");
        Check.equal(0, got.getReconsumeTimes(), "reconsume times");
        seen.awaitExactly(Set.of(Stage.text(message)));
        return got;
    }

    private static void waits(Stage stage, String property, String value, long delay) throws Exception {
        String topic = stage.topic("t", 1);
        MessageExt got = arrives(stage, timed(topic, "m", property, value), delay);
        Check.equal(value, got.getProperty(property), property);
    }

    private static void deliverAt(Stage stage) throws Exception {
        arrives(stage, timed(stage.topic("t", 1), "m", AT, System.currentTimeMillis() + 2_500), 0);
    }

    private static void past(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        SendResult sent = stage.producer.send(timed(topic, "m", AT, System.currentTimeMillis() - 60_000));
        Check.equal(0L, sent.getQueueOffset(), "offset of what is due at once");
        Check.equal(1, stage.readAll(topic, 1).size(), "messages");
    }

    /** What is due earlier comes earlier, whoever was sent first. */
    private static void order(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        long now = System.currentTimeMillis();
        for (int seconds : new int[] {6, 2, 4}) {
            stage.producer.send(timed(topic, "m" + seconds, AT, now + seconds * 1_000L));
        }
        List<String> bodies = stage.readAll(topic, 3).stream().map(Stage::text).toList();
        Check.equal(List.of("m2", "m4", "m6"), bodies, "bodies");
    }

    private static void beyondHorizon(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.producer.send(timed(topic, "inside", SECONDS, HORIZON_S - 60));
        for (Message message : List.of(timed(topic, "m", SECONDS, HORIZON_S + 60),
            timed(topic, "m", MILLIS, (HORIZON_S + 60) * 1_000),
            timed(topic, "m", AT, System.currentTimeMillis() + (HORIZON_S + 60) * 1_000))) {
            Check.fails("a time beyond the horizon", () -> stage.producer.send(message)).withCode(Code.MESSAGE_ILLEGAL);
        }
        Check.equal(0L, stage.count(topic), "messages");
    }

    /** Clients refuse levels in a batch, those of 5.x times as well. Apache's brokers deliver times in a batch at once. */
    private static void batch(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        checkRefusedByClient(stage, List.of(timed(topic, "m", "DELAY", 3), timed(topic, "m", "DELAY", 3)));
        long due = System.currentTimeMillis() + 2_000;
        List<Message> timed = List.of(timed(topic, "m0", AT, due), timed(topic, "m1", AT, due));
        if (Versioned.CAN_RECALL) {
            checkRefusedByClient(stage, timed);
            return;
        }
        stage.producer.send(timed);
        List<MessageExt> got = stage.readAll(topic, 2);
        Check.equal(List.of("m0", "m1"), got.stream().map(Stage::text).toList(), "bodies");
        long early = due - got.get(0).getStoreTimestamp();
        Facts.note("messages of a batch with times are stored " + -early + " ms after their due time");
        Check.that(stage.endpoint.apache || early <= 0, early + " ms too early");
    }

    private static void checkRefusedByClient(Stage stage, List<Message> batch) throws Exception {
        try {
            stage.producer.send(batch);
        } catch (MQClientException e) {
            Check.that(e.getCause() instanceof UnsupportedOperationException, "refused with " + e);
            return;
        }
        throw new AssertionError("a batch of timed messages was accepted");
    }

    private static void recall(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        SendResult taken = stage.producer.send(timed(topic, "taken back", SECONDS, 5));
        stage.producer.send(timed(topic, "other", SECONDS, 5));
        Thread.sleep(1_500);
        Check.equal(taken.getMsgId(), Versioned.recall(stage.producer, topic, taken), "id of what was taken back");
        seen.await(Set.of("other"));
        Thread.sleep(3_000);
        Check.equal(Set.of("other"), seen.bodies(), "bodies");
        Check.equal(null, Versioned.handle(stage.producer.send(new Message(topic, Stage.bytes("at once")))), "handle");
    }

    /** What was delivered cannot be taken back; Apache says so only of what was due. */
    private static void recallLate(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        SendResult sent = stage.producer.send(timed(topic, "m", SECONDS, 2));
        stage.awaitCount(topic, 1);
        Thread.sleep(1_500);
        Check.fails("recall of what was delivered", () -> Versioned.recall(stage.producer, topic, sent))
            .withCode(Code.ILLEGAL_OPERATION);
        Check.equal(1L, stage.count(topic), "messages");
    }

    /** A group that refuses a message so often, at the broker's pace. */
    private static List<MessageExt> attempts(Stage stage, String topic, int refusals, int max) throws Exception {
        List<MessageExt> attempts = Collections.synchronizedList(new ArrayList<>());
        stage.prepareRetries("g", topic);
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.setMaxReconsumeTimes(max);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            attempts.addAll(messages);
            return messages.get(0).getReconsumeTimes() < refusals ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return attempts;
    }

    /** The time of the first delivery does not hold for its retry. */
    private static void refused(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<MessageExt> attempts = attempts(stage, topic, 1, 16);
        stage.producer.send(timed(topic, "m", SECONDS, 2));
        Check.eventually("a retry", () -> attempts.size() > 1, attempts::size);
        MessageExt retry = attempts.get(1);
        long pause = retry.getStoreTimestamp() - attempts.get(0).getStoreTimestamp();
        Facts.note("retried " + pause + " ms after it came first, properties " + retry.getProperties());
        Check.equal(1, retry.getReconsumeTimes(), "reconsume times");
        Check.equal(topic, retry.getTopic(), "topic");
        Check.equal("3", retry.getProperty("DELAY"), "DELAY");
        Check.that(pause >= 10_000 && pause < 10_000 + LATE_MS, "retried after " + pause + " ms");
    }

    private static void retryPolicy(Stage stage) throws Exception {
        for (String master : stage.endpoint.masters()) {
            stage.admin.createAndUpdateSubscriptionGroupConfig(master, Versioned.pacedGroup(stage.name("g"), 700, 2_500));
        }
        String topic = stage.topic("t", 1);
        List<MessageExt> attempts = attempts(stage, topic, 2, 16);
        stage.producer.send(timed(topic, "m", "mine", "kept"));
        // Apache's brokers leave the policy to its proxies: 10 s and 30 s here.
        int deliveries = stage.endpoint.apache ? 2 : 3;
        Check.eventually(deliveries + " deliveries", () -> attempts.size() >= deliveries, attempts::size);
        long[] expected = stage.endpoint.apache ? new long[] {10_000} : new long[] {700, 2_500};
        for (int i = 0; i < expected.length; i++) {
            long pause = attempts.get(i + 1).getStoreTimestamp() - attempts.get(i).getStoreTimestamp();
            Facts.note("pause " + i + ": " + pause + " ms, properties " + attempts.get(i + 1).getProperties());
            Check.that(pause >= expected[i] && pause < expected[i] + LATE_MS, "pause " + i + " is " + pause + " ms");
            Check.equal(i + 1, attempts.get(i + 1).getReconsumeTimes(), "reconsume times");
        }
    }

    /** What a dead letter knows of its life. */
    private static void deadLetter(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<MessageExt> attempts = attempts(stage, topic, Integer.MAX_VALUE, 0);
        SendResult sent = stage.producer.send(timed(topic, "m", "mine", "kept"));
        String dead = "%DLQ%" + stage.name("g");
        Check.eventuallyAnswers("a message in " + dead, () -> stage.count(dead) == 1);
        MessageExt letter = stage.readAll(dead, 1).get(0);
        Map<String, String> properties = letter.getProperties();
        Facts.note("dead letter: " + properties + ", reconsume times " + letter.getReconsumeTimes());
        Check.equal("m", Stage.text(letter), "body");
        Check.equal("A", letter.getTags(), "tags");
        Check.equal("key", letter.getKeys(), "keys");
        Check.equal("kept", properties.get("mine"), "property");
        Check.equal(sent.getMsgId(), properties.get("UNIQ_KEY"), "unique id");
        Check.equal(topic, properties.get("RETRY_TOPIC"), "RETRY_TOPIC");
        Check.equal(sent.getOffsetMsgId(), properties.get("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID");
        Check.equal(1, attempts.size(), "deliveries");
    }
}
