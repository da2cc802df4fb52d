package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** What is refused, by whom, and with which code. */
final class LimitScenarios {
    private LimitScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("body-too-large", LimitScenarios::bodyTooLarge);
        area.add("body-empty", LimitScenarios::bodyEmpty);
        area.add("batch-too-large", LimitScenarios::batchTooLarge);
        area.add("properties-too-large", LimitScenarios::propertiesTooLarge);
        area.add("topic-name-illegal", LimitScenarios::illegalTopic);
        area.add("topic-auto-created", LimitScenarios::autoCreated);
        area.add("topic-unknown", LimitScenarios::unknown);
        area.add("topic-read-only", LimitScenarios::readOnly);
        area.add("topic-write-only", LimitScenarios::writeOnly);
        area.add("topic-reserved", LimitScenarios::reserved);
        area.add("queue-out-of-range", LimitScenarios::queueOutOfRange);
    }

    private static void bodyTooLarge(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        byte[] body = new byte[5 << 20];
        new Random(3).nextBytes(body);
        Check.fails("5 MiB for the client", () -> stage.producer.send(new Message(topic, body)))
            .withCode(Code.MESSAGE_ILLEGAL).saying("4194304");
        DefaultMQProducer unlimited = stage.producer("unlimited");
        unlimited.setMaxMessageSize(16 << 20);
        unlimited.start();
        Check.fails("5 MiB for the server", () -> unlimited.send(new Message(topic, body))).withCode(Code.MESSAGE_ILLEGAL);
        Check.equal(SendStatus.SEND_OK, unlimited.send(new Message(topic, Stage.bytes("still served"))).getSendStatus(), "next send");
    }

    private static void bodyEmpty(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Check.fails("empty body", () -> stage.producer.send(new Message(topic, new byte[0]))).withCode(Code.MESSAGE_ILLEGAL);
    }

    private static void batchTooLarge(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        DefaultMQProducer unlimited = stage.producer("unlimited");
        unlimited.setMaxMessageSize(16 << 20);
        unlimited.start();
        Random random = new Random(5);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            byte[] body = new byte[1 << 20];
            random.nextBytes(body);
            messages.add(new Message(topic, body));
        }
        // Apache answers 1 with a Java exception's text here, and 13 for one message of that size.
        Check.Failure failure = Check.fails("a batch of 6 MiB", () -> unlimited.send(messages));
        Facts.note("batch of 6 MiB -> " + failure);
        Check.that(failure.code() == Code.MESSAGE_ILLEGAL || failure.code() == Code.SYSTEM_ERROR, "" + failure);
        Check.equal(0L, stage.count(topic), "stored messages");
    }

    private static void propertiesTooLarge(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Message message = new Message(topic, Stage.bytes("m"));
        message.putUserProperty("long", "x".repeat(40_000));
        Check.fails("40,000 bytes of properties", () -> stage.producer.send(message)).withCode(Code.MESSAGE_ILLEGAL);
        Message fits = new Message(topic, Stage.bytes("m"));
        fits.putUserProperty("long", "x".repeat(30_000));
        stage.producer.send(fits);
        Check.equal(30_000, stage.readAll(topic, 1).get(0).getUserProperty("long").length(), "length of the property");
    }

    private static void illegalTopic(Stage stage) throws Exception {
        for (String name : new String[] {"bad topic", "bad!topic", "bad/topic", "x".repeat(128)}) {
            Check.fails("the client sends to " + name, () -> stage.producer.send(new Message(name, Stage.bytes("m"))));
            for (String master : stage.endpoint.masters()) {
                Check.Failure failure = Check.fails("the server creates " + name,
                    () -> stage.admin.createAndUpdateTopicConfig(master, new TopicConfig(name)));
                Facts.note("create \"" + name + "\" -> " + failure);
                Check.that(failure.code() == Code.SYSTEM_ERROR || failure.code() == Code.INVALID_PARAMETER, "" + failure);
            }
        }
    }

    private static void autoCreated(Stage stage) throws Exception {
        String topic = stage.name("t");
        Check.equal(SendStatus.SEND_OK, stage.producer.send(new Message(topic, Stage.bytes("m0"))).getSendStatus(), "status");
        stage.awaitRoute(topic, 4, Stage.READ_WRITE);
        stage.producer.send(new Message(topic, Stage.bytes("m1")));
        stage.awaitCount(topic, 2);
    }

    private static void unknown(Stage stage) throws Exception {
        String known = stage.topic("known", 1);
        String topic = stage.name("t");
        DefaultMQProducer strict = stage.producer("strict");
        strict.setCreateTopicKey(stage.name("no-template"));
        strict.start();
        // A 5.x client takes the route of TBW102 whatever template is set, so that the broker has to refuse.
        Check.Failure none = Check.fails("no route", () -> strict.send(new Message(topic, Stage.bytes("m"))));
        Check.that(none.code() == Code.NO_ROUTE || none.code() == Code.TOPIC_NOT_EXIST, "" + none);
        strict.send(new Message(known, Stage.bytes("teaches the client the broker's address")));
        MessageQueue queue = new MessageQueue(topic, stage.queues(known).get(0).getBrokerName(), 0);
        Check.fails("unknown topic, no template", () -> strict.send(new Message(topic, Stage.bytes("m")), queue))
            .withCode(Code.TOPIC_NOT_EXIST);
        Check.fails("route of nothing", () -> stage.admin.examineTopicRouteInfo(topic)).withCode(Code.TOPIC_NOT_EXIST);
    }

    private static void readOnly(Stage stage) throws Exception {
        String known = stage.topic("known", 1);
        stage.producer.send(new Message(known, Stage.bytes("m")));
        String topic = stage.name("t");
        stage.createTopic(topic, 2, Stage.READ_ONLY);
        DefaultMQProducer strict = stage.producer("strict");
        strict.start();
        Check.fails("no writable queue", () -> strict.send(new Message(topic, Stage.bytes("m"))));
        strict.send(new Message(known, Stage.bytes("m")));
        MessageQueue queue = new MessageQueue(topic, stage.queues(known).get(0).getBrokerName(), 0);
        // Apache checks the broker's permission only, and stores the message; refusing it is as good.
        try {
            Facts.note("send to a queue of a read-only topic -> " + strict.send(new Message(topic, Stage.bytes("m")), queue));
        } catch (MQBrokerException e) {
            Facts.note("send to a queue of a read-only topic -> " + e.getResponseCode() + " " + e.getErrorMessage());
            Check.equal(Code.NO_PERMISSION, e.getResponseCode(), "code of " + e.getErrorMessage());
        }
    }

    private static void writeOnly(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.producer.send(new Message(topic, Stage.bytes("m")));
        MessageQueue queue = stage.queues(topic).get(0);
        stage.createTopic(topic, 1, 2);
        Check.fails("pull from a write-only topic", () -> stage.endpoint.reader.pull(queue, "*", 0, 1))
            .withCode(Code.NO_PERMISSION);
    }

    private static void reserved(Stage stage) throws Exception {
        String known = stage.topic("known", 1);
        stage.producer.send(new Message(known, Stage.bytes("m")));
        Check.fails("send to SCHEDULE_TOPIC_XXXX",
            () -> stage.producer.send(new Message("SCHEDULE_TOPIC_XXXX", Stage.bytes("m"))));
        for (String master : stage.endpoint.masters()) {
            Check.Failure failure = Check.fails("create TBW102",
                () -> stage.admin.createAndUpdateTopicConfig(master, new TopicConfig("TBW102")));
            Facts.note("create TBW102 -> " + failure);
        }
    }

    private static void queueOutOfRange(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        stage.producer.send(new Message(topic, Stage.bytes("m")));
        String broker = stage.queues(topic).get(0).getBrokerName();
        DefaultMQProducer own = stage.producer("own");
        own.start();
        own.send(new Message(topic, Stage.bytes("m")));
        Check.Failure send = Check.fails("send to queue 99",
            () -> own.send(new Message(topic, Stage.bytes("m")), new MessageQueue(topic, broker, 99)));
        Facts.note("send to queue 99 -> " + send);
        Check.equal(Code.INVALID_PARAMETER, send.code(), "code of " + send);
        Check.Failure pull = Check.fails("pull from queue 99",
            () -> stage.endpoint.reader.pull(new MessageQueue(topic, broker, 99), "*", 0, 1));
        Facts.note("pull from queue 99 -> " + pull);
        Check.that(pull.code() == Code.SYSTEM_ERROR || pull.code() == Code.INVALID_PARAMETER, "" + pull);
    }
}
