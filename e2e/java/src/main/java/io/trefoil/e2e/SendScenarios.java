package io.trefoil.e2e;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What a producer sends and what becomes of it. */
final class SendScenarios {
    private static final int COMPRESSED_FLAG = 1;

    private SendScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("send-sync", SendScenarios::sync);
        area.add("send-to-one-queue", SendScenarios::oneQueue);
        area.add("send-async", SendScenarios::async);
        area.add("send-one-way", SendScenarios::oneWay);
        area.add("send-properties", SendScenarios::properties);
        area.add("send-binary-body", SendScenarios::binaryBody);
        area.add("send-batch", SendScenarios::batch);
        area.add("send-batch-of-many", SendScenarios::batchOfMany);
        area.add("send-compressed", SendScenarios::compressed);
        area.add("send-large", SendScenarios::large);
        area.add("send-without-waiting-for-store", SendScenarios::withoutWaiting);
    }

    private static void sync(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        List<SendResult> results = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            results.add(stage.producer.send(new Message(topic, "A", Stage.bytes("m" + i))));
        }
        for (SendResult result : results) {
            Check.equal(SendStatus.SEND_OK, result.getSendStatus(), "status");
            Check.that(result.getMsgId().matches("[0-9A-F]{32}|[0-9A-F]{56}"), "unique id " + result.getMsgId());
            Check.that(result.getOffsetMsgId().matches("[0-9A-F]{32}"), "offset id " + result.getOffsetMsgId());
            var decoded = MessageDecoder.decodeMessageId(result.getOffsetMsgId());
            String address = result.getMessageQueue().getBrokerName();
            String master = stage.admin.examineBrokerClusterInfo().getBrokerAddrTable().get(address).getBrokerAddrs().get(0L);
            InetSocketAddress host = (InetSocketAddress) decoded.getAddress();
            Check.equal(master, host.getAddress().getHostAddress() + ":" + host.getPort(), "address in the offset id");
        }
        Check.equal(4L, results.stream().map(r -> r.getMessageQueue().getQueueId()).distinct().count(), "queues used");
        Stage.checkDense(results);
        stage.readAll(topic, 40);
    }

    private static void oneQueue(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        for (int i = 0; i < 20; i++) {
            SendResult sent = stage.producer.send(new Message(topic, Stage.bytes("m" + i)), (queues, message, wanted) ->
                queues.stream().filter(q -> q.getQueueId() == (int) wanted).findFirst().orElseThrow(), 2);
            Check.equal(2, sent.getMessageQueue().getQueueId(), "queue");
            Check.equal((long) i, sent.getQueueOffset(), "offset");
        }
        MessageQueue queue = new MessageQueue(topic, stage.queues(topic).get(0).getBrokerName(), 2);
        SendResult direct = stage.producer.send(new Message(topic, Stage.bytes("m20")), queue);
        Check.equal(20L, direct.getQueueOffset(), "offset after a send to the named queue");
        stage.awaitCount(topic, 21);
        List<MessageExt> read = stage.readQueue(queue);
        for (int i = 0; i <= 20; i++) {
            Check.equal("m" + i, Stage.text(read.get(i)), "order in the queue");
        }
    }

    private static void async(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        ConcurrentLinkedQueue<SendResult> results = new ConcurrentLinkedQueue<>();
        ConcurrentLinkedQueue<Throwable> errors = new ConcurrentLinkedQueue<>();
        int count = 200;
        CountDownLatch answered = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            stage.producer.send(new Message(topic, "A", "k" + i, Stage.bytes("m" + i)), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    results.add(result);
                    answered.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    errors.add(e);
                    answered.countDown();
                }
            });
        }
        Check.that(answered.await(30, TimeUnit.SECONDS), answered.getCount() + " sends unanswered");
        Check.that(errors.isEmpty(), errors.size() + " errors, first: " + errors.peek());
        Stage.checkDense(results);
        stage.awaitCount(topic, count);
    }

    private static void oneWay(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        for (int i = 0; i < 50; i++) {
            stage.producer.sendOneway(new Message(topic, Stage.bytes("m" + i)));
        }
        Check.equal(50L, stage.readAll(topic, 50).stream().map(Stage::text).distinct().count(), "different bodies");
    }

    private static void properties(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        String body = "Grüße, 世界, \uD83C\uDF40";
        Message message = new Message(topic, "TagÄ", "key1 key2", 77, Stage.bytes(body), true);
        message.putUserProperty("plain", "value with blanks = and: signs");
        message.putUserProperty("unicode-名", "значение \uD83D\uDE80");
        long before = System.currentTimeMillis();
        SendResult sent = stage.producer.send(message);
        long after = System.currentTimeMillis();
        MessageExt got = stage.readAll(topic, 1).get(0);
        Check.equal(body, Stage.text(got), "body");
        Check.equal("TagÄ", got.getTags(), "tags");
        Check.equal("key1 key2", got.getKeys(), "keys");
        Check.equal(77, got.getFlag(), "flag");
        Check.equal("value with blanks = and: signs", got.getUserProperty("plain"), "plain property");
        Check.equal("значение \uD83D\uDE80", got.getUserProperty("unicode-名"), "unicode property");
        Check.equal(sent.getMsgId(), got.getMsgId(), "unique id");
        Check.equal(0, got.getReconsumeTimes(), "reconsume times");
        Check.equal(0, got.getSysFlag() & COMPRESSED_FLAG, "compression flag");
        Check.equal(0L, got.getQueueOffset(), "queue offset");
        Check.that(got.getBornTimestamp() >= before && got.getBornTimestamp() <= after, "born " + got.getBornTimestamp());
        Check.that(got.getStoreTimestamp() >= before - 1 && got.getStoreTimestamp() <= after + 1, "stored " + got.getStoreTimestamp());
        Check.equal("127.0.0.1", got.getBornHostString(), "born host");
        Check.that(got.getBodyCRC() != 0, "body checksum is 0");
        Facts.note("properties as read: " + got.getProperties() + " store size " + got.getStoreSize());
    }

    private static void binaryBody(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<byte[]> bodies = new ArrayList<>();
        byte[] every = new byte[256];
        for (int i = 0; i < every.length; i++) {
            every[i] = (byte) i;
        }
        bodies.add(every);
        bodies.add(new byte[] {0});
        bodies.add(new byte[1000]);
        for (byte[] body : bodies) {
            stage.producer.send(new Message(topic, body));
        }
        List<MessageExt> read = stage.readAll(topic, bodies.size());
        for (int i = 0; i < bodies.size(); i++) {
            Check.that(java.util.Arrays.equals(bodies.get(i), read.get(i).getBody()), "body " + i + " differs");
        }
    }

    /** So many small messages that their ids make the header of the answer a megabyte long. */
    private static void batchOfMany(Stage stage) throws Exception {
        int count = 30_000;
        String topic = stage.topic("t", 1);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            messages.add(new Message(topic, Stage.bytes("m" + i)));
        }
        SendResult sent = stage.producer.send(messages, 30_000);
        Check.equal(SendStatus.SEND_OK, sent.getSendStatus(), "status");
        Check.equal(count, sent.getMsgId().split(",").length, "unique ids");
        Check.equal(count, sent.getOffsetMsgId().split(",").length, "offset ids");
        Check.equal(0L, sent.getQueueOffset(), "offset of the first");
        List<MessageExt> read = stage.readAll(topic, count);
        Check.equal("m0", Stage.text(read.get(0)), "the first");
        Check.equal("m" + (count - 1), Stage.text(read.get(count - 1)), "the last");
    }

    private static void batch(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            Message message = new Message(topic, i % 2 == 0 ? "even" : "odd", "key" + i, Stage.bytes("m" + i));
            message.putUserProperty("n", "" + i);
            messages.add(message);
        }
        SendResult sent = stage.producer.send(messages);
        Check.equal(SendStatus.SEND_OK, sent.getSendStatus(), "status");
        Check.equal(32, sent.getMsgId().split(",").length, "unique ids in " + sent.getMsgId());
        Check.equal(32, sent.getOffsetMsgId().split(",").length, "offset ids in " + sent.getOffsetMsgId());
        Check.equal(0L, sent.getQueueOffset(), "offset of the first");
        // The batch's own id, which clients before 5.x do not give.
        String whole = sent.getTransactionId();
        Check.that(whole == null || !whole.contains(","), "ids of the whole in " + whole);
        SendResult second = stage.producer.send(messages.subList(0, 3), sent.getMessageQueue());
        Check.equal(32L, second.getQueueOffset(), "offset of the second batch");
        List<MessageExt> read = stage.readAll(topic, 35);
        String[] ids = sent.getMsgId().split(",");
        for (int i = 0; i < 32; i++) {
            MessageExt got = read.get(i);
            Check.equal("m" + i, Stage.text(got), "body " + i);
            Check.equal("key" + i, got.getKeys(), "key " + i);
            Check.equal(i % 2 == 0 ? "even" : "odd", got.getTags(), "tag " + i);
            Check.equal("" + i, got.getUserProperty("n"), "property " + i);
            Check.equal(ids[i], got.getMsgId(), "unique id " + i);
            Check.equal(stage.admin.viewMessage(topic, sent.getOffsetMsgId().split(",")[i]).getQueueOffset(),
                got.getQueueOffset(), "message by offset id " + i);
        }
    }

    private static void compressed(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        byte[] body = Stage.bytes("compress me ".repeat(5_000));
        stage.producer.send(new Message(topic, body));
        MessageExt got = stage.readAll(topic, 1).get(0);
        Check.that(java.util.Arrays.equals(body, got.getBody()), "body differs");
        Facts.note("system flag after decompression: " + got.getSysFlag());
        Check.that(got.getStoreSize() < body.length / 10, "stored in " + got.getStoreSize() + " bytes of " + body.length);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        seen.awaitExactly(java.util.Set.of(Stage.text(new Message(topic, body))));
    }

    private static void large(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Random random = new Random(7);
        List<byte[]> bodies = new ArrayList<>();
        for (int size : new int[] {4_000, 300_000, 1 << 20, 4_190_000}) {
            byte[] body = new byte[size];
            random.nextBytes(body);
            bodies.add(body);
            Check.equal(SendStatus.SEND_OK, stage.producer.send(new Message(topic, body)).getSendStatus(), "status");
        }
        List<MessageExt> read = stage.readAll(topic, bodies.size());
        for (int i = 0; i < bodies.size(); i++) {
            Check.that(java.util.Arrays.equals(bodies.get(i), read.get(i).getBody()), "body " + i + " differs");
        }
    }

    private static void withoutWaiting(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Message message = new Message(topic, Stage.bytes("m0"));
        message.setWaitStoreMsgOK(false);
        Check.equal(SendStatus.SEND_OK, stage.producer.send(message).getSendStatus(), "status");
        MessageExt got = stage.readAll(topic, 1).get(0);
        Check.equal("m0", Stage.text(got), "body");
        Check.equal(false, got.isWaitStoreMsgOK(), "WAIT property");
    }
}
