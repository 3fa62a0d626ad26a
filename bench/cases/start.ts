import { startSluice, waitForStore } from "../baselines/sluice.ts";
import type { Case } from "../case.ts";
import { createTemporaryDirectory, removeTemporaryDirectory, startUsage } from "../processes.ts";

export const start: Case = {
  name: "start",
  title: "Process start to /readyz 200, on a data directory that exists",
  seconds: 0,
  repeat: 5,
  headline: ["ready_seconds", "first_ready_seconds", "store_ready_seconds", "peak_rss_bytes"],
  contestants: [
    {
      name: "sluice",
      missing: () => null,
      async run(context) {
        const directory = createTemporaryDirectory("start");
        try {
          context.progress("first start");
          const first = await startSluice(directory);
          const problems = (await first.process.stop()) ? [] : ["did not stop when asked"];
          context.progress("warm start");
          const startedNs = Bun.nanoseconds();
          const warm = await startSluice(directory);
          await waitForStore(warm);
          const storeSeconds = (Bun.nanoseconds() - startedNs) / 1e9;
          const processes = startUsage([warm.process])();
          if (!(await warm.process.stop())) problems.push("did not stop when asked");
          const rss = processes.reduce((total, { peakRssBytes }) => total + peakRssBytes, 0);
          return {
            metrics: {
              ready_seconds: warm.readySeconds,
              first_ready_seconds: first.readySeconds,
              store_ready_seconds: storeSeconds,
              peak_rss_bytes: rss,
            },
            processes,
            problems,
          };
        } finally {
          removeTemporaryDirectory(directory);
        }
      },
    },
  ],
  goals: [{ metric: "ready_seconds", of: "sluice", atMost: 2 }],
};
