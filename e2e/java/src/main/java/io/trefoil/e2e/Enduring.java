package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * `endure --topic T [--seconds 60] --namesrv A;B`: sends and consumes in every way that clients have, while somebody restarts,
 * kills or exchanges brokers and name servers; no client is started again. Afterwards every acknowledged message must have
 * been consumed by each group (by each member, where the group broadcasts), refused ones must be dead letters, none may have
 * come before its time, and no queue of the orderly group may have a gap or a step back but those that takeovers explain.
 */
final class Enduring {
    private static final int MEMBERS = 2;
    private static final int QUEUES = 4;
    private static final int SEND_LIMIT_MS = 3_000;
    private static final int RATE_PAUSE_MS = 20;
    private static final int REPORT_MS = 5_000;
    private static final int MOST_SHOWN = 10;
    /** Retries may wait 10 s, a lock 60 s, and a broker that was just started has to be found. */
    private static final int DRAIN_LIMIT_MS = 100_000;
    private static final int KEYS = 20;
    /** Whole seconds are cut from the times of Apache's timed messages. */
    private static final int EARLY_MS = 1_000;

    private final Options options;
    private final String topic;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicLong next = new AtomicLong();
    private final AtomicInteger refused = new AtomicInteger();
    private final List<String> faults = new ArrayList<>();
    /** Bodies of acknowledged messages of the plain topic, of the orderly one, and of those that are refused for good. */
    private final Set<String> sent = ConcurrentHashMap.newKeySet();
    private final Set<String> sentInOrder = ConcurrentHashMap.newKeySet();
    private final Set<String> doomed = ConcurrentHashMap.newKeySet();
    /** What each reader was given, with how often. */
    private final Map<String, Map<String, Integer>> readers = new ConcurrentHashMap<>();
    private final Map<String, Long> furthest = new ConcurrentHashMap<>();

    private Enduring(Options options) {
        this.options = options;
        this.topic = options.required("topic");
    }

    static int run(Options options) throws Exception {
        return new Enduring(options).run();
    }

    private int run() throws Exception {
        try (Endpoint endpoint = new Endpoint(options.nameServer())) {
            Stage stage = new Stage(endpoint, "endure");
            stage.createTopic(topic, QUEUES, Stage.READ_WRITE);
            stage.createTopic(topic + "-order", QUEUES, Stage.READ_WRITE);
            for (int i = 0; i < MEMBERS; i++) {
                concurrent(stage);
                orderly(stage);
                listen(stage.push("dead"), "%DLQ%" + stage.name("g"), "dead");
                DefaultMQPushConsumer everything = stage.push("broadcast");
                Versioned.broadcast(everything);
                listen(everything, topic, "broadcast-" + i);
            }
            Thread lite = lite(stage);
            List<Thread> senders = List.of(sender(stage, () -> sendPlain(endpoint.producer)), sender(stage, () -> sendInOrder(endpoint.producer)));
            System.out.println("enduring");
            long end = System.currentTimeMillis() + options.number("seconds", 60) * 1000L;
            while (System.currentTimeMillis() < end) {
                Thread.sleep(REPORT_MS);
                report();
            }
            stop.set(true);
            for (Thread sender : senders) {
                sender.join();
            }
            drain();
            lite.interrupt();
            return judge();
        }
    }

    private void report() {
        StringBuilder text = new StringBuilder("sent " + sent.size() + "+" + sentInOrder.size() + " refused " + refused);
        readers.forEach((name, seen) -> text.append(", ").append(name).append(' ').append(seen.size()));
        System.out.println(text);
    }

    private interface Sending {
        void once() throws Exception;
    }

    private Thread sender(Stage stage, Sending sending) {
        Thread sender = new Thread(() -> {
            while (!stop.get()) {
                try {
                    Thread.sleep(RATE_PAUSE_MS);
                    sending.once();
                } catch (Exception e) {
                    // It may or may not have been stored: whoever sends goes on with another one.
                    if (refused.incrementAndGet() <= MOST_SHOWN || options.has("verbose")) {
                        System.out.println("refused: " + e.toString().replaceAll("\\s+", " "));
                    }
                }
            }
        });
        sender.start();
        return sender;
    }

    /** Of ten messages one is delayed by level, one timed, one refused once, one refused for good. */
    private void sendPlain(DefaultMQProducer producer) throws Exception {
        long number = next.getAndIncrement();
        long now = System.currentTimeMillis();
        String kind = switch ((int) (number % 10)) {
            case 3 -> "level";
            case 5 -> "timed";
            case 7 -> "once";
            case 9 -> number % 50 == 9 ? "dead" : "plain";
            default -> "plain";
        };
        String body = kind + " " + number + " " + now;
        Message message = new Message(topic, kind, "k" + number, Stage.bytes(body));
        if (kind.equals("level")) {
            message.setDelayTimeLevel(2);
        } else if (kind.equals("timed")) {
            MessageAccessor.putProperty(message, "TIMER_DELAY_SEC", "4");
        }
        if (producer.send(message, SEND_LIMIT_MS).getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("not stored safely");
        }
        (kind.equals("dead") ? doomed : sent).add(body);
    }

