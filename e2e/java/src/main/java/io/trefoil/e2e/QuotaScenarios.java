package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;

/** Rates that an operator sets. Apache's brokers have none. */
final class QuotaScenarios {
    private static final String MESSAGES = "quota.messages-per-second";
    private static final String BYTES = "quota.bytes-per-second";
    /** More than any quota here lets through at once. */
    private static final int MANY = 1_000;

    private QuotaScenarios() {
    }

    static void list(Scenario.Area area) {
        add(area, "quota-topic-messages", QuotaScenarios::topicMessages);
        add(area, "quota-topic-bytes", QuotaScenarios::topicBytes);
        add(area, "quota-batch", QuotaScenarios::batch);
        add(area, "quota-within", QuotaScenarios::within);
        add(area, "quota-group", QuotaScenarios::group);
        add(area, "quota-wrong", QuotaScenarios::wrong);
    }

    private static void add(Scenario.Area area, String name, Scenario.Body body) {
        area.add(name, stage -> {
            if (stage.endpoint.apache) {
                Facts.note("Apache has no quotas: " + name + " has nothing to show");
            } else {
                body.run(stage);
            }
        });
    }

    private static String topic(Stage stage, int queues, Map<String, String> changes) throws Exception {
        String topic = stage.name("t");
        change(stage, topic, queues, changes);
        stage.awaitRoute(topic, queues, Stage.READ_WRITE);
        return topic;
    }

    private static void change(Stage stage, String topic, int queues, Map<String, String> changes) throws Exception {
        for (String master : stage.endpoint.masters()) {
            Versioned.createTopic(stage, master, new TopicConfig(topic, queues, queues, Stage.READ_WRITE), changes);
        }
    }

    private static DefaultMQProducer started(Stage stage, String group, int retries) throws Exception {
        DefaultMQProducer producer = stage.producer(group);
        producer.setRetryTimesWhenSendFailed(retries);
        producer.start();
        return producer;
    }

    /** Sends until one is refused, and gives the bodies of those that were not. */
    private static Set<String> untilRefused(DefaultMQProducer producer, String topic, String body) throws Exception {
        Set<String> taken = new TreeSet<>();
        Check.fails(MANY + " messages at once", () -> {
            for (int i = 0; i < MANY; i++) {
                producer.send(new Message(topic, Stage.bytes(i + body)));
                taken.add(i + body);
            }
        }).withCode(Code.SYSTEM_BUSY).saying("over its quota");
        return taken;
    }

    /** Whoever is over the quota is told at once, nobody else is; what was taken is there, what was refused is not. */
    private static void topicMessages(Stage stage) throws Exception {
        String other = stage.topic("other", 1);
        String topic = topic(stage, 1, Map.of("+" + MESSAGES, "20"));
        DefaultMQProducer producer = started(stage, "p", 0);
        Set<String> taken = untilRefused(producer, topic, "");
        Check.that(taken.size() >= 20, "only " + taken.size() + " were taken at once");
        producer.send(new Message(other, Stage.bytes("elsewhere")));
        // The client's own retries come at once and are refused too: it is the sender who has to wait.
        DefaultMQProducer retrying = started(stage, "retrying", 2);
        taken.addAll(untilRefused(retrying, topic, " again"));
        Thread.sleep(1_500);
        producer.send(new Message(topic, Stage.bytes("later")));
        taken.add("later");
        Set<String> stored = new TreeSet<>();
        stage.readAll(topic, taken.size()).forEach(message -> stored.add(Stage.text(message)));
        Check.equal(taken, stored, "stored messages");
        change(stage, topic, 1, Map.of("-" + MESSAGES, ""));
        for (int i = 0; i < 100; i++) {
            producer.send(new Message(topic, Stage.bytes("free")));
        }
    }

