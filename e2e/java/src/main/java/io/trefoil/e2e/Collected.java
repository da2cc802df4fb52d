package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that listeners were given, in the order of arrival. */
final class Collected {
    /** How long nothing more may arrive before a set is taken as complete. */
    private static final long QUIET_MS = 700;
    private final List<MessageExt> messages = new ArrayList<>();

    synchronized void add(List<MessageExt> more) {
        messages.addAll(more);
    }

    synchronized int size() {
        return messages.size();
    }

    synchronized List<MessageExt> all() {
        return new ArrayList<>(messages);
    }

    synchronized Set<String> bodies() {
        Set<String> bodies = new TreeSet<>();
        messages.forEach(m -> bodies.add(Stage.text(m)));
        return bodies;
    }

    /** Waits for all of `expected`, then a little longer to see that nothing else and nothing twice arrives. */
    void awaitExactly(Set<String> expected) throws Exception {
        await(expected);
        Thread.sleep(QUIET_MS);
        Check.equal(expected, bodies(), "received bodies");
        Check.equal(expected.size(), size(), "number of deliveries (repeats: " + repeats() + ")");
    }

    void await(Set<String> expected) throws Exception {
        Check.eventually("delivery of " + expected.size() + " messages", () -> bodies().containsAll(expected), () -> {
            Set<String> missing = new TreeSet<>(expected);
            missing.removeAll(bodies());
            return size() + " deliveries, missing " + missing;
        });
    }

    private synchronized List<String> repeats() {
        Set<String> once = new TreeSet<>();
        List<String> repeats = new ArrayList<>();
        messages.forEach(m -> {
            if (!once.add(Stage.text(m))) {
                repeats.add(Stage.text(m));
            }
        });
        return repeats;
    }
}
