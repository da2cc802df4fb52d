package io.trefoil.e2e;

import java.io.FileWriter;
import java.io.Writer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * `count --topic T --file F [--queues 4] [--producers 4] [--size 100] [--seconds 0] --namesrv A`: sends numbered messages
 * until the time is over or a signal comes, through any restart of the broker. Each acknowledged message is one line
 * `number broker queueId queueOffset uniqueId` in F, written before the sender goes on.
 */
final class Counting {
    private static final int SEND_TIMEOUT_MS = 3_000;
    private static final int RETRY_AFTER_MS = 50;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicLong next = new AtomicLong();
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong refused = new AtomicLong();
    private final String topic;
    private final int size;
    private final Writer file;

    private Counting(Options options) throws Exception {
        this.topic = options.required("topic");
        this.size = options.number("size", 100);
        this.file = new FileWriter(options.required("file"), true);
    }

    static int run(Options options) throws Exception {
        Counting counting = new Counting(options);
        createTopic(options);
        DefaultMQProducer producer = new DefaultMQProducer("counting");
        producer.setNamesrvAddr(options.nameServer());
        producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setPollNameServerInterval(1_000);
        producer.start();
        CountDownLatch said = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> counting.finish(said)));
        List<Thread> senders = new ArrayList<>();
        for (int i = 0; i < options.number("producers", 4); i++) {
            Thread sender = new Thread(() -> counting.send(producer), "sender-" + i);
            sender.start();
            senders.add(sender);
        }
        System.out.println("counting");
        int seconds = options.number("seconds", 0);
        if (seconds > 0) {
            Thread.sleep(seconds * 1_000L);
            counting.stop.set(true);
        }
        for (Thread sender : senders) {
            sender.join();
        }
        System.out.println(counting.acknowledged + " acknowledged, " + counting.refused + " refused");
        System.out.flush();
        said.countDown();
        return 0;
    }

    /** On a signal: lets the senders end their last message, and the main thread its last words. */
    private void finish(CountDownLatch said) {
        stop.set(true);
        try {
            said.await(2L * SEND_TIMEOUT_MS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Main.removeHome();
        Runtime.getRuntime().halt(0);
    }

    static void createTopic(Options options) throws Exception {
        String topic = options.required("topic");
        DefaultMQAdminExt admin = new DefaultMQAdminExt("counting-admin");
        admin.setNamesrvAddr(options.nameServer());
        admin.setInstanceName("counting-admin");
        admin.start();
        int queues = options.number("queues", 4);
        for (var broker : admin.examineBrokerClusterInfo().getBrokerAddrTable().values()) {
            admin.createAndUpdateTopicConfig(broker.getBrokerAddrs().get(0L), new TopicConfig(topic, queues, queues, 6));
        }
        Check.eventuallyAnswers("route of " + topic, () -> !admin.examineTopicRouteInfo(topic).getQueueDatas().isEmpty());
        admin.shutdown();
    }

    private void send(DefaultMQProducer producer) {
        while (!stop.get()) {
            long number = next.getAndIncrement();
            try {
                SendResult sent = producer.send(new Message(topic, body(number)));
                if (sent.getSendStatus() == SendStatus.SEND_OK) {
                    record(number, sent);
                } else {
                    refused.incrementAndGet();
                }
            } catch (Exception e) {
                // The number is given up: it may or may not have been stored, and a new one is as good.
                refused.incrementAndGet();
                pause();
            }
        }
    }

    private byte[] body(long number) {
        StringBuilder text = new StringBuilder(Long.toString(number)).append(' ');
        while (text.length() < size) {
            text.append('.');
        }
        return Stage.bytes(text.toString());
    }

    private void record(long number, SendResult sent) throws Exception {
        String line = number + " " + sent.getMessageQueue().getBrokerName() + " " + sent.getMessageQueue().getQueueId() + " "
            + sent.getQueueOffset() + " " + sent.getMsgId() + "\n";
        synchronized (file) {
            file.write(line);
            file.flush();
        }
        acknowledged.incrementAndGet();
    }

    private static void pause() {
        try {
            Thread.sleep(RETRY_AFTER_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
