import { openBrowser } from "../harness.ts";
import { measuredPages, median } from "./pages.ts";

const slowerTimes = 4;
const settleMs = 1_500;

interface Load {
  lcpMs: number;
  bytes: number;
}

/** First loads, nothing cached, on a phone's screen with a slower processor: largest contentful paint and compressed files. */
export async function measureLoads(url: string, runs: number): Promise<void> {
  for (const [path, ready] of Object.entries(measuredPages)) {
    const loads: Load[] = [];
    for (let run = 0; run < runs; run++) loads.push(await load(url, path, ready));
    const lcp = loads.map(({ lcpMs }) => lcpMs);
    console.log(
      `load ${path}: LCP at ${slowerTimes} times slower ${Math.round(median(lcp))} ms (best ${Math.round(Math.min(...lcp))}), ` +
        `${(median(loads.map(({ bytes }) => bytes)) / 1000).toFixed(1)} KB of files, compressed`,
    );
  }
}

async function load(url: string, path: string, ready: string): Promise<Load> {
  const browser = await openBrowser(() => url, { width: 412, height: 823 });
  try {
    const page = await browser.context.newPage();
    const session = await browser.context.newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Emulation.setCPUThrottlingRate", { rate: slowerTimes });
    const files = new Set<string>();
    let bytes = 0;
    session.on("Network.requestWillBeSent", ({ requestId, request }) => {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith("/api/") && pathname !== "/dashboard-stream") files.add(requestId);
    });
    session.on("Network.dataReceived", ({ requestId, encodedDataLength }) => {
      if (files.has(requestId)) bytes += encodedDataLength;
    });
    await page.addInitScript(() => {
      const seen = { lcp: 0 };
      Object.assign(globalThis, { seenPaint: seen });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.lcp = entry.startTime;
      }).observe({ type: "largest-contentful-paint", buffered: true });
    });
    await page.goto(url + path);
    await page.locator(ready).first().waitFor({ timeout: 60_000 });
    await Bun.sleep(settleMs);
    const lcpMs = await page.evaluate(() => (globalThis as unknown as { seenPaint: { lcp: number } }).seenPaint.lcp);
    return { lcpMs, bytes };
  } finally {
    await browser.close();
  }
}
