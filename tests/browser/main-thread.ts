import type { CDPSession } from "playwright-core";

export async function metric(session: CDPSession, name: string): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find((each) => each.name === name)?.value ?? Number.NaN;
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** CPU time in microseconds. */
  tdur?: number;
  args?: { name?: string };
}

/** CPU milliseconds of each task of the page's main thread while `run` runs, largest first. */
export async function mainThreadTasks(session: CDPSession, run: () => Promise<void>): Promise<number[]> {
  const events: TraceEvent[] = [];
  const collect = ({ value }: { value: object[] }): void => {
    for (const event of value) events.push(event as TraceEvent);
  };
  session.on("Tracing.dataCollected", collect);
  const complete = new Promise<void>((resolve) => session.once("Tracing.tracingComplete", () => resolve()));
  await session.send("Tracing.start", { categories: "toplevel", transferMode: "ReportEvents" });
  await run();
  await session.send("Tracing.end");
  await complete;
  session.off("Tracing.dataCollected", collect);
  const key = ({ pid, tid }: TraceEvent): string => `${pid}:${tid}`;
  const mains = new Set(
    events.filter((event) => event.name === "thread_name" && event.args?.name === "CrRendererMain").map(key),
  );
  return events
    .filter((event) => event.ph === "X" && event.name === "ThreadControllerImpl::RunTask" && mains.has(key(event)))
    .map((event) => (event.tdur ?? 0) / 1000)
    .sort((a, b) => b - a);
}
