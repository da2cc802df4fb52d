package io.trefoil.e2e;

import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * `timing --topic T [--count 100000] [--size 1024] [--queues 4] --namesrv A`: sends timed messages, each due 3 to 8 s after it was
 * sent, waits until all are delivered, reads them, and prints how late the broker stored them where consumers find them. What
 * is refused is sent again. Ends with 1 unless each came, and none twice.
 */
final class Timing {
    private static final long EARLIEST_MS = 3_000;
    private static final long LATEST_MS = 8_000;
    private static final int IN_FLIGHT = 512;
    private static final int READ_AT_A_TIME = 32;
    private static final long LOOK_AGAIN_MS = 500;
    /** How long a broker may need for what is due. */
    private static final long PATIENCE_MS = 120_000;
    private final Semaphore window = new Semaphore(IN_FLIGHT);
    private final ConcurrentLinkedQueue<Integer> again = new ConcurrentLinkedQueue<>();
    private final AtomicLong refused = new AtomicLong();
    private final String topic;
    private final int count;
    private final String padding;

    private Timing(Options options) {
        this.topic = options.required("topic");
        this.count = options.number("count", 100_000);
        this.padding = ".".repeat(options.number("size", 1024));
    }

    static int run(Options options) throws Exception {
        Timing timing = new Timing(options);
        Counting.createTopic(options);
        DefaultMQPullConsumer reader = new DefaultMQPullConsumer("timing-reader");
        reader.setNamesrvAddr(options.nameServer());
        reader.start();
        timing.send(options.nameServer());
        timing.awaitDelivery(reader);
        return timing.read(reader) ? 0 : 1;
    }

    private void send(String nameServer) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("timing");
        producer.setNamesrvAddr(nameServer);
        producer.setSendMsgTimeout(10_000);
        producer.setRetryTimesWhenSendAsyncFailed(0);
        producer.start();
        for (int number = 0; number < count; number++) {
            send(producer, number);
        }
        window.acquire(IN_FLIGHT);
        window.release(IN_FLIGHT);
        for (Integer number = again.poll(); number != null; number = again.poll()) {
            send(producer, number);
            if (again.isEmpty()) {
                window.acquire(IN_FLIGHT);
                window.release(IN_FLIGHT);
            }
        }
        producer.shutdown();
    }

    private void send(DefaultMQProducer producer, int number) throws Exception {
        window.acquire();
        long due = System.currentTimeMillis() + ThreadLocalRandom.current().nextLong(EARLIEST_MS, LATEST_MS);
        Message message = new Message(topic, Stage.bytes(number + " " + due + " " + padding));
        MessageAccessor.putProperty(message, "TIMER_DELIVER_MS", Long.toString(due));
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult sent) {
                if (sent.getSendStatus() != SendStatus.SEND_OK) {
                    repeat(number);
                }
                window.release();
            }

            @Override
            public void onException(Throwable failure) {
                repeat(number);
                window.release();
            }
        });
    }

    private void repeat(int number) {
        refused.incrementAndGet();
        again.add(number);
    }

    private void awaitDelivery(DefaultMQPullConsumer reader) throws Exception {
        long deadline = System.currentTimeMillis() + LATEST_MS + PATIENCE_MS;
        while (delivered(reader) < count && System.currentTimeMillis() < deadline) {
            Thread.sleep(LOOK_AGAIN_MS);
        }
    }

    private long delivered(DefaultMQPullConsumer reader) throws Exception {
        long delivered = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
            delivered += reader.maxOffset(queue) - reader.minOffset(queue);
        }
        return delivered;
    }

    private boolean read(DefaultMQPullConsumer reader) throws Exception {
        BitSet seen = new BitSet(count);
        long[] late = new long[count];
        int repeated = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
            long max = reader.maxOffset(queue);
            for (long next = reader.minOffset(queue); next < max;) {
                PullResult got = reader.pull(queue, "*", next, READ_AT_A_TIME);
                Check.equal(PullStatus.FOUND, got.getPullStatus(), "pull of " + queue + " at " + next + " of " + max);
                for (MessageExt message : got.getMsgFoundList()) {
                    String[] words = Stage.text(message).split(" ", 3);
                    int number = Integer.parseInt(words[0]);
                    repeated += seen.get(number) ? 1 : 0;
                    seen.set(number);
                    late[number] = message.getStoreTimestamp() - Long.parseLong(words[1]);
                }
                next = got.getNextBeginOffset();
            }
        }
        Arrays.sort(late);
        System.out.printf("{\"count\":%d,\"delivered\":%d,\"repeated\":%d,\"refused\":%d,\"early\":%d,\"late_p50_ms\":%d,"
            + "\"late_p99_ms\":%d,\"late_max_ms\":%d}%n", count, seen.cardinality(), repeated, refused.get(),
            Arrays.stream(late).filter(ms -> ms < 0).count(), late[count / 2], late[(int) (count * 0.99)], late[count - 1]);
        // A send that failed at its sender may have been stored all the same.
        return seen.cardinality() == count && repeated <= refused.get();
    }
}
