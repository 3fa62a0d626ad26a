import type { CDPSession } from "playwright-core";
import { live, openBrowser } from "../harness.ts";
import { mainThreadTasks, metric } from "../main-thread.ts";

/** Traces of minutes would be gigabytes. */
const traceMs = 15_000;
const warmMs = 20_000;

/** Live, open for a while: the main thread's share, its longest tasks by CPU time, and the heap after collection. */
export async function measureSteady(url: string, seconds: number): Promise<void> {
  const browser = await openBrowser(() => url, { width: 1440, height: 900 });
  try {
    const page = await browser.page("/");
    await live(page);
    await page.locator(".value-panel canvas").waitFor();
    const session = await browser.context.newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    await Bun.sleep(warmMs);
    const startMs = Date.now();
    const startTasks = await metric(session, "TaskDuration");
    const heaps: number[] = [await heapBytes(session)];
    let longest = 0;
    let over = 0;
    while (Date.now() - startMs < seconds * 1000) {
      const tasks = await mainThreadTasks(session, () => Bun.sleep(traceMs));
      longest = Math.max(longest, tasks[0] ?? 0);
      over += tasks.filter((ms) => ms > 50).length;
      heaps.push(await heapBytes(session));
    }
    const share = ((await metric(session, "TaskDuration")) - startTasks) / ((Date.now() - startMs) / 1000);
    const megabytes = (bytes: number | undefined): string => ((bytes ?? 0) / 1e6).toFixed(1);
    console.log(
      `steady ${seconds} s: main thread ${(share * 100).toFixed(1)} %, longest task ${longest.toFixed(1)} ms, ` +
        `${over} over 50 ms, heap ${megabytes(heaps[0])} → ${megabytes(heaps.at(-1))} MB (most ${megabytes(Math.max(...heaps))})`,
    );
  } finally {
    await browser.close();
  }
}

async function heapBytes(session: CDPSession): Promise<number> {
  await session.send("HeapProfiler.collectGarbage");
  return metric(session, "JSHeapUsedSize");
}
