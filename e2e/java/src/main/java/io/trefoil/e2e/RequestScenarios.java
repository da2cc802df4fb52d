package io.trefoil.e2e;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;

/** Request and reply: a consumer's answer finds the producer that waits for it. */
final class RequestScenarios {
    private static final int WITHIN_MS = 20_000;
    private static final int MANY = 200;

    private RequestScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("request-reply", RequestScenarios::reply);
        area.add("request-reply-many", RequestScenarios::many);
        area.add("request-timeout", RequestScenarios::timeout);
        area.add("request-requester-gone", RequestScenarios::requesterGone);
    }

    /** A consumer that answers each request with `re: ` and its body. */
    private static void answering(Stage stage, String topic, List<SendResult> answers) throws Exception {
        DefaultMQProducer replier = stage.producer("replier");
        replier.start();
        DefaultMQPushConsumer consumer = stage.push("g");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (var message : messages) {
                try {
                    Message reply = MessageUtil.createReplyMessage(message, Stage.bytes("re: " + Stage.text(message)));
                    SendResult sent = replier.send(reply, WITHIN_MS);
                    answers.add(sent);
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    private static void reply(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        List<SendResult> answers = java.util.Collections.synchronizedList(new java.util.ArrayList<>());
        answering(stage, topic, answers);
        DefaultMQProducer requester = stage.producer("requester");
        requester.start();
        Message reply = requester.request(new Message(topic, "A", Stage.bytes("what")), WITHIN_MS);
        Check.equal("re: what", Stage.text(reply), "reply");
        Facts.note("reply topic " + reply.getTopic() + " properties " + reply.getProperties());
        Check.equal("reply", reply.getProperty(MessageConst.PROPERTY_MESSAGE_TYPE), "message type of the reply");
        Check.eventually("the reply's own acknowledgement", () -> !answers.isEmpty());
        Facts.note("the replier got " + answers.get(0));
        Check.equal(SendStatus.SEND_OK, answers.get(0).getSendStatus(), "status of the reply");
    }

    private static void many(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        answering(stage, topic, java.util.Collections.synchronizedList(new java.util.ArrayList<>()));
        DefaultMQProducer requester = stage.producer("requester");
        requester.start();
        Set<String> replies = ConcurrentHashMap.newKeySet();
        AtomicReference<Throwable> fault = new AtomicReference<>();
        CountDownLatch done = new CountDownLatch(MANY);
        Set<String> expected = new TreeSet<>();
        for (int i = 0; i < MANY; i++) {
            expected.add("re: m" + i);
            requester.request(new Message(topic, "A", Stage.bytes("m" + i)), new RequestCallback() {
                @Override
                public void onSuccess(Message message) {
                    replies.add(Stage.text(message));
                    done.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    fault.set(e);
                    done.countDown();
                }
            }, WITHIN_MS);
        }
        Check.that(done.await(WITHIN_MS * 2L, TimeUnit.MILLISECONDS), "only " + replies.size() + " replies");
        Check.that(fault.get() == null, "a request failed: " + fault.get());
        Check.equal(expected, new TreeSet<>(replies), "replies");
    }

    private static void timeout(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        DefaultMQProducer requester = stage.producer("requester");
        requester.start();
        try {
            requester.request(new Message(topic, "A", Stage.bytes("anybody?")), 1_000);
        } catch (RequestTimeoutException e) {
            return;
        }
        throw new AssertionError("a request that nobody answers was answered");
    }

    /** The replier learns that nobody waits any more. */
    private static void requesterGone(Stage stage) throws Exception {
        Message request = new Message("any", "A", Stage.bytes("what"));
        MessageAccessor.putProperty(request, MessageConst.PROPERTY_CLUSTER, stage.endpoint.cluster());
        MessageAccessor.putProperty(request, MessageConst.PROPERTY_CORRELATION_ID, "nobody-knows-it");
        MessageAccessor.putProperty(request, MessageConst.PROPERTY_MESSAGE_REPLY_TO_CLIENT, "10.0.0.1@gone");
        MessageAccessor.putProperty(request, MessageConst.PROPERTY_MESSAGE_TTL, "3000");
        Message reply = MessageUtil.createReplyMessage(request, Stage.bytes("late"));
        DefaultMQProducer replier = stage.producer("replier");
        replier.start();
        Check.Failure failure = Check.fails("a reply to nobody", () -> replier.send(reply, WITHIN_MS));
        failure.withCode(Code.SYSTEM_ERROR);
    }
}
