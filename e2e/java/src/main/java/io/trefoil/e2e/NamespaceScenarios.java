package io.trefoil.e2e;

import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** Clients that put a namespace before every name: `space%topic`, `%RETRY%space%group`. */
final class NamespaceScenarios {
    private NamespaceScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("namespace-constructor", stage -> roundTrip(stage, true));
        area.add("namespace-setter", stage -> roundTrip(stage, false));
        area.add("namespace-second-way", NamespaceScenarios::secondWay);
        area.add("namespace-apart", NamespaceScenarios::apart);
        area.add("namespace-dead-letter", NamespaceScenarios::deadLetter);
    }

    private static DefaultMQProducer producer(Stage stage, String space, boolean byConstructor) throws Exception {
        DefaultMQProducer producer =
            byConstructor ? new DefaultMQProducer(space, stage.name("p"), null) : new DefaultMQProducer(stage.name("p"));
        stage.endpoint.configure(producer);
        if (!byConstructor) {
            Versioned.setNamespace(producer, space);
        }
        producer.setSendMsgTimeout(10_000);
        stage.endsWith(producer::shutdown);
        producer.start();
        return producer;
    }

    private static DefaultMQPushConsumer consumer(Stage stage, String space, boolean byConstructor) {
        DefaultMQPushConsumer consumer =
            byConstructor ? Versioned.consumerIn(space, stage.name("g")) : new DefaultMQPushConsumer(stage.name("g"));
        stage.endpoint.configure(consumer);
        if (!byConstructor) {
            Versioned.setNamespace(consumer, space);
        }
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        stage.endsWith(consumer::shutdown);
        return consumer;
    }

    /** The topic comes into being with the first send; one message is retried. */
    private static void roundTrip(Stage stage, boolean byConstructor) throws Exception {
        String space = "ns" + (byConstructor ? "c" : "s");
        String topic = stage.name("t");
        DefaultMQProducer producer = producer(stage, space, byConstructor);
        SendResult sent = producer.send(new Message(topic, "A", Stage.bytes("m0")));
        Facts.note("sent to " + sent.getMessageQueue());
        Collected seen = new Collected();
        AtomicInteger refusals = new AtomicInteger(1);
        DefaultMQPushConsumer consumer = consumer(stage, space, byConstructor);
        consumer.subscribe(topic, "A");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            if (refusals.getAndDecrement() > 0) {
                context.setDelayLevelWhenNextConsume(1);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            seen.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        seen.awaitExactly(Set.of("m0"));
        Check.equal(topic, seen.all().get(0).getTopic(), "topic as the listener sees it");
        Check.equal(1, seen.all().get(0).getReconsumeTimes(), "deliveries before");
        producer.send(new Message(topic, "A", Stage.bytes("m1")));
        seen.awaitExactly(Set.of("m0", "m1"));
        String wrapped = space + "%" + topic;
        String group = space + "%" + stage.name("g");
        Set<String> topics = stage.admin.fetchAllTopicList().getTopicList();
        Check.that(topics.contains(wrapped), wrapped + " is not listed");
        Check.that(!topics.contains(topic), topic + " is listed without its namespace");
        Check.that(topics.contains("%RETRY%" + group), "%RETRY%" + group + " is not listed");
        Check.equal(2L, stage.count(wrapped), "messages");
        Check.eventuallyAnswers("the group is level", () -> stage.admin.examineConsumeStats(group, wrapped).getOffsetTable()
            .values().stream().allMatch(o -> o.getBrokerOffset() == o.getConsumerOffset()));
        Check.equal(1, stage.admin.examineConsumerConnectionInfo(group).getConnectionSet().size(), "members");
        Check.that(stage.admin.examineConsumerConnectionInfo(group).getSubscriptionTable().containsKey(wrapped),
            "the subscription lost its namespace");
    }

    /**
     * The 5.x clients' other setter leaves the names alone and sends the namespace beside them, for proxies. Apache's broker
     * does not look at it.
     */
    private static void secondWay(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        DefaultMQProducer producer = new DefaultMQProducer(stage.name("p"));
        stage.endpoint.configure(producer);
        Versioned.setSecondNamespace(producer, "ns2");
        stage.endsWith(producer::shutdown);
        producer.start();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(stage.name("g"));
        stage.endpoint.configure(consumer);
        Versioned.setSecondNamespace(consumer, "ns2");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        stage.endsWith(consumer::shutdown);
        Collected seen = new Collected();
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(Stage.listening(seen));
        consumer.start();
        producer.send(new Message(topic, "A", Stage.bytes("m0")));
        seen.awaitExactly(Set.of("m0"));
        Check.equal(1L, stage.count(topic), "messages in " + topic);
    }

    /** The same names in two namespaces, and in none, have nothing to do with each other. */
    private static void apart(Stage stage) throws Exception {
        String topic = stage.name("t");
        Collected[] seen = {new Collected(), new Collected()};
        String[] spaces = {"one", "two"};
        for (int i = 0; i < 2; i++) {
            producer(stage, spaces[i], false).send(new Message(topic, "A", Stage.bytes(spaces[i])));
            DefaultMQPushConsumer consumer = consumer(stage, spaces[i], false);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(Stage.listening(seen[i]));
            consumer.start();
        }
        for (int i = 0; i < 2; i++) {
            seen[i].awaitExactly(Set.of(spaces[i]));
        }
    }

    private static void deadLetter(Stage stage) throws Exception {
        String space = "nsd";
        String topic = stage.name("t");
        DefaultMQProducer producer = producer(stage, space, false);
        producer.send(new Message(topic, "A", Stage.bytes("poison")));
        DefaultMQPushConsumer consumer = consumer(stage, space, false);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(-1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        String dead = "%DLQ%" + space + "%" + stage.name("g");
        Check.eventuallyAnswers("the dead letter", () -> stage.count(dead) == 1);
        Facts.note("dead letter " + stage.readAll(dead, 1).get(0));
    }
}
