package io.trefoil.e2e;

import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;

/** Consumer groups through the official admin client. */
final class GroupScenarios {
    private static final int TIMEOUT_MS = 5_000;
    private static final int MOST_RESETS = 3;
    /** A client waits 10 s after it learnt of a reset, and up to 20 s for its next look at the queues. */
    private static final int RESET_PATIENCE_MS = 35_000;

    private GroupScenarios() {
    }

    static void list(Scenario.Area area) {
        area.add("group-create-update", GroupScenarios::createUpdate);
        area.add("group-delete", GroupScenarios::delete);
        area.add("group-disabled", GroupScenarios::disabled);
        area.add("group-lag", GroupScenarios::lag);
        area.add("group-connection", GroupScenarios::connection);
        area.add("group-running-info", GroupScenarios::runningInfo);
        area.add("group-reset-online", GroupScenarios::resetOnline);
        area.add("group-reset-offline", GroupScenarios::resetOffline);
        area.add("group-who-consumes", GroupScenarios::whoConsumes);
        area.add("group-clone-offset", GroupScenarios::cloneOffset);
        area.add("group-producer-connection", GroupScenarios::producerConnection);
    }

    private static void createUpdate(Stage stage) throws Exception {
        String name = stage.name("g");
        var group = Versioned.group(name);
        group.setRetryMaxTimes(5);
        group.setRetryQueueNums(2);
        group.setConsumeBroadcastEnable(false);
        for (String master : stage.endpoint.masters()) {
            stage.admin.createAndUpdateSubscriptionGroupConfig(master, group);
            var seen = stage.admin.examineSubscriptionGroupConfig(master, name);
            Check.equal(name, seen.getGroupName(), "name");
            Check.equal(5, seen.getRetryMaxTimes(), "most retries");
            Check.equal(2, seen.getRetryQueueNums(), "retry queues");
            Check.equal(false, seen.isConsumeBroadcastEnable(), "broadcast");
            group.setRetryMaxTimes(9);
            stage.admin.createAndUpdateSubscriptionGroupConfig(master, group);
            var all = stage.admin.getAllSubscriptionGroup(master, TIMEOUT_MS).getSubscriptionGroupTable();
            Check.equal(9, all.get(name).getRetryMaxTimes(), "most retries after an update");
            Check.that(stage.admin.getUserSubscriptionGroup(master, TIMEOUT_MS).getSubscriptionGroupTable().containsKey(name),
                "not among the users' groups");
            Facts.note("groups that are not of the tests: " + all.keySet().stream().filter(g -> !g.contains("e2e")).sorted().toList());
        }
    }

    private static void delete(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.collect("g", topic, "*", seen);
        seen.await(stage.sendNumbered(topic, "A", 0, 5));
        consumer.shutdown();
        for (String master : stage.endpoint.masters()) {
            Check.that(stage.admin.getAllSubscriptionGroup(master, TIMEOUT_MS).getSubscriptionGroupTable().containsKey(stage.name("g")),
                "a group that consumed is not listed");
            // A request of the consumer that is still under way makes the group anew.
            Check.Condition gone = () -> {
                stage.admin.deleteSubscriptionGroup(master, stage.name("g"), true);
                return !stage.admin.getAllSubscriptionGroup(master, TIMEOUT_MS).getSubscriptionGroupTable().containsKey(stage.name("g"));
            };
            if (Versioned.DELETES_OFFSETS) {
                Check.eventually("the group is gone", gone);
            } else {
                Facts.note("gone after the deletion by a 4.x client: " + gone.holds());
            }
        }
        Set<String> wanted = stage.sendNumbered(topic, "A", 5, 5);
        Collected again = new Collected();
        stage.collect("g", topic, "*", again);
        again.await(wanted);
        if (Versioned.DELETES_OFFSETS) {
            again.awaitExactly(Set.of("m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"));
        }
        Facts.note("after the deletion the group was given " + again.bodies());
    }

    private static void disabled(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        stage.sendNumbered(topic, "A", 0, 1);
        var group = Versioned.group(stage.name("g"));
        group.setConsumeEnable(false);
        for (String master : stage.endpoint.masters()) {
            stage.admin.createAndUpdateSubscriptionGroupConfig(master, group);
        }
        Check.fails("pull by a disabled group", () -> stage.pull("g").pull(stage.queues(topic).get(0), "*", 0, 1))
            .withCode(Code.NO_PERMISSION);
    }

    private static void lag(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.collect("g", topic, "*", seen);
        seen.await(stage.sendNumbered(topic, "A", 0, 10));
        Check.eventuallyAnswers("lag 0 while it consumes", () -> stage.lag("g", topic) == 0);
        var stats = stage.admin.examineConsumeStats(stage.name("g"));
        Facts.note("topics in the statistics: " + stats.getOffsetTable().keySet());
        consumer.shutdown();
        stage.sendNumbered(topic, "A", 10, 7);
        Check.eventuallyAnswers("lag 7", () -> stage.lag("g", topic) == 7);
        Facts.note("lag of a group that never was -> " + Check.fails("lag of nothing",
            () -> stage.admin.examineConsumeStats(stage.name("never"))));
    }

