package io.trefoil.e2e;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What one scenario works with: its own names, and clients that end with it. */
final class Stage implements AutoCloseable {
    static final int READ_WRITE = 6;
    static final int READ_ONLY = 4;

    final Endpoint endpoint;
    final DefaultMQAdminExt admin;
    final DefaultMQProducer producer;
    private final String prefix;
    private final Deque<Runnable> endings = new ArrayDeque<>();

    Stage(Endpoint endpoint, String scenario) {
        this.endpoint = endpoint;
        this.admin = endpoint.admin;
        this.producer = endpoint.producer;
        this.prefix = endpoint.run + "-" + scenario;
    }

    /** A name that nothing else uses. */
    String name(String what) {
        return prefix + "-" + what;
    }

    /** Creates a topic on every master and waits until its route is known. */
    String topic(String what, int queues) throws Exception {
        String topic = name(what);
        createTopic(topic, queues, READ_WRITE);
        return topic;
    }

    void createTopic(String topic, int queues, int perm) throws Exception {
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(queues);
        config.setWriteQueueNums(queues);
        config.setPerm(perm);
        for (String master : endpoint.masters()) {
            admin.createAndUpdateTopicConfig(master, config);
        }
        awaitRoute(topic, queues, perm);
    }

    void awaitRoute(String topic, int queues, int perm) throws Exception {
        int brokers = endpoint.masters().size();
        Check.eventuallyAnswers("route of " + topic, () -> {
            var route = admin.examineTopicRouteInfo(topic).getQueueDatas();
            return route.size() == brokers && route.stream().allMatch(
                q -> q.getReadQueueNums() == queues && q.getWriteQueueNums() == queues && q.getPerm() == perm);
        });
    }

    DefaultMQProducer producer(String group) throws Exception {
        DefaultMQProducer own = new DefaultMQProducer(name(group));
        endpoint.configure(own);
        own.setSendMsgTimeout(10_000);
        own.setRetryTimesWhenSendFailed(0);
        endings.push(own::shutdown);
        return own;
    }

    /** What to do when the scenario is over; the last comes first. */
    void endsWith(Runnable ending) {
        endings.push(ending);
    }

    DefaultMQPushConsumer push(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(name(group));
        endpoint.configure(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(2);
        endings.push(consumer::shutdown);
        return consumer;
    }

    /** A started push consumer that puts everything it gets into `seen`. */
    DefaultMQPushConsumer collect(String group, String topic, String filter, Collected seen) throws Exception {
        DefaultMQPushConsumer consumer = push(group);
        consumer.subscribe(topic, filter);
        consumer.registerMessageListener(listening(seen));
        consumer.start();
        return consumer;
    }

    static org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently listening(Collected seen) {
        return (messages, context) -> {
            seen.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
    }

    /**
     * Makes the group's retry topic known to the name server. A consumer looks for new queues every 20 seconds only,
     * and the retry topic comes into being with the first heartbeat of its group.
     */
    void prepareRetries(String group, String topic) throws Exception {
        DefaultMQPushConsumer first = collect(group, topic, "*", new Collected());
        Check.eventuallyAnswers("route of the retry topic",
            () -> !admin.examineTopicRouteInfo("%RETRY%" + name(group)).getQueueDatas().isEmpty());
        first.shutdown();
    }

    /** How many messages of `topic` the group has not consumed, by its committed offsets. */
    long lag(String group, String topic) throws Exception {
        return admin.examineConsumeStats(name(group), topic).getOffsetTable().values().stream()
            .mapToLong(o -> o.getBrokerOffset() - o.getConsumerOffset()).sum();
    }

    /** Waits for what a consumer commits, which nobody answers. */
    void awaitCommitted(String group, String topic) throws Exception {
        Check.eventuallyAnswers("commits of " + group, () -> lag(group, topic) == 0);
    }

    DefaultLitePullConsumer litePull(String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(name(group));
        endpoint.configure(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        endings.push(consumer::shutdown);
        return consumer;
    }

    DefaultMQPullConsumer pull(String group) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(name(group));
        endpoint.configure(consumer);
        consumer.start();
        endings.push(consumer::shutdown);
        return consumer;
    }

    /** All queues of a topic, sorted. */
    List<MessageQueue> queues(String topic) throws Exception {
        return new ArrayList<>(new TreeSet<>(endpoint.reader.fetchSubscribeMessageQueues(topic)));
    }

    /** All `messages` that a topic holds, queue by queue, read by plain pulls; offsets are checked to be dense. */
    List<MessageExt> readAll(String topic, int messages) throws Exception {
        awaitCount(topic, messages);
        List<MessageExt> all = new ArrayList<>();
        for (MessageQueue queue : queues(topic)) {
            all.addAll(readQueue(queue));
        }
        Check.equal(messages, all.size(), "messages read from " + topic);
        return all;
    }

    List<MessageExt> readQueue(MessageQueue queue) throws Exception {
        List<MessageExt> all = new ArrayList<>();
        long max = admin.maxOffset(queue);
        long next = admin.minOffset(queue);
        while (next < max) {
            PullResult got = endpoint.reader.pull(queue, "*", next, 32);
            Check.equal(PullStatus.FOUND, got.getPullStatus(), "pull of " + queue + " at " + next + " below " + max);
            for (MessageExt message : got.getMsgFoundList()) {
                Check.equal(next, message.getQueueOffset(), "offset in " + queue);
                next++;
                all.add(message);
            }
            Check.equal(next, got.getNextBeginOffset(), "next offset of " + queue);
        }
        return all;
    }

    /** Queues follow the log a moment after the acknowledgement. */
    void awaitCount(String topic, long messages) throws Exception {
        Check.eventually(messages + " messages in " + topic, () -> count(topic) == messages, () -> count(topic));
    }

    long count(String topic) throws Exception {
        long messages = 0;
        for (MessageQueue queue : queues(topic)) {
            messages += admin.maxOffset(queue) - admin.minOffset(queue);
        }
        return messages;
    }

    /** Sends `count` numbered messages (bodies `from`, `from + 1`, …) and returns the bodies. */
    Set<String> sendNumbered(String topic, String tag, int from, int count) throws Exception {
        Set<String> bodies = new TreeSet<>();
        for (int i = from; i < from + count; i++) {
            SendResult sent = producer.send(new Message(topic, tag, bytes("m" + i)));
            Check.equal(SendStatus.SEND_OK, sent.getSendStatus(), "status of message " + i);
            bodies.add("m" + i);
        }
        return bodies;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    /** Checks that the results cover each queue's offsets from 0 without gap or repeat. */
    static void checkDense(Iterable<SendResult> results) {
        Map<MessageQueue, Set<Long>> offsets = new TreeMap<>();
        for (SendResult result : results) {
            Set<Long> seen = offsets.computeIfAbsent(result.getMessageQueue(), q -> new TreeSet<>());
            Check.that(seen.add(result.getQueueOffset()), "offset given twice: " + result);
        }
        offsets.forEach((queue, seen) -> {
            long expected = 0;
            for (long offset : seen) {
                Check.equal(expected++, offset, "offset in " + queue);
            }
        });
    }

    @Override
    public void close() {
        while (!endings.isEmpty()) {
            try {
                endings.pop().run();
            } catch (RuntimeException e) {
                System.err.println("ending a client of " + prefix + ": " + e);
            }
        }
    }
}
