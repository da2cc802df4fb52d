package io.trefoil.e2e;

import java.util.Properties;
import org.apache.rocketmq.common.message.Message;

/** What operators ask brokers for with the admin client: settings while running, statistics, housekeeping. */
final class AdminScenarios {
    private static final int MESSAGES = 40;

    private AdminScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("admin-statistics", AdminScenarios::statistics);
        area.add("admin-remove-expired", AdminScenarios::removeExpired);
        area.add("admin-reset-unknown-group", AdminScenarios::resetUnknown);
        area.addAlone("admin-broker-settings", AdminScenarios::brokerSettings);
        Versioned.listAdmin(area);
    }

    /** What was sent to a topic, and what a group got of it, over the last minutes. */
    private static void statistics(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        // Statistics are samples: the first one must be there before what it is compared with.
        stage.producer.send(new Message(topic, Stage.bytes("first")));
        Thread.sleep(12_000);
        for (int i = 0; i < MESSAGES; i++) {
            stage.producer.send(new Message(topic, Stage.bytes("m" + i)));
        }
        String master = stage.endpoint.masters().get(0);
        String pair = topic + "@" + stage.name("g");
        for (String[] asked : new String[][] {{"TOPIC_PUT_NUMS", topic}, {"GROUP_GET_NUMS", pair}}) {
            Check.eventuallyAnswers(asked[0], () -> {
                var minute = stage.admin.viewBrokerStatsData(master, asked[0], asked[1]).getStatsMinute();
                return minute.getSum() >= MESSAGES && minute.getTps() > 0;
            });
        }
        var minute = stage.admin.viewBrokerStatsData(master, "TOPIC_PUT_NUMS", topic).getStatsMinute();
        Facts.note("TOPIC_PUT_NUMS of the last minute: sum " + minute.getSum() + ", tps " + minute.getTps());
        Check.that(minute.getSum() <= MESSAGES + 1, "more than was sent: " + minute.getSum());
        Check.fails("statistics of nothing", () -> stage.admin.viewBrokerStatsData(master, "TOPIC_PUT_NUMS", stage.name("none")))
            .withCode(Code.SYSTEM_ERROR);
    }

    private static void removeExpired(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        for (int i = 0; i < 5; i++) {
            stage.producer.send(new Message(topic, Stage.bytes("m" + i)));
        }
        for (String master : stage.endpoint.masters()) {
            Check.that(stage.admin.deleteExpiredCommitLogByAddr(master), "removal of old files was not done");
            Check.that(stage.admin.cleanExpiredConsumerQueueByAddr(master), "removal of old queues was not done");
        }
        stage.collect("g", topic, "*", seen);
        Check.eventually("what is not old is there", () -> seen.bodies().size() == 5);
    }

    /** A mistyped group must not look like a reset that worked. */
    private static void resetUnknown(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.producer.send(new Message(topic, Stage.bytes("m")));
        Check.fails("reset of an unknown group",
            () -> stage.admin.resetOffsetByTimestamp(topic, stage.name("typo"), 0, true));
    }

    /** Settings changed while the broker runs read back; Apache brokers take any key and any value. */
    private static void brokerSettings(Stage stage) throws Exception {
        String master = stage.endpoint.masters().get(0);
        String before = stage.admin.getBrokerConfig(master).getProperty("fileReservedTime");
        String size = stage.admin.getBrokerConfig(master).getProperty("maxMessageSize");
        try {
            change(stage, master, "fileReservedTime", "51");
            Check.equal("51", stage.admin.getBrokerConfig(master).getProperty("fileReservedTime"), "changed setting");
            if (!stage.endpoint.apache) {
                Check.fails("an unknown setting", () -> change(stage, master, "noSuchSetting", "1"))
                    .withCode(Code.INVALID_PARAMETER);
                Check.fails("a wrong value", () -> change(stage, master, "fileReservedTime", "soon"))
                    .withCode(Code.INVALID_PARAMETER);
                Check.fails("one wrong of two", () -> change(stage, master, "maxMessageSize", "2048", "fileReservedTime", "-1"));
                Check.equal(size, stage.admin.getBrokerConfig(master).getProperty("maxMessageSize"), "setting beside a wrong one");
            }
            change(stage, master, "fileReservedTime", "52", "maxMessageSize", "4000000");
            Check.equal("4000000", stage.admin.getBrokerConfig(master).getProperty("maxMessageSize"), "second setting of two");
        } finally {
            change(stage, master, "fileReservedTime", before, "maxMessageSize", size);
        }
        Check.equal(before, stage.admin.getBrokerConfig(master).getProperty("fileReservedTime"), "setting changed back");
    }

    private static void change(Stage stage, String master, String... pairs) throws Exception {
        Properties properties = new Properties();
        for (int i = 0; i < pairs.length; i += 2) {
            properties.setProperty(pairs[i], pairs[i + 1]);
        }
        stage.admin.updateBrokerConfig(master, properties);
    }
}
