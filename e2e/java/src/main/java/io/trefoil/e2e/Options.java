package io.trefoil.e2e;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The command line: words, `--name value` and `--flag`. */
record Options(List<String> what, Map<String, String> values) {
    private static final Set<String> FLAGS = Set.of("verbose", "facts", "apache");
    private static final Set<String> VALUES =
        Set.of("namesrv", "threads", "skip", "topic", "queues", "producers", "seconds", "file", "size", "count");

    static Options parse(String[] args) {
        List<String> what = new ArrayList<>();
        Map<String, String> values = new HashMap<>();
        for (int i = 0; i < args.length; i++) {
            String name = args[i].startsWith("--") ? args[i].substring(2) : null;
            if (name == null) {
                what.add(args[i]);
            } else if (FLAGS.contains(name)) {
                values.put(name, "");
            } else if (VALUES.contains(name) && i + 1 < args.length) {
                values.put(name, args[++i]);
            } else {
                throw new IllegalArgumentException("unknown option or missing value: " + args[i]);
            }
        }
        return new Options(what, values);
    }

    boolean has(String flag) {
        return values.containsKey(flag);
    }

    String value(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    String required(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is needed");
        }
        return value;
    }

    int number(String name, int otherwise) {
        return values.containsKey(name) ? Integer.parseInt(values.get(name)) : otherwise;
    }

    String nameServer() {
        return value("namesrv", "127.0.0.1:9876");
    }
}
