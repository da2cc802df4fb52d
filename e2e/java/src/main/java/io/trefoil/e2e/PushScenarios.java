package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Push consumers: delivery, filters, sharing of queues, start positions, order. */
final class PushScenarios {
    /** A message to an idle consumer must arrive within this, as the median of several. */
    private static final long LONG_POLL_LIMIT_MS = 200;

    /** Without the server's notice a consumer looks at its group every 20 seconds. */
    private static final long NOTICE_LIMIT_MS = 12_000;

    private PushScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("push-all-once", PushScenarios::allOnce);
        area.add("push-tags", PushScenarios::tags);
        area.add("push-tag-hash-collision", PushScenarios::collision);
        area.add("push-two-topics", PushScenarios::twoTopics);
        area.add("push-rebalance", PushScenarios::rebalance);
        area.add("push-two-groups", PushScenarios::twoGroups);
        area.add("push-broadcast", PushScenarios::broadcast);
        area.add("push-from-first", PushScenarios::fromFirst);
        area.add("push-from-last", PushScenarios::fromLast);
        area.add("push-from-timestamp", PushScenarios::fromTimestamp);
        area.add("push-offset-kept", PushScenarios::offsetKept);
        area.add("push-long-poll", PushScenarios::longPoll);
        area.add("push-orderly", PushScenarios::orderly);
        area.add("push-orderly-suspended", PushScenarios::orderlySuspended);
        area.add("push-orderly-takeover", PushScenarios::orderlyTakeover);
    }

    private static void allOnce(Stage stage) throws Exception {
        String topic = stage.topic("t", 3);
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 200);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        sent.addAll(stage.sendNumbered(topic, "B", 200, 200));
        seen.awaitExactly(sent);
    }

    private static void tags(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected two = new Collected();
        Collected all = new Collected();
        Collected one = new Collected();
        stage.collect("two", topic, "A || B", two);
        stage.collect("all", topic, "*", all);
        stage.collect("one", topic, "C", one);
        Set<String> a = stage.sendNumbered(topic, "A", 0, 20);
        Set<String> b = stage.sendNumbered(topic, "B", 20, 20);
        Set<String> c = stage.sendNumbered(topic, "C", 40, 20);
        Set<String> none = stage.sendNumbered(topic, null, 60, 5);
        Set<String> both = union(a, b);
        two.awaitExactly(both);
        one.awaitExactly(c);
        all.awaitExactly(union(union(both, c), none));
    }

    /** "Aa" and "BB" have one hash; the server may let both through, the listener must see its own only. */
    private static void collision(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        stage.collect("g", topic, "Aa", seen);
        stage.sendNumbered(topic, "BB", 0, 10);
        seen.awaitExactly(stage.sendNumbered(topic, "Aa", 10, 10));
    }

    private static void twoTopics(Stage stage) throws Exception {
        String first = stage.topic("first", 2);
        String second = stage.topic("second", 2);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.subscribe(first, "*");
        consumer.subscribe(second, "X");
        consumer.registerMessageListener(Stage.listening(seen));
        consumer.start();
        Set<String> wanted = stage.sendNumbered(first, "A", 0, 20);
        stage.sendNumbered(second, "Y", 20, 20);
        wanted.addAll(stage.sendNumbered(second, "X", 40, 20));
        seen.awaitExactly(wanted);
    }

    private static int owned(DefaultMQPushConsumer consumer, String topic) {
        return (int) consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(q -> q.getTopic().equals(topic)).count();
    }

    private static void rebalance(Stage stage) throws Exception {
        String topic = stage.topic("t", 8);
        int queues = stage.queues(topic).size();
        Collected seen = new Collected();
        DefaultMQPushConsumer first = stage.collect("g", topic, "*", seen);
        Check.eventually("first owns all queues", () -> owned(first, topic) == queues, () -> owned(first, topic));
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 40);
        seen.await(sent);
        long begin = System.currentTimeMillis();
        DefaultMQPushConsumer second = stage.collect("g", topic, "*", seen);
        Check.eventually("queues are shared", () -> owned(first, topic) == queues / 2 && owned(second, topic) == queues / 2,
            () -> owned(first, topic) + " and " + owned(second, topic));
        long shared = System.currentTimeMillis() - begin;
        Facts.note("shared after " + shared + " ms");
        Check.that(shared < NOTICE_LIMIT_MS, "shared after " + shared + " ms: no notice from the server?");
        sent.addAll(stage.sendNumbered(topic, "A", 40, 40));
        seen.await(sent);
        begin = System.currentTimeMillis();
        first.shutdown();
        Check.eventually("the second takes over", () -> owned(second, topic) == queues, () -> owned(second, topic));
        long took = System.currentTimeMillis() - begin;
        Facts.note("taken over after " + took + " ms");
        Check.that(took < NOTICE_LIMIT_MS, "taken over after " + took + " ms: no notice from the server?");
        sent.addAll(stage.sendNumbered(topic, "A", 80, 40));
        seen.await(sent);
        Check.equal(sent, seen.bodies(), "received bodies");
    }

    private static void twoGroups(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected first = new Collected();
        Collected second = new Collected();
        stage.collect("g1", topic, "*", first);
        stage.collect("g2", topic, "*", second);
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 30);
        first.awaitExactly(sent);
        second.awaitExactly(sent);
    }

    private static DefaultMQPushConsumer broadcasting(Stage stage, String group, String topic, Collected seen, ConsumeFromWhere where)
        throws Exception {
        DefaultMQPushConsumer consumer = stage.push(group);
        Versioned.broadcast(consumer);
        consumer.setConsumeFromWhere(where);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(Stage.listening(seen));
        consumer.start();
        return consumer;
    }

    private static void broadcast(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        Collected first = new Collected();
        Collected second = new Collected();
        broadcasting(stage, "g", topic, first, ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        broadcasting(stage, "g", topic, second, ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 40);
        first.awaitExactly(sent);
        second.awaitExactly(sent);
    }

    private static void fromFirst(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 20);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        seen.awaitExactly(sent);
    }

    /**
     * With offsets at the broker, a new group starts at 0 wherever a queue still has its first message: the server
     * answers 0, not "unknown". Broadcasting keeps offsets at the client, so there LAST means last.
     */
    private static void fromLast(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Set<String> old = stage.sendNumbered(topic, "A", 0, 10);
        Collected broadcast = new Collected();
        DefaultMQPushConsumer last = broadcasting(stage, "b", topic, broadcast, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        Check.eventually("the queue is owned", () -> owned(last, topic) == stage.queues(topic).size());
        Collected clustered = new Collected();
        DefaultMQPushConsumer consumer = stage.push("c");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(Stage.listening(clustered));
        consumer.start();
        Set<String> fresh = stage.sendNumbered(topic, "A", 10, 10);
        broadcast.awaitExactly(fresh);
        clustered.awaitExactly(union(old, fresh));
    }

    private static void fromTimestamp(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.sendNumbered(topic, "A", 0, 10);
        // The client states the time in whole seconds.
        Thread.sleep(1_100);
        long second = System.currentTimeMillis() / 1000 * 1000 + 1000;
        Thread.sleep(second - System.currentTimeMillis() + 50);
        Set<String> fresh = stage.sendNumbered(topic, "A", 10, 10);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.push("g");
        Versioned.broadcast(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
        consumer.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(second));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(Stage.listening(seen));
        consumer.start();
        seen.awaitExactly(fresh);
    }

    private static void offsetKept(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        Collected before = new Collected();
        DefaultMQPushConsumer first = stage.collect("g", topic, "*", before);
        before.awaitExactly(stage.sendNumbered(topic, "A", 0, 50));
        first.shutdown();
        stage.awaitCommitted("g", topic);
        Set<String> fresh = stage.sendNumbered(topic, "A", 50, 50);
        Collected after = new Collected();
        stage.collect("g", topic, "*", after);
        after.awaitExactly(fresh);
    }

    private static void longPoll(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Map<String, Long> arrived = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(m -> arrived.put(Stage.text(m), System.nanoTime()));
            return org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        stage.producer.send(new Message(topic, Stage.bytes("first")));
        Check.eventually("first message", () -> arrived.containsKey("first"));
        List<Long> latencies = new ArrayList<>();
        for (int i = 0; i < 11; i++) {
            Thread.sleep(150);
            String body = "m" + i;
            long begin = System.nanoTime();
            stage.producer.send(new Message(topic, Stage.bytes(body)));
            Check.eventually("delivery", () -> arrived.containsKey(body));
            latencies.add((arrived.get(body) - begin) / 1_000_000);
        }
        latencies.sort(null);
        Facts.note("send to delivery, sorted, ms: " + latencies);
        long median = latencies.get(latencies.size() / 2);
        Check.that(median < LONG_POLL_LIMIT_MS, "median " + median + " ms of " + latencies);
    }

    private static MessageListenerOrderly inOrder(Map<Integer, List<String>> byQueue, Map<Integer, Thread> busy, List<String> faults) {
        return (messages, context) -> {
            int queue = context.getMessageQueue().getQueueId();
            if (busy.put(queue, Thread.currentThread()) != null) {
                faults.add("queue " + queue + " consumed by two threads at once");
            }
            List<String> seen = byQueue.computeIfAbsent(queue, q -> new ArrayList<>());
            for (MessageExt message : messages) {
                seen.add(Stage.text(message));
            }
            busy.remove(queue);
            return ConsumeOrderlyStatus.SUCCESS;
        };
    }

    private static Map<Integer, List<String>> sendOrdered(Stage stage, String topic, int from, int count) throws Exception {
        Map<Integer, List<String>> sent = new ConcurrentHashMap<>();
        for (int i = from; i < from + count; i++) {
            var result = stage.producer.send(new Message(topic, Stage.bytes("m" + i)),
                (queues, message, key) -> queues.get((int) key % queues.size()), i);
            sent.computeIfAbsent(result.getMessageQueue().getQueueId(), q -> new ArrayList<>()).add("m" + i);
        }
        return sent;
    }

    private static int size(Map<Integer, List<String>> byQueue) {
        return byQueue.values().stream().mapToInt(List::size).sum();
    }

    private static void orderly(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        Map<Integer, List<String>> seen = new ConcurrentHashMap<>();
        List<String> faults = java.util.Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inOrder(seen, new ConcurrentHashMap<>(), faults));
        consumer.start();
        Map<Integer, List<String>> sent = sendOrdered(stage, topic, 0, 100);
        Check.eventually("100 messages", () -> size(seen) >= 100, () -> seen);
        Check.equal(sent, seen, "messages by queue");
        Check.that(faults.isEmpty(), "" + faults);
    }

    private static void orderlySuspended(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<String> attempts = java.util.Collections.synchronizedList(new ArrayList<>());
        AtomicInteger refusals = new AtomicInteger(2);
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.setSuspendCurrentQueueTimeMillis(200);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            String body = Stage.text(messages.get(0));
            attempts.add(body);
            return body.equals("m1") && refusals.getAndDecrement() > 0
                ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        stage.sendNumbered(topic, "A", 0, 3);
        List<String> expected = Arrays.asList("m0", "m1", "m1", "m1", "m2");
        Check.eventually("all attempts", () -> attempts.size() >= expected.size(), () -> attempts);
        Check.equal(expected, new ArrayList<>(attempts), "attempts");
    }

    /** The queue locks of one that leaves pass to the other; each queue's order holds across the change. */
    private static void orderlyTakeover(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        int queues = stage.queues(topic).size();
        Map<Integer, List<String>> seen = new ConcurrentHashMap<>();
        Map<Integer, Thread> busy = new ConcurrentHashMap<>();
        List<String> faults = java.util.Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer[] both = new DefaultMQPushConsumer[2];
        for (int i = 0; i < 2; i++) {
            both[i] = stage.push("g");
            both[i].subscribe(topic, "*");
            both[i].registerMessageListener(inOrder(seen, busy, faults));
            both[i].start();
        }
        Check.eventually("queues are shared",
            () -> owned(both[0], topic) == queues / 2 && owned(both[1], topic) == queues / 2,
            () -> owned(both[0], topic) + " and " + owned(both[1], topic));
        Map<Integer, List<String>> sent = sendOrdered(stage, topic, 0, 40);
        Check.eventually("40 messages", () -> size(seen) >= 40, () -> seen);
        both[0].shutdown();
        Check.eventually("takeover", () -> owned(both[1], topic) == queues, () -> owned(both[1], topic));
        sendOrdered(stage, topic, 40, 40).forEach((queue, more) -> sent.get(queue).addAll(more));
        Check.eventually("80 messages", () -> size(seen) >= 80, () -> seen);
        Check.equal(sent, seen, "messages by queue");
        Check.that(faults.isEmpty(), "" + faults);
    }

    private static Set<String> union(Set<String> left, Set<String> right) {
        Set<String> union = new TreeSet<>(left);
        union.addAll(right);
        return union;
    }
}
