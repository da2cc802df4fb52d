package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * What happens at bounds that hold for a whole node. They need one that was started with
 * `--segment-bytes 32MiB --retention-bytes 64MiB --client-requests-per-second 200`, so that `all` leaves them out.
 */
final class BoundScenarios {
    static final String AREA = "bounds";
    private static final int KEPT_MIB = 64;
    private static final int SEGMENT_MIB = 32;
    private static final int REQUESTS_PER_SECOND = 200;
    /** The node looks once a minute. */
    private static final long RETENTION_PATIENCE_MS = 75_000;

    private BoundScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("retention-by-size", BoundScenarios::retentionBySize);
        area.add("quota-client", BoundScenarios::clientQuota);
    }

    /** The oldest messages go, no more than asked for; consumers that are behind go on at the first that is left. */
    private static void retentionBySize(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        MessageQueue queue = stage.queues(topic).get(0);
        int sent = 4 * KEPT_MIB;
        byte[] body = new byte[1 << 20];
        new Random(1).nextBytes(body);
        List<SendResult> results = new ArrayList<>();
        for (int i = 0; i < sent; i++) {
            Message message = new Message(topic, body);
            message.setKeys("k" + i);
            results.add(stage.producer.send(message));
        }
        Stage.checkDense(results);
        long deadline = System.currentTimeMillis() + RETENTION_PATIENCE_MS;
        while (stage.admin.minOffset(queue) == 0 && System.currentTimeMillis() < deadline) {
            Thread.sleep(200);
        }
        long min = stage.admin.minOffset(queue);
        Facts.note(min + " of " + sent + " messages of 1 MiB are gone");
        Check.that(min > 0, "nothing was deleted within " + RETENTION_PATIENCE_MS / 1000 + " s");
        Check.that(sent - min >= KEPT_MIB - 1, "only " + (sent - min) + " MiB are left, " + KEPT_MIB + " must be kept");
        Check.that(sent - min <= KEPT_MIB + 2 * SEGMENT_MIB, (sent - min) + " MiB are left");
        PullResult behind = stage.endpoint.reader.pull(queue, "*", 0, 1);
        Check.equal(PullStatus.OFFSET_ILLEGAL, behind.getPullStatus(), "status of a pull of what is gone");
        Check.equal(min, behind.getNextBeginOffset(), "where to go on");
        Set<String> left = new TreeSet<>();
        for (long i = min; i < sent; i++) {
            left.add("k" + i);
        }
        Set<String> read = new TreeSet<>();
        stage.readQueue(queue).forEach(message -> read.add(message.getKeys()));
        Check.equal(left, read, "messages that are left");
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        Check.eventually("the rest is consumed", () -> seen.size() >= left.size(), seen::size);
        Set<String> consumed = new TreeSet<>();
        for (MessageExt message : seen.all()) {
            Check.that(consumed.add(message.getKeys()), message.getKeys() + " came twice");
        }
        Check.equal(left, consumed, "consumed messages");
        Check.equal("k" + (sent - 1), stage.admin.viewMessage(topic, results.get(sent - 1).getMsgId()).getKeys(), "the last");
    }

    /**
     * A client that is too fast is slowed down; what is more than a second ahead even so is refused, and nothing that the
     * client asks beside it waits so long that it gives up its connection. Another client does not notice.
     */
    private static void clientQuota(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        DefaultMQProducer fast = stage.producer("fast");
        fast.setRetryTimesWhenSendAsyncFailed(0);
        fast.start();
        long begin = System.nanoTime();
        int slowed = 3 * REQUESTS_PER_SECOND;
        for (int i = 0; i < slowed; i++) {
            fast.send(new Message(topic, Stage.bytes("m" + i)));
        }
        long seconds = (System.nanoTime() - begin) / 1_000_000_000;
        // One second is given in advance.
        Check.that(seconds >= 1, slowed + " sends within " + seconds + " s");
        int flood = 10 * REQUESTS_PER_SECOND;
        CountDownLatch done = new CountDownLatch(flood);
        AtomicInteger taken = new AtomicInteger();
        Set<String> unexpected = new ConcurrentSkipListSet<>();
        for (int i = 0; i < flood; i++) {
            fast.send(new Message(topic, new byte[2_000]), new SendCallback() {
                @Override
                public void onSuccess(SendResult sent) {
                    taken.incrementAndGet();
                    done.countDown();
                }

                @Override
                public void onException(Throwable failure) {
                    boolean isBusy = failure instanceof MQBrokerException busy && busy.getResponseCode() == Code.SYSTEM_BUSY;
                    if (!isBusy) {
                        unexpected.add("" + failure);
                    }
                    done.countDown();
                }
            });
        }
        DefaultMQProducer other = stage.producer("other");
        other.start();
        other.send(new Message(topic, Stage.bytes("other")));
        Check.that(done.await(60, TimeUnit.SECONDS), done.getCount() + " sends have no answer");
        Facts.note(slowed + " sends took " + seconds + " s; of " + flood + " at once " + taken + " were taken");
        Check.equal(Set.of(), unexpected, "failures");
        Check.that(taken.get() >= REQUESTS_PER_SECOND && taken.get() < flood, taken + " of " + flood + " were taken");
        stage.awaitCount(topic, slowed + taken.get() + 1);
    }
}
