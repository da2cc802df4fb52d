package io.trefoil.e2e;

import java.util.Objects;
import java.util.concurrent.Callable;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;

/** Expectations that say what was seen. */
final class Check {
    /** A deadline generous enough for a loaded machine; nothing that passes waits for it. */
    static final long PATIENCE_MS = 40_000;
    private static final long LOOK_AGAIN_MS = 20;

    private Check() {
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    interface Action {
        void run() throws Exception;
    }

    static void that(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    /** Waits until `condition` holds; `seen` describes the state for the failure. */
    static void eventually(String what, Condition condition, Callable<Object> seen) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!condition.holds()) {
            if (System.currentTimeMillis() > deadline) {
                throw new AssertionError(what + " not within " + PATIENCE_MS / 1000 + " s; seen: " + seen.call());
            }
            Thread.sleep(LOOK_AGAIN_MS);
        }
    }

    static void eventually(String what, Condition condition) throws Exception {
        eventually(what, condition, () -> "nothing more");
    }

    /** Like `eventually`, for a question that fails until the answer exists. */
    static void eventuallyAnswers(String what, Condition condition) throws Exception {
        Exception[] last = new Exception[1];
        eventually(what, () -> {
            try {
                return condition.holds();
            } catch (MQClientException | MQBrokerException e) {
                last[0] = e;
                return false;
            }
        }, () -> last[0]);
    }

    /** The code that `action` fails with, from whichever exception class the client chose. */
    static Failure fails(String what, Action action) throws Exception {
        Failure failure = failure(action);
        if (failure == null) {
            throw new AssertionError(what + " was accepted");
        }
        return failure;
    }

    /** The same; nothing if `action` does not fail. */
    static Failure failure(Action action) throws Exception {
        try {
            action.run();
            return null;
        } catch (Exception e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                if (cause instanceof MQBrokerException broker) {
                    return new Failure(broker.getResponseCode(), broker.getErrorMessage());
                }
            }
            if (e instanceof MQClientException client) {
                return new Failure(client.getResponseCode(), client.getErrorMessage());
            }
            throw e;
        }
    }

    record Failure(int code, String text) {
        Failure withCode(int expected) {
            Facts.note("code " + code + ": " + text);
            Check.equal(expected, code, "code of \"" + text + "\"");
            return this;
        }

        Failure saying(String part) {
            Check.that(text != null && text.contains(part), "expected \"" + part + "\" in \"" + text + "\"");
            return this;
        }
    }
}
