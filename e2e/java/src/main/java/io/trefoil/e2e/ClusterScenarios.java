package io.trefoil.e2e;

import java.util.List;
import java.util.Properties;
import org.apache.rocketmq.common.message.Message;

/** The cluster as a whole, and what the name server keeps for others. */
final class ClusterScenarios {
    private ClusterScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("cluster-info", ClusterScenarios::info);
        area.add("cluster-runtime-stats", ClusterScenarios::runtimeStats);
        area.add("cluster-broker-config", ClusterScenarios::brokerConfig);
        area.add("cluster-name-server-config", ClusterScenarios::nameServerConfig);
        area.add("cluster-kv", ClusterScenarios::keyValues);
        area.add("cluster-order-config", ClusterScenarios::orderConfig);
        area.addAlone("cluster-write-permission", ClusterScenarios::writePermission);
    }

    private static void info(Stage stage) throws Exception {
        var info = stage.admin.examineBrokerClusterInfo();
        Facts.note("clusters " + info.getClusterAddrTable() + " brokers " + info.getBrokerAddrTable());
        Check.that(!info.getBrokerAddrTable().isEmpty(), "no brokers");
        for (var broker : info.getBrokerAddrTable().values()) {
            Check.that(info.getClusterAddrTable().get(broker.getCluster()).contains(broker.getBrokerName()),
                broker.getBrokerName() + " is not listed in its cluster");
        }
    }

    private static void runtimeStats(Stage stage) throws Exception {
        for (String master : stage.endpoint.masters()) {
            var table = stage.admin.fetchBrokerRuntimeStats(master).getTable();
            Facts.note("runtime statistics: " + table);
            for (String key : List.of("brokerVersionDesc", "bootTimestamp", "msgPutTotalTodayNow", "msgGetTotalTodayNow", "putTps",
                "getTransferredTps", "commitLogMaxOffset", "commitLogMinOffset")) {
                Check.that(table.containsKey(key), "no " + key);
            }
            // The Prometheus exporter for RocketMQ reads each of these as a number, or nothing at all.
            for (String key : List.of("sendThreadPoolQueueCapacity", "pullThreadPoolQueueCapacity", "queryThreadPoolQueueCapacity",
                "sendThreadPoolQueueSize", "pullThreadPoolQueueSize", "queryThreadPoolQueueSize", "dispatchMaxBuffer",
                "dispatchBehindBytes", "getMessageEntireTimeMax", "putMessageEntireTimeMax", "pageCacheLockTimeMills",
                "remainTransientStoreBufferNumbs", "startAcceptSendRequestTimeStamp", "earliestMessageTimeStamp")) {
                Check.that(table.getOrDefault(key, "").matches("-?\\d+"), key + " is not a number: " + table.get(key));
            }
            String times = table.get("putMessageDistributeTime");
            for (String span : List.of("<=0ms", "0~10ms", "10~50ms", "50~100ms", "100~200ms", "200~500ms", "500ms~1s", "1~2s",
                "2~3s", "3~4s", "4~5s", "5~10s", "10s~")) {
                Check.that(times.contains("[" + span + "]:"), "no " + span + " in the times of sends: " + times);
            }
        }
    }

    private static void brokerConfig(Stage stage) throws Exception {
        for (String master : stage.endpoint.masters()) {
            Properties config = stage.admin.getBrokerConfig(master);
            Facts.note("broker configuration has " + config.size() + " keys");
            Check.that(stage.endpoint.brokers().contains(config.getProperty("brokerName")), "brokerName " + config.getProperty("brokerName"));
            Check.equal(stage.endpoint.cluster(), config.getProperty("brokerClusterName"), "brokerClusterName");
        }
    }

    private static void nameServerConfig(Stage stage) throws Exception {
        var all = stage.admin.getNameServerConfig(List.of(stage.endpoint.nameServer));
        Facts.note("name server configuration: " + all);
        Check.that(all.get(stage.endpoint.nameServer).containsKey("listenPort"), "no listenPort");
    }

    private static void keyValues(Stage stage) throws Exception {
        String space = stage.name("space");
        stage.admin.createAndUpdateKvConfig(space, "key", "value with ; and =");
        Check.equal("value with ; and =", stage.admin.getKVConfig(space, "key"), "value");
        stage.admin.createAndUpdateKvConfig(space, "key", "second");
        stage.admin.createAndUpdateKvConfig(space, "other", "third");
        var table = stage.admin.getKVListByNamespace(space).getTable();
        Check.equal("second", table.get("key"), "updated value");
        Check.equal("third", table.get("other"), "other value");
        stage.admin.deleteKvConfig(space, "key");
        Check.fails("a deleted key", () -> stage.admin.getKVConfig(space, "key")).withCode(Code.QUERY_NOT_FOUND);
        Check.fails("an unknown namespace", () -> stage.admin.getKVListByNamespace(stage.name("nowhere"))).withCode(Code.QUERY_NOT_FOUND);
    }

    private static void orderConfig(Stage stage) throws Exception {
        String topic = stage.topic("t", 4);
        String broker = stage.endpoint.brokers().get(0);
        stage.admin.createOrUpdateOrderConf(topic, broker + ":4", false);
        Check.equal(broker + ":4", stage.admin.getKVConfig("ORDER_TOPIC_CONFIG", topic), "order configuration");
        var route = stage.admin.examineTopicRouteInfo(topic);
        Facts.note("order configuration in the route: " + route.getOrderTopicConf());
        // Apache puts it into the route only with `orderMessageEnable`, which is off by default.
        Check.that(route.getOrderTopicConf() == null || route.getOrderTopicConf().equals(broker + ":4"),
            "order configuration in the route: " + route.getOrderTopicConf());
        stage.admin.deleteKvConfig("ORDER_TOPIC_CONFIG", topic);
    }

    private static void writePermission(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        String broker = stage.endpoint.brokers().get(0);
        String server = stage.endpoint.nameServer;
        int wiped = stage.admin.wipeWritePermOfBroker(server, broker);
        try {
            Check.that(wiped > 0, "topics wiped: " + wiped);
            Check.that(stage.admin.examineTopicRouteInfo(topic).getQueueDatas().stream()
                .filter(q -> q.getBrokerName().equals(broker)).allMatch(q -> q.getPerm() == Stage.READ_ONLY), "still writable");
            if (stage.endpoint.brokers().size() == 1) {
                var fresh = stage.producer("fresh");
                fresh.start();
                Check.fails("send without a writable broker", () -> fresh.send(new Message(topic, Stage.bytes("m"))));
            }
        } finally {
            int added = stage.admin.addWritePermOfBroker(server, broker);
            Facts.note("wiped " + wiped + " topics, added " + added);
        }
        stage.awaitRoute(topic, 2, Stage.READ_WRITE);
        stage.producer.send(new Message(topic, Stage.bytes("m")));
    }
}
