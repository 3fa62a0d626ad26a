import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Service } from "../../testing/test-service.ts";
import { type Browser, buildClient, noChromium, openBrowser, startReadyService, until } from "./harness.ts";

setDefaultTimeout(120_000);

const devices = 300;
const stopped = 200;
const intervalMs = 1_000;

/** A fleet that reports once a second, all of it or without its first devices. */
function startFleet(url: string) {
  let from = 0;
  let failure: unknown;
  const report = async (): Promise<void> => {
    const events = Array.from({ length: devices - from }, (_, index) => ({
      device_id: `device-${from + index}`,
      event_type: "temperature",
      value_float: 20 + (index % 7),
      metadata: { site: `site-${(from + index) % 4}` },
    }));
    const answer = await fetch(`${url}/ingest`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ events }),
    });
    if (answer.status !== 202) throw new Error(`POST /ingest answered ${answer.status}`);
  };
  const timer = setInterval(() => {
    report().catch((error: unknown) => {
      failure = error;
    });
  }, intervalMs);
  return {
    /** The first so many devices stop, or come back with 0. */
    stopFirst(count: number) {
      from = count;
    },
    stop() {
      clearInterval(timer);
      if (failure) throw failure;
    },
  };
}

describe.skipIf(noChromium)("a fleet that falls silent, on the real service", () => {
  let service: Service;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    service = await startReadyService();
    browser = await openBrowser(() => service.url, { width: 1440, height: 900 });
  });
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
    await service?.dispose();
  });

  test("the number is on the page and in the title, every one of them is in the list, and it empties again", async () => {
    const page = await browser.page("/");
    const fleet = startFleet(service.url);
    const silent = (): Promise<string | null> => page.getByTestId("silent").textContent();
    const numbers = async (path: string): Promise<string[]> => {
      const answer = (await (await fetch(`${service.url}${path}`)).json()) as { devices: { device_id: string }[] };
      return answer.devices.map(({ device_id }) => device_id);
    };
    try {
      await until(
        () => page.getByTestId("online").textContent(),
        (text) => text === String(devices),
        60_000,
      );
      // Each device's own interval is known after a few of its reports.
      await until(
        () => numbers("/api/devices?limit=1"),
        (ids) => ids.length === 1,
        60_000,
      );
      await Bun.sleep(intervalMs * 6);
      await until(silent, (text) => text === "0", 60_000);

      fleet.stopFirst(stopped);
      const stoppedAtMs = Date.now();
      await until(
        () => page.title(),
        (title) => title === `${stopped} silent · Live · Sluice`,
        60_000,
      );
      console.log(`${stopped} devices of a one-second interval: in the title after ${Date.now() - stoppedAtMs} ms`);
      expect(await silent()).toBe(String(stopped));
      await page.locator(".change[data-kind=outage]").first().waitFor({ timeout: 20_000 });

      const list = await browser.page("/devices?status=silent");
      await until(
        () => list.locator(".device-count").textContent(),
        (text) => text === `${stopped} devices match`,
        60_000,
      );
      expect(new Set(await numbers("/api/devices?status=silent&limit=1000"))).toEqual(
        new Set(Array.from({ length: stopped }, (_, index) => `device-${index}`)),
      );

      fleet.stopFirst(0);
      await until(silent, (text) => text === "0", 40_000);
      await list.getByText("No device is silent").waitFor({ timeout: 40_000 });
      expect(await list.title()).toBe("Devices · Sluice");
      expect(browser.faults).toEqual([]);
    } finally {
      fleet.stop();
    }
  });
});
