import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { buildClient, until } from "./harness.ts";

setDefaultTimeout(90_000);

const firefoxPath = "/usr/bin/firefox-esr";

/** What is on each page once its data is there. */
const pages = {
  "/": ".value-panel canvas",
  "/devices": ".device-space .device-row",
  "/devices?group=meta.site": "button.group-row",
  "/devices/sensor-000004": ".series-row canvas",
  "/explore": ".explore-panel",
  "/alerts": "h1",
  "/pipeline": ".dead-list summary",
} as const;

/** A browser that is not Chromium: by WebDriver BiDi, which Firefox and puppeteer both speak. */
describe.skipIf(!existsSync(firefoxPath))("Firefox", () => {
  let server: FixtureServer;
  let browser: Browser;
  const faults: string[] = [];

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 8, devices: 500, intervalMs: 200 });
    browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: firefoxPath,
      headless: true,
      protocol: "webDriverBiDi",
    });
  });
  afterAll(async () => {
    await browser?.close();
    await server.stop();
  });

  const open = async (path: string): Promise<Page> => {
    const page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    page.on("console", (message) => {
      // A server that is away on purpose is not a fault of the page.
      if (message.type() === "error" && !/NetworkError|can.t establish|Failed to load/i.test(message.text()))
        faults.push(`${path}: ${message.text()}`);
    });
    page.on("pageerror", (error) => faults.push(`${path}: ${error instanceof Error ? error.message : String(error)}`));
    await page.goto(server.url + path);
    return page;
  };
  const text = (page: Page, selector: string): Promise<string> =>
    page.$eval(selector, (element) => element.textContent ?? "");

  test("every page opens and is live, without a word in the console", async () => {
    for (const [path, ready] of Object.entries(pages)) {
      const page = await open(path);
      await page.waitForSelector(ready);
      await page.waitForSelector(".connection[data-kind=live]");
      await page.close();
    }
    expect(faults).toEqual([]);
  });

  test("numbers move, an outage is in the title, and the page survives a restart of the service", async () => {
    const page = await open("/");
    await page.waitForSelector(".connection[data-kind=live]");
    server.scene.rate = 1_234;
    await until(
      () => text(page, "[data-testid=rate]"),
      (value) => value === "1,234",
      20_000,
    );
    server.scene.outage = "site-2";
    await until(
      () => page.title(),
      (title) => /^\d+ silent · Live · Sluice$/.test(title),
      20_000,
    );
    const { port } = server;
    await server.stop();
    await page.waitForSelector(".connection[data-kind=reconnecting]");
    server = createFixtureServer({ types: 8, devices: 500, intervalMs: 200, port, rate: 777 });
    await until(
      () => text(page, "[data-testid=rate]"),
      (value) => value === "777",
      30_000,
    );
    expect(faults).toEqual([]);
    await page.close();
  });

  test("the time picker, a drag over a chart and the palette of keys work", async () => {
    const page = await open("/devices/sensor-000004?from=now-6h");
    await page.waitForSelector(".series-row canvas");
    await page.click(".time-button");
    await page.waitForSelector(".popover:popover-open");
    await page.keyboard.press("Escape");
    await until(
      () => page.$$eval(".popover:popover-open", (all) => all.length),
      (count) => count === 0,
    );
    const box = await page.$eval(".series-row .u-over", (element) => element.getBoundingClientRect().toJSON());
    await page.mouse.move(box.x + box.width * 0.4, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 20, { steps: 5 });
    await page.mouse.up();
    await until(
      () => page.url(),
      (url) => url.includes("to="),
    );
    await page.keyboard.press("g");
    await page.keyboard.press("d");
    await page.waitForSelector(".device-space .device-row");
    expect(faults).toEqual([]);
    await page.close();
  });
});