    private void sendInOrder(DefaultMQProducer producer) throws Exception {
        long number = next.getAndIncrement();
        String body = "order " + number + " " + System.currentTimeMillis();
        Message message = new Message(topic + "-order", "order", Stage.bytes(body));
        producer.send(message, (queues, m, key) -> queues.get((int) ((long) key % queues.size())), number % KEYS, SEND_LIMIT_MS);
        sentInOrder.add(body);
    }

    private void concurrent(Stage stage) throws Exception {
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.setMaxReconsumeTimes(2);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String body = Stage.text(message);
                if (body.startsWith("dead") || body.startsWith("once") && message.getReconsumeTimes() == 0) {
                    context.setDelayLevelWhenNextConsume(1);
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
                early(body);
                note("push", body);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    private void early(String body) {
        String[] part = body.split(" ");
        long age = System.currentTimeMillis() - Long.parseLong(part[2]);
        long due = part[0].equals("level") ? 5_000 : part[0].equals("timed") ? 4_000 : 0;
        if (due > 0 && age < due - EARLY_MS) {
            fault("came " + (due - age) + " ms early: " + body);
        }
    }

    private void orderly(Stage stage) throws Exception {
        DefaultMQPushConsumer consumer = stage.push("order");
        consumer.subscribe(topic + "-order", "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) {
                String queue = message.getBrokerName() + "/" + message.getQueueId();
                long offset = message.getQueueOffset();
                synchronized (furthest) {
                    long last = furthest.getOrDefault(queue, -1L);
                    if (offset > last + 1) {
                        fault("a gap in " + queue + ": " + offset + " after " + last);
                    }
                    furthest.put(queue, Math.max(last, offset));
                }
                note("order", Stage.text(message));
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
    }

    private void listen(DefaultMQPushConsumer consumer, String what, String reader) throws Exception {
        consumer.subscribe(what, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> note(reader, Stage.text(message)));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    private Thread lite(Stage stage) throws Exception {
        DefaultLitePullConsumer consumer = stage.litePull("lite");
        consumer.subscribe(topic, "*");
        consumer.start();
        Thread thread = new Thread(() -> {
            while (!Thread.currentThread().isInterrupted()) {
                consumer.poll(500).forEach(message -> note("lite", Stage.text(message)));
            }
        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private void note(String reader, String body) {
        readers.computeIfAbsent(reader, r -> new ConcurrentHashMap<>()).merge(body, 1, Integer::sum);
    }

    private synchronized void fault(String what) {
        faults.add(what);
    }

    /** Bodies that a reader has not been given yet. */
    private Set<String> missing(String reader) {
        Set<String> missing = new TreeSet<>(reader.equals("order") ? sentInOrder : reader.equals("dead") ? doomed : sent);
        missing.removeAll(readers.getOrDefault(reader, Map.of()).keySet());
        return missing;
    }

    private List<String> names() {
        List<String> names = new ArrayList<>(List.of("push", "dead", "order", "lite"));
        for (int i = 0; i < MEMBERS; i++) {
            names.add("broadcast-" + i);
        }
        return names;
    }

    private void drain() throws Exception {
        long begin = System.currentTimeMillis();
        while (System.currentTimeMillis() < begin + DRAIN_LIMIT_MS
            && !names().stream().allMatch(name -> missing(name).isEmpty())) {
            Thread.sleep(500);
        }
        System.out.printf("drained in %.1f s%n", (System.currentTimeMillis() - begin) / 1e3);
    }

    private int judge() {
        report();
        for (String name : names()) {
            complain(name + " was not given", missing(name));
            Map<String, Integer> seen = readers.getOrDefault(name, Map.of());
            int repeats = seen.values().stream().mapToInt(count -> count - 1).sum();
            System.out.println(name + ": " + seen.size() + " messages, " + repeats + " repeats");
        }
        Set<String> wrong = new TreeSet<>(readers.getOrDefault("dead", Map.of()).keySet());
        wrong.removeIf(body -> body.startsWith("dead"));
        complain("dead letters of messages that were consumed", wrong);
        faults.stream().limit(MOST_SHOWN).forEach(fault -> System.out.println("FAULT " + fault));
        System.out.println(sent.size() + sentInOrder.size() + doomed.size() + " acknowledged, " + refused + " refused, " + faults.size() + " faults");
        return faults.isEmpty() ? 0 : 1;
    }

    private void complain(String what, Set<String> bodies) {
        if (!bodies.isEmpty()) {
            fault(what + ": " + bodies.size() + ", as " + bodies.stream().limit(MOST_SHOWN).toList());
        }
    }
}
