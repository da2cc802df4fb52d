package io.trefoil.e2e;

/** What the endpoint answered where the wording or a figure is worth comparing between endpoints; printed with --facts. */
final class Facts {
    static volatile boolean print;

    private Facts() {
    }

    static void note(String fact) {
        if (print) {
            System.out.println("FACT " + Thread.currentThread().getName() + ": " + fact);
        }
    }
}
