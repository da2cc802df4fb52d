package io.trefoil.e2e;

import java.util.List;

/** One program against the endpoint. `alone`: it changes what others see, so nothing runs beside it. */
record Scenario(String name, String area, boolean alone, Body body) {
    interface Body {
        void run(Stage stage) throws Exception;
    }

    /** Where an area lists its scenarios. */
    record Area(String name, List<Scenario> scenarios) {
        void add(String scenario, Body body) {
            scenarios.add(new Scenario(scenario, name, false, body));
        }

        void addAlone(String scenario, Body body) {
            scenarios.add(new Scenario(scenario, name, true, body));
        }
    }
}
