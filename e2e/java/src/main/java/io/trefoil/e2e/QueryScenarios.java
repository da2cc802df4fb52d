package io.trefoil.e2e;

import java.util.List;
import java.util.TreeSet;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Single messages by identifier and key. */
final class QueryScenarios {
    private static final long HOUR_MS = 3_600_000;

    private QueryScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("query-by-offset-id", QueryScenarios::byOffsetId);
        area.add("query-by-unique-id", QueryScenarios::byUniqueId);
        area.add("query-by-key", QueryScenarios::byKey);
        area.add("query-at-most", QueryScenarios::atMost);
        area.add("query-nothing", QueryScenarios::nothing);
    }

    private static void byOffsetId(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        SendResult sent = stage.producer.send(new Message(topic, "A", "k", Stage.bytes("m0")));
        MessageExt got = stage.admin.viewMessage(topic, sent.getOffsetMsgId());
        Check.equal("m0", Stage.text(got), "body");
        Check.equal(sent.getMsgId(), got.getMsgId(), "unique id");
        Check.equal(topic, got.getTopic(), "topic");
        Check.equal(sent.getQueueOffset(), got.getQueueOffset(), "queue offset");
    }

    private static void byUniqueId(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        SendResult sent = stage.producer.send(new Message(topic, "A", "k", Stage.bytes("m0")));
        Check.eventuallyAnswers("message by unique id",
            () -> Stage.text(stage.producer.viewMessage(topic, sent.getMsgId())).equals("m0"));
        MessageExt got = stage.admin.viewMessage(topic, sent.getMsgId());
        Check.equal(sent.getMsgId(), got.getMsgId(), "unique id");
    }

    private static void byKey(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        String other = stage.topic("other", 1);
        for (int i = 0; i < 5; i++) {
            stage.producer.send(new Message(topic, "A", i % 2 == 0 ? "even shared" : "odd shared", Stage.bytes("m" + i)));
        }
        stage.producer.send(new Message(other, "A", "even", Stage.bytes("elsewhere")));
        Check.eventuallyAnswers("5 messages by the shared key", () -> bodies(stage, topic, "shared", 32).size() == 5);
        Check.equal(new TreeSet<>(List.of("m0", "m2", "m4")), bodies(stage, topic, "even", 32), "by one of two keys");
        Check.equal(2, bodies(stage, topic, "shared", 2).size(), "messages when 2 are wanted");
        Check.fails("a time before them", () -> stage.admin.queryMessage(topic, "even", 32, 0, System.currentTimeMillis() - HOUR_MS));
    }

    /** A broker gives the newest 64, whatever is asked for. */
    private static void atMost(Stage stage) throws Exception {
        String topic = stage.name("t");
        String master = stage.endpoint.masters().get(0);
        stage.admin.createAndUpdateTopicConfig(master, new TopicConfig(topic, 2, 2, Stage.READ_WRITE));
        TreeSet<String> newest = new TreeSet<>();
        for (int i = 0; i < 70; i++) {
            stage.producer.send(new Message(topic, "A", "k", Stage.bytes("m" + i)));
            if (i >= 6) {
                newest.add("m" + i);
            }
        }
        Check.eventuallyAnswers("the newest", () -> newest.equals(bodies(stage, topic, "k", 500)));
    }

    private static TreeSet<String> bodies(Stage stage, String topic, String key, int most) throws Exception {
        TreeSet<String> bodies = new TreeSet<>();
        long now = System.currentTimeMillis();
        stage.producer.queryMessage(topic, key, most, now - HOUR_MS, now + HOUR_MS).getMessageList()
            .forEach(m -> bodies.add(Stage.text(m)));
        return bodies;
    }

    private static void nothing(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        SendResult sent = stage.producer.send(new Message(topic, Stage.bytes("m0")));
        Check.Failure key = Check.fails("an unknown key",
            () -> stage.admin.queryMessage(topic, "nobody", 32, 0, System.currentTimeMillis() + HOUR_MS));
        Facts.note("unknown key -> " + key);
        String far = sent.getOffsetMsgId().substring(0, 16) + "00000FFFFFFFFFFF";
        Check.Failure id = Check.fails("an offset id beyond the log", () -> stage.admin.viewMessage(topic, far));
        Facts.note("offset id beyond the log -> " + id);
        String within = sent.getOffsetMsgId().substring(0, 16)
            + String.format("%016X", Long.parseLong(sent.getOffsetMsgId().substring(16), 16) + 3);
        Check.Failure between = Check.fails("an offset id within a message", () -> stage.admin.viewMessage(topic, within));
        Facts.note("offset id within a message -> " + between);
    }
}
