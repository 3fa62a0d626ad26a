import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { type Service, startService } from "../../testing/test-service.ts";
import { buildClient, until } from "./harness.ts";
import { noWebKit, openWebKit } from "./webkit-driver.ts";

setDefaultTimeout(120_000);

const firefoxPath = "/usr/bin/firefox-esr";
const sites = 4;

/** A browser as far as these tests need it: one page. */
interface OneBrowser {
  open(url: string): Promise<void>;
  run<T>(body: string): Promise<T>;
  /** What the console said that nobody wants to see, as far as this browser tells. */
  faults: string[];
  close(): Promise<void>;
}

async function openFirefox(): Promise<OneBrowser> {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: firefoxPath,
    headless: true,
    protocol: "webDriverBiDi",
  });
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on("console", (message) => {
    // A service that is away on purpose is not a fault of the page.
    if (message.type() === "error" && !/NetworkError|can.t establish|Failed to load/i.test(message.text()))
      faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(error instanceof Error ? error.message : String(error)));
  return {
    open: async (url) => void (await page.goto(url)),
    run: <T>(body: string) => page.evaluate(`(() => { ${body} })()`) as Promise<T>,
    faults,
    close: () => browser.close(),
  };
}

/** Its driver tells nothing of the console; a page that has failed says so itself. */
const openOneWebKit = async (): Promise<OneBrowser> => ({ ...(await openWebKit()), faults: [] });

/** What is on each page once its data is there. */
const pages = {
  "/": ".value-panel canvas",
  "/devices": ".device-space .device-row",
  "/devices?group=meta.site": "button.group-row",
  "/devices/device-4": ".series-row canvas",
  "/explore": ".explore-main .apexcharts-series path",
  "/alerts": ".ready-made",
  "/pipeline": ".flow",
} as const;

const browsers = [
  { name: "Firefox", missing: !existsSync(firefoxPath), launch: openFirefox },
  { name: "WebKit", missing: noWebKit, launch: openOneWebKit },
];

for (const { name, missing, launch } of browsers) {
  describe.skipIf(missing)(`${name} on the real service`, () => {
    let service: Service;
    let browser: OneBrowser;
    let timer: ReturnType<typeof setInterval>;

    beforeAll(async () => {
      buildClient();
      service = await startService();
      timer = setInterval(() => void report(service), 500);
      browser = await launch();
    });
    afterAll(async () => {
      clearInterval(timer);
      await browser?.close();
      await service?.dispose();
    });

    const there = (selector: string): Promise<boolean> =>
      until(
        () => browser.run<boolean>(`return document.querySelector(${JSON.stringify(selector)}) !== null`),
        (found) => found,
        40_000,
      );
    const events = (): Promise<number> =>
      browser.run(`return Number(document.querySelector("[data-testid=events]")?.textContent.replace(/\\D/g, ""))`);
    const moves = async (): Promise<void> => {
      const before = await until(events, (count) => count > 0, 40_000);
      await until(events, (count) => count > before, 20_000);
    };

    test("every page opens and is live", async () => {
      for (const [path, ready] of Object.entries(pages)) {
        await browser.open(service.url + path);
        await there(ready);
        await there(".connection[data-kind=live]");
        expect(await browser.run<string>("return document.body.textContent")).not.toContain("This page has failed");
      }
      expect(browser.faults).toEqual([]);
    });

    test("numbers move, and go on moving after a restart of the service", async () => {
      await browser.open(`${service.url}/`);
      await moves();
      await service.kill();
      await there(".connection[data-kind=reconnecting]");
      service = await service.restart();
      await there(".connection[data-kind=live]");
      await moves();
      expect(browser.faults).toEqual([]);
    });
  });
}

async function report(service: Service): Promise<void> {
  const devices = Array.from({ length: 40 }, (_, index) => ({
    device_id: `device-${index}`,
    metadata: { site: `site-${index % sites}`, firmware: "1.2" },
  }));
  const events = devices.flatMap((device, index) => [
    { ...device, event_type: "temperature", value_float: 20 + (index % 7) },
    { ...device, event_type: "state", value_string: index % 3 === 0 ? "idle" : "running" },
  ]);
  // While the service is killed nothing arrives, and that is the point.
  await service.ingest({ events }).catch(() => undefined);
}
