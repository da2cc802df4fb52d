package io.trefoil.e2e;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * `verify --topic T --file F --namesrv A`: reads every queue of T from its first to its last offset and compares with the
 * acknowledgements in F: each must be at its place with its number and identifier, offsets must be dense. Messages
 * that were stored but not acknowledged are allowed (the sender never learned), each at most once.
 */
final class Verify {
    private static final int BATCH = 32;
    private static final int MOST_REPORTED = 20;
    private final Map<String, String> acknowledged = new HashMap<>();
    private final Map<String, String> numbers = new HashMap<>();
    private long count;
    private long stored;
    private long unacknowledged;
    private long faults;

    private Verify() {
    }

    static int run(Options options) throws Exception {
        Verify verify = new Verify();
        verify.load(Path.of(options.required("file")));
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("verify");
        consumer.setNamesrvAddr(options.nameServer());
        consumer.start();
        for (MessageQueue queue : new TreeSet<>(consumer.fetchSubscribeMessageQueues(options.required("topic")))) {
            verify.read(consumer, queue);
        }
        verify.acknowledged.forEach((place, what) -> verify.fault("acknowledged, not found: " + place + " " + what));
        System.out.println(verify.count + " acknowledged, " + verify.stored + " stored, " + verify.unacknowledged
            + " stored without acknowledgement, " + verify.faults + " faults");
        return verify.faults == 0 ? 0 : 1;
    }

    private void load(Path file) throws Exception {
        try (Stream<String> lines = Files.lines(file)) {
            lines.forEach(line -> {
                String[] part = line.split(" ");
                if (part.length != 5) {
                    return; // the last line of a process that was killed
                }
                String place = place(part[1], Integer.parseInt(part[2]), Long.parseLong(part[3]));
                if (acknowledged.put(place, part[0] + " " + part[4]) != null) {
                    fault("two acknowledgements for " + place);
                }
                numbers.put(part[0], place);
                count++;
            });
        }
    }

    private static String place(String broker, int queue, long offset) {
        return broker + "/" + queue + "@" + offset;
    }

    private void read(DefaultMQPullConsumer consumer, MessageQueue queue) throws Exception {
        long next = consumer.minOffset(queue);
        long max = consumer.maxOffset(queue);
        while (next < max) {
            PullResult got = consumer.pull(queue, "*", next, BATCH);
            if (got.getPullStatus() != PullStatus.FOUND) {
                fault("pull of " + queue + " at " + next + " of " + max + ": " + got);
                return;
            }
            for (MessageExt message : got.getMsgFoundList()) {
                if (message.getQueueOffset() != next) {
                    fault("offset " + message.getQueueOffset() + " where " + next + " is due in " + queue);
                }
                next = message.getQueueOffset() + 1;
                compare(queue, message);
            }
        }
    }

    private void compare(MessageQueue queue, MessageExt message) {
        stored++;
        String number = Stage.text(message).split(" ")[0];
        String here = place(queue.getBrokerName(), queue.getQueueId(), message.getQueueOffset());
        String expected = acknowledged.remove(here);
        if (expected == null) {
            unacknowledged++;
            String elsewhere = numbers.putIfAbsent("stored " + number, here);
            if (numbers.containsKey(number) || elsewhere != null) {
                fault("number " + number + " also at " + here);
            }
        } else if (!expected.equals(number + " " + message.getMsgId())) {
            fault("at " + here + " is " + number + " " + message.getMsgId() + ", acknowledged was " + expected);
        }
    }

    private void fault(String what) {
        if (++faults <= MOST_REPORTED) {
            System.out.println("FAULT " + what);
        }
    }
}
