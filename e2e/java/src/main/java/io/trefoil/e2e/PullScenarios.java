package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Pull consumers, plain and lite, and the offsets of queues and groups. */
final class PullScenarios {
    private static final int QUIET_POLLS = 3;

    private PullScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("pull-offsets", PullScenarios::offsets);
        area.add("pull-filter", PullScenarios::filter);
        area.add("pull-block", PullScenarios::block);
        area.add("pull-group-offset", PullScenarios::groupOffset);
        area.add("pull-queue-bounds", PullScenarios::bounds);
        area.add("pull-by-time", PullScenarios::byTime);
        area.add("lite-assign", PullScenarios::liteAssign);
        area.add("lite-subscribe", PullScenarios::liteSubscribe);
        area.add("lite-commit", PullScenarios::liteCommit);
    }

    private static MessageQueue only(Stage stage, String topic) throws Exception {
        return stage.queues(topic).get(0);
    }

    private static void offsets(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        MessageQueue queue = only(stage, topic);
        DefaultMQPullConsumer consumer = stage.pull("g");
        PullResult empty = consumer.pull(queue, "*", 0, 32);
        Check.equal(PullStatus.NO_NEW_MSG, empty.getPullStatus(), "status at 0 of an empty queue");
        PullResult beyondEmpty = consumer.pull(queue, "*", 5, 32);
        Check.equal(PullStatus.OFFSET_ILLEGAL, beyondEmpty.getPullStatus(), "status at 5 of an empty queue");
        Check.equal(0L, beyondEmpty.getNextBeginOffset(), "corrected offset of an empty queue");
        stage.sendNumbered(topic, "A", 0, 100);
        stage.awaitCount(topic, 100);
        PullResult some = consumer.pull(queue, "*", 10, 7);
        Check.equal(PullStatus.FOUND, some.getPullStatus(), "status in the middle");
        Check.equal(7, some.getMsgFoundList().size(), "messages when 7 are wanted");
        Check.equal("m10", Stage.text(some.getMsgFoundList().get(0)), "first message from 10");
        Check.equal(17L, some.getNextBeginOffset(), "next offset");
        Check.equal(0L, some.getMinOffset(), "min offset");
        Check.equal(100L, some.getMaxOffset(), "max offset");
        Check.equal(32, consumer.pull(queue, "*", 0, 64).getMsgFoundList().size(), "messages when 64 are wanted");
        Check.equal(1, consumer.pull(queue, "*", 99, 32).getMsgFoundList().size(), "messages at the end");
        PullResult end = consumer.pull(queue, "*", 100, 32);
        Check.equal(PullStatus.NO_NEW_MSG, end.getPullStatus(), "status at the end");
        Check.equal(100L, end.getNextBeginOffset(), "next offset at the end");
        PullResult beyond = consumer.pull(queue, "*", 1000, 32);
        Check.equal(PullStatus.OFFSET_ILLEGAL, beyond.getPullStatus(), "status beyond the end");
        Check.equal(100L, beyond.getNextBeginOffset(), "corrected offset beyond the end");
        Check.fails("a negative offset", () -> consumer.pull(queue, "*", -1, 32));
    }

    private static void filter(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        MessageQueue queue = only(stage, topic);
        DefaultMQPullConsumer consumer = stage.pull("g");
        for (int i = 0; i < 30; i++) {
            stage.sendNumbered(topic, i % 3 == 0 ? "fizz" : "plain", i, 1);
        }
        stage.awaitCount(topic, 30);
        List<String> got = new ArrayList<>();
        long next = 0;
        while (next < 30) {
            PullResult result = consumer.pull(queue, "fizz", next, 32);
            if (result.getPullStatus() == PullStatus.FOUND) {
                result.getMsgFoundList().forEach(m -> got.add(Stage.text(m)));
            }
            Check.that(result.getNextBeginOffset() > next, "no progress at " + next + ": " + result);
            next = result.getNextBeginOffset();
        }
        Check.equal(List.of("m0", "m3", "m6", "m9", "m12", "m15", "m18", "m21", "m24", "m27"), got, "filtered messages");
        PullResult none = consumer.pull(queue, "never", 0, 32);
        Check.equal(PullStatus.NO_MATCHED_MSG, none.getPullStatus(), "status when nothing matches");
        Facts.note("nothing matches: next offset " + none.getNextBeginOffset());
        Check.that(none.getNextBeginOffset() > 0, "no progress when nothing matches");
    }

    private static void block(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        MessageQueue queue = only(stage, topic);
        DefaultMQPullConsumer consumer = stage.pull("g");
        Thread sender = new Thread(() -> {
            try {
                Thread.sleep(500);
                stage.sendNumbered(topic, "A", 0, 1);
            } catch (Exception e) {
                System.err.println("delayed send: " + e);
            }
        });
        long begin = System.currentTimeMillis();
        sender.start();
        PullResult result = consumer.pullBlockIfNotFound(queue, "*", 0, 32);
        long waited = System.currentTimeMillis() - begin;
        Check.equal(PullStatus.FOUND, result.getPullStatus(), "status");
        Check.that(waited >= 400 && waited < 5_000, "waited " + waited + " ms for a message sent after 500 ms");
    }

    private static void groupOffset(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        MessageQueue queue = only(stage, topic);
        stage.sendNumbered(topic, "A", 0, 10);
        DefaultMQPullConsumer consumer = stage.pull("g");
        consumer.pull(queue, "*", 0, 10);
        Facts.note("offset of a group that never committed: " + consumer.fetchConsumeOffset(queue, true));
        consumer.updateConsumeOffset(queue, 7);
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persistAll(new HashSet<>(Set.of(queue)));
        Check.eventually("committed offset 7", () -> consumer.fetchConsumeOffset(queue, true) == 7,
            () -> consumer.fetchConsumeOffset(queue, true));
        consumer.shutdown();
        DefaultMQPullConsumer again = stage.pull("g");
        long kept = again.getDefaultMQPullConsumerImpl().getOffsetStore().readOffset(queue, ReadOffsetType.READ_FROM_STORE);
        Check.equal(7L, kept, "offset after a restart");
    }

    private static void bounds(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        MessageQueue queue = only(stage, topic);
        Check.equal(0L, stage.admin.minOffset(queue), "min of an empty queue");
        Check.equal(0L, stage.admin.maxOffset(queue), "max of an empty queue");
        Facts.note("earliest store time of an empty queue: " + stage.admin.earliestMsgStoreTime(queue));
        stage.producer.send(new Message(topic, Stage.bytes("m0")), queue);
        stage.producer.send(new Message(topic, Stage.bytes("m1")), queue);
        stage.awaitCount(topic, 2);
        Check.equal(0L, stage.admin.minOffset(queue), "min");
        Check.equal(2L, stage.admin.maxOffset(queue), "max");
        Check.equal(stage.readQueue(queue).get(0).getStoreTimestamp(), stage.admin.earliestMsgStoreTime(queue), "earliest store time");
        Check.equal(2L, stage.producer.maxOffset(queue), "max asked by a producer");
    }

    private static void byTime(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        MessageQueue queue = only(stage, topic);
        for (int i = 0; i < 5; i++) {
            stage.sendNumbered(topic, "A", i, 1);
            Thread.sleep(60);
        }
        List<MessageExt> messages = stage.readAll(topic, 5);
        for (int i = 0; i < 5; i++) {
            Check.equal((long) i, stage.admin.searchOffset(queue, messages.get(i).getStoreTimestamp()), "offset at message " + i);
        }
        for (int i = 1; i < 5; i++) {
            long between = messages.get(i).getStoreTimestamp() - 20;
            Facts.note("between " + (i - 1) + " and " + i + ": " + stage.admin.searchOffset(queue, between));
            Check.equal((long) i, stage.admin.searchOffset(queue, between), "offset just before message " + i);
        }
        Check.equal(0L, stage.admin.searchOffset(queue, messages.get(0).getStoreTimestamp() - 100_000), "offset long ago");
        long future = stage.admin.searchOffset(queue, System.currentTimeMillis() + 100_000);
        Facts.note("in the future: " + future + " of max " + stage.admin.maxOffset(queue));
        Check.equal(5L, future, "offset in the future");
    }

    /** Polls until nothing more arrives. */
    private static List<String> drain(DefaultLitePullConsumer consumer, int atLeast) throws Exception {
        List<String> got = new ArrayList<>();
        int quiet = 0;
        long deadline = System.currentTimeMillis() + Check.PATIENCE_MS;
        while ((quiet < QUIET_POLLS || got.size() < atLeast) && System.currentTimeMillis() < deadline) {
            List<MessageExt> polled = consumer.poll(200);
            polled.forEach(m -> got.add(Stage.text(m)));
            quiet = polled.isEmpty() ? quiet + 1 : 0;
        }
        return got;
    }

    private static List<String> numbered(int from, int to) {
        List<String> bodies = new ArrayList<>();
        for (int i = from; i < to; i++) {
            bodies.add("m" + i);
        }
        return bodies;
    }

    private static void liteAssign(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.sendNumbered(topic, "A", 0, 20);
        DefaultLitePullConsumer consumer = stage.litePull("g");
        consumer.setAutoCommit(false);
        consumer.start();
        var queues = consumer.fetchMessageQueues(topic);
        Check.equal(stage.queues(topic).size(), queues.size(), "queues");
        consumer.assign(queues);
        MessageQueue queue = queues.iterator().next();
        // The pull that assign began may take the seek for its own and be thrown away with what it brought: ask again then.
        List<String> all = List.of();
        for (int attempt = 0; attempt < 3 && !all.equals(numbered(0, 20)); attempt++) {
            consumer.seekToBegin(queue);
            all = drain(consumer, 20);
        }
        Check.equal(numbered(0, 20), all, "all from the beginning");
        consumer.seek(queue, 15);
        Check.equal(numbered(15, 20), drain(consumer, 5), "after seek to 15");
        consumer.seekToEnd(queue);
        stage.sendNumbered(topic, "A", 20, 5);
        Check.equal(numbered(20, 25), drain(consumer, 5), "after seek to the end");
        consumer.pause(queues);
        stage.sendNumbered(topic, "A", 25, 5);
        // A pull that waits at the server when the pause begins may still bring something.
        List<String> got = drain(consumer, 0);
        Check.that(got.size() < 5, "the pause held nothing back: " + got);
        consumer.resume(queues);
        got.addAll(drain(consumer, 5 - got.size()));
        Check.equal(numbered(25, 30), got, "while paused and after resume");
        Check.equal(0L, consumer.offsetForTimestamp(queue, System.currentTimeMillis() - 3_600_000), "offset an hour ago");
        Check.fails("seek beyond the end", () -> consumer.seek(queue, 1000));
    }

    private static long committed(DefaultLitePullConsumer consumer, List<MessageQueue> queues) throws Exception {
        long sum = 0;
        for (MessageQueue queue : queues) {
            sum += consumer.committed(queue);
        }
        return sum;
    }

    private static void liteSubscribe(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        DefaultLitePullConsumer first = stage.litePull("g");
        first.subscribe(topic, "A");
        first.start();
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 40);
        List<String> got = drain(first, 40);
        Check.equal(sent, new java.util.TreeSet<>(got), "polled messages");
        Check.equal(40, got.size(), "number of messages");
        Check.eventually("40 messages committed", () -> {
            first.commitSync();
            return committed(first, stage.queues(topic)) == stage.count(topic);
        }, () -> committed(first, stage.queues(topic)) + " of " + stage.count(topic));
        first.shutdown();
        DefaultLitePullConsumer second = stage.litePull("g");
        second.subscribe(topic, "A");
        second.start();
        stage.sendNumbered(topic, "B", 40, 10);
        Set<String> fresh = stage.sendNumbered(topic, "A", 50, 20);
        Check.equal(fresh, new java.util.TreeSet<>(drain(second, 20)), "after a restart of the group");
    }

    private static void liteCommit(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.sendNumbered(topic, "A", 0, 10);
        DefaultLitePullConsumer consumer = stage.litePull("g");
        consumer.setAutoCommit(false);
        consumer.start();
        MessageQueue queue = only(stage, topic);
        consumer.assign(List.of(queue));
        consumer.seekToBegin(queue);
        drain(consumer, 10);
        Facts.note("committed before any commit: " + consumer.committed(queue));
        consumer.commitSync();
        Check.eventually("committed 10", () -> consumer.committed(queue) == 10, () -> consumer.committed(queue));
        consumer.shutdown();
        DefaultLitePullConsumer again = stage.litePull("g");
        again.setAutoCommit(false);
        again.start();
        again.assign(List.of(queue));
        stage.sendNumbered(topic, "A", 10, 3);
        Check.equal(numbered(10, 13), drain(again, 3), "from the committed offset");
    }
}
