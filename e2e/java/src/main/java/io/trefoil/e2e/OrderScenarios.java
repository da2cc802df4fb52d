package io.trefoil.e2e;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.exception.RemotingException;

/**
 * `order --topic T --file F`: orderly consumers in processes of their own are killed at random while messages are sent by
 * order key; afterwards no key may show an inversion. `order-consumer` is such a process.
 */
final class OrderScenarios {
    private static final int KEYS = 12;
    private static final int CONSUMERS = 3;
    private static final int PAUSE_MS = 10;
    /** The node may be killed and started meanwhile. */
    private static final int SEND_LIMIT_MS = 30_000;
    /** One in so many messages is refused once. */
    private static final int REFUSED_ONE_IN = 50;
    /** The last takeover may wait for a lock of 60 s. */
    private static final int DRAIN_LIMIT_MS = 150_000;

    private OrderScenarios() {
    }

    /** Writes `key number` for each message that it consumed, in one append each. */
    static int consume(Options options) throws Exception {
        Path file = Path.of(options.required("file"));
        var out = Files.newByteChannel(file, StandardOpenOption.APPEND);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.required("topic") + "-g");
        consumer.setNamesrvAddr(options.nameServer());
        consumer.setPollNameServerInterval(2_000);
        consumer.setPersistConsumerOffsetInterval(1_000);
        consumer.setHeartbeatBrokerInterval(5_000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setSuspendCurrentQueueTimeMillis(50);
        consumer.subscribe(options.required("topic"), "*");
        Random random = new Random();
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            try {
                if (random.nextInt(REFUSED_ONE_IN) == 0) {
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                for (var message : messages) {
                    byte[] line = (new String(message.getBody(), StandardCharsets.UTF_8) + "\n").getBytes(StandardCharsets.UTF_8);
                    synchronized (out) {
                        out.write(java.nio.ByteBuffer.wrap(line));
                    }
                }
                return ConsumeOrderlyStatus.SUCCESS;
            } catch (java.io.IOException e) {
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
        });
        consumer.start();
        Thread.sleep(Long.MAX_VALUE);
        return 0;
    }

    static int run(Options options) throws Exception {
        String topic = options.required("topic");
        Path file = Path.of(options.required("file"));
        Files.deleteIfExists(file);
        Files.createFile(file);
        int seconds = options.number("seconds", 60);
        List<Process> consumers = new ArrayList<>();
        Map<String, Integer> sent = new HashMap<>();
        try (Endpoint endpoint = new Endpoint(options.nameServer())) {
            new Stage(endpoint, "order").createTopic(topic, 6, Stage.READ_WRITE);
            for (int i = 0; i < CONSUMERS; i++) {
                consumers.add(start(options));
            }
            Random random = new Random(options.number("size", 1));
            long end = System.currentTimeMillis() + seconds * 1000L;
            long nextKill = System.currentTimeMillis() + 15_000;
            while (System.currentTimeMillis() < end) {
                send(endpoint.producer, topic, "k" + random.nextInt(KEYS), sent);
                if (System.currentTimeMillis() >= nextKill) {
                    int victim = random.nextInt(CONSUMERS);
                    consumers.get(victim).destroyForcibly().waitFor();
                    System.out.println("killed consumer " + victim + ", " + lines(file) + " consumed");
                    consumers.set(victim, start(options));
                    nextKill = System.currentTimeMillis() + 3_000 + random.nextInt(12_000);
                }
                Thread.sleep(PAUSE_MS);
            }
            awaitDrained(file, sent);
        } finally {
            consumers.forEach(Process::destroyForcibly);
        }
        return judge(Files.readAllLines(file), sent);
    }

    private static long lines(Path file) throws Exception {
        try (var lines = Files.lines(file)) {
            return lines.count();
        }
    }

    private static void send(DefaultMQProducer producer, String topic, String key, Map<String, Integer> sent) throws Exception {
        int number = sent.getOrDefault(key, 0);
        long deadline = System.currentTimeMillis() + SEND_LIMIT_MS;
        while (true) {
            try {
                producer.send(new Message(topic, "A", Stage.bytes(key + " " + number)),
                    (queues, message, chosen) -> queues.get(Math.floorMod(chosen.hashCode(), queues.size())), key);
                sent.put(key, number + 1);
                return;
            } catch (MQClientException | MQBrokerException | RemotingException e) {
                // The node may be down: the same number again, so that a key has no gap.
                if (System.currentTimeMillis() > deadline) {
                    throw e;
                }
                Thread.sleep(100);
            }
        }
    }

    private static Process start(Options options) throws Exception {
        return new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx128m", "-cp",
            System.getProperty("java.class.path"), "io.trefoil.e2e.Main", "order-consumer", "--topic", options.required("topic"),
            "--file", options.required("file"), "--namesrv", options.nameServer()).inheritIO().start();
    }

    private static void awaitDrained(Path file, Map<String, Integer> sent) throws Exception {
        long deadline = System.currentTimeMillis() + DRAIN_LIMIT_MS;
        while (System.currentTimeMillis() < deadline) {
            Map<String, Integer> last = new HashMap<>();
            for (String line : Files.readAllLines(file)) {
                String[] parts = line.split(" ");
                last.merge(parts[0], Integer.parseInt(parts[1]) + 1, Math::max);
            }
            if (last.equals(sent)) {
                return;
            }
            Thread.sleep(500);
        }
        System.out.println("not everything was consumed within " + DRAIN_LIMIT_MS / 1000 + " s");
    }

    /** After a message of a key comes the next one, or, again, one that came before: never one that leaves others out. */
    private static int judge(List<String> lines, Map<String, Integer> sent) {
        Map<String, Integer> last = new HashMap<>();
        Map<String, Integer> highest = new HashMap<>();
        int inversions = 0;
        int again = 0;
        for (String line : lines) {
            String[] parts = line.split(" ");
            int number = Integer.parseInt(parts[1]);
            int before = last.getOrDefault(parts[0], -1);
            if (number > before + 1) {
                inversions++;
                System.out.println("inversion: key " + parts[0] + ": " + number + " after " + before);
            } else if (number <= before) {
                again++;
            }
            last.put(parts[0], number);
            highest.merge(parts[0], number + 1, Math::max);
        }
        boolean complete = highest.equals(sent);
        System.out.println(sent.values().stream().mapToInt(Integer::intValue).sum() + " sent, " + lines.size() + " deliveries, " + again
            + " went back, " + inversions + " inversions, " + (complete ? "complete" : "INCOMPLETE: " + highest + " of " + sent));
        return inversions == 0 && complete ? 0 : 1;
    }
}
