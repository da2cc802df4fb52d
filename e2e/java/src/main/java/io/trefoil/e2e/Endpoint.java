package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The cluster under test and the clients that all scenarios share. */
final class Endpoint implements AutoCloseable {
    final String nameServer;
    /** The brokers are Apache's: where they are known to do less, the scenarios expect less. */
    boolean apache;
    /** Part of every name, so that runs never meet. */
    final String run;
    final DefaultMQAdminExt admin;
    final DefaultMQProducer producer;
    final DefaultMQPullConsumer reader;
    private final AtomicInteger instances = new AtomicInteger();

    Endpoint(String nameServer) throws Exception {
        this.nameServer = nameServer;
        this.run = "e2e" + Long.toString(System.currentTimeMillis(), 36);
        this.admin = new DefaultMQAdminExt("admin-" + run);
        configure(admin);
        admin.start();
        this.producer = new DefaultMQProducer("producer-" + run);
        configure(producer);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        this.reader = new DefaultMQPullConsumer("reader-" + run);
        configure(reader);
        reader.start();
    }

    /** Gives a client the address and an identity of its own. */
    void configure(ClientConfig client) {
        client.setNamesrvAddr(nameServer);
        client.setInstanceName(run + "-" + instances.incrementAndGet());
        client.setPollNameServerInterval(2_000);
        client.setHeartbeatBrokerInterval(5_000);
        client.setPersistConsumerOffsetInterval(1_000);
    }

    /** Addresses of all masters. */
    List<String> masters() throws Exception {
        List<String> masters = new ArrayList<>();
        for (var broker : admin.examineBrokerClusterInfo().getBrokerAddrTable().values()) {
            String master = broker.getBrokerAddrs().get(0L);
            if (master != null) {
                masters.add(master);
            }
        }
        Check.that(!masters.isEmpty(), "no master broker is registered at " + nameServer);
        return masters;
    }

    /** Broker names, sorted. */
    List<String> brokers() throws Exception {
        return new ArrayList<>(new TreeSet<>(admin.examineBrokerClusterInfo().getBrokerAddrTable().keySet()));
    }

    /** Whether the brokers deliver to each member of a group what it asked for, also if they asked for different things. */
    boolean keepsDividedGroups() throws Exception {
        return admin.fetchBrokerRuntimeStats(masters().get(0)).getTable().containsKey("dividedGroups");
    }

    String cluster() throws Exception {
        return admin.examineBrokerClusterInfo().getClusterAddrTable().keySet().iterator().next();
    }

    @Override
    public void close() {
        reader.shutdown();
        producer.shutdown();
        admin.shutdown();
    }
}