    private static void topicBytes(Stage stage) throws Exception {
        String topic = topic(stage, 1, Map.of("+" + BYTES, "100000"));
        DefaultMQProducer producer = started(stage, "p", 0);
        // Nothing that a client would compress.
        int taken = untilRefused(producer, topic, ".".repeat(4_000)).size();
        Check.that(taken >= 20, "only " + taken + " were taken at once");
        stage.awaitCount(topic, taken);
        Thread.sleep(1_500);
        producer.send(new Message(topic, Stage.bytes("later")));
        stage.awaitCount(topic, taken + 1);
    }

    /** A batch counts as its messages; one that is larger than the quota passes when nothing is owed, and is owed then. */
    private static void batch(Stage stage) throws Exception {
        String topic = topic(stage, 1, Map.of("+" + MESSAGES, "10"));
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            batch.add(new Message(topic, Stage.bytes("m" + i)));
        }
        DefaultMQProducer producer = started(stage, "p", 0);
        producer.send(batch);
        Check.fails("a message behind it", () -> producer.send(new Message(topic, Stage.bytes("m"))))
            .withCode(Code.SYSTEM_BUSY);
        Check.fails("another batch", () -> producer.send(batch)).withCode(Code.SYSTEM_BUSY);
        Check.eventually("the next one passes", () -> {
            Check.Failure failure = Check.failure(() -> producer.send(new Message(topic, Stage.bytes("later"))));
            Check.that(failure == null || failure.code() == Code.SYSTEM_BUSY, "" + failure);
            return failure == null;
        });
        stage.awaitCount(topic, 51);
    }

    /** Who keeps to the rate is never refused. */
    private static void within(Stage stage) throws Exception {
        String topic = topic(stage, 1, Map.of("+" + MESSAGES, "100", "+" + BYTES, "100000"));
        for (int i = 0; i < 60; i++) {
            stage.producer.send(new Message(topic, Stage.bytes("m" + i)));
            Thread.sleep(20);
        }
        stage.awaitCount(topic, 60);
    }

    /** A group over its quota gets its messages later, none is lost and none comes twice; other groups do not notice. */
    private static void group(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        for (String master : stage.endpoint.masters()) {
            stage.admin.createAndUpdateSubscriptionGroupConfig(master,
                Versioned.groupWith(stage.name("slow"), Map.of("+" + MESSAGES, "5")));
            var seen = stage.admin.examineSubscriptionGroupConfig(master, stage.name("slow"));
            Check.equal(stage.name("slow"), seen.getGroupName(), "name");
        }
        Set<String> bodies = stage.sendNumbered(topic, "A", 0, 80);
        Collected slow = new Collected();
        Collected free = new Collected();
        long begin = System.nanoTime();
        stage.collect("slow", topic, "*", slow);
        stage.collect("free", topic, "*", free);
        free.await(bodies);
        int meanwhile = slow.size();
        slow.awaitExactly(bodies);
        long seconds = (System.nanoTime() - begin) / 1_000_000_000;
        Facts.note("80 messages at 5 a second after " + seconds + " s; " + meanwhile + " when the other group had all");
        // At most one second in advance, and one answer of 20 messages.
        Check.that(seconds >= (80 - 20 - 5) / 5 - 1, "80 messages came within " + seconds + " s");
        free.awaitExactly(bodies);
    }

    private static void wrong(Stage stage) throws Exception {
        for (String master : stage.endpoint.masters()) {
            for (String value : new String[] {"0", "-1", "many"}) {
                TopicConfig config = new TopicConfig(stage.name("t"), 1, 1, Stage.READ_WRITE);
                Check.fails("a quota of " + value, () -> Versioned.createTopic(stage, master, config, Map.of("+" + MESSAGES, value)))
                    .withCode(Code.INVALID_PARAMETER).saying(MESSAGES);
                Check.fails("a group's quota of " + value, () -> stage.admin.createAndUpdateSubscriptionGroupConfig(master,
                    Versioned.groupWith(stage.name("g"), Map.of("+" + MESSAGES, value)))).withCode(Code.INVALID_PARAMETER);
            }
        }
    }
}
