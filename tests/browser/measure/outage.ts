import type { Page } from "playwright-core";
import type { Devices } from "../../../contract/read.ts";
import { live, openBrowser, until } from "../harness.ts";

const outageWaitMs = 180_000;

interface OutageOptions {
  stopped: number;
  intervalSeconds: number;
}

/** How long after their interval and a second all of the stopped devices are in the number, in the title and in the list. */
export async function measureOutage(url: string, { stopped, intervalSeconds }: OutageOptions): Promise<void> {
  const browser = await openBrowser(() => url, { width: 1440, height: 900 });
  try {
    const page = await browser.page("/");
    await live(page);
    await watchSilent(page);
    await page.waitForFunction(
      (count) => (globalThis as unknown as Watched).silentSeen.some((seen) => seen.count >= count),
      stopped,
      { timeout: outageWaitMs, polling: 50 },
    );
    const title = await page.title();
    const seen = await page.evaluate(() => (globalThis as unknown as Watched).silentSeen);
    const shownMs = seen.find((each) => each.count >= stopped)?.atMs ?? Number.NaN;
    const silent = await until(
      () => silentDevices(url),
      (devices) => devices.length >= stopped,
      60_000,
    );
    const dueMs = Math.max(...silent.map((device) => Date.parse(device.last_seen))) + intervalSeconds * 1000 + 1_000;
    console.log(`outage: ${silent.length} of ${stopped} devices in the list, title "${title}"`);
    console.log(`outage: all on the page ${Math.round(shownMs - dueMs)} ms after their interval and a second`);
    const list = await browser.page("/devices?status=silent");
    await list.getByText("No device is silent").waitFor({ timeout: outageWaitMs });
    console.log(`outage: the list is empty again; faults in the console: ${browser.faults.length}`);
  } finally {
    await browser.close();
  }
}

interface Watched {
  silentSeen: { count: number; atMs: number }[];
}

/** Notes every change of the number, on the page's clock, which is this machine's. */
async function watchSilent(page: Page): Promise<void> {
  await page.evaluate(() => {
    const figure = document.querySelector("[data-testid=silent]")!;
    const silentSeen: Watched["silentSeen"] = [];
    new MutationObserver(() => {
      silentSeen.push({ count: Number((figure.textContent ?? "").replace(/\D/g, "")), atMs: Date.now() });
    }).observe(figure, { subtree: true, childList: true, characterData: true });
    Object.assign(globalThis, { silentSeen });
  });
}

async function silentDevices(url: string): Promise<Devices["devices"]> {
  const found: Devices["devices"] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = (await (await fetch(`${url}/api/devices?status=silent&limit=1000${query}`)).json()) as Devices;
    found.push(...answer.devices);
    cursor = answer.cursor;
  }
  return found;
}
