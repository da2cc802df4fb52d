package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.Message;

/**
 * Members of one group that want different things. Apache brokers lose what the owner of a queue did not ask for; there the
 * scenarios only note what arrived.
 */
final class DivisionScenarios {
    private static final int EACH = 60;

    private DivisionScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("division-tags", DivisionScenarios::tags);
        area.add("division-topics", DivisionScenarios::topics);
        area.add("division-rolling", DivisionScenarios::rolling);
        area.add("division-return", DivisionScenarios::returns);
        area.add("division-retry", DivisionScenarios::retry);
        area.add("division-broadcast", DivisionScenarios::broadcast);
        area.add("division-topics-overlap", DivisionScenarios::overlap);
    }

    private static Set<String> send(Stage stage, String topic, String tag, int from) throws Exception {
        Set<String> bodies = new TreeSet<>();
        for (int i = from; i < from + EACH; i++) {
            String body = tag + i;
            stage.producer.send(new Message(topic, tag, Stage.bytes(body)));
            bodies.add(body);
        }
        return bodies;
    }

    private static void expect(Stage stage, Set<String> expected, Collected... seen) throws Exception {
        Check.Condition complete = () -> {
            Set<String> all = new TreeSet<>();
            for (Collected some : seen) {
                all.addAll(some.bodies());
            }
            return all.containsAll(expected);
        };
        if (stage.endpoint.keepsDividedGroups()) {
            Check.eventually("delivery of " + expected.size() + " messages", complete, () -> missing(expected, seen));
            return;
        }
        Thread.sleep(5_000);
        Facts.note("missing of " + expected.size() + ": " + missing(expected, seen).size());
    }

    private static Set<String> missing(Set<String> expected, Collected... seen) {
        Set<String> missing = new TreeSet<>(expected);
        for (Collected some : seen) {
            missing.removeAll(some.bodies());
        }
        return missing;
    }

    private static void awaitMembers(Stage stage, int members) throws Exception {
        Check.eventuallyAnswers(members + " members",
            () -> stage.admin.examineConsumerConnectionInfo(stage.name("g")).getConnectionSet().size() == members);
    }

    private static void tags(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        Collected a = new Collected();
        Collected b = new Collected();
        stage.collect("g", topic, "a", a);
        stage.collect("g", topic, "b", b);
        awaitMembers(stage, 2);
        Set<String> wantedA = send(stage, topic, "a", 0);
        Set<String> wantedB = send(stage, topic, "b", 0);
        expect(stage, wantedA, a);
        expect(stage, wantedB, b);
        if (stage.endpoint.keepsDividedGroups()) {
            a.awaitExactly(wantedA);
            b.awaitExactly(wantedB);
            Check.eventuallyAnswers("the group is level", () -> stage.lag("g", topic) == 0);
        }
    }

    private static void topics(Stage stage) throws Exception {
        String one = stage.topic("one", 4);
        String two = stage.topic("two", 4);
        Collected ofOne = new Collected();
        Collected ofTwo = new Collected();
        stage.collect("g", one, "*", ofOne);
        stage.collect("g", two, "*", ofTwo);
        awaitMembers(stage, 2);
        Set<String> wantedOne = send(stage, one, "x", 0);
        Set<String> wantedTwo = send(stage, two, "y", 0);
        expect(stage, wantedOne, ofOne);
        expect(stage, wantedTwo, ofTwo);
    }

    /** Old members want one tag, new ones two; members are replaced one by one while messages flow. */
    private static void rolling(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        List<DefaultMQPushConsumer> old = new ArrayList<>();
        Collected byOld = new Collected();
        Collected byNew = new Collected();
        for (int i = 0; i < 2; i++) {
            old.add(stage.collect("g", topic, "a", byOld));
        }
        awaitMembers(stage, 2);
        Set<String> a = send(stage, topic, "a", 0);
        Set<String> b = new TreeSet<>();
        for (int i = 0; i < 2; i++) {
            stage.collect("g", topic, "a || b", byNew);
            awaitMembers(stage, 3);
            b.addAll(send(stage, topic, "b", i * EACH));
            a.addAll(send(stage, topic, "a", (2 * i + 1) * EACH));
            old.get(i).shutdown();
            awaitMembers(stage, 2);
            a.addAll(send(stage, topic, "a", (2 * i + 2) * EACH));
        }
        expect(stage, a, byOld, byNew);
        expect(stage, b, byNew);
    }

    /** What a member would have got while it was away is there when it comes back. */
    private static void returns(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected a = new Collected();
        Collected b = new Collected();
        DefaultMQPushConsumer leaving = stage.collect("g", topic, "a", a);
        stage.collect("g", topic, "b", b);
        awaitMembers(stage, 2);
        Set<String> wantedA = send(stage, topic, "a", 0);
        expect(stage, wantedA, a);
        leaving.shutdown();
        awaitMembers(stage, 1);
        wantedA.addAll(send(stage, topic, "a", EACH));
        Set<String> wantedB = send(stage, topic, "b", 0);
        expect(stage, wantedB, b);
        stage.collect("g", topic, "a", a);
        expect(stage, wantedA, a);
    }

    /** A message that is retried comes back to a member that asked for its tag. */
    private static void retry(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected a = new Collected();
        Collected b = new Collected();
        stage.collect("g", topic, "a", a);
        DefaultMQPushConsumer refusing = stage.push("g");
        refusing.subscribe(topic, "b");
        refusing.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently) (messages, context) -> {
            if (messages.get(0).getReconsumeTimes() == 0) {
                context.setDelayLevelWhenNextConsume(1);
                return org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            b.add(messages);
            return org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        refusing.start();
        awaitMembers(stage, 2);
        stage.producer.send(new Message(topic, "b", Stage.bytes("b0")));
        stage.producer.send(new Message(topic, "a", Stage.bytes("a0")));
        expect(stage, new TreeSet<>(Set.of("b0")), b);
        expect(stage, new TreeSet<>(Set.of("a0")), a);
        if (stage.endpoint.keepsDividedGroups()) {
            Check.equal(Set.of("a0"), a.bodies(), "what the other member got");
        }
    }

    /** Members that broadcast get all that they asked for; those that share lose nothing to them. */
    private static void broadcast(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        Collected all = new Collected();
        Collected a = new Collected();
        Collected b = new Collected();
        broadcasting(stage, topic, "*", all);
        broadcasting(stage, topic, "a", a);
        stage.collect("g", topic, "b", b);
        awaitMembers(stage, 3);
        Set<String> wantedA = send(stage, topic, "a", 0);
        Set<String> wantedB = send(stage, topic, "b", 0);
        Set<String> both = new TreeSet<>(wantedA);
        both.addAll(wantedB);
        expect(stage, both, all);
        expect(stage, wantedA, a);
        expect(stage, wantedB, b);
    }

    private static void broadcasting(Stage stage, String topic, String filter, Collected seen) throws Exception {
        DefaultMQPushConsumer consumer = stage.push("g");
        Versioned.broadcast(consumer);
        consumer.subscribe(topic, filter);
        consumer.registerMessageListener(Stage.listening(seen));
        consumer.start();
    }

    /** Two members share one topic, and each has another one for itself. */
    private static void overlap(Stage stage) throws Exception {
        String shared = stage.topic("shared", 4);
        String one = stage.topic("one", 2);
        String two = stage.topic("two", 2);
        Collected first = new Collected();
        Collected second = new Collected();
        for (Object[] member : new Object[][] {{one, first}, {two, second}}) {
            DefaultMQPushConsumer consumer = stage.push("g");
            consumer.subscribe(shared, "*");
            consumer.subscribe((String) member[0], "*");
            consumer.registerMessageListener(Stage.listening((Collected) member[1]));
            consumer.start();
        }
        awaitMembers(stage, 2);
        Set<String> wantedShared = send(stage, shared, "s", 0);
        Set<String> wantedOne = send(stage, one, "x", 0);
        Set<String> wantedTwo = send(stage, two, "y", 0);
        expect(stage, wantedShared, first, second);
        expect(stage, wantedOne, first);
        expect(stage, wantedTwo, second);
    }
}
