package io.trefoil.e2e;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** `Main <scenario|area|all|list|count|verify|order|endure|timing>… --namesrv host:port`; see ../README.md. */
public final class Main {
    private static final long SCENARIO_LIMIT_S = 120;
    /** Where this process's clients keep logs and local offsets. */
    private static Path home;
    private final Options options;
    private final AtomicInteger passed = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();

    private Main(Options options) {
        this.options = options;
    }

    public static void main(String[] args) throws Exception {
        Options options = Options.parse(args);
        settle(options);
        int exit = switch (options.what().isEmpty() ? "list" : options.what().get(0)) {
            case "list" -> list();
            case "count" -> Counting.run(options);
            case "verify" -> Verify.run(options);
            case "timing" -> Timing.run(options);
            case "order" -> OrderScenarios.run(options);
            case "endure" -> Enduring.run(options);
            case "order-consumer" -> OrderScenarios.consume(options);
            default -> new Main(options).run();
        };
        System.out.flush();
        System.exit(exit);
    }

    /** Must come before the first client class is loaded: several read these properties once. */
    private static void settle(Options options) throws Exception {
        home = Files.createTempDirectory("e2e-client");
        Runtime.getRuntime().addShutdownHook(new Thread(Main::removeHome));
        System.setProperty("user.home", home.toString());
        System.setProperty("rocketmq.client.logRoot", home.resolve("logs").toString());
        System.setProperty("rocketmq.client.logLevel", "WARN");
        System.setProperty("rocketmq.client.localOffsetStoreDir", home.resolve("offsets").toString());
        Facts.print = options.has("facts");
    }

    static void removeHome() {
        try (var paths = Files.walk(home)) {
            paths.sorted(java.util.Comparator.reverseOrder()).forEach(p -> p.toFile().delete());
        } catch (java.io.IOException | java.io.UncheckedIOException e) {
            System.err.println("leaving " + home + ": " + e);
        }
    }

    private static Map<String, Scenario> scenarios() {
        List<Scenario> all = new ArrayList<>();
        SendScenarios.list(new Scenario.Area("send", all));
        LimitScenarios.list(new Scenario.Area("limits", all));
        QuotaScenarios.list(new Scenario.Area("quotas", all));
        PushScenarios.list(new Scenario.Area("push", all));
        PullScenarios.list(new Scenario.Area("pull", all));
        RetryScenarios.list(new Scenario.Area("retry", all));
        TimerScenarios.list(new Scenario.Area("timers", all));
        QueryScenarios.list(new Scenario.Area("query", all));
        TopicScenarios.list(new Scenario.Area("topics", all));
        GroupScenarios.list(new Scenario.Area("groups", all));
        RequestScenarios.list(new Scenario.Area("requests", all));
        NamespaceScenarios.list(new Scenario.Area("namespaces", all));
        DivisionScenarios.list(new Scenario.Area("divisions", all));
        ScaleScenarios.list(new Scenario.Area("scale", all));
        AdminScenarios.list(new Scenario.Area("admin", all));
        ClusterScenarios.list(new Scenario.Area("cluster", all));
        BoundScenarios.list(new Scenario.Area(BoundScenarios.AREA, all));
        Map<String, Scenario> byName = new LinkedHashMap<>();
        for (Scenario scenario : all) {
            if (byName.put(scenario.name(), scenario) != null) {
                throw new IllegalStateException("two scenarios named " + scenario.name());
            }
        }
        return byName;
    }

    private static int list() {
        scenarios().values().forEach(s -> System.out.println(s.area() + "\t" + s.name() + (s.alone() ? "\talone" : "")));
        return 0;
    }

    private List<Scenario> chosen() {
        Map<String, Scenario> all = scenarios();
        List<Scenario> chosen = new ArrayList<>();
        for (String what : options.what()) {
            List<Scenario> matching = all.values().stream()
                .filter(s -> what.equals(s.area()) || what.equals(s.name())
                    || (what.equals("all") && !s.area().equals(BoundScenarios.AREA))).toList();
            if (matching.isEmpty()) {
                throw new IllegalArgumentException("no scenario or area named " + what + "; `list` shows them");
            }
            chosen.addAll(matching);
        }
        List<String> skipped = Arrays.asList(options.value("skip", "").split(","));
        chosen.removeIf(s -> skipped.contains(s.name()));
        return chosen;
    }

    private int run() throws Exception {
        List<Scenario> chosen = chosen();
        long begin = System.nanoTime();
        try (Endpoint endpoint = new Endpoint(options.nameServer())) {
            endpoint.apache = options.has("apache");
            ExecutorService side = Executors.newFixedThreadPool(options.number("threads", 6));
            List<Future<?>> running = new ArrayList<>();
            chosen.stream().filter(s -> !s.alone()).forEach(s -> running.add(side.submit(() -> play(endpoint, s))));
            for (Future<?> one : running) {
                one.get();
            }
            side.shutdown();
            chosen.stream().filter(Scenario::alone).forEach(s -> play(endpoint, s));
            System.out.printf("took %.1f s%n", (System.nanoTime() - begin) / 1e9);
            System.out.println(passed + " passed, " + failed + " failed");
            System.out.flush();
            // Closing waits for every client's timers; nothing is left to learn from it.
            System.exit(failed.get() == 0 ? 0 : 1);
        }
        return failed.get() == 0 ? 0 : 1;
    }

    private void play(Endpoint endpoint, Scenario scenario) {
        ExecutorService thread = Executors.newSingleThreadExecutor(r -> new Thread(r, scenario.name()));
        long begin = System.nanoTime();
        String why;
        try {
            thread.submit(() -> {
                try (Stage stage = new Stage(endpoint, scenario.name())) {
                    scenario.body().run(stage);
                }
                return null;
            }).get(SCENARIO_LIMIT_S, TimeUnit.SECONDS);
            why = null;
        } catch (java.util.concurrent.ExecutionException e) {
            why = reason(e.getCause());
        } catch (Exception e) {
            why = "not done within " + SCENARIO_LIMIT_S + " s (" + e + ")";
        }
        thread.shutdownNow();
        double seconds = (System.nanoTime() - begin) / 1e9;
        if (why == null) {
            passed.incrementAndGet();
            System.out.printf("PASS %s (%.1f s)%n", scenario.name(), seconds);
        } else {
            failed.incrementAndGet();
            System.out.printf("FAIL %s: %s (%.1f s)%n", scenario.name(), why, seconds);
        }
    }

    private String reason(Throwable failure) {
        if (options.has("verbose")) {
            failure.printStackTrace();
        }
        String text = failure instanceof AssertionError ? failure.getMessage() : failure.toString();
        if (failure.getCause() != null && !(failure instanceof AssertionError)) {
            text += "; because " + failure.getCause();
        }
        StackTraceElement place = Arrays.stream(failure.getStackTrace())
            .filter(f -> f.getClassName().endsWith("Scenarios")).findFirst().orElse(null);
        return text.replaceAll("\\s+", " ") + (place == null ? "" : " at " + place.getFileName() + ":" + place.getLineNumber());
    }
}
