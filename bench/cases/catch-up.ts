import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { checkOutBefore, missingBefore } from "../baselines/before.ts";
import { readStored, startSluice, waitForStore } from "../baselines/sluice.ts";
import type { Case, RunContext } from "../case.ts";
import { directoryBytes } from "../disk.ts";
import { createBatches, plainFleet } from "../events.ts";
import { closedLoop } from "../load.ts";
import { loadProblems, sum } from "../measure.ts";
import { createTemporaryDirectory, removeTemporaryDirectory, startUsage } from "../processes.ts";
import type { Run } from "../result.ts";
import { projectRoot } from "../scratch-clickhouse.ts";
import { createJsonRequest, type Totals } from "../target.ts";

const gibibyte = 1024 ** 3;
const drainTimeoutMs = 180_000;
const pollMs = 50;

export const catchUp: Case = {
  name: "catch-up",
  title: "1 GiB of journal, filled while ClickHouse was away, replayed after a restart",
  seconds: 0,
  repeat: 3,
  headline: ["rows_per_second", "drain_seconds", "rows", "journal_bytes", "cpu_seconds_per_million", "peak_rss_bytes"],
  contestants: [
    { name: "sluice", missing: () => null, run: (context) => replay(context, projectRoot) },
    { name: "before", missing: missingBefore, run: replayBefore },
  ],
  goals: [
    { metric: "rows_per_second", of: "sluice", atLeast: 1_000_000 },
    { metric: "rows_per_second", of: "sluice", against: "before", atLeast: 1.4 },
  ],
};

async function replayBefore(context: RunContext): Promise<Run> {
  const root = checkOutBefore();
  try {
    return await replay(context, root);
  } finally {
    removeTemporaryDirectory(root);
  }
}

async function replay(context: RunContext, root: string): Promise<Run> {
  const directory = createTemporaryDirectory("catch-up");
  try {
    const filled = await fillJournal(directory, context, root);
    context.progress(`replaying ${filled.totals.events} rows`);
    const sluice = await startSluice(directory, { root });
    // Counted from the beginning of the process: `peakRssBytes` is that of its whole life.
    const read = startUsage([sluice.process]);
    const readyNs = Bun.nanoseconds();
    const deadline = Date.now() + drainTimeoutMs;
    await waitForStore(sluice);
    let stored = await readStored(sluice.clickHouse, filled.totals.events);
    while (stored.some(({ events }) => events < filled.totals.events) && Date.now() < deadline) {
      await Bun.sleep(pollMs);
      stored = await readStored(sluice.clickHouse, filled.totals.events);
    }
    const drainSeconds = (Bun.nanoseconds() - readyNs) / 1e9;
    const processes = read();
    const problems = [...filled.problems];
    for (const { place, events, valueSum } of stored) {
      if (events !== filled.totals.events) problems.push(`${place}: ${events} rows of ${filled.totals.events}`);
      else if (valueSum !== filled.totals.valueSum) problems.push(`${place}: the values sum to ${valueSum}`);
    }
    if (!(await sluice.process.stop())) problems.push("did not stop when asked");
    const cpu = processes.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0);
    return {
      metrics: {
        rows_per_second: filled.totals.events / drainSeconds,
        drain_seconds: drainSeconds,
        rows: filled.totals.events,
        journal_bytes: filled.bytes,
        ready_seconds: sluice.readySeconds,
        cpu_seconds_per_million: (cpu / filled.totals.events) * 1e6,
        peak_rss_bytes: processes.reduce((total, { peakRssBytes }) => total + peakRssBytes, 0),
      },
      processes,
      problems,
    };
  } finally {
    removeTemporaryDirectory(directory);
  }
}

/** A service whose ClickHouse does not answer takes events until the journal is large enough; then it is killed. */
async function fillJournal(
  directory: string,
  context: RunContext,
  root: string,
): Promise<{ totals: Totals; bytes: number; problems: string[] }> {
  const wantedBytes = context.scale === "smoke" ? gibibyte / 64 : gibibyte;
  const sluice = await startSluice(directory, {
    settings: { CLICKHOUSE_URL: `http://127.0.0.1:${findFreePort()}` },
    root,
  });
  const batches = createBatches(plainFleet, { seed: 5, batches: 64, size: 1000 });
  const requests = batches.map((batch) => createJsonRequest(sluice.port, batch));
  let totals: Totals = { events: 0, valueSum: 0 };
  const problems: string[] = [];
  let bytes = 0;
  while (bytes < wantedBytes && problems.length === 0) {
    const load = await closedLoop({ port: sluice.port, requests, connections: 8, seconds: 0.2 });
    totals = sum(totals, load);
    problems.push(...loadProblems(load));
    bytes = directoryBytes(join(directory, "data"));
    context.progress(`journal ${(bytes / 1024 ** 2).toFixed(0)} MiB`);
  }
  await sluice.process.kill();
  return { totals, bytes, problems };
}
