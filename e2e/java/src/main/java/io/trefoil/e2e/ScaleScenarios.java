package io.trefoil.e2e;

import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;

/** Queue counts that change while producers and consumers go on. */
final class ScaleScenarios {
    private ScaleScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("scale-grow", ScaleScenarios::grow);
        area.add("scale-shrink", ScaleScenarios::shrink);
        area.add("scale-removed-queues", ScaleScenarios::removedQueues);
    }

    private static void resize(Stage stage, String topic, int reads, int writes) throws Exception {
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(reads);
        config.setWriteQueueNums(writes);
        config.setPerm(Stage.READ_WRITE);
        for (String master : stage.endpoint.masters()) {
            stage.admin.createAndUpdateTopicConfig(master, config);
        }
        Check.eventuallyAnswers("route of " + topic, () -> stage.admin.examineTopicRouteInfo(topic).getQueueDatas().stream()
            .allMatch(q -> q.getReadQueueNums() == reads && q.getWriteQueueNums() == writes));
    }

    /** Sends until `queue` of the topic holds something, and returns what was sent. */
    private static Set<String> sendUntil(Stage stage, DefaultMQProducer producer, String topic, int from, int queue, boolean reached)
        throws Exception {
        Set<String> bodies = new TreeSet<>();
        int[] next = {from};
        int[] quiet = {0};
        Check.eventually("sends " + (reached ? "reach" : "leave") + " queue " + queue, () -> {
            String body = "m" + next[0]++;
            int at = producer.send(new Message(topic, "A", Stage.bytes(body))).getMessageQueue().getQueueId();
            bodies.add(body);
            quiet[0] = at >= queue ? 0 : quiet[0] + 1;
            return reached ? at >= queue : quiet[0] > 100;
        });
        return bodies;
    }

    private static void grow(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        DefaultMQProducer producer = stage.producer("p");
        producer.start();
        Set<String> sent = sendUntil(stage, producer, topic, 0, 1, true);
        resize(stage, topic, 6, 6);
        sent.addAll(sendUntil(stage, producer, topic, 1_000, 5, true));
        seen.awaitExactly(sent);
    }

    private static void shrink(Stage stage) throws Exception {
        String topic = stage.topic("t", 6);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        DefaultMQProducer producer = stage.producer("p");
        producer.start();
        Set<String> sent = sendUntil(stage, producer, topic, 0, 5, true);
        resize(stage, topic, 6, 2);
        sent.addAll(sendUntil(stage, producer, topic, 1_000, 2, false));
        seen.await(sent);
        Check.eventuallyAnswers("the queues that go are drained", () -> stage.lag("g", topic) == 0);
        resize(stage, topic, 2, 2);
        for (int i = 0; i < 50; i++) {
            producer.send(new Message(topic, "A", Stage.bytes("n" + i)));
            sent.add("n" + i);
        }
        seen.awaitExactly(sent);
    }

    /** What a removed queue still held is not lost: it is there again when the queue is. */
    private static void removedQueues(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        DefaultMQProducer producer = stage.producer("p");
        producer.start();
        Set<String> sent = sendUntil(stage, producer, topic, 0, 3, true);
        resize(stage, topic, 1, 1);
        Check.Failure failure = Check.fails("a send to a removed queue", () -> producer.send(new Message(topic, "A", Stage.bytes("x")),
            new org.apache.rocketmq.common.message.MessageQueue(topic, stage.endpoint.brokers().get(0), 3)));
        Facts.note("send to a removed queue -> " + failure);
        Check.equal(Code.INVALID_PARAMETER, failure.code(), "code");
        resize(stage, topic, 4, 4);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        seen.awaitExactly(sent);
    }
}