    private static void connection(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        DefaultMQPushConsumer consumer = stage.collect("g", topic, "A || B", new Collected());
        Check.eventuallyAnswers("the connection",
            () -> stage.admin.examineConsumerConnectionInfo(stage.name("g")).getConnectionSet().size() == 1);
        var info = stage.admin.examineConsumerConnectionInfo(stage.name("g"));
        var one = info.getConnectionSet().iterator().next();
        Check.equal(consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId(), one.getClientId(), "client id");
        Check.equal("JAVA", one.getLanguage().name(), "language");
        Facts.note("connection " + one.getClientAddr() + " version " + one.getVersion());
        Check.equal("CONSUME_PASSIVELY", info.getConsumeType().name(), "consume type");
        Check.equal("CLUSTERING", info.getMessageModel().name(), "message model");
        Check.equal("CONSUME_FROM_FIRST_OFFSET", info.getConsumeFromWhere().name(), "start");
        Check.equal("A || B", info.getSubscriptionTable().get(topic).getSubString(), "subscription");
        Check.that(info.getSubscriptionTable().containsKey("%RETRY%" + stage.name("g")), "no subscription of the retry topic");
        consumer.shutdown();
        Check.Failure gone = Check.fails("connections of a group that left", () -> stage.admin.examineConsumerConnectionInfo(stage.name("g")));
        gone.withCode(Code.CONSUMER_NOT_ONLINE);
    }

    private static void runningInfo(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.collect("g", topic, "*", seen);
        seen.await(stage.sendNumbered(topic, "A", 0, 10));
        String client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        var info = stage.admin.getConsumerRunningInfo(stage.name("g"), client, true);
        Check.that(info.getMqTable().keySet().containsAll(stage.queues(topic)), "queues " + info.getMqTable().keySet());
        Check.that(info.getJstack() != null && info.getJstack().contains("Thread"), "no thread stacks");
        var message = seen.all().get(0);
        var direct = stage.admin.consumeMessageDirectly(stage.name("g"), client, topic, message.getMsgId());
        Check.equal("CR_SUCCESS", direct.getConsumeResult().name(), "result of a message consumed on request");
        Check.equal(11, seen.size(), "deliveries");
    }

    private static void resetOnline(Stage stage) throws Exception {
        String topic = stage.topic("t", 2);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 10);
        seen.awaitExactly(sent);
        Check.eventuallyAnswers("lag 0", () -> stage.lag("g", topic) == 0);
        int deliveries = seen.size();
        // A commit that is under way may undo the reset of a queue: then one asks again, as an operator would.
        long askAgain = 0;
        for (int asked = 0; seen.size() < 2 * deliveries && asked < MOST_RESETS; ) {
            if (System.currentTimeMillis() >= askAgain) {
                var table = stage.admin.resetOffsetByTimestamp(topic, stage.name("g"), 0, true);
                Facts.note("reset online -> " + table);
                Check.equal(stage.queues(topic).size(), table.size(), "queues that were reset");
                table.values().forEach(offset -> Check.equal(0L, offset, "offset after the reset"));
                askAgain = System.currentTimeMillis() + RESET_PATIENCE_MS;
                asked++;
            }
            Thread.sleep(100);
        }
        Check.that(seen.size() >= 2 * deliveries, "after " + MOST_RESETS + " resets only " + seen.size() + " deliveries");
        Check.equal(sent, seen.bodies(), "bodies");
    }

    private static void resetOffline(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.collect("g", topic, "*", seen);
        Set<String> sent = stage.sendNumbered(topic, "A", 0, 10);
        seen.awaitExactly(sent);
        consumer.shutdown();
        stage.awaitCommitted("g", topic);
        try {
            Facts.note("reset offline -> " + stage.admin.resetOffsetByTimestamp(topic, stage.name("g"), 0, true));
        } catch (org.apache.rocketmq.client.exception.MQClientException e) {
            Facts.note("reset offline -> " + e.getResponseCode() + " " + e.getErrorMessage());
            Check.equal(Code.CONSUMER_NOT_ONLINE, e.getResponseCode(), "code of " + e.getErrorMessage());
            // What the official command line tool does then: it writes the offsets itself.
            var rolled = stage.admin.resetOffsetByTimestampOld(stage.name("g"), topic, 0, true);
            Check.equal(stage.queues(topic).size(), rolled.size(), "queues that were rolled back");
        }
        Collected again = new Collected();
        stage.collect("g", topic, "*", again);
        again.awaitExactly(sent);
    }

    private static void whoConsumes(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        stage.collect("g", topic, "*", seen);
        seen.await(stage.sendNumbered(topic, "A", 0, 3));
        Check.eventuallyAnswers("the group of the topic",
            () -> stage.admin.queryTopicConsumeByWho(topic).getGroupList().contains(stage.name("g")));
        Versioned.checkSubscription(stage, "g", topic);
        var spans = stage.admin.queryConsumeTimeSpan(topic, stage.name("g"));
        Check.equal(stage.queues(topic).size(), spans.size(), "time spans");
    }

    private static void cloneOffset(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        Collected seen = new Collected();
        DefaultMQPushConsumer consumer = stage.collect("g", topic, "*", seen);
        seen.await(stage.sendNumbered(topic, "A", 0, 10));
        consumer.shutdown();
        stage.awaitCommitted("g", topic);
        stage.admin.cloneGroupOffset(stage.name("g"), stage.name("copy"), topic, false);
        Set<String> fresh = stage.sendNumbered(topic, "A", 10, 5);
        Collected copy = new Collected();
        stage.collect("copy", topic, "*", copy);
        copy.awaitExactly(fresh);
    }

    private static void producerConnection(Stage stage) throws Exception {
        String topic = stage.topic("t", 1);
        var own = stage.producer("p");
        own.start();
        own.send(new org.apache.rocketmq.common.message.Message(topic, Stage.bytes("m0")));
        Check.eventuallyAnswers("the producer's connection",
            () -> stage.admin.examineProducerConnectionInfo(stage.name("p"), topic).getConnectionSet().size() == 1);
    }
}
