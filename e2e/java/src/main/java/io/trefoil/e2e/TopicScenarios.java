package io.trefoil.e2e;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Topics through the official admin client. */
final class TopicScenarios {
    private TopicScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("topic-create-update", TopicScenarios::createUpdate);
        area.add("topic-shrink", TopicScenarios::shrink);
        area.add("topic-route", TopicScenarios::route);
        area.add("topic-route-at-once", TopicScenarios::routeAtOnce);
        area.add("topic-list", TopicScenarios::topicList);
        area.add("topic-stats", TopicScenarios::stats);
        area.add("topic-delete", TopicScenarios::delete);
        area.add("topic-config-table", TopicScenarios::table);
        area.add("topic-attributes", TopicScenarios::attributes);
    }

    /** Attributes are set and removed by name, and stay through other changes. Apache has others. */
    private static void attributes(Stage stage) throws Exception {
        if (stage.endpoint.apache) {
            Facts.note("Apache has neither flush nor retention.hours for a topic");
            return;
        }
        String topic = stage.topic("t", 1);
        TopicConfig config = new TopicConfig(topic, 1, 1, Stage.READ_WRITE);
        for (String master : stage.endpoint.masters()) {
            Versioned.createTopic(stage, master, config, Map.of("+flush", "async", "+retention.hours", "24"));
            stage.sendNumbered(topic, "A", 0, 5);
            Versioned.checkAttributes(stage, master, topic, Map.of("flush", "async", "retention.hours", "24"));
            Versioned.createTopic(stage, master, config, Map.of("-flush", ""));
            stage.createTopic(topic, 1, Stage.READ_WRITE);
            Versioned.checkAttributes(stage, master, topic, Map.of("retention.hours", "24"));
            for (var wrong : List.of(Map.of("+flush", "sometimes"), Map.of("+retention.hours", "0"), Map.of("+retention.bytes", "0"), Map.of("+no.such", "1"))) {
                Check.fails("attributes " + wrong, () -> Versioned.createTopic(stage, master, config, wrong))
                    .withCode(Code.INVALID_PARAMETER);
            }
            Versioned.checkAttributes(stage, master, topic, Map.of("retention.hours", "24"));
        }
        stage.readAll(topic, 5 * stage.endpoint.masters().size());
    }

    /** Who creates a topic, or sends to a new one, asks for its route next: it is there. */
    private static void routeAtOnce(Stage stage) throws Exception {
        for (int i = 0; i < 10; i++) {
            String topic = stage.name("created-" + i);
            for (String master : stage.endpoint.masters()) {
                stage.admin.createAndUpdateTopicConfig(master, new TopicConfig(topic, 2, 2, Stage.READ_WRITE));
            }
            int brokers = stage.admin.examineTopicRouteInfo(topic).getQueueDatas().size();
            Check.equal(stage.endpoint.masters().size(), brokers, "brokers in the route");
            String sent = stage.name("sent-" + i);
            stage.producer.send(new Message(sent, new byte[] {1}));
            Check.equal(1, stage.admin.examineTopicRouteInfo(sent).getQueueDatas().size(), "brokers in the route");
        }
    }

    private static void createUpdate(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        for (String master : stage.endpoint.masters()) {
            TopicConfig config = stage.admin.examineTopicConfig(master, topic);
            Check.equal(topic, config.getTopicName(), "name");
            Check.equal(4, config.getReadQueueNums(), "read queues");
            Check.equal(4, config.getWriteQueueNums(), "write queues");
            Check.equal(Stage.READ_WRITE, config.getPerm(), "perm");
            Check.equal(false, config.isOrder(), "order");
            Versioned.checkNoConfig(stage, master, stage.name("nothing"));
        }
        stage.sendNumbered(topic, "A", 0, 8);
        stage.createTopic(topic, 8, Stage.READ_WRITE);
        Check.equal(8 * stage.endpoint.masters().size(), stage.queues(topic).size(), "queues after the update");
        stage.awaitCount(topic, 8);
        stage.createTopic(topic, 8, Stage.READ_ONLY);
        stage.readAll(topic, 8);
    }

    /** Fewer write queues than read queues: what lies in the others can still be read. */
    private static void shrink(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        stage.sendNumbered(topic, "A", 0, 16);
        TopicConfig config = new TopicConfig(topic, 4, 2, Stage.READ_WRITE);
        for (String master : stage.endpoint.masters()) {
            stage.admin.createAndUpdateTopicConfig(master, config);
        }
        Check.eventually("the route", () -> stage.admin.examineTopicRouteInfo(topic).getQueueDatas().stream()
            .allMatch(q -> q.getReadQueueNums() == 4 && q.getWriteQueueNums() == 2));
        stage.readAll(topic, 16);
    }

    private static void route(Stage stage) throws Exception {
        String topic = stage.topic("t", 3);
        var route = stage.admin.examineTopicRouteInfo(topic);
        Set<String> names = new HashSet<>();
        for (var broker : route.getBrokerDatas()) {
            names.add(broker.getBrokerName());
            Check.that(stage.endpoint.masters().contains(broker.getBrokerAddrs().get(0L)), "address of " + broker);
            Check.equal(stage.endpoint.cluster(), broker.getCluster(), "cluster");
        }
        Check.equal(new HashSet<>(stage.endpoint.brokers()), names, "brokers");
        Facts.note("route: " + route.getQueueDatas() + " " + route.getBrokerDatas() + " order " + route.getOrderTopicConf());
        Check.equal(null, route.getOrderTopicConf(), "order configuration");
    }

    private static void topicList(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Check.eventually("the topic in the list", () -> stage.admin.fetchAllTopicList().getTopicList().contains(topic));
        Set<String> all = stage.admin.fetchAllTopicList().getTopicList();
        Facts.note("topics that are not of the tests: " + all.stream().filter(t -> !t.contains("e2e")).sorted().toList());
        Check.that(all.contains("TBW102"), "TBW102 is not in the list");
        Check.that(stage.admin.fetchTopicsByCLuster(stage.endpoint.cluster()).getTopicList().contains(topic), "not in the cluster's list");
        Check.that(stage.admin.getTopicClusterList(topic).contains(stage.endpoint.cluster()), "cluster of the topic");
    }

    private static void stats(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        var empty = stage.admin.examineTopicStats(topic).getOffsetTable();
        Facts.note("stats of an empty topic: " + empty);
        stage.sendNumbered(topic, "A", 0, 10);
        stage.awaitCount(topic, 10);
        var table = stage.admin.examineTopicStats(topic).getOffsetTable();
        Check.equal(new HashSet<>(stage.queues(topic)), new HashSet<>(table.keySet()), "queues in the statistics");
        long total = 0;
        for (var one : table.values()) {
            Check.equal(0L, one.getMinOffset(), "min");
            Check.that(one.getMaxOffset() == 0 || one.getLastUpdateTimestamp() > System.currentTimeMillis() - 60_000,
                "last update " + one.getLastUpdateTimestamp());
            total += one.getMaxOffset();
        }
        Check.equal(10L, total, "messages in the statistics");
    }

    private static void delete(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        stage.sendNumbered(topic, "A", 0, 10);
        MessageQueue queue = stage.queues(topic).get(0);
        // A client knows a broker by the topics that it has pulled from.
        stage.endpoint.reader.pull(stage.queues(stage.topic("kept", 1)).get(0), "*", 0, 1);
        Set<String> masters = new HashSet<>(stage.endpoint.masters());
        stage.admin.deleteTopicInBroker(masters, topic);
        Versioned.deleteRoute(stage, topic);
        Check.fails("route of the deleted topic", () -> stage.admin.examineTopicRouteInfo(topic)).withCode(Code.TOPIC_NOT_EXIST);
        Check.that(!stage.admin.fetchAllTopicList().getTopicList().contains(topic), "still in the list");
        Check.fails("pull from the deleted topic", () -> stage.endpoint.reader.pull(queue, "*", 0, 1)).withCode(Code.TOPIC_NOT_EXIST);
        stage.admin.deleteTopicInBroker(masters, stage.name("never-was"));
        stage.createTopic(topic, 2, Stage.READ_WRITE);
        Facts.note("after delete and create: min " + stage.admin.minOffset(queue) + " max " + stage.admin.maxOffset(queue));
        long before = stage.count(topic);
        stage.producer.send(new Message(topic, Stage.bytes("again")));
        stage.awaitCount(topic, before + 1);
    }

    private static void table(Stage stage) throws Exception {
        String topic = stage.topic("t", 5);
        for (String master : stage.endpoint.masters()) {
            var all = stage.admin.getAllTopicConfig(master, 5_000).getTopicConfigTable();
            Check.equal(5, all.get(topic).getReadQueueNums(), "read queues in the whole table");
            var own = stage.admin.getUserTopicConfig(master, false, 5_000).getTopicConfigTable();
            Check.that(own.containsKey(topic), "not among the users' topics");
            Facts.note("broker topics that are not of the tests: " + all.keySet().stream().filter(t -> !t.contains("e2e")).sorted().toList());
        }
    }
}
